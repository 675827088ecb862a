#!/usr/bin/env python3
r"""The offline verifier: whether a log of Wellkept is whole, from its entries and from what is known outside of it.

    python verify.py --genesis FINGERPRINT [--checkpoint FILE]... [--witness VKEY]... [--json] [BUNDLE]

This is one file on purpose: it may be shipped alone. It needs Python and `cryptography`; no database, no network, no
secret, and nothing of the service that wrote the log. What must hold is CRYPTO 2 to 4 and the page of decisions on
checkpoints, epochs and bundles; formats of others are C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature
and chunked-encryption, and RFC 6962.

The plan; each step is tagged with its number where it is taken:

 0. Bundle: names stay inside, none stands twice, nothing is larger than it can be; JSON without duplicate keys, NaN or
    integers over 2^53. Hashes cover exact stored bytes; nothing is written anew to be compared.
 1. Genesis: the body of entry 0 has the fingerprint that *the caller* gives, and is signed by the keys that it names.
 2. Entries: dense from 0, of the one layout; where published leaf hashes are there, each entry is the one they name.
 3. Times rise.
 4. Streams: versions dense from 1, each entry names the leaf before it.
 5. Keys: nothing is sealed under a key that was not created before, or under one that was destroyed before.
 6. Payloads: present and as logged, or purged with an entry that says so, or not part of this bundle.
 7. Epochs: each is signed by both keys of the one before (a restore by both recovery keys), at its own index, over the
    root and the root of all streams' last versions as they are here; the checkpoint in it is signed and says the same.
 8. Checkpoints: all three signatures by the keys of that size; their root is the root over every entry below. Only
    entries of the last minute may have none over them.
 9. Witnesses: a quorum of those that *the caller* names co-signed the newest checkpoint.
10. Outside: each checkpoint that the caller kept is one of this log's; else it was rolled back, or it forked.
11. Disclosed event keys open their ciphertext in its place, and the text is the one that the entry commits to; a
    reading was logged after the newest event that is disclosed.

A check fails by raising a leaf of `VerificationError`. It names the first index that is not shown to be good, a status
and one sentence that says what happened. Without a fingerprint the best answer is `unpinned`; without a checkpoint or a
witness from outside it is `unanchored`; after a declared restore it is `restored`.

It does not prove that what was written is true, nor that all that happened was written; and what nobody outside has
ever seen can be rewritten by whoever holds the current keys.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HASH_BYTES = 32
ENTRY = struct.Struct(">7sBQ16sQ32s16sBI32s32s")
ENTRY_BYTES = ENTRY.size
HEAD = struct.Struct(">x16sQ")
"""The leaf of a stream's last version, with the zero byte that RFC 6962 puts before."""
ENTRY_MAGIC = b"WKLEAF\x01"
ENTRIES_A_TILE = 256
EVENT, ACCESS, KEY_CREATED, KEY_DESTROYED, EPOCH, PAYLOAD_PURGED, RESTORE = 1, 2, 3, 4, 5, 6, 7
RECORD_KEY = 1
"""Key class of a client's record: the client is erased when none is left."""
KEY_CLASSES = range(1, 7)
_UNPACK, _SHA256 = ENTRY.unpack, hashlib.sha256
ZEROS_16, ZEROS_32 = bytes(16), bytes(32)
ED25519, COSIGNATURE_ED25519, ML_DSA_44 = 0x01, 0x04, 0x06
"""Signature types of C2SP signed-note and tlog-cosignature."""
ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES = 32, 64
ML_DSA_KEY_BYTES, ML_DSA_SIGNATURE_BYTES = 1312, 2420
"""FIPS 204, table 2, ML-DSA-44."""
MAX_NOTE_BYTES = 64 << 10
"""A checkpoint is about 5 KiB; each witness adds some hundred bytes."""
MAX_SIGNATURES = 32
"""C2SP signed-note asks for at least 16."""
MAX_BODY_BYTES = 64 << 10
"""A body of kind 5 is about 10 KiB, mostly two post-quantum signatures and a key."""
MAX_PAYLOAD_BYTES = 64 << 20
MAX_JSON_BYTES = 1 << 20
MAX_ZIP_FILES = 200_000
"""The directory of a zip is held in memory, about 600 bytes a file; what is larger can be unpacked and given so."""
MAX_ZIP_BYTES = 16 << 30
MAX_ZIP_RATIO = 200
"""Ciphertext does not shrink; a tile of equal bytes shrinks by less than this."""
MAX_UNSIGNED_SECONDS = 60
"""The signer is at most 1 s behind (CRYPTO 3); what is older and has no checkpoint may have had one."""
MAX_TIME = 253_402_300_799
"""The last second of the year 9999, which is the last that can be printed."""
CHUNK_BYTES = 16 * 1024 + 16
"""A sealed chunk of C2SP chunked-encryption with AES-256-GCM."""
SMALLEST_PADDED_BYTES = 512
EMPTY_ROOT = hashlib.sha256(b"").digest()
EXIT_OK, EXIT_USAGE, EXIT_INTEGRITY = 0, 2, 3


class WrongOption(ValueError, argparse.ArgumentTypeError):
    """An option that cannot be read; argparse shows the words of an error of this kind only."""


class VerificationError(Exception):
    """The log is not what it should be.

    Malformed ─┬─ MalformedBundle MalformedEntry MalformedTile MalformedNote MalformedCheckpoint MalformedBody
               └─ MalformedPayload MalformedProof
    Altered ───┬─ AlteredEntry AlteredTile NotDense TimesFall BrokenChain UnknownKey KeyIsDestroyed AlteredPayload
               ├─ PayloadLost PurgeUnsaid WrongRoot WrongHeads WrongEpoch WrongGenesis BadSignature SignatureMissing
               └─ KeyDoesNotOpen AlteredText ReadingUnlogged
    Others ────── Incomplete NotSigned RolledBack Forked NotWitnessed

    Attributes:
        index: the first index that is not shown to be good, or None where no entry is at fault.
        status: the status word of the report.
    """

    status = "tampered"

    def __init__(self, sentence: str, index: int | None = None) -> None:
        super().__init__(sentence)
        self.index = index


class Malformed(VerificationError):
    """Bytes that are not of their format."""


class MalformedBundle(Malformed):
    """A bundle with a name, a size or a JSON document that it must not have."""


class MalformedEntry(Malformed):
    """An entry that is not of the one layout."""


class MalformedTile(Malformed):
    """A tile of a wrong size, or with more or less in it than its name says."""


class MalformedNote(Malformed):
    """A signed note that is none."""


class MalformedCheckpoint(Malformed):
    """A note whose text is no checkpoint."""


class MalformedBody(Malformed):
    """The clear body of an entry that is not of its layout, is not there, or is not the one that the entry names."""


class MalformedPayload(Malformed):
    """What a disclosed key opens is no event."""


class MalformedProof(Malformed):
    """A proof of a wrong length."""


class AlteredEntry(VerificationError):
    """An entry is not the one that was signed."""


class AlteredTile(VerificationError):
    """Published hashes are not those of the entries."""


class NotDense(VerificationError):
    """An index is missing or stands twice."""


class TimesFall(VerificationError):
    """An entry's time is not after the one before."""


class BrokenChain(VerificationError):
    """A stream's versions have a gap, or an entry names another leaf than the one before it."""


class UnknownKey(VerificationError):
    """An event is sealed under a key that no entry created, or a key is created or destroyed twice."""


class KeyIsDestroyed(VerificationError):
    """An event is sealed under a key that was destroyed before."""


class AlteredPayload(VerificationError):
    """A ciphertext is not the one that was logged."""


class PayloadLost(VerificationError):
    """A ciphertext is not stored, where all must be."""


class PurgeUnsaid(VerificationError):
    """A ciphertext was purged and no entry says so, or an entry says it of another."""


class WrongRoot(VerificationError):
    """A signed root is not the root over these entries."""


class WrongHeads(VerificationError):
    """The streams' last versions are not those that an epoch sealed."""


class WrongEpoch(VerificationError):
    """An epoch or restore does not follow the one before."""


class WrongGenesis(VerificationError):
    """The log does not begin with the genesis of the fingerprint."""


class BadSignature(VerificationError):
    """A signature is not by the key that must have made it."""


class SignatureMissing(VerificationError):
    """A signature that must be there is not, or stands in another place."""


class KeyDoesNotOpen(VerificationError):
    """A disclosed key does not open the ciphertext in its place."""


class AlteredText(VerificationError):
    """The text is not the one that the entry commits to."""


class ReadingUnlogged(VerificationError):
    """Events were disclosed and no reading was logged after them."""


class Incomplete(VerificationError):
    """Something that a bundle must hold is not in it."""

    status = "incomplete"


class NotSigned(VerificationError):
    """Entries have no checkpoint over them, though they are old enough to have one."""

    status = "incomplete"


class RolledBack(VerificationError):
    """The log ends before a checkpoint that was signed."""

    status = "rolled-back"


class Forked(VerificationError):
    """Two histories were signed."""

    status = "forked"


class NotWitnessed(VerificationError):
    """Fewer witnesses than the caller asks for co-signed the newest checkpoint."""

    status = "unanchored"


# --- RFC 6962


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the full subtrees of a growing tree, largest first; O(log n) memory."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Take in the hash of the next leaf."""
        full = self.size
        while full & 1:
            leaf = hashlib.sha256(b"\x01" + self._subtrees.pop() + leaf).digest()
            full >>= 1
        self._subtrees.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Take in the hashes of the next leaves; a whole tile in its place at once."""
        if len(leaves) != ENTRIES_A_TILE or self.size % ENTRIES_A_TILE:
            for leaf in leaves:
                self.append(leaf)
            return
        root, full = tree_root(leaves), self.size // ENTRIES_A_TILE
        while full & 1:
            root = node_hash(self._subtrees.pop(), root)
            full >>= 1
        self._subtrees.append(root)
        self.size += ENTRIES_A_TILE

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        root = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            root = node_hash(left, root)
        return root


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over hashes of leaves."""
    level = leaves
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


# --- signed notes and checkpoints


class Signature(NamedTuple):
    """A signature line: the key's name and id, and what it signed with."""

    name: str
    key_id: bytes
    blob: bytes


class Checkpoint(NamedTuple):
    """A parsed checkpoint; nothing of it is verified yet."""

    source: str
    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]


class Keys(NamedTuple):
    """The keys of an epoch, and the entry that names them."""

    epoch: int
    leaf: bytes
    ed25519: bytes
    ml_dsa: bytes


class Genesis(NamedTuple):
    """What entry 0 fixes for the life of the log."""

    deployment: bytes
    fingerprint: str
    log_key: bytes
    recovery_ed25519: bytes
    recovery_ml_dsa: bytes

    @property
    def origin(self) -> str:
        """The name of the log."""
        return f"wellkept/log/{UUID(bytes=self.deployment)}"


class Witness(NamedTuple):
    """A witness that the caller trusts."""

    name: str
    public: bytes


def _base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNote(f"{what} has base64 that cannot be read.") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedNote(f"{what} has base64 that is not written in the one way.")
    return data


def parse_checkpoint(data: bytes, source: str) -> Checkpoint:
    """Parse a checkpoint strictly; `source` names it in what is said of it.

    Raises:
        MalformedNote: it is no signed note.
        MalformedCheckpoint: the note's text is not origin, size and root.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNote(f"{source} is larger than a checkpoint can be.")
    try:
        note = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedNote(f"{source} is not UTF-8.") from error
    text, blank, signed = note.rpartition("\n\n")
    if not blank or not signed.endswith("\n") or any(character < " " and character != "\n" for character in note):
        raise MalformedNote(f"{source} is no signed note.")
    lines = signed[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote(f"{source} has more signatures than are read.")
    signatures = []
    for line in lines:
        match = re.fullmatch(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)", line)
        if match is None:
            raise MalformedNote(f"{source} has a line that is no signature.")
        blob = _base64(match[2], source)
        if len(blob) < 5:
            raise MalformedNote(f"{source} has a signature that is too short.")
        signatures.append(Signature(match[1], blob[:4], blob[4:]))
    if len({(name, key) for name, key, _ in signatures}) != len(signatures):
        raise MalformedNote(f"{source} is signed twice by one key.")
    parts = text.split("\n")
    if len(parts) != 3 or not re.fullmatch(r"\S+", parts[0]) or not re.fullmatch(r"0|[1-9][0-9]{0,17}", parts[1]):
        raise MalformedCheckpoint(f"{source} is not origin, size and root.")
    root = _base64(parts[2], source)
    if len(root) != HASH_BYTES:
        raise MalformedCheckpoint(f"{source} has a root of wrong length.")
    return Checkpoint(source, text + "\n", parts[0], int(parts[1]), root, tuple(signatures))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the id of a key in a signed note."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _verify_ed25519(public: bytes, signature: bytes, message: bytes, what: str, index: int | None = None) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(f"{what} is not by the key that must have made it.", index) from error


def _verify_ml_dsa(public: bytes, signature: bytes, message: bytes, what: str, index: int | None = None) -> None:
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(f"{what} is not by the key that must have made it.", index) from error


def verify_log_key(checkpoint: Checkpoint, genesis: Genesis) -> None:
    """Check the first signature of a checkpoint: the long-lived log key's.

    Raises:
        SignatureMissing, BadSignature: it is not there or not by that key.
        MalformedCheckpoint: the checkpoint is of another log.
    """
    if checkpoint.origin != genesis.origin:
        raise MalformedCheckpoint(f"{checkpoint.source} is of another log: {checkpoint.origin}.")
    signature = _line(checkpoint, 0, genesis.origin, ED25519, genesis.log_key, "the log key")
    what = f"The log key's signature of {checkpoint.source}"
    _verify_ed25519(genesis.log_key, signature, checkpoint.text.encode(), what)


def verify_signatures(checkpoint: Checkpoint, genesis: Genesis, keys: Keys) -> int:
    """Check all three signatures of a checkpoint; return when it was signed, POSIX seconds.

    Raises:
        SignatureMissing, BadSignature, MalformedCheckpoint: see `verify_log_key`.
    """
    verify_log_key(checkpoint, genesis)
    name = f"{genesis.origin}/epoch/{keys.epoch}"
    classic = _line(checkpoint, 1, name, ED25519, keys.ed25519, f"the Ed25519 key of epoch {keys.epoch}")
    what = f"The signature of {checkpoint.source} by the Ed25519 key of epoch {keys.epoch}"
    _verify_ed25519(keys.ed25519, classic, checkpoint.text.encode(), what)
    blob = _line(checkpoint, 2, name, ML_DSA_44, keys.ml_dsa, f"the ML-DSA-44 key of epoch {keys.epoch}")
    at = int.from_bytes(blob[:8], "big")
    if at > MAX_TIME:
        raise MalformedCheckpoint(f"{checkpoint.source} has a time that cannot be.")
    origin = genesis.origin.encode()
    message = b"".join((
        b"subtree/v1\n\x00", bytes([len(name)]), name.encode(), blob[:8], bytes([len(origin)]), origin,
        struct.pack(">QQ", 0, checkpoint.size), checkpoint.root,
    ))  # fmt: skip
    what = f"The signature of {checkpoint.source} by the ML-DSA-44 key of epoch {keys.epoch}"
    _verify_ml_dsa(keys.ml_dsa, blob[8:], message, what)
    return at


def _line(checkpoint: Checkpoint, place: int, name: str, kind: int, public: bytes, who: str) -> bytes:
    """Return what the signature line at `place` holds; it must be by this key."""
    signature = checkpoint.signatures[place] if place < len(checkpoint.signatures) else Signature("", b"", b"")
    length = 8 + ML_DSA_SIGNATURE_BYTES if kind == ML_DSA_44 else ED25519_SIGNATURE_BYTES
    if signature.name != name or len(signature.blob) != length:
        raise SignatureMissing(f"{checkpoint.source} lacks the signature of {who}.")
    if signature.key_id != key_id(name, kind, public):
        raise BadSignature(f"{checkpoint.source} is signed by another key than {who}.")
    return signature.blob


def parse_witness(vkey: str) -> Witness:
    """Parse a witness's verifier key (C2SP signed-note, type 0x04): `name+id+base64`; a ValueError where it is none."""
    name, hexadecimal, encoded = (*vkey.split("+", 2), "", "")[:3]
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if not name or len(key) != 1 + ED25519_KEY_BYTES or key[0] != COSIGNATURE_ED25519:
        raise WrongOption("no verifier key of a witness")
    if hexadecimal != key_id(name, key[0], key[1:]).hex():
        raise WrongOption("a verifier key whose id is not its own")
    return Witness(name, key[1:])


def cosigned_by(checkpoint: Checkpoint, witnesses: Sequence[Witness]) -> dict[bytes, int]:
    """Return which of the witnesses co-signed, by public key, and when in POSIX seconds.

    Raises:
        BadSignature: a line under a witness's name and id is not by it.
    """
    seen = {}
    for witness in witnesses:
        wanted = key_id(witness.name, COSIGNATURE_ED25519, witness.public)
        for name, found, blob in checkpoint.signatures:
            if name == witness.name and found == wanted:
                at = int.from_bytes(blob[:8], "big")
                message = f"cosignature/v1\ntime {at}\n{checkpoint.text}".encode()
                _verify_ed25519(witness.public, blob[8:], message, f"The cosignature of {name}")
                if at > MAX_TIME:
                    raise MalformedNote(f"The cosignature of {name} has a time that cannot be.")
                seen[witness.public] = at
    return seen


# --- bodies of epochs


class _Reader:
    """Reads a body from left to right; nothing may be left over."""

    def __init__(self, data: bytes, index: int) -> None:
        self._data, self._at, self._index = data, 0, index

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise MalformedBody(f"The body of entry {self._index} is cut short.", self._index)
        self._at += count
        return part

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def prefixed(self, count: int = 2) -> bytes:
        return self.take(self.number(count))

    def exactly(self, count: int) -> bytes:
        part = self.prefixed()
        if len(part) != count:
            raise MalformedBody(f"The body of entry {self._index} has a part of wrong length.", self._index)
        return part

    def read(self) -> bytes:
        """Return all that was read so far."""
        return self._data[: self._at]

    def end(self) -> None:
        if self._at != len(self._data):
            raise MalformedBody(f"The body of entry {self._index} has bytes left over.", self._index)


class EpochBody(NamedTuple):
    """The body of a kind 5 or 7 entry, parsed; `genesis` is there in epoch 0, `known_size` in a restore."""

    deployment: bytes
    epoch: int
    size: int
    root: bytes
    heads_root: bytes
    checkpoint: bytes
    ed25519: bytes
    ml_dsa: bytes
    genesis: Genesis | None
    known_size: int
    statement: bytes
    ed25519_signature: bytes
    ml_dsa_signature: bytes


def parse_epoch_body(body: bytes, kind: int, index: int) -> EpochBody:
    """Parse the body of an epoch (kind 5) or a restore (kind 7) strictly.

    Raises:
        MalformedBody: it is not of the layout.
    """
    reader = _Reader(body, index)
    magic = b"WKRESTORE\x01" if kind == RESTORE else b"WKEPOCH\x01"
    if reader.take(len(magic)) != magic:
        raise MalformedBody(f"The body of entry {index} begins with another format.", index)
    deployment, epoch, size = reader.take(16), reader.number(4), reader.number(8)
    root, heads_root, checkpoint = reader.take(HASH_BYTES), reader.take(HASH_BYTES), reader.prefixed(4)
    ed25519, ml_dsa = reader.exactly(ED25519_KEY_BYTES), reader.exactly(ML_DSA_KEY_BYTES)
    genesis, known_size = None, 0
    if kind == RESTORE:
        known_size = reader.number(8)
    elif (flag := reader.number(1)) == 1:
        keys = reader.exactly(ED25519_KEY_BYTES), reader.exactly(ED25519_KEY_BYTES), reader.exactly(ML_DSA_KEY_BYTES)
        genesis = Genesis(deployment, hashlib.sha256(body).hexdigest(), *keys)
    elif flag:
        raise MalformedBody(f"The body of entry {index} has a flag that is neither 0 nor 1.", index)
    statement = reader.read()
    signatures = reader.exactly(ED25519_SIGNATURE_BYTES), reader.exactly(ML_DSA_SIGNATURE_BYTES)
    reader.end()
    return EpochBody(
        deployment, epoch, size, root, heads_root, checkpoint, ed25519, ml_dsa, genesis, known_size, statement,
        *signatures,
    )  # fmt: skip


def verify_body(body: EpochBody, kind: int, signers: Keys, index: int) -> None:
    """Check both signatures of an epoch (by the keys before) or of a restore (by the recovery keys).

    Raises:
        BadSignature: one of them is not by these keys.
    """
    message = (b"wellkept/restore/1" if kind == RESTORE else b"wellkept/epoch/1") + body.statement
    what = f"A signature of entry {index}, which turns to epoch {body.epoch},"
    _verify_ed25519(signers.ed25519, body.ed25519_signature, message, what, index)
    _verify_ml_dsa(signers.ml_dsa, body.ml_dsa_signature, message, what, index)


def verify_turn(
    index: int, kind: int, body: EpochBody, place: tuple[bytes, int, bytes], genesis: Genesis, old: Keys
) -> None:
    """Check an epoch or a restore against its entry's place, the keys before it, and the checkpoint within.

    Raises:
        WrongEpoch, MalformedBody: it does not follow, or what it says does not go together.
        BadSignature, SignatureMissing, MalformedNote, MalformedCheckpoint: it or its checkpoint is not signed by them.
    """
    if place != (genesis.deployment, body.epoch, old.leaf) or body.deployment != genesis.deployment:
        raise WrongEpoch(f"Entry {index} is of another log or does not follow the epoch before it.", index)
    if body.size != index:
        raise WrongEpoch(f"Entry {index} seals the log of size {body.size}, not the one before it.", index)
    recovery = Keys(body.epoch, ZEROS_32, genesis.recovery_ed25519, genesis.recovery_ml_dsa)
    verify_body(body, kind, recovery if kind == RESTORE else old, index)
    if kind == EPOCH:
        within = parse_checkpoint(body.checkpoint, f"The checkpoint within entry {index}")
        if (within.size, within.root) != (body.size, body.root):
            raise WrongEpoch(f"{within.source} is not of its own index and root.", index)
        verify_signatures(within, genesis, old)
    elif body.checkpoint:
        raise MalformedBody(f"The body of entry {index} declares a restore and holds a checkpoint.", index)


def heads_root(heads: dict[bytes, tuple[int, bytes, int]]) -> bytes:
    """Return the root over the sorted pairs of stream and last version. O(streams)."""
    sha256, pack = hashlib.sha256, HEAD.pack
    return tree_root([sha256(pack(stream, heads[stream][0])).digest() for stream in sorted(heads)])


# --- disclosed events


def open_event(event_key: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Open a Cobblestone-256 ciphertext (C2SP chunked-encryption) with the commitment compared first.

    Raises:
        KeyDoesNotOpen: another key, another place, or altered bytes.
    """
    salt, commitment, body = ciphertext[:24], ciphertext[24:56], ciphertext[56:]
    label = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
    derived = HKDFExpand(SHA512(), 76, label + salt + context).derive(event_key)
    # The final chunk is shorter than a full one and at least a tag long; else the ciphertext was cut.
    if not hmac.compare_digest(derived[44:], commitment) or len(body) % CHUNK_BYTES < 16:
        raise KeyDoesNotOpen("the key does not commit to the ciphertext")
    cipher, nonce = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    try:
        return b"".join(
            cipher.decrypt((nonce ^ number).to_bytes(12, "big"), body[start : start + CHUNK_BYTES], None)
            for number, start in enumerate(range(0, len(body), CHUNK_BYTES))
        )
    except InvalidTag as error:
        raise KeyDoesNotOpen("the ciphertext is not authentic") from error


def _lp(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def padded_length(length: int) -> int:
    """Return the size to which a plaintext of this length is padded (Padmé, at least 512)."""
    length = max(SMALLEST_PADDED_BYTES, length)
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def parse_plaintext(plaintext: bytes) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Return topic and segments (path, exact bytes) of an opened event.

    Raises:
        ValueError: it is not of the layout.
    """
    length = int.from_bytes(plaintext[:4], "big")
    if not 4 <= length <= len(plaintext) or len(plaintext) != padded_length(length) or any(plaintext[length:]):
        raise ValueError("padding")
    content = memoryview(plaintext)[4:length]
    at = 2 + int.from_bytes(content[:2], "big")
    topic, count = str(content[2:at], "utf-8"), int.from_bytes(content[at : at + 2], "big")
    at += 2
    segments = []
    for _ in range(count):
        size = int.from_bytes(content[at : at + 2], "big")
        path = bytes(content[at + 2 : at + 2 + size])
        at += 2 + size
        length = int.from_bytes(content[at : at + 4], "big")
        segments.append((path, bytes(content[at + 4 : at + 4 + length])))
        at += 4 + length
        if at > len(content):
            raise ValueError("cut short")
    if at != len(content) or not segments:
        raise ValueError("left over")
    if strict_json(segments[0][1]).get("topic") != topic:
        raise ValueError("topic")
    return topic, segments


def content_root(event_key: bytes, segments: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the root that binds the exact text of each segment under salts of the event key."""
    leaves = []
    for path, content in segments:
        salt = hmac.digest(event_key, b"wellkept/salt/1" + _lp(path), "sha256")
        part = b"wkseg\x01" + salt + _lp(path) + len(content).to_bytes(4, "big") + content
        leaves.append(leaf_hash(hashlib.sha256(part).digest()))
    return tree_root(leaves)


def strict_json(data: bytes) -> dict[str, Any]:
    """Return a JSON object; a ValueError also for duplicate keys, NaN, infinities and integers over 2^53."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def exact(text: str) -> int:
        if len(text) > 17 or abs(int(text)) > 1 << 53:
            raise ValueError("an integer over 2^53")
        return int(text)

    def never(text: str) -> NoReturn:
        raise ValueError(text)

    try:
        document = json.loads(data, object_pairs_hook=unique, parse_int=exact, parse_constant=never)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


# --- where a log comes from


class Source(Protocol):
    """A log to verify; what it gives is trusted in nothing.

    Attributes:
        whole: whether every event's payload must be there, as in a live clinic.
        disclosed: indexes of events whose key is disclosed.
    """

    whole: bool
    disclosed: frozenset[int]

    def checkpoints(self) -> list[Checkpoint]:
        """Return the log's own checkpoints, the newest first; may be empty."""

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Yield index, entry and stored state (None where it is not there), ordered by index."""

    def body(self, index: int) -> bytes | None:
        """Return the clear body of an entry, or None."""

    def leaf_hashes(self, tile: int) -> bytes | None:
        """Return the published hashes of the 256 leaves of a tile (fewer in the last), or None."""

    def event_key(self, index: int) -> bytes:
        """Return a disclosed event key."""


class Policy(NamedTuple):
    """What the caller knows from elsewhere.

    Attributes:
        genesis: the fingerprint as 64 lower-case hex digits, or None.
        outside: checkpoints that were kept outside.
        witnesses: those whose cosignatures count.
        quorum: how many of them must have co-signed the newest checkpoint.
        require_anchor: an answer without anything from outside is a failure.
        now: the time in POSIX seconds.
        sizes: sizes whose roots the caller wants to know (`Verifier.roots`).
    """

    genesis: str | None = None
    outside: tuple[Checkpoint, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    require_anchor: bool = False
    now: int = 0
    sizes: frozenset[int] = frozenset()


class Report(NamedTuple):
    """What was found; `sentence` is for people, `warnings` are further sentences."""

    status: str
    sentence: str
    first_bad_index: int | None
    counts: dict[str, int]
    erased_streams: list[str]
    freshness: dict[str, Any]
    warnings: list[str]
    exit: int


def parse_fingerprint(text: str) -> str:
    """Return 64 hex digits; spaces, hyphens and case do not matter; a ValueError where it is no fingerprint."""
    digits = re.sub(r"[\s-]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise WrongOption("a genesis fingerprint has 64 hexadecimal digits")
    return digits


class Verifier:
    """One run over one log; memory grows with the number of streams and keys, not with the number of entries.

    Attributes:
        size: how many entries were taken.
        heads: stream → version, leaf and index of its last entry.
        keys: key → scope, class and index of the entry that created it.
        destroyed: keys that were destroyed.
        bodies: how many entries have a clear body.
        roots: size → root, of each size at which something was compared.
    """

    def __init__(self, source: Source, policy: Policy, progress: Callable[[int], None] | None = None) -> None:
        self._source, self._policy, self._progress = source, policy, progress
        self.size = 0
        self.frontier = Frontier()
        self.heads: dict[bytes, tuple[int, bytes, int]] = {}
        self.counts = dict.fromkeys(
            ("entries", "events", "readings", "streams", "payloads", "purged", "missing", "opened", "epochs",
             "restores", "checkpoints", "outside", "unsigned"), 0
        )  # fmt: skip
        self.erased: set[bytes] = set()
        self.warnings: list[str] = []
        self.signed_at: int | None = None
        self.witnessed: dict[bytes, int] = {}
        self.anchor_size: int | None = None
        self._last_us = 0
        self._signed_size = 0
        self._unsigned_us: int | None = None
        self._good_size = 0
        self.bodies = 0
        self.roots: dict[int, bytes] = {}
        self.keys: dict[bytes, tuple[bytes, int, int]] = {}
        self.destroyed: set[bytes] = set()
        self._living: dict[bytes, int] = {}
        self._purges: dict[tuple[bytes, int], tuple[int, bytes]] = {}
        self._genesis: Genesis | None = None
        self._epoch: Keys | None = None
        self._restores: list[tuple[int, int]] = []
        self._own: dict[int, list[Checkpoint]] = {}
        self._outside: dict[int, list[Checkpoint]] = {}
        self._suspects: list[Checkpoint] = []
        self._epochs: list[tuple[Keys, int]] = []
        self._newest: Checkpoint | None = None
        self._tile: bytes | None = None
        self._leaves: list[bytes] = []
        self._disclosed, self._payloads = source.disclosed, 0
        self._odd_leaf: int | None = None
        self._newest_disclosed = self._newest_reading = -1

    def run(self) -> None:
        """Take every step of the plan.

        Raises:
            VerificationError: at the first that fails.
        """
        try:
            self._run()
        except VerificationError as error:
            self._compare_tile()
            # [2] the entries are not those that were signed, and this is the first whose hash was published otherwise
            if self._odd_leaf is None or error.index is None:
                raise
            if error.index < self._odd_leaf and not isinstance(error, BrokenChain | WrongRoot):
                raise
            index = self._odd_leaf
            raise AlteredEntry(f"Entry {index} is not the one that was signed.", index) from error
        # [2] the entries are those that were signed, so it is the published hash that is not
        if self._odd_leaf is not None:
            raise AlteredTile(f"The published hash of entry {self._odd_leaf} is not its own.", self._odd_leaf)

    def _run(self) -> None:
        own = self._source.checkpoints()
        self._newest = own[0] if own else None
        self._signed_size = own[0].size if own else 0
        for checkpoint in own:
            self._own.setdefault(checkpoint.size, []).append(checkpoint)
        for checkpoint in self._policy.outside:
            self._outside.setdefault(checkpoint.size, []).append(checkpoint)
        due = self._own.keys() | self._outside.keys() | self._policy.sizes
        take, signed = self._take, self._signed_size
        for index, entry, state in self._source.rows():
            # [2] dense
            if index != self.size:
                missing = f"Entry {self.size} is missing." if index > self.size else f"Entry {index} stands twice."
                raise NotDense(missing, min(index, self.size))
            take(entry, state)
            if index == signed:
                self._unsigned_us = self._last_us
            if not self.size % ENTRIES_A_TILE:
                self._end_tile()
            if self.size in due:
                self._meet()
        self._compare_tile()
        self._finish()

    def _end_tile(self) -> None:
        self._compare_tile()
        self.frontier.extend(self._leaves[self.frontier.size % ENTRIES_A_TILE :])
        self._leaves.clear()
        if self._progress is not None and not self.size % 4096:
            self._progress(self.size)

    def _compare_tile(self) -> None:
        # [2] the published leaves: all at once, and one by one where they are not the same
        if self._tile is None or self._tile == b"".join(self._leaves):
            return
        for place, leaf in enumerate(self._leaves):
            if self._tile[32 * place : 32 * place + 32] not in (leaf, b""):
                self._odd_leaf = self.frontier.size // ENTRIES_A_TILE * ENTRIES_A_TILE + place
                break
        self._tile = None

    def _root(self) -> bytes:
        """Return the root over the entries taken; the frontier takes leaves a tile at a time, or when it is asked."""
        self.frontier.extend(self._leaves[self.frontier.size % ENTRIES_A_TILE : self.size % ENTRIES_A_TILE])
        return self.frontier.root()

    def _take(self, entry: bytes, state: bytes | None) -> None:
        """Take in the next entry: steps 2 to 7."""
        index = self.size
        # [2] layout
        if len(entry) != ENTRY_BYTES:
            raise MalformedEntry(f"Entry {index} is not of the length of an entry.", index)
        magic, kind, at_us, stream, version, previous, key, key_class, length, digest, _ = _UNPACK(entry)
        if magic != ENTRY_MAGIC or not EVENT <= kind <= RESTORE:
            raise MalformedEntry(f"Entry {index} is not of the format of an entry.", index)
        leaf = _SHA256(b"\x00" + entry).digest()
        # [2] the published leaves, which are compared at the end of the tile
        if not index % ENTRIES_A_TILE and self._odd_leaf is None:
            self._tile = self._source.leaf_hashes(index // ENTRIES_A_TILE)
        self._leaves.append(leaf)
        # [1] genesis
        if self._epoch is None and kind != EPOCH:
            raise WrongGenesis("The log does not begin with its genesis.", 0)
        # [3] times
        if at_us <= self._last_us:
            raise TimesFall(f"Entry {index} is not later than the entry before it.", index)
        self._last_us = at_us
        if kind <= ACCESS:
            self._chain(index, leaf, stream, version, previous, key, key_class)
            disclosed = self._disclosed
            # [6] payloads
            if state is not None and _SHA256(state).digest() == digest and len(state) == length:
                self._payloads += 1
                if index in disclosed:
                    self._open(index, entry, state)
            else:
                self._without_payload(index, stream, version, key, digest, state)
            if kind == ACCESS:
                self.counts["readings"] += 1
                self._newest_reading = index
            elif index in disclosed:
                self._newest_disclosed = index
        else:
            self._take_clear(index, entry, leaf)
        self.size = index + 1

    def _chain(
        self, index: int, leaf: bytes, stream: bytes, version: int, previous: bytes, key: bytes, key_class: int
    ) -> None:
        # [4] streams
        last, head, before = self.heads.get(stream, (0, ZEROS_32, index))
        if version != last + 1:
            what = f"Entry {index} is version {version} of its stream, where version {last + 1} must follow."
            raise BrokenChain(what, index)
        if previous != head:
            what = f"Entry {before} is not the one that was signed: entry {index}, which comes next in its stream,"
            raise BrokenChain(f"{what} names another as the one before.", before)
        self.heads[stream] = (version, leaf, index)
        # [5] keys
        if key in self.destroyed:
            raise KeyIsDestroyed(f"Entry {index} was sealed under a key that was destroyed before.", index)
        made = self.keys.get(key)
        if made is None or made[1] != key_class:
            raise UnknownKey(f"Entry {index} was sealed under a key that no entry before it created.", index)

    def _without_payload(
        self, index: int, stream: bytes, version: int, key: bytes, digest: bytes, state: bytes | None
    ) -> None:
        """Take an event whose ciphertext is not the logged one: purged, not here, or altered."""
        if state is not None and state != b"\x00" + key + digest:
            raise AlteredPayload(f"The content of entry {index} is not the one that was logged.", index)
        if index in self._source.disclosed:
            raise Incomplete(f"The key of entry {index} is disclosed, and its ciphertext is not there.", index)
        if state is None:
            if self._source.whole:
                raise PayloadLost(f"The content of entry {index} is not stored any more.", index)
            self.counts["missing"] += 1
        else:
            self._purges[stream, version] = index, digest

    def _take_clear(self, index: int, entry: bytes, leaf: bytes) -> None:
        """Take in an entry outside of the streams; what its kind leaves no room for must be zero."""
        _, kind, _, stream, version, previous, key, key_class, length, digest, content = ENTRY.unpack(entry)
        if content != ZEROS_32 or (kind not in (EPOCH, RESTORE) and previous != ZEROS_32):
            raise MalformedEntry(f"Entry {index} says more than its kind has room for.", index)
        if kind in (EPOCH, RESTORE):
            if key != ZEROS_16 or key_class:
                raise MalformedEntry(f"Entry {index} says more than its kind has room for.", index)
            body = parse_epoch_body(self._body(index, length, digest), kind, index)
            self._turn(index, kind, body, (stream, version, previous), leaf)
            return
        if key_class not in KEY_CLASSES:
            raise MalformedEntry(f"Entry {index} has a key of no known class.", index)
        if kind == PAYLOAD_PURGED:
            if length:
                raise MalformedEntry(f"Entry {index} says more than its kind has room for.", index)
            self._take_purge(index, stream, version, digest)
            return
        if version:
            raise MalformedEntry(f"Entry {index} is of a key and has a version.", index)
        if length:
            self._body(index, length, digest)
        elif digest != ZEROS_32:
            raise MalformedEntry(f"Entry {index} says more than its kind has room for.", index)
        self._take_key(index, kind, stream, key, key_class)

    def _body(self, index: int, length: int, digest: bytes) -> bytes:
        body = self._source.body(index) if length <= MAX_BODY_BYTES else None
        if body is None:
            raise Incomplete(f"The body of entry {index} is not there.", index)
        if len(body) != length or hashlib.sha256(body).digest() != digest:
            raise MalformedBody(f"The body of entry {index} is not the one that was logged.", index)
        self.bodies += 1
        return body

    def _take_purge(self, index: int, stream: bytes, version: int, digest: bytes) -> None:
        # [6] a purge names an event that is there
        if not 1 <= version <= self.heads.get(stream, (0,))[0]:
            raise PurgeUnsaid(f"Entry {index} tells of the purge of an event that is not in the log.", index)
        found = self._purges.pop((stream, version), None)
        if found is not None:
            if found[1] != digest:
                raise PurgeUnsaid(f"Entry {index} tells of the purge of another content than was logged.", index)
            self.counts["purged"] += 1

    def _take_key(self, index: int, kind: int, scope: bytes, key: bytes, key_class: int) -> None:
        # [5] keys are created once, and destroyed once
        if kind == KEY_CREATED:
            if key in self.keys:
                raise UnknownKey(f"Entry {index} creates a key that was created before.", index)
            self.keys[key] = scope, key_class, index
            if key_class == RECORD_KEY:
                self._living[scope] = self._living.get(scope, 0) + 1
                self.erased.discard(scope)
            return
        if self.keys.get(key, ())[:2] != (scope, key_class) or key in self.destroyed:
            raise UnknownKey(f"Entry {index} destroys a key that was not there.", index)
        self.destroyed.add(key)
        if key_class == RECORD_KEY:
            self._living[scope] -= 1
            if not self._living[scope]:
                self.erased.add(scope)

    def _turn(self, index: int, kind: int, body: EpochBody, place: tuple[bytes, int, bytes], leaf: bytes) -> None:
        """Take in an epoch or a restore: steps 1 and 7."""
        genesis, old = self._follows(index, body)
        # [7] in its place, signed by the keys before, and so is the checkpoint within, which says the same
        verify_turn(index, kind, body, place, genesis, old)
        # [7] roots
        if body.root != self._root():
            self._wrong_root(index, f"epoch {body.epoch}")
        self._good_size = index
        if body.heads_root != heads_root(self.heads):
            raise WrongHeads(f"The streams before entry {index} do not end where epoch {body.epoch} says.", index)
        if kind == RESTORE:
            self._restores.append((index, body.known_size))
        self.counts["restores" if kind == RESTORE else "epochs"] += 1
        self._genesis, self._epoch = genesis, Keys(body.epoch, leaf, body.ed25519, body.ml_dsa)
        self._epochs.append((self._epoch, index))
        if not index:
            self._meet_empty()

    def _follows(self, index: int, body: EpochBody) -> tuple[Genesis, Keys]:
        """Return the genesis and the keys that must have signed this epoch."""
        # [1] genesis
        if self._genesis is None or self._epoch is None:
            if body.genesis is None or body.epoch:
                raise WrongGenesis("The log does not begin with its genesis.", 0)
            if self._policy.genesis not in (None, body.genesis.fingerprint):
                raise WrongGenesis("The log does not begin with the genesis of this fingerprint: it is another's.", 0)
            return body.genesis, Keys(0, ZEROS_32, body.ed25519, body.ml_dsa)
        # [7] one after the other
        if body.genesis is not None or body.epoch != self._epoch.epoch + 1:
            raise WrongEpoch(f"Entry {index} is not the epoch that follows.", index)
        return self._genesis, self._epoch

    def _wrong_root(self, size: int, what: str) -> NoReturn:
        first, last = self._good_size, size - 1
        if first == last:
            raise WrongRoot(f"Entry {first} is not the one that was signed: {what} signs another.", first)
        where = f"Among entries {first} to {last} at least one is not the one that was signed"
        raise WrongRoot(f"{where}: the root that {what} signs is not theirs.", first)

    def _meet_empty(self) -> None:
        """Take the checkpoints of size 0, which carry epoch 0."""
        for checkpoint in (*self._own.pop(0, ()), *self._outside.pop(0, ())):
            if checkpoint.root != EMPTY_ROOT:
                raise WrongRoot(f"{checkpoint.source} is of an empty log and has a root.", 0)
            self._require_signatures(checkpoint)

    def _require_signatures(self, checkpoint: Checkpoint) -> int:
        if self._genesis is None or self._epoch is None:
            raise WrongGenesis("The log does not begin with its genesis.", 0)
        return verify_signatures(checkpoint, self._genesis, self._epoch)

    def _meet(self) -> None:
        """Take the checkpoints of the size reached: steps 8 to 10."""
        root = self.roots[self.size] = self._root()
        # [8] our own
        for checkpoint in self._own.pop(self.size, ()):
            if checkpoint.root != root:
                self._wrong_root(self.size, checkpoint.source)
            at = self._require_signatures(checkpoint)
            self._good_size = self.size
            self.counts["checkpoints"] += 1
            if checkpoint is self._newest:
                self.signed_at = at
                # [9] witnesses
                self.witnessed = cosigned_by(checkpoint, self._policy.witnesses)
                if len(self.witnessed) < self._policy.quorum:
                    seen = f"{len(self.witnessed)} of {self._policy.quorum} witnesses"
                    raise NotWitnessed(f"{seen} that must co-sign the newest checkpoint did.")
        # [10] those from outside
        for checkpoint in self._outside.pop(self.size, ()):
            if checkpoint.root == root:
                self._require_signatures(checkpoint)
                self.counts["outside"] += 1
                self.anchor_size = self.size
            else:
                self._suspects.append(checkpoint)

    def _open(self, index: int, entry: bytes, state: bytes) -> None:
        # [11] a disclosed key opens its ciphertext in its place
        if self._genesis is None:
            raise WrongGenesis("The log does not begin with its genesis.", 0)
        event_key = self._source.event_key(index)
        _, _, _, stream, version, _, key, key_class, _, _, content = ENTRY.unpack(entry)
        if state[:2] != bytes([1, key_class]) or state[4:20] != key or len(event_key) != 32:
            raise KeyDoesNotOpen(f"The content of entry {index} is of another key or format.", index)
        place = _lp(self._genesis.deployment) + _lp(b"event") + stream + version.to_bytes(8, "big")
        context = b"wellkept/ctx/1" + place + state[1:36]
        try:
            plaintext = open_event(event_key, context, state[36:])
        except KeyDoesNotOpen as error:
            raise KeyDoesNotOpen(f"The disclosed key of entry {index} does not open its content.", index) from error
        try:
            _, segments = parse_plaintext(plaintext)
        except ValueError as error:
            raise MalformedPayload(f"What the key of entry {index} opens is no event.", index) from error
        # [11] and the text is the one that the entry commits to
        if content_root(event_key, segments) != content:
            raise AlteredText(f"The text of entry {index} is not the one that the entry commits to.", index)
        self.counts["opened"] += 1

    def _finish(self) -> None:
        """Take what only the end can tell."""
        if self._genesis is None:
            raise WrongGenesis("The log is empty: it does not begin with its genesis.", 0)
        # [8] what was signed and is not here any more
        if self._own:
            size = max(self._own)
            gone = f"entries {self.size} to {size - 1}, which were signed, are gone"
            raise RolledBack(f"The log ends at entry {self.size - 1}: {gone}.", self.size)
        # [8] what nobody signed
        signed = self._signed_size
        if self._unsigned_us is not None and self._policy.now - self._unsigned_us // 1_000_000 > MAX_UNSIGNED_SECONDS:
            which = f"Entries {signed} to {self.size - 1} have no checkpoint over them"
            raise NotSigned(f"{which}: the signer stands still, or their checkpoints were taken away.", signed)
        # [6] purges that no entry tells of
        if self._purges:
            index = min(index for index, _ in self._purges.values())
            raise PurgeUnsaid(f"The content of entry {index} was purged, and no entry says so.", index)
        self._judge_outside()
        # [11] no disclosure without a reading
        if self._newest_disclosed > self._newest_reading:
            index = self._newest_disclosed
            raise ReadingUnlogged(f"Entry {index} was disclosed, and no reading was logged after it.", index)

    def _judge_outside(self) -> None:
        # [10] outside checkpoints that this log does not contain
        later = [checkpoint for size in sorted(self._outside) for checkpoint in self._outside[size]]
        for checkpoint in (*self._suspects, *later):
            shared = self._shared(checkpoint)
            if any(shared < index < checkpoint.size <= known for index, known in self._restores):
                continue
            what = f"{checkpoint.source} was signed at size {checkpoint.size}"
            if checkpoint.size > self.size:
                what = f"The log ends at entry {self.size - 1}, and {what[0].lower()}{what[1:]}"
                raise RolledBack(f"{what}: it was set back to an older state.", self.size)
            part = f"the two part at entry {shared + 1} or after it"
            raise Forked(f"{what} over another history than this one: {part}.", shared + 1)

    def _shared(self, checkpoint: Checkpoint) -> int:
        """Return an index up to which this log and the one of a checkpoint are the same.

        An epoch's keys are named by its entry: whatever they signed has this entry, and all before it.
        """
        assert self._genesis is not None
        verify_log_key(checkpoint, self._genesis)
        for keys, index in reversed(self._epochs):
            try:
                verify_signatures(checkpoint, self._genesis, keys)
            except VerificationError:
                continue
            return index
        return 0

    # --- the answer

    @property
    def signed_size(self) -> int:
        """The size of the newest checkpoint of the log's own, 0 where it has none."""
        return self._signed_size

    def report(self, error: VerificationError | None) -> Report:
        """Return what was found: after `run`, or after the error that ended it."""
        counts = self.counts | {"entries": self.size, "streams": len(self.heads), "payloads": self._payloads}
        counts["events"] = sum(version for version, _, _ in self.heads.values()) - counts["readings"]
        if error is None:
            counts["unsigned"] = self.size - self._signed_size
        erased = sorted(str(UUID(bytes=scope)) for scope in self.erased)
        found = self.warnings, counts, erased, self._freshness()
        if error is not None:
            return _report(error.status, str(error), error.index, EXIT_INTEGRITY, *found)
        whole = f"All {self._signed_size} entries are those that were signed"
        if counts["unsigned"]:
            whole += f" ({counts['unsigned']} newer ones are signed while the clinic is served)"
        if self._policy.genesis is None:
            said = f"{whole}, but nobody said whose log this is: give the fingerprint of its genesis."
            return _report("unpinned", said, None, EXIT_INTEGRITY, *found)
        strict = EXIT_INTEGRITY if self._policy.require_anchor else EXIT_OK
        anchored = self.anchor_size is not None or bool(self.witnessed)
        if self._restores:
            index, _ = self._restores[-1]
            said = f"{whole}, and a restore from an older copy was declared at entry {index}."
            return _report("restored", said, None, EXIT_OK if anchored else strict, *found)
        if not anchored:
            said = f"{whole}, but no checkpoint from outside was given: a log that was set back would look the same."
            return _report("unanchored", said, None, strict, *found)
        return _report("ok", f"{whole}.", None, EXIT_OK, *found)

    def _freshness(self) -> dict[str, Any]:
        newest = self._newest
        return {
            "signed_size": None if newest is None else newest.size,
            "signed_at": _time(self.signed_at),
            "age_seconds": None if self.signed_at is None else max(0, self._policy.now - self.signed_at),
            "outside_size": self.anchor_size,
            "witnesses": len(self.witnessed),
            "witnessed_at": _time(max(self.witnessed.values(), default=None)),
        }


def _report(
    status: str, sentence: str, index: int | None, code: int,
    warnings: list[str], counts: dict[str, int], erased: list[str], freshness: dict[str, Any],
) -> Report:  # fmt: skip
    return Report(status, sentence, index, counts, erased, freshness, warnings, code)


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def verify(source: Source, policy: Policy, progress: Callable[[int], None] | None = None) -> Report:
    """Verify a log and say what was found; `progress` is told the entries that were taken."""
    verifier = Verifier(source, policy, progress)
    try:
        verifier.run()
    except VerificationError as error:
        return verifier.report(error)
    return verifier.report(None)


# --- bundles


class Folder:
    """The files of an unpacked bundle; links are refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        folders = [str(path)]
        while folders:
            with os.scandir(folders.pop()) as found:
                for each in found:
                    if each.is_dir(follow_symlinks=False):
                        folders.append(each.path)
                    elif not each.is_file(follow_symlinks=False):
                        raise MalformedBundle(f"{each.name} in the bundle is a link or a device, not a file.")

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files directly in a folder, in no order."""
        path = self._path / folder
        if path.is_dir():
            with os.scandir(path) as found:
                yield from (each.name for each in found if each.is_file(follow_symlinks=False))

    def read(self, name: str, most: int) -> bytes | None:
        """Return a file of at most this many bytes, or None."""
        try:
            descriptor = os.open(f"{self._path}/{name}", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return _limited(name, file.read(most + 1), most)


class Archive:
    """The files of a bundle in a zip."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise MalformedBundle("The bundle is neither a folder nor a zip.") from error
        files = self._zip.infolist()
        if len(files) > MAX_ZIP_FILES:
            raise MalformedBundle("The zip holds too many files to be read packed; unpack it.")
        if sum(file.file_size for file in files) > MAX_ZIP_BYTES:
            raise MalformedBundle("The zip unpacks to more than a bundle can hold.")
        self._files: dict[str, zipfile.ZipInfo] = {}
        for file in files:
            name = file.orig_filename
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", name, re.A) or ".." in name.split("/"):
                raise MalformedBundle(f"The zip has a file whose name leads elsewhere: {name!r}.")
            if name in self._files:
                raise MalformedBundle(f"{name} stands twice in the zip.")
            if file.flag_bits & 1 or file.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MalformedBundle(f"{name} in the zip is encrypted or packed in another way.")
            if file.file_size > MAX_ZIP_RATIO * max(file.compress_size, 1):
                raise MalformedBundle(f"{name} in the zip unpacks to far more than it holds.")
            if stat.S_ISLNK(file.external_attr >> 16):
                raise MalformedBundle(f"{name} in the zip is a link.")
            self._files[name] = file

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files directly in a folder, in no order."""
        parts = (name.rpartition("/") for name in self._files)
        return (name for found, _, name in parts if found == folder and name)

    def read(self, name: str, most: int) -> bytes | None:
        """Return a file of at most this many bytes, or None."""
        info = self._files.get(name)
        if info is None:
            return None
        try:
            with self._zip.open(info) as file:
                return _limited(name, file.read(most + 1), most)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            raise MalformedBundle(f"{name} in the zip cannot be unpacked.") from error


def _limited(name: str, data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise MalformedBundle(f"{name} in the bundle is larger than it can be.")
    return data


class Bundle:
    """A bundle as a source; see the page of decisions for its layout."""

    whole = False

    def __init__(self, path: Path) -> None:
        self._files: Folder | Archive = Folder(path) if path.is_dir() else Archive(path)
        # [0] what it is
        try:
            about = strict_json(self._needed("bundle.json", MAX_JSON_BYTES))
        except ValueError as error:
            raise MalformedBundle(f"bundle.json cannot be read: {error}.") from error
        if about.get("format") != "wellkept-bundle/1":
            raise MalformedBundle("bundle.json is of another format.")
        self._checkpoint = parse_checkpoint(self._needed("checkpoint", MAX_NOTE_BYTES), "The bundle's checkpoint")
        if about.get("origin") != self._checkpoint.origin:
            raise MalformedBundle("bundle.json and the checkpoint name different logs.")
        size = self._checkpoint.size
        self.disclosed = frozenset(self._index("keys", name, size) for name in self._files.names("keys"))
        self._payloads = bytearray(size // 8 + 1)
        for name in self._files.names("payloads"):
            index = self._index("payloads", name, size)
            self._payloads[index >> 3] |= 1 << (index & 7)

    def _index(self, folder: str, name: str, size: int) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", name) or int(name) >= size:
            raise MalformedBundle(f"{folder}/{name} in the bundle is of no entry.")
        return int(name)

    def _needed(self, name: str, most: int) -> bytes:
        data = self._files.read(name, most)
        if data is None:
            raise Incomplete(f"{name} is not in the bundle.")
        return data

    def checkpoints(self) -> list[Checkpoint]:
        """Return the bundle's checkpoint, then older ones."""
        older = []
        for name in sorted(self._files.names("checkpoints")):
            data = self._needed(f"checkpoints/{name}", MAX_NOTE_BYTES)
            older.append(parse_checkpoint(data, f"The bundle's older checkpoint {name}"))
            if older[-1].size > self._checkpoint.size:
                raise RolledBack(f"{older[-1].source} is newer than the bundle's own.", self._checkpoint.size)
        return [self._checkpoint, *older]

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Yield the rows of all entries tiles, each with its payload where the bundle has it."""
        size, index = self._checkpoint.size, 0
        while index < size:
            count = min(ENTRIES_A_TILE, size - index)
            name = tile_path("entries", index // ENTRIES_A_TILE, count)
            tile = self._files.read(name, ENTRIES_A_TILE * (2 + ENTRY_BYTES))
            if tile is None:
                raise Incomplete(f"{name} is not in the bundle.", index)
            at = 0
            for number in range(index, index + count):
                length = int.from_bytes(tile[at : at + 2], "big")
                entry = tile[at + 2 : at + 2 + length]
                at += 2 + length
                if at > len(tile):
                    raise MalformedTile(f"{name} is cut short.", number)
                state = None
                if self._payloads[number >> 3] & 1 << (number & 7):
                    state = self._files.read(f"payloads/{number}", MAX_PAYLOAD_BYTES)
                yield number, entry, state
            index += count
            if at != len(tile):
                raise MalformedTile(f"{name} has bytes left over.", index - 1)

    def body(self, index: int) -> bytes | None:
        """Return a body, or None."""
        return self._files.read(f"bodies/{index}", MAX_BODY_BYTES)

    def leaf_hashes(self, tile: int) -> bytes | None:
        """Return a tile of published hashes, or None."""
        count = min(ENTRIES_A_TILE, self._checkpoint.size - tile * ENTRIES_A_TILE)
        if count <= 0:
            return None
        hashes = self._files.read(tile_path("0", tile, count), ENTRIES_A_TILE * HASH_BYTES)
        if hashes is not None and len(hashes) != count * HASH_BYTES:
            raise MalformedTile(f"{tile_path('0', tile, count)} has not one hash for each entry.")
        return hashes

    def event_key(self, index: int) -> bytes:
        """Return a disclosed key."""
        return self._needed(f"keys/{index}", HASH_BYTES)


def tile_path(level: str, number: int, count: int) -> str:
    """Return the path of a tile as C2SP tlog-tiles writes it."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{count}" if count < ENTRIES_A_TILE else "")


# --- the command


def render(report: Report) -> str:
    """Return the report for people."""
    lines = [f"{report.status}: {report.sentence}"]
    if report.first_bad_index is not None:
        lines.append(f"  first bad index: {report.first_bad_index}")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
    lines.append(f"  seen: {counts or 'nothing'}")
    lines += [f"  erased: {stream}" for stream in report.erased_streams]
    told = ", ".join(f"{name} {value}" for name, value in report.freshness.items() if value is not None)
    return "\n".join([*lines, f"  freshness: {told or 'unknown'}", ""])


def render_json(report: Report) -> str:
    """Return the report for programs, one line."""
    fields = report._asdict()
    del fields["exit"]
    return json.dumps(fields) + "\n"


def read_outside(paths: Sequence[Path]) -> tuple[Checkpoint, ...]:
    """Read checkpoints that were kept outside.

    Raises:
        OSError: a file cannot be read.
        MalformedNote, MalformedCheckpoint: it holds no checkpoint.
    """
    found = []
    for path in paths:
        with path.open("rb") as file:
            found.append(parse_checkpoint(file.read(MAX_NOTE_BYTES + 1), f"The checkpoint {path.name}"))
    return tuple(found)


def failed(error: VerificationError) -> Report:
    """Return the answer where nothing could be read at all."""
    empty: dict[str, Any] = {}
    return _report(error.status, str(error), error.index, EXIT_INTEGRITY, [], {}, [], empty)


def verify_bundle(path: Path, policy: Policy, outside: Sequence[Path]) -> Report:
    """Verify a bundle at a path against what is known outside."""
    try:
        source = Bundle(path)
        policy = policy._replace(outside=read_outside(outside))
    except VerificationError as error:
        return failed(error)
    return verify(source, policy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Verify a bundle of a log of Wellkept, offline.")
    parser.add_argument("bundle", nargs="?", default=".", type=Path, help="a folder or a zip (here, by default)")
    return run_command(parser, verify_bundle, arguments)


def run_command(
    parser: argparse.ArgumentParser,
    verifies: Callable[[Path, Policy, Sequence[Path]], Report],
    arguments: Sequence[str] | None,
) -> int:
    """Take what is known outside from the arguments, verify, and put out the answer; return the exit code."""
    parser.add_argument("--genesis", type=parse_fingerprint, help="the fingerprint that the clinic prints on its forms")
    parser.add_argument("--checkpoint", action="append", default=[], type=Path, help="a checkpoint kept outside")
    parser.add_argument("--witness", action="append", default=[], type=parse_witness, help="a witness's key")
    parser.add_argument("--quorum", type=int, help="how many of the witnesses must have co-signed (all by default)")
    parser.add_argument("--require-anchor", action="store_true", help="fail where nothing from outside is known")
    parser.add_argument("--json", action="store_true", help="answer for programs")
    chosen = parser.parse_args(arguments)
    quorum = len(chosen.witness) if chosen.quorum is None else chosen.quorum
    policy = Policy(chosen.genesis, (), tuple(chosen.witness), quorum, chosen.require_anchor, int(time.time()))
    try:
        report = verifies(chosen.bundle, policy, chosen.checkpoint)
    except OSError as error:
        parser.error(f"{error.filename} cannot be read: {error.strerror}")
    sys.stdout.write(render_json(report) if chosen.json else render(report))
    return report.exit


if __name__ == "__main__":
    sys.exit(main())
