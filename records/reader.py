"""Reading for views: opened events, sealed rows and keys, behind one narrow door.

- Views get a `Reader` and what was `Asked`; they return what they `Built`. They never see the store.
- Events that do not open stand as `Unreadable` gaps, and an alarm has been raised.
- Nothing here is an access entry: the door that hands the reader out writes it before anything is released.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from records.actors import Actor, Purpose, Relation
from records.directory import Directory
from records.errors import Erased, LedgerMismatch
from records.event import Recorded, StreamKind
from records.ledger import KeyClass
from records.payload import Segment
from records.sealing import DataKey
from records.store import Store
from records.store.mapper import EventMapper
from records.store.unit import CheckpointRow, RowPut, SealedRow, StoredRow
from records.streams import Streams

_ENTRIES_AT_ONCE = 10_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading asks for.

    Attributes:
        client_id: whose record; None for lists and reports over many.
        actor: who reads.
        relation: how the actor stands to the client.
        at: the time of the request.
        purpose: the stated purpose of use.
        known_at: show the record as it was known then; None is now.
        valid_at: show what was so then; None is now.
        resource: id of the one item wanted, or None.
        parameters: what else the view takes (cursor, limit, search words).
    """

    client_id: UUID | None
    actor: Actor
    relation: Relation
    at: datetime
    purpose: Purpose | None = None
    known_at: datetime | None = None
    valid_at: datetime | None = None
    resource: UUID | None = None
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Built(NamedTuple):
    """What a view built.

    Attributes:
        document: the answer, plain data.
        puts: sealed rows that are stored in the same commit as the access event.
        clients: for lists, the clients that are shown; each gets its own access event.
    """

    document: Any
    puts: tuple[RowPut, ...] = ()
    clients: tuple[UUID, ...] = ()


class View(Protocol):
    """A view: the action it is in the policy table, and a pure building from what the reader gives."""

    @property
    def action(self) -> str:
        """Its action in the policy table."""

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the document.

        Raises:
            UnknownClient, UnknownItem: there is nothing of that id.
        """


class Reader:
    """Opened events and sealed rows of one clinic."""

    def __init__(self, store: Store, mapper: EventMapper, streams: Streams, directory: Directory) -> None:
        self._store = store
        self._mapper = mapper
        self._streams = streams
        self.directory = directory
        self.deployment_id = streams.deployment_id

    def rows(self, client_id: UUID, after: int = 0, upto: int | None = None) -> list[StoredRow]:
        """Return rows of the client's stream beside their entries, unopened, in order of version."""
        return self._store.history(client_id, after, upto)

    def open(self, client_id: UUID, rows: Iterable[StoredRow]) -> list[Recorded]:
        """Open rows of the client's stream; broken ones stand as gaps.

        Raises:
            KeyMissing: the client's key is not there.
            Erased: the record was closed by an erasure.
        """
        self._require_kept(client_id)
        return self._mapper.open(StreamKind.CLIENT, client_id, rows, gaps=True)

    def events(self, client_id: UUID, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """Return opened events of the client's stream with `after < version <= upto`."""
        return self.open(client_id, self.rows(client_id, after, upto))

    def open_salted(
        self, client_id: UUID, rows: Sequence[StoredRow]
    ) -> list[tuple[Recorded, tuple[tuple[bytes, Segment], ...]]]:
        """Open rows as `open` does, each beside its exact segments and their salts; a gap has none.

        Raises:
            KeyMissing, Erased: as `open`.
        """
        self._require_kept(client_id)
        return self._mapper.open_salted(StreamKind.CLIENT, client_id, rows)

    def event_key(self, client_id: UUID, row: StoredRow) -> bytes:
        """Return the key that opens one row of the client's stream, 32 bytes, for a disclosure of that event.

        Whoever has it opens this ciphertext and no other, for ever, an erasure notwithstanding. So nobody but the view
        that makes the bundle of a release may call it (`projections.export.one_event`), and only a bundle may hold it.

        Raises:
            LedgerMismatch, SealBroken, UnknownTopic: the row is not what was written.
            KeyMissing, Erased: as `open`.
        """
        self._require_kept(client_id)
        return self._mapper.event_key(StreamKind.CLIENT, client_id, row)

    def access_rows(self, client_id: UUID) -> list[StoredRow]:
        """Return every row of the client's access stream beside its entry, unopened, in order of version."""
        return self._store.history(self._streams.access(client_id))

    def access_events(self, client_id: UUID | None, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """Return opened access events of a client, or of readings that named none."""
        stream = self._streams.clinic_access if client_id is None else self._streams.access(client_id)
        rows = self._store.history(stream, after, upto)
        return self._mapper.open(StreamKind.ACCESS, stream, rows, gaps=True)

    def access_entries(self, after: int, limit: int) -> tuple[list[Recorded], int]:
        """Return opened access events in ledger order after an index, and the index that was read up to.

        Cost: one look-up for each access entry; used to catch up in batches.
        """
        entries = self._store.entries(after, limit)
        found: dict[UUID, list[int]] = {}
        for _, entry in entries:
            if entry[7] == 2:
                found.setdefault(UUID(bytes=entry[16:32]), []).append(int.from_bytes(entry[32:40], "big"))
        opened = [
            recorded
            for stream, versions in found.items()
            for recorded in self._mapper.open(
                StreamKind.ACCESS, stream, self._store.history(stream, versions[0] - 1, versions[-1]), gaps=True
            )
        ]
        opened.sort(key=lambda recorded: recorded.index)
        return opened, entries[-1][0] if entries else after

    def access_indexes(self, after: int, upto: int) -> list[int]:
        """Return the ledger indexes of every access entry with `after < index <= upto`. O(entries); opens nothing."""
        found: list[int] = []
        while after < upto:
            entries = self._store.entries(after, min(_ENTRIES_AT_ONCE, upto - after))
            if not entries:
                break
            found += [index for index, entry in entries if entry[7] == 2 and index <= upto]
            after = entries[-1][0]
        return found

    def told_entry(self, index: int) -> Recorded | None:
        """Return the access, staff, care team or clinic event at a ledger index, a gap where it does not open.

        None where there is none at this index, or one of another kind.
        """
        return self.told_entries((index,)).get(index)

    def told_entries(self, indexes: Collection[int]) -> dict[int, Recorded]:
        """Return the same for many indexes; one that has none is left out.

        Cost: a look-up for each run of neighbouring indexes, and for each run of consecutive versions of a stream.
        """
        places: dict[tuple[StreamKind, UUID], dict[int, int]] = {}
        for first, last in _runs(indexes):
            for index, entry in self._store.entries(first - 1, last - first + 1):
                kind = _told_kind(entry)
                if kind is not None and index <= last:
                    stream, version = UUID(bytes=entry[16:32]), int.from_bytes(entry[32:40], "big")
                    places.setdefault((kind, stream), {})[version] = index
        told: dict[int, Recorded] = {}
        for (kind, stream), versions in places.items():
            # Only versions that were asked for: a row beside them that is lost must not cost the page.
            for first, last in _runs(versions):
                opened = self._mapper.open(kind, stream, self._store.history(stream, first - 1, last), gaps=True)
                told.update((versions[recorded.version], recorded) for recorded in opened)
        return told

    def clinic_events(self, after: int, *, gaps: bool = True) -> list[Recorded]:
        """Return opened staff, care team and clinic events after a ledger index, in its order.

        Cost: one look-up for each stream that they belong to.

        Args:
            after: the ledger index.
            gaps: put a gap where one does not open, instead of raising as `EventMapper.open` does.
        """
        spans: dict[UUID, tuple[int, int]] = {}
        for _, entry in self._store.clinic_entries(after):
            stream, version = UUID(bytes=entry[16:32]), int.from_bytes(entry[32:40], "big")
            first, _ = spans.get(stream, (version, version))
            spans[stream] = (first, version)
        opened = [
            recorded
            for stream, (first, last) in spans.items()
            for recorded in self._mapper.open(
                StreamKind.CLINIC, stream, self._store.history(stream, first - 1, last), gaps=gaps
            )
        ]
        return sorted(opened, key=lambda recorded: recorded.index)

    def moved_clients(self, after: int, limit: int) -> tuple[dict[UUID, int], int]:
        """Return record-class streams that got events after an index → last version, and the index read up to."""
        entries = self._store.entries(after, limit)
        moved = {
            UUID(bytes=entry[16:32]): int.from_bytes(entry[32:40], "big")
            for _, entry in entries
            if entry[7] == 1 and entry[88] == 1
        }
        return moved, entries[-1][0] if entries else after

    def clients(self) -> list[UUID]:
        """Return every client that was ever registered, in that order. O(clients): read from the keys' entries."""
        created = (entry for _, entry in self._store.key_entries() if entry[7] == 3 and entry[88] == 1)
        return list(dict.fromkeys(UUID(bytes=entry[16:32]) for entry in created))

    def key_entries(self) -> list[tuple[int, bytes]]:
        """Return the entries of keys created or destroyed beside their indexes, in order. O(keys)."""
        return self._store.key_entries()

    def position(self) -> int:
        """Return the index of the last entry of the log, -1 where there is none."""
        return self._store.head().next_index - 1

    def log_entries(self, start: int, stop: int) -> list[bytes]:
        """Return the ledger's entries from `start` up to but without `stop`, as stored.

        Raises:
            LedgerMismatch: one is not there.
        """
        entries = self._store.entries(start - 1, stop - start)
        if [index for index, _ in entries] != list(range(start, stop)):
            raise LedgerMismatch("an entry of the ledger is missing", start)
        return [entry for _, entry in entries]

    def log_tile(self, level: int, n: int) -> bytes | None:
        """Return a full tile of the ledger's hashes, or None where it is not stored."""
        return self._store.tile(level, n)

    def checkpoint(self) -> CheckpointRow | None:
        """Return the newest signed checkpoint, or None where the log is not signed."""
        return self._store.checkpoint()

    def body(self, index: int) -> bytes | None:
        """Return the clear body of an entry, or None where it has none."""
        return self._store.body(index)

    def bodies(self) -> list[tuple[int, bytes]]:
        """Return every clear body beside its index, in order."""
        return self._store.bodies()

    def sealed_row(self, place: str, row_id: UUID) -> SealedRow | None:
        """Return a sealed row, unopened, or None."""
        return self._store.row(place, row_id)

    def sealed_rows(self, place: str) -> list[SealedRow]:
        """Return all sealed rows of a place, unopened."""
        return self._store.rows(place)

    def record_key(self, client_id: UUID, key_id: bytes | None = None) -> DataKey:
        """Return the client's newest record key, or the one that a row names.

        Raises:
            KeyMissing: it is not there.
            Erased: the record was closed by an erasure.
        """
        self._require_kept(client_id)
        if key_id is None:
            return self._streams.key_for(StreamKind.CLIENT, client_id)
        return self._streams.key_of(StreamKind.CLIENT, client_id, key_id)

    def _require_kept(self, client_id: UUID) -> None:
        # A key that this process still leases must not open what another one has closed.
        if client_id in self.directory.clinic.erased:
            raise Erased("the record was erased")


def _told_kind(entry: bytes) -> StreamKind | None:
    if entry[7] == 2:
        return StreamKind.ACCESS
    return StreamKind.CLINIC if entry[7] == 1 and entry[88] == KeyClass.CLINIC else None


def _runs(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of consecutive numbers."""
    ordered = sorted(numbers)
    begin = 0
    for place, number in enumerate(ordered, 1):
        if place == len(ordered) or ordered[place] > number + 1:
            yield ordered[begin], number
            begin = place
