"""Assessments: answers in, score and risk prompt out, in one event; and what is refused."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from records.assessments import (
    AssessmentEnteredInError,
    AssessmentRecorded,
    RiskPrompt,
    mark_assessment_entered_in_error,
    record_assessment,
)
from records.client_record import SessionState
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.measures import SCORER
from tests.given import NOW, Case, given, stamp

ONE = UUID("00000000-0000-4000-8000-0000000000a1")
TWO = UUID("00000000-0000-4000-8000-0000000000a2")
SESSION = UUID("00000000-0000-4000-8000-0000000000c1")
CALM = [0] * 9
LOW = [2, 1, 2, 1, 3, 2, 2, 1, 1]


def taken(assessment_id: UUID = ONE, prompt: RiskPrompt | None = None) -> AssessmentRecorded:
    """A PHQ-9 that stands in the record."""
    return AssessmentRecorded(
        assessment_id=assessment_id, measure="PHQ-9", measure_version="1", scorer=SCORER, risk_prompt=prompt, **stamp()
    )


def recorded(case: Case) -> AssessmentRecorded:
    """Expect one assessment and return it."""
    (event,) = case.then(AssessmentRecorded)
    assert isinstance(event, AssessmentRecorded)
    return event


def phq(answers: list[Any] | None, **arguments: Any) -> Case:
    return given().when(record_assessment, assessment_id=ONE, measure="PHQ-9", answers=answers, **arguments)


def refused_at(pointer: str, case: Case) -> None:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- what is recorded


def test_answers_are_stored_with_score_band_and_scorer() -> None:
    event = recorded(phq(LOW))
    assert event.answers == (2, 1, 2, 1, 3, 2, 2, 1, 1)
    assert (event.score, event.band, event.caseness) == (15, "moderately severe", True)
    assert (event.measure, event.measure_version, event.scorer) == ("PHQ-9", "1", "wellkept-scorer/1")
    assert (event.missing, event.prorated, event.score_only) == (0, False, False)
    assert (event.completed_by, event.reported_by, event.in_session) == ("client", "client", True)


def test_an_unanswered_item_is_stored_as_unanswered() -> None:
    event = recorded(phq([None, 1, 1, 1, 1, 1, 1, 1, 0]))
    assert event.answers is not None
    assert event.answers[0] is None
    assert (event.score, event.missing, event.prorated) == (7.88, 1, True)


def test_too_many_unanswered_items_are_recorded_without_a_score() -> None:
    event = recorded(phq([None, None, None, 3, 3, 3, 3, 3, 3]))
    assert (event.score, event.band, event.caseness, event.prorated) == (None, None, None, False)
    assert event.risk_prompt == RiskPrompt(item=9, value=3)


@pytest.mark.parametrize("value", [1, 2, 3])
def test_item_nine_opens_a_prompt_in_the_same_event(value: int) -> None:
    case = phq([*CALM[:8], value])
    event = recorded(case)
    assert event.risk_prompt == RiskPrompt(item=9, value=value)
    assert case.record.open_prompts() == (ONE,)
    assert case.record.assessments[ONE].risk_value == value


def test_item_six_of_core_opens_a_prompt() -> None:
    case = given().when(record_assessment, assessment_id=ONE, measure="CORE-10", answers=[0, 4, 4, 0, 0, 1, 0, 0, 0, 0])
    assert recorded(case).risk_prompt == RiskPrompt(item=6, value=1)
    assert case.record.open_prompts() == (ONE,)


def test_a_zero_opens_no_prompt() -> None:
    case = phq(CALM)
    event = recorded(case)
    assert (event.risk_prompt, event.risk_item_unanswered) == (None, False)
    assert case.record.open_prompts() == ()


def test_an_unanswered_risk_item_is_said_to_be_unanswered() -> None:
    event = recorded(phq([*CALM[:8], None]))
    assert (event.risk_prompt, event.risk_item_unanswered) == (None, True)
    assert event.answers is not None
    assert event.answers[8] is None


def test_a_measure_without_risk_item_never_prompts() -> None:
    case = given().when(record_assessment, assessment_id=ONE, measure="GAD-7", answers=[3] * 7)
    event = recorded(case)
    assert (event.risk_prompt, event.risk_item_unanswered, event.band) == (None, False, "severe")


def test_a_total_alone_is_marked_and_holds_no_item() -> None:
    case = phq(None, score=27)
    event = recorded(case)
    assert (event.score, event.band, event.score_only, event.answers) == (27, "severe", True, None)
    assert (event.risk_prompt, event.risk_item_unanswered) == (None, False)
    assert case.record.open_prompts() == ()


@pytest.mark.parametrize("difficulty", [None, 0, 1, 2, 3])
def test_the_question_beside_the_items_is_kept_and_changes_no_score(difficulty: int | None) -> None:
    with_it, without = recorded(phq(LOW, difficulty=difficulty)), recorded(phq(LOW))
    assert with_it.difficulty == difficulty
    assert (with_it.score, with_it.band, with_it.answers, with_it.missing, with_it.risk_prompt) == (
        without.score,
        without.band,
        without.answers,
        without.missing,
        without.risk_prompt,
    )


def test_it_is_asked_by_its_measure_only_and_within_its_range() -> None:
    for wrong in (-1, 4):
        refused_at("/difficulty", phq(LOW, difficulty=wrong))
    other = given().when(record_assessment, assessment_id=ONE, measure="WSAS", answers=[1] * 5, difficulty=1)
    refused_at("/difficulty", other)
    total = given().when(record_assessment, assessment_id=ONE, measure="PHQ-9", score=12, difficulty=2)
    assert recorded(total).difficulty == 2


def test_a_therapist_may_complete_a_measure_outside_a_session() -> None:
    event = recorded(phq(CALM, completed_by="therapist", in_session=False))
    assert (event.completed_by, event.reported_by, event.in_session) == ("therapist", None, False)


def test_an_assessment_belongs_to_a_session_of_this_client() -> None:
    case = given()
    case.record.sessions[SESSION] = SessionState(version=1, episode_id=TWO, kind="treatment", start=NOW, mode="01")
    case.when(record_assessment, assessment_id=ONE, measure="PHQ-9", answers=CALM, session_id=SESSION)
    assert recorded(case).session_id == SESSION
    phq(CALM, session_id=SESSION).refused(UnknownItem)


def test_prompts_stay_open_oldest_first() -> None:
    case = given(taken(TWO, RiskPrompt(9, 1)))
    recorded(case.when(record_assessment, assessment_id=ONE, measure="PHQ-9", answers=LOW))
    assert case.record.open_prompts() == (TWO, ONE)


# --- what is refused


def test_the_same_assessment_is_not_recorded_twice() -> None:
    case = given(taken()).when(record_assessment, assessment_id=ONE, measure="PHQ-9", answers=CALM)
    case.refused(RuleBroken, "assessment-already-recorded")


@pytest.mark.parametrize("measure", ["PHQ-99", "phq-9", "", "GBO", "GAS"])
def test_an_unknown_measure_and_a_goals_scale_are_refused(measure: str) -> None:
    refused_at("/measure", given().when(record_assessment, assessment_id=ONE, measure=measure, answers=[1]))


@pytest.mark.parametrize(
    ("pointer", "arguments"),
    [
        ("/answers/8", {"answers": [0, 0, 0, 0, 0, 0, 0, 0, 4]}),
        ("/answers/0", {"answers": [-1, 0, 0, 0, 0, 0, 0, 0, 0]}),
        ("/answers/2", {"answers": [0, 0, 0.5, 0, 0, 0, 0, 0, 0]}),
        ("/answers", {"answers": [0] * 8}),
        ("/answers", {"answers": []}),
        ("/answers", {"answers": None}),
        ("/score", {"answers": None, "score": 28}),
        ("/score", {"answers": None, "score": -1}),
        ("/score", {"answers": CALM, "score": 0}),
        ("/completed_by", {"answers": CALM, "completed_by": "mother"}),
        ("/occurred_at", {"answers": CALM, "occurred_at": NOW + timedelta(seconds=1)}),
    ],
)
def test_content_that_cannot_be_is_refused_where_it_stands(pointer: str, arguments: dict[str, Any]) -> None:
    refused_at(pointer, phq(**arguments))


def test_nobody_answers_before_birth() -> None:
    case = given()
    case.record.birth_date = date(2026, 3, 2)
    earlier = case.when(
        record_assessment, assessment_id=ONE, measure="PHQ-9", answers=CALM, occurred_at=NOW - timedelta(days=1)
    )
    refused_at("/occurred_at", earlier)


# --- entered in error


def in_error(*events: Event, if_match: int | None = 1, reason: str = "wrong client") -> Case:
    return given(*events).when(mark_assessment_entered_in_error, if_match=if_match, assessment_id=ONE, reason=reason)


def test_entered_in_error_closes_the_open_prompt() -> None:
    case = in_error(taken(prompt=RiskPrompt(9, 2)))
    case.then(AssessmentEnteredInError)
    assert case.record.open_prompts() == ()
    assert case.record.assessments[ONE].status == "entered-in-error"
    assert case.record.assessments[ONE].prompt == "closed"
    assert case.record.assessments[ONE].version == 2


def test_entered_in_error_makes_no_prompt_where_there_was_none() -> None:
    case = in_error(taken())
    case.then(AssessmentEnteredInError)
    assert case.record.assessments[ONE].prompt is None


def test_entered_in_error_twice_is_nothing_to_do() -> None:
    case = in_error(taken(), AssessmentEnteredInError(assessment_id=ONE, reason="wrong client", **stamp()))
    case.then()


def test_entered_in_error_needs_a_reason_and_the_version_that_was_read() -> None:
    refused_at("/reason", in_error(taken(), reason="  "))
    in_error(taken(), if_match=None).refused(VersionRequired)
    in_error(taken(), if_match=7).refused(StaleRecord)
    in_error(taken(TWO)).refused(UnknownItem)
