"""Sealed rows of views: what was folded so far, read through and brought to the newest event at each reading.

Source: DESIGN (Views); CRYPTO 1 (mutable sealed rows).

- A row holds the fold of a client's record up to a version. It is sealed for its place, its fold's schema and the leaf
  of the last event that it includes, so another client's row, an older one or an altered one never opens.
- A fold that was shown a moment ago is still held in memory (`projections.held_folds`) and moved on from there. Else
  reading takes the row, asks the log once for that event and all newer ones, and opens only the newer. So a reading is
  never stale, and no background work is needed.
- Where the fold moved, the row is stored again in the commit of the access entry: only forward, but over a row that
  did not open.
- A row that does not open is dropped and folded anew from the events: it is no evidence, so it raises no alarm.
- A fold over a gap is never stored: the record is whole again as soon as the cause is gone.

A crash leaves the row as it was, or the newer one; both are read through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from projections.held_folds import Held, HeldFolds
from records.errors import Erased, KeyMissing, SealBroken
from records.event import Recorded
from records.ledger import NO_LEAF, decode_entry, entry_hash
from records.reader import Reader
from records.sealing import Place, key_id_of, open_row, seal_row
from records.store.unit import RowPut, SealedRow, StoredRow


class Folded(Protocol):
    """What a fold needs to say of itself: the version it includes, and the versions that could not be opened."""

    version: int
    gaps: list[int]


State = TypeVar("State", bound=Folded)


class Snapshot(Generic[State]):
    """A kind of sealed row: where it stands and how it is folded.

    Attributes:
        place: `view:<name>` or `roster`.
        schema: version of the fold; another one never opens. Change it with the state's layout or meaning.
    """

    def __init__(self, place: str, schema: int, state: type[State], apply: Callable[[State, Recorded], None]) -> None:
        self.place = place
        self.schema = schema
        self.new = state
        self.apply = apply
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(state)
        self._of_readers: WeakKeyDictionary[Reader, HeldFolds[State]] = WeakKeyDictionary()

    def read_through(self, reader: Reader, client_id: UUID) -> ReadThrough[State]:
        """Return the fold of a client's record up to its last event; version 0 where there is no record.

        Cost: one range of the log, and opening what is newer than the fold held in memory, else than the row
        (everything, without a row). Nobody may change the state.

        Raises:
            KeyMissing: the client's key is not there.
            LedgerMismatch: the log itself is not what was written.
        """
        found = self._from_memory(reader, client_id)
        if found is None:
            found = self.read_row(reader, client_id, reader.sealed_row(self.place, client_id))
            self._hold(reader, client_id, found, None)
        return found

    def read_row(self, reader: Reader, client_id: UUID, row: SealedRow | None) -> ReadThrough[State]:
        """Return the fold from a row that was fetched already; see `read_through`."""
        if row is not None:
            found = self._from_row(reader, client_id, row)
            if found is not None:
                return found
        rows = reader.rows(client_id)
        state = self._fold(self.new(), reader, client_id, rows)
        leaf = entry_hash(rows[-1].entry) if rows else NO_LEAF
        return ReadThrough(state, self._puts(reader, client_id, state, rows, only_forward=row is None), leaf, {})

    def follow(self, reader: Reader, client_id: UUID, state: State) -> ReadThrough[State]:
        """Move a fold that is held in memory on to the record's last event.

        Raises:
            KeyMissing, LedgerMismatch: as `read_through`; the fold stays where it was.
        """
        rows = reader.rows(client_id, after=state.version)
        if not rows:
            return ReadThrough(state, (), NO_LEAF, {})
        state = self._fold(state, reader, client_id, rows)
        return ReadThrough(
            state, self._puts(reader, client_id, state, rows, only_forward=True), entry_hash(rows[-1].entry), {}
        )

    def seal(self, reader: Reader, client_id: UUID, state: State, leaf: bytes, *, only_forward: bool = True) -> RowPut:
        """Return the row of a fold that ends with the event of this leaf."""
        place = Place(reader.deployment_id, self.place, client_id, state.version)
        content = self._encoder.encode(state)
        sealed = seal_row(reader.record_key(client_id), place, self.schema, leaf, (), content)
        return RowPut(self.place, client_id, client_id, state.version, sealed, only_forward)

    def _from_row(self, reader: Reader, client_id: UUID, row: SealedRow) -> ReadThrough[State] | None:
        rows = reader.rows(client_id, after=row.version - 1) if row.version > 0 else []
        if not rows or rows[0].version != row.version:
            return None
        leaf = entry_hash(rows[0].entry)
        newer = rows[1:]
        if newer and decode_entry(newer[0].entry).prev_stream_leaf != leaf:
            return None
        place = Place(reader.deployment_id, self.place, client_id, row.version)
        try:
            key = reader.record_key(client_id, key_id_of(row.state))
            state = self._decoder.decode(open_row(key, place, self.schema, leaf, (), row.state))
        except (SealBroken, KeyMissing, msgspec.MsgspecError):
            # A key that is missing for the events too is said when those are opened.
            return None
        if not newer:
            return ReadThrough(state, (), leaf, {})
        state = self._fold(state, reader, client_id, newer)
        puts = self._puts(reader, client_id, state, newer, only_forward=True)
        return ReadThrough(state, puts, entry_hash(newer[-1].entry), {})

    def forget(self, reader: Reader, client_id: UUID) -> None:
        """Drop what is held in memory of a client, as erasure and a dropped row ask for."""
        self._folds(reader).forget(client_id)

    def _from_memory(self, reader: Reader, client_id: UUID) -> ReadThrough[State] | None:
        folds = self._folds(reader)
        held = folds.get(client_id)
        if held is None:
            return None
        try:
            reader.record_key(client_id)
        except (KeyMissing, Erased):
            folds.forget(client_id)
            raise
        newer = reader.rows(client_id, after=held.version)
        if not newer:
            return ReadThrough(held.state, (), held.leaf, held.shown)
        if decode_entry(newer[0].entry).prev_stream_leaf != held.leaf:
            folds.forget(client_id)
            return None
        state = self._fold(self._decoder.decode(held.content), reader, client_id, newer)
        content = self._encoder.encode(state)
        puts = self._puts(reader, client_id, state, newer, only_forward=True)
        found = ReadThrough(state, puts, entry_hash(newer[-1].entry), {})
        self._hold(reader, client_id, found, content)
        return found

    def _hold(self, reader: Reader, client_id: UUID, found: ReadThrough[State], content: bytes | None) -> None:
        state = found.state
        if state.version and not state.gaps:
            held = Held(state.version, found.leaf, state, content or self._encoder.encode(state), found.shown)
            self._folds(reader).keep(client_id, held)

    def _folds(self, reader: Reader) -> HeldFolds[State]:
        folds = self._of_readers.get(reader)
        if folds is None:
            folds = self._of_readers.setdefault(reader, HeldFolds())
        return folds

    def _fold(self, state: State, reader: Reader, client_id: UUID, rows: list[StoredRow]) -> State:
        for recorded in reader.open(client_id, rows):
            self.apply(state, recorded)
        return state

    def _puts(
        self, reader: Reader, client_id: UUID, state: State, rows: list[StoredRow], *, only_forward: bool
    ) -> tuple[RowPut, ...]:
        if not rows or state.gaps:
            return ()
        return (self.seal(reader, client_id, state, entry_hash(rows[-1].entry), only_forward=only_forward),)


class ReadThrough(NamedTuple, Generic[State]):
    """A fold at its newest.

    Attributes:
        state: the fold; nobody changes it.
        puts: the row to store in the commit of the access entry, where the fold moved.
        leaf: leaf hash of the last event that it includes.
        shown: what was rendered of this fold; whoever renders may add to it.
    """

    state: State
    puts: tuple[RowPut, ...]
    leaf: bytes
    shown: dict[Any, Any]
