"""Units for tests of the store: sealed in form, random in content. A store opens none."""

from __future__ import annotations

import hashlib
import os
from uuid import UUID, uuid4

from records.ledger import NO_LEAF, KeyClass, Kind
from records.sealing import SealedEvent
from records.store.unit import (
    Append,
    ClearEntry,
    Compose,
    CreatedKey,
    DestroyedKey,
    IdempotencyRow,
    Reference,
    RowPut,
    Tile,
    Unit,
)

DEPLOYMENT = UUID(int=7)
KEY_ID = bytes(range(16))


def sealed(key_class: KeyClass = KeyClass.RECORD, size: int = 600) -> SealedEvent:
    """Return an event that looks sealed."""
    state = b"\x01" + bytes([key_class]) + b"\x00\x01" + KEY_ID + os.urandom(size)
    return SealedEvent(state, KEY_ID, key_class, hashlib.sha256(state).digest(), os.urandom(32))


def append(stream: UUID, expected: int, count: int = 1, key_class: KeyClass = KeyClass.RECORD) -> Append:
    """Return an append of some events at an expected version."""
    return Append(stream, Kind.EVENT, expected, tuple(sealed(key_class) for _ in range(count)))


def event(stream: UUID, expected: int, count: int = 1, *, key: bytes | None = None) -> Unit:
    """Return a unit that appends events, under an idempotency key where one is given."""
    row = None if key is None else request(key, stream, expected + 1)
    return Unit(appends=(append(stream, expected, count),), idempotency=row)


def access(stream: UUID) -> Unit:
    """Return a unit that appends one access event, numbered by the writer."""
    return Unit(appends=(Append(stream, Kind.ACCESS, None, seal=lambda _version, _at: sealed(KeyClass.AUDIT_YEAR)),))


def request(key: bytes, stream: UUID, version: int) -> IdempotencyRow:
    """Return what is kept of a request."""
    return IdempotencyRow(key, hashlib.sha256(key).digest(), stream, 201, (Reference(stream, version),))


def created_key(scope: UUID) -> CreatedKey:
    """Return a created key."""
    return CreatedKey(scope, os.urandom(16), KeyClass.RECORD)


def destroyed_key(scope: UUID, key_id: bytes | None = None) -> DestroyedKey:
    """Return a destroyed key."""
    return DestroyedKey(scope, key_id or os.urandom(16), KeyClass.RECORD)


def clear(version: int, previous: bytes = NO_LEAF, compose: Compose | None = None) -> ClearEntry:
    """Return a clear entry; its body says where it was made where no maker is given."""
    return ClearEntry(Kind.EPOCH, DEPLOYMENT, version, previous, compose or (lambda index, _at, _before: b"%d" % index))


def tile(level: int, n: int) -> Tile:
    """Return a full hash tile."""
    return Tile(level, n, bytes([level, n % 256]) * (256 * 16))


def put(place: str, row_id: UUID, version: int, state: bytes, *, only_forward: bool = True) -> RowPut:
    """Return a sealed row to store."""
    return RowPut(place, row_id, uuid4(), version, state, only_forward)
