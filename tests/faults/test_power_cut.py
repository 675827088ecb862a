"""The power is cut: what was acknowledged is there, with its keys, and the signer starts again.

The disk is `tests.faults.power_fs`, which keeps what was synced, and of the rest nothing or what a seed draws. It needs
`/dev/fuse` and root; where it cannot be mounted, this file is not collected.
"""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from ops.data_format import NotInitialised
from ops.wiring import open_clinic
from tests.doors import Doors
from tests.faults.kill_rounds import Claims, hold
from tests.faults.power_rounds import Life, live
from tests.ops.running import run
from tests.ops.test_upgrade import unpack

CHANGES = 800
"""Within so many changes of the disk the power is cut: some hundred writes and a few checkpoints."""
WELLKEPT = ["-c", "from ops.cli import main; main()"]
INIT = ["init", "--data", "{disk}/clinic", "--clinic", "Hill", "--jurisdiction", "uk", "--timezone", "Europe/London"]
UPGRADE = ["upgrade", "--data", "{disk}/clinic", "--yes"]


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
    assert acknowledged > 2 * cuts, "too little was acknowledged to prove anything"
    assert signed > cuts // 3, "too little was signed to prove anything"
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


# --- founding and upgrading


def moments(whole: Life, cuts: int | None) -> list[tuple[int, int | None]]:
    """Return (the change at which the power is cut, the seed of what survives), spread over a whole life."""
    chosen = range(1, whole.changes + 1, 1 if cuts is None else whole.changes // cuts)
    return [(cut_at, None if cut_at % 2 else cut_at) for cut_at in chosen]


def found_until(folder: Path, cut_at: int | None, seed: int | None) -> tuple[Life, Path]:
    """Found a clinic on an empty disk until the power is cut; return the life and the data directory that is left."""
    (folder / "empty").mkdir(exist_ok=True)
    left = folder / f"found-{cut_at}-{seed}"
    return live(folder / "empty", left, [*WELLKEPT, *INIT], cut_at=cut_at, seed=seed), left / "clinic"


def hold_founded(folder: Path, cuts: int | None) -> None:
    """Cut the power at so many changes of a founding, or at each: there is a whole clinic, or none."""
    whole, data = found_until(folder, None, None)
    open_clinic(data).close()
    for cut_at, seed in moments(whole, cuts):
        life, data = found_until(folder, cut_at, seed)
        assert life.cut
        assert life.lines == [], "the clinic was told before it was founded"
        with suppress(NotInitialised):
            open_clinic(data).close()
        shutil.rmtree(data.parent)


def hold_upgraded(folder: Path, cuts: int | None) -> None:
    """Cut the power at so many changes of an upgrade, or at each: the same command does the rest."""
    unpack("wellkept-data/1", folder / "older")
    whole = live(folder / "older", folder / "whole", [*WELLKEPT, *UPGRADE], cut_at=None, seed=None)
    open_clinic(folder / "whole" / "clinic").close()
    for cut_at, seed in moments(whole, cuts):
        left = folder / f"upgraded-{cut_at}"
        assert live(folder / "older", left, [*WELLKEPT, *UPGRADE], cut_at=cut_at, seed=seed).cut
        assert run("upgrade", "--data", str(left / "clinic"), "--yes").exit_code == 0
        open_clinic(left / "clinic").close()


def test_a_clinic_that_was_founded_is_there_and_one_that_was_not_is_none(tmp_path: Path) -> None:
    hold_founded(tmp_path, cuts=2)


@pytest.mark.slow
def test_a_power_cut_at_any_change_of_a_founding_leaves_a_whole_clinic_or_none(tmp_path: Path) -> None:
    hold_founded(tmp_path, cuts=None)


def test_an_upgrade_whose_power_was_cut_is_completed_by_the_next(tmp_path: Path) -> None:
    hold_upgraded(tmp_path, cuts=2)


@pytest.mark.slow
def test_a_power_cut_at_any_change_of_an_upgrade_does_no_harm(tmp_path: Path) -> None:
    hold_upgraded(tmp_path, cuts=None)
