"""Goals, as the current view shows them: the client's words, where each goal stands, and how far it came.

Source: DOMAIN 5. Scales and T-score are those of `records.goals`.

- The newest wording is shown; older ones are in the history.
- First and last rating go by the time they were given.
- The T-score takes the goals on the GAS scale that were rated and not given up; its baseline stands only where each of
  them has one.
- A goal that was entered in error is neither shown nor counted; only how many there are.
- Every open goal is kept, and the last that ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler
from records.client_record import GoalStatus
from records.event import Recorded
from records.goals import (
    CLOSED,
    SCALES,
    GoalAbandoned,
    GoalAchieved,
    GoalEnteredInError,
    GoalPartlyAchieved,
    GoalPaused,
    GoalRated,
    GoalReopened,
    GoalResumed,
    GoalReworded,
    GoalSet,
    gas_t_score,
)
from records.measures import change


class GoalItem(msgspec.Struct, frozen=True, kw_only=True):
    """One goal.

    Attributes:
        id, version: the goal, and the version of the last event that touched it (the ETag).
        text: the newest wording, in the client's words; `reworded` tells that there are older ones.
        scale: gas, gbo or none; `anchors` are the words for the levels of gas.
        baseline: where it stood at the start.
        first_rating, first_rated_at: the first value in time, and when it was given.
        last_rating, rated_at, ratings: the last value in time, when it was given, and how many there are.
        better_by: from baseline (else first rating) to last rating.
        reliable: what that is worth; None where the scale has no reliable amount or too little is known.
        reason: why it was paused or ended.
    """

    id: UUID
    version: int
    text: str
    reworded: bool = False
    status: GoalStatus
    scope: str
    scale: str
    anchors: dict[str, str] = msgspec.field(default_factory=dict)
    importance: int
    difficulty: int
    agreed_by: str
    set_at: datetime
    baseline: int | None = None
    first_rating: int | None = None
    first_rated_at: datetime | None = None
    last_rating: int | None = None
    rated_at: datetime | None = None
    ratings: int = 0
    better_by: float | None = None
    reliable: Literal["improved", "deteriorated", "none"] | None = None
    session_id: UUID | None = None
    episode_id: UUID | None = None
    reason: str | None = None


class GoalsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Goals with their progress.

    Attributes:
        items: open goals first, then the last that ended.
        gas_t_score: T-score of the rated goals on the GAS scale that were not given up; None without one.
        gas_t_score_baseline: the same by their baselines.
        in_error: how many goals are hidden because they were entered in error; the history has them.
    """

    items: tuple[GoalItem, ...] = ()
    gas_t_score: float | None = None
    gas_t_score_baseline: float | None = None
    in_error: int = 0


KEPT_CLOSED = 10


class State(msgspec.Struct, kw_only=True):
    """Goals by id, in the order in which they were set."""

    items: dict[UUID, GoalItem] = msgspec.field(default_factory=dict)
    in_error: int = 0


def _set(state: State, event: GoalSet, recorded: Recorded) -> None:
    state.items[event.goal_id] = GoalItem(
        id=event.goal_id,
        version=recorded.version,
        text=event.text,
        status="active",
        scope=event.scope,
        scale=event.scale,
        anchors=event.anchors,
        importance=event.importance,
        difficulty=event.difficulty,
        agreed_by=event.agreed_by,
        set_at=event.occurred_at,
        baseline=event.baseline,
        session_id=event.session_id,
        episode_id=event.episode_id,
    )


def _reworded(state: State, event: GoalReworded, recorded: Recorded) -> None:
    item = state.items.get(event.goal_id)
    if item is not None:
        state.items[event.goal_id] = msgspec.structs.replace(
            item, version=recorded.version, text=event.text, reworded=True
        )


def _rated(state: State, event: GoalRated, recorded: Recorded) -> None:
    item = state.items.get(event.goal_id)
    if item is None:
        return
    first, first_at = item.first_rating, item.first_rated_at
    if first_at is None or event.occurred_at < first_at:
        first, first_at = event.value, event.occurred_at
    last, last_at = item.last_rating, item.rated_at
    if last_at is None or event.occurred_at >= last_at:
        last, last_at = event.value, event.occurred_at
    begin = item.baseline if item.baseline is not None else first if item.ratings else None
    measure = SCALES[item.scale]
    changed = change(measure, [begin, last]) if measure is not None else None
    state.items[event.goal_id] = msgspec.structs.replace(
        item,
        version=recorded.version,
        first_rating=first,
        first_rated_at=first_at,
        last_rating=last,
        rated_at=last_at,
        ratings=item.ratings + 1,
        better_by=changed.better_by if changed else None,
        reliable=changed.reliable if changed else None,
    )


def _moved(status: GoalStatus) -> Handler:
    def move(state: State, event: GoalPaused, recorded: Recorded) -> None:
        item = state.items.get(event.goal_id)
        if item is None:
            return
        state.items[event.goal_id] = msgspec.structs.replace(
            item, version=recorded.version, status=status, reason=event.reason
        )
        closed = [(each.version, key) for key, each in state.items.items() if each.status in CLOSED]
        for _, key in sorted(closed)[:-KEPT_CLOSED]:
            del state.items[key]

    return move


def _in_error(state: State, event: GoalEnteredInError, recorded: Recorded) -> None:
    state.in_error += 1
    state.items.pop(event.goal_id, None)


SHOWS: dict[type, Handler] = {
    GoalSet: _set,
    GoalReworded: _reworded,
    GoalRated: _rated,
    GoalPaused: _moved("paused"),
    GoalResumed: _moved("active"),
    GoalAchieved: _moved("achieved"),
    GoalPartlyAchieved: _moved("partly-achieved"),
    GoalAbandoned: _moved("abandoned"),
    GoalReopened: _moved("active"),
    GoalEnteredInError: _in_error,
}


def render(state: State) -> GoalsShown:
    """Return open goals in the order they were set, then ended ones, the last first, with the T-scores."""
    items = state.items.values()
    ended = sorted((item for item in items if item.status in CLOSED), key=lambda item: item.version, reverse=True)
    rated = [
        item for item in items if item.scale == "gas" and item.last_rating is not None and item.status != "abandoned"
    ]
    levels = [(item.last_rating, item.importance * item.difficulty) for item in rated if item.last_rating is not None]
    starts = [(item.baseline, item.importance * item.difficulty) for item in rated if item.baseline is not None]
    return GoalsShown(
        items=(*(item for item in items if item.status not in CLOSED), *ended),
        gas_t_score=_rounded(gas_t_score(levels)),
        gas_t_score_baseline=_rounded(gas_t_score(starts)) if len(starts) == len(rated) else None,
        in_error=state.in_error,
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 2)
