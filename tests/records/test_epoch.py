"""Epochs and restores: one encoding each, signed by whom they must be, and bound to the checkpoint that they hold."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.checkpoint import Checkpoint, EpochKeys, HybridPublic, HybridSignature, LogKey, origin_of, sign_checkpoint
from records.epoch import (
    Body,
    EpochBody,
    GenesisKeys,
    RestoreBody,
    decode,
    encode,
    format_fingerprint,
    genesis_fingerprint,
    heads_root,
    parse_fingerprint,
    sign_epoch,
    statement,
    verify_epoch,
)
from records.errors import (
    BadSignature,
    MalformedCheckpoint,
    MalformedEpoch,
    MissingSignature,
    VerificationError,
)
from records.merkle import EMPTY_ROOT, root
from tests.signed_log import (
    AT,
    DEPLOYMENT,
    EPOCHS,
    LOG,
    PUBLICS,
    RECOVERY,
    checkpoint,
    genesis,
    restore,
    second,
    signed,
)

GENESIS, SECOND, RESTORE = genesis(), second(), restore()
DIGEST = st.binary(min_size=32, max_size=32)
PAIRS = st.builds(HybridPublic, DIGEST, st.binary(min_size=1312, max_size=1312))
SIGNATURES = st.builds(HybridSignature, st.binary(min_size=64, max_size=64), st.binary(min_size=2420, max_size=2420))
SIZES = st.integers(1, 2**63 - 1)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(
        EpochBody,
        deployment_id=st.uuids(),
        epoch=st.integers(1, 2**32 - 1),
        size=SIZES,
        root=DIGEST,
        heads_root=DIGEST,
        checkpoint=st.binary(min_size=1, max_size=99),
        next_keys=PAIRS,
        genesis=st.none(),
        signature=SIGNATURES,
    ),
    st.builds(
        EpochBody,
        deployment_id=st.uuids(),
        epoch=st.just(0),
        size=st.just(0),
        root=st.just(EMPTY_ROOT),
        heads_root=DIGEST,
        checkpoint=st.binary(min_size=1, max_size=99),
        next_keys=PAIRS,
        genesis=st.builds(GenesisKeys, DIGEST, PAIRS),
        signature=SIGNATURES,
    ),
    st.builds(
        RestoreBody,
        deployment_id=st.uuids(),
        epoch=st.integers(1, 2**32 - 1),
        size=SIZES,
        root=DIGEST,
        heads_root=DIGEST,
        next_keys=PAIRS,
        known_size=st.integers(0, 2**63 - 1),
        signature=SIGNATURES,
    ),
)


@settings(deadline=None)
@given(BODIES)
def test_what_is_encoded_is_what_is_decoded(body: Body) -> None:
    data = encode(body)

    assert decode(data) == body
    assert data.startswith(statement(body))
    for broken in (data[:-1], data + b"\x00", data[1:]):
        with pytest.raises(MalformedEpoch):
            decode(broken)


@settings(deadline=None)
@given(BODIES, st.data())
def test_a_changed_byte_is_another_body_or_none(body: Body, draw: st.DataObject) -> None:
    raw = bytearray(encode(body))
    raw[draw.draw(st.integers(0, len(raw) - 1))] ^= draw.draw(st.integers(1, 255))

    try:
        other = decode(bytes(raw))
    except MalformedEpoch:
        return
    assert other != body
    assert encode(other) == bytes(raw)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_malformed(data: bytes) -> None:
    for start in (b"", b"WKEPOCH\x01", b"WKRESTORE\x01"):
        with pytest.raises(MalformedEpoch):
            decode(start + data)


def test_the_layout_is_the_published_one() -> None:
    data = encode(SECOND)
    assert data[:8] == b"WKEPOCH\x01"
    assert data[8:24] == DEPLOYMENT.bytes
    assert data[24:36] == (1).to_bytes(4, "big") + (7).to_bytes(8, "big")
    assert data[36:68] == checkpoint(7).root
    assert data[100:104] == len(SECOND.checkpoint).to_bytes(4, "big")
    after = data[104 + len(SECOND.checkpoint) :]
    assert after[:34] == b"\x00\x20" + PUBLICS[1].ed25519
    assert after[34:1348] == b"\x05\x20" + PUBLICS[1].ml_dsa_44
    assert after[1348:1351] == b"\x00\x00\x40"
    assert after[1415:1417] == b"\x09\x74"
    assert len(after) == 1417 + 2420
    assert encode(GENESIS)[104 + len(GENESIS.checkpoint) + 1348 :][:35] == b"\x01\x00\x20" + LOG.public
    assert encode(RESTORE)[:10] == b"WKRESTORE\x01"
    assert encode(RESTORE)[102:106] == bytes(4)
    assert encode(RESTORE)[106 + 1348 :][:8] == (7).to_bytes(8, "big")


def test_each_body_holds_by_the_keys_that_must_have_signed_it() -> None:
    verify_epoch(GENESIS, PUBLICS[0], LOG.public)
    verify_epoch(SECOND, PUBLICS[0], LOG.public)
    verify_epoch(RESTORE, RECOVERY.public, LOG.public)


@pytest.mark.parametrize("body", [GENESIS, SECOND, RESTORE], ids=["genesis", "epoch", "restore"])
def test_no_other_keys_will_do_not_even_one_of_the_two(body: Body) -> None:
    good = RECOVERY.public if body is RESTORE else PUBLICS[0]
    for keys in (
        PUBLICS[1],
        HybridPublic(good.ed25519, PUBLICS[1].ml_dsa_44),
        HybridPublic(PUBLICS[1].ed25519, good.ml_dsa_44),
    ):
        with pytest.raises(BadSignature):
            verify_epoch(body, keys, LOG.public)


@pytest.mark.parametrize("body", [GENESIS, SECOND, RESTORE], ids=["genesis", "epoch", "restore"])
def test_no_bit_of_a_signed_body_can_change(body: Body) -> None:
    data = encode(body)
    keys = RECOVERY.public if body is RESTORE else PUBLICS[0]

    # Each 61st bit: every field and every place within a byte is met, in a few hundred tries.
    for bit in range(0, 8 * len(data), 61):
        raw = bytearray(data)
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError):
            verify_epoch(decode(bytes(raw)), keys, LOG.public)


def test_an_epoch_cannot_be_forged_from_a_public_checkpoint() -> None:
    thief = EpochKeys(b"t" * 32, b"u" * 32)
    forged = sign_epoch(msgspec.structs.replace(SECOND, next_keys=thief.public), thief)

    with pytest.raises(BadSignature):
        verify_epoch(forged, PUBLICS[0], LOG.public)


def test_an_epoch_and_a_restore_cannot_stand_for_each_other() -> None:
    other = msgspec.structs.replace(RESTORE, signature=SECOND.signature)
    with pytest.raises(BadSignature):
        verify_epoch(other, PUBLICS[0], LOG.public)


@pytest.mark.parametrize(
    ("note", "leaf"),
    [
        (signed(6), MalformedCheckpoint),
        (signed(7, fork_at=3), MalformedCheckpoint),
        (signed(7, epoch=1), MissingSignature),
        (
            sign_checkpoint(Checkpoint(origin_of(DEPLOYMENT)[:-1] + "2", 7, checkpoint(7).root), LOG, 0, EPOCHS[0], AT),
            MalformedCheckpoint,
        ),
    ],
    ids=["size", "root", "keys", "origin"],
)
def test_an_epoch_holds_exactly_its_own_checkpoint(note: bytes, leaf: type[VerificationError]) -> None:
    body = sign_epoch(msgspec.structs.replace(SECOND, checkpoint=note), EPOCHS[0])
    with pytest.raises(leaf):
        verify_epoch(body, PUBLICS[0], LOG.public)


def test_genesis_names_the_log_key_and_is_the_first_entry() -> None:
    with pytest.raises(MalformedEpoch):
        verify_epoch(GENESIS, PUBLICS[0], LogKey(b"o" * 32).public)
    for wrong in (
        msgspec.structs.replace(GENESIS, epoch=1),
        msgspec.structs.replace(GENESIS, size=1),
        msgspec.structs.replace(GENESIS, root=bytes(32)),
        msgspec.structs.replace(SECOND, epoch=0),
        msgspec.structs.replace(SECOND, size=0),
        msgspec.structs.replace(SECOND, genesis=GENESIS.genesis),
    ):
        with pytest.raises(MalformedEpoch):
            sign_epoch(wrong, EPOCHS[0])


@pytest.mark.parametrize(
    "body",
    [
        msgspec.structs.replace(SECOND, root=bytes(31)),
        msgspec.structs.replace(SECOND, heads_root=bytes(33)),
        msgspec.structs.replace(SECOND, checkpoint=b""),
        msgspec.structs.replace(SECOND, epoch=2**32),
        msgspec.structs.replace(SECOND, size=2**63),
        msgspec.structs.replace(RESTORE, known_size=-1),
        msgspec.structs.replace(SECOND, next_keys=HybridPublic(bytes(31), bytes(1312))),
        msgspec.structs.replace(SECOND, signature=HybridSignature(bytes(64), bytes(2419))),
        msgspec.structs.replace(SECOND, signature=None),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_is_not_written(body: Body) -> None:
    with pytest.raises(MalformedEpoch):
        encode(body)
    if body.signature is None:
        with pytest.raises(MalformedEpoch):
            verify_epoch(body, PUBLICS[0], LOG.public)


def test_heads_are_bound_in_any_order() -> None:
    heads = [(bytes([n]) * 16, 10 - n) for n in range(9)]
    expected = root([stream + version.to_bytes(8, "big") for stream, version in heads])

    assert heads_root(heads) == heads_root(reversed(heads)) == expected
    assert heads_root([]) == EMPTY_ROOT
    assert heads_root(heads[1:]) != expected
    for wrong in ([*heads, heads[0]], [*heads, (heads[0][0], 99)], [(b"short", 1)]):
        with pytest.raises(MalformedEpoch):
            heads_root(wrong)


def test_a_fingerprint_is_read_as_people_write_it() -> None:
    data = encode(GENESIS)
    fingerprint = genesis_fingerprint(data)

    assert fingerprint == hashlib.sha256(data).hexdigest()
    assert len(format_fingerprint(fingerprint)) == 64 + 15
    for written in (
        fingerprint,
        format_fingerprint(fingerprint),
        fingerprint.upper(),
        format_fingerprint(fingerprint).replace(" ", "-"),
        f"  {fingerprint[:30]}\n{fingerprint[30:]} ",
    ):
        assert parse_fingerprint(written) == fingerprint
    for wrong in ("", fingerprint[1:], fingerprint + "0", "g" + fingerprint[1:], "٣" + fingerprint[1:]):
        with pytest.raises(MalformedEpoch):
            parse_fingerprint(wrong)
