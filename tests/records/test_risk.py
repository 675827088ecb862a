"""Risk: a prompt stays open until a clinician answers or clears it, and only what was there can be answered."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from records.assessments import (
    AssessmentEnteredInError,
    AssessmentRecorded,
    RiskPrompt,
    mark_assessment_entered_in_error,
)
from records.clinic_policy import ClinicPolicy
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.measures import SCORER
from records.risk import (
    AREAS,
    RiskAssessed,
    RiskAssessmentEnteredInError,
    RiskPromptCleared,
    assess_risk,
    clear_risk_prompt,
    mark_risk_assessment_entered_in_error,
)
from tests.given import NOW, Case, given, stamp

RISK = UUID("00000000-0000-4000-8000-0000000000d1")
NEXT_RISK = UUID("00000000-0000-4000-8000-0000000000d2")
CALM, LOW, LOWER, ELSEWHERE = (UUID(f"00000000-0000-4000-8000-0000000000a{n}") for n in range(1, 5))


def taken(assessment_id: UUID, value: int, at: datetime = NOW) -> AssessmentRecorded:
    """A PHQ-9 with this answer to item 9."""
    return AssessmentRecorded(
        assessment_id=assessment_id,
        measure="PHQ-9",
        measure_version="1",
        scorer=SCORER,
        risk_prompt=RiskPrompt(9, value) if value else None,
        **stamp(at),
    )


GIVEN = (taken(CALM, 0), taken(LOW, 1), taken(LOWER, 3))


def assess(case: Case, **arguments: Any) -> Case:
    arguments = {"risk_id": RISK, "level": "moderate", "formulation": "Thoughts, no plan.", **arguments}
    return case.when(assess_risk, **arguments)


def assessed(case: Case) -> RiskAssessed:
    """Expect one risk assessment and return it."""
    (event,) = case.then(RiskAssessed)
    assert isinstance(event, RiskAssessed)
    return event


def refused_at(pointer: str, case: Case) -> None:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- assessing


def test_a_risk_assessment_answers_every_open_prompt() -> None:
    case = assess(given(*GIVEN))
    assert case.record.open_prompts() == (LOW, LOWER)
    assert assessed(case).answers == (LOW, LOWER)
    assert case.record.open_prompts() == ()
    assert case.record.assessments[CALM].prompt is None


def test_it_answers_only_the_prompts_that_it_names() -> None:
    case = assess(given(*GIVEN), answers=[LOWER, LOWER])
    assert assessed(case).answers == (LOWER,)
    assert case.record.open_prompts() == (LOW,)


def test_naming_none_leaves_the_prompts_open() -> None:
    case = assess(given(*GIVEN), answers=[])
    assert assessed(case).answers == ()
    assert case.record.open_prompts() == (LOW, LOWER)


def test_risk_may_be_assessed_without_any_prompt() -> None:
    assert assessed(assess(given())).answers == ()


def test_it_holds_what_the_clinician_found() -> None:
    found = {
        "findings": dict.fromkeys(AREAS, "absent") | {"ideation": "present", "means": "uncertain"},
        "details": {"ideation": "Since Friday."},
        "protective_factors": "Her sister.",
        "actions": "Safety plan.",
        "who_told": "The duty doctor.",
        "review_date": NOW.date(),
        "level": "high",
    }
    event = assessed(assess(given(), **found))
    assert {name: getattr(event, name) for name in found} == found


def test_an_area_that_was_not_asked_about_is_not_absent() -> None:
    assert assessed(assess(given(), findings={"ideation": "absent"})).findings == {"ideation": "absent"}


def test_every_area_of_the_clinical_rule_has_its_place() -> None:
    assert set(AREAS) == {
        "ideation", "intent", "plan", "means", "past-attempts", "self-harm", "harm-to-others", "harm-from-others",
        "safeguarding-children", "safeguarding-adults",
    }  # fmt: skip


def test_everything_a_clinician_writes_freely_is_a_segment() -> None:
    assert set(RiskAssessed.free_text) == {"formulation", "details", "protective_factors", "actions", "who_told"}
    assert RiskPromptCleared.free_text == ("reason",)


def test_nobody_judges_an_answer_that_was_not_given_yet() -> None:
    yesterday = NOW - timedelta(days=1)
    events = (taken(LOW, 1, yesterday), taken(LOWER, 3, NOW))
    case = assess(given(*events), occurred_at=yesterday)
    assert assessed(case).answers == (LOW,)
    assert case.record.open_prompts() == (LOWER,)
    refused_at("/answers/1", assess(given(*events), occurred_at=yesterday, answers=[LOW, LOWER]))


def test_a_prompt_is_answered_again_by_a_second_clinician() -> None:
    case = given(*GIVEN)
    assessed(assess(case))
    assert assessed(assess(case, risk_id=NEXT_RISK, answers=[LOW])).answers == (LOW,)
    assert case.record.open_prompts() == ()


@for_all(st.lists(st.integers(0, 3), max_size=6), st.booleans())
def test_after_a_risk_assessment_of_now_no_prompt_is_open(values: list[int], cleared: bool) -> None:
    ids = [UUID(int=number + 1) for number in range(len(values))]
    case = given(*(taken(key, value) for key, value in zip(ids, values, strict=True)))
    prompting = tuple(key for key, value in zip(ids, values, strict=True) if value > 0)
    assert case.record.open_prompts() == prompting
    if cleared and prompting:
        version = case.record.assessments[prompting[0]].version
        case.when(clear_risk_prompt, if_match=version, assessment_id=prompting[0], reason="Asked in session.")
        case.then(RiskPromptCleared)
        prompting = prompting[1:]
    assert assessed(assess(case)).answers == prompting
    assert case.record.open_prompts() == ()


@pytest.mark.parametrize(
    ("pointer", "arguments"),
    [
        ("/level", {"level": "7"}),
        ("/level", {"level": ""}),
        ("/formulation", {"formulation": " \n"}),
        ("/findings", {"findings": {"ideation": "yes"}}),
        ("/findings", {"findings": {"weather": "absent"}}),
        ("/details", {"details": {"weather": "Rain."}}),
        ("/review_date", {"review_date": NOW.date() - timedelta(days=1)}),
        ("/occurred_at", {"occurred_at": NOW + timedelta(minutes=1)}),
    ],
)
def test_content_that_cannot_be_is_refused_where_it_stands(pointer: str, arguments: dict[str, Any]) -> None:
    refused_at(pointer, assess(given(*GIVEN), **arguments))


def test_the_review_date_is_a_day_of_the_clinic() -> None:
    early = datetime.fromisoformat("2026-03-02T03:00:00+00:00")
    today = date(2026, 3, 1)
    new_york = given(policy=ClinicPolicy(timezone="America/New_York"))
    assert assessed(assess(new_york, at=early, review_date=today)).review_date == today
    refused_at("/review_date", assess(given(), at=early, review_date=today))


def test_only_prompts_of_this_record_are_answered() -> None:
    assess(given(*GIVEN), answers=[ELSEWHERE]).refused(UnknownItem)
    assess(given(*GIVEN), answers=[CALM]).refused(RuleBroken, "no-risk-prompt")
    assess(given(*GIVEN), session_id=ELSEWHERE).refused(UnknownItem)


def test_a_prompt_that_was_closed_in_error_is_not_answered() -> None:
    error = AssessmentEnteredInError(assessment_id=LOW, reason="wrong client", **stamp())
    assess(given(*GIVEN, error), answers=[LOW]).refused(RuleBroken, "no-risk-prompt")


def test_the_same_risk_assessment_is_not_recorded_twice() -> None:
    case = given(*GIVEN)
    assessed(assess(case))
    assess(case).refused(RuleBroken, "risk-already-assessed")


# --- clearing


def clear(assessment_id: UUID = LOW, if_match: int | None = 2, reason: str = "Misread the question.") -> Case:
    return given(*GIVEN).when(clear_risk_prompt, if_match=if_match, assessment_id=assessment_id, reason=reason)


def test_a_prompt_is_cleared_with_a_reason() -> None:
    case = clear()
    case.then(RiskPromptCleared)
    assert case.record.open_prompts() == (LOWER,)
    assert case.record.assessments[LOW].version == 4


def test_an_answered_prompt_is_not_cleared_again() -> None:
    case = given(*GIVEN)
    assessed(assess(case))
    case.when(clear_risk_prompt, assessment_id=LOW, reason="Misread the question.").then()


def test_clearing_needs_a_reason_a_prompt_and_the_version_that_was_read() -> None:
    refused_at("/reason", clear(reason=" "))
    clear(CALM, if_match=1).refused(RuleBroken, "no-risk-prompt")
    clear(ELSEWHERE).refused(UnknownItem)
    clear(if_match=None).refused(VersionRequired)
    clear(if_match=1).refused(StaleRecord)


# --- entered in error


def in_error(case: Case, risk_id: UUID = RISK, **arguments: Any) -> Case:
    state = case.record.risk_assessments.get(risk_id)
    stands = {"if_match": state.version if state else None, "reason": "Another client's."}
    return case.when(mark_risk_assessment_entered_in_error, risk_id=risk_id, **{**stands, **arguments})


def reopened(case: Case) -> tuple[UUID, ...]:
    """Expect one error and return which prompts it opened again."""
    (event,) = case.then(RiskAssessmentEnteredInError)
    assert isinstance(event, RiskAssessmentEnteredInError)
    return tuple(prompt.assessment_id for prompt in event.reopens)


def test_a_prompt_whose_answer_was_entered_in_error_is_open_again() -> None:
    case = given(*GIVEN)
    assessed(assess(case))
    assert case.record.open_prompts() == ()
    in_error(case)
    (event,) = case.then(RiskAssessmentEnteredInError)
    assert isinstance(event, RiskAssessmentEnteredInError)
    assert [(each.assessment_id, each.measure, each.item, each.value) for each in event.reopens] == [
        (LOW, "PHQ-9", 9, 1),
        (LOWER, "PHQ-9", 9, 3),
    ]
    assert event.reopens[0].taken_at == NOW
    assert case.record.open_prompts() == (LOW, LOWER)
    assert case.record.risk_assessments[RISK].status == "entered-in-error"
    assert case.record.assessments[LOW].version == case.record.version
    # And it is answered again like any other.
    assert assessed(assess(case, risk_id=NEXT_RISK)).answers == (LOW, LOWER)
    assert case.record.open_prompts() == ()


def test_what_another_risk_assessment_answered_too_stays_answered() -> None:
    case = given(*GIVEN)
    assessed(assess(case))
    assessed(assess(case, risk_id=NEXT_RISK, answers=[LOW]))
    assert reopened(in_error(case)) == (LOWER,)
    assert case.record.open_prompts() == (LOWER,)
    assert reopened(in_error(case, NEXT_RISK)) == (LOW,)
    assert case.record.open_prompts() == (LOW, LOWER)


def test_a_prompt_that_was_cleared_or_whose_answers_were_an_error_stays_closed() -> None:
    case = given(*GIVEN, RiskPromptCleared(assessment_id=LOW, reason="A slip.", **stamp()))
    assessed(assess(case, answers=[LOW, LOWER]))
    version = case.record.assessments[LOWER].version
    case.when(mark_assessment_entered_in_error, assessment_id=LOWER, reason="Another client's.", if_match=version)
    case.then(AssessmentEnteredInError)
    assert reopened(in_error(case)) == ()
    assert case.record.open_prompts() == ()


def test_an_error_is_marked_once_with_a_reason_and_on_the_version_that_was_read() -> None:
    case = given(*GIVEN)
    in_error(case).refused(UnknownItem)
    case = given(*GIVEN)
    assessed(assess(case))
    refused_at("/reason", in_error(case, reason=" "))
    case.error = None
    in_error(case, if_match=None).refused(VersionRequired)
    case.error = None
    in_error(case, if_match=1).refused(StaleRecord)
    case.error = None
    in_error(case).then(RiskAssessmentEnteredInError)
    in_error(case).then()
    assess(case).refused(RuleBroken, "risk-already-assessed")


@for_all(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12))
def test_a_prompt_is_open_exactly_while_nothing_that_stands_answers_it(steps: list[tuple[bool, int]]) -> None:
    case = given(*GIVEN)
    standing: dict[int, bool] = {}
    for errs, number in steps:
        risk_id = UUID(int=number + 1)
        if errs and standing.get(number):
            in_error(case, risk_id).then(RiskAssessmentEnteredInError)
            standing[number] = False
        elif not errs and number not in standing:
            assess(case, risk_id=risk_id, answers=[LOW, LOWER]).then(RiskAssessed)
            standing[number] = True
        assert case.record.open_prompts() == (() if any(standing.values()) else (LOW, LOWER))
