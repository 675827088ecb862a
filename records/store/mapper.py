"""Between events and rows: seals an event for its place, and opens rows only after the ledger vouches for them.

Source: CRYPTO 1, 2 and 5.

- Each row that is opened is compared with its ledger entry: stream, version, length and digest of the ciphertext; each
  entry names the leaf before it.
- A row that does not open raises an alarm. For a decision it is an error; for a view it becomes a marked gap
  (`Unreadable`), so that one flipped byte cannot hide the rest of the record.

It reads and writes no database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from records.catalogue import to_event
from records.errors import LedgerMismatch, SealBroken, UnknownTopic
from records.event import Event, Recorded, StreamKind, topic_of
from records.ledger import Kind, entry_hash, from_microseconds, read_entry
from records.payload import Segment, to_segments
from records.sealing import EVENT_PLACE, Place, SealedEvent, event_key_of, open_event, open_salted_event, seal_event
from records.store.unit import Append, StoredRow
from records.streams import Streams

Alarm = Callable[[str, dict[str, object]], None]
"""(code, facts without clinical content) → told to whoever watches."""


class Unreadable(Event, frozen=True, kw_only=True, tag="unreadable"):
    """Stands where an event cannot be opened. It is never stored."""


class _Unsealed(NamedTuple):
    """A row that was compared with its entry, and what it holds.

    Attributes:
        row: as it is stored.
        leaf: hash of its entry.
        logged_at: when it was logged.
        topic, segments: what opened.
        salts: of the segments, where they were asked for.
        error: why nothing opened, or None.
    """

    row: StoredRow
    leaf: bytes
    logged_at: datetime
    topic: str = ""
    segments: tuple[Segment, ...] = ()
    salts: tuple[bytes, ...] = ()
    error: LedgerMismatch | SealBroken | UnknownTopic | None = None


class EventMapper:
    """Seals and opens the events of one clinic."""

    def __init__(self, streams: Streams, alarm: Alarm) -> None:
        self._streams = streams
        self._deployment = streams.deployment_id
        self._alarm = alarm

    def append(self, kind: StreamKind, stream: UUID, version: int, events: Sequence[Event]) -> Append:
        """Return the append that puts events after `version` of a stream, sealed for their places.

        Raises:
            KeyMissing: the stream has no key.
        """
        key = self._streams.key_for(kind, stream)
        sealed = tuple(
            seal_event(
                key,
                Place(self._deployment, EVENT_PLACE, stream, version + place),
                topic_of(event),
                to_segments(event),
            )
            for place, event in enumerate(events, 1)
        )
        return Append(stream, Kind.EVENT, version, sealed)

    def access_append(self, stream: UUID, event: Event) -> Append:
        """Return the append of an access event, which the writer numbers, dates and seals."""
        topic, segments = topic_of(event), to_segments(event)

        def seal(version: int, logged_at_us: int) -> SealedEvent:
            key = self._streams.key_for(StreamKind.ACCESS, stream, logged_at_us)
            return seal_event(key, Place(self._deployment, EVENT_PLACE, stream, version), topic, segments)

        return Append(stream, Kind.ACCESS, None, seal=seal)

    def open(self, kind: StreamKind, stream: UUID, rows: Iterable[StoredRow], *, gaps: bool = False) -> list[Recorded]:
        """Verify rows against their ledger entries and open them.

        Args:
            kind: the kind of the stream.
            stream: the stream that the rows must be of.
            rows: rows of consecutive versions.
            gaps: put an `Unreadable` where a row does not verify or open, instead of raising.

        Raises:
            LedgerMismatch, SealBroken, UnknownTopic: a row is not what was written (never with `gaps`).
            KeyMissing: a key that should be there is not.
        """
        return [recorded for recorded, _ in self._opened(kind, stream, rows, gaps=gaps, salted=False)]

    def open_salted(
        self, kind: StreamKind, stream: UUID, rows: Sequence[StoredRow]
    ) -> list[tuple[Recorded, tuple[tuple[bytes, Segment], ...]]]:
        """Open rows as `open` does with gaps, each beside its exact segments and their salts; a gap has none."""
        return self._opened(kind, stream, rows, gaps=True, salted=True)

    def _opened(
        self, kind: StreamKind, stream: UUID, rows: Iterable[StoredRow], *, gaps: bool, salted: bool
    ) -> list[tuple[Recorded, tuple[tuple[bytes, Segment], ...]]]:
        """Return each row's event; beside it, where they are `salted`, its segments and their salts."""
        unsealed: list[_Unsealed] = []
        previous: bytes | None = None
        for row in rows:
            unsealed.append(self._unseal(kind, stream, row, previous, salted=salted))
            previous = unsealed[-1].leaf
        # All are unsealed before any is read: turn by turn, the code of each would push that of the other out of the
        # processor's cache, which costs a tenth.
        opened = []
        for each in unsealed:
            segments: tuple[tuple[bytes, Segment], ...] = ()
            try:
                event = self._read(kind, stream, each)
                segments = tuple(zip(each.salts, each.segments, strict=True)) if salted else ()
            except (LedgerMismatch, SealBroken, UnknownTopic) as error:
                self._alarm("seal-broken", {"index": each.row.position, "error": type(error).__name__})
                if not gaps:
                    raise
                event = Unreadable(occurred_at=each.logged_at, entered_by="", request_id="")
            recorded = Recorded(event, stream, each.row.version, each.row.position, each.logged_at, each.leaf)
            opened.append((recorded, segments))
        return opened

    def segments(self, kind: StreamKind, stream: UUID, row: StoredRow) -> tuple[Segment, ...]:
        """Return the exact segments of one row, for those who check the content root.

        Raises:
            SealBroken: it does not open in its place.
        """
        key = self._streams.key_of(kind, stream, read_entry(row.entry).key_id)
        return open_event(key, Place(self._deployment, EVENT_PLACE, stream, row.version), row.state)[1]

    def event_key(self, kind: StreamKind, stream: UUID, row: StoredRow) -> bytes:
        """Return the key that opens this one row in its place, and no other.

        Raises:
            LedgerMismatch, SealBroken, UnknownTopic: the row is not what was written.
            KeyMissing: its data key is not there.
        """
        self._opened(kind, stream, (row,), gaps=False, salted=False)
        key = self._streams.key_of(kind, stream, read_entry(row.entry).key_id)
        return event_key_of(key, Place(self._deployment, EVENT_PLACE, stream, row.version), row.state)

    def _unseal(
        self, kind: StreamKind, stream: UUID, row: StoredRow, previous: bytes | None, *, salted: bool
    ) -> _Unsealed:
        """Return what a row holds, or why it does not open; `previous` is the leaf before it, where that is known."""
        entry = read_entry(row.entry)
        leaf, logged_at = entry_hash(row.entry), from_microseconds(entry.logged_at_us)
        salts: tuple[bytes, ...] = ()
        try:
            if entry.stream != stream.bytes or entry.version != row.version:
                raise LedgerMismatch("an entry of another place", row.position)
            if previous is not None and entry.prev_stream_leaf != previous:
                raise LedgerMismatch("a chain that is cut", row.position)
            if hashlib.sha256(row.state).digest() != entry.payload_sha256:
                raise LedgerMismatch("a row that is not what was logged", row.position)
            key = self._streams.key_of(kind, stream, entry.key_id)
            place = Place(self._deployment, EVENT_PLACE, stream, row.version)
            if salted:
                topic, segments, salts = open_salted_event(key, place, row.state)
            else:
                topic, segments = open_event(key, place, row.state)
        except (LedgerMismatch, SealBroken, UnknownTopic) as error:
            return _Unsealed(row, leaf, logged_at, error=error)
        return _Unsealed(row, leaf, logged_at, topic, segments, salts)

    def _read(self, kind: StreamKind, stream: UUID, unsealed: _Unsealed) -> Event:
        """Return the event that a row holds.

        Raises:
            LedgerMismatch, SealBroken, UnknownTopic: it did not open, or what opened is no event of this stream.
        """
        if unsealed.error is not None:
            raise unsealed.error
        event = to_event(unsealed.topic, unsealed.segments)
        same = event.stream_kind is kind
        if not same and self._streams.scope(event.stream_kind, stream) != self._streams.scope(kind, stream):
            raise UnknownTopic("an event of another kind of stream")
        return event
