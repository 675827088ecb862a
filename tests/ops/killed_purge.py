"""Kills (SIGKILL) a purge at every so many of its lines, each time on a new copy of a clinic.

    python -m tests.ops.killed_purge CLINIC ERASURE EVERY FOLDER

Leaves FOLDER/<line>/clinic as the kill at that line left it; the last copy is one whose purge came to its end. Events
go two at a time, so that a purge is many commits.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import records.purging
import records.store.sqlite_purge
from ops.wiring import open_clinic, operator_of
from records.request import Request

FILES = (records.purging.__file__, records.store.sqlite_purge.__file__)
AT_ONCE = 2


def purge_until(data: Path, erasure: UUID, line: int) -> None:
    """Purge; die before the line of this number is run."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    records.purging.AT_ONCE = AT_ONCE
    with closing(open_clinic(data)) as clinic:
        sys.settrace(trace)
        request = Request(operator_of(os.getuid()), "killed")
        records.purging.purge(clinic.service, clinic.store, erasure, request, lambda _done, _of: None)
        sys.settrace(None)


def main(clinic: str, erasure: str, every: str, folder: str) -> None:
    """Kill at line after line until a purge comes to its end."""
    whole = Path(clinic)
    line, killed = 0, True
    while killed:
        copy = Path(folder) / f"{line:03}" / "clinic"
        for each in (whole, whole.with_name("clinic.keys")):
            shutil.copytree(each, copy.with_name(each.name))
        child = os.fork()
        if child == 0:
            purge_until(copy, UUID(erasure), line)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, "the purge failed by itself"
        line += int(every)


if __name__ == "__main__":
    main(*sys.argv[1:])
