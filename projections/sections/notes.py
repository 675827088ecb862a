"""Notes, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


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
