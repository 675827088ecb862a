"""Risk, as the current view shows it: open prompts on top, and what a clinician judged last.

Source: DOMAIN 2, rules 1 to 5; Simon 2013. A prompt is a reason to ask, never a score, and a 0 reassures nobody.

- A prompt stays until a clinician's risk assessment answers it, a clinician clears it with a reason, or its assessment
  turns out to be entered in error. No phase of the treatment and no later answer softens it.
- A prompt that was answered by a risk assessment which turned out to be entered in error stands here again, and
  says so.
- The last risk assessment is the one that took place last, of those that were not entered in error. The last few are
  kept for that; older ones are in the history.
"""

from __future__ import annotations

from bisect import insort
from datetime import date, datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.assessments import AssessmentEnteredInError, AssessmentRecorded
from records.event import Recorded
from records.risk import RiskAssessed, RiskAssessmentEnteredInError, RiskPromptCleared


class PromptItem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a risk item that no clinician has answered yet.

    Attributes:
        assessment_id, version: the assessment, and the version of the last event that touched it (the ETag).
        measure, item, value: which item of which measure (counted from 1), and the answer to it.
        taken_at, recorded_at: when it was filled in, and when it was recorded (or opened again).
        reopened: a risk assessment had answered it, and that one was entered in error.
        in_session: False where it was filled in outside a session.
        text: one sentence for people.
    """

    assessment_id: UUID
    version: int
    measure: str
    item: int
    value: int
    taken_at: datetime
    recorded_at: datetime
    in_session: bool = True
    session_id: UUID | None = None
    reopened: bool = False
    text: str


class RiskItem(msgspec.Struct, frozen=True, kw_only=True):
    """The last risk assessment; fields as in `records.risk.RiskAssessed`.

    Attributes:
        assessments: how many risk assessments there are, those that were entered in error left out.
    """

    id: UUID
    version: int
    level: str
    formulation: str
    findings: dict[str, str] = msgspec.field(default_factory=dict)
    details: dict[str, str] = msgspec.field(default_factory=dict)
    protective_factors: str | None = None
    actions: str | None = None
    who_told: str | None = None
    review_date: date | None = None
    assessed_by: str
    assessed_by_name: str = ""
    assessed_at: datetime
    assessments: int = 1


KEPT = 6


class State(msgspec.Struct, kw_only=True):
    """Open prompts by assessment, and the last risk assessments in the order in which they took place."""

    prompts: dict[UUID, PromptItem] = msgspec.field(default_factory=dict)
    judged: list[RiskItem] = msgspec.field(default_factory=list)
    assessments: int = 0
    in_error: int = 0

    @property
    def last(self) -> RiskItem | None:
        """The risk assessment that took place last."""
        return self.judged[-1] if self.judged else None


def _assessed(state: State, event: AssessmentRecorded, recorded: Recorded) -> None:
    prompt = event.risk_prompt
    if prompt is None:
        return
    state.prompts[event.assessment_id] = PromptItem(
        assessment_id=event.assessment_id,
        version=recorded.version,
        measure=event.measure,
        item=prompt.item,
        value=prompt.value,
        taken_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
        in_session=event.in_session,
        session_id=event.session_id,
        text=_text(prompt.item, event.measure, prompt.value),
    )


def _text(item: int, measure: str, value: int) -> str:
    return f"Item {item} of {measure} was answered with {value}. Ask, and record what you find."


def _in_error(state: State, event: AssessmentEnteredInError, recorded: Recorded) -> None:
    state.prompts.pop(event.assessment_id, None)


def _judged(state: State, event: RiskAssessed, recorded: Recorded) -> None:
    for assessment_id in event.answers:
        state.prompts.pop(assessment_id, None)
    state.assessments += 1
    judged = RiskItem(
        id=event.risk_id,
        version=recorded.version,
        level=event.level,
        formulation=event.formulation,
        findings=dict(event.findings),
        details=event.details,
        protective_factors=event.protective_factors,
        actions=event.actions,
        who_told=event.who_told,
        review_date=event.review_date,
        assessed_by=event.entered_by,
        assessed_at=event.occurred_at,
    )
    insort(state.judged, judged, key=lambda item: item.assessed_at)
    del state.judged[:-KEPT]


def _judged_in_error(state: State, event: RiskAssessmentEnteredInError, recorded: Recorded) -> None:
    state.judged = [item for item in state.judged if item.id != event.risk_id]
    state.assessments -= 1
    state.in_error += 1
    for prompt in event.reopens:
        text = _text(prompt.item, prompt.measure, prompt.value)
        state.prompts[prompt.assessment_id] = PromptItem(
            assessment_id=prompt.assessment_id,
            version=recorded.version,
            measure=prompt.measure,
            item=prompt.item,
            value=prompt.value,
            taken_at=prompt.taken_at,
            recorded_at=recorded.recorded_at,
            in_session=prompt.in_session,
            session_id=prompt.session_id,
            reopened=True,
            text=f"{text} The risk assessment that had answered it was entered in error.",
        )


def _cleared(state: State, event: RiskPromptCleared, recorded: Recorded) -> None:
    state.prompts.pop(event.assessment_id, None)


SHOWS: dict[type, Handler] = {
    AssessmentRecorded: _assessed,
    AssessmentEnteredInError: _in_error,
    RiskAssessed: _judged,
    RiskPromptCleared: _cleared,
    RiskAssessmentEnteredInError: _judged_in_error,
}


def render_prompts(state: State) -> tuple[PromptItem, ...]:
    """Return open prompts, oldest first."""
    return tuple(sorted(state.prompts.values(), key=lambda prompt: (prompt.taken_at, prompt.version)))


def render(state: State, viewing: Viewing) -> RiskItem | None:
    """Return the last risk assessment with the name of who made it."""
    last = state.last
    if last is None:
        return None
    return msgspec.structs.replace(
        last, assessed_by_name=viewing.name_of(last.assessed_by), assessments=state.assessments
    )
