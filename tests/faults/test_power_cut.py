"""The power is cut: what was acknowledged is there, with its keys, and the signer starts again.

The disk is `tests.faults.power_fs`, which keeps what was synced, and of the rest nothing or what a seed draws. It needs
`/dev/fuse` and root; where it cannot be mounted, this file has no test but the one of the model.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from ops.wiring import open_clinic
from tests.doors import Doors
from tests.faults.kill_rounds import Claims, hold
from tests.faults.power_fs import PowerFs
from tests.faults.power_rounds import Life, live
from tests.ops.running import run

CHANGES = 800
"""Within so many changes of the disk the power is cut: some hundred writes and a few checkpoints."""
INIT = "from ops.cli import main; main()"


@pytest.fixture(autouse=True)
def usable(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not PowerFs.usable(tmp_path_factory.mktemp("probe")):
        pytest.skip("no file system can be mounted here (it takes /dev/fuse and root)")


def clients_of(life: Life) -> list[str]:
    return [line.split()[2] for line in life.lines if line.startswith("registered")]


def cut_again_and_again(folder: Path, cuts: int, seed: int) -> None:
    """Cut the power so many times, one life after another on the same disk, and check it after each."""
    doors = Doors(folder / "first")
    doors.close()
    disk, draw = folder / "first", random.Random(seed)
    acknowledged = signed = 0
    for cut in range(cuts):
        left = folder / f"disk-{cut}"
        command = ["-m", "tests.faults.growing_clinic", "{disk}/clinic", doors.therapist.id, "3"]
        # Every third time all is lost that was not synced; else it is a matter of luck, as on a real disk.
        life = live(disk, left, command, cut_at=draw.randint(1, CHANGES), seed=cut if cut % 3 else None)
        assert life.cut
        claims = Claims([line for line in life.lines if line.split()[0] in ("asked", "wrote", "read")])
        hold(left / "clinic", doors.therapist, claims)
        hold_registered(left / "clinic", life)
        acknowledged += len(claims.wrote) + len(claims.read)
        signed += sum(line.startswith("signed") for line in life.lines)
        shutil.rmtree(disk)
        disk = left
    assert acknowledged > 4 * cuts, "too little was acknowledged to prove anything"
    assert signed > cuts, "too little was signed to prove anything"
    verified = run("verify", "--data", str(disk / "clinic"))
    assert verified.exit_code == 0, verified.stderr


def hold_registered(data: Path, life: Life) -> None:
    """Open the clinic once more: every client that was registered is there, and the log reaches what was signed."""
    clinic = open_clinic(data)
    try:
        known = {str(client): clinic.service.reader.events(client) for client in clinic.service.reader.clients()}
        assert all(known.get(client) for client in clients_of(life)), "a client that was registered is lost"
        sizes = [int(line.split()[1]) for line in life.lines if line.startswith("signed")]
        assert clinic.store.head().next_index >= max(sizes, default=0), "less is there than was signed"
    finally:
        clinic.close()


def test_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    cut_again_and_again(tmp_path, cuts=6, seed=7)


@pytest.mark.slow
def test_two_hundred_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    cut_again_and_again(tmp_path, cuts=200, seed=2_000)
