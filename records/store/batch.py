"""Planning a batch: which units win, and every row that they write, in commit order.

Source: CRYPTO 2 (the writer assigns index, time and, for access events, version and seal, all under one lock).

- Units are planned in the order they came. One that lost its race, or whose key was used, drops out; the others stay.
- `logged_at` is the clock or one microsecond after the last entry, whichever is later.
- Each entry names the leaf before it in its stream.
- A stream that is fenced takes no event any more, no key and no sealed row: its unit is refused as erased. A reading
  that began before the fence leaves its entry, and not the row that it brought.
- A purge is refused unless the stream is fenced and what stands there is the very ciphertext that was logged; its entry
  and its purged form come from the event's own entry, never from whoever asks. What is purged already is left alone.
- The body of a clear entry is made here, since it names its own index and what stands below it.

It is pure: both engines plan with it, inside their transaction, and nothing it returns is true before the commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from uuid import UUID

from records.errors import Erased, LedgerMismatch, LostRace, RuleBroken, WellkeptError
from records.ledger import NO_LEAF, KeyClass, Kind, encode_entry, entry_hash, read_entry
from records.merkle import HASH_BYTES
from records.sealing import purged_state
from records.store.unit import (
    Append,
    AuditBatch,
    CheckpointRow,
    ClearEntry,
    Committed,
    IdempotencyRow,
    LogHead,
    Purge,
    Reference,
    RowDelete,
    RowPut,
    StoredRow,
    StreamHead,
    Tile,
    Unit,
)

EMPTY_DIGEST = bytes(HASH_BYTES)
NO_KEY_ID = bytes(16)
_NO_HEAD = StreamHead()


def named_streams(units: Iterable[Unit]) -> set[UUID]:
    """Return the streams whose ends a batch needs: those that it appends to, and those that must not have moved."""
    appended = {append.stream for unit in units for append in unit.appends}
    return appended.union(stream for unit in units for stream, _ in unit.unmoved)


def named_purges(units: Iterable[Unit]) -> list[Reference]:
    """Return the events that a batch would purge, each once: planning needs what is stored of them."""
    return list(dict.fromkeys(reference for unit in units for reference in unit.purges))


class Plan:
    """The rows of one batch, and for each unit its result or its error.

    Attributes:
        head: where the log stands after the batch.
        first_index: the index of the batch's first entry.
        heads: where each touched stream stands after the batch.
        events: (stream, version, state) of each event.
        entries: (index, entry) of each ledger entry.
        bodies: (index, body) of each clear entry.
        tiles, checkpoints, dropped_checkpoints: what signs the log.
        puts, deletes, idempotency, audits: the other rows.
        fences, scrubs: streams that an erasure closes, and whose rows it deletes.
        purges: stored states and the purged forms that take their place.
        outcomes: one `Committed` or error for each unit, in order.
    """

    def __init__(
        self,
        head: LogHead,
        heads: dict[UUID, StreamHead],
        known: dict[bytes, IdempotencyRow],
        now_us: int,
        fenced: AbstractSet[UUID] = frozenset(),
        standing: Mapping[Reference, StoredRow] | None = None,
    ) -> None:
        self.first_index = head.next_index
        self._next = head.next_index
        self._last_us = head.last_us
        self._clinic = head.clinic_index
        self._known = known
        self._now_us = now_us
        self._fenced = set(fenced)
        self.fences: list[UUID] = []
        self.scrubs: list[UUID] = []
        self._standing = dict(standing or {})
        self.purges: list[Purge] = []
        self.heads = heads
        self.events: list[tuple[UUID, int, bytes]] = []
        self.entries: list[tuple[int, bytes]] = []
        self.bodies: list[tuple[int, bytes]] = []
        self.tiles: list[Tile] = []
        self.checkpoints: list[CheckpointRow] = []
        self.dropped_checkpoints: list[int] = []
        self.puts: list[RowPut] = []
        self.deletes: list[RowDelete] = []
        self.idempotency: list[IdempotencyRow] = []
        self.audits: list[AuditBatch] = []
        self.outcomes: list[Committed | WellkeptError] = []

    @property
    def head(self) -> LogHead:
        """Where the log stands after what was planned so far."""
        return LogHead(self._next, self._last_us, self._clinic)

    @property
    def writes(self) -> bool:
        """Whether there is anything to commit."""
        rows = self.entries or self.puts or self.deletes or self.idempotency or self.audits
        closes = self.fences or self.scrubs
        return bool(rows or closes or self.tiles or self.checkpoints or self.dropped_checkpoints)

    def add(self, unit: Unit) -> None:
        """Plan one unit: its rows join the batch, or its error is its outcome."""
        wanted = unit.idempotency
        if wanted is not None and wanted.key in self._known:
            self.outcomes.append(Committed(replay=self._known[wanted.key]))
            return
        refused = self._refuses_purge(unit)
        if refused is not None:
            self.outcomes.append(refused)
            return
        if self._meets_fence(unit):
            self.outcomes.append(Erased("the stream is closed"))
            return
        if not self._expectations_hold(unit):
            self.outcomes.append(LostRace("another writer appended first"))
            return
        written: list[tuple[int, bytes]] = []
        for clear in unit.clear:
            self._enter_clear(clear, written)
        for scope, key_id, key_class in unit.keys:
            self._enter(Kind.KEY_CREATED, scope, 0, NO_LEAF, key_id, key_class, 0, EMPTY_DIGEST, EMPTY_DIGEST)
        for scope, key_id, key_class in unit.destroyed:
            self._enter(Kind.KEY_DESTROYED, scope, 0, NO_LEAF, key_id, key_class, 0, EMPTY_DIGEST, EMPTY_DIGEST)
        for reference in unit.purges:
            self._purge(reference)
        for append in unit.appends:
            self._append(append, written)
        self.fences.extend(unit.fences)
        self._fenced.update(unit.fences)
        self.scrubs.extend(unit.scrubs)
        self.puts.extend(put for put in unit.puts if put.stream not in self._fenced)
        self.deletes.extend(unit.deletes)
        self.tiles.extend(unit.tiles)
        self.checkpoints.extend(unit.checkpoints)
        self.dropped_checkpoints.extend(unit.dropped_checkpoints)
        if unit.audit is not None:
            self.audits.append(unit.audit)
        if wanted is not None:
            self.idempotency.append(wanted)
            self._known[wanted.key] = wanted
        self.outcomes.append(Committed(tuple(written)))

    def _meets_fence(self, unit: Unit) -> bool:
        if any(append.kind is Kind.EVENT and append.stream in self._fenced for append in unit.appends):
            return True
        # A key that is entered after the erasure destroyed its client's would be missed at every start.
        if any(created.scope in self._fenced for created in unit.keys):
            return True
        # Rows alone are a draft or a view: nobody may be told that they are kept.
        return not unit.appends and any(put.stream in self._fenced for put in unit.puts)

    def _refuses_purge(self, unit: Unit) -> WellkeptError | None:
        for reference in unit.purges:
            if reference.stream not in self._fenced:
                return RuleBroken("not-erased", "Only what an erasure closed is purged.")
            row = self._standing.get(reference)
            if row is None:
                return LedgerMismatch("an event of the ledger is not stored")
            entry = read_entry(row.entry)
            purged = row.state == purged_state(entry.key_id, entry.payload_sha256)
            if not purged and hashlib.sha256(row.state).digest() != entry.payload_sha256:
                return LedgerMismatch("an event is not what was logged", row.position)
        return None

    def _purge(self, reference: Reference) -> None:
        stream, version = reference
        row = self._standing[reference]
        entry = read_entry(row.entry)
        digest = entry.payload_sha256
        state = purged_state(entry.key_id, digest)
        # A purge that somebody made past the store gets no entry now: it stays what it is, and is found.
        if row.state == state:
            return
        kind, key_class = Kind.PAYLOAD_PURGED, entry.key_class
        self._enter(kind, stream, version, NO_LEAF, entry.key_id, key_class, 0, digest, EMPTY_DIGEST)
        self.purges.append(Purge(stream, version, row.state, state))
        self._standing[reference] = row._replace(state=state)

    def _expectations_hold(self, unit: Unit) -> bool:
        if any(self.heads.get(stream, _NO_HEAD).version != version for stream, version in unit.unmoved):
            return False
        versions: dict[UUID, int] = {}
        for append in unit.appends:
            version = versions.get(append.stream)
            if version is None:
                version = self.heads.get(append.stream, _NO_HEAD).version
            if append.expected_version is not None and append.expected_version != version:
                return False
            versions[append.stream] = version + (len(append.sealed) or 1)
        return True

    def _enter_clear(self, clear: ClearEntry, written: list[tuple[int, bytes]]) -> None:
        kind, stream, version, previous, compose = clear
        index = self._next
        body = compose(index, self._time(), tuple(self.entries))
        digest = hashlib.sha256(body).digest()
        entry = self._enter(kind, stream, version, previous, NO_KEY_ID, KeyClass.CLEAR, len(body), digest, EMPTY_DIGEST)
        self.bodies.append((index, body))
        written.append((index, entry))

    def _append(self, append: Append, written: list[tuple[int, bytes]]) -> None:
        version, leaf = self.heads.get(append.stream, _NO_HEAD)
        sealed_events = append.sealed
        if append.seal is not None:
            sealed_events = (append.seal(version + 1, self._time()),)
        for state, key_id, key_class, digest, content in sealed_events:
            version += 1
            entry = self._enter(
                append.kind, append.stream, version, leaf, key_id, key_class, len(state), digest, content
            )
            leaf = entry_hash(entry)
            self.events.append((append.stream, version, state))
            written.append((self._next - 1, entry))
        self.heads[append.stream] = StreamHead(version, leaf)

    def _time(self) -> int:
        return max(self._now_us, self._last_us + 1)

    def _enter(
        self,
        kind: Kind,
        stream: UUID,
        version: int,
        leaf: bytes,
        key_id: bytes,
        key_class: int,
        length: int,
        digest: bytes,
        content: bytes,
    ) -> bytes:
        at = self._time()
        entry = encode_entry(kind, at, stream.bytes, version, leaf, key_id, key_class, length, digest, content)
        self.entries.append((self._next, entry))
        if key_class == KeyClass.CLINIC and kind is Kind.EVENT:
            self._clinic = self._next
        self._next += 1
        self._last_us = at
        return entry
