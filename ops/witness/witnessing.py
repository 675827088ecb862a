"""The clinic's side of a witness: what it is asked, and how its signature is taken in.

Source: CRYPTO 3; C2SP tlog-witness; decision 36.

- A request holds the newest checkpoint and the proof from what this witness last signed, as the kept checkpoints tell.
- Before anything leaves, the checkpoint is held against the ledger: a log that no longer is what it signed asks nobody.
- A witness that signed more than the log holds has seen entries that are gone: that is a rollback, and it is said so.
- A signature is taken in only when it is the named witness's, over a checkpoint that the log's own key signed and that
  the ledger still leads to. It is kept with the checkpoint, for every export to carry.
- The witness's key comes from whoever runs the command, never from what the witness sends.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, NamedTuple

from ops.exits import CommandFailed, Exit
from ops.wiring import Clinic
from projections.log_proofs import LogProofs
from records.checkpoint import (
    Checkpoint,
    log_verifier,
    origin_of,
    parse_signed_checkpoint,
    verify_cosignature,
    verify_log_signature,
    with_line,
)
from records.epoch import EpochBody, decode, encode, genesis_fingerprint, verify_epoch
from records.errors import (
    LedgerMismatch,
    MissingSignature,
    UnknownItem,
)
from records.ledger import decode_entry
from records.signed_note import VerifierKey, encode_note, parse_note
from records.store.unit import CheckpointRow, Unit
from records.witness import encode_request, parse_answer, parse_request

ANSWER_SECONDS = 30
MAX_ANSWER_BYTES = 65_536
SIZE_TYPE = "text/x.tlog.size"


class Genesis(NamedTuple):
    """What the first entry of a log says: its fingerprint and the log's key."""

    fingerprint: str
    log: VerifierKey


def genesis_of(clinic: Clinic) -> Genesis:
    """Return the fingerprint of a clinic's log and its key, once the first entry is found good.

    Raises:
        UnknownItem: the log has no first epoch.
        LedgerMismatch, VerificationError: it is not what was logged, or not what it must be.
    """
    data = clinic.service.reader.body(0)
    if data is None:
        raise UnknownItem("genesis")
    entry = decode_entry(clinic.service.reader.log_entries(0, 1)[0])
    if hashlib.sha256(data).digest() != entry.payload_sha256:
        raise LedgerMismatch("a body that is not what was logged", 0)
    body = decode(data)
    if not isinstance(body, EpochBody) or body.genesis is None or encode(body) != data:
        raise LedgerMismatch("a first entry that is no genesis", 0)
    verify_epoch(body, body.next_keys, body.genesis.log)
    return Genesis(genesis_fingerprint(data), log_verifier(origin_of(body.deployment_id), body.genesis.log))


def newest_checkpoint(clinic: Clinic) -> CheckpointRow:
    """Return the newest checkpoint, held against the ledger as it is now.

    Raises:
        UnknownItem: the log is not signed.
        LedgerMismatch: the ledger does not lead to what was signed.
        VerificationError: it is no checkpoint.
    """
    proofs = LogProofs(clinic.service.reader)
    row = proofs.checkpoint()
    stated, _ = parse_signed_checkpoint(row.note)
    _hold_to_ledger(clinic, proofs, stated)
    return row


def _hold_to_ledger(clinic: Clinic, proofs: LogProofs, stated: Checkpoint) -> None:
    if stated.origin != origin_of(clinic.service.reader.deployment_id):
        raise LedgerMismatch("a checkpoint of another log")
    if stated.size > clinic.store.head().next_index:
        raise LedgerMismatch("a log that is shorter than what was signed", clinic.store.head().next_index)
    if proofs.root(stated.size) != stated.root:
        raise LedgerMismatch("a log that does not lead to what was signed")


def last_signed(clinic: Clinic, witness: VerifierKey) -> int:
    """Return the size of the newest kept checkpoint that a witness signed, 0 where there is none."""
    sizes = [0]
    for row in clinic.store.checkpoints():
        note = parse_note(row.note)
        for line in note.signatures:
            if (line.name, line.key_id) == (witness.name, witness.key_id):
                verify_cosignature(note, line, witness)
                sizes.append(row.size)
    return max(sizes)


def request_for(clinic: Clinic, witness: VerifierKey, old: int | None = None) -> bytes:
    """Return what to ask a witness: to sign the newest checkpoint, on from what it last signed.

    Args:
        clinic: the clinic.
        witness: the witness's key.
        old: the size that the witness says it last signed; by default what the kept checkpoints tell.

    Raises:
        LedgerMismatch: the witness signed more than the log holds, or the ledger is not what was signed.
        UnknownItem: the log is not signed.
        VerificationError: a kept checkpoint is not good.
    """
    row = newest_checkpoint(clinic)
    begin = last_signed(clinic, witness) if old is None else old
    if begin > row.size:
        raise LedgerMismatch("a log that is shorter than what the witness signed", row.size)
    return encode_request(begin, LogProofs(clinic.service.reader).consistency_hashes(begin, row.size), row.note)


def accept(clinic: Clinic, request: bytes, answer: bytes, witness: VerifierKey) -> dict[str, Any]:
    """Take in what a witness answered to a request, and keep it with its checkpoint.

    Returns:
        The size that was signed, the witness's name, and the POSIX seconds of the signature.

    Raises:
        MissingSignature: there is no line by this witness.
        LedgerMismatch: the checkpoint is not one of this log as it is now.
        VerificationError: request or answer, or a signature, is not good.
    """
    note = parse_note(parse_request(request).note)
    lines = [each for each in parse_answer(answer) if (each.name, each.key_id) == (witness.name, witness.key_id)]
    if not lines:
        raise MissingSignature("an answer without a signature of this witness")
    at_seconds = verify_cosignature(note, lines[0], witness)
    stated = verify_log_signature(encode_note(note), genesis_of(clinic).log)
    _hold_to_ledger(clinic, LogProofs(clinic.service.reader), stated)
    kept = next((row.note for row in clinic.store.checkpoints() if row.size == stated.size), encode_note(note))
    if parse_note(kept).text != note.text:
        raise LedgerMismatch("a kept checkpoint of another tree")
    signed = encode_note(with_line(parse_note(kept), lines[0]))
    clinic.store.commit(Unit(checkpoints=(CheckpointRow(stated.size, signed),)))
    return {"size": stated.size, "witness": witness.name, "at_seconds": at_seconds}


class Asked(NamedTuple):
    """What a witness answered over HTTP: cosignature lines, or the size that it last signed."""

    answer: bytes | None
    size: int | None


def ask(url: str, request: bytes) -> Asked:
    """Send a request to a witness at its address.

    Raises:
        CommandFailed: it cannot be reached, or it refused for another reason.
        LedgerMismatch: the proof does not lead from what it signed.
    """
    if not url.startswith(("http://", "https://")):
        raise CommandFailed(Exit.USAGE, "the address of a witness begins with http:// or https://")
    sent = urllib.request.Request(url.rstrip("/") + "/add-checkpoint", request)  # noqa: S310 - the scheme was looked at
    try:
        with urllib.request.urlopen(sent, timeout=ANSWER_SECONDS) as answered:  # noqa: S310 - as above
            return Asked(answered.read(MAX_ANSWER_BYTES), None)
    except urllib.error.HTTPError as refusal:
        with refusal:
            text = refusal.read(32).decode("ascii", "replace")
        if (
            refusal.code == HTTPStatus.CONFLICT
            and refusal.headers.get_content_type() == SIZE_TYPE
            and text[:-1].isdecimal()
        ):
            return Asked(None, int(text))
        if refusal.code == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise LedgerMismatch("a log whose history is not the one that the witness signed") from None
        raise CommandFailed(Exit.FAILED, f"the witness refused with status {refusal.code}") from None
    except OSError as error:
        raise CommandFailed(Exit.FAILED, "the witness cannot be reached") from error
