"""One note with all its versions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec


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
