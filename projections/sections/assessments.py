"""Measures, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One assessment of a measure.

    Attributes:
        assessment_id, version: the assessment, and the version of the last event that touched it (the ETag).
        taken_at: when it was filled in.
        score, band: the total and its band; None where too many items were unanswered.
        score_only: only the total is known, so a risk item was never seen.
        prorated: the total was made from the mean of the answered items.
        risk_item_unanswered: the measure has a risk item, and it was left out.
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
