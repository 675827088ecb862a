"""`wellkept export`: a client's record as a bundle that people can read and anyone can check.

Source: CONTRACT; AUDIT E1 (one client, any time, by a limited set of users, no developer's help).

- The records clerk whose token acts releases it; the release is a disclosure, and the client is told of it.
- The file is new, 0600, and whole or not there. Whether it can be written and locked is known before anything is
  released.
- Locked on demand: for a public key of age, or by a passphrase; a passphrase comes from a file or the terminal.
- With `--all` the whole clinic leaves in one file, for `wellkept move-in` elsewhere (`ops.moving.leaving`).
- `--paper` gives a person the PDF alone, locked by a passphrase. It shows the record and proves nothing.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from uuid import UUID

import click
from click.core import ParameterSource

from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.exports.locking import chosen_lock, locked_into, new_passphrase
from ops.exports.protection import Lock
from ops.exports.whole_file import whole_file
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, say
from records.disclosures import BASES, RECIPIENTS


@click.command("export")
@data_option
@click.argument("client", required=False, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="The whole clinic in one file, locked by a passphrase.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The zip to write; a new file.")
@click.option("--at", type=click.IntRange(min=1), help="As it was below this index of the log; by default now.")
@click.option("--pdf", is_flag=True, help="With record.pdf, to print.")
@click.option("--paper", is_flag=True, help="Only record.pdf, locked by a passphrase.")
@click.option("--age", metavar="RECIPIENT", help="Lock the file for this public key of age.")
@click.option("--lock", is_flag=True, help="Lock the file by a passphrase, as age does.")
@click.option("--lock-with", type=click.Path(path_type=Path), help="File with the passphrase; else it is asked for.")
@click.option("--recipient-kind", type=click.Choice(RECIPIENTS), default="client", show_default=True)
@click.option("--recipient", default="The client", show_default=True, help="Who gets it.")
@click.option("--recipient-address", help="Where they get it.")
@click.option("--purpose", default="The client asked for a copy of the record.", show_default=True, help="What for.")
@click.option("--basis", type=click.Choice(list(BASES)), default="client-request", show_default=True)
@click.option("--consent", "consent_id", type=click.UUID, help="The consent that it rests on (basis consent).")
@click.option("--authorised-by", type=click.UUID, help="Account of who answers for it; by default whoever asks.")
@click.option("--reason", help="Why it is an emergency.")
@click.option("--second-person", type=click.UUID, help="Account of the second person in an emergency.")
@json_option
@pass_settings
@click.pass_context
def command(
    context: click.Context,
    settings: Settings,
    /,
    client: UUID | None,
    everything: bool,
    output: Path,
    paper: bool,
    age: str | None,
    lock: bool,
    lock_with: Path | None,
    as_json: bool,
    **told: object,
) -> None:
    """Export the record of CLIENT: a page, data, FHIR, who looked, the proof, and the verifier; or --all."""
    if everything:
        said = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if odd := sorted(set(said) - {"everything", "output", "lock_with", "as_json"}):
            raise click.UsageError(f"--all is the whole clinic: leave {', '.join(odd)} out.")
        _leave(settings, output, lock_with, as_json)
        return
    if client is None:
        raise click.UsageError("Name a client, or --all.")
    lock_chosen = chosen_lock(age, lock or paper or lock_with is not None, lock_with, paper=paper)
    asked = {name: str(said) if isinstance(said, UUID) else said for name, said in told.items()}
    asked["pdf"] = asked["pdf"] or paper
    with whole_file(output) as file, locked_into(file, _of_paper(lock_chosen) if paper else lock_chosen) as take:
        made = perform(settings, "export.record", {"client": str(client), **asked}, take=take)
    put(made | {"file": str(output.absolute())}, as_json, str(output))
    say(f"{made['events']} entries of the record and {made['readings']} readings, {made['left_out']} parts left out.")
    say("The release is recorded.")
    if not paper:
        say("Whoever gets it unpacks it and runs: python verify.py --genesis FINGERPRINT")


def _leave(settings: Settings, output: Path, lock_with: Path | None, as_json: bool) -> None:
    from ops.moving.leaving import leave
    from ops.verify import VerificationError

    passphrase = new_passphrase(lock_with)
    try:
        with progress_bar("leaving") as progress:
            made = leave(
                settings, output, lambda: perform(settings, "export.clinic", {}), passphrase.encode(), progress
            )
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, f"nothing was exported: {error}") from error
    put(made | {"file": str(output.absolute())}, as_json, f"{made['entries']} entries, {made['keys']} keys in {output}")
    say("Give the passphrase on another way than the file: together they are the whole clinic.")
    say("Whoever gets them runs: wellkept move-in FILE DATA --genesis FINGERPRINT")
    say("Two installations never go on with one log: once the other is declared, stop this one for good.")


def _of_paper(lock: Lock | None) -> Lock:
    """Return what takes the paper out of a bundle and locks that alone."""

    def locked(bundle: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            paper = archive.read("record.pdf")
        return paper if lock is None else lock(paper)

    return locked
