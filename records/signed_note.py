"""The signed note: a text and the lines of those who signed it, in the one form that C2SP signed-note defines.

    text, ending in a newline ‖ empty line ‖ one or more lines `— <key name> <base64(key id 4 ‖ signature)>`

- UTF-8, no control characters but the newline. The last empty line divides text and signatures.
- Base64 is standard, padded and canonical, so that one note has one form.
- A key is named by its name and its key id: the first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
- A verifier key (vkey) is `<name>+<key id as 8 hex digits>+<base64(type ‖ public key)>`.

Source: C2SP signed-note. It verifies nothing: `records.checkpoint` knows the keys and what they sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from records.errors import MalformedNote

MAX_NOTE_BYTES = 1_000_000
"""Largest note that is read (golang.org/x/mod/sumdb/note reads as much)."""
MAX_SIGNATURES = 100
"""Most signatures that are read (as in golang.org/x/mod/sumdb/note; C2SP asks for at least 16)."""
KEY_ID_BYTES = 4
ED25519 = 0x01
"""Signature type: Ed25519 over the note's text (C2SP signed-note)."""
COSIGNATURE_V1 = 0x04
"""Signature type: Ed25519 over a time and the text (C2SP tlog-cosignature)."""
ML_DSA_44 = 0x06
"""Signature type: ML-DSA-44 over a time and the tree (C2SP tlog-cosignature)."""

_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_UNWRITABLE = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)


class SignatureLine(NamedTuple):
    """One signature: who signed, by name and key id, and the bytes that the key's type defines."""

    name: str
    key_id: bytes
    blob: bytes


class Note(NamedTuple):
    """A text with its final newline, and its signatures in their order."""

    text: str
    signatures: tuple[SignatureLine, ...]


class VerifierKey(NamedTuple):
    """A public key with its name and its signature type."""

    name: str
    type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that, with the name, point to this key."""
        return key_id(self.name, self.type, self.public_key)


def key_id(name: str, type: int, public_key: bytes) -> bytes:
    """Return the 4 bytes that, with the name, point to a key of a signature type."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([type]) + public_key).digest()[:KEY_ID_BYTES]


def parse_base64(text: str) -> bytes:
    """Decode standard base64 in its one canonical form.

    Raises:
        MalformedNote: anything else, also where a lenient decoder would read it.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNote("base64 that cannot be read") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise MalformedNote("base64 that is not canonical")
    return data


def encode_base64(data: bytes) -> str:
    """Return standard, padded base64."""
    return base64.b64encode(data).decode("ascii")


def is_key_name(name: str) -> bool:
    """Say whether a name may stand in a signature line: text, not empty, no space of any kind, no plus, no control."""
    return bool(name) and not any(one.isspace() or one == "+" or _UNWRITABLE.match(one) for one in name)


def encode_line(line: SignatureLine) -> str:
    """Return a signature line with its newline.

    Raises:
        MalformedNote: the name or the key id cannot stand in one, or there is no signature.
    """
    if not is_key_name(line.name) or len(line.key_id) != KEY_ID_BYTES or not line.blob:
        raise MalformedNote("a signature line that cannot be")
    return f"{_DASH}{line.name} {encode_base64(line.key_id + line.blob)}\n"


def parse_line(line: str) -> SignatureLine:
    """Return the signature of a line, which is given without its newline.

    Raises:
        MalformedNote: the line is none.
    """
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not is_key_name(parts[0]):
        raise MalformedNote("a signature line of another form")
    data = parse_base64(parts[1])
    if len(data) <= KEY_ID_BYTES:
        raise MalformedNote("a signature line without a signature")
    return SignatureLine(parts[0], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def encode_note(note: Note) -> bytes:
    """Return the bytes of a note.

    Raises:
        MalformedNote: text or signatures cannot stand in one.
    """
    if not note.text.endswith("\n") or _CONTROL.search(note.text) or not 1 <= len(note.signatures) <= MAX_SIGNATURES:
        raise MalformedNote("a note that cannot be")
    try:
        data = (note.text + "\n" + "".join(map(encode_line, note.signatures))).encode()
    except UnicodeEncodeError as error:
        raise MalformedNote("a note that is not UTF-8") from error
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNote("a note that is too large")
    return data


def parse_note(data: bytes) -> Note:
    """Return the note of these bytes, which are all of it.

    Raises:
        MalformedNote: the bytes are no note, or larger than any that is read.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNote("a note that is too large")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedNote("a note that is not UTF-8") from error
    if _CONTROL.search(whole):
        raise MalformedNote("a note with control characters")
    text, divided, signatures = whole.rpartition("\n\n")
    if not divided or not signatures.endswith("\n"):
        raise MalformedNote("a note without signatures, or cut short")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote("a note with too many signatures")
    return Note(text + "\n", tuple(map(parse_line, lines)))


def encode_vkey(key: VerifierKey) -> str:
    """Return the verifier key as one line of text."""
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(bytes([key.type]) + key.public_key)}"


def parse_vkey(text: str) -> VerifierKey:
    """Return the key of a verifier key line.

    Raises:
        MalformedNote: it is none, or its key id is not its key's.
    """
    name, _, rest = text.partition("+")
    written_id, _, encoded = rest.partition("+")
    data = parse_base64(encoded)
    if not is_key_name(name) or not _KEY_ID.fullmatch(written_id) or len(data) < 2:
        raise MalformedNote("a verifier key of another form")
    key = VerifierKey(name, data[0], data[1:])
    if key.key_id.hex() != written_id:
        raise MalformedNote("a verifier key whose id is another key's")
    return key
