"""What is sealed opens in its place, with its key, whole: and nowhere else, never in part, never of a telling size."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records import merkle
from records.cobblestone_fallback import open_cobblestone256
from records.errors import SealBroken
from records.ledger import NO_LEAF
from records.payload import Segment, encode_payload, length_prefixed
from records.sealing import (
    EVENT_SCHEMA,
    DataKey,
    Place,
    _context,
    _event_key,
    content_root,
    derive,
    key_id_of,
    keyed_digest,
    open_event,
    open_row,
    padme,
    seal_event,
    seal_row,
)

CLINIC, OTHER_CLINIC, STREAM, OTHER_STREAM = (UUID(int=n) for n in range(1, 5))
KEY = DataKey(b"k" * 16, 1, b"s" * 32)
PLACE = Place(CLINIC, "event", STREAM, 7)
TEXTS = (Segment("v1", b'{"a":1}'), Segment("text", b"the exact words"))
HEADER_BYTES = 36
OVERHEAD_BYTES = HEADER_BYTES + 24 + 32
"""Around the chunks: our header, then Cobblestone's salt and commitment."""
CHUNK_BYTES, TAG_BYTES = 16 * 1024, 16

PLACES = [
    PLACE._replace(deployment_id=OTHER_CLINIC),
    PLACE._replace(name="view:client"),
    PLACE._replace(stream=OTHER_STREAM),
    PLACE._replace(version=6),
    PLACE._replace(version=8),
]
PLACE_NAMES = ["clinic", "place", "stream", "older", "newer"]
KEYS = [KEY._replace(secret=b"t" * 32), KEY._replace(key_id=b"l" * 16), KEY._replace(key_class=5)]
KEY_NAMES = ["secret", "id", "class"]
SEGMENTS = st.lists(st.builds(Segment, st.text(max_size=12), st.binary(max_size=50)), min_size=1, max_size=4).map(tuple)


@settings(deadline=None)
@given(st.text(max_size=30), SEGMENTS, st.uuids(), st.integers(0, 2**63))
def test_what_is_sealed_opens_in_its_place(
    topic: str, segments: tuple[Segment, ...], stream: UUID, version: int
) -> None:
    place = Place(CLINIC, "event", stream, version)
    sealed = seal_event(KEY, place, topic, segments)

    assert open_event(KEY, place, sealed.state) == (topic, segments)
    assert sealed.payload_sha256 == hashlib.sha256(sealed.state).digest()
    assert (sealed.key_id, sealed.key_class) == (KEY.key_id, KEY.key_class)
    assert key_id_of(sealed.state) == KEY.key_id


def test_the_same_content_gives_another_ciphertext_and_another_root_each_time() -> None:
    one, other = (seal_event(KEY, PLACE, "note.signed", TEXTS) for _ in range(2))

    assert one.state[HEADER_BYTES:] != other.state[HEADER_BYTES:]
    assert one.state[20:HEADER_BYTES] != other.state[20:HEADER_BYTES], "the nonce must be new"
    assert one.content_root != other.content_root, "equal texts must not show"


@pytest.mark.parametrize("place", PLACES, ids=PLACE_NAMES)
def test_a_row_that_was_moved_does_not_open(place: Place) -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state

    with pytest.raises(SealBroken):
        open_event(KEY, place, state)


@pytest.mark.parametrize("key", KEYS, ids=KEY_NAMES)
def test_another_key_does_not_open_it(key: DataKey) -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state

    with pytest.raises(SealBroken):
        open_event(key, PLACE, state)


@pytest.mark.parametrize("key", KEYS[1:], ids=KEY_NAMES[1:])
def test_a_header_that_was_rewritten_to_suit_another_key_does_not_open(key: DataKey) -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state
    rewritten = state[:1] + bytes([key.key_class]) + state[2:4] + key.key_id + state[20:]

    with pytest.raises(SealBroken):
        open_event(key, PLACE, rewritten)


def test_a_flipped_bit_anywhere_is_found() -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state
    for at in range(len(state)):
        flipped = bytearray(state)
        flipped[at] ^= 1 << (at % 8)
        with pytest.raises(SealBroken):
            open_event(KEY, PLACE, bytes(flipped))


@settings(deadline=None)
@given(st.data())
def test_a_state_that_is_cut_or_longer_does_not_open(data: st.DataObject) -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state
    cut = data.draw(st.integers(0, len(state) - 1))

    for wrong in (state[:cut], state + data.draw(st.binary(min_size=1, max_size=3))):
        with pytest.raises(SealBroken):
            open_event(KEY, PLACE, wrong)


def sealed_plaintext(plaintext: bytes) -> bytes:
    """Return a state whose plaintext is what an insider with the key would make of it."""
    from cryptography.cobblestone import Cobblestone256Encryptor

    nonce = b"n" * 16
    context = _context(PLACE, KEY.key_class, EVENT_SCHEMA, KEY.key_id, nonce)
    encryptor = Cobblestone256Encryptor(_event_key(KEY.secret, context), context)
    header = b"\x01\x01\x00\x01" + KEY.key_id + nonce
    return header + encryptor.update(plaintext) + encryptor.finalize()


def test_a_plaintext_that_is_not_padded_as_we_pad_is_refused() -> None:
    content = length_prefixed(b"note.signed") + encode_payload(TEXTS)
    length = 4 + len(content)
    proper = length.to_bytes(4, "big") + content + bytes(512 - length)
    assert open_event(KEY, PLACE, sealed_plaintext(proper)) == ("note.signed", TEXTS)

    for wrong in (proper[:length], proper + bytes(512), proper[:-1] + b"\x01", bytes(512), b"\xff" * 4 + bytes(508)):
        with pytest.raises(SealBroken):
            open_event(KEY, PLACE, sealed_plaintext(wrong))


def test_what_our_own_decoder_opens_is_the_published_layout() -> None:
    state = seal_event(KEY, PLACE, "note.signed", TEXTS).state
    nonce = state[20:36]
    context = (
        b"wellkept/ctx/1"
        + (b"\x00\x10" + CLINIC.bytes)
        + (b"\x00\x05" + b"event")
        + STREAM.bytes
        + (7).to_bytes(8, "big")
        + b"\x01"
        + b"\x00\x01"
        + KEY.key_id
        + nonce
    )
    plaintext = open_cobblestone256(_event_key(KEY.secret, context), context, state[36:])

    content = length_prefixed(b"note.signed") + encode_payload(TEXTS)
    assert state[:36] == b"\x01" + b"\x01" + b"\x00\x01" + KEY.key_id + nonce
    assert plaintext == (4 + len(content)).to_bytes(4, "big") + content + bytes(512 - 4 - len(content))


# --- sizes


@settings(deadline=None)
@given(st.integers(1, 2**24))
def test_padded_sizes_are_few_and_at_most_an_eighth_more(length: int) -> None:
    padded = padme(length)

    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded
    exponent = padded.bit_length() - 1
    assert bin(padded).rstrip("0").count("0", 2) <= exponent
    assert padded % (1 << max(0, exponent - exponent.bit_length())) == 0


def test_padme_gives_the_sizes_of_its_paper() -> None:
    assert [padme(length) for length in (8, 9, 100, 1000, 1024, 1025, 10_000)] == [8, 10, 104, 1024, 1024, 1088, 10_240]


def size_of(plaintext_bytes: int) -> int:
    """Return the size of a state whose padded plaintext has this size; the final chunk is shorter than the others."""
    chunks = plaintext_bytes // CHUNK_BYTES + 1
    return OVERHEAD_BYTES + plaintext_bytes + chunks * TAG_BYTES


@settings(deadline=None)
@given(st.integers(0, 60_000))
def test_a_stored_size_tells_only_its_class(length: int) -> None:
    state = seal_event(KEY, PLACE, "note.signed", (Segment("v1", b"x" * length),)).state
    written = 4 + 2 + len("note.signed") + 2 + 2 + 2 + 4 + length

    assert len(state) == size_of(padme(max(512, written)))


def test_all_small_events_have_one_size() -> None:
    sizes = {
        len(seal_event(KEY, PLACE, topic, (Segment("v1", b"x" * length),)).state)
        for topic in ("note.signed", "risk.prompt_cleared")
        for length in range(0, 460, 23)
    }

    assert sizes == {size_of(512)}


# --- the content root


def event_key_of(state: bytes) -> bytes:
    return _event_key(KEY.secret, _context(PLACE, KEY.key_class, EVENT_SCHEMA, KEY.key_id, state[20:36]))


def test_each_segment_can_be_shown_against_the_root_alone() -> None:
    sealed = seal_event(KEY, PLACE, "note.signed", TEXTS)
    key = event_key_of(sealed.state)

    def digest(segment: Segment) -> bytes:
        import hmac

        name = length_prefixed(segment.path.encode())
        salt = hmac.digest(key, b"wellkept/salt/1" + name, "sha256")
        size = len(segment.content).to_bytes(4, "big")
        return hashlib.sha256(b"wkseg\x01" + salt + name + size + segment.content).digest()

    header, text = (digest(segment) for segment in TEXTS)
    withheld = merkle.leaf_hash(header)
    assert sealed.content_root == merkle.node_hash(withheld, merkle.leaf_hash(text))


@settings(deadline=None)
@given(SEGMENTS, SEGMENTS)
def test_the_root_is_another_for_any_other_text(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> None:
    assert (content_root(b"e" * 32, one) == content_root(b"e" * 32, other)) == (one == other)


def test_the_root_dies_with_the_key() -> None:
    assert content_root(b"e" * 32, TEXTS) != content_root(b"f" * 32, TEXTS)


# --- mutable rows

ROW = Place(CLINIC, "view:client", STREAM, 7)


def test_a_row_opens_with_what_it_is_bound_to_and_with_nothing_else() -> None:
    leaf, note, author = b"l" * 32, b"note", b"author"
    state = seal_row(KEY, ROW, 3, leaf, (note, author), b"content")

    assert open_row(KEY, ROW, 3, leaf, (note, author), state) == b"content"
    wrong = [
        (ROW._replace(version=6), 3, leaf, (note, author)),
        (ROW._replace(name="roster"), 3, leaf, (note, author)),
        (ROW._replace(stream=OTHER_STREAM), 3, leaf, (note, author)),
        (ROW, 4, leaf, (note, author)),
        (ROW, 3, NO_LEAF, (note, author)),
        (ROW, 3, leaf, (note, b"colleague")),
        (ROW, 3, leaf, (author, note)),
        (ROW, 3, leaf, (note + author,)),
        (ROW, 3, leaf, ()),
    ]
    for place, schema, last, bound in wrong:
        with pytest.raises(SealBroken):
            open_row(KEY, place, schema, last, bound, state)


def test_a_row_is_no_event_and_an_event_no_row() -> None:
    row = seal_row(KEY, PLACE, EVENT_SCHEMA, NO_LEAF, (), b"content")
    event = seal_event(KEY, PLACE, "note.signed", TEXTS).state

    with pytest.raises(SealBroken):
        open_event(KEY, PLACE, row)
    with pytest.raises(SealBroken):
        open_row(KEY, PLACE, EVENT_SCHEMA, NO_LEAF, (), event)


# --- names and digests


@pytest.mark.parametrize("state", [b"", b"\x01" * 10, b"\x02" + bytes(60), b"\x00" + bytes(47), b"\x00" + bytes(49)])
def test_bytes_that_are_no_state_name_no_key(state: bytes) -> None:
    with pytest.raises(SealBroken):
        key_id_of(state)


def test_a_purged_state_still_names_its_key() -> None:
    assert key_id_of(b"\x00" + KEY.key_id + bytes(32)) == KEY.key_id


def test_a_key_shows_no_secret() -> None:
    assert KEY.secret.hex() not in repr(KEY) + str(KEY) + f"{KEY}"
    assert repr(KEY.secret) not in repr(KEY) + repr((KEY,)) + repr({"key": KEY})
    assert KEY.key_id.hex() in repr(KEY)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_keyed_digests_of_different_parts_differ(one: list[bytes], other: list[bytes]) -> None:
    assert (keyed_digest(b"k", *one) == keyed_digest(b"k", *other)) == (one == other)
    assert keyed_digest(b"k", *one) != keyed_digest(b"j", *one)


def test_each_use_has_a_key_of_its_own() -> None:
    keys = {derive(secret, label) for secret in (b"a" * 32, b"b" * 32) for label in ("token", "idempotency")}

    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
