"""Risk: what a clinician judged of it, and the answer to the prompts that risk items opened.

Source: DOMAIN 2, rules 2 and 5; an answer to a risk item is a reason to ask, never a risk score.

Rules:
- The level is the clinician's judgement; nothing here computes one.
- An area that was not asked about is not in `findings`; that is not the same as `absent`.
- A risk assessment answers the prompts it names: by default every open prompt of answers that were given no later
  than it took place. Nobody can have judged an answer that had not been given yet.
- A prompt may also be cleared with a reason. An answered or cleared prompt stays so; the history keeps both.
- A risk assessment that was entered in error judged nobody. Every prompt that nothing else answered opens again in the
  same event: an error must never leave an answer to a risk item unanswered in silence.
- Formulation, details, protective factors, actions and who was told are free text.

It does not hold safety plans, and it sets no time limits: lateness is seen from the prompts' times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from records.client_record import ClientRecord, RiskState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

AREAS: tuple[str, ...] = (
    "ideation",
    "intent",
    "plan",
    "means",
    "past-attempts",
    "self-harm",
    "harm-to-others",
    "harm-from-others",
    "safeguarding-children",
    "safeguarding-adults",
)
"""What a risk assessment asks about, in the order it is read."""

LEVELS = ("low", "moderate", "high", "imminent")
"""The clinician's judgement, from least to most."""

Finding = Literal["present", "absent", "uncertain"]
FINDINGS: tuple[Finding, ...] = ("present", "absent", "uncertain")


class ReopenedPrompt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt that is open again, as its assessment opened it.

    Attributes:
        assessment_id: the assessment that prompted.
        measure, item, value: which item (counted from 1), and the answer to it.
        taken_at: when the measure was filled in.
        in_session, session_id: where.
    """

    assessment_id: UUID
    measure: str
    item: int
    value: int
    taken_at: datetime
    in_session: bool = True
    session_id: UUID | None = None


# --- events


class RiskAssessed(Event, frozen=True, kw_only=True, tag="risk.assessed"):
    """A clinician assessed risk. `occurred_at` is when. Since 1.

    Attributes:
        level: the clinician's judgement, one of `LEVELS`.
        formulation: how the clinician understands it (free text).
        findings: area → present, absent or uncertain; an area that was not asked about is left out.
        details: area → what was said of it (free text).
        protective_factors: what protects (free text).
        actions: what was done or agreed (free text).
        who_told: who was told (free text).
        review_date: the day by which it is looked at again.
        answers: ids of the assessments whose prompts it answers.
        session_id: the session it took place in, if any.
    """

    subject = "risk_id"
    free_text = ("formulation", "details", "protective_factors", "actions", "who_told")

    risk_id: UUID
    level: str
    formulation: str
    findings: dict[str, Finding] = msgspec.field(default_factory=dict)
    details: dict[str, str] = msgspec.field(default_factory=dict)
    protective_factors: str | None = None
    actions: str | None = None
    who_told: str | None = None
    review_date: date | None = None
    answers: tuple[UUID, ...] = ()
    session_id: UUID | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note the risk assessment and answer its prompts."""
        record.risk_assessments[self.risk_id] = RiskState(version=version)
        for assessment_id in self.answers:
            state = record.assessments[assessment_id]
            record.assessments[assessment_id] = msgspec.structs.replace(
                state, version=version, prompt="answered", answered_by=state.answered_by | {self.risk_id}
            )


class RiskPromptCleared(Event, frozen=True, kw_only=True, tag="risk.prompt_cleared"):
    """A clinician cleared a prompt without a risk assessment of its own, and said why. Since 1."""

    subject = "assessment_id"
    free_text = ("reason",)

    assessment_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Answer the prompt."""
        record.assessments[self.assessment_id] = msgspec.structs.replace(
            record.assessments[self.assessment_id], version=version, prompt="answered", cleared=True
        )


class RiskAssessmentEnteredInError(Event, frozen=True, kw_only=True, tag="risk.entered_in_error"):
    """It turned out that the risk assessment should not be in this record; what it alone answered is open. Since 1.

    Attributes:
        reason: what was wrong (free text).
        reopens: the prompts that nothing else answered, oldest first.
    """

    subject = "risk_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    risk_id: UUID
    reason: str
    reopens: tuple[ReopenedPrompt, ...] = ()

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the ordinary view, and open its prompts again."""
        record.risk_assessments[self.risk_id] = RiskState(version=version, status="entered-in-error")
        for key, state in record.assessments.items():
            if self.risk_id in state.answered_by:
                record.assessments[key] = msgspec.structs.replace(state, answered_by=state.answered_by - {self.risk_id})
        for prompt in self.reopens:
            record.assessments[prompt.assessment_id] = msgspec.structs.replace(
                record.assessments[prompt.assessment_id], version=version, prompt="open"
            )


EVENTS = (RiskAssessed, RiskPromptCleared, RiskAssessmentEnteredInError)


# --- decisions


@decision("risk.assess")
def assess_risk(
    record: ClientRecord,
    context: Context,
    *,
    risk_id: UUID,
    level: str,
    formulation: str,
    findings: Mapping[str, Finding] | None = None,
    details: Mapping[str, str] | None = None,
    protective_factors: str | None = None,
    actions: str | None = None,
    who_told: str | None = None,
    review_date: date | None = None,
    answers: Sequence[UUID] | None = None,
    session_id: UUID | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Record a clinician's risk assessment, which answers the open prompts (or those that it names).

    The fields are those of `RiskAssessed`. `answers` names assessments whose prompts it answers: None means every
    prompt that was open by the time it took place (`occurred_at`, None for now), an empty list means none.

    Raises:
        InvalidContent: `/level`, `/formulation` without text, `/findings`, `/details`, `/review_date` before the risk
            assessment, `/occurred_at` in the future, `/answers/<index>` for a prompt that was opened later.
        UnknownItem: an assessment or the session is not one of this client's.
        RuleBroken: `risk-already-assessed` under this id, `no-risk-prompt` where a named assessment has none.
    """
    if risk_id in record.risk_assessments:
        raise RuleBroken("risk-already-assessed", "A risk assessment never changes; record a new one.")
    findings, details = dict(findings or {}), dict(details or {})
    _require_content(level, formulation, findings, details)
    if session_id is not None:
        record.require_session(session_id)
    stamp = context.stamp(occurred_at)
    taken_on = stamp["occurred_at"].astimezone(ZoneInfo(context.policy.timezone)).date()
    if review_date is not None and review_date < taken_on:
        raise InvalidContent("/review_date", "Lies before the risk assessment.")
    return [
        RiskAssessed(
            risk_id=risk_id,
            level=level,
            formulation=formulation,
            findings=findings,
            details=details,
            protective_factors=protective_factors,
            actions=actions,
            who_told=who_told,
            review_date=review_date,
            answers=_answered(record, answers, stamp["occurred_at"]),
            session_id=session_id,
            **stamp,
        )
    ]


def _require_content(level: str, formulation: str, findings: Mapping[str, str], details: Mapping[str, str]) -> None:
    if level not in LEVELS:
        raise InvalidContent("/level", "Is not a known level.")
    if not formulation.strip():
        raise InvalidContent("/formulation", "Holds no text.")
    if any(area not in AREAS or found not in FINDINGS for area, found in findings.items()):
        raise InvalidContent("/findings", "Names an area or a finding that is not known.")
    if any(area not in AREAS for area in details):
        raise InvalidContent("/details", "Names an area that is not known.")


def _answered(record: ClientRecord, answers: Sequence[UUID] | None, at: datetime) -> tuple[UUID, ...]:
    if answers is None:
        return tuple(key for key in record.open_prompts() if record.assessments[key].taken_at <= at)
    for index, assessment_id in enumerate(answers):
        state = record.item("assessment", record.assessments, assessment_id)
        if state.prompt not in ("open", "answered"):
            raise RuleBroken("no-risk-prompt", "This assessment has no risk prompt to answer.")
        if state.taken_at > at:
            raise InvalidContent(f"/answers/{index}", "Was given after the risk assessment took place.")
    return tuple(dict.fromkeys(answers))


@decision("risk.clear")
def clear_risk_prompt(record: ClientRecord, context: Context, *, assessment_id: UUID, reason: str) -> Sequence[Event]:
    """Clear the open prompt of an assessment with a reason; nothing to do where it was answered.

    Raises:
        UnknownItem: no such assessment in this record.
        RuleBroken: `no-risk-prompt`.
        InvalidContent: `/reason` says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("assessment", record.assessments, assessment_id)
    if state.prompt == "answered":
        return []
    if state.prompt != "open":
        raise RuleBroken("no-risk-prompt", "This assessment has no open risk prompt.")
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [RiskPromptCleared(assessment_id=assessment_id, reason=reason, **context.stamp())]


@decision("risk.error")
def mark_risk_assessment_entered_in_error(
    record: ClientRecord, context: Context, *, risk_id: UUID, reason: str
) -> Sequence[Event]:
    """Take a risk assessment out of the ordinary view and open its prompts again; nothing to do where that was done.

    Raises:
        UnknownItem: no such risk assessment in this record.
        InvalidContent: `/reason` says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("risk-assessment", record.risk_assessments, risk_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    reopens = _reopened(record, risk_id)
    return [RiskAssessmentEnteredInError(risk_id=risk_id, reason=reason, reopens=reopens, **context.stamp())]


def _reopened(record: ClientRecord, risk_id: UUID) -> tuple[ReopenedPrompt, ...]:
    prompts = [
        ReopenedPrompt(
            assessment_id=key,
            measure=state.measure,
            item=state.risk_item,
            value=state.risk_value,
            taken_at=state.taken_at,
            in_session=state.in_session,
            session_id=state.session_id,
        )
        for key, state in record.assessments.items()
        if state.answered_by == {risk_id}
        and not state.cleared
        and state.status == "recorded"
        and state.risk_item is not None
        and state.risk_value is not None
    ]
    return tuple(sorted(prompts, key=lambda prompt: prompt.taken_at))
