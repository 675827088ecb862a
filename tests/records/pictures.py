"""Pictures made by hand, byte by byte: a small JPEG and PNG, and everything that a camera or a forger adds to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

CANARY = b"Xyzzqwortcanary"
"""Stands in whatever must not remain."""

FRAME = bytes.fromhex("080008000801011100")
"""One component, 8 by 8 pixels."""
TABLE = bytes([0]) + bytes([1] * 64)
CODES = bytes([0]) + bytes([1]) + bytes(15) + bytes([0])
AC_CODES = bytes([0x10]) + bytes([1]) + bytes(15) + bytes([0])
SCAN = bytes.fromhex("010100003f00")
PIXELS = b"\x3f"
"""A block whose differences are all none, filled up with ones."""


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def jfif(thumbnail: bytes = b"", size: tuple[int, int] = (0, 0)) -> bytes:
    """Return the JFIF header of 300 dots an inch."""
    return segment(0xE0, b"JFIF\0\x01\x02\x01" + struct.pack(">HH", 300, 300) + bytes(size) + thumbnail)


def tiff(up: int | None, order: str = ">", kind: int = 3) -> bytes:
    """Return a TIFF header with a make, maybe an orientation, and a place of GPS, in one byte order."""
    entries = [struct.pack(order + "HHII", 0x010F, 2, 16, 100)]
    if up is not None:
        value = struct.pack(order + "HH", up, 0) if kind == 3 else struct.pack(order + "I", up)
        entries.append(struct.pack(order + "HHI", 0x0112, kind, 1) + value)
    entries.append(struct.pack(order + "HHII", 0x8825, 4, 1, 120))
    begins = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(entries))
    whole = begins + b"".join(entries) + bytes(4)
    return whole.ljust(100, b"\0") + CANARY + b"GPS 52.5N 13.4E" + CANARY


def exif(up: int | None, order: str = ">", kind: int = 3) -> bytes:
    """Return the Exif segment of a camera."""
    return segment(0xE1, b"Exif\0\0" + tiff(up, order, kind))


PERSONAL = {
    "exif": exif(None),
    "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + CANARY),
    "xmp continued": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + CANARY),
    "iptc": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04" + CANARY),
    "comment": segment(0xFE, CANARY),
    "multi-picture": segment(0xE2, b"MPF\0MM\0*" + CANARY),
    "other application": segment(0xEB, b"JP\0\0" + CANARY),
    "jfif extension": segment(0xE0, b"JFXX\0\x10" + CANARY),
    "jfif thumbnail": jfif(CANARY, (5, 1)),
    "jfif and more": jfif(CANARY),
    "adobe and more": segment(0xEE, b"Adobe\0\x64\0\0\0\0\0" + CANARY),
    "marker of no meaning": segment(0xF7, CANARY),
    "reserved marker": segment(0x02, CANARY),
    "reserved frame": segment(0xC8, CANARY),
}
"""What may stand in a JPEG and draws nothing, or more than what draws."""


def drawn_jpeg(pixels: bytes = PIXELS) -> bytes:
    """Return the part of a JPEG that draws it."""
    tables = segment(0xDB, TABLE) + segment(0xC0, FRAME) + segment(0xC4, CODES) + segment(0xC4, AC_CODES)
    return tables + segment(0xDA, SCAN) + pixels


def jpeg(before: bytes = b"", after: bytes = b"", drawn: bytes | None = None) -> bytes:
    """Return a JPEG with something before its tables and something after its end."""
    return b"\xff\xd8" + before + (drawn_jpeg() if drawn is None else drawn) + b"\xff\xd9" + after


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
DATA = chunk(b"IDAT", zlib.compress(b"\0\x10\x20\0\x30\x40"))
DENSITY = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
END = chunk(b"IEND", b"")
PERSONAL_CHUNKS = {
    "exif": chunk(b"eXIf", tiff(None)),
    "text": chunk(b"tEXt", b"Author\0" + CANARY),
    "international text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + CANARY),
    "time": chunk(b"tIME", struct.pack(">HBBBBB", 2031, 1, 2, 3, 4, 5)),
    "suggested palette": chunk(b"sPLT", CANARY),
    "private": chunk(b"prVt", CANARY),
}
"""What may stand in a PNG and draws nothing."""


def png(before: bytes = b"", after: bytes = b"", drawn: bytes = DENSITY + DATA) -> bytes:
    """Return a PNG with something before its pixels and something after its end."""
    return PNG_BEGINS + HEADER + before + drawn + END + after


def markers(picture: bytes) -> Iterator[int]:
    """Yield the markers of a JPEG that was cleaned, up to its first scan."""
    at = 2
    while True:
        assert picture[at] == 0xFF
        yield picture[at + 1]
        if picture[at + 1] == 0xDA:
            return
        at += 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
