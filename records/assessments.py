"""Assessments: one completed measure, its answers as ticked, its score, and the prompt that a risk item opens.

Source: DOMAIN 2; Simon 2013 (why a low answer to PHQ-9 item 9 still prompts, and why 0 reassures nobody).

Rules:
- The answers are stored as given, one per item, with score, band, and the scorer's id and version. Unanswered is None.
- Where only a total is known (a paper summary, history) it is `score_only`: no answers, so no risk item and no prompt.
- The question beside the items that is never scored (PHQ-9: how difficult the problems made life) is kept as answered.
- A risk item answered at or above its mark opens a risk prompt. The prompt is part of this very event, so there is
  never a score without its prompt, and the log does not show by its shape who was asked about.
- A prompt stays open until a clinician's risk assessment answers it or a clinician clears it with a reason.
- An assessment that was entered in error (wrong client, for example) closes its prompt with it; the history keeps both.
- Scales that belong to a goal (GBO, GAS) are ratings of that goal, not assessments.

It does not compute change (`records.measures`), nor judge risk (`records.risk`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from records.client_record import AssessmentState, ClientRecord
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event
from records.measures import MEASURES, SCORER, Answer, Measure, Scored, score_answers, score_total

# --- value types

COMPLETED_BY = ("client", "therapist")


class RiskPrompt(msgspec.Struct, frozen=True):
    """What opened the prompt: the item, counted from 1, and the answer to it."""

    item: int
    value: int


# --- events


class AssessmentRecorded(Event, frozen=True, kw_only=True, tag="assessment.recorded"):
    """A measure was completed. `occurred_at` is when it was filled in. Since 1.

    Attributes:
        measure, measure_version: which measure, as `records.measures` names it.
        scorer: id and version of the rules that made the score.
        answers: one per item, raw, None where unanswered; None as a whole where only a total is known.
        score: the total; None where too many items were unanswered.
        band, caseness: of the total; None where there is none or the measure has none.
        missing: how many items were unanswered.
        prorated: the total was made from the mean of the answered items.
        score_only: the total was given, not computed; a risk item was then never seen.
        session_id: the session it belongs to, if any.
        completed_by: `client` or `therapist`.
        in_session: False where it was filled in outside a session.
        risk_prompt: what a clinician must answer; None where nothing prompts.
        risk_item_unanswered: the measure has a risk item and it was left out.
        difficulty: the answer to the unscored question beside the items, 0 to 3; None where it was not given.
    """

    subject = "assessment_id"

    assessment_id: UUID
    measure: str
    measure_version: str
    scorer: str
    answers: tuple[Answer, ...] | None = None
    score: float | None = None
    band: str | None = None
    caseness: bool | None = None
    missing: int = 0
    prorated: bool = False
    score_only: bool = False
    session_id: UUID | None = None
    completed_by: str = "client"
    in_session: bool = True
    risk_prompt: RiskPrompt | None = None
    risk_item_unanswered: bool = False
    difficulty: int | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the assessment, with its prompt open where it has one."""
        record.assessments[self.assessment_id] = AssessmentState(
            version=version,
            measure=self.measure,
            taken_at=self.occurred_at,
            in_session=self.in_session,
            session_id=self.session_id,
            risk_item=self.risk_prompt.item if self.risk_prompt else None,
            risk_value=self.risk_prompt.value if self.risk_prompt else None,
            prompt="open" if self.risk_prompt else None,
        )


class AssessmentEnteredInError(Event, frozen=True, kw_only=True, tag="assessment.entered_in_error"):
    """It turned out that the assessment should not be in this record; an open prompt closes with it. Since 1."""

    subject = "assessment_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    assessment_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the ordinary view and close its prompt."""
        old = record.assessments[self.assessment_id]
        record.assessments[self.assessment_id] = msgspec.structs.replace(
            old,
            version=version,
            status="entered-in-error",
            prompt="closed" if old.prompt == "open" else old.prompt,
        )


EVENTS = (AssessmentRecorded, AssessmentEnteredInError)

# --- decisions


@decision("assessment.record")
def record_assessment(
    record: ClientRecord,
    context: Context,
    *,
    assessment_id: UUID,
    measure: str,
    answers: Sequence[Answer] | None = None,
    score: float | None = None,
    session_id: UUID | None = None,
    completed_by: str = "client",
    in_session: bool = True,
    difficulty: int | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Record a completed measure: its answers, or its total where only that is known.

    Raises:
        InvalidContent: `/measure` unknown or a goal's scale; `/answers` missing or of the wrong number;
            `/answers/<index>` out of range; `/score` out of range or given beside answers; `/completed_by`;
            `/difficulty` out of range or not a question of this measure; `/occurred_at` in the future or before birth.
        UnknownItem: the session is not one of this client's.
        RuleBroken: `assessment-already-recorded`.
    """
    if assessment_id in record.assessments:
        raise RuleBroken("assessment-already-recorded", "An assessment never changes; record a new one.")
    known = MEASURES.get(measure)
    if known is None or known.rated_on == "goal":
        raise InvalidContent("/measure", "Is not a known measure of a client.")
    if completed_by not in COMPLETED_BY:
        raise InvalidContent("/completed_by", "Is neither client nor therapist.")
    if session_id is not None:
        record.require_session(session_id)
    stamp = context.stamp(occurred_at, reported_by=completed_by if completed_by == "client" else None)
    if record.birth_date is not None and stamp["occurred_at"].date() < record.birth_date:
        raise InvalidContent("/occurred_at", "Lies before the client's birth.")
    _require_difficulty(known, difficulty)
    scored = _scored(known, answers, score)
    return [
        AssessmentRecorded(
            assessment_id=assessment_id,
            measure=known.name,
            measure_version=known.version,
            scorer=SCORER,
            answers=scored.answers,
            score=scored.score,
            band=scored.band,
            caseness=scored.caseness,
            missing=scored.missing,
            prorated=scored.prorated,
            score_only=scored.answers is None,
            session_id=session_id,
            completed_by=completed_by,
            in_session=in_session,
            risk_prompt=_prompt(known, scored),
            risk_item_unanswered=scored.risk_unanswered,
            difficulty=difficulty,
            **stamp,
        )
    ]


def _prompt(measure: Measure, scored: Scored) -> RiskPrompt | None:
    if measure.risk is None or not scored.risk_prompt or scored.risk_value is None:
        return None
    return RiskPrompt(item=measure.risk.item, value=scored.risk_value)


def _require_difficulty(measure: Measure, difficulty: int | None) -> None:
    if difficulty is None:
        return
    if measure.functional is None:
        raise InvalidContent("/difficulty", "This measure does not ask for it.")
    lowest, highest = measure.functional
    if not lowest <= difficulty <= highest:
        raise InvalidContent("/difficulty", "Is out of the question's range.")


def _scored(measure: Measure, answers: Sequence[Answer] | None, total: float | None) -> Scored:
    if answers is not None:
        if total is not None:
            raise InvalidContent("/score", "Is computed from the answers; send one of the two.")
        return score_answers(measure, answers)
    if total is None:
        raise InvalidContent("/answers", "The answers are needed, or a score where only that is known.")
    return score_total(measure, total)


@decision("assessment.error")
def mark_assessment_entered_in_error(
    record: ClientRecord, context: Context, *, assessment_id: UUID, reason: str
) -> Sequence[Event]:
    """Take an assessment out of the ordinary view, with its open prompt; nothing to do where that was done.

    Raises:
        UnknownItem: no such assessment in this record.
        InvalidContent: `/reason` says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("assessment", record.assessments, assessment_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [AssessmentEnteredInError(assessment_id=assessment_id, reason=reason, **context.stamp())]
