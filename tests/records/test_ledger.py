"""The ledger entry: 157 bytes that say one thing, and a decoder that takes nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.errors import LedgerMismatch
from records.ledger import (
    CHAIN_BYTES,
    CHAIN_OFFSET,
    CLEAR_KINDS,
    ENTRY_BYTES,
    KEY_CLASS_OFFSET,
    KIND_OFFSET,
    MAGIC,
    NO_LEAF,
    Entry,
    KeyClass,
    Kind,
    chain_key,
    decode_entry,
    encode_entry,
    entry_hash,
    from_microseconds,
    to_microseconds,
)
from records.merkle import leaf_hash

U64 = st.integers(0, 2**63 - 1)
DIGEST = st.binary(min_size=32, max_size=32)
KINDS = st.sampled_from(Kind).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.just(KeyClass.CLEAR)
        if kind in CLEAR_KINDS
        else st.sampled_from([each for each in KeyClass if each is not KeyClass.CLEAR]),
    )
)
ENTRIES = st.builds(
    lambda kinds, **fields: Entry(kind=kinds[0], key_class=kinds[1], **fields),
    KINDS,
    logged_at_us=st.integers(0, 200_000_000_000_000_000),
    stream=st.uuids(),
    version=U64,
    prev_stream_leaf=DIGEST,
    key_id=st.binary(min_size=16, max_size=16),
    payload_len=st.integers(0, 2**32 - 1),
    payload_sha256=DIGEST,
    content_root=DIGEST,
)


def encoded(entry: Entry) -> bytes:
    fields = msgspec.structs.asdict(entry)
    return encode_entry(**{**fields, "stream": entry.stream.bytes})


@settings(deadline=None)
@given(ENTRIES)
def test_what_is_encoded_is_what_is_decoded(entry: Entry) -> None:
    assert decode_entry(encoded(entry)) == entry


@settings(deadline=None)
@given(ENTRIES, ENTRIES)
def test_no_two_entries_share_an_encoding(one: Entry, other: Entry) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)
    assert (entry_hash(encoded(one)) == entry_hash(encoded(other))) == (one == other)


@settings(deadline=None)
@given(ENTRIES, st.integers(0, ENTRY_BYTES - 1), st.integers(1, 255))
def test_a_changed_byte_is_another_entry_or_none(entry: Entry, at: int, change: int) -> None:
    raw = bytearray(encoded(entry))
    raw[at] ^= change

    try:
        assert decode_entry(bytes(raw)) != entry
    except LedgerMismatch:
        assert at < CHAIN_OFFSET or at == KEY_CLASS_OFFSET, "only magic, kind and class can be malformed"


def test_the_layout_is_the_published_one() -> None:
    raw = encode_entry(2, 3, bytes(range(16)), 4, b"\x05" * 32, b"\x06" * 16, 4, 7, b"\x08" * 32, b"\x09" * 32)

    assert raw.hex() == (
        "574b4c45414601" + "02" + "0000000000000003" + bytes(range(16)).hex() + "0000000000000004"
        "" + "05" * 32 + "06" * 16 + "04" + "00000007" + "08" * 32 + "09" * 32
    )
    assert len(raw) == ENTRY_BYTES == 157
    assert raw[KIND_OFFSET] == Kind.ACCESS
    assert raw[KEY_CLASS_OFFSET] == KeyClass.AUDIT_YEAR
    assert raw[CHAIN_OFFSET : CHAIN_OFFSET + CHAIN_BYTES] == chain_key(bytes(range(16)), 4)
    assert entry_hash(raw) == leaf_hash(raw)


GOOD = encode_entry(1, 1, bytes(16), 1, NO_LEAF, bytes(16), 1, 0, bytes(32), bytes(32))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\x00",
        b"WKLEAF\x02" + GOOD[len(MAGIC) :],
        GOOD[:KIND_OFFSET] + b"\x00" + GOOD[KIND_OFFSET + 1 :],
        GOOD[:KIND_OFFSET] + b"\x08" + GOOD[KIND_OFFSET + 1 :],
        GOOD[:KEY_CLASS_OFFSET] + b"\x00" + GOOD[KEY_CLASS_OFFSET + 1 :],
        GOOD[:KEY_CLASS_OFFSET] + b"\x07" + GOOD[KEY_CLASS_OFFSET + 1 :],
        GOOD[:KIND_OFFSET] + b"\x05" + GOOD[KIND_OFFSET + 1 :],
        GOOD[:KIND_OFFSET] + b"\x07" + GOOD[KIND_OFFSET + 1 :],
    ],
    ids=["empty", "short", "long", "magic", "kind 0", "kind 8", "class 0", "class 7", "sealed epoch", "sealed restore"],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    assert decode_entry(GOOD).stream == UUID(int=0)
    with pytest.raises(LedgerMismatch):
        decode_entry(raw)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone itself
def test_a_time_survives_to_the_microsecond(at: datetime) -> None:
    assert from_microseconds(to_microseconds(at)) == at


def test_a_time_means_the_same_in_every_zone() -> None:
    at = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))

    assert from_microseconds(to_microseconds(at)) == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
