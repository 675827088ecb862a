"""A checkpoint holds with its three signatures and with nothing less, and a witness's line with the witness's key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.checkpoint import (
    MAX_SIZE,
    Checkpoint,
    EpochKeys,
    HybridPublic,
    LogKey,
    RecoveryKeys,
    WitnessKey,
    cosign,
    epoch_of,
    log_verifier,
    origin_of,
    sign_checkpoint,
    signed_at,
    verify_checkpoint,
    verify_cosignature,
    verify_log_signature,
    with_line,
)
from records.errors import (
    BadSignature,
    MalformedCheckpoint,
    MissingSignature,
    VerificationError,
)
from records.signed_note import Note, encode_note, parse_line, parse_note
from tests.signed_log import AT, DEPLOYMENT, EPOCHS, LOG, ORIGIN, PUBLICS, RECOVERY, WITNESS, checkpoint, signed

CHECKPOINTS = st.builds(
    Checkpoint,
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=50),
    st.integers(0, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
)
C2SP_COSIGNED = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
"""The example of C2SP tlog-cosignature; its keys are not published, so only its form can be read."""


def test_the_published_example_is_read() -> None:
    note = parse_note(C2SP_COSIGNED.encode())
    stated = Checkpoint.parse(note.text)

    assert (stated.origin, stated.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert int.from_bytes(note.signatures[1].blob[:8], "big") == 1_679_315_147
    assert len(note.signatures[1].blob) == 8 + 64


@settings(deadline=None)
@given(CHECKPOINTS)
def test_what_is_encoded_is_what_is_parsed(stated: Checkpoint) -> None:
    assert Checkpoint.parse(stated.encode()) == stated


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[a-z/]{0,3}\n[0-9+-]{0,3}\n[A-Za-z0-9+/]{43}=\n{0,3}"))
def test_any_text_is_a_checkpoint_in_its_one_form_or_malformed(text: str) -> None:
    try:
        stated = Checkpoint.parse(text)
    except MalformedCheckpoint:
        return
    assert stated.encode() == text


@pytest.mark.parametrize(
    "stated",
    [
        Checkpoint("", 0, bytes(32)),
        Checkpoint("a\nb", 0, bytes(32)),
        Checkpoint("a" * 256, 0, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", MAX_SIZE + 1, bytes(32)),
        Checkpoint("a", 0, bytes(31)),
    ],
)
def test_a_checkpoint_that_cannot_be_is_not_written(stated: Checkpoint) -> None:
    with pytest.raises(MalformedCheckpoint):
        stated.encode()


def test_the_origin_names_the_clinic() -> None:
    assert origin_of(DEPLOYMENT) == "wellkept/log/00000000-0000-4000-8000-0000000000d1"


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_checkpoint_holds_with_its_three_signatures(epoch: int) -> None:
    note = signed(7, epoch)

    assert verify_checkpoint(note, LOG.public, PUBLICS) == checkpoint(7)
    assert (epoch_of(note), signed_at(note)) == (epoch, AT + 7)
    assert [line.name for line in parse_note(note).signatures] == [ORIGIN, *[f"{ORIGIN}/epoch/{epoch}"] * 2]
    assert len(note) < 5_000


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_without_one_of_them_it_does_not(missing: int) -> None:
    note = parse_note(signed(7))
    kept = tuple(line for n, line in enumerate(note.signatures) if n != missing)

    with pytest.raises(MissingSignature):
        verify_checkpoint(encode_note(Note(note.text, kept)), LOG.public, PUBLICS)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_their_order_is_fixed(order: tuple[int, ...]) -> None:
    note = parse_note(signed(7))
    with pytest.raises(MissingSignature):
        verify_checkpoint(encode_note(Note(note.text, tuple(note.signatures[n] for n in order))), LOG.public, PUBLICS)


def test_the_keys_must_be_the_ones_that_are_known() -> None:
    other = EpochKeys(b"o" * 32, b"p" * 32).public
    for log, epochs in (
        (LogKey(b"o" * 32).public, PUBLICS),
        (LOG.public, {}),
        (LOG.public, {1: PUBLICS[0]}),
        (LOG.public, {0: PUBLICS[1]}),
        (LOG.public, {0: HybridPublic(other.ed25519, PUBLICS[0].ml_dsa_44)}),
        (LOG.public, {0: HybridPublic(PUBLICS[0].ed25519, other.ml_dsa_44)}),
    ):
        with pytest.raises(MissingSignature):
            verify_checkpoint(signed(7), log, epochs)


SIGNED = signed(7)
LAST_SIGNED_BIT = 8 * len(SIGNED)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, LAST_SIGNED_BIT - 1))
def test_no_bit_of_a_signed_checkpoint_can_change(bit: int) -> None:
    raw = bytearray(SIGNED)
    raw[bit // 8] ^= 1 << bit % 8

    with pytest.raises(VerificationError):
        verify_checkpoint(bytes(raw), LOG.public, PUBLICS)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_signature_over_another_tree_does_not_hold(line: int) -> None:
    good, other = parse_note(signed(7)), parse_note(signed(7, fork_at=3))
    swapped = [other.signatures[n] if n == line else one for n, one in enumerate(good.signatures)]

    with pytest.raises(BadSignature):
        verify_checkpoint(encode_note(Note(good.text, tuple(swapped))), LOG.public, PUBLICS)


def test_the_post_quantum_signature_binds_its_time() -> None:
    good = parse_note(signed(7))
    last = good.signatures[2]
    later = last._replace(blob=(AT + 8).to_bytes(8, "big") + last.blob[8:])

    with pytest.raises(BadSignature):
        verify_checkpoint(encode_note(Note(good.text, (*good.signatures[:2], later))), LOG.public, PUBLICS)


def test_a_key_that_signs_twice_is_refused_and_a_witness_is_not_judged() -> None:
    note = parse_note(signed(7))
    unknown = parse_line("— someone.else/w1 AAAAAAE=")

    assert verify_checkpoint(encode_note(with_line(note, unknown)), LOG.public, PUBLICS) == checkpoint(7)
    with pytest.raises(MalformedCheckpoint):
        verify_checkpoint(encode_note(Note(note.text, (*note.signatures, note.signatures[0]))), LOG.public, PUBLICS)


# --- what a witness asks for and gives


def test_a_cosignature_holds_for_its_witness_text_and_time() -> None:
    note = parse_note(signed(7))
    line = cosign(note, WITNESS, AT)

    assert verify_cosignature(note, line, WITNESS.verifier) == AT
    forged = line._replace(blob=(AT + 1).to_bytes(8, "big") + line.blob[8:])
    for text, other in ((note, forged), (parse_note(signed(8)), line), (note, line._replace(blob=line.blob[:-1]))):
        with pytest.raises(BadSignature):
            verify_cosignature(text, other, WITNESS.verifier)
    for witness in (WitnessKey("other", b"o" * 32), WitnessKey(WITNESS.name, b"o" * 32)):
        with pytest.raises(MissingSignature):
            verify_cosignature(note, line, witness.verifier)
    with pytest.raises(MissingSignature):
        verify_cosignature(note, line, log_verifier(WITNESS.name, WITNESS.public))


@settings(deadline=None)
@given(st.integers(0, 8 * 72 - 1))
def test_no_bit_of_a_cosignature_can_change(bit: int) -> None:
    note = parse_note(SIGNED)
    line = cosign(note, WITNESS, AT)
    raw = bytearray(line.blob)
    raw[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadSignature):
        verify_cosignature(note, line._replace(blob=bytes(raw)), WITNESS.verifier)


def test_a_witness_signs_nothing_but_checkpoints() -> None:
    with pytest.raises(MalformedCheckpoint):
        cosign(Note("anything\n", ()), WITNESS, AT)


def test_a_later_line_of_a_witness_replaces_its_earlier_one() -> None:
    note = parse_note(signed(7))
    once = with_line(note, cosign(note, WITNESS, AT))
    twice = with_line(once, cosign(note, WITNESS, AT + 9))

    assert len(twice.signatures) == 4
    assert verify_cosignature(twice, twice.signatures[3], WITNESS.verifier) == AT + 9
    assert verify_checkpoint(encode_note(twice), LOG.public, PUBLICS) == checkpoint(7)


def test_the_log_key_alone_is_what_a_witness_asks_for() -> None:
    log = log_verifier(ORIGIN, LOG.public)
    note = parse_note(signed(7))
    only = Note(note.text, note.signatures[:1])

    assert verify_log_signature(encode_note(only), log) == checkpoint(7)
    with pytest.raises(MissingSignature):
        verify_log_signature(encode_note(Note(note.text, note.signatures[1:])), log)
    with pytest.raises(MissingSignature):
        verify_log_signature(encode_note(only), log_verifier("other", LOG.public))
    with pytest.raises(BadSignature):
        verify_log_signature(encode_note(Note(parse_note(signed(8)).text, only.signatures)), log)


# --- keys


def test_no_key_shows_itself() -> None:
    keys = (LOG, EPOCHS[0], RECOVERY, WITNESS)
    seeds = [bytes([n]) * 32 for n in (1, 10, 20, 30, 40)]

    for key in keys:
        shown = repr(key) + str(key) + repr([key])
        assert not any(seed.hex() in shown or repr(seed)[2:-1] in shown for seed in seeds)


def test_recovery_keys_come_from_one_secret() -> None:
    assert RecoveryKeys(bytes([30]) * 32).public == RECOVERY.public
    assert RecoveryKeys(bytes([31]) * 32).public != RECOVERY.public


def test_a_checkpoint_is_signed_for_an_epoch_that_fits_its_name() -> None:
    long = Checkpoint("a" * 250, 0, bytes(32))
    with pytest.raises(MalformedCheckpoint):
        sign_checkpoint(long, LOG, 1, EPOCHS[0], AT)
