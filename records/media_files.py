"""Files as they are taken in: told by their first bytes, and without the places and names that cameras write into them.

Source: DOMAIN 4 (attachments: media type by content sniffing, stripped location data); ITU T.81 (JPEG), W3C PNG.

- Four kinds are taken: JPEG, PNG, PDF, and plain text in UTF-8. What a file is called or said to be counts for nothing.
- A picture keeps what draws it: its coded pixels, as they are, its colour profile, its density, and which way is up.
  Place, time, camera, comments, thumbnails, segments of no known meaning and whatever follows the picture are left out.
- A picture that does not hold together is refused: what cannot be read cannot be cleaned.
- A PDF and a text stay as they are.

It looks for no malware, decodes nothing and changes no pixel. What a PDF says of itself is not looked at, nor what
somebody hides on purpose in that which draws: a colour profile, a table, the pixels themselves.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from records.errors import InvalidContent

JPEG, PNG, PDF, TEXT = "image/jpeg", "image/png", "application/pdf", "text/plain"
EXTENSIONS = {JPEG: "jpg", PNG: "png", PDF: "pdf", TEXT: "txt"}
"""Media type → how a file of it is called outside."""
PICTURES = (JPEG, PNG)

_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
_MOST_PARTS = 100_000
"""More segments or chunks than any camera writes; each takes its time."""
_FILLED = re.compile(rb"\xff+")
_SCAN_ENDS = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
_PNG_DRAWS = frozenset(b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs".split())
_START, _END, _SCAN, _RESTARTS = 0xD8, 0xD9, 0xDA, range(0xD0, 0xD8)
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF})
_FRAMES = frozenset(range(0xC0, 0xD0)) - _TABLES - {0xC8}
_JPEG_DRAWS = _TABLES | _FRAMES | {_SCAN}
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

    Cost: its length.

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
    if _NO_TEXT.search(content):
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _broken() -> InvalidContent:
    return InvalidContent("/content", "Is a picture that does not hold together.")


# --- PNG


def _clean_png(content: bytes) -> bytes:
    kept, after_header, up, drawn = bytearray(_PNG_BEGINS), len(_PNG_BEGINS), None, False
    at = after_header
    for _ in range(_MOST_PARTS):
        if at + 12 > len(content):
            break
        (length,) = struct.unpack_from(">I", content, at)
        kind, end = content[at + 4 : at + 8], at + 12 + length
        if end > len(content) or zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise _broken()
        if (kind == b"IHDR") != (len(kept) == len(_PNG_BEGINS)):
            raise _broken()
        if kind == b"eXIf":
            up = up or _orientation_of(content[at + 8 : end - 4])
        if kind in _PNG_DRAWS:
            kept += content[at:end]
            drawn = drawn or kind == b"IDAT"
        if kind == b"IHDR":
            after_header = len(kept)
        if kind == b"IEND":
            if not drawn:
                raise _broken()
            return bytes(kept[:after_header]) + _png_orientation(up) + bytes(kept[after_header:])
        at = end
    raise _broken()


def _png_orientation(up: int | None) -> bytes:
    if up in (None, 1):
        return b""
    chunk = b"eXIf" + _directory(up)
    return (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


# --- JPEG


def _clean_jpeg(content: bytes) -> bytes:
    kept, up, at, framed, drawn = bytearray(), None, 2, False, False
    for _ in range(_MOST_PARTS):
        marker, body, at = _next_segment(content, at)
        if marker == _END:
            if not drawn:
                raise _broken()
            return b"\xff\xd8" + _jpeg_orientation(up) + bytes(kept) + b"\xff\xd9"
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            up = up or _orientation_of(body[6:])
        kept += _drawing(marker, body)
        framed = framed or marker in _FRAMES
        if marker == _SCAN:
            if not framed:
                raise _broken()
            begin, at, drawn = at, _end_of_scan(content, at), True
            kept += content[begin:at]
    raise _broken()


def _next_segment(content: bytes, at: int) -> tuple[int, bytes, int]:
    """Return the marker at a place, its body, and the place after it."""
    filled = _FILLED.match(content, at)
    if filled is None or filled.end() == len(content):
        raise _broken()
    at = filled.end()
    marker = content[at]
    if marker == _END:
        return marker, b"", at + 1
    length = int.from_bytes(content[at + 1 : at + 3], "big")
    end = at + 1 + length
    # 0x00 and 0x01 have no length; a restart belongs into a scan.
    if marker in (0x00, 0x01, _START) or marker in _RESTARTS or length < 2 or end > len(content):
        raise _broken()
    return marker, content[at + 3 : end], end


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _drawing(marker: int, body: bytes) -> bytes:
    """Return what is kept of a segment: nothing where it does not draw."""
    if marker in _JPEG_DRAWS or (marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")):
        return _segment(marker, body)
    if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        # Version and density, and a thumbnail of no size.
        return _segment(marker, body[:12] + b"\0\0")
    if marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
        # How colours are coded; without it the pixels would look otherwise.
        return _segment(marker, body[:12])
    return b""


def _end_of_scan(content: bytes, at: int) -> int:
    """Return where the coded pixels end: at the next marker that is not a part of them."""
    found = _SCAN_ENDS.search(content, at)
    if found is None:
        raise _broken()
    return found.start()


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


def _jpeg_orientation(up: int | None) -> bytes:
    return b"" if up in (None, 1) else _segment(0xE1, b"Exif\0\0" + _directory(up))


def _directory(up: int) -> bytes:
    """Return a TIFF header and a directory that says which way is up, and nothing else."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, up, 0, 0)
