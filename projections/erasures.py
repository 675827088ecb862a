"""Erasures as whoever answers for them sees them: requested, approved, done; ids and codes only.

Source: CRYPTO 7; AUDIT (client requests).

- It comes from the clinic's own record, so it can still be shown when the client's record is gone. It names nobody but
  staff.
- One client's erasures are a reading of that client; the list of all is a reading of each client that it shows.

It decides nothing and destroys nothing: see `records.erasure` and `records.erasing`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.pages import limit_of
from records.clinic_record import ErasureState
from records.directory import Directory
from records.errors import UnknownClient
from records.reader import Asked, Built, Reader

State = Literal["requested", "withdrawn", "approved", "completed"]


class ErasureItem(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure; fields as in `records.clinic_record.ErasureState`.

    Attributes:
        state: `approved` means that the record is closed and the keys are being destroyed.
        version: of the last event that touched it (the ETag).
        key_ids: of the data keys that were destroyed, in hexadecimal digits.
    """

    id: UUID
    client: UUID
    state: State
    version: int
    basis: str | None = None
    requested_by: str | None = None
    requested_by_name: str | None = None
    requested_at: datetime | None = None
    withdrawn: str | None = None
    approved_by: str | None = None
    approved_by_name: str | None = None
    approved_at: datetime | None = None
    disclosures: int = 0
    completed_at: datetime | None = None
    key_ids: tuple[str, ...] = ()
    generation: int | None = None
    cached_until: datetime | None = None
    reapplied: bool = False
    purged: int | None = None


class Erasures(msgspec.Struct, frozen=True, kw_only=True):
    """The erasures of one client, in the order in which they were requested."""

    items: tuple[ErasureItem, ...] = ()


class ErasurePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of all erasures, the newest first. Parameters: `limit` (1 to 50), `after` (a number, as `next` gave it).

    Attributes:
        waiting: how many wait for approval.
        next: the number to go on from; None where this is the last page.
    """

    waiting: int
    items: tuple[ErasureItem, ...] = ()
    next: int | None = None


class ClientErasuresView:
    """One client's."""

    action = "erasure.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build them.

        Raises:
            UnknownClient: there was never such a client.
        """
        directory, client_id = reader.directory, asked.client_id
        found = [(key, each) for key, each in directory.clinic.erasures.items() if each.client_id == client_id]
        if client_id is None or not (found or reader.rows(client_id, 0, 1)):
            raise UnknownClient("no such client")
        return Built(Erasures(items=tuple(erasure_item(key, each, directory) for key, each in found)))


class ErasuresView:
    """All of the clinic."""

    action = "erasure.list"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Raises:
            InvalidContent: `/limit`.
        """
        limit, erasures = limit_of(asked.parameters), reader.directory.clinic.erasures
        after: int | None = asked.parameters.get("after")
        numbered = list(enumerate(erasures.items(), 1))[::-1]
        left = [each for each in numbered if after is None or each[0] < after]
        items = tuple(erasure_item(key, state, reader.directory) for _, (key, state) in left[:limit])
        page = ErasurePage(
            waiting=sum(state.open for state in erasures.values()),
            items=items,
            next=left[limit - 1][0] if len(left) > limit else None,
        )
        return Built(page, (), tuple(dict.fromkeys(item.client for item in items)))


def erasure_item(key: UUID, found: ErasureState, directory: Directory) -> ErasureItem:
    """Return an erasure as it is shown."""
    return ErasureItem(
        id=key,
        client=found.client_id,
        state=_state(found),
        version=found.version,
        basis=found.basis,
        requested_by=found.requested_by,
        requested_by_name=None if found.requested_by is None else directory.name_of(found.requested_by),
        requested_at=found.requested_at,
        withdrawn=found.withdrawn,
        approved_by=found.approved_by,
        approved_by_name=None if found.approved_by is None else directory.name_of(found.approved_by),
        approved_at=found.approved_at,
        disclosures=found.disclosures,
        completed_at=found.completed_at,
        key_ids=tuple(each.hex() for each in found.key_ids),
        generation=found.generation,
        cached_until=found.cached_until,
        reapplied=found.reapplied,
        purged=found.purged,
    )


def _state(found: ErasureState) -> State:
    if found.completed_at is not None:
        return "completed"
    if found.approved_at is not None:
        return "approved"
    return "requested" if found.withdrawn is None else "withdrawn"


CLIENT_ERASURES = ClientErasuresView()
ERASURES = ErasuresView()
