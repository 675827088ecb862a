"""`wellkept restore`: verify a backup and put it into a new place, or only see that this can be done (`--drill`).

- It never writes into anything that is there: a new or empty directory, and keys beside it.
- The restored clinic neither signs nor serves until `wellkept declare-restore`, with the recovery key.
- What is known to be newer than the backup is said: how many entries, from when to when.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ops.backups.files import keyring_beside
from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import data_option, json_option, new_place_options, pass_settings, progress_bar, put, say


@click.command("restore")
@data_option
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
@new_place_options(
    "A folder with certificates of erasures, *.json: what they name stays erased, however old the keyring is."
)
@click.option(
    "--keyring",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the copy of the keyring, of this backup or of a newer one; BACKUP.keys where absent.",
)
@click.option("--drill", "only_drill", is_flag=True, help="Restore into a temporary place, compare all, and remove it.")
@click.option(
    "--drill-in",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the drill's temporary place is made; a folder with room for the whole clinic.",
)
@json_option
@pass_settings
def command(
    settings: Settings,
    backup: Path,
    to: Path | None,
    keyring: Path | None,
    genesis: str | None,
    checkpoints: tuple[Path, ...],
    certificates: Path | None,
    only_drill: bool,
    drill_in: Path | None,
    as_json: bool,
) -> None:
    """Restore BACKUP into DATA (or --data), a new or empty directory; its keys go to DATA.keys."""
    from ops.backups.restore import drill, restore
    from ops.backups.verifying import asked_of
    from ops.verify import VerificationError
    from ops.wiring import Paths

    if only_drill and to is not None:
        raise click.UsageError("A drill restores into no place of yours: leave DATA out.")
    if certificates is not None and only_drill:
        raise click.UsageError("--certificates goes with a restore, not with a drill.")
    if drill_in is not None and not only_drill:
        raise click.UsageError("--drill-in goes with --drill.")
    if to is None and not only_drill and settings.source("DATA") == "default":
        raise click.UsageError("Say where to: DATA, or --data.")
    data = settings.data if to is None else to
    keyring_folder = keyring_beside(backup.absolute()) if keyring is None else keyring
    try:
        asked = asked_of(settings, settings.key_file or Paths(data).key_file, genesis, checkpoints)
        with progress_bar("restoring") as progress:
            if only_drill:
                drilled = drill(settings, backup, keyring_folder, drill_in, asked, progress)
                put_restored(drilled.restored, None, drilled.views_seconds, as_json)
            else:
                restored = restore(backup, keyring_folder, data, asked, progress, certificates)
                put_restored(restored, data, None, as_json)
                if asked.keeper is not None:
                    say(
                        "It shares its root keys with the clinic that was backed up: never serve both, since an erasure"
                    )
                    say("in one destroys the keys of the other. See docs/how-to/keep-keys-in-vault-or-an-hsm.md.")
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, f"the backup was not restored: {error}") from error


def put_restored(restored: Any, data: Path | None, views_seconds: float | None, as_json: bool) -> None:
    """Put out what was restored, and say what was lost and what comes next."""
    manifest, loss = restored.backup.manifest, restored.checked.loss
    told = {
        "drill": data is None,
        "data": None if data is None else str(data.absolute()),
        "made_at": manifest.made_at,
        "fingerprint": manifest.fingerprint,
        "status": restored.checked.verifier.report(None).status,
        "entries": manifest.entries,
        "events": manifest.events,
        "streams": manifest.streams,
        "seconds": round(restored.seconds, 3),
        "events_per_second": round(restored.events_per_second),
        "views_seconds": None if views_seconds is None else round(views_seconds, 3),
        "lost": loss,
        "warnings": restored.checked.verifier.warnings,
    }
    where = "in a drill" if data is None else f"into {data}"
    rate = f"{told['seconds']} s, {told['events_per_second']} events/s"
    put(told, as_json, f"restored {manifest.entries} entries with {manifest.events} events {where}: {rate}")
    for warning in restored.checked.verifier.warnings:
        say(f"Warning: {warning}")
    if loss is not None:
        say(f"Lost: {loss}. A checkpoint that was kept outside tells of them, and they are not in this backup.")
    if told["status"] == "unpinned":
        say(f"Compare this fingerprint with the one on the clinic's forms: {manifest.fingerprint}")
    if data is not None:
        known = manifest.entries if loss is None else loss.known_size
        say("It neither signs nor serves until the restore is declared with the recovery key:")
        say(f"  wellkept declare-restore --data {data} --known-size {known}")
