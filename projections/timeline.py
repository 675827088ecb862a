"""The treatment history of a client: every event of the record, in pages.

Source: CONTRACT (`/v1/clients/{id}/timeline`); DOMAIN 4 (both texts of a note are shown).

- Every event is shown, with all its fields, when it happened, when it was recorded and who entered it.
- An amended note carries its earlier texts. What was corrected later, or entered in error, says so by the versions of
  the events that did it.
- Events that cannot be opened keep their place, marked.
- As known at a past moment it holds what was recorded by then, as valid then what had happened by then; so do its
  corrections.
- Nothing is stored but the client view's own row, which tells what was corrected.

It does not show who looked (`projections.access_report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from projections.client_state import SNAPSHOT, ClientState, counts, fold
from projections.pages import limit_of
from projections.sections.corrections import Correction
from records.catalogue import CATALOGUE
from records.errors import UnknownClient
from records.event import Event, Recorded, StreamKind, topic_of
from records.notes import NoteAmended, NoteSigned
from records.reader import Asked, Built, Reader


class OriginalText(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier text of a note that was amended.

    Attributes:
        version: version of the event that holds it.
        text_version: 1 as signed.
        sections: section name → text as it was signed then.
    """

    version: int
    text_version: int
    occurred_at: datetime
    recorded_at: datetime
    entered_by: str
    entered_by_name: str
    format: str
    sections: dict[str, str]


class TimelineItem(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the record.

    Attributes:
        version, index: its number in the record, and its place in the ledger.
        topic: what it is, such as `note.signed`; `unreadable` where it cannot be opened.
        occurred_at, recorded_at: when it happened, and when it was recorded.
        entered_by, entered_by_name, reported_by: who entered it, and who said so.
        subject: id of the resource that it is about.
        content: its own fields, free texts included.
        originals: for an amended note, its earlier texts, oldest first.
        corrected_by: versions of later events that amend or withdraw what this one says.
        entered_in_error: it turned out that this should not be in the record.
    """

    version: int
    index: int
    topic: str
    occurred_at: datetime
    recorded_at: datetime
    entered_by: str
    entered_by_name: str
    reported_by: str | None = None
    subject: UUID | None = None
    content: dict[str, Any]
    originals: tuple[OriginalText, ...] = ()
    corrected_by: tuple[int, ...] = ()
    entered_in_error: bool = False


class TimelinePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the history.

    Parameters of the view: `limit` (1 to 50), `after` (the version to go on from, as `next` gave it), `oldest_first`.

    Attributes:
        version: version of the record's last event that is part of this history.
        next: the version to go on from; None where this is the last page.
    """

    client_id: UUID
    version: int
    known_at: datetime | None = None
    valid_at: datetime | None = None
    items: tuple[TimelineItem, ...] = ()
    next: int | None = None


SHOWS: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.stream_kind is StreamKind.CLIENT)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls not in SHOWS)
"""Events of other streams never stand in a client's record."""

_EVERY_EVENT = frozenset(Event.__struct_fields__)
_LOOK_BACK = 64
_NO_CORRECTION = Correction()


class Timeline:
    """The treatment history."""

    action = "client.timeline"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Cost: opens the page's events, and for an amendment the events back to the note's first text. A past moment
        opens the whole record.

        Raises:
            UnknownClient: there is no such client, or was none that was known at that moment.
            InvalidContent: `/limit`.
        """
        client_id = asked.client_id
        if client_id is None:
            raise UnknownClient("a history is of one client")
        limit = limit_of(asked.parameters)
        after: int | None = asked.parameters.get("after")
        oldest_first = bool(asked.parameters.get("oldest_first", False))
        if asked.known_at is None and asked.valid_at is None:
            found = SNAPSHOT.read_through(reader, client_id)
            state, puts = found.state, found.puts
            first, last = _range(after, oldest_first, state.version, limit)
            page = reader.events(client_id, first - 1, last) if first <= last else []
            page = page if oldest_first else page[::-1]
            more = last < state.version if oldest_first else first > 1
            known = None
        else:
            known = [each for each in reader.events(client_id) if counts(each, asked.known_at, asked.valid_at)]
            state, puts = fold(known), ()
            page, more = _cut(known, after, oldest_first, limit)
        if state.version == 0:
            raise UnknownClient("no such client")
        document = TimelinePage(
            client_id=client_id,
            version=state.version,
            known_at=asked.known_at,
            valid_at=asked.valid_at,
            items=_items(reader, client_id, page, state, known),
            next=page[-1].version if more and page else None,
        )
        return Built(document, puts)


def _range(after: int | None, oldest_first: bool, newest: int, limit: int) -> tuple[int, int]:
    """Return the first and last version of a page; the first is greater where there is none."""
    if oldest_first:
        first = max(after or 0, 0) + 1
        return first, min(first + limit - 1, newest)
    last = newest if after is None else min(after - 1, newest)
    return max(last - limit + 1, 1), last


def _cut(events: Sequence[Recorded], after: int | None, oldest_first: bool, limit: int) -> tuple[list[Recorded], bool]:
    ordered = events if oldest_first else events[::-1]
    left = [
        each for each in ordered if after is None or (each.version > after if oldest_first else each.version < after)
    ]
    return left[:limit], len(left) > limit


def _items(
    reader: Reader, client_id: UUID, page: Sequence[Recorded], state: ClientState, known: Sequence[Recorded] | None
) -> tuple[TimelineItem, ...]:
    amended = {each.event.note_id: each.version for each in page if isinstance(each.event, NoteAmended)}
    texts: Sequence[Recorded] = ()
    if amended:
        texts = known if known is not None else _look_back(reader, client_id, page, set(amended))
    return tuple(_item(reader, each, state, texts) for each in page)


def _look_back(reader: Reader, client_id: UUID, page: Sequence[Recorded], notes: set[UUID]) -> list[Recorded]:
    """Return events up to the page's last, back to where each of the notes was signed."""
    events = sorted(page, key=lambda each: each.version)
    while True:
        signed = {each.event.note_id for each in events if isinstance(each.event, NoteSigned)}
        first = events[0].version
        if notes <= signed or first == 1:
            return events
        events = [*reader.events(client_id, max(first - 1 - max(_LOOK_BACK, len(events)), 0), first - 1), *events]


def _item(reader: Reader, recorded: Recorded, state: ClientState, texts: Sequence[Recorded]) -> TimelineItem:
    event = recorded.event
    correction = _NO_CORRECTION
    if event.subject_id is not None:
        correction = state.corrections.items.get(event.subject_id, _NO_CORRECTION)
    return TimelineItem(
        version=recorded.version,
        index=recorded.index,
        topic=topic_of(event),
        occurred_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
        entered_by=event.entered_by,
        entered_by_name=reader.directory.name_of(event.entered_by),
        reported_by=event.reported_by,
        subject=event.subject_id,
        content={name: getattr(event, name) for name in event.__struct_fields__ if name not in _EVERY_EVENT},
        originals=_originals(reader, recorded, texts) if isinstance(event, NoteAmended) else (),
        corrected_by=tuple(version for version in correction.versions if version > recorded.version),
        entered_in_error=correction.in_error and recorded.version < correction.versions[-1],
    )


def _originals(reader: Reader, recorded: Recorded, texts: Sequence[Recorded]) -> tuple[OriginalText, ...]:
    return tuple(
        OriginalText(
            version=each.version,
            text_version=each.event.text_version if isinstance(each.event, NoteAmended) else 1,
            occurred_at=each.event.occurred_at,
            recorded_at=each.recorded_at,
            entered_by=each.event.entered_by,
            entered_by_name=reader.directory.name_of(each.event.entered_by),
            format=each.event.format,
            sections=each.event.sections,
        )
        for each in texts
        if isinstance(each.event, NoteSigned | NoteAmended)
        and each.event.subject_id == recorded.event.subject_id
        and each.version < recorded.version
    )


TIMELINE = Timeline()
