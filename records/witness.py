r"""The witness: what it is asked, when it signs, and what it keeps; one rule for HTTP and for files.

    request = `old <size>\n` ‖ a line of base64 for each hash of the proof ‖ `\n` ‖ the signed checkpoint

- A witness knows each log by its origin and its Ed25519 key, and keeps the size and the root that it last signed.
- It signs a checkpoint only with a proof from exactly what it last signed: so whatever it signs is one history, and a
  log that shows others another history, or an older one, is found by anyone who holds a signature of the witness.
- Nothing signed yet is size 0 with the root of the empty tree.
- What it signs is kept durably before it answers. An answer that is lost costs nothing: the same checkpoint is signed
  again, with an empty proof.
- The same size with another root is a fork: the request is the evidence of it.

Source: C2SP tlog-witness, tlog-cosignature. It speaks no HTTP, keeps no files and knows no time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from records.checkpoint import Checkpoint, verify_log_signature
from records.errors import ForkedLog, MalformedNote, MalformedRequest, ProofFromElsewhere
from records.merkle import EMPTY_ROOT, HASH_BYTES, check_consistency
from records.signed_note import (
    MAX_NOTE_BYTES,
    SignatureLine,
    VerifierKey,
    encode_base64,
    encode_line,
    parse_base64,
    parse_line,
)

MAX_PROOF_LINES = 63
"""Most hashes in a request (tlog-witness, add-checkpoint)."""
MAX_ANSWER_LINES = 16
"""Most cosignature lines in an answer that are read."""
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


class TreeHead(NamedTuple):
    """What a witness last signed of a log."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class WitnessRequest(NamedTuple):
    """What a witness is asked: to sign a checkpoint that a proof leads to from an older size.

    Attributes:
        old_size: the size at which the proof begins.
        proof: the consistency proof, empty from size 0 and between equal sizes.
        note: the signed checkpoint, as bytes.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes


def encode_request(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the bytes of a request.

    Raises:
        MalformedRequest: more or other hashes than a proof can have, or a size below 0.
    """
    if old_size < 0 or len(proof) > MAX_PROOF_LINES or any(len(one) != HASH_BYTES for one in proof):
        raise MalformedRequest("a request that cannot be")
    lines = [f"old {old_size}\n", *(f"{encode_base64(one)}\n" for one in proof), "\n"]
    return "".join(lines).encode() + note


def parse_request(data: bytes) -> WitnessRequest:
    """Return the request of these bytes; the checkpoint in it is not looked at.

    Raises:
        MalformedRequest: anything else.
    """
    head, divided, note = data.partition(b"\n\n")
    if not divided or len(data) > MAX_NOTE_BYTES:
        raise MalformedRequest("a request without a checkpoint, or too large")
    try:
        old, *lines = head.decode("ascii").split("\n")
        match = _OLD.fullmatch(old)
        if match is None or len(lines) > MAX_PROOF_LINES:
            raise MalformedRequest("a request without an old size, or with too long a proof")
        request = WitnessRequest(int(match[1]), tuple(map(parse_base64, lines)), note)
        if encode_request(*request) != data:
            raise MalformedRequest("a request in another form")
    except (UnicodeDecodeError, MalformedNote) as error:
        raise MalformedRequest("a request that cannot be read") from error
    return request


def judge(request: WitnessRequest, log: VerifierKey, last: TreeHead) -> Checkpoint:
    """Return the checkpoint that a witness may sign, in the order of tlog-witness.

    1. The checkpoint is signed by the log's key.
    2. The old size is not above the checkpoint's.
    3. The old size is exactly what was last signed of this log.
    4. The proof leads from what was last signed to the checkpoint.
    5. Where the sizes are equal, so are the roots.

    Args:
        request: what is asked.
        log: the key of the log that the checkpoint's origin names.
        last: what was last signed of it.

    Raises:
        MalformedNote, MalformedCheckpoint: it is no signed checkpoint.
        MissingSignature, BadSignature: this log did not sign it.
        MalformedRequest: the old size is above the checkpoint's.
        ProofFromElsewhere: something else was last signed.
        BadProof: the proof does not lead there.
        ForkedLog: the size is the one last signed, and the root is not.
    """
    checkpoint = verify_log_signature(request.note, log)
    if request.old_size > checkpoint.size:
        raise MalformedRequest("a proof from a larger tree to a smaller one")
    if request.old_size != last.size:
        raise ProofFromElsewhere(last.size)
    if checkpoint.size == last.size and not request.proof and checkpoint.root != last.root:
        raise ForkedLog("two roots at one size")
    check_consistency(last.size, last.root, checkpoint.size, checkpoint.root, request.proof)
    return checkpoint


def encode_answer(lines: Sequence[SignatureLine]) -> bytes:
    """Return what a witness answers: its cosignature lines."""
    return "".join(map(encode_line, lines)).encode()


def parse_answer(data: bytes) -> tuple[SignatureLine, ...]:
    """Return the cosignature lines of an answer; none is verified.

    Raises:
        MalformedRequest: anything else.
    """
    try:
        text = data.decode()
        lines = tuple(map(parse_line, text.removesuffix("\n").split("\n")))
        if len(lines) > MAX_ANSWER_LINES or encode_answer(lines) != data:
            raise MalformedRequest("an answer in another form")
    except (UnicodeDecodeError, MalformedNote) as error:
        raise MalformedRequest("an answer that cannot be read") from error
    return lines
