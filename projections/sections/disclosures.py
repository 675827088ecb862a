"""Disclosures, as the current view and the account show them: to whom, what, why, and who answers for it.

Source: US 45 CFR 164.528; AUDIT A4. The rules are those of `records.disclosures`.

- The current view keeps the last few; the account (`projections.disclosures`) has them all.
- Whoever keeps the audit sees that something left, when and on which basis, and none of its free texts.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.actors import Role
from records.disclosures import DisclosureEnteredInError, DisclosureMade
from records.event import Recorded

KEPT = 5


class DisclosureItem(msgspec.Struct, frozen=True, kw_only=True):
    """One disclosure; fields as in `records.disclosures.DisclosureMade`.

    Attributes:
        id, version: the disclosure, and the version of the last event that touched it (the ETag).
        made_at, recorded_at: when it was made, and when it was recorded.
        recipient, recipient_address, description, purpose, reason: None for the privacy officer, or where none is.
        breach: it was made without any basis.
        entered_in_error, error_reason: it turned out not to have been made.
    """

    id: UUID
    version: int
    made_at: datetime
    recorded_at: datetime
    recipient_kind: str
    recipient: str | None = None
    recipient_address: str | None = None
    description: str | None = None
    purpose: str | None = None
    basis: str
    breach: bool = False
    consent_id: UUID | None = None
    reason: str | None = None
    authorised_by: str
    authorised_by_name: str = ""
    second_person: str | None = None
    second_person_name: str | None = None
    entered_by: str
    entered_by_name: str = ""
    manifest_sha256: str | None = None
    entered_in_error: bool = False
    error_reason: str | None = None


class State(msgspec.Struct, kw_only=True):
    """The last disclosures by id, in the order in which they were recorded."""

    items: dict[UUID, DisclosureItem] = msgspec.field(default_factory=dict)


def made(event: DisclosureMade, recorded: Recorded) -> DisclosureItem:
    """Return the item of a disclosure, without names of staff."""
    return DisclosureItem(
        id=event.disclosure_id,
        version=recorded.version,
        made_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
        recipient_kind=event.recipient_kind,
        recipient=event.recipient,
        recipient_address=event.recipient_address,
        description=event.description,
        purpose=event.purpose,
        basis=event.basis,
        breach=event.basis == "unauthorised",
        consent_id=event.consent_id,
        reason=event.reason,
        authorised_by=event.authorised_by,
        second_person=event.second_person,
        entered_by=event.entered_by,
        manifest_sha256=event.manifest_sha256,
    )


def in_error(item: DisclosureItem, event: DisclosureEnteredInError, recorded: Recorded) -> DisclosureItem:
    """Return the item, marked."""
    return msgspec.structs.replace(item, version=recorded.version, entered_in_error=True, error_reason=event.reason)


def _made(state: State, event: DisclosureMade, recorded: Recorded) -> None:
    state.items[event.disclosure_id] = made(event, recorded)
    for key in list(state.items)[:-KEPT]:
        del state.items[key]


def _in_error(state: State, event: DisclosureEnteredInError, recorded: Recorded) -> None:
    item = state.items.get(event.disclosure_id)
    if item is not None:
        state.items[event.disclosure_id] = in_error(item, event, recorded)


SHOWS: dict[type, Handler] = {DisclosureMade: _made, DisclosureEnteredInError: _in_error}


def render(state: State, viewing: Viewing) -> tuple[DisclosureItem, ...]:
    """Return the last disclosures, the newest first, those entered in error too, marked."""
    return tuple(shown(item, viewing) for item in reversed(state.items.values()))


def shown(item: DisclosureItem, viewing: Viewing) -> DisclosureItem:
    """Return an item as the reader may see it, with names of staff."""
    name_of, second = viewing.name_of, item.second_person
    item = msgspec.structs.replace(
        item,
        authorised_by_name=name_of(item.authorised_by),
        entered_by_name=name_of(item.entered_by),
        second_person_name=None if second is None else name_of(second),
    )
    if viewing.role is not Role.PRIVACY_OFFICER:
        return item
    return msgspec.structs.replace(
        item,
        recipient=None,
        recipient_address=None,
        description=None,
        purpose=None,
        reason=None,
        error_reason=None,
    )
