"""The machine's clock jumps while the clinic is open: nothing is written and nothing is shown until it is right again.

`ops.clock_guard` promises: a jump of more than five minutes stops writing, either way; a clock that is set right needs
no declaration; a declared one counts from what it shows; the times of entries rise in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ops.serving.readiness import Readiness
from ops.wiring import now_us, open_clinic
from records.errors import NotStored
from records.ledger import decode_entry
from tests.check import check_store
from tests.doors import Doors
from tests.ops.running import run

HOUR_US = 3_600_000_000
YEAR_US = 365 * 24 * HOUR_US


class Jumping:
    """A machine's clock, ahead of or behind the true time by as much as a test says."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def us(self) -> int:
        return now_us() + self.ahead_us

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.us() / 1_000_000, UTC)


class JumpingDoors(Doors):
    """A clinic that tells the time by a clock that jumps."""

    def __init__(self, folder: Path) -> None:
        self.jumping = Jumping()
        super().__init__(folder)

    def open(self) -> None:
        """Open the clinic."""
        self.clinic = open_clinic(
            self.data,
            clock=self.jumping,
            clock_us=self.jumping.us,
            alarm=lambda *alarm: self.alarms.append(alarm),
        )

    def codes(self) -> tuple[str, ...]:
        """Return what readiness says, looked at anew."""
        return Readiness().faults(self.clinic)


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[JumpingDoors]:
    made = JumpingDoors(tmp_path)
    yield made
    made.clinic.abandon()


def refuse(doors: JumpingDoors, client: UUID, note: UUID) -> None:
    """Hold that nothing is written and nothing shown."""
    before, released = doors.stored(), []
    for _ in range(2):
        with pytest.raises(NotStored, match="clock"):
            doors.note(client, doors.ask(key="k", body=b"same"), note_id=note)
        with pytest.raises(NotStored, match="clock"):
            released.append(doors.read(client))
    assert released == []
    assert doors.stored() == before
    assert "clock" in doors.codes()


@pytest.mark.parametrize("jump_us", [-HOUR_US, YEAR_US], ids=["an hour back", "a year forward"])
def test_nothing_is_written_while_it_is_wrong_and_it_goes_on_once_it_is_right(
    doors: JumpingDoors, jump_us: int
) -> None:
    client, note = doors.client(), uuid4()
    doors.note(client)
    doors.jumping.ahead_us = jump_us
    refuse(doors, client, note)

    doors.jumping.ahead_us = 0
    for _ in range(2):
        assert doors.note(client, doors.ask(key="k", body=b"same"), note_id=note).subject == note
    assert doors.topics(client) == ["ClientRegistered", "NoteSigned", "NoteSigned"]
    assert len(doors.read(client)) == 3
    assert doors.codes() == ()
    times = [decode_entry(entry).logged_at_us for _, entry in doors.store.entries(-1, 1000)]
    assert max(times) < now_us() + HOUR_US, "no entry is of a time that was not"
    check_store(doors.store)


@pytest.mark.parametrize("jump_us", [-HOUR_US, YEAR_US], ids=["an hour back", "a year forward"])
def test_a_declared_clock_counts_and_times_rise_all_the_same(doors: JumpingDoors, jump_us: int) -> None:
    client, note = doors.client(), uuid4()
    doors.note(client)
    doors.jumping.ahead_us = jump_us
    refuse(doors, client, note)

    doors.clinic.clock.declare(doors.store.head().last_us)
    doors.note(client, doors.ask(key="k", body=b"same"), note_id=note)
    assert len(doors.read(client)) == 3
    assert doors.codes() == ()
    # A restart goes on with the declared clock.
    doors.reopen()
    doors.note(client)
    check_store(doors.store)
    doors.clinic.close()
    assert run("verify", "--data", str(doors.data)).exit_code == 0
    doors.open()


def test_a_start_with_a_clock_that_is_behind_writes_nothing_until_it_is_right(doors: JumpingDoors) -> None:
    client, note = doors.client(), uuid4()
    doors.note(client)
    doors.clinic.close()
    doors.jumping.ahead_us = -HOUR_US
    doors.open()
    refuse(doors, client, note)
    doors.jumping.ahead_us = 0
    doors.note(client, note_id=note)
    assert len(doors.read(client)) == 3
    check_store(doors.store)
