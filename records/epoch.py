r"""Epochs and declared restores: the clear bodies of entries of kind 5 and 7, which hand the log from key to key.

    body = S ‖ lp(Ed25519 signature) ‖ lp(ML-DSA-44 signature), both over `wellkept/epoch/1` ‖ S
    S    = "WKEPOCH\x01" ‖ deployment_id 16 ‖ epoch u32 ‖ size u64 ‖ root 32 ‖ heads_root 32 ‖ lp32(checkpoint)
           ‖ lp(next Ed25519 key) ‖ lp(next ML-DSA-44 key) ‖ genesis u8
           and where genesis is 1: ‖ lp(log key) ‖ lp(recovery Ed25519 key) ‖ lp(recovery ML-DSA-44 key)
    a restore: the same with "WKRESTORE\x01" and `wellkept/restore/1`; `known_size u64` stands in place of genesis u8,
           and the checkpoint is empty

- Epoch n names the keys of epoch n, and the keys of epoch n−1 sign it, both of them: who holds only a public
  checkpoint, or only today's keys, cannot forge an earlier day. Genesis is epoch 0, signed by the keys that it names.
- A restore is signed by the recovery keys, which no running service holds.
- `size` is the entry's own index, `root` the root below it. `heads_root` binds the last version of every stream, so
  that an export can prove how many events and readings there are.
- Lengths are exact and nothing may follow.

Source: CRYPTO 3; decision 15. It does not decide when an epoch turns and keeps no keys.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

import msgspec

from records.checkpoint import (
    ED25519_KEY_BYTES,
    ED25519_SIGNATURE_BYTES,
    MAX_EPOCH,
    MAX_SIZE,
    ML_DSA_44_KEY_BYTES,
    ML_DSA_44_SIGNATURE_BYTES,
    Checkpoint,
    HybridKeys,
    HybridPublic,
    HybridSignature,
    check_hybrid,
    origin_of,
    verify_checkpoint,
)
from records.errors import MalformedCheckpoint, MalformedEpoch
from records.merkle import EMPTY_ROOT, HASH_BYTES, root
from records.payload import length_prefixed
from records.signed_note import MAX_NOTE_BYTES

EPOCH_MAGIC = b"WKEPOCH\x01"
RESTORE_MAGIC = b"WKRESTORE\x01"
EPOCH_CONTEXT = b"wellkept/epoch/1"
RESTORE_CONTEXT = b"wellkept/restore/1"
_HEAD = struct.Struct(">16sIQ32s32s")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)


class GenesisKeys(msgspec.Struct, frozen=True):
    """What only the first epoch names: the log's Ed25519 key and the recovery keys."""

    log: bytes
    recovery: HybridPublic


class EpochBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a kind 5 entry.

    Attributes:
        deployment_id: the clinic's id.
        epoch: the number of the epoch that begins; 0 is genesis.
        size: the entry's own index.
        root: the root over the entries below it.
        heads_root: see `heads_root`.
        checkpoint: the signed note of exactly this size and root by the keys of the epoch before.
        next_keys: the public keys of the epoch that begins.
        genesis: what genesis names besides; None in any other epoch.
        signature: by the keys of the epoch before, None until it is signed.
    """

    deployment_id: UUID
    epoch: int
    size: int
    root: bytes
    heads_root: bytes
    checkpoint: bytes
    next_keys: HybridPublic
    genesis: GenesisKeys | None = None
    signature: HybridSignature | None = None


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a kind 7 entry; fields as in `EpochBody`.

    Attributes:
        known_size: the size of the newest checkpoint that is known outside, 0 where none is.
    """

    deployment_id: UUID
    epoch: int
    size: int
    root: bytes
    heads_root: bytes
    next_keys: HybridPublic
    known_size: int
    signature: HybridSignature | None = None


Body = EpochBody | RestoreBody
_Body = TypeVar("_Body", EpochBody, RestoreBody)


def _lp32(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _pair(keys: HybridPublic) -> bytes:
    return length_prefixed(keys.ed25519) + length_prefixed(keys.ml_dsa_44)


def statement(body: Body) -> bytes:
    """Return S: what is signed, and all of the body but the signatures."""
    head = _HEAD.pack(body.deployment_id.bytes, body.epoch, body.size, body.root, body.heads_root)
    if isinstance(body, RestoreBody):
        return RESTORE_MAGIC + head + _lp32(b"") + _pair(body.next_keys) + body.known_size.to_bytes(8, "big")
    genesis = b"\x00"
    if body.genesis is not None:
        genesis = b"\x01" + length_prefixed(body.genesis.log) + _pair(body.genesis.recovery)
    return EPOCH_MAGIC + head + _lp32(body.checkpoint) + _pair(body.next_keys) + genesis


def encode(body: Body) -> bytes:
    """Return the bytes of a signed body.

    Raises:
        MalformedEpoch: a field is out of range or of wrong length, or it is not signed.
    """
    _check(body)
    if body.signature is None:
        raise MalformedEpoch("a body that is not signed")
    return statement(body) + length_prefixed(body.signature.ed25519) + length_prefixed(body.signature.ml_dsa_44)


def decode(data: bytes) -> Body:
    """Return the body of these bytes, which are all of it; no signature is checked.

    Raises:
        MalformedEpoch: anything else.
    """
    reader = _Reader(data)
    restore = data.startswith(RESTORE_MAGIC)
    if reader.take(len(RESTORE_MAGIC if restore else EPOCH_MAGIC)) not in (RESTORE_MAGIC, EPOCH_MAGIC):
        raise MalformedEpoch("a body of unknown format")
    deployment, epoch, size, root_below, heads = _HEAD.unpack(reader.take(_HEAD.size))
    checkpoint = reader.take(int.from_bytes(reader.take(4), "big"))
    next_keys = reader.pair()
    fields = {
        "deployment_id": UUID(bytes=deployment),
        "epoch": epoch,
        "size": size,
        "root": root_below,
        "heads_root": heads,
        "next_keys": next_keys,
    }
    body: Body
    if restore:
        if checkpoint:
            raise MalformedEpoch("a restore with a checkpoint")
        known_size = int.from_bytes(reader.take(8), "big")
        body = RestoreBody(**fields, known_size=known_size, signature=reader.signature())
    else:
        genesis = _read_genesis(reader)
        body = EpochBody(**fields, checkpoint=checkpoint, genesis=genesis, signature=reader.signature())
    reader.end()
    _check(body)
    return body


def _read_genesis(reader: _Reader) -> GenesisKeys | None:
    flag = reader.take(1)
    if flag == b"\x00":
        return None
    if flag != b"\x01":
        raise MalformedEpoch("a body that is neither genesis nor not")
    return GenesisKeys(reader.lp(ED25519_KEY_BYTES), reader.pair())


class _Reader:
    """Takes a body apart from the left; whatever is missing or left over is an error."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise MalformedEpoch("a body that is cut short")
        self._at += size
        return taken

    def lp(self, size: int) -> bytes:
        """Return a length-prefixed part, whose length is known."""
        if int.from_bytes(self.take(2), "big") != size:
            raise MalformedEpoch("a key or a signature of wrong length")
        return self.take(size)

    def pair(self) -> HybridPublic:
        """Return two public keys."""
        return HybridPublic(self.lp(ED25519_KEY_BYTES), self.lp(ML_DSA_44_KEY_BYTES))

    def signature(self) -> HybridSignature:
        """Return two signatures."""
        return HybridSignature(self.lp(ED25519_SIGNATURE_BYTES), self.lp(ML_DSA_44_SIGNATURE_BYTES))

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self._at != len(self._data):
            raise MalformedEpoch("a body with trailing bytes")


def _check(body: Body) -> None:
    """Make sure that each field fits its place, before it is written and after it is read."""
    pairs = [body.next_keys]
    sizes = [(body.root, HASH_BYTES), (body.heads_root, HASH_BYTES)]
    numbers = [(body.epoch, MAX_EPOCH), (body.size, MAX_SIZE)]
    if isinstance(body, RestoreBody):
        numbers.append((body.known_size, MAX_SIZE))
        first = False
    else:
        first = body.genesis is not None
        if body.genesis is not None:
            pairs.append(body.genesis.recovery)
            sizes.append((body.genesis.log, ED25519_KEY_BYTES))
        if not 0 < len(body.checkpoint) <= MAX_NOTE_BYTES:
            raise MalformedEpoch("an epoch without its checkpoint")
    sizes += [(one.ed25519, ED25519_KEY_BYTES) for one in pairs] + [
        (one.ml_dsa_44, ML_DSA_44_KEY_BYTES) for one in pairs
    ]
    if body.signature is not None:
        sizes.append((body.signature.ed25519, ED25519_SIGNATURE_BYTES))
        sizes.append((body.signature.ml_dsa_44, ML_DSA_44_SIGNATURE_BYTES))
    if any(len(data) != size for data, size in sizes) or any(not 0 <= number <= most for number, most in numbers):
        raise MalformedEpoch("a field that does not fit its place")
    if first != (body.epoch == 0) or first != (body.size == 0) or (first and body.root != EMPTY_ROOT):
        raise MalformedEpoch("a genesis that is not the first entry, or a first entry that is none")


def _signed(body: Body) -> bytes:
    return (RESTORE_CONTEXT if isinstance(body, RestoreBody) else EPOCH_CONTEXT) + statement(body)


def sign_epoch(body: _Body, keys: HybridKeys) -> _Body:
    """Return the body signed: an epoch by the keys of the epoch before, a restore by the recovery keys. About 1 ms.

    Raises:
        MalformedEpoch: a field is out of range or of wrong length.
    """
    _check(body)
    return msgspec.structs.replace(body, signature=keys.sign(_signed(body)))


def verify_epoch(body: Body, signers: HybridPublic, log_public: bytes) -> None:
    """Check an epoch or a restore against the keys that must have signed it. About 1 ms.

    1. Both signatures are by these keys over all of the statement.
    2. An epoch's checkpoint is by the same keys and the log key, and states this log, this size and this root.

    Whether epoch and size follow from the log, the entries tell, not the body.

    Args:
        body: as `decode` returned it.
        signers: the keys of the epoch before (of genesis: its own), or the recovery keys for a restore.
        log_public: the log's public key.

    Raises:
        MalformedEpoch: it is not signed at all, or genesis names another log key.
        MalformedNote: the checkpoint is no note.
        MalformedCheckpoint: it is none, or that of another log, size or root.
        MissingSignature: one of its signatures is not there.
        BadSignature: a signature is not by these keys.
    """
    if body.signature is None:
        raise MalformedEpoch("a body that is not signed")
    check_hybrid(signers, _signed(body), body.signature)
    if isinstance(body, RestoreBody):
        return
    if body.genesis is not None and body.genesis.log != log_public:
        raise MalformedEpoch("a genesis of another log key")
    stated = verify_checkpoint(body.checkpoint, log_public, {max(0, body.epoch - 1): signers})
    if stated != Checkpoint(origin_of(body.deployment_id), body.size, body.root):
        raise MalformedCheckpoint("an epoch whose checkpoint states something else")


def heads_root(heads: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the root over `stream_id 16 ‖ version u64` of each chain's last entry, sorted, 32 bytes. O(n log n).

    Raises:
        MalformedEpoch: a stream is named twice, or an id has not 16 bytes.
    """
    ordered = sorted(heads)
    streams = {stream for stream, _ in ordered}
    if len(streams) != len(ordered) or any(len(stream) != 16 for stream in streams):
        raise MalformedEpoch("a stream that is named twice, or that is none")
    return root([stream + version.to_bytes(8, "big") for stream, version in ordered])


def genesis_fingerprint(body: bytes) -> str:
    """Return the fingerprint of the first entry's body: 64 lower-case hex digits."""
    return hashlib.sha256(body).hexdigest()


def format_fingerprint(fingerprint: str) -> str:
    """Return a fingerprint for people: sixteen groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def parse_fingerprint(text: str) -> str:
    """Return the 64 lower-case digits of a fingerprint that people wrote: spaces, hyphens and case do not matter.

    Raises:
        MalformedEpoch: it is none.
    """
    digits = re.sub(r"[\s-]", "", text).lower()
    if not _FINGERPRINT.fullmatch(digits):
        raise MalformedEpoch("a fingerprint that has not 64 hex digits")
    return digits
