"""The paper form of a record: one tagged PDF (PDF/UA-1) for A4, set by typst. Needs the extra `pdf`.

Source: ISO 14289-1 (PDF/UA-1); ISO 32000-1, 14.8 (tagged PDF); decision 50.

- The text reaches typst as data (JSON) and is placed as strings: nothing in a record is read as markup.
- The same record gives the same bytes: the one date is `Presented.created`; the fonts are those inside typst and of a
  folder that is named, and those of the system are not looked at.
- What no font can print (controls, private use, unassigned) stands as its number, `‹U+0000›`. So do the characters that
  turn the direction of what follows, since they could show a text in another order than it was written.
- A word longer than any line gets places where it may be broken; they are invisible (U+200B) and on the paper only.
- A script that the fonts lack is an answer, `FontsLack`; never a box in place of a letter.

It decides nothing about what is shown (`projections.export.presented`). Its own few words are English.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from projections.export.presented import Entry, Line, Presented, Section
from records.errors import WellkeptError

LIBRARY = "typst"
STANDARD: Final = "ua-1"
BESIDE_LABEL_CHARACTERS = 24
"""The longest label that fits its column."""
BESIDE_TEXT_CHARACTERS = 240
"""A longer text stands below its label, in the whole width."""
RUNNING_HEAD_CHARACTERS = 70
EMPTY = "\u2014"
WORD_CHARACTERS = 60
"""The longest word that fits every line."""
BREAK_EVERY_CHARACTERS = 10
BREAK = "\u200b"
_TOLD_BY_NUMBER = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""What turns the direction of the text that follows; and the byte order mark, which fonts treat each in its way."""
_PRINTS_NOTHING = frozenset({"Cc", "Cs", "Co", "Cn"})
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_LONG_WORD = re.compile(rf"\S{{{WORD_CHARACTERS + 1},}}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z]{4})?(?:-([A-Za-z]{2}))?(?:-.*)?")
_TEMPLATE = Path(__file__).with_name("printed.typ")
_PROBE = b"#set document(title: [Probe])\n#for part in json(bytes(sys.inputs.document)) { par(part) }\n"
_NAMES = {"Cjk": "Han", "Combining": "combining marks"}
SIGNS = "emoji and signs"
COMBINATIONS = "unusual combinations of characters"


class FontsLack(WellkeptError):
    """The record holds characters that no font at hand can print.

    Attributes:
        scripts: their scripts in English, such as `Arabic` or `Han`, in order of the alphabet.
    """

    def __init__(self, scripts: tuple[str, ...]) -> None:
        super().__init__(
            f"the fonts lack {', '.join(scripts)}: name a folder with fonts for them, or leave out the PDF; "
            "the page shows them"
        )
        self.scripts = scripts


class PrintingNotInstalled(WellkeptError):
    """The library that sets a PDF is not installed."""

    def __init__(self) -> None:
        super().__init__("a PDF needs the extra: pip install 'wellkept[pdf]'")


def require_printing(library: str = LIBRARY) -> None:
    """Refuse where the extra is not installed.

    Raises:
        PrintingNotInstalled: it is not.
    """
    if find_spec(library) is None:
        raise PrintingNotInstalled


def to_pdf(presented: Presented, fonts: Path | None = None) -> bytes:
    """Return the document as a PDF. It costs a second and 200 MB for some 200 pages.

    Args:
        presented: what is shown.
        fonts: a folder with more fonts, for scripts that the built-in ones lack.

    Raises:
        PrintingNotInstalled: the extra `pdf` is not installed.
        FontsLack: a script cannot be printed with these fonts.
        NotADirectoryError: there is no such folder of fonts.
        ValueError: `created` is no date with a zone, or `language` is no tag of BCP 47.
    """
    require_printing()
    import typst

    if fonts is not None and not fonts.is_dir():
        raise NotADirectoryError(fonts)
    created = datetime.fromisoformat(presented.created)
    if created.tzinfo is None:
        raise ValueError("the date of an export names its zone")
    document = _document(presented, created)
    setter = _Setter([] if fonts is None else [str(fonts)], int(created.timestamp()))
    try:
        return setter.set(_TEMPLATE.read_bytes(), document)
    except typst.TypstError:
        # A document that must be readable by machines is refused for one missing letter, and only the first is named.
        lacking = _lacking(setter, document)
        if not lacking:
            raise
    raise FontsLack(lacking)


def _document(presented: Presented, created: datetime) -> dict[str, Any]:
    """Return what the template shows; every text is ready to be set."""
    language = _LANGUAGE.fullmatch(presented.language)
    if language is None:
        raise ValueError("the language of an export is a tag of BCP 47")
    title, clinic = _heading(presented.title), _heading(presented.clinic)
    return {
        "title": title,
        "clinic": clinic,
        "short_title": _cut(title),
        "short_clinic": _cut(clinic),
        "as_of": f"As of {created:%Y-%m-%d %H:%M} {created.tzname()}",
        "language": language[1].lower(),
        "region": None if language[2] is None else language[2].upper(),
        "facts": _lines(presented.facts),
        "sections": [_section(section) for section in presented.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": _heading(section.title),
        "intro": [part for text in section.intro for part in _paragraphs(text)],
        "entries": [_entry(entry) for entry in section.entries],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "title": _heading(entry.title),
        "marks": [_heading(mark) for mark in entry.marks],
        "lines": _lines([(line.label, _read(line)) for line in entry.lines]),
    }


def _read(line: Line) -> str:
    return line.text if line.text is not None else line.exact or ""


def _lines(told: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return labels and texts: short ones beside each other, or after each other where a label is long; else below."""
    spoken = [_paragraphs(text) or [{"text": EMPTY, "rtl": False}] for _, text in told]
    short = [bool(label) and _is_short(parts) for (label, _), parts in zip(told, spoken, strict=True)]
    # One way for all short lines of an entry, so that the answers to a questionnaire look alike.
    column = all(
        len(label) <= BESIDE_LABEL_CHARACTERS for (label, _), beside in zip(told, short, strict=True) if beside
    )
    lines: list[dict[str, Any]] = []
    for (label, _), parts, beside in zip(told, spoken, short, strict=True):
        words = _heading(label) if label else ""
        if beside and not column and words[-1].isalnum():
            words += ":"
        shape = "below" if not beside else "beside" if column else "after"
        lines.append({"label": words, "shape": shape, "paragraphs": parts})
    return lines


def _is_short(parts: list[dict[str, Any]]) -> bool:
    """Whether a text fits beside its label; one that is read from the right never does."""
    text = parts[0]["text"]
    return len(parts) == 1 and len(text) <= BESIDE_TEXT_CHARACTERS and "\n" not in text and not parts[0]["rtl"]


def _paragraphs(text: str) -> list[dict[str, Any]]:
    """Return the parts between empty lines, each with its direction."""
    parts = re.split(r"\n(?:[ \t]*\n)+", _LINE_ENDS.sub("\n", text).strip("\n"))
    return [{"text": _printable(part), "rtl": _from_the_right(part)} for part in parts if part.strip()]


def _from_the_right(text: str) -> bool:
    """Whether the first character that has a direction is read from the right (Unicode TR 9, P2 and P3)."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((each in ("R", "AL") for each in directions if each in ("L", "R", "AL")), False)


def _printable(text: str) -> str:
    """Return the text as it is printed: every character can be, none turns the direction, long words may break."""
    text = _LINE_ENDS.sub("\n", text).replace("\t", "    ")
    if not text.isprintable():
        text = "".join(map(_shown, text))
    return _LONG_WORD.sub(lambda word: _breakable(word[0]), text)


def _heading(text: str) -> str:
    """Return a text that stands on a line of its own; never empty, since a heading without words is no heading."""
    return " ".join(_printable(text).split()) or EMPTY


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if character in _TOLD_BY_NUMBER or unicodedata.category(character) in _PRINTS_NOTHING:
        return f"\u2039U+{ord(character):04X}\u203a"
    return character


def _breakable(word: str) -> str:
    pieces: list[str] = []
    for place, character in enumerate(word):
        # A mark belongs to the letter before it, so a break between them would change both.
        if place and place % BREAK_EVERY_CHARACTERS == 0 and unicodedata.category(character)[0] not in "MC":
            pieces.append(BREAK)
        pieces.append(character)
    return "".join(pieces)


def _cut(text: str) -> str:
    """Return a text for the head or foot of every page, where only one line fits."""
    line = text.replace(BREAK, "")
    return line if len(line) <= RUNNING_HEAD_CHARACTERS else line[: RUNNING_HEAD_CHARACTERS - 1].rstrip() + "\u2026"


class _Setter:
    """Typst with one choice of fonts and one date."""

    def __init__(self, folders: list[str], timestamp: int) -> None:
        import typst

        self._fonts = typst.Fonts(include_system_fonts=False, font_paths=folders)
        self._timestamp = timestamp

    def set(self, template: bytes, document: object) -> bytes:
        """Return the PDF.

        Raises:
            typst.TypstError: it cannot be set, or a letter has no picture.
        """
        import typst

        return typst.compile(
            template,
            font_paths=self._fonts,
            ignore_system_fonts=True,
            sys_inputs={"document": msgspec.json.encode(document).decode()},
            pdf_standards=[STANDARD],
            timestamp=self._timestamp,
        )

    def sets(self, parts: Iterable[str]) -> bool:
        """Whether each of these texts can be printed."""
        import typst

        try:
            self.set(_PROBE, sorted(parts))
        except typst.TypstError:
            return False
        return True


def _lacking(setter: _Setter, document: dict[str, Any]) -> tuple[str, ...]:
    """Return the scripts that the fonts lack; empty where the document was refused for something else."""
    texts = set(_texts(document))
    scripts: dict[str, set[str]] = {}
    for character in {each for text in texts for each in text if not each.isascii()}:
        scripts.setdefault(_script(character), set()).add(character)
    lacking = sorted(script for script, characters in scripts.items() if not setter.sets(characters))
    if not lacking and not setter.sets({word for text in texts for word in text.split() if not word.isascii()}):
        return (COMBINATIONS,)
    return tuple(lacking)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _script(character: str) -> str:
    """Return the script of a character, which Unicode puts first in its name."""
    if unicodedata.category(character)[0] in "SP":
        return SIGNS
    first = unicodedata.name(character, SIGNS).split()[0].title()
    return _NAMES.get(first, first)
