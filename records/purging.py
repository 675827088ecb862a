"""Purging: the ciphertext of an erased client goes too, event by event; the digests stay.

Source: CRYPTO 7 (step 7); decision 47. After an erasure nothing opens the ciphertext; whoever does not want to keep
what nobody can read asks for this, and nothing does it by itself.

- Only of an erasure that is completed. The store asks again, in each commit, that the stream is closed.
- Each event's stored state becomes 0x00 ‖ key id ‖ digest, and an entry of the same commit says so. Entries, chains and
  roots stay what they were, so every proof that was given out still holds.
- A few hundred events a commit, so that nobody waits long to write. Killed anywhere, the same call does the rest: what
  is purged is left alone, and the event that tells of it comes last, with the count of all.
- At the end the database lets go of its old pages, which may be done again (`Store.sweep`).

Only the client's own stream: who read the record stays on record. It reaches no backup, standby, archive or export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from records.access_log import reason_of
from records.erasure import note_purge, require_completed
from records.errors import Refused
from records.request import Request
from records.sealing import PURGED
from records.service import Service
from records.store import Store
from records.store.unit import Reference, StoredRow, Unit

AT_ONCE = 200
"""Events in a commit."""


class Purged(NamedTuple):
    """What a purge did.

    Attributes:
        client: whose record.
        now: how many events were purged by this call.
        total: how many are purged, in all.
        swept: whether the database let go of its old pages.
    """

    client: UUID
    now: int
    total: int
    swept: bool


def purge(
    service: Service, store: Store, erasure_id: UUID, request: Request, progress: Callable[[int, int], None]
) -> Purged:
    """Purge what is stored of an erased client and is not purged yet.

    Args:
        service: the doors.
        store: the log.
        erasure_id: the erasure, which must be completed.
        request: who asks.
        progress: is told (done, of) after each commit.

    Raises:
        UnknownItem: there is no such erasure.
        NotPermitted: and the refusal is recorded.
        RuleBroken: `erasure-open`: it is not completed; and it is recorded.
        LedgerMismatch: what is stored is not what was logged; nothing more is purged.
        NotStored, OutcomeUnknown: a step could not be stored; the next call goes on.
    """
    client = _admitted(service, erasure_id, request)
    now, total = _purge_stream(store, client, progress)
    swept = store.sweep()
    service.transact(service.streams.clinic, note_purge, request, erasure_id=erasure_id, count=total)
    service.follow()
    return Purged(client, now, total, swept)


def left_to_purge(service: Service, store: Store, erasure_id: UUID, request: Request) -> tuple[UUID, int]:
    """Return whose record it is, and how many of its events `purge` would purge now; arguments and errors as there."""
    client = _admitted(service, erasure_id, request)
    return client, sum(len(_unpurged(rows)) for rows in _pages(store, client))


def _admitted(service: Service, erasure_id: UUID, request: Request) -> UUID:
    """Return the client of a completed erasure, for whoever may purge it; a refusal is recorded."""
    service.follow()
    known = service.directory.clinic.erasures.get(erasure_id)
    # Who may not purge learns nothing of which erasures there are.
    client_id = known.client_id if known is not None else None
    service.admit(note_purge.permission, client_id, request, resource=erasure_id)
    try:
        return require_completed(service.directory.clinic, erasure_id).client_id
    except Refused as refusal:
        service.refuse(note_purge.permission, client_id, request, reason_of(refusal), resource=erasure_id)
        raise


def _pages(store: Store, stream: UUID) -> Iterator[Sequence[StoredRow]]:
    done = 0
    while rows := store.history(stream, done, done + AT_ONCE):
        yield rows
        done += len(rows)


def _unpurged(rows: Sequence[StoredRow]) -> list[StoredRow]:
    return [row for row in rows if row.state[:1] != bytes([PURGED])]


def _purge_stream(store: Store, stream: UUID, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Return how many events were purged now, and how many there are."""
    now, done = 0, 0
    for rows in _pages(store, stream):
        wanted = tuple(Reference(stream, row.version) for row in _unpurged(rows))
        # A crash before this leaves these events as they were; one after it leaves them purged, each with its entry.
        store.commit(Unit(purges=wanted))
        now += len(wanted)
        done += len(rows)
        progress(done, 0)
    return now, done
