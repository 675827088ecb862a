"""Caseload and client list."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class CaseloadItem(msgspec.Struct, frozen=True, kw_only=True):
    """One client of the reader's own.

    Attributes:
        name: given and family name; None where the record cannot be opened, then only the id is known.
        open_prompts, oldest_prompt: risk prompts that no clinician answered, and since when.
        episode: `open`, `closed` or None where there was none yet.
        next_booking, last_session: when.
    """

    id: UUID
    name: str | None = None
    preferred_name: str | None = None
    birth_date: str | None = None
    open_prompts: int = 0
    oldest_prompt: datetime | None = None
    episode: str | None = None
    next_booking: datetime | None = None
    last_session: datetime | None = None


class CaseloadPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the caseload, open prompts first. Parameters: `limit` (1 to 50), `after` (an id, as `next` gave it)."""

    total: int
    items: tuple[CaseloadItem, ...] = ()
    next: UUID | None = None


class ListedClient(msgspec.Struct, frozen=True, kw_only=True):
    """One client in a list.

    Attributes:
        name, preferred_name: None where the record cannot be opened, then only the id is known.
        birth_date: for the care team and its supervisors only.
    """

    id: UUID
    name: str | None = None
    preferred_name: str | None = None
    birth_date: str | None = None


class ClientList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of clients in the order of their names.

    Parameters: `name` (the beginnings of names), `mine`, `limit` (1 to 50), `after` (an id, as `next` gave it).
    """

    items: tuple[ListedClient, ...] = ()
    next: UUID | None = None
