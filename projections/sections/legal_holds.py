"""Legal holds, as the current view and the view of retention show them.

- The current view shows those that stand; whoever looks after retention sees those that were lifted too.
- Whoever keeps the audit places and lifts holds, and so sees every word of them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.event import Recorded
from records.legal_hold import AUTHORITIES, LegalHoldLifted, LegalHoldPlaced


class LegalHoldItem(msgspec.Struct, frozen=True, kw_only=True):
    """One legal hold; fields as in `records.legal_hold.LegalHoldPlaced`.

    Attributes:
        id, version: the hold, and the version of the last event that touched it (the ETag).
        authority_label: the authority in words.
        placed_at, placed_by, placed_by_name: when, and who recorded it.
        lifted_at, lifted_by, lifted_by_name, lifted_reason: when and why it ended; None while it stands.
    """

    id: UUID
    version: int
    authority: str
    authority_label: str
    requested_by: str
    reference: str | None = None
    reason: str
    placed_at: datetime
    placed_by: str
    placed_by_name: str = ""
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lifted_by_name: str | None = None
    lifted_reason: str | None = None


class State(msgspec.Struct, kw_only=True):
    """Every hold by id, in the order in which they were placed. There are few in a life."""

    items: dict[UUID, LegalHoldItem] = msgspec.field(default_factory=dict)


def _placed(state: State, event: LegalHoldPlaced, recorded: Recorded) -> None:
    state.items[event.hold_id] = LegalHoldItem(
        id=event.hold_id,
        version=recorded.version,
        authority=event.authority,
        authority_label=AUTHORITIES.get(event.authority, event.authority),
        requested_by=event.requested_by,
        reference=event.reference,
        reason=event.reason,
        placed_at=event.occurred_at,
        placed_by=event.entered_by,
    )


def _lifted(state: State, event: LegalHoldLifted, recorded: Recorded) -> None:
    item = state.items.get(event.hold_id)
    if item is not None:
        state.items[event.hold_id] = msgspec.structs.replace(
            item,
            version=recorded.version,
            lifted_at=event.occurred_at,
            lifted_by=event.entered_by,
            lifted_reason=event.reason,
        )


SHOWS: dict[type, Handler] = {LegalHoldPlaced: _placed, LegalHoldLifted: _lifted}


def render(state: State, viewing: Viewing, *, lifted: bool = False) -> tuple[LegalHoldItem, ...]:
    """Return the holds with names of staff, the newest first; those that were lifted only where they are wanted."""
    name_of = viewing.name_of
    return tuple(
        msgspec.structs.replace(
            item,
            placed_by_name=name_of(item.placed_by),
            lifted_by_name=None if item.lifted_by is None else name_of(item.lifted_by),
        )
        for item in reversed(state.items.values())
        if lifted or item.lifted_at is None
    )
