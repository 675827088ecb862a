"""The treatment history of a client, in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


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
