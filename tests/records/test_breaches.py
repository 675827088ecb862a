"""Breaches: somebody else than who entered one decides on it, once, and it stays in the record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from records.actors import Actor, Role
from records.breaches import OUTCOMES, SessionBreachReviewed, review_breach
from records.episodes import EpisodeOpened
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.sessions import SessionBreachRecorded, SessionHeld, mark_session_entered_in_error
from tests.given import COLLEAGUE, NOW, THERAPIST, Case, given, stamp

EPISODE, SESSION, CALM = (UUID(int=number) for number in (71, 72, 73))
SUPERVISOR = Actor(id="00000000-0000-4000-8000-0000000000cc", role=Role.SUPERVISOR)


def held(session_id: UUID, number: int, by: Actor = THERAPIST) -> Event:
    return SessionHeld(
        session_id=session_id,
        episode_id=EPISODE,
        kind="treatment",
        number=number,
        started_at=NOW,
        mode="01",
        setting="clinic",
        **stamp(by=by),
    )


def breached(by: Actor = THERAPIST) -> Case:
    """A session that was held with its consent, and one without."""
    opened = EpisodeOpened(episode_id=EPISODE, format="individual", modality="DIT", protocol="own", **stamp())
    breach = SessionBreachRecorded(session_id=SESSION, missing=("treatment",), reason="Crisis.", **stamp(by=by))
    return given(opened, held(CALM, 1), held(SESSION, 2, by), breach)


def review(case: Case, **arguments: Any) -> Case:
    chosen = {"session_id": SESSION, "outcome": "justified", "reason": "She stood at the door.", "actor": SUPERVISOR}
    return case.when(review_breach, **{**chosen, "if_match": 4, **arguments})


def decided(case: Case) -> SessionBreachReviewed:
    (event,) = case.then(SessionBreachReviewed)
    assert isinstance(event, SessionBreachReviewed)
    return event


def pointer_of(case: Case) -> str:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    return error.pointer


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_supervisor_decides_with_an_outcome_and_a_reason(outcome: str) -> None:
    case = review(breached(), outcome=outcome)
    event = decided(case)
    assert (event.outcome, event.reason, event.supervisor) == (outcome, "She stood at the door.", SUPERVISOR.id)
    breach = case.record.breaches[SESSION]
    assert (breach.reviewed, breach.missing) == (True, ("treatment",))
    assert case.record.sessions[SESSION].version == case.record.version
    assert case.record.sessions[SESSION].status == "held"


def test_a_therapist_decides_with_a_supervisor_who_is_named() -> None:
    named = UUID(SUPERVISOR.id)
    event = decided(review(breached(), actor=COLLEAGUE, supervisor_id=named))
    assert (event.entered_by, event.supervisor) == (COLLEAGUE.id, SUPERVISOR.id)
    assert pointer_of(review(breached(), actor=COLLEAGUE)) == "/supervisor_id"
    assert pointer_of(review(breached(), actor=COLLEAGUE, supervisor_id=UUID(COLLEAGUE.id))) == "/supervisor_id"


def test_a_supervisor_decides_in_their_own_name() -> None:
    decided(review(breached(), supervisor_id=UUID(SUPERVISOR.id)))
    assert pointer_of(review(breached(), supervisor_id=UUID(COLLEAGUE.id))) == "/supervisor_id"


def test_nobody_decides_on_a_breach_that_they_entered() -> None:
    named = UUID(SUPERVISOR.id)
    review(breached(), actor=THERAPIST, supervisor_id=named).refused(RuleBroken, "own-breach")
    # Nor as a supervisor, nor through a colleague who names them.
    review(breached(by=SUPERVISOR)).refused(RuleBroken, "own-breach")
    review(breached(by=SUPERVISOR), actor=COLLEAGUE, supervisor_id=named).refused(RuleBroken, "own-breach")


def test_it_is_decided_once_and_only_where_something_was_missing() -> None:
    case = review(breached())
    decided(case)
    review(case, if_match=case.record.version, outcome="escalated").refused(RuleBroken, "breach-already-reviewed")
    review(breached(), session_id=CALM, if_match=2).refused(UnknownItem)
    review(given()).refused(UnknownItem)


def test_it_builds_on_the_session_that_was_read() -> None:
    review(breached(), if_match=None).refused(VersionRequired)
    review(breached(), if_match=3).refused(StaleRecord)


def test_what_says_nothing_is_refused_where_it_stands() -> None:
    assert pointer_of(review(breached(), outcome="fine")) == "/outcome"
    assert pointer_of(review(breached(), reason=" \n")) == "/reason"


def test_marking_the_session_as_an_error_does_not_end_the_breach() -> None:
    case = breached()
    (error,) = case.when(mark_session_entered_in_error, session_id=SESSION, reason="Slip.", if_match=4).outcome
    after = given(*case.events, error)
    assert not after.record.breaches[SESSION].reviewed
    decided(review(after, if_match=5, outcome="no-breach"))
    assert after.record.breaches[SESSION].reviewed
