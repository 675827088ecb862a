"""Checking the certificate of an erasure: offline, with the fingerprint that the clinic prints on its papers.

Source: CRYPTO 4 and 7 (step 8).

- Genesis: its body has the fingerprint that the caller gives, and is the body of entry 0.
- Checkpoint: signed by the log key that the genesis names.
- Keys: for each, an entry created it and a later one destroyed it, both of this client, both in the checkpoint's tree.
- It trusts nothing that the certificate says in words: those are the clinic's, and what is proved is listed apart.

It shares no code with what makes certificates; hashes and signatures are the verifier's (`ops.verify`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple
from uuid import UUID

import msgspec

from ops.verifier.inclusion import verify_inclusion
from ops.verify import (
    EPOCH,
    KEY_CREATED,
    KEY_DESTROYED,
    Incomplete,
    Malformed,
    WrongGenesis,
    leaf_hash,
    parse_checkpoint,
    parse_epoch_body,
    verify_log_key,
)

FORMAT = "wellkept-erasure-certificate/1"
MOST_BYTES = 1 << 20
ENTRY_BYTES = 157


class _Entry(msgspec.Struct, frozen=True):
    index: int
    entry: str
    hashes: tuple[str, ...]


class _Key(msgspec.Struct, frozen=True):
    key_id: str
    created: _Entry
    destroyed: _Entry


class _Erasure(msgspec.Struct, frozen=True):
    id: UUID
    client: UUID


class _Certificate(msgspec.Struct, frozen=True):
    format: str
    erasure: _Erasure
    keys: tuple[_Key, ...]
    checkpoint: str
    genesis: _Entry
    genesis_body: str


class ProvedKey(NamedTuple):
    """A key that the log destroyed, and when (µs since 1970 UTC)."""

    key_id: bytes
    key_class: int
    destroyed_us: int


class Proved(NamedTuple):
    """What a certificate proves.

    Attributes:
        erasure: the erasure's id, as the certificate says; no entry holds it.
        client: the client's id.
        keys: the keys that were destroyed.
        destroyed_us: when the last of them was, by the log (µs since 1970 UTC).
        size: of the tree whose checkpoint covers it.
        origin: the log's name.
        pinned: the caller gave the fingerprint; without it anybody could have made the log.
    """

    erasure: UUID
    client: UUID
    keys: tuple[ProvedKey, ...]
    destroyed_us: int
    size: int
    origin: str
    pinned: bool


def check_certificate(data: bytes, fingerprint: str | None) -> Proved:
    """Check a certificate.

    Args:
        data: the file's content.
        fingerprint: of the log's genesis, 64 lower-case hex digits; None leaves the answer unpinned.

    Raises:
        VerificationError: names what is wrong.
    """
    if len(data) > MOST_BYTES:
        raise Malformed("The file is too large for a certificate.")
    try:
        told = msgspec.json.decode(data, type=_Certificate)
    except msgspec.MsgspecError as error:
        raise Malformed("The file is no certificate of an erasure.") from error
    if told.format != FORMAT:
        raise Malformed("The certificate is of a format that this version does not know.")
    body = _bytes(told.genesis_body)
    genesis = parse_epoch_body(body, EPOCH, 0).genesis
    if genesis is None:
        raise Malformed("The certificate's genesis is none.")
    if fingerprint not in (None, genesis.fingerprint):
        raise WrongGenesis("The certificate is of another log than the one of this fingerprint.", 0)
    checkpoint = parse_checkpoint(told.checkpoint.encode(), "The certificate's checkpoint")
    verify_log_key(checkpoint, genesis)
    first = _proved(told.genesis, checkpoint.size, checkpoint.root)
    if told.genesis.index != 0 or first.kind != EPOCH or first.payload != hashlib.sha256(body).digest():
        raise WrongGenesis("The certificate's genesis is not the beginning of the log.", 0)
    if not told.keys:
        raise Incomplete("The certificate names no key.", checkpoint.size)
    keys: list[ProvedKey] = []
    for key in told.keys:
        created = _proved(key.created, checkpoint.size, checkpoint.root)
        destroyed = _proved(key.destroyed, checkpoint.size, checkpoint.root)
        wanted = told.erasure.client.bytes, key.key_id
        if (created.kind, destroyed.kind) != (KEY_CREATED, KEY_DESTROYED) or key.created.index >= key.destroyed.index:
            raise Malformed(f"Key {key.key_id} was not created and then destroyed.")
        if any((each.stream, each.key_id.hex()) != wanted for each in (created, destroyed)):
            raise Malformed(f"The entries of key {key.key_id} are of another key or another client.")
        keys.append(ProvedKey(destroyed.key_id, destroyed.key_class, destroyed.at_us))
    last = max(key.destroyed_us for key in keys)
    pinned = fingerprint is not None
    whose = told.erasure.id, told.erasure.client
    return Proved(*whose, tuple(keys), last, checkpoint.size, checkpoint.origin, pinned)


class _Fields(NamedTuple):
    kind: int
    at_us: int
    stream: bytes
    key_id: bytes
    key_class: int
    payload: bytes


def _proved(told: _Entry, size: int, root: bytes) -> _Fields:
    """Return the fields of an entry that is in the tree."""
    entry = _bytes(told.entry)
    if len(entry) != ENTRY_BYTES:
        raise Malformed(f"Entry {told.index} of the certificate is not one of the log.")
    verify_inclusion(told.index, size, leaf_hash(entry), [_bytes(each) for each in told.hashes], root)
    return _Fields(entry[7], int.from_bytes(entry[8:16], "big"), entry[16:32], entry[72:88], entry[88], entry[93:125])


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("The certificate holds bytes that are not base64.") from error
