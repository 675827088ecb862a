"""`wellkept declare-restore`: declare that this log was honestly restored from a backup, and sign from here on.

- The clinic must not be served meanwhile.
- The recovery key is read from a file, or from the terminal without echo.
- The whole log is verified first. From the declaration on, its status is `restored` for good.
"""

from __future__ import annotations

from pathlib import Path

import click

from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say


@click.command("declare-restore")
@data_option
@click.option(
    "--recovery-key-file",
    type=click.Path(path_type=Path),
    help="A file that holds the recovery key; else it is asked for at the terminal.",
)
@click.option(
    "--known-size",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Size of the newest checkpoint that is known outside. An anchor, and what a restore knew, count in any case.",
)
@json_option
@pass_settings
def command(settings: Settings, recovery_key_file: Path | None, known_size: int, as_json: bool) -> None:
    """Declare that the log was restored from a backup; needs the recovery key."""
    from ops.backups.declaring import declare
    from ops.keys.recovery_key import parse_secret

    if recovery_key_file is not None:
        text = recovery_key_file.read_text("ascii", "replace")
    else:
        text = click.prompt("Recovery key", hide_input=True, err=True)
    index, size = declare(settings, parse_secret(text), known_size)
    put({"index": index, "known_size": size}, as_json, f"declared at index {index}, knowing of {size} entries")
    say("From here on the log says that it was restored. Tell whoever keeps checkpoints of it.")
