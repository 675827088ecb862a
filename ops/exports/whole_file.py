"""A new file that is there whole or not at all: what a command writes for somebody outside.

- It is written beside its place, readable for its owner alone, and takes its name when all of it is on the disk.
- It never takes the place of anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ops.backups.files import sync_folder
from ops.exits import CommandFailed, Exit

PARTIAL = ".part"


@contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place, readable for its owner alone, and put it there when all of it is on the disk."""
    if target.exists() or target.is_symlink():
        raise CommandFailed(Exit.FAILED, f"there is something at {target.name} already")
    part = target.with_name(target.name + PARTIAL)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Another run may be writing it, so it is not taken away unasked.
        raise CommandFailed(
            Exit.FAILED, f"{part.name} is there: another run writes it, or one was cut off; remove it then"
        ) from None
    # A crash from here to the renaming leaves `.part`, which may hold clear text; the next run says so.
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    # A crash here leaves the whole file under one of its two names.
    sync_folder(target.absolute().parent)
