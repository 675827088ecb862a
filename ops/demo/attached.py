"""Files in the demo clinic: a referral letter and a drawing, in the record of one client who is in treatment.

- The letter is text; the drawing is a picture of a house, made here, with the words that stand for it.
- They are added now, as a clinic does that begins to keep its papers here, and say when they were made.
"""

from __future__ import annotations

import struct
import zlib
from datetime import timedelta

from ops.demo.course import Course
from ops.demo.prose import SCENES
from ops.wiring import Clinic
from records.request import Request

WIDTH, HEIGHT = 240, 160
PAPER, PENCIL = 250, 70


def attach_files(clinic: Clinic, course: Course) -> None:
    """Add both files to the record of a course.

    Raises:
        NotStored, OutcomeUnknown: the log could not be written.
    """
    request, now = Request(course.therapist, "demo:attachment"), clinic.service.now()
    letter, picture = (SCENES["attached"][name] for name in ("letter", "picture"))
    clinic.attachments.add(
        course.id,
        course.new_id(),
        course.voice.say(letter["text"]).encode(),
        request,
        kind="letter",
        made_by="third-party",
        title=letter["title"],
        occurred_at=min(course.begin, now),
    )
    clinic.attachments.add(
        course.id,
        course.new_id(),
        _drawing(),
        request,
        kind="writing",
        made_by="client",
        title=picture["title"],
        alternative_text=picture["alternative_text"],
        medium=picture["medium"],
        occurred_at=min(course.begin + timedelta(weeks=2), now),
    )


def _drawing() -> bytes:
    """Return a house of one line, as a PNG in shades of grey."""
    rows = b"".join(b"\0" + bytes(PENCIL if _is_line(x, y) else PAPER for x in range(WIDTH)) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _is_line(x: int, y: int) -> bool:
    wall = 70 <= y <= 140 and x in (60, 61, 180, 181)
    floor = 60 <= x <= 181 and y in (70, 71, 140, 141)
    roof = 20 <= y <= 70 and min(abs(x - 120 - (y - 20) * 6 // 5), abs(x - 120 + (y - 20) * 6 // 5)) <= 1
    door = (100 <= y <= 140 and x in (110, 111, 134, 135)) or (110 <= x <= 135 and y in (100, 101))
    return wall or floor or roof or door


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
