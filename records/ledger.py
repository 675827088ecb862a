r"""The ledger entry: one fixed layout of 157 bytes for every leaf of the tree, in commit order.

Source: CRYPTO 2; RFC 6962 for the hash of a leaf.

    "WKLEAF\x01" ‖ kind u8 ‖ logged_at u64 (µs since 1970) ‖ stream_id 16 ‖ stream_version u64 ‖ prev_stream_leaf 32
    ‖ key_id 16 ‖ key_class u8 ‖ payload_len u32 ‖ payload_sha256 32 ‖ content_root 32

- Integers are big-endian. The decoder takes exactly this length, this magic, a known kind and a known class.
- `payload_sha256` is over the ciphertext as stored; `content_root` binds the text (see `records.sealing`).
- Event and access entries form one chain per stream: dense versions from 1, each naming the leaf before it.
- A key-created entry stands outside the chains: its stream is the key's scope, its version is 0.
- Epochs and declared restores stand outside them too, and have a chain of their own: the stream is the deployment, the
  version the epoch. Their bodies are clear, so their key class is 0, and no other entry's is.

Stored formats are for ever: nothing here may change but by a new version byte and a decision record.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from records.errors import LedgerMismatch
from records.merkle import HASH_BYTES, leaf_hash

MAGIC = b"WKLEAF\x01"
_LAYOUT = struct.Struct(">7sBQ16sQ32s16sBI32s32s")
ENTRY_BYTES = _LAYOUT.size
NO_LEAF = bytes(HASH_BYTES)
"""The previous leaf of a stream's first entry."""

KIND_OFFSET = 7
CHAIN_OFFSET = 16
"""Where `stream_id ‖ stream_version` begin: 24 bytes that order and name the entries of all streams."""
CHAIN_BYTES = 24
KEY_CLASS_OFFSET = 88
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Kind(IntEnum):
    """What an entry is; everything that is not the log's own business is a topic inside a seal."""

    EVENT = 1
    ACCESS = 2
    KEY_CREATED = 3
    KEY_DESTROYED = 4
    EPOCH = 5
    PAYLOAD_PURGED = 6
    RESTORE_DECLARED = 7


class KeyClass(IntEnum):
    """Which kind of data key sealed the payload; none did where the body is clear."""

    CLEAR = 0
    RECORD = 1
    PROCESS = 2
    SEGMENT = 3
    AUDIT_YEAR = 4
    CLINIC = 5
    SERVICE = 6


CLEAR_KINDS = frozenset((Kind.EPOCH, Kind.RESTORE_DECLARED))
"""The kinds whose bodies are clear."""
_KINDS = frozenset(Kind)
_KEY_CLASSES = frozenset(KeyClass)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded ledger entry; fields as in the layout, `logged_at_us` in microseconds since 1970 UTC."""

    kind: Kind
    logged_at_us: int
    stream: UUID
    version: int
    prev_stream_leaf: bytes
    key_id: bytes
    key_class: KeyClass
    payload_len: int
    payload_sha256: bytes
    content_root: bytes

    @property
    def logged_at(self) -> datetime:
        """The time of recording, aware, UTC."""
        return from_microseconds(self.logged_at_us)


class RawEntry(NamedTuple):
    """The fields of a ledger entry in the order and form of the layout, for those who read many."""

    kind: int
    logged_at_us: int
    stream: bytes
    version: int
    prev_stream_leaf: bytes
    key_id: bytes
    key_class: int
    payload_len: int
    payload_sha256: bytes
    content_root: bytes


def encode_entry(
    kind: int,
    logged_at_us: int,
    stream: bytes,
    version: int,
    prev_stream_leaf: bytes,
    key_id: bytes,
    key_class: int,
    payload_len: int,
    payload_sha256: bytes,
    content_root: bytes,
) -> bytes:
    """Return the 157 bytes of an entry; `stream` and `key_id` are 16 bytes, the digests 32."""
    return _LAYOUT.pack(
        MAGIC,
        kind,
        logged_at_us,
        stream,
        version,
        prev_stream_leaf,
        key_id,
        key_class,
        payload_len,
        payload_sha256,
        content_root,
    )


def read_entry(entry: bytes) -> RawEntry:
    """Return the fields of an entry as they lie there, strictly.

    Raises:
        LedgerMismatch: wrong length or magic, unknown kind or key class, or a class that its kind never has.
    """
    if len(entry) != ENTRY_BYTES:
        raise LedgerMismatch("an entry of wrong length")
    magic, *fields = _LAYOUT.unpack(entry)
    raw = RawEntry._make(fields)
    if magic != MAGIC or raw.kind not in _KINDS or raw.key_class not in _KEY_CLASSES:
        raise LedgerMismatch("an entry of unknown format")
    if (raw.kind in CLEAR_KINDS) != (raw.key_class == KeyClass.CLEAR):
        raise LedgerMismatch("an entry whose kind and key class do not fit")
    return raw


def decode_entry(entry: bytes) -> Entry:
    """Decode an entry strictly.

    Raises:
        LedgerMismatch: wrong length or magic, unknown kind or key class.
    """
    raw = read_entry(entry)
    return Entry(
        kind=Kind(raw.kind),
        logged_at_us=raw.logged_at_us,
        stream=UUID(bytes=raw.stream),
        version=raw.version,
        prev_stream_leaf=raw.prev_stream_leaf,
        key_id=raw.key_id,
        key_class=KeyClass(raw.key_class),
        payload_len=raw.payload_len,
        payload_sha256=raw.payload_sha256,
        content_root=raw.content_root,
    )


def entry_hash(entry: bytes) -> bytes:
    """Return the RFC 6962 leaf hash of an encoded entry."""
    return leaf_hash(entry)


def chain_key(stream: bytes, version: int) -> bytes:
    """Return the 24 bytes `stream ‖ version` under which the ledger's chain index finds an entry."""
    return stream + version.to_bytes(8, "big")


def to_microseconds(at: datetime) -> int:
    """Return microseconds since 1970 UTC of an aware time, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(us: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)
