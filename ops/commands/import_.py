"""`wellkept import`: a record that another clinic exported goes on here.

Source: CONTRACT; the decision on imports.

- The records clerk whose token acts imports it; it stands in the record and among the readings.
- `--former` gives the kept bundle out again.
- A file that is locked by age is opened into a private folder, which is removed afterwards.
"""

from __future__ import annotations

import tempfile
from base64 import b64decode
from pathlib import Path
from uuid import UUID

import click

from ops.desk import perform
from ops.exports.protection import read_passphrase, unprotect_age
from ops.exports.whole_file import whole_file
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from ops.verify import parse_fingerprint


@click.command("import")
@data_option
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--genesis", help="The fingerprint on the former clinic's papers.")
@click.option("--unpinned", is_flag=True, help="Take it although nobody says whose log it is; the record will say so.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint of the former clinic's log that was kept outside.",
)
@click.option(
    "--identity",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with secret keys of age, where FILE is locked for one.",
)
@click.option(
    "--lock-with",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase, where FILE is locked by one.",
)
@click.option("--former", type=click.UUID, help="Instead: give out the bundle that this client was imported from.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="With --former: the zip to write; a new file.")
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    file: Path | None,
    genesis: str | None,
    unpinned: bool,
    checkpoints: tuple[Path, ...],
    identity: Path | None,
    lock_with: Path | None,
    former: UUID | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Import the record in FILE, the bundle of an export: verified first, and stored as a whole or not at all."""
    if former is not None:
        _give_former(settings, former, output, as_json)
        return
    if file is None or output is not None or (genesis is not None and unpinned):
        raise click.UsageError("name the FILE to import, and --genesis or --unpinned; -o goes with --former")
    try:
        fingerprint = None if genesis is None else parse_fingerprint(genesis)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="wellkept-") as folder:
        bundle = file
        if identity is not None or lock_with is not None:
            bundle = Path(folder) / "record.zip"
            passphrase = None if lock_with is None else read_passphrase(lock_with, None, new=False)
            unprotect_age(file, bundle, identity_file=identity, passphrase=passphrase)
        asked = {
            "path": str(bundle.absolute()),
            "genesis": fingerprint,
            "unpinned": unpinned,
            "checkpoints": [str(each.absolute()) for each in checkpoints],
        }
        done = perform(settings, "record.import", asked)
    put(done, as_json, done["client"])
    say(f"{done['events']} entries of {done['clinic']}, verified: {done['status']}.")
    if done["withheld"]:
        say(f"{done['withheld']} parts were left out of that copy; their texts are empty here.")
    say("Nobody is in the care team of this client yet.")


def _give_former(settings: Settings, client: UUID, output: Path | None, as_json: bool) -> None:
    if output is None:
        raise click.UsageError("--former needs -o FILE")
    with whole_file(output) as file:
        file.write(b64decode(perform(settings, "record.former", {"client": str(client)})["bundle"]))
    put({"client": client, "file": str(output.absolute())}, as_json, str(output))
