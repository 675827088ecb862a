"""`wellkept export`: a client's record as a bundle that people can read and anyone can check.

Source: CONTRACT; AUDIT E1 (one client, any time, by a limited set of users, no developer's help).

- The records clerk whose token acts releases it; the release is a disclosure, and the client is told of it.
- The file is new, 0600, and whole or not there.
- With `--all` the whole clinic leaves in one file, sealed under a passphrase, for `wellkept move-in` elsewhere
  (`ops.leaving`).
"""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path
from uuid import UUID

import click
from click.core import ParameterSource

from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, say
from records.disclosures import BASES, RECIPIENTS


@click.command("export")
@data_option
@click.argument("client", required=False, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="The whole clinic, in place of one client's record.")
@click.option(
    "--phrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --all: a file with the passphrase that its receiver opens it with.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The zip to write; a new file.")
@click.option("--at", type=click.IntRange(min=1), help="As it was below this index of the log; by default now.")
@click.option("--pdf", is_flag=True, help="With record.pdf, to print.")
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
    phrase_file: Path | None,
    output: Path,
    as_json: bool,
    **told: object,
) -> None:
    """Export the record of CLIENT: a page, data, FHIR, who looked, the proof, and the verifier; or --all."""
    if output.exists():
        raise CommandFailed(Exit.USAGE, f"{output} is there already")
    if everything:
        said = [name for name in ("client", *told) if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if said or phrase_file is None:
            raise click.UsageError("--all takes --output and --phrase-file, and nothing of a single record.")
        _leave(settings, output, phrase_file, as_json)
        return
    if client is None or phrase_file is not None:
        raise click.UsageError("Name one client; --phrase-file goes with --all.")
    asked = {name: str(said) if isinstance(said, UUID) else said for name, said in told.items()}
    made = perform(settings, "export.record", {"client": str(client), **asked})
    bundle = b64decode(made.pop("bundle"))
    write_new(output, bundle)
    put(made | {"bundle": str(output.absolute())}, as_json, str(output))
    say(f"{made['events']} entries of the record and {made['readings']} readings, {made['left_out']} parts left out.")
    say("The release is recorded. Whoever gets it unpacks it and runs: python verify.py --genesis FINGERPRINT")


def _leave(settings: Settings, output: Path, phrase_file: Path, as_json: bool) -> None:
    from ops.clinic_file import passphrase_in
    from ops.leaving import leave
    from ops.verify import VerificationError

    passphrase = passphrase_in(phrase_file)
    perform(settings, "export.clinic", {})
    try:
        with progress_bar("leaving") as progress:
            made = leave(settings, output, passphrase, progress)
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, f"nothing was exported: {error}") from error
    put(made | {"file": str(output.absolute())}, as_json, f"{made['entries']} entries, {made['keys']} keys in {output}")
    say("Give the passphrase on another way than the file: together they are the whole clinic.")
    say("Whoever gets them runs: wellkept move-in FILE DATA --phrase-file … --genesis FINGERPRINT")
    say("Two installations never go on with one log: once the other is declared, stop this one for good.")


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, 0600; a crash leaves a file beside it with the ending `.part`, and never a part of it.

    Raises:
        CommandFailed: there is one already, or it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never takes the place of a file that came meanwhile.
        os.link(part, path)
        part.unlink()
    except OSError as error:
        raise CommandFailed(Exit.FAILED, f"{path} cannot be written: {error.strerror}") from error
