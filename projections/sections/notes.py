"""Notes, as the current view shows them: the last that were signed, each with its newest text.

Source: DOMAIN 4. The rules are those of `records.notes`; every version is in the view of one note.

- A note that was entered in error is hidden and counted.
- An amended note shows its newest text, marked; late entries and addenda are marked too.
- A few more notes than are shown are kept, so that others take the place of hidden ones.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.event import Recorded
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned


class AddendumItem(msgspec.Struct, frozen=True, kw_only=True):
    """Information that was added to a signed note."""

    id: UUID
    text: str
    author: str
    author_name: str = ""
    signed_at: datetime


class NoteItem(msgspec.Struct, frozen=True, kw_only=True):
    """One signed note with its newest text.

    Attributes:
        id, version: the note, and the version of the last event that touched it (the ETag).
        sections: section name → newest text.
        text_version: 1 as signed, 2 after the first amendment; `amended` where it is more than 1.
        about: when what it describes took place.
        late_entry: it was signed later than the clinic's limit after that.
        author, author_name, signed_at: who signed it, and when.
        amended_at, amendment_reason: of the newest amendment.
        addenda: the newest ones, oldest first; `addenda_total` tells how many there are.
    """

    id: UUID
    version: int
    kind: str
    format: str
    sections: dict[str, str]
    text_version: int = 1
    amended: bool = False
    session_id: UUID | None = None
    about: datetime | None = None
    late_entry: bool = False
    author: str
    author_name: str = ""
    signed_at: datetime
    recorded_at: datetime
    amended_at: datetime | None = None
    amendment_reason: str | None = None
    addenda: tuple[AddendumItem, ...] = ()
    addenda_total: int = 0


SHOWN = 5
KEPT = 8
KEPT_ADDENDA = 10


class State(msgspec.Struct, kw_only=True):
    """The last notes by id, oldest first, and how many were entered in error."""

    items: dict[UUID, NoteItem] = msgspec.field(default_factory=dict)
    in_error: int = 0


def _signed(state: State, event: NoteSigned, recorded: Recorded) -> None:
    state.items[event.note_id] = NoteItem(
        id=event.note_id,
        version=recorded.version,
        kind=event.kind,
        format=event.format,
        sections=event.sections,
        session_id=event.session_id,
        about=event.about,
        late_entry=event.late_entry,
        author=event.entered_by,
        signed_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
    )
    if len(state.items) > KEPT:
        del state.items[next(iter(state.items))]


def _addended(state: State, event: NoteAddendumSigned, recorded: Recorded) -> None:
    item = state.items.get(event.note_id)
    if item is None:
        return
    addendum = AddendumItem(id=event.addendum_id, text=event.text, author=event.entered_by, signed_at=event.occurred_at)
    state.items[event.note_id] = msgspec.structs.replace(
        item,
        version=recorded.version,
        addenda=(*item.addenda, addendum)[-KEPT_ADDENDA:],
        addenda_total=item.addenda_total + 1,
    )


def _amended(state: State, event: NoteAmended, recorded: Recorded) -> None:
    item = state.items.get(event.note_id)
    if item is not None:
        state.items[event.note_id] = msgspec.structs.replace(
            item,
            version=recorded.version,
            format=event.format,
            sections=event.sections,
            text_version=event.text_version,
            amended=True,
            amended_at=event.occurred_at,
            amendment_reason=event.reason,
        )


def _in_error(state: State, event: NoteEnteredInError, recorded: Recorded) -> None:
    state.in_error += 1
    state.items.pop(event.note_id, None)


SHOWS: dict[type, Handler] = {
    NoteSigned: _signed,
    NoteAddendumSigned: _addended,
    NoteAmended: _amended,
    NoteEnteredInError: _in_error,
}


def render(state: State, viewing: Viewing) -> tuple[NoteItem, ...]:
    """Return the last `SHOWN` notes, newest first, with the names of who wrote them."""
    newest = list(state.items.values())[: -SHOWN - 1 : -1]
    return tuple(_named(item, viewing) for item in newest)


def _named(item: NoteItem, viewing: Viewing) -> NoteItem:
    addenda = tuple(
        msgspec.structs.replace(addendum, author_name=viewing.name_of(addendum.author)) for addendum in item.addenda
    )
    return msgspec.structs.replace(item, author_name=viewing.name_of(item.author), addenda=addenda)
