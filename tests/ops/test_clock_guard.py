"""The clock that dates the entries: a jump stops writing until somebody declares it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from ops.clock_guard import JUMP_US, ClockGuard
from ops.serving.readiness import Readiness
from ops.wiring import now_us, open_clinic
from records.errors import NotStored
from records.store.unit import Unit
from tests.ops.running import data_of, init, run
from tests.units import event


class Clocks:
    """A wall clock and a monotonic one that a test sets apart."""

    def __init__(self) -> None:
        self.us = now_us()
        self.seconds = 100.0

    def __call__(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: int) -> None:
        """Let time pass on both."""
        self.us += seconds * 1_000_000
        self.seconds += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def guard(clocks: Clocks, tmp_path: Path) -> ClockGuard:
    return ClockGuard(clocks, clocks.monotonic, tmp_path / "clock-declared")


def test_time_that_passes_is_no_jump(clocks: Clocks, guard: ClockGuard) -> None:
    guard.begin(clocks.us)
    for _ in range(10):
        clocks.pass_by(86_400)
        assert guard() == clocks.us


@pytest.mark.parametrize("jump_us", [JUMP_US + 1, -JUMP_US - 1])
def test_a_jump_stops_the_clock_until_it_is_set_right(clocks: Clocks, guard: ClockGuard, jump_us: int) -> None:
    clocks.us += jump_us
    with pytest.raises(NotStored, match="clock"):
        guard()
    clocks.us -= jump_us
    assert guard() == clocks.us


@pytest.mark.parametrize("jump_us", [JUMP_US, -JUMP_US])
def test_five_minutes_are_no_jump(clocks: Clocks, guard: ClockGuard, jump_us: int) -> None:
    clocks.us += jump_us
    assert guard() == clocks.us


def test_small_steps_that_add_up_are_a_jump(clocks: Clocks, guard: ClockGuard) -> None:
    for _ in range(4):
        clocks.us += JUMP_US // 4
        guard()
    clocks.us += JUMP_US // 4
    with pytest.raises(NotStored):
        guard()


def test_a_start_behind_the_newest_entry_stops_it_and_a_declaration_outlives_the_next_start(
    clocks: Clocks, guard: ClockGuard, tmp_path: Path
) -> None:
    newest = clocks.us + 2 * JUMP_US
    guard.begin(newest)
    assert guard.jumped
    guard.declare(newest)
    assert guard() == clocks.us
    again = ClockGuard(clocks, clocks.monotonic, tmp_path / "clock-declared")
    again.begin(newest + 1_000)
    assert not again.jumped
    again.begin(newest + 10 * JUMP_US)
    assert again.jumped, "a declaration is of what was there"


def test_a_clinic_whose_clock_jumps_writes_nothing_until_it_is_declared(clocks: Clocks, tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    clocks.us = now_us()
    clinic = open_clinic(tmp_path / "clinic", clock_us=clocks)
    clinic.store.commit(event(uuid4(), 0))
    before = clinic.store.head()
    clocks.us += 3 * JUMP_US
    with pytest.raises(NotStored, match="clock"):
        clinic.store.commit(event(uuid4(), 0))
    assert clinic.store.head() == before
    assert Readiness().faults(clinic) == ("clock", "log")
    clinic.clock.declare(before.last_us)
    clinic.store.commit(Unit())
    assert Readiness().faults(clinic) == ()
    clinic.close()


def test_the_command_declares_it(clocks: Clocks, tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    init(data)
    clocks.us = now_us()
    clinic = open_clinic(data, clock_us=lambda: now_us() + 4 * JUMP_US)
    clinic.service.refuse_unauthenticated(1, "request")
    clinic.close()
    add = ("user", "add", "--data", str(data), "--name", "Ada", "--role", "therapist")
    refused = run(*add)
    assert (refused.exit_code, "declare-clock" in refused.stderr) == (1, True)
    declared = data_of(run("declare-clock", "--data", str(data), "--json"))
    assert declared["newest"] > declared["now"]
    assert run(*add).exit_code == 0
