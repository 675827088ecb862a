"""A death: recorded as far as it is known, put right by an entry of its own, and never outside what can be true."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from records.errors import InvalidContent, RuleBroken, StaleRecord, VersionRequired
from records.registration import (
    ClientDeathEnteredInError,
    ClientDeathRecorded,
    IdentityChanges,
    change_identity,
    mark_death_entered_in_error,
    record_death,
)
from tests.given import Case, given
from tests.retention_cases import held, opened, registered


def die(case: Case, died_on: str | None = "2026-02-27", **arguments: Any) -> Case:
    return case.when(record_death, **{"died_on": died_on, "reported_by": "relative", "if_match": 1, **arguments})


@pytest.mark.parametrize(
    ("died_on", "latest", "exact"),
    [
        ("2026-02-27", "2026-02-27", True),
        ("2026-02", "2026-02-28", False),
        ("2024-02", "2024-02-29", False),
        ("2025", "2025-12-31", False),
        # Of what is not known, nothing lies after the day on which it was reported.
        ("2026", "2026-03-02", False),
        (None, "2026-03-02", False),
    ],
)
def test_a_death_is_recorded_as_far_as_it_is_known(died_on: str | None, latest: str, exact: bool) -> None:
    case = die(given(registered()), died_on)
    (event,) = case.then(ClientDeathRecorded)
    assert isinstance(event, ClientDeathRecorded)
    assert (event.died_on, event.reported_by) == (died_on, "relative")
    assert (case.record.died, case.record.died_exactly) == (date.fromisoformat(latest), exact)
    assert case.record.identity_version == 2


def test_a_death_in_error_is_marked_so_and_another_day_recorded() -> None:
    case = die(given(registered()))
    case.then(ClientDeathRecorded)
    die(case, if_match=2).then()
    die(case, None, if_match=2).then()
    error = die(case, "2026-02-26", if_match=2).refused(RuleBroken)
    assert isinstance(error, RuleBroken)
    assert error.rule == "death-recorded"
    case.error = None
    case.when(mark_death_entered_in_error, reason=" ", if_match=2).refused(InvalidContent)
    case.error = None
    case.when(mark_death_entered_in_error, reason="Her mother.", if_match=1).refused(StaleRecord)
    case.error = None
    case.when(mark_death_entered_in_error, reason="Her mother.", if_match=2).then(ClientDeathEnteredInError)
    assert (case.record.died, case.record.identity_version) == (None, 3)
    case.when(mark_death_entered_in_error, reason="Again.").then()
    die(case, "2026-02-26", if_match=3).then(ClientDeathRecorded)


@pytest.mark.parametrize("died_on", ["2026-03-03", "2027", "1981-03-31", "1980", "2026-02-30", "02-2026"])
def test_a_death_lies_within_the_life_and_not_in_the_future(died_on: str) -> None:
    error = die(given(registered("1981-04")), died_on).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == "/died_on"


def test_a_death_needs_somebody_who_said_so_and_the_version() -> None:
    die(given(registered()), reported_by=" ").refused(InvalidContent)
    die(given(registered()), if_match=None).refused(VersionRequired)


def test_a_death_does_not_lie_before_a_session_that_was_held() -> None:
    seen = (registered(), opened(1), held(1, "2026-02-27"))
    die(given(*seen), "2026-02-26").refused(InvalidContent)
    die(given(*seen), "2026-02-27").then(ClientDeathRecorded)
    die(given(*seen), "2026-02").then(ClientDeathRecorded)


def test_a_birth_does_not_lie_after_the_death() -> None:
    case = die(given(registered(None)))
    case.then(ClientDeathRecorded)
    case.when(change_identity, changes=IdentityChanges(birth_date="2026-02-28"), if_match=2).refused(InvalidContent)
