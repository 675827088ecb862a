"""What the roster keeps of each client: a name to find, what puts them on top of a caseload, and how long to keep it.

- No clinical text: of risk only which prompts are open and since when, of sessions only times, of notes
  only whether there is one.
- Bounded: bookings that passed long ago are dropped.
- Folding is pure, as in `projections.client_state`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from projections.sealed_rows import Snapshot
from projections.sections import notes_due, retention
from records.access import AccessRecorded
from records.assessments import AssessmentEnteredInError, AssessmentRecorded
from records.attachments import EVENTS as ATTACHMENT_EVENTS
from records.bookings import AttendanceRecorded, SessionBooked, SessionCancelled, SessionRescheduled, status_after
from records.breaches import SessionBreachReviewed
from records.care_team import CareTeamMemberAdded, CareTeamMemberRemoved
from records.clinic import EVENTS as CLINIC_EVENTS
from records.consent import EVENTS as CONSENT_EVENTS
from records.disclosures import EVENTS as DISCLOSURE_EVENTS
from records.emergency import EVENTS as EMERGENCY_EVENTS
from records.episodes import EpisodeClosed, EpisodeOpened, EpisodePhaseSet, EpisodeProtocolChanged
from records.erasure import EVENTS as ERASURE_EVENTS
from records.event import Event, Recorded
from records.goals import EVENTS as GOAL_EVENTS
from records.imports import EVENTS as IMPORT_EVENTS
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned
from records.registration import ClientIdentityChanged, ClientRegistered
from records.reviews import EVENTS as REVIEW_EVENTS
from records.risk import RiskAssessed, RiskAssessmentEnteredInError, RiskPromptCleared
from records.second_factor import EVENTS as SECOND_FACTOR_EVENTS
from records.sessions import SessionBreachRecorded, SessionEnteredInError, SessionHeld
from records.spot_checks import EVENTS as SPOT_CHECK_EVENTS
from records.staff import EVENTS as STAFF_EVENTS
from records.store.mapper import Unreadable

PLACE = "roster"
FOLD_SCHEMA = 3
"""Version of the fold: it changes with the layout or the meaning of the state; older rows are folded anew."""

KEPT_AFTER = timedelta(days=7)
KEPT_HELD = 5


class RosterState(msgspec.Struct, kw_only=True):
    """One client in the roster.

    Attributes:
        prompts: open risk prompts, assessment → when it was filled in.
        address: as it was given, for comparing.
        episodes: episode → when it began, and when it ended; None while it is open.
        bookings: session → when it is to begin.
        notes_due: what tells which sessions wait for a note, as in `projections.sections.notes_due`.
        held: the last sessions that were held → when each began.
        retention: what deadlines are counted from, as in `projections.sections.retention`.
    """

    version: int = 0
    gaps: list[int] = msgspec.field(default_factory=list)
    family: str = ""
    given: str = ""
    preferred_name: str | None = None
    birth_date: str | None = None
    address: str | None = None
    prompts: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    episodes: dict[UUID, tuple[datetime, datetime | None]] = msgspec.field(default_factory=dict)
    bookings: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    notes_due: notes_due.State = msgspec.field(default_factory=notes_due.State)
    held: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    retention: retention.State = msgspec.field(default_factory=retention.State)

    @property
    def last_session(self) -> datetime | None:
        """When the last session that was held began."""
        return max(self.held.values(), default=None)

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}".strip()

    @property
    def episode(self) -> str | None:
        """`open` where an episode is, `closed` where all are, None without one."""
        if not self.episodes:
            return None
        return "open" if any(end is None for _, end in self.episodes.values()) else "closed"

    def next_booking(self, at: datetime) -> datetime | None:
        """Return when the next booked session begins."""
        return min((start for start in self.bookings.values() if start >= at), default=None)

    def words(self) -> tuple[str, ...]:
        """Return the words that a search by name finds."""
        return search_words(f"{self.family} {self.given} {self.preferred_name or ''}")

    def order(self) -> tuple[str, str]:
        """Return the key that puts names in order."""
        return plain(self.family or self.given), plain(self.given)


def plain(text: str) -> str:
    """Return a text without accents and case, for comparing names."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(letter)
    )


def search_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, plain."""
    return tuple("".join(letter if letter.isalnum() else " " for letter in plain(text)).split())


def _registered(state: RosterState, event: ClientRegistered, recorded: Recorded) -> None:
    identity = event.identity
    state.family, state.given = identity.family, identity.given
    state.preferred_name, state.birth_date, state.address = (
        identity.preferred_name,
        identity.birth_date,
        identity.address,
    )


def _identity_changed(state: RosterState, event: ClientIdentityChanged, recorded: Recorded) -> None:
    for name in ("family", "given", "preferred_name", "birth_date", "address"):
        value = getattr(event.changes, name)
        if value is not UNSET:
            setattr(state, name, value)


def _assessed(state: RosterState, event: AssessmentRecorded, recorded: Recorded) -> None:
    if event.risk_prompt is not None:
        state.prompts[event.assessment_id] = event.occurred_at


def _closes_prompt(state: RosterState, event: AssessmentEnteredInError | RiskPromptCleared, recorded: Recorded) -> None:
    state.prompts.pop(event.assessment_id, None)


def _risk_assessed(state: RosterState, event: RiskAssessed, recorded: Recorded) -> None:
    for assessment_id in event.answers:
        state.prompts.pop(assessment_id, None)


def _risk_in_error(state: RosterState, event: RiskAssessmentEnteredInError, recorded: Recorded) -> None:
    for prompt in event.reopens:
        state.prompts[prompt.assessment_id] = prompt.taken_at


def _opened(state: RosterState, event: EpisodeOpened, recorded: Recorded) -> None:
    state.episodes[event.episode_id] = (event.occurred_at, None)


def _closed(state: RosterState, event: EpisodeClosed, recorded: Recorded) -> None:
    begin, _ = state.episodes.get(event.episode_id, (event.occurred_at, None))
    state.episodes[event.episode_id] = (begin, event.occurred_at)


def _booked(state: RosterState, event: SessionBooked | SessionRescheduled, recorded: Recorded) -> None:
    oldest = recorded.recorded_at - KEPT_AFTER
    for session_id in [key for key, start in state.bookings.items() if start < oldest]:
        del state.bookings[session_id]
    state.bookings[event.session_id] = event.start


def _attended(state: RosterState, event: AttendanceRecorded, recorded: Recorded) -> None:
    if status_after(event.code) != "booked":
        state.bookings.pop(event.session_id, None)


def _cancelled(state: RosterState, event: SessionCancelled, recorded: Recorded) -> None:
    state.bookings.pop(event.session_id, None)


def _held(state: RosterState, event: SessionHeld, recorded: Recorded) -> None:
    state.bookings.pop(event.session_id, None)
    _note_due(state, event, recorded)
    state.held[event.session_id] = event.started_at
    for oldest in sorted(state.held, key=lambda key: (state.held[key], key))[:-KEPT_HELD]:
        del state.held[oldest]


def _session_in_error(state: RosterState, event: SessionEnteredInError, recorded: Recorded) -> None:
    _note_due(state, event, recorded)
    state.held.pop(event.session_id, None)


def _note_due(state: RosterState, event: Event, recorded: Recorded) -> None:
    notes_due.SHOWS[type(event)](state.notes_due, event, recorded)


_OWN: dict[type[Event], Callable[[RosterState, Any, Recorded], None]] = {
    ClientRegistered: _registered,
    ClientIdentityChanged: _identity_changed,
    AssessmentRecorded: _assessed,
    AssessmentEnteredInError: _closes_prompt,
    RiskPromptCleared: _closes_prompt,
    RiskAssessed: _risk_assessed,
    RiskAssessmentEnteredInError: _risk_in_error,
    EpisodeOpened: _opened,
    EpisodeClosed: _closed,
    SessionBooked: _booked,
    SessionRescheduled: _booked,
    AttendanceRecorded: _attended,
    SessionCancelled: _cancelled,
    SessionHeld: _held,
    SessionEnteredInError: _session_in_error,
    NoteSigned: _note_due,
    NoteEnteredInError: _note_due,
}
SHOWS: tuple[type[Event], ...] = tuple(dict.fromkeys((*_OWN, *retention.SHOWS)))

IGNORED: tuple[type[Event], ...] = (
    # What a caseload does not tell: consents, goals, texts, disclosures, phases and breaches stand in the current view.
    *CONSENT_EVENTS,
    *GOAL_EVENTS,
    NoteAddendumSigned,
    NoteAmended,
    *ATTACHMENT_EVENTS,
    *DISCLOSURE_EVENTS,
    EpisodePhaseSet,
    EpisodeProtocolChanged,
    SessionBreachRecorded,
    SessionBreachReviewed,
    # Of other streams: who looked has its own report, and teams, staff and clinic are folded by the directory.
    AccessRecorded,
    CareTeamMemberAdded,
    CareTeamMemberRemoved,
    *STAFF_EVENTS,
    *SECOND_FACTOR_EVENTS,
    *EMERGENCY_EVENTS,
    *REVIEW_EVENTS,
    *CLINIC_EVENTS,
    *SPOT_CHECK_EVENTS,
    *ERASURE_EVENTS,
    *IMPORT_EVENTS,
)


def apply(state: RosterState, recorded: Recorded) -> None:
    """Move a client's entry on by one event."""
    handler = _OWN.get(type(recorded.event))
    if handler is not None:
        handler(state, recorded.event, recorded)
    kept = retention.SHOWS.get(type(recorded.event))
    if kept is not None:
        kept(state.retention, recorded.event, recorded)
    if type(recorded.event) is Unreadable:
        state.gaps.append(recorded.version)
    state.version = recorded.version


SNAPSHOT = Snapshot(PLACE, FOLD_SCHEMA, RosterState, apply)
