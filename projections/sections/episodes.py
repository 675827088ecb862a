"""Episodes, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from records.episodes import ConcurrentTherapy


class EpisodeItem(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of care.

    Attributes:
        id, version: the episode, and the version of the last event that touched it (the ETag).
        phase: the phase of the next session: set by hand or planned; None where the protocol has none.
        phase_set_by_hand: the phase is not the plan's.
        planned_sessions, sessions_held: the plan, and the highest number of a session that was held.
        problem: what brings the client, in words.
        closed_at, close_reason, close_note: when and why it ended (NHS discharge code); None while it is open.
    """

    id: UUID
    version: int
    format: str
    modality: str
    modality_label: str | None = None
    protocol: str
    protocol_version: str | None = None
    phase: str | None = None
    phase_set_by_hand: bool = False
    planned_sessions: int
    sessions_held: int = 0
    problem: str | None = None
    referral: str | None = None
    setting: str
    concurrent_therapies: tuple[ConcurrentTherapy, ...] = ()
    opened_at: datetime
    closed_at: datetime | None = None
    close_reason: str | None = None
    close_note: str | None = None
