"""What the roster keeps of each client: a name to find, and what puts a client on top of a caseload.

- No clinical text: of risk only which prompts are open and since when, of sessions only times.
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
from records.access import AccessRecorded
from records.assessments import AssessmentEnteredInError, AssessmentRecorded
from records.bookings import AttendanceRecorded, SessionBooked, SessionCancelled, SessionRescheduled, status_after
from records.care_team import CareTeamMemberAdded, CareTeamMemberRemoved
from records.clinic import EVENTS as CLINIC_EVENTS
from records.consent import EVENTS as CONSENT_EVENTS
from records.emergency import EVENTS as EMERGENCY_EVENTS
from records.episodes import EpisodeClosed, EpisodeOpened, EpisodePhaseSet
from records.event import Event, Recorded
from records.goals import EVENTS as GOAL_EVENTS
from records.notes import EVENTS as NOTE_EVENTS
from records.registration import ClientIdentityChanged, ClientRegistered
from records.reviews import EVENTS as REVIEW_EVENTS
from records.risk import RiskAssessed, RiskPromptCleared
from records.second_factor import EVENTS as SECOND_FACTOR_EVENTS
from records.sessions import SessionBreachRecorded, SessionHeld
from records.staff import EVENTS as STAFF_EVENTS
from records.store.mapper import Unreadable

PLACE = "roster"
FOLD_SCHEMA = 1
"""Version of the fold: it changes with the layout or the meaning of the state; older rows are folded anew."""

KEPT_AFTER = timedelta(days=7)


class RosterState(msgspec.Struct, kw_only=True):
    """One client in the roster.

    Attributes:
        prompts: open risk prompts, assessment → when it was filled in.
        episodes: episode → whether it is open.
        bookings: session → when it is to begin.
        last_session: when the last session that was held began.
    """

    version: int = 0
    gaps: list[int] = msgspec.field(default_factory=list)
    family: str = ""
    given: str = ""
    preferred_name: str | None = None
    birth_date: str | None = None
    prompts: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    episodes: dict[UUID, bool] = msgspec.field(default_factory=dict)
    bookings: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    last_session: datetime | None = None

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}".strip()

    @property
    def episode(self) -> str | None:
        """`open` where an episode is, `closed` where all are, None without one."""
        if not self.episodes:
            return None
        return "open" if any(self.episodes.values()) else "closed"

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
    state.preferred_name, state.birth_date = identity.preferred_name, identity.birth_date


def _identity_changed(state: RosterState, event: ClientIdentityChanged, recorded: Recorded) -> None:
    for name in ("family", "given", "preferred_name", "birth_date"):
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


def _opened(state: RosterState, event: EpisodeOpened, recorded: Recorded) -> None:
    state.episodes[event.episode_id] = True


def _closed(state: RosterState, event: EpisodeClosed, recorded: Recorded) -> None:
    state.episodes[event.episode_id] = False


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
    state.last_session = event.started_at if state.last_session is None else max(state.last_session, event.started_at)


SHOWS: dict[type[Event], Callable[[RosterState, Any, Recorded], None]] = {
    ClientRegistered: _registered,
    ClientIdentityChanged: _identity_changed,
    AssessmentRecorded: _assessed,
    AssessmentEnteredInError: _closes_prompt,
    RiskPromptCleared: _closes_prompt,
    RiskAssessed: _risk_assessed,
    EpisodeOpened: _opened,
    EpisodeClosed: _closed,
    SessionBooked: _booked,
    SessionRescheduled: _booked,
    AttendanceRecorded: _attended,
    SessionCancelled: _cancelled,
    SessionHeld: _held,
}

IGNORED: tuple[type[Event], ...] = (
    # What a caseload does not tell: consents, goals, notes, phases and breaches stand in the current view.
    *CONSENT_EVENTS,
    *GOAL_EVENTS,
    *NOTE_EVENTS,
    EpisodePhaseSet,
    SessionBreachRecorded,
    # Of other streams: who looked has its own report, and teams, staff and clinic are folded by the directory.
    AccessRecorded,
    CareTeamMemberAdded,
    CareTeamMemberRemoved,
    *STAFF_EVENTS,
    *SECOND_FACTOR_EVENTS,
    *EMERGENCY_EVENTS,
    *REVIEW_EVENTS,
    *CLINIC_EVENTS,
)


def apply(state: RosterState, recorded: Recorded) -> None:
    """Move a client's entry on by one event."""
    handler = SHOWS.get(type(recorded.event))
    if handler is not None:
        handler(state, recorded.event, recorded)
    if type(recorded.event) is Unreadable:
        state.gaps.append(recorded.version)
    state.version = recorded.version


SNAPSHOT = Snapshot(PLACE, FOLD_SCHEMA, RosterState, apply)
