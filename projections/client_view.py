"""The current view of a client's record."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.sections.assessments import MeasureItem
from projections.sections.consents import ConsentItem, DeskConsent
from projections.sections.episodes import EpisodeItem
from projections.sections.goals import GoalsShown
from projections.sections.identity import IdentityItem
from projections.sections.notes import NoteItem
from projections.sections.risk import PromptItem, RiskItem
from projections.sections.sessions import DeskSession, SessionItem

AlertKind = Literal["breach", "deterioration", "risk-item-unanswered", "risk-review-due", "unreadable"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a clinician or supervisor must see first.

    Attributes:
        kind: what it is.
        text: one sentence for people.
        since: when it arose; None where that cannot be told.
        about: the session, assessment or risk assessment that it is about.
    """

    kind: AlertKind
    text: str
    since: datetime | None = None
    about: UUID | None = None


class ClientDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="view", tag="clinical"):
    """The current view, for the care team and its supervisors. What endangers the client comes first.

    Attributes:
        client_id, version: the client, and the version of the record's last event.
        known_at, valid_at: the past moments that were asked about; None for now.
        risk_prompts: open prompts, oldest first.
        consents: those in force first, then how the other kinds stand.
        next_session, bookings, last_sessions: what comes next, what comes after it, and the last five.
        notes: the last five; `notes_in_error` counts those that are hidden because they were entered in error.
        gaps: versions of events that could not be opened; the rest is shown.
    """

    client_id: UUID
    version: int
    known_at: datetime | None = None
    valid_at: datetime | None = None
    risk_prompts: tuple[PromptItem, ...] = ()
    alerts: tuple[Alert, ...] = ()
    identity: IdentityItem | None = None
    consents: tuple[ConsentItem, ...] = ()
    episodes: tuple[EpisodeItem, ...] = ()
    goals: GoalsShown
    measures: tuple[MeasureItem, ...] = ()
    risk: RiskItem | None = None
    next_session: SessionItem | None = None
    bookings: tuple[SessionItem, ...] = ()
    last_sessions: tuple[SessionItem, ...] = ()
    notes: tuple[NoteItem, ...] = ()
    notes_in_error: int = 0
    gaps: tuple[int, ...] = ()


class DeskDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="view", tag="desk"):
    """The current view for the front desk: identity, contact and bookings; no clinical text. Fields as above."""

    client_id: UUID
    version: int
    known_at: datetime | None = None
    valid_at: datetime | None = None
    identity: IdentityItem | None = None
    consents: tuple[DeskConsent, ...] = ()
    next_session: DeskSession | None = None
    bookings: tuple[DeskSession, ...] = ()
    last_sessions: tuple[DeskSession, ...] = ()
    gaps: tuple[int, ...] = ()
