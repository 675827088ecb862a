"""Retention: what the fold of a record keeps of the facts that its deadlines are counted from.

- Deadlines are counted when somebody looks (`records.retention`); here are only days and what is open, no text.
- Bounded: of the sessions that were held, only the last few stay, so that the last one is known when one turns out to
  have been entered in error.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from uuid import UUID

import msgspec
from msgspec import UNSET

from projections.sections.viewing import Handler
from records.assessments import AssessmentRecorded
from records.care_codes import DECEASED
from records.episodes import EpisodeClosed, EpisodeOpened
from records.event import Recorded
from records.legal_hold import LegalHoldLifted, LegalHoldPlaced
from records.notes import NoteSigned
from records.registration import (
    ClientDeathEnteredInError,
    ClientDeathRecorded,
    ClientIdentityChanged,
    ClientRegistered,
    earliest_birth_date,
    latest_birth_date,
)
from records.retention import Facts
from records.sessions import SessionEnteredInError, SessionHeld

KEPT_HELD = 5


class State(msgspec.Struct, kw_only=True):
    """The facts so far.

    Attributes:
        begun: when the client was registered, or an episode began before that; None where that cannot be read.
        contact: the last registration, note or questionnaire.
        closed: the last closing of an episode.
        treated: there was an episode.
        open: the episodes that are open.
        held: the last sessions that were held → when each began.
        birth_date: as it was given.
        died, died_exactly: the latest day that the death can be, and whether it is the very day.
        closed_by_death: an episode was closed because the client died.
        holds: legal holds that stand → since when.
    """

    begun: datetime | None = None
    contact: datetime | None = None
    closed: datetime | None = None
    treated: bool = False
    open: list[UUID] = msgspec.field(default_factory=list)
    held: dict[UUID, datetime] = msgspec.field(default_factory=dict)
    birth_date: str | None = None
    died: date | None = None
    died_exactly: bool = True
    closed_by_death: bool = False
    holds: dict[UUID, datetime] = msgspec.field(default_factory=dict)


def facts(state: State, zone: tzinfo = UTC) -> Facts | None:
    """Return the facts that deadlines are counted from, or None where the registration cannot be read."""
    if state.begun is None or state.contact is None:
        return None
    ended = [*state.held.values(), *([state.closed] if state.closed is not None else [])]
    if not state.treated or not ended:
        ended.append(state.contact)
    born = state.birth_date
    return Facts(
        first_contact=state.begun.astimezone(zone).date(),
        last_contact=max(ended).astimezone(zone).date(),
        treatment_open=bool(state.open),
        treated=state.treated,
        born_earliest=None if born is None else earliest_birth_date(born),
        born_latest=None if born is None else latest_birth_date(born),
        died=state.died,
        died_exactly=state.died_exactly,
        closed_by_death=state.closed_by_death,
    )


def _registered(state: State, event: ClientRegistered, recorded: Recorded) -> None:
    state.begun = state.contact = event.occurred_at
    state.birth_date = event.identity.birth_date


def _changed(state: State, event: ClientIdentityChanged, recorded: Recorded) -> None:
    if event.changes.birth_date is not UNSET:
        state.birth_date = event.changes.birth_date


def _died(state: State, event: ClientDeathRecorded, recorded: Recorded) -> None:
    state.died, state.died_exactly = event.latest_day, event.exact


def _lives(state: State, event: ClientDeathEnteredInError, recorded: Recorded) -> None:
    state.died, state.died_exactly = None, True


def _opened(state: State, event: EpisodeOpened, recorded: Recorded) -> None:
    state.treated = True
    state.open.append(event.episode_id)
    state.begun = min(state.begun or event.occurred_at, event.occurred_at)


def _closed(state: State, event: EpisodeClosed, recorded: Recorded) -> None:
    state.treated = True
    if event.episode_id in state.open:
        state.open.remove(event.episode_id)
    state.closed = max(state.closed or event.occurred_at, event.occurred_at)
    state.closed_by_death = state.closed_by_death or event.reason in DECEASED


def _held(state: State, event: SessionHeld, recorded: Recorded) -> None:
    state.held[event.session_id] = event.started_at
    for oldest in sorted(state.held, key=lambda key: (state.held[key], key))[:-KEPT_HELD]:
        del state.held[oldest]


def _session_in_error(state: State, event: SessionEnteredInError, recorded: Recorded) -> None:
    state.held.pop(event.session_id, None)


def _contact(state: State, event: NoteSigned | AssessmentRecorded, recorded: Recorded) -> None:
    if state.contact is not None:
        state.contact = max(state.contact, event.occurred_at)


def _hold(state: State, event: LegalHoldPlaced, recorded: Recorded) -> None:
    state.holds[event.hold_id] = event.occurred_at


def _lifted(state: State, event: LegalHoldLifted, recorded: Recorded) -> None:
    state.holds.pop(event.hold_id, None)


SHOWS: dict[type, Handler] = {
    ClientRegistered: _registered,
    ClientIdentityChanged: _changed,
    ClientDeathRecorded: _died,
    ClientDeathEnteredInError: _lives,
    EpisodeOpened: _opened,
    EpisodeClosed: _closed,
    SessionHeld: _held,
    SessionEnteredInError: _session_in_error,
    NoteSigned: _contact,
    AssessmentRecorded: _contact,
    LegalHoldPlaced: _hold,
    LegalHoldLifted: _lifted,
}
