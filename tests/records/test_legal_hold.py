"""Legal holds: who asked and why is kept, more than one may stand, and each ends only when somebody lifts it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from records.actors import Actor, Role
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.legal_hold import AUTHORITIES, LegalHoldLifted, LegalHoldPlaced, lift_legal_hold, place_legal_hold
from tests.given import NOW, Case, given
from tests.retention_cases import registered

HOLD, OTHER = UUID(int=91), UUID(int=92)
OFFICER = Actor(id="00000000-0000-4000-8000-0000000000dd", role=Role.PRIVACY_OFFICER)
ASKED = {"authority": "court", "requested_by": "County Court", "reference": "2026/118", "reason": "A claim."}


def place(case: Case, hold_id: UUID = HOLD, **arguments: Any) -> Case:
    return case.when(place_legal_hold, actor=OFFICER, hold_id=hold_id, **{**ASKED, **arguments})


def lift(case: Case, **arguments: Any) -> Case:
    return case.when(lift_legal_hold, actor=OFFICER, **{"hold_id": HOLD, "reason": "Settled.", **arguments})


def held() -> Case:
    case = place(given(registered()))
    case.then(LegalHoldPlaced)
    return case


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_a_hold_says_who_asked_on_which_authority_and_why(authority: str) -> None:
    (event,) = place(given(registered()), authority=authority).then(LegalHoldPlaced)
    assert isinstance(event, LegalHoldPlaced)
    assert (event.authority, event.requested_by, event.reference, event.reason) == (
        authority,
        "County Court",
        "2026/118",
        "A claim.",
    )
    assert (event.entered_by, event.occurred_at, event.subject_id) == (OFFICER.id, NOW, HOLD)


def test_a_hold_stands_from_when_it_is_recorded_until_it_is_lifted() -> None:
    case = held()
    assert (case.record.holds[HOLD].placed_at, case.record.holds[HOLD].lifted) == (NOW, False)
    (event,) = lift(case, if_match=2).then(LegalHoldLifted)
    assert isinstance(event, LegalHoldLifted)
    assert (event.reason, event.lifecycle, LegalHoldPlaced.lifecycle) == ("Settled.", "unhold", "hold")
    assert (case.record.holds[HOLD].version, case.record.holds[HOLD].lifted) == (3, True)


def test_more_than_one_stands_and_each_is_lifted_by_itself() -> None:
    case = held()
    place(case, OTHER, authority="police").then(LegalHoldPlaced)
    lift(case, if_match=2).then(LegalHoldLifted)
    assert {key: hold.lifted for key, hold in case.record.holds.items()} == {HOLD: True, OTHER: False}


def test_the_same_hold_again_changes_nothing() -> None:
    case = held()
    place(case).then()
    lift(case, if_match=2).then(LegalHoldLifted)
    lift(case).then()


def test_a_hold_that_was_lifted_is_not_placed_again() -> None:
    case = held()
    lift(case, if_match=2).then(LegalHoldLifted)
    error = place(case).refused(RuleBroken)
    assert isinstance(error, RuleBroken)
    assert error.rule == "legal-hold-lifted"


@pytest.mark.parametrize(("field", "value"), [("authority", "nobody"), ("requested_by", " "), ("reason", "\n")])
def test_a_hold_without_its_grounds_is_refused(field: str, value: str) -> None:
    error = place(given(registered()), **{field: value}).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == f"/{field}"


def test_a_hold_is_lifted_with_a_reason_on_its_version() -> None:
    lift(held(), if_match=2, reason=" ").refused(InvalidContent)
    lift(held()).refused(VersionRequired)
    lift(held(), if_match=1).refused(StaleRecord)
    lift(held(), if_match=2, hold_id=OTHER).refused(UnknownItem)
