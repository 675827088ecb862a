r"""Sealing: what is written opens only in its place, only with its key, and shows neither topic nor exact size.

Source: CRYPTO 1 and 2; C2SP chunked-encryption (Cobblestone-256: key commitment, random salt, bound context); Padmé
(Nikitin et al., PURBs, 2019).

    state = 0x01 ‖ key_class u8 ‖ schema u16 ‖ key_id 16 ‖ nonce 16 ‖ Cobblestone-256(event_key, CTX, P)
    CTX = "wellkept/ctx/1" ‖ lp(deployment_id) ‖ lp(place) ‖ stream_id 16 ‖ version u64 ‖ key_class u8 ‖ schema u16
          ‖ key_id 16 ‖ nonce 16
    event_key = HKDF-Expand-SHA512(data_key, "wellkept/event-key/1" ‖ CTX, 32)
    P = length u32 ‖ lp(topic) ‖ payload ‖ zeros up to Padmé(max(512, length)), where length counts itself

- The reader takes place, stream, version and class from where it stands, never from the row: a moved row, another
  client's row or an older version of a row never opens.
- The content root is the RFC 6962 root over salted segments; the salts die with the key.
- The schema of an event is the version of P's layout (1), so that it tells nothing of the event.
- Mutable rows (views, roster, drafts) add the leaf hash of the last event they include, and what binds them.

It keeps no keys (`records.keyring`) and does not know what an event means.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from records import merkle
from records.errors import SealBroken
from records.payload import Segment, decode_payload, encode_payload, length_prefixed

FORMAT = 0x01
PURGED = 0x00
EVENT_PLACE = "event"
EVENT_SCHEMA = 1
SMALLEST_BYTES = 512
_HEADER = struct.Struct(">BBH16s16s")
_CONTEXT_TAIL = struct.Struct(">16sQBH16s16s")
_SHA512 = SHA512()


class DataKey(NamedTuple):
    """A data key and what it is for. Its repr shows no key.

    Attributes:
        key_id: 16 random bytes that name it.
        key_class: a `KeyClass` value.
        secret: 32 bytes.
    """

    key_id: bytes
    key_class: int
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey(key_id={self.key_id.hex()}, key_class={self.key_class})"


class SealedEvent(NamedTuple):
    """A sealed event, ready for its row and its ledger entry."""

    state: bytes
    key_id: bytes
    key_class: int
    payload_sha256: bytes
    content_root: bytes


class Place(NamedTuple):
    """Where a ciphertext stands: what the reader knows without reading the row.

    Attributes:
        deployment_id: the clinic's id.
        name: `event`, `view:<name>`, `roster` or `draft`.
        stream: the stream it belongs to.
        version: version within the stream, or revision of a draft.
    """

    deployment_id: UUID
    name: str
    stream: UUID
    version: int


def padme(length: int) -> int:
    """Return the padded length: at most 12 % more, and one of few sizes."""
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


@lru_cache(maxsize=64)
def _context_head(deployment_id: UUID, place: str) -> bytes:
    return b"wellkept/ctx/1" + length_prefixed(deployment_id.bytes) + length_prefixed(place.encode())


def _context(place: Place, key_class: int, schema: int, key_id: bytes, nonce: bytes) -> bytes:
    tail = _CONTEXT_TAIL.pack(place.stream.bytes, place.version, key_class, schema, key_id, nonce)
    return _context_head(place.deployment_id, place.name) + tail


def _event_key(data_key: bytes, context: bytes) -> bytes:
    return HKDFExpand(_SHA512, 32, b"wellkept/event-key/1" + context).derive(data_key)


def _padded(content: bytes) -> bytes:
    length = len(content) + 4
    size = padme(max(SMALLEST_BYTES, length))
    return length.to_bytes(4, "big") + content + bytes(size - length)


def _unpadded(plaintext: bytes) -> bytes:
    length = int.from_bytes(plaintext[:4], "big")
    if not 4 <= length <= len(plaintext) or len(plaintext) != padme(max(SMALLEST_BYTES, length)):
        raise SealBroken("a plaintext of wrong size")
    if plaintext[length:] != bytes(len(plaintext) - length):
        raise SealBroken("padding that is not zero")
    return plaintext[4:length]


def _encrypt(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    encryptor = Cobblestone256Encryptor(key, context)
    return encryptor.update(plaintext) + encryptor.finalize()


def _decrypt(key: bytes, context: bytes, ciphertext: bytes) -> bytes:
    try:
        decryptor = Cobblestone256Decryptor(key, context)
        return decryptor.update(ciphertext) + decryptor.finalize()
    except (InvalidTag, ValueError) as error:
        raise SealBroken("a ciphertext that does not open in its place") from error


def content_root(event_key: bytes, segments: Sequence[Segment]) -> bytes:
    """Return the root that binds the exact text of each segment under salts that die with the key."""
    return merkle.root([segment_digest(_salt(event_key, each.path), each) for each in segments])


def segment_digest(salt: bytes, segment: Segment) -> bytes:
    """Return the salted digest of one segment, 32 bytes: what stands for it where it is withheld."""
    path, content = segment
    name = length_prefixed(path.encode())
    return hashlib.sha256(b"wkseg\x01" + salt + name + len(content).to_bytes(4, "big") + content).digest()


def _salt(event_key: bytes, path: str) -> bytes:
    return hmac.digest(event_key, b"wellkept/salt/1" + length_prefixed(path.encode()), "sha256")


def seal_event(key: DataKey, place: Place, topic: str, segments: Sequence[Segment]) -> SealedEvent:
    """Seal one event for its place."""
    nonce = os.urandom(16)
    context = _context(place, key.key_class, EVENT_SCHEMA, key.key_id, nonce)
    event_key = _event_key(key.secret, context)
    plaintext = _padded(length_prefixed(topic.encode()) + encode_payload(segments))
    state = _HEADER.pack(FORMAT, key.key_class, EVENT_SCHEMA, key.key_id, nonce) + _encrypt(
        event_key, context, plaintext
    )
    return SealedEvent(
        state, key.key_id, key.key_class, hashlib.sha256(state).digest(), content_root(event_key, segments)
    )


def key_id_of(state: bytes) -> bytes:
    """Return the id of the key that a stored state names, 16 bytes; for purged states too.

    Raises:
        SealBroken: the bytes are no stored state.
    """
    if len(state) >= _HEADER.size and state[0] == FORMAT:
        return state[4:20]
    if len(state) == 49 and state[0] == PURGED:
        return state[1:17]
    raise SealBroken("a stored state of unknown format")


def purged_state(key_id: bytes, payload_sha256: bytes) -> bytes:
    """Return what stands in place of a purged ciphertext: 0x00, the key's id, and the digest of what stood there."""
    return bytes([PURGED]) + key_id + payload_sha256


def open_event(key: DataKey, place: Place, state: bytes) -> tuple[str, tuple[Segment, ...]]:
    """Open one event in its place.

    Returns:
        The topic and the segments of the payload, header first.

    Raises:
        SealBroken: it does not open here, or what opens is not well formed.
    """
    return _event_of(_open(key, place, EVENT_SCHEMA, b"", state)[1])


def open_salted_event(key: DataKey, place: Place, state: bytes) -> tuple[str, tuple[Segment, ...], tuple[bytes, ...]]:
    """Open one event as `open_event` does, with the salt of each segment in the content root, for an export.

    Raises:
        SealBroken: as `open_event`.
    """
    event_key, plaintext = _open(key, place, EVENT_SCHEMA, b"", state)
    topic, segments = _event_of(plaintext)
    return topic, segments, tuple([_salt(event_key, each.path) for each in segments])


def _event_of(plaintext: bytes) -> tuple[str, tuple[Segment, ...]]:
    content = _unpadded(plaintext)
    size = int.from_bytes(content[:2], "big")
    return content[2 : 2 + size].decode(), decode_payload(content[2 + size :])


def event_key_of(key: DataKey, place: Place, state: bytes) -> bytes:
    """Return the key of one event that opened, 32 bytes, for its disclosure.

    It opens the ciphertext with this nonce in this place, gives the salts of its segments, and nothing else: no other
    event's key and no data key follows from it.
    """
    return _event_key(key.secret, _context(place, key.key_class, EVENT_SCHEMA, key.key_id, state[20:36]))


def _open(key: DataKey, place: Place, schema: int, binding: bytes, state: bytes) -> tuple[bytes, bytes]:
    """Return the key that opened a state, and what it holds, still padded."""
    if len(state) < _HEADER.size:
        raise SealBroken("a stored state that is too short")
    format_byte, key_class, stored_schema, key_id, nonce = _HEADER.unpack_from(state)
    if format_byte != FORMAT or stored_schema != schema or key_class != key.key_class or key_id != key.key_id:
        raise SealBroken("a stored state of another format, class or key")
    context = _context(place, key.key_class, schema, key.key_id, nonce) + binding
    event_key = _event_key(key.secret, context)
    return event_key, _decrypt(event_key, context, state[_HEADER.size :])


def seal_row(key: DataKey, place: Place, schema: int, leaf: bytes, bound: Sequence[bytes], content: bytes) -> bytes:
    """Seal a mutable row.

    Args:
        key: the client's record key.
        place: where the row stands; its version is the stream version or the draft's revision.
        schema: version of the fold that made the content.
        leaf: leaf hash of the last event included, or 32 zero bytes.
        bound: further bytes that the row is bound to (a draft's note id and author).
        content: the plaintext; its size is hidden as an event's is.
    """
    nonce = os.urandom(16)
    binding = leaf + b"".join(map(length_prefixed, bound))
    context = _context(place, key.key_class, schema, key.key_id, nonce) + binding
    header = _HEADER.pack(FORMAT, key.key_class, schema, key.key_id, nonce)
    return header + _encrypt(_event_key(key.secret, context), context, _padded(content))


def open_row(key: DataKey, place: Place, schema: int, leaf: bytes, bound: Sequence[bytes], state: bytes) -> bytes:
    """Open a mutable row; arguments as in `seal_row`.

    Raises:
        SealBroken: another row, another version, another fold or altered bytes.
    """
    return _unpadded(_open(key, place, schema, leaf + b"".join(map(length_prefixed, bound)), state)[1])


def derive(secret: bytes, label: str) -> bytes:
    """Return a 32-byte key for one use, derived from a data key's secret by HKDF-Expand-SHA512."""
    return HKDFExpand(_SHA512, 32, f"wellkept/{label}/1".encode()).derive(secret)


def keyed_digest(key: bytes, *parts: bytes) -> bytes:
    """Return HMAC-SHA256 over length-prefixed parts, 32 bytes; parts are at most 4 GiB."""
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(key, joined, "sha256")
