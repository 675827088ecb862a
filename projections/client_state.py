"""The current state of a client's record, as far as views show it: the fold that `projections.client_view` renders.

- Each section is one concept in `projections.sections`: a state, what it does with each event, and how it is shown. A
  new concept is a new file there, a line in `SECTIONS` and a field of `ClientState`.
- The state is bounded, so that a long record is as quick to show as a short one; what falls out is in the history.
- Events that cannot be opened are kept as gaps.
- Folding is pure: the same events in the same order give the same state, from a stored row or from the beginning.

It knows neither who reads nor what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from projections.sealed_rows import Snapshot
from projections.sections import (
    assessments,
    attachments,
    consents,
    corrections,
    disclosures,
    episodes,
    goals,
    identity,
    legal_holds,
    notes,
    notes_due,
    retention,
    risk,
    sessions,
)
from projections.sections.viewing import Handler
from records.access import AccessRecorded
from records.care_team import CareTeamMemberAdded, CareTeamMemberRemoved
from records.clinic import EVENTS as CLINIC_EVENTS
from records.emergency import EVENTS as EMERGENCY_EVENTS
from records.erasure import EVENTS as ERASURE_EVENTS
from records.event import Event, Recorded
from records.imports import EVENTS as IMPORT_EVENTS
from records.reviews import EVENTS as REVIEW_EVENTS
from records.second_factor import EVENTS as SECOND_FACTOR_EVENTS
from records.spot_checks import EVENTS as SPOT_CHECK_EVENTS
from records.staff import EVENTS as STAFF_EVENTS
from records.store.mapper import Unreadable

SECTIONS = {
    "identity": identity.SHOWS,
    "consents": consents.SHOWS,
    "episodes": episodes.SHOWS,
    "sessions": sessions.SHOWS,
    "assessments": assessments.SHOWS,
    "goals": goals.SHOWS,
    "notes": notes.SHOWS,
    "notes_due": notes_due.SHOWS,
    "attachments": attachments.SHOWS,
    "disclosures": disclosures.SHOWS,
    "risk": risk.SHOWS,
    "corrections": corrections.SHOWS,
    "legal_holds": legal_holds.SHOWS,
    "retention": retention.SHOWS,
}
"""Field of `ClientState` → event class → handler."""

IGNORED: tuple[type[Event], ...] = (
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

PLACE = "view:client"
FOLD_SCHEMA = 4
"""Version of the fold: it changes with the layout or the meaning of any section's state; older rows are folded anew."""


class ClientState(msgspec.Struct, kw_only=True):
    """Everything that the current view keeps of a record. Its size does not grow with the record's length."""

    version: int = 0
    gaps: list[int] = msgspec.field(default_factory=list)
    identity: identity.State = msgspec.field(default_factory=identity.State)
    consents: consents.State = msgspec.field(default_factory=consents.State)
    episodes: episodes.State = msgspec.field(default_factory=episodes.State)
    sessions: sessions.State = msgspec.field(default_factory=sessions.State)
    assessments: assessments.State = msgspec.field(default_factory=assessments.State)
    goals: goals.State = msgspec.field(default_factory=goals.State)
    notes: notes.State = msgspec.field(default_factory=notes.State)
    notes_due: notes_due.State = msgspec.field(default_factory=notes_due.State)
    attachments: attachments.State = msgspec.field(default_factory=attachments.State)
    disclosures: disclosures.State = msgspec.field(default_factory=disclosures.State)
    risk: risk.State = msgspec.field(default_factory=risk.State)
    corrections: corrections.State = msgspec.field(default_factory=corrections.State)
    legal_holds: legal_holds.State = msgspec.field(default_factory=legal_holds.State)
    retention: retention.State = msgspec.field(default_factory=retention.State)


def _by_class() -> dict[type, tuple[tuple[str, Handler], ...]]:
    found: dict[type, tuple[tuple[str, Handler], ...]] = {}
    for field, shows in SECTIONS.items():
        for event, handler in shows.items():
            found[event] = (*found.get(event, ()), (field, handler))
    return found


_HANDLERS = _by_class()
SHOWS: tuple[type[Event], ...] = tuple(_HANDLERS)


def apply(state: ClientState, recorded: Recorded) -> None:
    """Move the state on by one event. Cost: a few microseconds."""
    event = recorded.event
    for field, handler in _HANDLERS.get(type(event), ()):
        handler(getattr(state, field), event, recorded)
    if type(event) is Unreadable:
        state.gaps.append(recorded.version)
    state.version = recorded.version


SNAPSHOT = Snapshot(PLACE, FOLD_SCHEMA, ClientState, apply)


def counts(recorded: Recorded, known_at: datetime | None, valid_at: datetime | None) -> bool:
    """Tell whether an event was known at one past moment and had happened at the other; None means now."""
    return (known_at is None or recorded.recorded_at <= known_at) and (
        valid_at is None or recorded.event.occurred_at <= valid_at
    )


def fold(events: Iterable[Recorded]) -> ClientState:
    """Return the state after events in their order."""
    state = ClientState()
    for recorded in events:
        apply(state, recorded)
    return state
