"""The paper: tagged, the same twice, nothing in a record runs in it, and a script without a font is an answer."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pikepdf
import pypdfium2
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from projections.export import printed
from projections.export.presented import Entry, Line, Presented, Section
from projections.export.printed import FontsLack, PrintingNotInstalled, require_printing, to_pdf

NOTE = (
    "Ann says the week was calmer. She slept six hours on most nights and walked to work twice. On Thursday she argued "
    "with her sister and noticed the old thought that she is a burden; she wrote it down and answered it.\n\n"
    "We went through the diary together. The link between skipped meals and the evening dip is plain to her now."
)
PHQ_9 = ("Little interest or pleasure in doing things", "Feeling down, depressed, or hopeless", "Trouble sleeping")
HOSTILE = {
    "import": '#import "@preview/cmarker:0.1.0": *',
    "read": '#read("/etc/passwd")',
    "panic": '#panic() #{ panic() } #eval("panic()")',
    "math": "$ integral_0^oo $ and $",
    "markup": "= Heading\n- item *bold* _kursiv_ `raw` ``` ~~~ // comment /* open",
    "brackets": "]]]}}})))\\\\ \\u{0} @label <label> [[[{{{(((",
    "json": '"},"title":"x"} \\" \\n',
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029",
    "surrogate": "a\ud800b",
    "turned": "pay \u202etnuoma siht\u202c \u2066x\u2069",
    "private": "\ue000 \U000f0000 \uffff \U0003fffd",
    "long": "x" * 10_000,
    "long text": "word " * 2_000,
    "from the right": "שלום עולם. זה משפט ארוך יותר, עם מספרים 123 ו-English.",
    "marks": "e\u0301" * 200 + " a\u0300\u0301\u0302\u0303 x\u0335",
    "joined": "a\u200db\u200cc\u00ad\ufeff\ufe0f",
    "spaces": "  \t \u00a0 \u3000x\u200b  ",
    "empty": "",
}


def record(*entries: Entry, title: str = "Health record of Ann Example", language: str = "en") -> Presented:
    """Return a record with these entries in its history."""
    return Presented(
        title=title,
        clinic="Harbour Practice",
        facts=(
            ("Client", "Ann Example, born 1984-02-29"),
            ("As of", "25 November 2026, 16:17"),
            ("Left out", "Nothing"),
        ),
        sections=(
            Section(title="Safety", intro=("A safety plan is in force.",)),
            Section(title="History", intro=("From the newest to the oldest.",), entries=entries),
        ),
        language=language,
        created="2026-11-25T16:17:31+00:00",
    )


def session(number: int, text: str = NOTE) -> Entry:
    """Return the note of a session."""
    lines = (
        Line(label="When", exact="2026-05-03T08:00:00+00:00", place="/occurred_at", text="3 May 2026, 10:00"),
        Line(label="Written by", text="Dr Noor Lind"),
        Line(label="Subjective", exact=text, place="sections/subjective"),
        Line(label="Plan", exact="Keep the diary. Next session in a week.", place="sections/plan"),
    )
    return Entry(
        title=f"Session {number}", version=number, marks=("amended later",) if number % 7 == 0 else (), lines=lines
    )


def questionnaire() -> Entry:
    """Return answers, whose labels are sentences."""
    answers = tuple(Line(label=item, text="2 - more than half the days") for item in PHQ_9)
    return Entry(
        title="PHQ-9", version=9, marks=("answered at home",), lines=(*answers, Line(text="Sum 12: moderate."))
    )


def opened(data: bytes) -> pikepdf.Pdf:
    """Return the PDF as another program reads it."""
    return pikepdf.open(io.BytesIO(data))


def headings(pdf: pikepdf.Pdf) -> list[str]:
    """Return every tag of the structure tree that is a title or a heading, in order."""
    return [tag for tag in tags(pdf.Root.StructTreeRoot) if re.fullmatch(r"/(Title|H\d?)", tag)]


def tags(node: pikepdf.Object) -> Iterator[str]:
    """Yield the tags of the structure tree, in the order of reading."""
    if isinstance(node, pikepdf.Dictionary):
        if "/S" in node:
            yield str(node.S)
        kids = node.get("/K", [])
        for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
            if isinstance(kid, pikepdf.Object):
                yield from tags(kid)


def pages(data: bytes) -> list[str]:
    """Return the text of each page as a reader copies it, without the places where a word may break."""
    with contextlib.closing(pypdfium2.PdfDocument(data)) as document:
        return [page.get_textpage().get_text_range().replace(printed.BREAK, "") for page in document]


def right_edges(data: bytes) -> list[float]:
    """Return, of each page, where its rightmost character ends, in points."""
    with contextlib.closing(pypdfium2.PdfDocument(data)) as document:
        texts = [page.get_textpage() for page in document]
        return [max(text.get_charbox(place)[2] for place in range(text.count_chars())) for text in texts]


def font_with(*characters: str) -> bytes:
    """Return a font that has a square for each of these characters and nothing else."""
    pen = TTGlyphPen(None)
    for step, corner in enumerate(((100, 0), (100, 700), (800, 700), (800, 0))):
        (pen.lineTo if step else pen.moveTo)(corner)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"uni{ord(each):04X}" for each in characters)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(each): f"uni{ord(each):04X}" for each in characters})
    font.setupGlyf(dict.fromkeys(names, square))
    font.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Squares", "styleName": "Regular", "psName": "Squares-Regular"})
    font.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    made = io.BytesIO()
    font.save(made)
    return made.getvalue()


def bookmarks(pdf: pikepdf.Pdf) -> list[str]:
    """Return the titles of the bookmarks below the sections."""
    with pdf.open_outline() as outline:
        return [child.title for section in outline.root for child in section.children]


def test_it_is_a_tagged_document_with_title_and_language() -> None:
    pdf = opened(to_pdf(record(session(1), questionnaire(), session(7), language="en-GB")))
    assert pdf.Root.MarkInfo.Marked
    assert str(pdf.Root.Lang) == "en-GB"
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    with pdf.open_metadata() as facts:
        assert facts["pdfuaid:part"] == "1"
        assert facts["dc:title"] == "Health record of Ann Example"
        assert facts["xmp:CreateDate"].startswith("2026-11-25T16:17:31")
    assert headings(pdf) == ["/Title", "/H1", "/H1", "/H1", "/H2", "/H2", "/H2"]
    assert bookmarks(pdf) == ["Session 1", "PHQ-9", "Session 7"]
    assert [float(side) for side in pdf.pages[0].mediabox] == pytest.approx([0, 0, 595.28, 841.89], abs=0.1)


def test_every_page_says_whose_it_is_and_which_of_how_many() -> None:
    text = pages(to_pdf(record(*map(session, range(40)))))
    assert len(text) > 5
    for number, page in enumerate(text, 1):
        assert f"Page {number} of {len(text)}" in page
        assert "Harbour Practice" in page
        assert "As of 2026-11-25 16:17 UTC" in page
        assert "Health record of Ann Example" in page
    assert re.search(r"Contents\s+Safety[ .]+1\s+History[ .]+1", text[0])


def test_what_is_read_is_printed_with_its_label() -> None:
    text = " ".join(" ".join(pages(to_pdf(record(session(7), questionnaire())))).split())
    for label, words in (
        ("When", "3 May 2026, 10:00"),
        ("Written by", "Dr Noor Lind"),
        ("Subjective", " ".join(NOTE.split())),
        (f"{PHQ_9[0]}:", "2 - more than half the days"),
    ):
        assert f"{label} {words}" in text
    assert "amended later" in text
    assert "T08:00:00" not in text, "what people read takes the place of the exact content"


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_record_is_read_as_markup_or_breaks_the_page(name: str) -> None:
    text = HOSTILE[name]
    entry = Entry(title=text, marks=(text,), lines=(Line(label=text, text=text), Line(label="Note", exact=text)))
    told = record(entry, Entry(title="The next one", lines=(Line(text="still here"),)), title=text)
    found = pages(to_pdf(told))
    assert "still here" in found[-1]
    for word in text.split():
        if word.isascii() and word.isprintable() and len(word) < printed.WORD_CHARACTERS:
            assert word in "".join(found), word


def test_what_has_no_picture_stands_as_its_number() -> None:
    text = "".join(pages(to_pdf(record(session(1, "a\x00b \u202eabc \ue000")))))
    assert "a‹U+0000›b ‹U+202E›abc ‹U+E000›" in text


def test_no_word_leaves_the_paper() -> None:
    for text in (HOSTILE["long"], "W" * 300, "\u202e" * 50, "word " * 2000):
        for edge in right_edges(to_pdf(record(session(1, text)))):
            assert edge <= 595.28 - 62


def test_a_text_from_the_right_begins_at_the_right() -> None:
    assert printed._from_the_right("  1. שלום and English")
    assert not printed._from_the_right("  1. English and שלום")


def test_an_unknown_script_is_an_answer_that_names_it() -> None:
    with pytest.raises(FontsLack) as refused:
        to_pdf(record(session(1, "ไทย 中文 한국 and \U0001f600")))
    assert refused.value.scripts == ("Han", "Hangul", "Thai", printed.SIGNS)
    assert str(refused.value).startswith("the fonts lack Han, Hangul, Thai, emoji and signs: name a folder")
    with pytest.raises(FontsLack) as refused:
        to_pdf(record(session(1, "1\ufe0f\u20e3")))
    assert refused.value.scripts == (printed.COMBINATIONS,)


def test_scripts_of_the_built_in_fonts_are_printed() -> None:
    words = "Ångström Łódź İzmir Việt Ελλάδα Россия Україна שלום नमस्ते €£ → ≤ ½ “quoted” – …"
    text = "".join(pages(to_pdf(record(session(1, words)))))
    for word in ("Ångström", "Łódź", "İzmir", "Việt", "Ελλάδα", "Россия", "Україна"):
        assert word in text


def test_a_folder_of_fonts_adds_scripts(tmp_path: Path) -> None:
    (tmp_path / "one.ttf").write_bytes(font_with("\u4e2d", "\u6587"))
    told = record(session(1, "中文"))
    with pytest.raises(FontsLack):
        to_pdf(told)
    assert "中文" in "".join(pages(to_pdf(told, fonts=tmp_path)))
    with pytest.raises(FontsLack, match="the fonts lack Thai:"):
        to_pdf(record(session(1, "中文 ไทย")), fonts=tmp_path)
    with pytest.raises(NotADirectoryError):
        to_pdf(told, fonts=tmp_path / "absent")


def test_the_same_record_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    told = record(*map(session, range(30)), questionnaire())
    (tmp_path / "told.json").write_bytes(msgspec.json.encode(told))
    program = (
        "import hashlib, sys, msgspec; from pathlib import Path; from projections.export import presented, printed;"
        "told = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=presented.Presented);"
        "print(hashlib.sha256(printed.to_pdf(told)).hexdigest())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "told.json")]
    zone = {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    other = subprocess.run(command, capture_output=True, text=True, check=True, env=zone, cwd=tmp_path)
    assert other.stdout.strip() == hashlib.sha256(to_pdf(told)).hexdigest()


def test_fonts_of_the_system_are_not_looked_at() -> None:
    import typst

    assert {font.path for font in printed._Setter([], 0)._fonts.fonts()} == {None}
    assert typst.Fonts(include_system_fonts=False).families()


@pytest.mark.parametrize("created", ["", "yesterday", "2026-11-25T16:17:31"])
def test_a_date_without_a_zone_is_refused(created: str) -> None:
    with pytest.raises(ValueError, match=r"date|isoformat"):
        to_pdf(msgspec.structs.replace(record(), created=created))


def test_a_language_that_is_no_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="BCP 47"):
        to_pdf(record(language="English!"))


def test_without_the_extra_it_says_which() -> None:
    require_printing()
    with pytest.raises(PrintingNotInstalled, match=r"wellkept\[pdf\]"):
        require_printing("a_library_that_is_not_there")
