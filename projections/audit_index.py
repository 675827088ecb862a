"""The audit over many clients: found through a clear index, told from sealed events only.

Source: DESIGN (Views); AUDIT A6, A11; CONTRACT (`wellkept audit`).

- The index holds ids, staff, purpose codes and times in clear; catching up reads the log in batches, each with its
  position in one transaction. A crash leaves a whole batch or none; a batch that is read twice changes nothing.
- It is never evidence: the report opens each sealed entry and asks it again whether it is one of those that were asked
  for. A row that was altered cannot say what did not happen.
- An audit query is a reading like any other: each client that it shows gets an entry of its own.

It does not prove that no row is missing (the dense access streams do), and it counts no suspicions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.access_sentences import sentence
from projections.pages import limit_of
from records.access import AccessRecorded
from records.catalogue import CATALOGUE
from records.event import Event, Recorded, StreamKind
from records.ledger import to_microseconds
from records.reader import Asked, Built, Reader
from records.store import Store
from records.store.unit import AuditBatch, AuditRow, Unit


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

    Parameters: `client` (UUID), `staff` (actor id), `action`, `for_purpose` (a code), `from_at`, `to_at` (aware),
    `limit` (1 to 50), `after` (a ledger index, as `next` gave it).

    Attributes:
        position: the ledger index up to which entries were looked for.
        gaps: ledger indexes of entries that could not be opened.
        next: the index to go on from; None where this is the last page.
    """

    position: int
    items: tuple[AuditEntry, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None


SHOWS: tuple[type[Event], ...] = (AccessRecorded,)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.stream_kind is not StreamKind.ACCESS)
"""Events of other streams never stand among the readings."""

BATCH = 2_000
LOOKED_AT = 1_000
"""Entries that one page opens at most: a rare action is found in several pages, not in one long one."""


class AuditIndex:
    """The index and its report. Any thread may use it."""

    def __init__(self, reader: Reader, store: Store) -> None:
        self._reader = reader
        self._store = store
        self._lock = threading.Lock()
        self.report = AuditReport(self)

    def catch_up(self, limit: int = BATCH) -> int:
        """Index entries that are not indexed yet, durable in batches of `limit`; return how many were found."""
        found = 0
        with self._lock:
            position = self._store.audit_position()
            while position < self._reader.position():
                opened, read = self._reader.access_entries(position, limit)
                if read == position:
                    break
                self._store.commit(Unit(audit=AuditBatch(tuple(map(_row, opened)), read)))
                position = read
                found += len(opened)
        return found

    def rebuild(self, limit: int = BATCH) -> int:
        """Drop the index and make it anew; return how many entries it holds.

        A crash leaves an index that ends early; the next catching up goes on from there.
        """
        with self._lock:
            self._store.commit(Unit(audit=AuditBatch((), -1, restart=True)))
        return self.catch_up(limit)

    def rows(self, after: int, limit: int, wanted: Mapping[str, Any]) -> list[tuple[int, Recorded]]:
        """Return ledger indexes after `after` with the entries that stand there, opened."""
        rows = self._store.audit_rows(after=after, limit=limit, **wanted)
        return [
            (row.position, recorded) for row in rows for recorded in self._reader.access_entries(row.position - 1, 1)[0]
        ]

    def position(self) -> int:
        """Return the ledger index that the index includes."""
        return self._store.audit_position()


class AuditReport:
    """Who looked at which records."""

    action = "audit.view"

    def __init__(self, index: AuditIndex) -> None:
        self._index = index

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Cost: catches up first; then opens at most `LOOKED_AT` entries.

        Raises:
            InvalidContent: `/limit`.
        """
        self._index.catch_up()
        parameters = asked.parameters
        limit = limit_of(parameters)
        matches = _matcher(parameters)
        after = -1 if parameters.get("after") is None else int(parameters["after"])
        found: list[tuple[int, Recorded]] = []
        gaps: list[int] = []
        looked_at, more = 0, True
        while more and len(found) + len(gaps) < limit and looked_at < LOOKED_AT:
            rows = self._index.rows(after, limit, _indexed(parameters))
            looked_at, more = looked_at + len(rows), len(rows) == limit
            for index, recorded in rows:
                if len(found) + len(gaps) >= limit:
                    more = True
                    break
                after = index
                if not isinstance(recorded.event, AccessRecorded):
                    gaps.append(index)
                elif matches(recorded, recorded.event):
                    found.append((index, recorded))
        zone = ZoneInfo(reader.directory.clinic.policy.timezone)
        items = tuple(_item(each, reader.directory.name_of, zone) for each in found)
        clients = tuple(dict.fromkeys(item.client_id for item in items if item.client_id is not None))
        page = AuditPage(position=self._index.position(), items=items, gaps=tuple(gaps), next=after if more else None)
        return Built(page, (), clients)


def _row(recorded: Recorded) -> AuditRow:
    event, at_us = recorded.event, to_microseconds(recorded.recorded_at)
    if not isinstance(event, AccessRecorded):
        return AuditRow(recorded.index, None, "", None, at_us)
    return AuditRow(recorded.index, event.client_id, event.entered_by, event.purpose, at_us)


def _indexed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the index itself can look for."""
    from_at, to_at = parameters.get("from_at"), parameters.get("to_at")
    return {
        "client_id": parameters.get("client"),
        "actor": parameters.get("staff"),
        "from_us": None if from_at is None else to_microseconds(from_at),
        "to_us": None if to_at is None else to_microseconds(to_at),
    }


def _matcher(parameters: Mapping[str, Any]) -> Callable[[Recorded, AccessRecorded], bool]:
    """Return whether an entry is one of those that were asked for, by what it says itself."""
    client, staff = parameters.get("client"), parameters.get("staff")
    action, purpose = parameters.get("action"), parameters.get("for_purpose")
    from_at, to_at = parameters.get("from_at"), parameters.get("to_at")

    def matches(recorded: Recorded, event: AccessRecorded) -> bool:
        return (
            client in (None, event.client_id)
            and staff in (None, event.entered_by)
            and action in (None, event.action)
            and purpose in (None, event.purpose)
            and (from_at is None or recorded.recorded_at >= from_at)
            and (to_at is None or recorded.recorded_at < to_at)
        )

    return matches


def _item(found: tuple[int, Recorded], name_of: Callable[[str], str], zone: ZoneInfo) -> AuditEntry:
    index, recorded = found
    event, at = recorded.event, recorded.recorded_at
    if not isinstance(event, AccessRecorded):
        raise ValueError("only access entries are told")
    return AuditEntry(
        index=index,
        at=at,
        client_id=event.client_id,
        actor=event.entered_by,
        actor_name=name_of(event.entered_by),
        role=event.role,
        relation=event.relation,
        action=event.action,
        purpose=event.purpose,
        outcome=event.outcome,
        reason=event.reason,
        address=event.address,
        resource=event.resource,
        text=sentence(event, name_of, zone, at, at),
    )
