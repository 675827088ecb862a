"""Identity, as the current view shows it.

- The registration gives it, each change replaces the fields that it names; earlier values stay in the history.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from projections.sections.viewing import Handler
from records.event import Recorded
from records.registration import ClientIdentityChanged, ClientRegistered, Identity


class IdentityItem(Identity, frozen=True, kw_only=True, omit_defaults=False):
    """Who the client is and how to reach them; the fields are those of `Identity`.

    Attributes:
        version: version of the last event that touched identity (the ETag).
        registered_at: when the client was registered.
    """

    version: int
    registered_at: datetime


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


SHOWS: dict[type, Handler] = {ClientRegistered: _registered, ClientIdentityChanged: _changed}


def render(state: State) -> IdentityItem | None:
    """Return identity as it stands; the same for every reader of the view."""
    return state.item
