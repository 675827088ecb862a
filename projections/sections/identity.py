"""Identity, as the current view shows it.

- A death that was recorded is part of it, until it turns out to be an error.
- The registration gives it, each change replaces the fields that it names; earlier values stay in the history.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from projections.sections.viewing import Handler
from records.event import Recorded
from records.registration import (
    ClientDeathEnteredInError,
    ClientDeathRecorded,
    ClientIdentityChanged,
    ClientRegistered,
    Identity,
)


class IdentityItem(Identity, frozen=True, kw_only=True, omit_defaults=False):
    """Who the client is and how to reach them; the fields are those of `Identity`.

    Attributes:
        version: version of the last event that touched identity (the ETag).
        registered_at: when the client was registered.
        deceased, died_on: whether the client is known to have died, and when, as far as that is known.
    """

    version: int
    registered_at: datetime
    deceased: bool = False
    died_on: str | None = None


class State(msgspec.Struct, kw_only=True):
    """Identity so far; None where the registration cannot be read."""

    item: IdentityItem | None = None


def _registered(state: State, event: ClientRegistered, recorded: Recorded) -> None:
    identity = msgspec.structs.asdict(event.identity)
    state.item = IdentityItem(version=recorded.version, registered_at=event.occurred_at, **identity)


def _changed(state: State, event: ClientIdentityChanged, recorded: Recorded) -> None:
    if state.item is not None:
        changed = event.changes.applied_to(state.item)
        state.item = msgspec.structs.replace(
            state.item, **msgspec.structs.asdict(changed) | {"version": recorded.version}
        )


def _died(state: State, event: ClientDeathRecorded, recorded: Recorded) -> None:
    _death(state, recorded, deceased=True, died_on=event.died_on)


def _lives(state: State, event: ClientDeathEnteredInError, recorded: Recorded) -> None:
    _death(state, recorded, deceased=False, died_on=None)


def _death(state: State, recorded: Recorded, *, deceased: bool, died_on: str | None) -> None:
    if state.item is not None:
        state.item = msgspec.structs.replace(state.item, version=recorded.version, deceased=deceased, died_on=died_on)


SHOWS: dict[type, Handler] = {
    ClientRegistered: _registered,
    ClientIdentityChanged: _changed,
    ClientDeathRecorded: _died,
    ClientDeathEnteredInError: _lives,
}


def render(state: State) -> IdentityItem | None:
    """Return identity as it stands; the same for every reader of the view."""
    return state.item
