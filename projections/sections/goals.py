"""Goals, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from records.client_record import GoalStatus


class GoalItem(msgspec.Struct, frozen=True, kw_only=True):
    """One goal.

    Attributes:
        id, version: the goal, and the version of the last event that touched it (the ETag).
        text: the newest wording, in the client's words; `reworded` tells that there are older ones.
        scale: gas, gbo or none; `anchors` are the words for the levels of gas.
        baseline: where it stood at the start.
        first_rating, last_rating, rated_at, ratings: first and last value, when the last was given, how many.
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
        gas_t_score: T-score of the open goals on the GAS scale by their last ratings; None without one.
        gas_t_score_baseline: the same by their baselines.
    """

    items: tuple[GoalItem, ...] = ()
    gas_t_score: float | None = None
    gas_t_score_baseline: float | None = None
