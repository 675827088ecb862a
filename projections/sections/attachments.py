"""Attachments, as the current view shows them: what belongs to the record beside its texts, without the bytes.

Source: DOMAIN 4 (attachments). The rules are those of `records.attachments`.

- The current view keeps the newest; the history has them all, and each can be opened by its id.
- What was entered in error is hidden and counted.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.attachments import KINDS, AttachmentAdded, AttachmentEnteredInError, AttachmentReturned
from records.event import Recorded

KEPT = 20


class AttachmentItem(msgspec.Struct, frozen=True, kw_only=True):
    """One attachment; fields as in `records.attachments.AttachmentAdded`.

    Attributes:
        id, version: the attachment, and the version of the last event that touched it (the ETag).
        kind_label: the kind in words.
        made_at, recorded_at: when it was made or received, and when it was added.
        returned_at: when the original was given back; None while it was not.
    """

    id: UUID
    version: int
    kind: str
    kind_label: str
    made_by: str
    title: str
    alternative_text: str | None = None
    medium: str | None = None
    session_id: UUID | None = None
    media_type: str
    size: int
    sha256: str
    cleaned: bool = False
    made_at: datetime
    recorded_at: datetime
    entered_by: str
    entered_by_name: str = ""
    returned_at: datetime | None = None


class State(msgspec.Struct, kw_only=True):
    """The newest attachments by id, oldest first; how many stand, and how many were entered in error."""

    items: dict[UUID, AttachmentItem] = msgspec.field(default_factory=dict)
    total: int = 0
    in_error: int = 0


def added(event: AttachmentAdded, recorded: Recorded) -> AttachmentItem:
    """Return the item of an attachment, without names of staff."""
    return AttachmentItem(
        id=event.attachment_id,
        version=recorded.version,
        kind=event.kind,
        kind_label=KINDS.get(event.kind, event.kind),
        made_by=event.made_by,
        title=event.title,
        alternative_text=event.alternative_text,
        medium=event.medium,
        session_id=event.session_id,
        media_type=event.media_type,
        size=event.size,
        sha256=event.sha256,
        cleaned=event.cleaned,
        made_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
        entered_by=event.entered_by,
    )


def _added(state: State, event: AttachmentAdded, recorded: Recorded) -> None:
    state.items[event.attachment_id] = added(event, recorded)
    state.total += 1
    for key in list(state.items)[:-KEPT]:
        del state.items[key]


def _returned(state: State, event: AttachmentReturned, recorded: Recorded) -> None:
    item = state.items.get(event.attachment_id)
    if item is not None:
        state.items[event.attachment_id] = msgspec.structs.replace(
            item, version=recorded.version, returned_at=event.occurred_at
        )


def _in_error(state: State, event: AttachmentEnteredInError, _: Recorded) -> None:
    state.items.pop(event.attachment_id, None)
    state.total -= 1
    state.in_error += 1


SHOWS: dict[type, Handler] = {
    AttachmentAdded: _added,
    AttachmentReturned: _returned,
    AttachmentEnteredInError: _in_error,
}


def render(state: State, viewing: Viewing) -> tuple[AttachmentItem, ...]:
    """Return the newest attachments with names of staff, the newest first."""
    return tuple(
        msgspec.structs.replace(item, entered_by_name=viewing.name_of(item.entered_by))
        for item in reversed(state.items.values())
    )
