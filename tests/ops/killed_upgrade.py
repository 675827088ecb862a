"""Kills (SIGKILL) an upgrade at each of its lines in turn, each time on a new copy of a golden clinic.

    python -m tests.ops.killed_upgrade GOLDEN FOLDER

Leaves FOLDER/<line>/clinic as the kill at that line left it; the last copy is one that was upgraded to the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tarfile
from pathlib import Path
from types import FrameType
from typing import Any

import ops.upgrade
from ops.settings import read_settings


def upgrade_until(data: Path, line: int) -> None:
    """Upgrade; die before the line of this number is run."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != ops.upgrade.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    settings = read_settings().option("DATA", data)
    sys.settrace(trace)
    ops.upgrade.upgrade(settings, lambda _: None)
    sys.settrace(None)


def main(golden: str, folder: str) -> None:
    """Kill at line after line until an upgrade comes to its end."""
    with tarfile.open(Path(golden) / "clinic.tar.gz") as archive:
        archive.extractall(Path(folder) / "whole", filter="data")
    line, killed = 0, True
    while killed:
        copy = Path(folder) / f"{line:03}"
        shutil.copytree(Path(folder) / "whole", copy)
        child = os.fork()
        if child == 0:
            upgrade_until(copy / "clinic", line)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, "the upgrade failed by itself"
        line += 1
    shutil.rmtree(Path(folder) / "whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
