"""Sessions and bookings, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from records.client_record import SessionStatus


class SessionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One session, booked, held, missed or cancelled.

    Attributes:
        id, version: the session, and the version of the last event that touched it (the ETag).
        start: when it is planned to begin, and once held, when it began.
        minutes: its planned length; ended_at: when a held one ended.
        mode, setting, attendance: codes of `records.care_codes`.
        number, phase, methods: of a held session.
        reason: why it was moved or cancelled.
        breach: consent kinds that were missing when it was held, and other breaches.
        breach_reason: why it was held all the same.
    """

    id: UUID
    version: int
    episode_id: UUID
    kind: str
    status: SessionStatus
    start: datetime
    minutes: int | None = None
    ended_at: datetime | None = None
    mode: str
    setting: str
    room: str | None = None
    attendance: str | None = None
    number: int | None = None
    phase: str | None = None
    methods: tuple[str, ...] = ()
    reason: str | None = None
    breach: tuple[str, ...] = ()
    breach_reason: str | None = None


class DeskSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as the front desk sees it: when, where and whether somebody came; fields as in `SessionItem`."""

    id: UUID
    version: int
    episode_id: UUID
    kind: str
    status: SessionStatus
    start: datetime
    minutes: int | None = None
    mode: str
    setting: str
    room: str | None = None
    attendance: str | None = None
