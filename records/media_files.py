"""Files as they are taken in: told by their first bytes, and without the places and names that cameras write into them.

Source: DOMAIN 4 (attachments: media type by content sniffing, stripped location data); ITU T.81 (JPEG), W3C PNG.

- Four kinds are taken: JPEG, PNG, PDF, and plain text in UTF-8. What a file is called or said to be counts for nothing.
- A picture keeps what draws it: its pixels, as they are, its colour profile, its density, and which way is up. Place,
  time, camera, comments, thumbnails and whatever follows the picture are left out.
- A picture that does not hold together is refused: what cannot be read cannot be cleaned.
- A PDF and a text stay as they are.

It looks for no malware and changes no pixel. What a PDF says of itself is not looked at.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from records.errors import InvalidContent

JPEG, PNG, PDF, TEXT = "image/jpeg", "image/png", "application/pdf", "text/plain"
EXTENSIONS = {JPEG: "jpg", PNG: "png", PDF: "pdf", TEXT: "txt"}
"""Media type → how a file of it is called outside."""
PICTURES = (JPEG, PNG)

_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
_PNG_DRAWS = frozenset(b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB bKGD hIST pHYS".split())
_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_APPLICATIONS = range(0xE0, 0xF0)
_ORIENTATION = 0x0112


def extension_of(media_type: str) -> str:
    """Return how a file is called outside; `bin` for a type that is not taken here, and came with another record."""
    return EXTENSIONS.get(media_type, "bin")


class Taken(NamedTuple):
    """A file as it is kept.

    Attributes:
        media_type: one of `EXTENSIONS`.
        content: its bytes.
        cleaned: something was left out.
    """

    media_type: str
    content: bytes
    cleaned: bool


def take(content: bytes) -> Taken:
    """Return a file as it is kept.

    Raises:
        InvalidContent: `/content` is no kind of file that is taken, or a picture that does not hold together.
    """
    if content.startswith(b"\xff\xd8\xff"):
        media_type, kept = JPEG, _clean_jpeg(content)
    elif content.startswith(_PNG_BEGINS):
        media_type, kept = PNG, _clean_png(content)
    elif content.startswith(b"%PDF-"):
        media_type, kept = PDF, content
    elif content.strip() and _is_text(content):
        media_type, kept = TEXT, content
    else:
        raise InvalidContent("/content", "Is no JPEG or PNG picture, PDF or plain text in UTF-8.")
    return Taken(media_type, kept, kept != content)


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return all(each >= " " or each in "\t\n\r\f" for each in text)


def _broken() -> InvalidContent:
    return InvalidContent("/content", "Is a picture that does not hold together.")


# --- PNG


def _clean_png(content: bytes) -> bytes:
    kept, at = [_PNG_BEGINS], len(_PNG_BEGINS)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, end = content[at + 4 : at + 8], at + 12 + length
        if end > len(content) or zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise _broken()
        if (kind == b"IHDR") != (len(kept) == 1):
            raise _broken()
        if kind in _PNG_DRAWS:
            kept.append(content[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise _broken()


# --- JPEG


def _clean_jpeg(content: bytes) -> bytes:
    kept: list[bytes] = []
    up, at, drawn = 1, 2, False
    while True:
        marker, body, at = _next_segment(content, at)
        if marker == _END:
            if not drawn:
                raise _broken()
            return b"\xff\xd8" + _orientation_segment(up) + b"".join(kept) + b"\xff\xd9"
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            up = _orientation_of(body[6:]) or up
        if _draws(marker, body):
            kept.append(_segment(marker, body))
        if marker == _SCAN:
            begin, at, drawn = at, _end_of_scan(content, at), True
            kept.append(content[begin:at])


def _next_segment(content: bytes, at: int) -> tuple[int, bytes, int]:
    """Return the marker at a place, its body, and the place after it."""
    while content[at : at + 2] == b"\xff\xff":
        at += 1
    if at + 2 > len(content) or content[at] != 0xFF:
        raise _broken()
    marker = content[at + 1]
    if marker == _END or marker in _ALONE:
        return marker, b"", at + 2
    length = int.from_bytes(content[at + 2 : at + 4], "big")
    end = at + 2 + length
    if marker in (0x00, _START) or length < 2 or end > len(content):
        raise _broken()
    return marker, content[at + 4 : end], end


def _segment(marker: int, body: bytes) -> bytes:
    if marker in _ALONE:
        return bytes([0xFF, marker])
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _draws(marker: int, body: bytes) -> bool:
    if marker == _COMMENT:
        return False
    if marker not in _APPLICATIONS:
        return True
    # JFIF without its thumbnail would be another segment; one with a thumbnail is left out whole, which only says the
    # density.
    plain_jfif = marker == 0xE0 and body.startswith(b"JFIF\0") and body[12:14] == b"\0\0"
    profile = marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")
    return plain_jfif or profile or (marker == 0xEE and body.startswith(b"Adobe"))


def _end_of_scan(content: bytes, at: int) -> int:
    """Return where the coded pixels end: at the next marker that is not a part of them."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise _broken()
        following = content[at + 1]
        if following != 0x00 and not 0xD0 <= following <= 0xD7:
            return at
        at += 2


def _orientation_of(exif: bytes) -> int | None:
    """Return which way is up, 1 to 8, as a TIFF header and its first directory say; None where they do not."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return None
    (first,) = struct.unpack_from(order + "I", exif, 4)
    if first + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(order + "H", exif, first)
    for number in range(count):
        place = first + 2 + 12 * number
        if place + 12 > len(exif):
            return None
        tag, kind, values, value = struct.unpack_from(order + "HHIH", exif, place)
        if tag == _ORIENTATION:
            return value if kind == 3 and values == 1 and 1 <= value <= 8 else None
    return None


def _orientation_segment(up: int) -> bytes:
    if up == 1:
        return b""
    directory = struct.pack(">HHHIHHI", 1, _ORIENTATION, 3, 1, up, 0, 0)
    return _segment(0xE1, b"Exif\0\0MM\0*" + struct.pack(">I", 8) + directory)
