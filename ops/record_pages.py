"""Whether the page of a bundle repeats the record as it is: every marked element, and every free text.

Source: the decision on exports (*Page*).

- An element with `data-event="VERSION"` and `data-place="PATH or /POINTER"` holds exactly that content: as its text, or
  in `data-exact` as a JSON string where people read it in other words.
- A value of a header that is no string is its compact JSON text.
- Every free text that is shown stands in such an element. What else the page says is not of the record.
- The page's elements are closed in order, so that what an element holds is not for a browser to decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, NamedTuple

from ops.record_bundle import HEADER_PATH, Event, FilesDisagree, MalformedRecord

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
"""Elements of HTML that have no content and no end."""
EVENT_MARK, PLACE_MARK, EXACT_MARK = "data-event", "data-place", "data-exact"


class Marked(NamedTuple):
    """An element that repeats the record: which version, which place, and what it holds."""

    version: str
    place: str
    text: str


class _Open(NamedTuple):
    tag: str
    marks: Mapping[str, str | None]
    start: int


class MarkedElements(HTMLParser):
    """Reads a page and collects its marked elements, in the order in which they end."""

    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self._name = name
        self._open: list[_Open] = []
        self._texts: list[str] = []
        self.found: list[Marked] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in the start of an element."""
        marks = {name: value for name, value in attrs if name in (EVENT_MARK, PLACE_MARK, EXACT_MARK)}
        if len(marks) != sum(name in marks for name, _ in attrs):
            raise MalformedRecord(f"{self._name} has an element that is marked twice.")
        element = _Open(tag, marks, len(self._texts))
        if tag in VOID:
            self._close(element)
        else:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Take in the end of an element."""
        if tag in VOID:
            return
        if not self._open or self._open[-1].tag != tag:
            raise MalformedRecord(f"{self._name} closes an element that is not the one that is open.")
        self._close(self._open.pop())

    def handle_data(self, data: str) -> None:
        """Take in text."""
        self._texts.append(data)

    def close(self) -> None:
        """Take in the end of the page."""
        super().close()
        if self._open:
            raise MalformedRecord(f"{self._name} ends before its elements do.")

    def _close(self, element: _Open) -> None:
        marks = element.marks
        if not marks:
            return
        version, place, text = marks.get(EVENT_MARK), marks.get(PLACE_MARK), "".join(self._texts[element.start :])
        if version is None or place is None:
            raise MalformedRecord(f"{self._name} has an element that is marked by half.")
        if EXACT_MARK in marks:
            try:
                text = json.loads(marks[EXACT_MARK] or "")
            except ValueError as error:
                raise MalformedRecord(f"{self._name} has a content in {EXACT_MARK} that cannot be read.") from error
            if not isinstance(text, str):
                raise MalformedRecord(f"{self._name} has a content in {EXACT_MARK} that is no text.")
        self.found.append(Marked(version, place, text))


def content_at(event: Event, place: str) -> str | None:
    """Return the content of an event at a segment's path or a pointer into its header; None where none is shown."""
    if place in event.texts:
        return event.texts[place]
    if event.header is None or place[:1] not in ("", "/"):
        return None
    value: Any = event.header
    for part in place.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and part.isascii() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def verify_page(data: bytes, name: str, events: Mapping[int, Event]) -> None:
    """Check a page against the events of the record, by their versions.

    Raises:
        MalformedRecord: it is no page that can be compared.
        FilesDisagree: what it repeats is not what the record holds, or a free text does not stand in it.
    """
    page = MarkedElements(name)
    try:
        page.feed(data.decode())
        page.close()
    except (UnicodeDecodeError, AssertionError) as error:
        raise MalformedRecord(f"{name} cannot be read as a page.") from error
    verify_marked(page.found, name, events)


def verify_marked(found: list[Marked], name: str, events: Mapping[int, Event]) -> None:
    """Check what a file repeats against the events of the record.

    Raises:
        FilesDisagree: see `verify_page`.
    """
    versions = {str(version): event for version, event in events.items()}
    missing = {
        (str(version), path)
        for version, event in events.items()
        for path in event.texts
        if not HEADER_PATH.fullmatch(path)
    }
    # [10] what it repeats is the record's
    for version, place, text in found:
        event = versions.get(version)
        if event is None:
            raise FilesDisagree(f"{name}: it repeats an event {version} that the record does not show.")
        if content_at(event, place) != text:
            what = f"the text of entry {event.index} ({place}) is not what the record holds"
            raise FilesDisagree(f"{name}: {what}.", event.index)
        missing.discard((version, place))
    # [10] and every free text stands in it
    for version, place in sorted(missing, key=lambda each: (versions[each[0]].index, each[1]))[:1]:
        index = versions[version].index
        raise FilesDisagree(f"{name}: the text of entry {index} ({place}) does not stand in it.", index)
