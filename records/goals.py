"""Goals: what a client wants to reach, in the client's own words, how near it is, and how it ended.

Source: DOMAIN 5; goal attainment scaling (Kiresuk and Sherman; the formula as corrected after Turner-Stokes 2009),
goal-based outcomes (CORC). The numbers of both scales stand in `measures.json`.

Rules:
- active ⇄ paused; active or paused → achieved | partly achieved | abandoned (with a reason); closed → reopened.
- A goal is rated on its own scale: `gas` −2..2, `gbo` 0..10, `none` not at all. Ratings add to the history, so they
  need no version; every other change builds on what was read and does.
- A closed goal is not rated or reworded; reopen it first. A paused goal may be rated.
- At most three goals on the GBO scale are active at once.
- A goal that was entered in error is over: it is neither rated nor changed, and counts nowhere.
- Weight = importance × difficulty, each 1..3. The T-score of several goals is 50 where each is reached as expected.

It does not compute progress of one goal over time; views compare first and last (`records.measures.change`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from records.client_record import ClientRecord, GoalState, GoalStatus
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event
from records.measures import MEASURES, Measure

# --- value types

Scale = Literal["gas", "gbo", "none"]
Scope = Literal["session", "treatment"]
Party = Literal["client", "therapist", "both"]

SCALES: dict[str, Measure | None] = {"gas": MEASURES["GAS"], "gbo": MEASURES["GBO"], "none": None}
ANCHORS = ("-2", "-1", "0", "1", "2")
WEIGHTS = (1, 2, 3)
CLOSED: tuple[GoalStatus, ...] = ("achieved", "partly-achieved", "abandoned")


def gas_t_score(levels_and_weights: Sequence[tuple[int, float]]) -> float | None:
    """Return the T-score of several goals from (level −2..2, weight > 0) each; None without goals.

    The order of the goals does not matter, and equal weights count like 1.
    """
    if not levels_and_weights:
        return None
    rho = MEASURES["GAS"].rho or 0.0
    weighted = math.fsum(weight * level for level, weight in levels_and_weights)
    squares = math.fsum(weight * weight for _, weight in levels_and_weights)
    total = math.fsum(weight for _, weight in levels_and_weights)
    return 50 + 10 * weighted / math.sqrt((1 - rho) * squares + rho * total * total)


# --- events


class GoalSet(Event, frozen=True, kw_only=True, tag="goal.set"):
    """A goal was agreed. Since 1.

    Attributes:
        text: the goal in the client's words (free text).
        scale: how it is rated: gas, gbo or none.
        anchors: level "-2".."2" → what that level looks like, in the client's words (free text); gas only.
        baseline: where it stands at the start, on its scale.
        importance, difficulty: 1..3; their product is its weight.
        agreed_by: client, therapist or both.
        scope: a goal for one session, or for the whole treatment.
        session_id, episode_id: what it was set for; a session's goal names its session.
    """

    subject = "goal_id"
    free_text = ("text", "anchors")

    goal_id: UUID
    text: str
    scale: Scale
    anchors: dict[str, str] = msgspec.field(default_factory=dict)
    baseline: int | None = None
    importance: int = 1
    difficulty: int = 1
    agreed_by: Party = "both"
    scope: Scope = "treatment"
    session_id: UUID | None = None
    episode_id: UUID | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the goal."""
        record.goals[self.goal_id] = GoalState(
            version=version, status="active", scale=self.scale, set_at=self.occurred_at
        )


class GoalReworded(Event, frozen=True, kw_only=True, tag="goal.reworded"):
    """A goal has new words; the old ones stay readable. Since 1."""

    subject = "goal_id"
    free_text = ("text", "reason")
    lifecycle = "amend"

    goal_id: UUID
    text: str
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Move the goal's version on."""
        _move(record, self.goal_id, version)


class GoalRated(Event, frozen=True, kw_only=True, tag="goal.rated"):
    """Someone said how near a goal is. `occurred_at` is when. Since 1.

    Attributes:
        scale: the goal's scale, gas or gbo.
        value: −2..2 or 0..10.
        rater: client, therapist or both.
        session_id: the session it was rated in, if any.
    """

    subject = "goal_id"

    goal_id: UUID
    scale: str
    value: int
    rater: str
    session_id: UUID | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Move the goal's version on."""
        _move(record, self.goal_id, version)


class GoalPaused(Event, frozen=True, kw_only=True, tag="goal.paused"):
    """Work on a goal rests. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Pause it."""
        _move(record, self.goal_id, version, "paused")


class GoalResumed(Event, frozen=True, kw_only=True, tag="goal.resumed"):
    """Work on a paused goal goes on. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Make it active."""
        _move(record, self.goal_id, version, "active")


class GoalAchieved(Event, frozen=True, kw_only=True, tag="goal.achieved"):
    """A goal was reached. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Close it."""
        _move(record, self.goal_id, version, "achieved")


class GoalPartlyAchieved(Event, frozen=True, kw_only=True, tag="goal.partly_achieved"):
    """A goal was reached in part, and that is where it ends. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Close it."""
        _move(record, self.goal_id, version, "partly-achieved")


class GoalAbandoned(Event, frozen=True, kw_only=True, tag="goal.abandoned"):
    """A goal was given up, for a reason. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Close it."""
        _move(record, self.goal_id, version, "abandoned")


class GoalReopened(Event, frozen=True, kw_only=True, tag="goal.reopened"):
    """A closed goal was taken up again. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "amend"

    goal_id: UUID
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Make it active."""
        _move(record, self.goal_id, version, "active")


class GoalEnteredInError(Event, frozen=True, kw_only=True, tag="goal.entered_in_error"):
    """It turned out that the goal should not be in this record. Since 1."""

    subject = "goal_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    goal_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the ordinary view."""
        _move(record, self.goal_id, version, "entered-in-error")


EVENTS = (
    GoalSet,
    GoalReworded,
    GoalRated,
    GoalPaused,
    GoalResumed,
    GoalAchieved,
    GoalPartlyAchieved,
    GoalAbandoned,
    GoalReopened,
    GoalEnteredInError,
)


def _move(record: ClientRecord, goal_id: UUID, version: int, status: GoalStatus | None = None) -> None:
    old = record.goals[goal_id]
    record.goals[goal_id] = msgspec.structs.replace(old, version=version, status=status or old.status)


# --- decisions


@decision("goal.set")
def set_goal(
    record: ClientRecord,
    context: Context,
    *,
    goal_id: UUID,
    text: str,
    scale: Scale,
    anchors: Mapping[str, str] | None = None,
    baseline: int | None = None,
    importance: int = 1,
    difficulty: int = 1,
    agreed_by: Party = "both",
    scope: Scope = "treatment",
    session_id: UUID | None = None,
    episode_id: UUID | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Set a goal in the client's words.

    Raises:
        InvalidContent: at the field that cannot be: `/text`, `/scale`, `/anchors`, `/baseline`, `/importance`,
            `/difficulty`, `/agreed_by`, `/scope`, `/session_id` missing for a session's goal, `/occurred_at`.
        UnknownItem: the session or episode is not one of this client's.
        RuleBroken: `goal-already-set`, `too-many-gbo-goals`.
    """
    if goal_id in record.goals:
        raise RuleBroken("goal-already-set", "A goal is set once; reword it instead.")
    _require_text(text)
    _require_words(scale, scope, agreed_by)
    if anchors and (scale != "gas" or any(level not in ANCHORS for level in anchors)):
        raise InvalidContent("/anchors", "Are for the levels -2 to 2 of a goal that is rated on the GAS scale.")
    if baseline is not None:
        baseline = _on_scale(scale, baseline, "/baseline")
    for pointer, weight in (("/importance", importance), ("/difficulty", difficulty)):
        if weight not in WEIGHTS:
            raise InvalidContent(pointer, "Is not 1, 2 or 3.")
    if scope == "session" and session_id is None:
        raise InvalidContent("/session_id", "Is needed for the goal of a session.")
    if session_id is not None:
        record.require_session(session_id)
    if episode_id is not None:
        record.item("episode", record.episodes, episode_id)
    _require_room(record, scale)
    return [
        GoalSet(
            goal_id=goal_id,
            text=text,
            scale=scale,
            anchors=dict(anchors or {}),
            baseline=baseline,
            importance=importance,
            difficulty=difficulty,
            agreed_by=agreed_by,
            scope=scope,
            session_id=session_id,
            episode_id=episode_id,
            **context.stamp(occurred_at),
        )
    ]


def _require_text(text: str | None) -> str:
    if text is None or not text.strip():
        raise InvalidContent("/text", "Holds no text.")
    return text


def _require_words(scale: str, scope: str, agreed_by: str) -> None:
    if scale not in SCALES:
        raise InvalidContent("/scale", "Is not a known scale of goals.")
    if scope not in get_args(Scope):
        raise InvalidContent("/scope", "Is neither session nor treatment.")
    if agreed_by not in get_args(Party):
        raise InvalidContent("/agreed_by", "Is not client, therapist or both.")


def _on_scale(scale: str, value: int, pointer: str) -> int:
    measure = SCALES[scale]
    if measure is None:
        raise InvalidContent(pointer, "Cannot be given for a goal without a scale.")
    level = measure.answer(value, pointer)
    if level is None:
        raise InvalidContent(pointer, "A goal's level is a number.")
    return int(level)


def _stamp_since(goal: GoalState, context: Context, occurred_at: datetime | None) -> dict[str, Any]:
    stamp = context.stamp(occurred_at)
    if stamp["occurred_at"] < goal.set_at:
        raise InvalidContent("/occurred_at", "Lies before the goal was set.")
    return stamp


def _require_room(record: ClientRecord, scale: str) -> None:
    measure = SCALES[scale]
    if measure is None or measure.max_goals is None:
        return
    active = sum(goal.scale == scale and goal.status == "active" for goal in record.goals.values())
    if active >= measure.max_goals:
        raise RuleBroken("too-many-gbo-goals", "Three goals on the GBO scale are active; close or pause one first.")


@decision("goal.rate")
def rate_goal(
    record: ClientRecord,
    context: Context,
    *,
    goal_id: UUID,
    value: int,
    rater: Party = "client",
    session_id: UUID | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Rate a goal on the scale that it was set with.

    Raises:
        UnknownItem: the goal or the session is not one of this client's.
        RuleBroken: `goal-closed`, `goal-entered-in-error`, `goal-has-no-scale`.
        InvalidContent: `/value` out of the scale, `/rater`, `/occurred_at` in the future or before the goal was set.
    """
    goal = _standing(record, goal_id)
    if goal.status in CLOSED:
        raise RuleBroken("goal-closed", "A closed goal is not rated; reopen it first.")
    if goal.scale == "none":
        raise RuleBroken("goal-has-no-scale", "This goal was set without a scale.")
    value = _on_scale(goal.scale, value, "/value")
    if rater not in get_args(Party):
        raise InvalidContent("/rater", "Is not client, therapist or both.")
    if session_id is not None:
        record.require_session(session_id)
    stamp = _stamp_since(goal, context, occurred_at)
    return [GoalRated(goal_id=goal_id, scale=goal.scale, value=value, rater=rater, session_id=session_id, **stamp)]


_MOVES: dict[str, tuple[Callable[..., Event], tuple[GoalStatus, ...], GoalStatus]] = {
    "pause": (GoalPaused, ("active",), "paused"),
    "resume": (GoalResumed, ("paused",), "active"),
    "achieve": (GoalAchieved, ("active", "paused"), "achieved"),
    "partly-achieve": (GoalPartlyAchieved, ("active", "paused"), "partly-achieved"),
    "abandon": (GoalAbandoned, ("active", "paused"), "abandoned"),
    "reopen": (GoalReopened, CLOSED, "active"),
}
"""Change → its event, the statuses it starts from, the status it leads to."""

CHANGES = ("reword", *_MOVES)
"""The names of the changes that `change_goal` makes."""


@decision("goal.change")
def change_goal(
    record: ClientRecord,
    context: Context,
    *,
    goal_id: UUID,
    change: str,
    text: str | None = None,
    reason: str | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Change a goal: reword (with `text`), pause, resume, achieve, partly-achieve, abandon (with `reason`), reopen.

    Nothing to do where the goal stands there already.

    Raises:
        UnknownItem: no such goal in this record.
        InvalidContent: `/change` unknown, `/text` missing or not asked for, `/reason` missing, `/occurred_at` in the
            future or before the goal was set.
        RuleBroken: `goal-entered-in-error`, `goal-closed`, `goal-not-closed` (reopening a paused goal),
            `too-many-gbo-goals`.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    if change not in CHANGES:
        raise InvalidContent("/change", "Is not a known change of a goal.")
    goal = _standing(record, goal_id)
    if change != "reword" and text is not None:
        raise InvalidContent("/text", "Is only for rewording a goal.")
    if change != "reword" and goal.status == _MOVES[change][2]:
        return []
    context.require_version(goal.version)
    stamp = _stamp_since(goal, context, occurred_at)
    if change == "reword":
        if goal.status in CLOSED:
            raise RuleBroken("goal-closed", "A closed goal is not reworded; reopen it first.")
        return [GoalReworded(goal_id=goal_id, text=_require_text(text), reason=reason, **stamp)]
    event, before, after = _MOVES[change]
    _require_status(goal, before)
    if change == "abandon" and not (reason and reason.strip()):
        raise InvalidContent("/reason", "Giving a goal up needs a reason.")
    if after == "active":
        _require_room(record, goal.scale)
    return [event(goal_id=goal_id, reason=reason, **stamp)]


def _standing(record: ClientRecord, goal_id: UUID) -> GoalState:
    goal = record.item("goal", record.goals, goal_id)
    if goal.status == "entered-in-error":
        raise RuleBroken("goal-entered-in-error", "The goal was entered in error; set a new one.")
    return goal


def _require_status(goal: GoalState, allowed: tuple[GoalStatus, ...]) -> None:
    if goal.status in allowed:
        return
    if goal.status in CLOSED:
        raise RuleBroken("goal-closed", "The goal is closed; reopen it first.")
    raise RuleBroken("goal-not-closed", "The goal is not closed.")


@decision("goal.error")
def mark_goal_entered_in_error(
    record: ClientRecord, context: Context, *, goal_id: UUID, reason: str
) -> Sequence[Event]:
    """Take a goal out of the ordinary view; nothing to do where that was done.

    Raises:
        UnknownItem: no such goal in this record.
        InvalidContent: `/reason` says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    goal = record.item("goal", record.goals, goal_id)
    if goal.status == "entered-in-error":
        return []
    context.require_version(goal.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [GoalEnteredInError(goal_id=goal_id, reason=reason, **context.stamp())]
