"""What the operating system saw: each acknowledgement comes after the log was brought to the disk, and not before.

The trace names each file. It needs strace (Linux): where the tool is not installed, this file has no test, and the
continuous run installs it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.doors import Doors
from tests.faults.kill_rounds import ROOT

CALL = re.compile(r"^(?:\[pid\s+)?\d*\]?\s*(\w+)\(\d+<([^>]*)>(.*)")
REQUESTS = 20


def steps(trace: str) -> list[str]:
    """Return what mattered, in order: `log` (a write to the log), `sync` (it reached the disk), `said` (an answer)."""
    found = []
    for line in trace.splitlines():
        call = CALL.match(line)
        if call is None:
            continue
        name, path, rest = call.groups()
        if path.endswith("records.db-wal"):
            if name in ("fsync", "fdatasync") and rest.endswith("= 0"):
                found.append("sync")
            elif name in ("write", "pwrite64"):
                found.append("log")
        elif name == "write" and re.search(r'"(wrote|read) ', rest):
            found.append("said")
    return found


def unsynced_answers(found: list[str]) -> int:
    """Return how many answers came while something in the log was not on the disk, or with nothing logged before."""
    bad, dirty, synced = 0, False, False
    for step in found:
        if step == "log":
            dirty = True
        elif step == "sync":
            dirty, synced = False, True
        else:
            bad += dirty or not synced
            synced = False
    return bad


def test_an_answer_before_the_disk_is_seen_in_a_trace() -> None:
    assert unsynced_answers(["log", "sync", "said", "log", "sync", "said"]) == 0
    assert unsynced_answers(["log", "said", "sync"]) == 1
    assert unsynced_answers(["log", "sync", "log", "said"]) == 1
    assert unsynced_answers(["log", "sync", "said", "said"]) == 1
    lines = [
        'pwrite64(7</d/records.db-wal>, "x"..., 32, 0) = 32',
        "[pid 12] fdatasync(7</d/records.db-wal>) = 0",
        'write(1<pipe:[5]>, "wrote k c n\\n", 12) = 12',
        "fdatasync(9</d/clinic.keys/keyring.db-journal>) = 0",
    ]
    assert steps("\n".join(lines)) == ["log", "sync", "said"]


if shutil.which("strace"):

    def test_every_answer_follows_its_sync(tmp_path: Path) -> None:
        doors = Doors(tmp_path)
        clients = [doors.client() for _ in range(2)]
        doors.read(clients[0])
        doors.close()
        trace = tmp_path / "trace"
        command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write,pwrite64", "-o", str(trace), sys.executable]
        arguments = [str(doors.data), doors.therapist.id, ",".join(map(str, clients)), "1", str(REQUESTS)]
        subprocess.run(
            [*command, "-m", "tests.faults.busy_clinic", *arguments], cwd=ROOT, check=True, capture_output=True
        )

        found = steps(trace.read_text("utf-8", "replace"))
        assert found.count("said") == 2 * REQUESTS
        assert unsynced_answers(found) == 0
