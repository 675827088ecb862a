"""One note with all its texts, addenda and marks.

Source: DOMAIN 4 (life of a note); HIPAA 164.526 (a correction is linked, never written over).

- Every text that the note had is shown, newest first, with who signed it, when and why.
- A note that was entered in error is still shown here, marked, so that a person can put it right.
- A note of another client is unknown, whoever has it.
- As known at a past moment it is what was recorded by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.client_state import SNAPSHOT, counts
from records.catalogue import CATALOGUE
from records.errors import UnknownClient, UnknownItem
from records.event import Event, Recorded
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned
from records.reader import Asked, Built, Reader
from records.store.mapper import Unreadable


class NoteText(msgspec.Struct, frozen=True, kw_only=True):
    """One text that the note had.

    Attributes:
        text_version: 1 as signed.
        version: version of the event that holds it.
        reason: why it was amended; None for the text as signed.
    """

    text_version: int
    version: int
    format: str
    sections: dict[str, str]
    author: str
    author_name: str
    signed_at: datetime
    recorded_at: datetime
    reason: str | None = None


class NoteAddition(msgspec.Struct, frozen=True, kw_only=True):
    """An addendum."""

    id: UUID
    version: int
    text: str
    author: str
    author_name: str
    signed_at: datetime
    recorded_at: datetime


class ErrorMark(msgspec.Struct, frozen=True, kw_only=True):
    """Who said when and why that the note should not be in this record."""

    version: int
    reason: str
    marked_by: str
    marked_by_name: str
    marked_at: datetime
    recorded_at: datetime


class NoteDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One note.

    Attributes:
        id, version: the note, and the version of the last event that touched it (the ETag).
        texts: newest first; the last is the text as signed.
        addenda: oldest first.
        error: set where the note was entered in error.
        gaps: versions of events of the record that could not be opened, any of which may concern this note.
    """

    client_id: UUID
    id: UUID
    version: int
    status: Literal["signed", "entered-in-error"]
    kind: str
    session_id: UUID | None = None
    about: datetime | None = None
    late_entry: bool = False
    known_at: datetime | None = None
    texts: tuple[NoteText, ...]
    addenda: tuple[NoteAddition, ...] = ()
    error: ErrorMark | None = None
    gaps: tuple[int, ...] = ()


SHOWS: tuple[type[Event], ...] = (NoteSigned, NoteAddendumSigned, NoteAmended, NoteEnteredInError)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.__module__ != NoteSigned.__module__)
"""Events of other concepts."""

_LOOK_BACK = 64


class NoteView:
    """One note."""

    action = "note.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the document of the note that `asked.resource` names.

        Cost: opens the record back to where the note was signed; all of it for a note that is not there.

        Raises:
            UnknownClient: there is no such client, or was none that was known at that moment.
            UnknownItem: this client has no such note, or none was known at that moment.
        """
        if asked.client_id is None:
            raise UnknownClient("a note is of one client")
        found = SNAPSHOT.read_through(reader, asked.client_id)
        since = _since_signing(reader, asked.client_id, found.state.version, asked.resource)
        known = [each for each in since if counts(each, asked.known_at, asked.valid_at)]
        if found.state.version == 0 or (since and since[0].version == 1 and not known):
            raise UnknownClient("no such client")
        own = [each for each in known if each.event.subject_id == asked.resource]
        if asked.resource is None or not any(isinstance(each.event, NoteSigned) for each in own):
            raise UnknownItem("note")
        gaps = tuple(each.version for each in known if isinstance(each.event, Unreadable))
        return Built(_document(asked.client_id, asked.known_at, own, gaps, reader.directory.name_of), found.puts)


def _since_signing(reader: Reader, client_id: UUID, newest: int, note_id: UUID | None) -> list[Recorded]:
    """Return the record's events from a little before the note's signing on; all of them where it is not there."""
    events: list[Recorded] = []
    first = newest + 1
    while first > 1 and not any(
        isinstance(each.event, NoteSigned) and each.event.note_id == note_id for each in events
    ):
        before = max(first - 1 - max(_LOOK_BACK, len(events)), 0)
        events = [*reader.events(client_id, before, first - 1), *events]
        first = before + 1
    return events


def _document(
    client_id: UUID,
    known_at: datetime | None,
    own: Sequence[Recorded],
    gaps: tuple[int, ...],
    name_of: Callable[[str], str],
) -> NoteDocument:
    texts: list[NoteText] = []
    addenda: list[NoteAddition] = []
    signed: NoteSigned | None = None
    error: ErrorMark | None = None
    for each in own:
        event = each.event
        if isinstance(event, NoteSigned):
            signed = event
            texts.append(_text(each, event, 1, None, name_of))
        elif isinstance(event, NoteAmended):
            texts.append(_text(each, event, event.text_version, event.reason, name_of))
        elif isinstance(event, NoteAddendumSigned):
            addenda.append(_addition(each, event, name_of))
        elif isinstance(event, NoteEnteredInError):
            error = _mark(each, event, name_of)
    if signed is None:
        raise UnknownItem("note")
    return NoteDocument(
        client_id=client_id,
        id=signed.note_id,
        version=own[-1].version,
        status="signed" if error is None else "entered-in-error",
        kind=signed.kind,
        session_id=signed.session_id,
        about=signed.about,
        late_entry=signed.late_entry,
        known_at=known_at,
        texts=tuple(reversed(texts)),
        addenda=tuple(addenda),
        error=error,
        gaps=gaps,
    )


def _text(
    recorded: Recorded,
    event: NoteSigned | NoteAmended,
    text_version: int,
    reason: str | None,
    name_of: Callable[[str], str],
) -> NoteText:
    return NoteText(
        text_version=text_version,
        version=recorded.version,
        format=event.format,
        sections=event.sections,
        author=event.entered_by,
        author_name=name_of(event.entered_by),
        signed_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
        reason=reason,
    )


def _addition(recorded: Recorded, event: NoteAddendumSigned, name_of: Callable[[str], str]) -> NoteAddition:
    return NoteAddition(
        id=event.addendum_id,
        version=recorded.version,
        text=event.text,
        author=event.entered_by,
        author_name=name_of(event.entered_by),
        signed_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
    )


def _mark(recorded: Recorded, event: NoteEnteredInError, name_of: Callable[[str], str]) -> ErrorMark:
    return ErrorMark(
        version=recorded.version,
        reason=event.reason,
        marked_by=event.entered_by,
        marked_by_name=name_of(event.entered_by),
        marked_at=event.occurred_at,
        recorded_at=recorded.recorded_at,
    )


NOTE_VIEW = NoteView()
