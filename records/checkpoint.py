r"""The checkpoint: the signed statement of how large the log is and what its root is, and the keys that sign it.

    <origin>\n<size>\n<base64 of the root>\n, then an empty line and the signature lines, in this order:
    1 log key      name = origin, type 0x01: Ed25519 over the text
    2 epoch key    name = origin ‖ `/epoch/<n>`, type 0x01: Ed25519 over the text
    3 epoch key    the same name, type 0x06: u64 POSIX seconds ‖ ML-DSA-44 over `subtree/v1`
    then witnesses, type 0x04: u64 POSIX seconds ‖ Ed25519 over `cosignature/v1`

- All three are required: the log key is what witnesses know, the epoch's Ed25519 key cannot sign after its day, and
  ML-DSA-44 stands when Ed25519 no longer does.
- No extension lines; one form for each number; one form of base64.
- Private keys are made from seeds of 32 bytes that are passed in; no repr shows one.

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature; FIPS 204; RFC 8032; decision 15. It keeps no keys and
decides nothing about when to sign. Which epoch a checkpoint must carry, only the log's entries tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from records.errors import BadSignature, MalformedCheckpoint, MalformedNote, MissingSignature
from records.merkle import HASH_BYTES
from records.sealing import derive
from records.signed_note import (
    COSIGNATURE_V1,
    ED25519,
    ML_DSA_44,
    Note,
    SignatureLine,
    VerifierKey,
    encode_base64,
    encode_note,
    is_key_name,
    parse_base64,
    parse_note,
)

SEED_BYTES = 32
ED25519_KEY_BYTES = 32
ED25519_SIGNATURE_BYTES = 64
ML_DSA_44_KEY_BYTES = 1312
"""FIPS 204, table 2."""
ML_DSA_44_SIGNATURE_BYTES = 2420
"""FIPS 204, table 2."""
OUR_SIGNATURES = 3
"""What follows them is witnesses'."""
MAX_SIZE = 2**63 - 1
MAX_SECONDS = 2**63 - 1
"""Latest POSIX time that a cosignature may state (tlog-cosignature, Format)."""
MAX_EPOCH = 2**32 - 1
MAX_ORIGIN_BYTES = 255
"""Longest origin or name that a cosigned message can hold (tlog-cosignature, ML-DSA-44 signed message)."""
_SUBTREE_LABEL = b"subtree/v1\n\x00"
_TIME_BYTES = 8
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_EPOCH_NAME = re.compile(r"/epoch/(0|[1-9][0-9]{0,9})", re.ASCII)


# --- keys


class HybridPublic(NamedTuple):
    """Two public keys that sign together: Ed25519 of 32 bytes, ML-DSA-44 of 1,312."""

    ed25519: bytes
    ml_dsa_44: bytes


class HybridSignature(NamedTuple):
    """Two signatures over the same message: Ed25519 of 64 bytes, ML-DSA-44 of 2,420."""

    ed25519: bytes
    ml_dsa_44: bytes


class LogKey:
    """The long-lived Ed25519 key of the log, which witnesses know."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public={self.public.hex()})"


class WitnessKey(LogKey):
    """The Ed25519 key of a witness, with the name that its lines carry."""

    __slots__ = ("name",)

    def __init__(self, name: str, seed: bytes) -> None:
        super().__init__(seed)
        self.name = name

    @property
    def verifier(self) -> VerifierKey:
        """What those who trust this witness keep of it."""
        return VerifierKey(self.name, COSIGNATURE_V1, self.public)


class HybridKeys:
    """An Ed25519 and an ML-DSA-44 key that sign together."""

    __slots__ = ("_ed25519", "_ml_dsa_44")

    def __init__(self, ed25519_seed: bytes, ml_dsa_44_seed: bytes) -> None:
        """Make both keys from their seeds of 32 bytes, which must be independent of each other."""
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(ed25519_seed)
        self._ml_dsa_44 = MLDSA44PrivateKey.from_seed_bytes(ml_dsa_44_seed)

    @property
    def public(self) -> HybridPublic:
        """Both public keys."""
        return HybridPublic(
            self._ed25519.public_key().public_bytes_raw(), self._ml_dsa_44.public_key().public_bytes_raw()
        )

    def sign(self, message: bytes) -> HybridSignature:
        """Sign one message with both keys. About 1 ms."""
        return HybridSignature(self.sign_ed25519(message), self.sign_ml_dsa_44(message))

    def sign_ed25519(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        return self._ed25519.sign(message)

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        """Return the ML-DSA-44 signature, 2,420 bytes; the context of FIPS 204 is empty."""
        return self._ml_dsa_44.sign(message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public={self.public.ed25519.hex()})"


class EpochKeys(HybridKeys):
    """The keys of one epoch: they sign its checkpoints and the next epoch, and are destroyed after that."""


class RecoveryKeys(HybridKeys):
    """The keys that declare an honest restore; they are kept on paper only, as one secret of 32 bytes."""

    __slots__ = ()

    def __init__(self, secret: bytes) -> None:
        """Make both keys from the recovery secret."""
        super().__init__(derive(secret, "recovery-ed25519"), derive(secret, "recovery-ml-dsa-44"))


def check_hybrid(public: HybridPublic, message: bytes, signature: HybridSignature) -> None:
    """Check both signatures over one message.

    Raises:
        BadSignature: one of them is not that key's over these bytes.
    """
    check_ed25519(public.ed25519, message, signature.ed25519)
    _check_ml_dsa_44(public.ml_dsa_44, message, signature.ml_dsa_44)


def check_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        BadSignature: it is not that key's over these bytes.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("an Ed25519 signature that is not this key's over these bytes") from error


def _check_ml_dsa_44(public: bytes, message: bytes, signature: bytes) -> None:
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("an ML-DSA-44 signature that is not this key's over these bytes") from error


# --- the statement


class Checkpoint(NamedTuple):
    """How large a log is and what its root is.

    Attributes:
        origin: the name of the log, one line.
        size: the number of entries.
        root: the RFC 6962 root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def encode(self) -> str:
        """Return the text of the note.

        Raises:
            MalformedCheckpoint: the origin is no line, or size or root are out of range.
        """
        fits = 0 < len(self.origin.encode()) <= MAX_ORIGIN_BYTES and 0 <= self.size <= MAX_SIZE
        if not fits or not self.origin.isprintable() or len(self.root) != HASH_BYTES:
            raise MalformedCheckpoint("a checkpoint that cannot be")
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Return the checkpoint of a note's text, which is all of it: no extension lines.

        Raises:
            MalformedCheckpoint: anything else.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not _NUMBER.fullmatch(lines[1]):
            raise MalformedCheckpoint("a text that is no checkpoint")
        try:
            made = cls(lines[0], int(lines[1]), parse_base64(lines[2]))
            same = made.encode() == text
        except (MalformedNote, UnicodeEncodeError) as error:
            raise MalformedCheckpoint("a root or an origin that cannot be read") from error
        if not same:
            raise MalformedCheckpoint("a checkpoint in another form")
        return made


def origin_of(deployment_id: UUID) -> str:
    """Return the origin of a clinic's log: `wellkept/log/<id>`."""
    return f"wellkept/log/{deployment_id}"


def epoch_name(origin: str, epoch: int) -> str:
    """Return the name under which the keys of an epoch sign."""
    return f"{origin}/epoch/{epoch}"


def parse_signed_checkpoint(note_bytes: bytes) -> tuple[Checkpoint, Note]:
    """Return what a signed checkpoint states, and the note; no signature is checked.

    Raises:
        MalformedNote: the bytes are no note.
        MalformedCheckpoint: its text is no checkpoint.
    """
    note = parse_note(note_bytes)
    return Checkpoint.parse(note.text), note


def epoch_of(note_bytes: bytes) -> int:
    """Return the number of the epoch whose keys claim to have signed a checkpoint; no signature is checked.

    Raises:
        MalformedNote: the bytes are no note.
        MalformedCheckpoint: its text is no checkpoint.
        MissingSignature: the second line is not an epoch's.
    """
    checkpoint, note = parse_signed_checkpoint(note_bytes)
    return _claimed_epoch(checkpoint.origin, note)


def _claimed_epoch(origin: str, note: Note) -> int:
    name = note.signatures[1].name if len(note.signatures) > 1 else ""
    match = _EPOCH_NAME.fullmatch(name.removeprefix(origin)) if name.startswith(origin) else None
    if match is None or int(match[1]) > MAX_EPOCH:
        raise MissingSignature("a checkpoint without the signature of an epoch")
    return int(match[1])


def sign_checkpoint(
    checkpoint: Checkpoint, log_key: LogKey, epoch: int, epoch_keys: EpochKeys, at_seconds: int
) -> bytes:
    """Return the signed note of a checkpoint, with its three signatures. About 1 ms.

    Args:
        checkpoint: what is stated; whoever signs has made sure that it follows from what was signed before.
        log_key: the key of the log.
        epoch: the number of the epoch, whose keys follow.
        epoch_keys: its keys.
        at_seconds: the time, POSIX seconds.
    """
    text = checkpoint.encode()
    name = epoch_name(checkpoint.origin, epoch)
    public = epoch_keys.public
    at = at_seconds.to_bytes(_TIME_BYTES, "big")
    signatures = (
        _line(VerifierKey(checkpoint.origin, ED25519, log_key.public), log_key.sign(text.encode())),
        _line(VerifierKey(name, ED25519, public.ed25519), epoch_keys.sign_ed25519(text.encode())),
        _line(
            VerifierKey(name, ML_DSA_44, public.ml_dsa_44),
            at + epoch_keys.sign_ml_dsa_44(_subtree(name, at_seconds, checkpoint)),
        ),
    )
    return encode_note(Note(text, signatures))


def _line(key: VerifierKey, blob: bytes) -> SignatureLine:
    return SignatureLine(key.name, key.key_id, blob)


def _subtree(cosigner: str, at_seconds: int, checkpoint: Checkpoint) -> bytes:
    """Return the `cosigned_message` of tlog-cosignature for a whole tree."""
    name, origin = cosigner.encode(), checkpoint.origin.encode()
    if not 0 < len(name) <= MAX_ORIGIN_BYTES:
        raise MalformedCheckpoint("a cosigner's name that is too long")
    return (
        _SUBTREE_LABEL
        + bytes([len(name)])
        + name
        + at_seconds.to_bytes(_TIME_BYTES, "big")
        + bytes([len(origin)])
        + origin
        + bytes(8)
        + checkpoint.size.to_bytes(8, "big")
        + checkpoint.root
    )


def verify_checkpoint(note_bytes: bytes, log_public: bytes, epoch_publics: Mapping[int, HybridPublic]) -> Checkpoint:
    """Return what a signed checkpoint states, once its three signatures are found good. About 0.4 ms.

    1. The bytes are a note, its text is a checkpoint.
    2. The first line is the log key's over the text.
    3. The second and the third are of one epoch, whose keys are known, in Ed25519 and in ML-DSA-44.
    4. No later line is by one of these keys again. Other lines are witnesses', and are not judged here.

    Args:
        note_bytes: the signed note.
        log_public: the log's public key, 32 bytes.
        epoch_publics: the public keys of the epochs that may have signed, by their numbers.

    Raises:
        MalformedNote: the bytes are no note.
        MalformedCheckpoint: its text is no checkpoint.
        MissingSignature: one of the three is not there, or not in its place.
        BadSignature: one of the three is not that key's over this text.
    """
    checkpoint, note = parse_signed_checkpoint(note_bytes)
    text = note.text.encode()
    epoch = _claimed_epoch(checkpoint.origin, note)
    if epoch not in epoch_publics:
        raise MissingSignature("a checkpoint without the signature of a known epoch")
    public, name = epoch_publics[epoch], epoch_name(checkpoint.origin, epoch)
    keys = (
        VerifierKey(checkpoint.origin, ED25519, log_public),
        VerifierKey(name, ED25519, public.ed25519),
        VerifierKey(name, ML_DSA_44, public.ml_dsa_44),
    )
    wanted = [(key.name, key.key_id) for key in keys]
    signed = [(line.name, line.key_id) for line in note.signatures]
    if signed[:3] != wanted:
        raise MissingSignature("a checkpoint without its three signatures")
    if set(signed[3:]) & set(wanted):
        raise MalformedCheckpoint("a checkpoint that one key signs twice")
    by_log, by_epoch, by_epoch_later = (line.blob for line in note.signatures[:3])
    check_ed25519(log_public, text, by_log)
    check_ed25519(public.ed25519, text, by_epoch)
    if len(by_epoch_later) != _TIME_BYTES + ML_DSA_44_SIGNATURE_BYTES:
        raise BadSignature("an ML-DSA-44 signature of wrong length")
    message = _subtree(name, _seconds(by_epoch_later), checkpoint)
    _check_ml_dsa_44(public.ml_dsa_44, message, by_epoch_later[_TIME_BYTES:])
    return checkpoint


def signed_at(note_bytes: bytes) -> int:
    """Return the POSIX seconds that the third line of a signed checkpoint states; no signature is checked.

    Raises:
        MalformedNote: the bytes are no note.
        MissingSignature: there is no third line with a time.
    """
    signatures = parse_note(note_bytes).signatures
    if len(signatures) < 3 or len(signatures[2].blob) != _TIME_BYTES + ML_DSA_44_SIGNATURE_BYTES:
        raise MissingSignature("a checkpoint without its third signature")
    return _seconds(signatures[2].blob)


def _seconds(blob: bytes) -> int:
    at_seconds = int.from_bytes(blob[:_TIME_BYTES], "big")
    if at_seconds > MAX_SECONDS:
        raise BadSignature("a signature with a time that cannot be")
    return at_seconds


# --- cosignatures


def log_verifier(origin: str, log_public: bytes) -> VerifierKey:
    """Return what a witness keeps of a log: its origin as the name, and its Ed25519 key."""
    return VerifierKey(origin, ED25519, log_public)


def verify_log_signature(note_bytes: bytes, log: VerifierKey) -> Checkpoint:
    """Return what a checkpoint states once the log key's own signature is found good: all that a witness asks for.

    Raises:
        MalformedNote: the bytes are no note.
        MalformedCheckpoint: its text is no checkpoint.
        MissingSignature: there is no line by this key.
        BadSignature: a line by this key is not over this text.
    """
    checkpoint, note = parse_signed_checkpoint(note_bytes)
    by_log = [line for line in note.signatures if (line.name, line.key_id) == (log.name, log.key_id)]
    if not by_log or checkpoint.origin != log.name:
        raise MissingSignature("a checkpoint that this log did not sign")
    for line in by_log:
        check_ed25519(log.public_key, note.text.encode(), line.blob)
    return checkpoint


def cosign(note: Note, witness_key: WitnessKey, at_seconds: int) -> SignatureLine:
    """Return a witness's line over a checkpoint; the witness has made sure that it follows from what it signed before.

    Raises:
        MalformedCheckpoint: the note's text is no checkpoint.
    """
    Checkpoint.parse(note.text)
    signature = witness_key.sign(_cosigned(note, at_seconds))
    return _line(witness_key.verifier, at_seconds.to_bytes(_TIME_BYTES, "big") + signature)


def verify_cosignature(note: Note, line: SignatureLine, witness: VerifierKey) -> int:
    """Return the POSIX seconds at which a witness signed, once its line over a checkpoint is found good.

    Raises:
        MalformedCheckpoint: the note's text is no checkpoint.
        MissingSignature: the line is not by this witness.
        BadSignature: it is not this witness's over this text at this time.
    """
    Checkpoint.parse(note.text)
    if witness.type != COSIGNATURE_V1 or (line.name, line.key_id) != (witness.name, witness.key_id):
        raise MissingSignature("a line by another witness")
    if len(line.blob) != _TIME_BYTES + ED25519_SIGNATURE_BYTES:
        raise BadSignature("a cosignature of wrong length")
    at_seconds = _seconds(line.blob)
    check_ed25519(witness.public_key, _cosigned(note, at_seconds), line.blob[_TIME_BYTES:])
    return at_seconds


def _cosigned(note: Note, at_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {at_seconds}\n{note.text}".encode()


def with_line(note: Note, line: SignatureLine) -> Note:
    """Return the note with a witness's line, which replaces an earlier one by the same key."""
    kept = (one for one in note.signatures if (one.name, one.key_id) != (line.name, line.key_id))
    return Note(note.text, (*kept, line))


def is_witness_name(name: str) -> bool:
    """Say whether a witness may be called so: a key name without spaces or plus, of at most 255 bytes."""
    return is_key_name(name) and len(name.encode()) <= MAX_ORIGIN_BYTES
