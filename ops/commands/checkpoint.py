"""`wellkept checkpoint`: the newest checkpoint of the log, to keep elsewhere.

- Only what is kept outside this machine shows that the log was rolled back.
- It is held against the ledger before it is written. A file that is there already is never overwritten: it is evidence.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click

from ops.exits import CommandFailed, Exit
from ops.opening import open_from
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from ops.witness.witnessing import newest_checkpoint
from records.checkpoint import parse_signed_checkpoint


@click.command("checkpoint")
@data_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where the checkpoint goes.")
@json_option
@pass_settings
def command(settings: Settings, output: Path, as_json: bool) -> None:
    """Write the newest checkpoint of the log to a file, to keep on another machine or on paper."""
    with closing(open_from(settings, read_only=True)) as clinic:
        row = newest_checkpoint(clinic)
    write_new(output, row.note)
    stated, _ = parse_signed_checkpoint(row.note)
    put({"output": str(output), "size": stated.size, "root": stated.root.hex()}, as_json, str(output))
    say(f"It covers the first {stated.size} entries. Keep it where whoever runs this machine cannot change it.")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, durably.

    Raises:
        CommandFailed: there is one already.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise CommandFailed(Exit.FAILED, "there is a file at this place already; choose another name") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
