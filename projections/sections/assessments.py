"""Measures, as the current view shows them: latest, first and last, and what the change between them is worth.

Source: DOMAIN 2 and the end of 10. Scores and changes are those of `records.measures`.

- A course is one measure in one episode; first and last go by the time it was filled in, not by the time of recording.
- An assessment belongs to the episode of its session, else to the newest one that was open when it was filled in.
- One course of each measure is shown: that of the newest assessment.
- A score of the ending phase is marked, since a small rise is expected there. The mark softens no change that is
  reliable, and it says nothing of risk.
- Kept of each course: the first totals, the last assessments and their number; of episodes, the last.
"""

from __future__ import annotations

from bisect import insort
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.sections.plan import Plan
from projections.sections.viewing import Handler
from records.assessments import AssessmentEnteredInError, AssessmentRecorded
from records.bookings import SessionBooked
from records.episodes import EpisodeClosed, EpisodeOpened, EpisodePhaseSet, EpisodeProtocolChanged
from records.event import Recorded
from records.measures import MEASURES, change
from records.risk import RiskAssessed, RiskAssessmentEnteredInError, RiskPromptCleared
from records.sessions import SessionEnteredInError, SessionHeld


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One assessment of a measure.

    Attributes:
        assessment_id, version: the assessment, and the version of the last event that touched it (the ETag).
        taken_at: when it was filled in.
        score, band: the total and its band; None where too many items were unanswered.
        score_only: only the total is known, so a risk item was never seen.
        prorated: the total was made from the mean of the answered items.
        risk_item_unanswered: the measure has a risk item, and it was left out.
        difficulty: the answer to the unscored question beside the items; None where it was not given.
        ending_phase: it was taken in the ending phase, where a small rise is expected.
    """

    assessment_id: UUID
    version: int
    taken_at: datetime
    score: float | None = None
    band: str | None = None
    caseness: bool | None = None
    score_only: bool = False
    prorated: bool = False
    missing: int = 0
    risk_item_unanswered: bool = False
    difficulty: int | None = None
    ending_phase: bool = False
    session_id: UUID | None = None


class MeasureItem(msgspec.Struct, frozen=True, kw_only=True):
    """One measure in the course of an episode.

    Attributes:
        measure: its name, a key of `records.measures.MEASURES`.
        episode_id: the episode whose course it is; None for measures outside any.
        count: how many assessments of it are in the course.
        latest: the last one in time, with or without a total.
        first, last: the first and the last with a total; None with none.
        better_by: by how much it got better from first to last; negative where it got worse.
        reliable: what the change is worth; None with fewer than two totals or without a reliable amount.
        recovered: at caseness first and not last; None where the measure has no cut-off.
        remark: what to bear in mind in reading it.
    """

    measure: str
    episode_id: UUID | None = None
    count: int
    latest: Score
    first: Score | None = None
    last: Score | None = None
    better_by: float | None = None
    reliable: Literal["improved", "deteriorated", "none"] | None = None
    recovered: bool | None = None
    remark: str | None = None


KEPT_FIRST = 3
KEPT_LAST = 8
KEPT_EPISODES = 4
KEPT_SESSIONS = 30
ENDING = "ending"
ENDING_REMARK = "The last score is of the ending phase, where a small rise is expected."
TOTAL_REMARK = "Only the total is known: the risk item was not seen."


class Course(msgspec.Struct, kw_only=True):
    """One measure in one episode.

    Attributes:
        first: the first scores with a total, oldest first.
        last: the last scores, oldest first, with and without a total.
    """

    measure: str
    episode_id: UUID | None = None
    count: int = 0
    first: list[Score] = msgspec.field(default_factory=list)
    last: list[Score] = msgspec.field(default_factory=list)


class Slot(msgspec.Struct, kw_only=True):
    """The episode of a session, and once it was held, its phase."""

    episode_id: UUID
    held: bool = False
    phase: str | None = None


class State(msgspec.Struct, kw_only=True):
    """Courses in the order in which they began, and of episodes and sessions what tells where a score belongs."""

    courses: list[Course] = msgspec.field(default_factory=list)
    plans: dict[UUID, Plan] = msgspec.field(default_factory=dict)
    sessions: dict[UUID, Slot] = msgspec.field(default_factory=dict)


def _opened(state: State, event: EpisodeOpened, recorded: Recorded) -> None:
    state.plans[event.episode_id] = Plan(opened_at=event.occurred_at, phases=event.phases)
    for old in list(state.plans)[:-KEPT_EPISODES]:
        del state.plans[old]
        state.courses = [course for course in state.courses if course.episode_id != old]


def _phase_set(state: State, event: EpisodePhaseSet, recorded: Recorded) -> None:
    plan = state.plans.get(event.episode_id)
    if plan is not None:
        plan.override = event.phase


def _protocol_changed(state: State, event: EpisodeProtocolChanged, recorded: Recorded) -> None:
    plan = state.plans.get(event.episode_id)
    if plan is not None:
        plan.phases, plan.override = event.phases, None


def _closed(state: State, event: EpisodeClosed, recorded: Recorded) -> None:
    plan = state.plans.get(event.episode_id)
    if plan is not None:
        plan.closed_at = event.occurred_at


def _booked(state: State, event: SessionBooked, recorded: Recorded) -> None:
    _keep(state, event.session_id, Slot(episode_id=event.episode_id))


def _held(state: State, event: SessionHeld, recorded: Recorded) -> None:
    _keep(state, event.session_id, Slot(episode_id=event.episode_id, held=True, phase=event.phase))
    plan = state.plans.get(event.episode_id)
    if plan is not None:
        plan.held = max(plan.held, event.number)


def _session_in_error(state: State, event: SessionEnteredInError, recorded: Recorded) -> None:
    # Its assessments stay where they are: each is marked on its own where it is wrong too.
    slot = state.sessions.get(event.session_id)
    if slot is not None:
        slot.held, slot.phase = False, None
    plan = state.plans.get(event.episode_id)
    if plan is not None:
        plan.held = event.sessions_held


def _assessed(state: State, event: AssessmentRecorded, recorded: Recorded) -> None:
    episode_id = _episode(state, event)
    course = _course(state, event.measure, episode_id)
    score = Score(
        assessment_id=event.assessment_id,
        version=recorded.version,
        taken_at=event.occurred_at,
        score=event.score,
        band=event.band,
        caseness=event.caseness,
        score_only=event.score_only,
        prorated=event.prorated,
        missing=event.missing,
        risk_item_unanswered=event.risk_item_unanswered,
        difficulty=event.difficulty,
        ending_phase=_phase(state, event.session_id, episode_id) == ENDING,
        session_id=event.session_id,
    )
    course.count += 1
    insort(course.last, score, key=_time)
    del course.last[:-KEPT_LAST]
    if score.score is not None:
        insort(course.first, score, key=_time)
        del course.first[KEPT_FIRST:]


def _in_error(state: State, event: AssessmentEnteredInError, recorded: Recorded) -> None:
    for course in state.courses:
        before = len(course.first) + len(course.last)
        course.first = [score for score in course.first if score.assessment_id != event.assessment_id]
        course.last = [score for score in course.last if score.assessment_id != event.assessment_id]
        if len(course.first) + len(course.last) < before:
            course.count -= 1
    state.courses = [course for course in state.courses if course.last]


def _answered(state: State, event: RiskAssessed, recorded: Recorded) -> None:
    _touch(state, event.answers, recorded.version)


def _cleared(state: State, event: RiskPromptCleared, recorded: Recorded) -> None:
    _touch(state, (event.assessment_id,), recorded.version)


def _reopened(state: State, event: RiskAssessmentEnteredInError, recorded: Recorded) -> None:
    _touch(state, tuple(prompt.assessment_id for prompt in event.reopens), recorded.version)


SHOWS: dict[type, Handler] = {
    EpisodeOpened: _opened,
    EpisodePhaseSet: _phase_set,
    EpisodeProtocolChanged: _protocol_changed,
    EpisodeClosed: _closed,
    SessionBooked: _booked,
    SessionHeld: _held,
    SessionEnteredInError: _session_in_error,
    AssessmentRecorded: _assessed,
    AssessmentEnteredInError: _in_error,
    RiskAssessed: _answered,
    RiskPromptCleared: _cleared,
    RiskAssessmentEnteredInError: _reopened,
}


def render(state: State) -> tuple[MeasureItem, ...]:
    """Return one item for each measure, in the order in which the measures were first used."""
    newest: dict[str, Course] = {}
    for course in state.courses:
        other = newest.get(course.measure)
        if other is None or _time(other.last[-1]) <= _time(course.last[-1]):
            newest[course.measure] = course
    return tuple(_item(course) for course in newest.values())


def _item(course: Course) -> MeasureItem:
    totals = [score for score in course.last if score.score is not None]
    first = course.first[0] if course.first else (totals[0] if totals else None)
    last = totals[-1] if totals else first
    distinct = first is not None and last is not None and first.assessment_id != last.assessment_id
    changed = change(MEASURES[course.measure], [first.score, last.score]) if distinct and first and last else None
    return MeasureItem(
        measure=course.measure,
        episode_id=course.episode_id,
        count=course.count,
        latest=course.last[-1],
        first=first,
        last=last,
        better_by=changed.better_by if changed else None,
        reliable=changed.reliable if changed else None,
        recovered=changed.recovered if changed else None,
        remark=_remark(course.measure, course.last[-1], last),
    )


def _remark(measure: str, latest: Score, last: Score | None) -> str | None:
    remarks = []
    if last is not None and last.ending_phase:
        remarks.append(ENDING_REMARK)
    if latest.score_only and MEASURES[measure].risk is not None:
        remarks.append(TOTAL_REMARK)
    return " ".join(remarks) or None


def _time(score: Score) -> datetime:
    return score.taken_at


def _course(state: State, measure: str, episode_id: UUID | None) -> Course:
    for course in state.courses:
        if course.measure == measure and course.episode_id == episode_id:
            return course
    course = Course(measure=measure, episode_id=episode_id)
    state.courses.append(course)
    return course


def _episode(state: State, event: AssessmentRecorded) -> UUID | None:
    slot = state.sessions.get(event.session_id) if event.session_id is not None else None
    if slot is not None and slot.episode_id in state.plans:
        return slot.episode_id
    at = event.occurred_at
    open_then = [
        (plan.opened_at, episode_id)
        for episode_id, plan in state.plans.items()
        if plan.opened_at <= at and (plan.closed_at is None or at <= plan.closed_at)
    ]
    return max(open_then)[1] if open_then else None


def _phase(state: State, session_id: UUID | None, episode_id: UUID | None) -> str | None:
    slot = state.sessions.get(session_id) if session_id is not None else None
    plan = state.plans.get(episode_id) if episode_id is not None else None
    if slot is not None and slot.held:
        return slot.phase
    if plan is None:
        return None
    return plan.next_phase() if slot is not None else plan.phase(max(plan.held, 1))


def _keep(state: State, session_id: UUID, slot: Slot) -> None:
    state.sessions.pop(session_id, None)
    state.sessions[session_id] = slot
    if len(state.sessions) > KEPT_SESSIONS:
        del state.sessions[next(iter(state.sessions))]


def _touch(state: State, assessment_ids: tuple[UUID, ...], version: int) -> None:
    for course in state.courses:
        for scores in (course.first, course.last):
            for place, score in enumerate(scores):
                if score.assessment_id in assessment_ids:
                    scores[place] = msgspec.structs.replace(score, version=version)
