"""A record laid out for people: sections of entries with labelled lines; the page and the paper are both made from it.

- A line that repeats what the record holds names where: the version of the event, and the segment's path or the JSON
  pointer into the event's header. Its `exact` text is that content, so that a program can compare page and record.
- What a person reads (`text`) may put it in other words: a date in the clinic's zone, the label of a code. Where `text`
  is None the exact text is shown as it is.
- All of it is data, never markup: who writes a page escapes it.

It draws nothing (`projections.export.page`, `projections.export.printed`).
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A labelled line.

    Attributes:
        label: what it is; empty for a paragraph.
        exact: the content as the record holds it, where it is of the record; None for words of ours.
        place: the segment's path (`sections/plan`) or a JSON pointer into the header (`/occurred_at`); None as `exact`.
        text: what people read instead of `exact`; None where that is shown.
        file: name of a file of the bundle that this line leads to; None for none.
    """

    label: str = ""
    exact: str | None = None
    place: str | None = None
    text: str | None = None
    file: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event, or one item of a summary.

    Attributes:
        title: its heading.
        version: the version of the event that its lines are of; None for words of ours.
        marks: short warnings that stand beside the title, such as `entered in error` or `amended later`.
        lines: in order.
    """

    title: str
    version: int | None = None
    marks: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the document with a heading of its own; `intro` are paragraphs before its entries."""

    title: str
    intro: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document.

    Attributes:
        title: such as `Health record of Ann Example`.
        clinic: who gave it.
        facts: label and text of what stands at the top (for whom, as of when, how much it holds, what is left out).
        sections: in the order of reading: safety first, then a summary, the history, and who looked.
        language: BCP 47.
        created: RFC 3339, the one date of the export.
    """

    title: str
    clinic: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    language: str = "en"
    created: str = ""
