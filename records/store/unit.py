"""What goes into one commit, and what comes back: the vocabulary between the doors and the stores.

- A `Unit` is all or nothing: events with their ledger entries, new keys' entries, sealed rows, the idempotency row.
- An append with an expected version is sealed before it is handed over; one without (access events) is sealed by the
  writer, which gives version and time.
- An erasure rides along too: fences, the entries of destroyed keys, and what is scrubbed with a client.
- So does the purge of what an erasure left: each event's ciphertext goes, and its entry says so.
- What signs the log rides along: clear entries (epochs, declared restores) with their bodies, full hash tiles, signed
  checkpoints.

It holds no logic: see `records.store.batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from records.ledger import NO_LEAF, KeyClass, Kind
from records.sealing import SealedEvent

Seal = Callable[[int, int], SealedEvent]
"""(version, logged_at in µs) → sealed event; called by the writer under its lock."""
Compose = Callable[[int, int, Sequence[tuple[int, bytes]]], bytes]
"""(index, logged_at in µs, entries of this batch that stand before it) → body; called by the writer under its lock."""

KEPT_PLACES = frozenset({"draft", "attachment"})
"""Places of sealed rows that are somebody's own words and files; no view makes them anew, so none may be dropped."""


class Append(NamedTuple):
    """Events for one stream.

    Attributes:
        stream: the stream's id.
        kind: `Kind.EVENT` or `Kind.ACCESS`.
        expected_version: version of the stream before this append; None lets the writer number it.
        sealed: the sealed events, when the version is expected.
        seal: seals the one event, when the writer numbers it.
    """

    stream: UUID
    kind: Kind
    expected_version: int | None
    sealed: tuple[SealedEvent, ...] = ()
    seal: Seal | None = None


class CreatedKey(NamedTuple):
    """A data key that was made durable in the keyring and gets its ledger entry now."""

    scope: UUID
    key_id: bytes
    key_class: KeyClass


class DestroyedKey(NamedTuple):
    """A data key that is gone from the keyring for good, and gets the entry that says so now."""

    scope: UUID
    key_id: bytes
    key_class: KeyClass


class ClearEntry(NamedTuple):
    """An entry whose body is clear: an epoch or a declared restore. It stands before the unit's other entries.

    Attributes:
        kind: `Kind.EPOCH` or `Kind.RESTORE_DECLARED`.
        stream: the deployment's id.
        version: the epoch's number.
        previous: the leaf hash of the last entry of these kinds.
        compose: makes the body, which names its own index and what stands below it.
    """

    kind: Kind
    stream: UUID
    version: int
    previous: bytes
    compose: Compose


class Tile(NamedTuple):
    """A full hash tile: 256 hashes of 32 bytes. Storing one that is there already must find the same bytes."""

    level: int
    n: int
    hashes: bytes


class CheckpointRow(NamedTuple):
    """A signed checkpoint of the log's first `size` entries; it replaces one of the same size."""

    size: int
    note: bytes


class RowPut(NamedTuple):
    """A sealed row to store. With `only_forward` it replaces only a row of a lower version."""

    place: str
    row_id: UUID
    stream: UUID
    version: int
    state: bytes
    only_forward: bool = True


class RowDelete(NamedTuple):
    """A sealed row to delete; nothing happens where there is none."""

    place: str
    row_id: UUID


class SealedRow(NamedTuple):
    """A sealed row as stored."""

    row_id: UUID
    stream: UUID
    version: int
    state: bytes


class Reference(NamedTuple):
    """An event's place: stream and version."""

    stream: UUID
    version: int


class IdempotencyRow(NamedTuple):
    """What is kept of a request that was done: keyed digests, its status, its events. Never its body or answer.

    Attributes:
        key: HMAC over actor, route and key, 32 bytes.
        body: HMAC over the body under a key that dies with the client's, 32 bytes.
        stream: the client's stream, by which the row is scrubbed.
        status: the HTTP status of the first answer.
        events: the events that it wrote, in order.
    """

    key: bytes
    body: bytes
    stream: UUID
    status: int
    events: tuple[Reference, ...]


class AuditRow(NamedTuple):
    """A row of the clear audit index: ids, staff, purpose and time only. `at_us` is microseconds since 1970 UTC."""

    position: int
    client_id: UUID | None
    actor: str
    purpose: str | None
    at_us: int


class AuditBatch(NamedTuple):
    """Audit index rows together with the ledger index that they bring the index up to."""

    rows: tuple[AuditRow, ...]
    position: int
    restart: bool = False


class Unit(NamedTuple):
    """Everything of one commit."""

    appends: tuple[Append, ...] = ()
    keys: tuple[CreatedKey, ...] = ()
    puts: tuple[RowPut, ...] = ()
    deletes: tuple[RowDelete, ...] = ()
    idempotency: IdempotencyRow | None = None
    audit: AuditBatch | None = None
    clear: tuple[ClearEntry, ...] = ()
    tiles: tuple[Tile, ...] = ()
    checkpoints: tuple[CheckpointRow, ...] = ()
    dropped_checkpoints: tuple[int, ...] = ()
    """Sizes of checkpoints that need not be kept."""
    destroyed: tuple[DestroyedKey, ...] = ()
    fences: tuple[UUID, ...] = ()
    """Streams that take no event from this commit on; it is refused inside the transaction."""
    scrubs: tuple[UUID, ...] = ()
    """Streams whose sealed rows, drafts and idempotency rows are deleted; their fences stay."""
    purges: tuple[Reference, ...] = ()
    """Events of closed streams whose ciphertext goes, each with its entry; nothing happens where it is gone already."""
    unmoved: tuple[Reference, ...] = ()
    """Streams that must still stand at this version, beside those that are appended to."""
    sweep: bool = False
    """Let the database's own files go of old pages after the batch; for `Store.sweep` alone."""


class Committed(NamedTuple):
    """What a commit gave.

    Attributes:
        entries: (ledger index, entry) of each clear entry, then of each event of the unit, in the order of its appends.
        replay: the row of the first request where the idempotency key was known; then nothing was written.
    """

    entries: tuple[tuple[int, bytes], ...] = ()
    replay: IdempotencyRow | None = None


class LogHead(NamedTuple):
    """Where the log stands: the next index, the last time used (µs), the index of the last clinic-class entry."""

    next_index: int = 0
    last_us: int = 0
    clinic_index: int = -1


class StreamHead(NamedTuple):
    """Where a stream stands: its last version and the hash of that version's leaf."""

    version: int = 0
    leaf: bytes = NO_LEAF


class Tally(NamedTuple):
    """How much is stored: entries, the last index (-1 for none), entries of each sort, and what they name.

    Attributes:
        entries, last_index: of the ledger.
        chained, events: entries of events and readings, and stored events.
        clear, bodies: entries of epochs and declared restores, and stored bodies.
    """

    entries: int
    last_index: int
    chained: int
    events: int
    clear: int
    bodies: int


class StoredRow(NamedTuple):
    """An event as it lies in the store, beside its ledger entry; nothing is verified yet."""

    position: int
    entry: bytes
    version: int
    state: bytes


class Purge(NamedTuple):
    """The stored state of an event, and the purged form that takes its place."""

    stream: UUID
    version: int
    before: bytes
    after: bytes


def encode_references(references: tuple[Reference, ...]) -> bytes:
    """Return 24 bytes for each reference: stream, then version as u64."""
    return b"".join(stream.bytes + version.to_bytes(8, "big") for stream, version in references)


def decode_references(data: bytes) -> tuple[Reference, ...]:
    """Return the references that `encode_references` encoded."""
    return tuple(
        Reference(UUID(bytes=data[at : at + 16]), int.from_bytes(data[at + 16 : at + 24], "big"))
        for at in range(0, len(data), 24)
    )
