"""The audit over many clients: found through a clear index, told from sealed events only."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One access entry; fields as in `records.access.AccessRecorded`.

    Attributes:
        index: its place in the ledger.
        at: when it was recorded.
        text: one sentence for people.
    """

    index: int
    at: datetime
    client_id: UUID | None = None
    actor: str
    actor_name: str
    role: str
    relation: str
    action: str
    purpose: str | None = None
    outcome: str
    reason: str | None = None
    address: str
    resource: UUID | None = None
    text: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of access entries in the order of the ledger.

    Parameters: `client` (UUID), `staff` (actor id), `action`, `purpose`, `from_at`, `to_at` (aware), `limit` (1 to 50),
    `after` (a ledger index, as `next` gave it).

    Attributes:
        position: the ledger index up to which entries were looked for.
        gaps: ledger indexes of entries that could not be opened.
        next: the index to go on from; None where this is the last page.
    """

    position: int
    items: tuple[AuditEntry, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None
