"""Lives of a process on a file system whose power is cut: what it said, and what the disk held afterwards."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.faults.kill_rounds import ROOT
from tests.faults.power_fs import PowerFs

PATIENCE_SECONDS = 60
AFTERWARDS_SECONDS = 0.05
"""How long a process runs on without power: what it acknowledges then was never stored."""


class Life(NamedTuple):
    """What a process said until its power was cut or it ended, how often it changed the disk, and if it was cut."""

    lines: list[str]
    changes: int
    cut: bool


def live(disk: Path, to: Path, command: list[str], *, cut_at: int | None, seed: int | None) -> Life:
    """Run a command of Python on a copy of a disk until its power is cut; keep what the disk holds then.

    Args:
        disk: the folder that the file system holds when the command begins.
        to: the new folder that is given what the disk holds in the end.
        command: arguments of Python; `{disk}` stands for the mounted file system.
        cut_at: the number of the change at which the power fails; None for never.
        seed: see `PowerFs`.
    """
    mount = to.with_name(to.name + ".mount")
    mount.mkdir()
    with PowerFs(mount, cut_at=cut_at, seed=seed) as power:
        power.load(disk)
        arguments = [sys.executable, *(part.replace("{disk}", str(mount)) for part in command)]
        with subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines: list[str] = []
            complaints: list[str] = []
            readers = [
                threading.Thread(target=lines.extend, args=(process.stdout,)),
                threading.Thread(target=complaints.extend, args=(process.stderr,)),
            ]
            for reader in readers:
                reader.start()
            until = time.monotonic() + PATIENCE_SECONDS
            while not power.cut.wait(0.01) and process.poll() is None and time.monotonic() < until:
                pass
            time.sleep(AFTERWARDS_SECONDS if power.cut.is_set() else 0)
            process.kill()
            for reader in readers:
                reader.join()
        assert power.cut.is_set() or process.returncode == 0, "".join(complaints)
        power.keep(to)
    mount.rmdir()
    return Life([line for line in lines if line.endswith("\n")], power.changes, power.cut.is_set())
