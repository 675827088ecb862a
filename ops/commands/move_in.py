"""`wellkept move-in`: a whole clinic from the file that it left with (`wellkept export --all`), into a new place.

- It never writes into anything that is there: a new or empty directory, an empty database, a root key of its own.
- What does not verify does not move in.
- The clinic neither signs nor serves until `wellkept declare-restore`, with the recovery key.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops.exits import CommandFailed, Exit
from ops.exports.protection import read_passphrase
from ops.settings import Settings
from ops.terminal import data_option, json_option, new_place_options, pass_settings, progress_bar, put, say


@click.command("move-in")
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@new_place_options("A folder with certificates of erasures since, *.json: what they name stays erased.")
@click.option(
    "--lock-with",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase that FILE is locked by; else it is asked for.",
)
@json_option
@pass_settings
def command(
    settings: Settings,
    file: Path,
    to: Path | None,
    lock_with: Path | None,
    genesis: str | None,
    checkpoints: tuple[Path, ...],
    certificates: Path | None,
    as_json: bool,
) -> None:
    """Make a clinic in DATA (or --data), a new or empty directory, of the FILE that it left another place with."""
    from ops.backups.verifying import asked_of
    from ops.moving.moving_in import move_in
    from ops.verify import VerificationError

    if to is None and settings.source("DATA") == "default":
        raise click.UsageError("Say where to: DATA, or --data.")
    own = settings if to is None else settings.option("DATA", to)
    asks = (lambda: str(click.prompt("Passphrase", hide_input=True, err=True))) if sys.stdin.isatty() else None
    passphrase = read_passphrase(lock_with, asks, new=False).encode()
    try:
        # Its keys are opened by the passphrase, and never by what this installation has.
        asked = asked_of(own, file, genesis, checkpoints)._replace(key_file=None, passphrase=None, keeper=None)
        with progress_bar("moving in") as progress:
            moved = move_in(own, file, passphrase, asked, progress, certificates)
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, f"nothing moved in: {error}") from error
    about, checked = moved.about, moved.checked
    told = {
        "data": str(own.data.absolute()),
        "made_at": about.made_at,
        "deployment": about.deployment,
        "fingerprint": about.fingerprint,
        "status": checked.verifier.report(None).status,
        "entries": about.entries,
        "events": about.events,
        "keys": about.keys,
        "seconds": round(moved.seconds, 3),
        "events_per_second": round(moved.events_per_second),
        "lost": checked.loss,
        "warnings": checked.verifier.warnings,
    }
    put(told, as_json, f"{about.entries} entries with {about.events} events moved into {own.data}")
    for warning in checked.verifier.warnings:
        say(f"Warning: {warning}")
    if checked.loss is not None:
        say(f"Lost: {checked.loss}. A checkpoint that was kept outside tells of them, and they are not in this file.")
    if told["status"] == "unpinned":
        say(f"Compare this fingerprint with the one on the clinic's forms: {about.fingerprint}")
    known = about.entries if checked.loss is None else checked.loss.known_size
    say("The place that it left must never be served again: two that go on with one log fork it.")
    say("It neither signs nor serves until the restore is declared with the recovery key:")
    say(f"  wellkept declare-restore --data {own.data} --known-size {known}")
