"""Files as they are taken in: of a picture only what draws it remains, and what does not hold together is refused."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from records.errors import InvalidContent
from records.media_files import EXTENSIONS, JPEG, PDF, PICTURES, PNG, TEXT, Taken, take
from tests.records.pictures import (
    CANARY,
    DATA,
    DENSITY,
    END,
    FRAME,
    HEADER,
    PERSONAL,
    PERSONAL_CHUNKS,
    PIXELS,
    PNG_BEGINS,
    SCAN,
    chunk,
    drawn_jpeg,
    exif,
    jfif,
    jpeg,
    markers,
    png,
    segment,
    tiff,
)

LARGEST = 25 * 1024 * 1024
SECONDS = 10
"""Far more than any of these takes on a slow machine, and far less than what grows with the square of a length."""


def refused(content: bytes) -> None:
    with pytest.raises(InvalidContent) as caught:
        take(content)
    assert caught.value.pointer == "/content"


def quickly(content: bytes) -> Taken | None:
    """Take or refuse a file, in a time that a length can explain."""
    began = time.monotonic()
    try:
        return take(content)
    except InvalidContent:
        return None
    finally:
        assert time.monotonic() - began < SECONDS


def orientation_segment(up: int) -> bytes:
    """Return the only Exif that remains: 26 bytes of TIFF with one entry."""
    return segment(0xE1, b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, up, 0, 0))


# --- JPEG


def test_a_picture_without_anything_personal_stays_byte_for_byte() -> None:
    plain = jpeg(jfif())
    assert take(plain) == Taken(JPEG, plain, cleaned=False)


@pytest.mark.parametrize("what", PERSONAL)
@pytest.mark.parametrize("where", ["before the tables", "before the scan", "after the scan", "between fill bytes"])
def test_nothing_personal_remains(what: str, where: str) -> None:
    tables, pixels = drawn_jpeg()[: -len(PIXELS) - 10], drawn_jpeg()[-len(PIXELS) - 10 :]
    content = {
        "before the tables": jpeg(PERSONAL[what]),
        "before the scan": jpeg(drawn=tables + PERSONAL[what] + pixels),
        "after the scan": jpeg(drawn=drawn_jpeg() + PERSONAL[what]),
        "between fill bytes": jpeg(b"\xff\xff\xff" + PERSONAL[what] + b"\xff\xff"),
    }[where]
    assert CANARY in content
    taken = take(content)
    assert (taken.media_type, taken.cleaned) == (JPEG, True)
    assert CANARY not in taken.content
    for part in (tables, pixels):
        assert part in taken.content


def test_everything_personal_at_once_leaves_what_draws_and_nothing_else() -> None:
    content = jpeg(b"".join(PERSONAL.values()) + exif(6), after=jpeg(exif(3)) + CANARY)
    kept = take(content).content
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    assert kept == b"\xff\xd8" + orientation_segment(6) + jfif() + jfif() + adobe + drawn_jpeg() + b"\xff\xd9"


@pytest.mark.parametrize("after", [CANARY, jpeg(exif(6)), b"\xff\xd9" + CANARY, b"PK\x03\x04" + CANARY, b"%PDF-1.7"])
def test_what_follows_the_picture_is_left_out(after: bytes) -> None:
    assert take(jpeg(jfif(), after)) == Taken(JPEG, jpeg(jfif()), cleaned=True)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("up", range(1, 9))
def test_which_way_is_up_stays_alone(up: int, order: str) -> None:
    kept = take(jpeg(jfif() + exif(up, order))).content
    alone = b"" if up == 1 else orientation_segment(up)
    assert kept == b"\xff\xd8" + alone + jfif() + drawn_jpeg() + b"\xff\xd9"
    assert take(kept) == Taken(JPEG, kept, cleaned=False), "a second cleaning finds nothing"


@pytest.mark.parametrize(
    "told",
    [
        segment(0xE1, b"Exif\0\0"),
        segment(0xE1, b"Exif\0\0MM\0*\0\0"),
        segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"),
        segment(0xE1, b"Exif\0\0XX\0*\0\0\0\x08\0\0"),
        exif(0),
        exif(9),
        exif(65535),
        exif(6, kind=4),
    ],
)
def test_an_orientation_that_is_none_is_left_out(told: bytes) -> None:
    assert take(jpeg(told)).content == jpeg()


def test_the_first_of_two_orientations_counts_as_it_does_to_viewers() -> None:
    assert take(jpeg(exif(None) + exif(8) + exif(3))).content[2:].startswith(orientation_segment(8))


def test_colour_profile_and_colour_coding_stay() -> None:
    profile = segment(0xE2, b"ICC_PROFILE\0\x01\x01" + bytes(128))
    content = jpeg(jfif() + profile + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"))
    assert take(content) == Taken(JPEG, content, cleaned=False)


def test_scans_restarts_and_fill_bytes() -> None:
    """Progressive, as phones send it: a frame, and scans with tables between them, restarts and stuffed bytes."""
    coded = b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00\xff\xd7\x78"
    scans = (segment(0xC4, b"\0" * 17) + segment(0xDA, SCAN) + coded) * 4
    content = jpeg(drawn=segment(0xC2, FRAME) + segment(0xDD, b"\0\x04") + scans)
    assert take(content).content == content
    filled = content.replace(b"\xff\xc4", b"\xff\xff\xff\xc4").replace(b"\xff\xd0", b"\xff\xff\xd0")
    # Fill bytes in a scan, at its end too, are a part of it; those before the first table say nothing.
    assert take(filled).content == filled.replace(b"\xff\xff\xff\xc4", b"\xff\xc4", 1)
    assert list(markers(take(filled).content)) == [0xC2, 0xDD, 0xC4, 0xDA]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        jpeg(drawn=b""),
        jpeg(drawn=segment(0xDA, SCAN) + PIXELS),
        jpeg(drawn=segment(0xC0, FRAME)),
        jpeg(b"\xff\xd8"),
        jpeg(b"\xff\xd0"),
        jpeg(b"\xff\x01"),
        jpeg(b"\xff\x00"),
        jpeg(b"\xff\xe1\x00\x01"),
        jpeg(CANARY),
        jpeg(b"\xff\xe1\xff\xff"),
        b"\xff\xd8" + drawn_jpeg() + b"\xff",
        b"\xff\xd8" + drawn_jpeg() + b"\xff\xff\xff",
        b"\xff\xd8\xff<html><script>alert(1)</script>",
        b"\xff\xd8\xff\xfe%PDF-1.7 " + CANARY,
    ],
)
def test_a_jpeg_that_does_not_hold_together_is_refused(content: bytes) -> None:
    refused(content)


def test_a_jpeg_that_is_cut_short_anywhere_is_refused() -> None:
    content = jpeg(b"".join(PERSONAL.values()) + exif(6))
    for length in range(len(content)):
        refused(content[:length])


# --- PNG


def test_a_plain_png_stays_byte_for_byte() -> None:
    assert take(png()) == Taken(PNG, png(), cleaned=False)


@pytest.mark.parametrize("what", PERSONAL_CHUNKS)
@pytest.mark.parametrize("where", ["before", "after"])
def test_nothing_personal_remains_in_a_png(what: str, where: str) -> None:
    told = PERSONAL_CHUNKS[what]
    content = png(told) if where == "before" else png(drawn=DENSITY + DATA + told)
    assert take(content) == Taken(PNG, png(), cleaned=True)


@pytest.mark.parametrize("kind", [b"pHYs", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"sBIT", b"tRNS", b"bKGD", b"cICP"])
def test_what_draws_a_png_stays(kind: bytes) -> None:
    content = png(chunk(kind, b"\0\1\2"))
    assert take(content) == Taken(PNG, content, cleaned=False)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("up", range(1, 9))
@pytest.mark.parametrize("late", [False, True])
def test_which_way_is_up_stays_alone_in_a_png(up: int, order: str, late: bool) -> None:
    told = chunk(b"eXIf", tiff(up, order))
    kept = take(png(drawn=DENSITY + DATA + told) if late else png(told)).content
    alone = b"" if up == 1 else chunk(b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, up, 0, 0))
    assert kept == png(alone)
    assert take(kept) == Taken(PNG, kept, cleaned=False), "a second cleaning finds nothing"


def test_what_follows_a_png_is_left_out() -> None:
    assert take(png(after=CANARY + jpeg(exif(6)))) == Taken(PNG, png(), cleaned=True)


@pytest.mark.parametrize(
    "content",
    [
        PNG_BEGINS,
        PNG_BEGINS + HEADER + END,
        PNG_BEGINS + DATA + END,
        PNG_BEGINS + DATA + HEADER + END,
        PNG_BEGINS + HEADER + HEADER + DATA + END,
        PNG_BEGINS + HEADER + DATA,
        png(b"\xff\xff\xff\xff" + b"tEXt" + CANARY),
        png(chunk(b"tEXt", CANARY)[:-1] + b"\0"),
        PNG_BEGINS + b"<html>" * 9,
    ],
)
def test_a_png_that_does_not_hold_together_is_refused(content: bytes) -> None:
    refused(content)


def test_a_png_that_is_cut_short_anywhere_is_refused() -> None:
    content = png(b"".join(PERSONAL_CHUNKS.values()))
    for length in range(len(content)):
        refused(content[:length])


# --- both, by others' eyes and others' hands


def test_an_imaging_library_sees_the_same_pixels_and_nothing_personal() -> None:
    drawn = Image.effect_mandelbrot((97, 61), (-2, -1.5, 1, 1.5), 40)
    for media_type, name, told in (
        (JPEG, "JPEG", {"comment": CANARY, "quality": 80}),
        (JPEG, "JPEG", {"comment": CANARY, "progressive": True, "restart_marker_rows": 1}),
        (JPEG, "JPEG", {"comment": CANARY, "mode": "CMYK"}),
        (PNG, "PNG", {}),
    ):
        notes = Image.Exif()
        notes[0x0112], notes[0x010F] = 6, CANARY.decode()
        written = io.BytesIO()
        mode = told.pop("mode", "RGB")
        drawn.convert(mode).save(written, name, exif=notes, dpi=(300, 300), **told)
        assert CANARY in written.getvalue()
        taken = take(written.getvalue())
        assert taken.media_type == media_type
        assert CANARY not in taken.content
        before, after = Image.open(io.BytesIO(written.getvalue())), Image.open(io.BytesIO(taken.content))
        assert (before.mode, before.tobytes()) == (after.mode, after.tobytes())
        assert dict(after.getexif()) == {0x0112: 6}
        assert [round(dots) for dots in after.info["dpi"]] == [300, 300]


def clean_or_refused(content: bytes) -> None:
    """A picture that was altered is refused, or cleaned so that a second cleaning finds nothing."""
    try:
        taken = take(content)
    except InvalidContent:
        return
    if taken.media_type in PICTURES:
        assert take(taken.content) == Taken(taken.media_type, taken.content, cleaned=False)
        assert CANARY not in taken.content


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_an_altered_picture_is_clean_or_refused(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from((jpeg(jfif() + exif(6, "<")), png(chunk(b"eXIf", tiff(6))))))
    content = bytearray(whole.replace(CANARY, b""))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(3, len(content) - 1))
        match data.draw(st.sampled_from(("set", "cut", "put"))):
            case "set":
                content[at] = data.draw(st.sampled_from((0x00, 0xD8, 0xD9, 0xDA, 0xE1, 0xFE, 0xFF)))
            case "cut":
                del content[at : at + data.draw(st.integers(1, 20))]
            case _:
                content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        if len(content) < 8:
            return
    clean_or_refused(bytes(content))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from((b"\xff\xd8\xff", PNG_BEGINS, b"%PDF-", b"")), st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(begins: bytes, more: bytes) -> None:
    clean_or_refused(begins + more.replace(CANARY, b""))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(sorted(PERSONAL)), max_size=6), st.lists(st.sampled_from(sorted(PERSONAL)), max_size=6))
def test_segments_in_any_order_leave_the_same_picture(before: list[str], after: list[str]) -> None:
    drawn = drawn_jpeg() + b"".join(PERSONAL[what] for what in after)
    kept = take(jpeg(b"".join(PERSONAL[what] for what in before), drawn=drawn)).content
    assert CANARY not in kept
    assert drawn_jpeg() in kept


HOSTILE = {
    "nothing but 0xff": (b"\xff\xd8", b"\xff"),
    "restarts": (b"\xff\xd8", b"\xff\xd0"),
    "empty comments": (b"\xff\xd8", b"\xff\xfe\x00\x02"),
    "empty tables": (b"\xff\xd8", b"\xff\xdb\x00\x02"),
    "one scan of stuffed bytes": (jpeg()[:-2], b"\xff\x00"),
    "one scan of restarts": (jpeg()[:-2], b"\xff\xd0"),
    "one scan of fill bytes": (jpeg()[:-2], b"\xff"),
    "fill bytes before each": (jpeg()[:-2], b"\xff" * 50 + b"\x00"),
    "empty scans": (jpeg()[:-2], b"\xff\xda\x00\x02"),
    "exif of nothing": (b"\xff\xd8", segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(65_000))),
    "scans": (jpeg()[:-2], segment(0xDA, SCAN) + b"\xff\x00" * 9),
    "empty chunks": (PNG_BEGINS + HEADER, chunk(b"IDAT", b"")),
    "empty texts": (PNG_BEGINS + HEADER, chunk(b"tEXt", b"")),
    "exif chunks": (PNG_BEGINS + HEADER, chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + bytes(4000))),
    "blanks": (b"", b" "),
    "words": (b"", "é ".encode()),
    "a pdf": (b"%PDF-", b"\xff"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_largest_file_takes_a_time_of_its_length(what: str) -> None:
    begins, again = HOSTILE[what]
    quickly(begins + again * (LARGEST // len(again)))


def test_one_chunk_that_is_as_large_as_a_file_may_be() -> None:
    taken = quickly(png(drawn=DENSITY + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"tEXt", bytes(LARGEST))))
    assert taken is not None
    assert len(taken.content) < 300


# --- text, PDF and what is neither


@pytest.mark.parametrize(
    "content",
    [
        b"Dear colleague,\r\n\tthank you.\n",
        "Grüße – 漢字 🙂".encode(),
        "\ufeffwith a mark".encode(),
        b"<html>",
        b"a\x0cb",
    ],
)
def test_plain_text_is_taken_as_it_is(content: bytes) -> None:
    assert take(content) == Taken(TEXT, content, cleaned=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \r\n\t",
        b"with \x00 in it",
        b"\x1b[31mred",
        b"caf\xe9",
        "sixteen bits".encode("utf-16"),
        b"\xed\xa0\x80",
        b"GIF89a\x01\x00\x01\x00",
        b"PK\x03\x04",
        b"MZ\x90\x00",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"\x00\x00\x00\x18ftypheic",
        b"\xff\xd8",
        b"\x89PNG",
    ],
)
def test_what_is_none_of_the_four_is_refused(content: bytes) -> None:
    refused(content)


def test_a_pdf_is_taken_as_it_is() -> None:
    content = b"%PDF-1.7\n" + CANARY + b"\n%%EOF\n"
    assert take(content) == Taken(PDF, content, cleaned=False)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (jpeg(segment(0xFE, b"%PDF-1.7")), JPEG),
        (png(chunk(b"tEXt", b"%PDF-1.7 <script>")), PNG),
        (b"%PDF-1.7\n" + jpeg(exif(6)), PDF),
        (b"<script>\xc3\xa9</script> %PDF-1.7", TEXT),
        (b" %PDF-1.7 a PDF begins with its first byte", TEXT),
    ],
)
def test_what_looks_like_two_kinds_is_the_one_that_it_begins_as(content: bytes, media_type: str) -> None:
    taken = take(content)
    assert taken.media_type == media_type
    assert b"%PDF" not in taken.content or media_type not in PICTURES
    assert media_type in EXTENSIONS
