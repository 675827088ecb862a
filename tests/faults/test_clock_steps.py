"""The clock steps while it serves, an hour back or a year forward: nothing is written down under a time that cannot be.

- While it is wrong, changes and readings are 503 (`not-stored`), `/readyz` says `clock`, and the log does not grow.
- Set right again, the same service goes on by itself: what was sent comes through once with its Idempotency-Key.
- Declared, it goes on at the declared time, and the times of the log rise whatever was declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.clock_guard import JUMP_US
from ops.serving.readiness import Readiness
from ops.wiring import now, now_us, open_clinic
from records.actors import Role
from tests.api.caller import Served
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic

HOUR_US = 3_600 * 1_000_000
YEAR_US = 365 * 24 * HOUR_US
STEPS = [pytest.param(-HOUR_US, id="an hour back"), pytest.param(YEAR_US, id="a year forward")]
NOTE = {"kind": "progress", "format": "free", "sections": {"text": "We met by the lighthouse."}}


class SteppedClinic:
    """A served clinic whose machine's clock is off by as much as a test says, for the doors as for the log."""

    def __init__(self, path: Path) -> None:
        self.off_us = 0
        self.staffed: StaffedClinic = make_clinic(path)
        # Tokens of a month would end with the step of a year, and be refused before anything is asked of the clock.
        therapist, token = self.staffed.hire(Role.THERAPIST, days=1_000)
        self.staffed.staff[Role.THERAPIST], self.staffed.tokens[Role.THERAPIST] = therapist, token
        self.served = Served(self.staffed, ready=self._faults)
        self.restart()

    def _faults(self) -> tuple[str, ...]:
        return Readiness().faults(self.staffed.opened)

    def wall_us(self) -> int:
        """Return what the machine's clock shows."""
        return now_us() + self.off_us

    def now(self) -> datetime:
        """Return the same as a date."""
        return now() + timedelta(microseconds=self.off_us)

    def restart(self) -> None:
        """End the service without a last checkpoint, as a wrong clock makes it end, and start it by this clock."""
        self.staffed.opened.abandon()
        self.staffed.opened = open_clinic(self.staffed.path, clock=self.now, clock_us=self.wall_us)
        self.served.serve(self.staffed.opened)

    def ready(self) -> tuple[int, list[str]]:
        """Return status and faults of `/readyz`."""
        answer = self.served.call("GET", "/readyz", by=None)
        assert answer.json is not None
        return answer.status_code, answer.json["faults"]

    def notes(self) -> int:
        """Return how many notes the client has."""
        events = self.staffed.reader.events(self.served.client_id)
        return sum(type(recorded.event).__name__ == "NoteSigned" for recorded in events)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[SteppedClinic]:
    made = SteppedClinic(tmp_path / "clinic")
    made.served.note()
    yield made
    made.staffed.opened.close()


def refused(answer: Any) -> None:
    """Check that nothing was done and nothing is shown."""
    assert (answer.status_code, answer.json["type"]) == (503, "/problems/not-stored")
    assert answer.headers["Retry-After"]
    assert "lighthouse" not in answer.text


@pytest.mark.parametrize("step_us", STEPS)
def test_nothing_is_written_or_shown_until_the_clock_is_right_again(clinic: SteppedClinic, step_us: int) -> None:
    served = clinic.served
    assert served.post("/notes", NOTE).status_code == 201
    head, signed = clinic.staffed.store.head(), clinic.staffed.store.checkpoints()

    clinic.off_us = step_us
    refused(served.post("/notes", NOTE, key="sent-again"))
    refused(served.get())
    assert clinic.ready() == (503, ["clock", "log"])
    assert clinic.staffed.store.head() == head
    assert clinic.staffed.store.checkpoints() == signed
    check_store(clinic.staffed.store)

    clinic.off_us = 0
    assert clinic.ready() == (200, [])
    for _ in range(2):
        assert served.post("/notes", NOTE, key="sent-again").status_code == 201
    assert served.get().status_code == 200
    assert clinic.notes() == 3
    check_store(clinic.staffed.store)


@pytest.mark.parametrize("step_us", STEPS)
def test_a_declared_clock_goes_on_and_back_again_and_times_rise(clinic: SteppedClinic, step_us: int) -> None:
    served, staffed = clinic.served, clinic.staffed
    for off_us in (step_us, 0):
        clinic.off_us = off_us
        before = staffed.store.head()
        refused(served.post("/notes", NOTE))
        staffed.opened.clock.declare(before.last_us)
        assert clinic.ready() == (200, [])
        assert served.post("/notes", NOTE).status_code == 201
        assert served.get().status_code == 200
        assert staffed.store.head().last_us > before.last_us
        check_store(staffed.store)
        clinic.restart()
        assert served.get().status_code == 200
    assert clinic.notes() == 3
    assert staffed.opened.signer is not None
    assert not staffed.opened.signer.stopped
    check_store(staffed.store)


def test_a_start_an_hour_behind_the_log_serves_nothing_until_the_clock_is_right(clinic: SteppedClinic) -> None:
    clinic.off_us = -HOUR_US
    clinic.restart()
    before = clinic.staffed.store.head()
    refused(clinic.served.get())
    refused(clinic.served.post("/notes", NOTE, key="sent-again"))
    assert clinic.ready() == (503, ["clock", "log"])
    assert clinic.staffed.store.head() == before

    # From behind to right is a step of its own, which no start has seen: the next one trusts what agrees with the log.
    clinic.off_us = 0
    clinic.restart()
    assert clinic.served.post("/notes", NOTE, key="sent-again").status_code == 201
    assert clinic.served.get().status_code == 200
    assert clinic.notes() == 2
    check_store(clinic.staffed.store)


def test_five_minutes_back_are_no_step_and_times_rise_all_the_same(clinic: SteppedClinic) -> None:
    clinic.off_us = -JUMP_US + 1_000_000
    for _ in range(3):
        assert clinic.served.post("/notes", NOTE).status_code == 201
    assert clinic.served.get().status_code == 200
    check_store(clinic.staffed.store)
