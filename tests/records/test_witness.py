"""A witness signs one history: only onwards from what it last signed, whatever it is asked and in whatever order."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.checkpoint import Checkpoint, cosign, log_verifier, sign_checkpoint
from records.errors import (
    BadProof,
    BadSignature,
    ForkedLog,
    MalformedNote,
    MalformedRequest,
    MissingSignature,
    ProofFromElsewhere,
    WellkeptError,
)
from records.merkle import EMPTY_ROOT, Frontier, consistency_proof
from records.signed_note import MAX_NOTE_BYTES, parse_note
from records.tiles import TileHashes
from records.witness import (
    MAX_PROOF_LINES,
    TreeHead,
    WitnessRequest,
    encode_answer,
    encode_request,
    judge,
    parse_answer,
    parse_request,
)
from tests.signed_log import AT, EPOCHS, LOG, ORIGIN, WITNESS, checkpoint, leaves, signed

KEY = log_verifier(ORIGIN, LOG.public)
DIGEST = st.binary(min_size=32, max_size=32)
REQUESTS = st.builds(
    WitnessRequest, st.integers(0, 10**19 - 1), st.lists(DIGEST, max_size=63).map(tuple), st.just(signed(7))
)


def proof(old: int, new: int, fork_at: int | None = None) -> tuple[bytes, ...]:
    hashes = leaves(new, fork_at)
    return tuple(consistency_proof(TileHashes(lambda _l, _n: None, lambda a, b: hashes[a:b]), old, new))


@cache
def request(old: int, new: int, fork_at: int | None = None) -> WitnessRequest:
    return WitnessRequest(old, proof(old, new, fork_at), signed(new, fork_at=fork_at))


def last(size: int) -> TreeHead:
    return TreeHead(size, checkpoint(size).root)


def judged(asked: WitnessRequest, at: TreeHead) -> Checkpoint:
    return judge(parse_request(encode_request(*asked)), KEY, at)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 7), (7, 7), (3, 7), (4, 8), (7, 20)])
def test_it_signs_onwards_from_what_it_last_signed(old: int, new: int) -> None:
    assert judged(request(old, new), last(old)) == checkpoint(new)


def test_nothing_signed_yet_is_the_empty_tree() -> None:
    assert TreeHead() == TreeHead(0, EMPTY_ROOT) == last(0)


@pytest.mark.parametrize(("asked", "at"), [((3, 7), 4), ((0, 7), 4), ((7, 9), 4), ((4, 7), 0)])
def test_it_signs_from_nowhere_else_and_says_from_where(asked: tuple[int, int], at: int) -> None:
    with pytest.raises(ProofFromElsewhere) as caught:
        judged(request(*asked), last(at))
    assert caught.value.size == at


def test_it_does_not_sign_an_older_history_again() -> None:
    with pytest.raises(MalformedRequest):
        judged(WitnessRequest(7, (), signed(4)), last(7))
    with pytest.raises(ProofFromElsewhere):
        judged(request(4, 4), last(7))


def test_another_history_is_not_signed() -> None:
    forked = request(7, 9, fork_at=3)
    with pytest.raises(BadProof):
        judged(forked, last(7))
    with pytest.raises(BadProof):
        judged(forked._replace(proof=()), last(7))
    with pytest.raises(BadProof):
        judged(forked._replace(proof=proof(7, 9)), last(7))


def test_two_roots_at_one_size_are_a_fork() -> None:
    with pytest.raises(ForkedLog):
        judged(request(7, 7, fork_at=3), last(7))
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG, 0, EPOCHS[0], AT)
    with pytest.raises(ForkedLog):
        judged(WitnessRequest(0, (), empty), last(0))


@pytest.mark.parametrize(("old", "new"), [(0, 7), (7, 7)])
def test_a_proof_where_none_is_needed_is_none(old: int, new: int) -> None:
    with pytest.raises(BadProof):
        judged(request(old, new)._replace(proof=(bytes(32),)), last(old))


def test_the_log_must_have_signed_it() -> None:
    asked = request(0, 7)
    with pytest.raises(MissingSignature):
        judge(asked, log_verifier(ORIGIN, WITNESS.public), TreeHead())
    with pytest.raises(BadSignature):
        judge(asked._replace(note=asked.note.replace(b"\n7\n", b"\n8\n")), KEY, TreeHead())
    with pytest.raises(MalformedNote):
        judge(asked._replace(note=b"nothing"), KEY, TreeHead())


STEPS = st.tuples(st.integers(0, 24), st.integers(0, 24), st.sampled_from([None, 3, 9]), st.booleans())


@settings(deadline=None, max_examples=150)
@given(st.lists(STEPS, max_size=12))
def test_whatever_it_signs_is_one_history(steps: list[tuple[int, int, int | None, bool]]) -> None:
    at, signed_heads = TreeHead(), []
    for one, other, fork_at, onwards in steps:
        old, new = sorted((one, other))
        # Half of the attempts begin where the witness is, so that the forks come near to being signed.
        old = min(at.size, new) if onwards else old
        try:
            made = judged(request(old, new, fork_at), at)
        except WellkeptError:
            continue
        at = TreeHead(made.size, made.root)
        signed_heads.append(at)
    histories = [leaves(24, fork_at) for fork_at in (None, 3, 9)]

    def is_prefix(head: TreeHead, hashes: list[bytes]) -> bool:
        frontier = Frontier()
        frontier.extend(hashes[: head.size])
        return frontier.root() == head.root

    assert any(all(is_prefix(head, hashes) for head in signed_heads) for hashes in histories)
    assert [head.size for head in signed_heads] == sorted(head.size for head in signed_heads)


# --- the bytes


@settings(deadline=None)
@given(REQUESTS)
def test_what_is_asked_is_what_is_read(asked: WitnessRequest) -> None:
    assert parse_request(encode_request(*asked)) == asked


def test_the_request_is_that_of_the_specification() -> None:
    asked = encode_request(20_852_014, [bytes(32)], b"a note")
    assert asked == b"old 20852014\n" + b"A" * 43 + b"=\n\na note"


GOOD = encode_request(*request(3, 7))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3", b"new 3"),
        GOOD.replace(b"old 3", b"old 3 "),
        GOOD.replace(b"old 3\n", b""),
        GOOD.replace(b"=\n", b"\n", 1),
        GOOD.replace(b"=\n", b"=\r\n", 1),
        b"old 3\nAAAA\n\n" + signed(7),
        b"old 3\n" + (b"A" * 43 + b"=\n") * (MAX_PROOF_LINES + 1) + b"\n" + signed(7),
        b"old 3\n\xff\n\n" + signed(7),
        GOOD + b"x" * MAX_NOTE_BYTES,
    ],
)
def test_a_request_of_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_request(data)


def test_a_request_that_cannot_be_is_not_written() -> None:
    for old, hashes in ((-1, []), (1, [b"short"]), (1, [bytes(32)] * 64)):
        with pytest.raises(MalformedRequest):
            encode_request(old, hashes, b"")


def test_an_answer_survives_and_nothing_else_does() -> None:
    line = cosign(parse_note(signed(7)), WITNESS, AT)
    data = encode_answer([line, line._replace(name="other")])

    assert parse_answer(data) == (line, line._replace(name="other"))
    for wrong in (b"", b"\n", data[:-1], data + b"\n", data[1:], b"7\n", encode_answer([line]) * 17, b"\xff\n"):
        with pytest.raises(MalformedRequest):
            parse_answer(wrong)
