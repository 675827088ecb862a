"""`wellkept backup`: copy the clinic while it is served; the keyring goes apart.

- The serving process makes the copy, by its own account and on its own disk; without a service it is made here.
- The root key and the signer's keys are in no backup: keep the root key elsewhere, and the recovery key on paper.
"""

from __future__ import annotations

from pathlib import Path

import click

from ops.backups.files import keyring_beside
from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, say


@click.command("backup")
@data_option
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--keyring-into",
    type=click.Path(path_type=Path),
    help="Where the copy of the keyring goes, best on another disk; FOLDER.keys where absent.",
)
@json_option
@pass_settings
def command(settings: Settings, folder: Path, keyring_into: Path | None, as_json: bool) -> None:
    """Copy log, views and keyring into FOLDER and FOLDER.keys, new or empty. May run while the clinic is served."""
    to = folder.absolute()
    apart = keyring_beside(to) if keyring_into is None else keyring_into.absolute()
    with progress_bar("copying") as progress:
        made = perform(settings, "backup", {"to": str(to), "keyring_into": str(apart)}, progress)
    put(made, as_json, f"{made['entries']} entries in {made['backup']}, {made['keys']} keys in {made['keyring']}")
    for name in made["removed"]:
        say(f"Removed what a backup that did not end had left: {name}.")
    say("Keep the keyring's folder apart from the other, and the root key apart from both: it is in no backup.")
    say("Next: wellkept verify FOLDER now, wellkept restore FOLDER --drill every month.")
