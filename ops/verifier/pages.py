"""Whether the page of a bundle repeats the record as it is: every marked element, and every segment that is shown.

Source: the decision on exports (*Page*); HTML Standard 13.2.

- An element with `data-event="VERSION"` and `data-place="PATH or /POINTER"` holds exactly that content: as its text, or
  in `data-exact` as a JSON string, where the text is in other words, or cannot show it to the letter.
- A value of a header that is no string is its compact JSON text.
- Every segment that is shown stands in such an element. What else the page says is not of the record.
- Only plain HTML is read, of which there are no two opinions: quoted attributes, no comments, no elements whose content
  is read in another way, and nothing but text in a marked element. All else is refused.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ops.verifier.bundle import Event, FilesDisagree, MalformedRecord

ATTRIBUTES = r'(?:[ \n][a-z][a-z0-9-]*(?:="[^"]*")?)*'
TOKEN = re.compile(
    rf"(?P<text>[^<]+)|<(?!style|script|title)(?P<start>[a-z][a-z0-9]*)(?P<attributes>{ATTRIBUTES})>"
    rf"|</(?P<end>[a-z][a-z0-9]*)>|<(?P<raw>style|script|title){ATTRIBUTES}>(?P<held>.*?)</(?P=raw)>",
    re.DOTALL,
)
"""Text, the start and the end of an element, or a whole element that holds no others."""
ATTRIBUTE = re.compile(r'[ \n]([a-z][a-z0-9-]*)(?:="([^"]*)")?')
DOCTYPE = re.compile(r"<!doctype html>", re.IGNORECASE)
NEVER = frozenset((
    "iframe", "math", "noembed", "noframes", "noscript", "object", "plaintext", "select", "svg", "template", "textarea",
    "xmp",
))  # fmt: skip
"""Elements in which a browser reads other elements differently, or not at all."""
EVENT_MARK, PLACE_MARK, EXACT_MARK = "data-event", "data-place", "data-exact"
UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no page can hold; U+FFFD stands for them."""


class Marked(NamedTuple):
    """An element that repeats the record: which version, which place, what it holds, and what people read."""

    version: str
    place: str
    exact: str
    shown: str


def marked_elements(page: str, name: str) -> list[Marked]:
    """Return the marked elements of a page, in order.

    Raises:
        MalformedRecord: there is something in it that is not plain HTML.
    """
    found: list[Marked] = []
    marks: dict[str, str] = {}
    tag, shown = "", ""
    doctype = DOCTYPE.match(page)
    at = doctype.end() if doctype else 0
    for token in TOKEN.finditer(page, at):
        if token.start() != at:
            break
        at, kind = token.end(), token.lastgroup
        if kind == "text":
            shown = token[0]
        elif kind == "end":
            if marks and token["end"] == tag:
                found.append(_marked(marks, shown, name))
            elif marks:
                break
            marks = {}
        elif marks or token["start"] in NEVER or (token["held"] and _is_ambiguous(token["raw"], token["held"])):
            raise MalformedRecord(f"{name} has an element where none can be.")
        else:
            tag, shown = token["start"] or "", ""
            marks = _marks(token["attributes"], name) if " data-" in token[0] else {}
    if at != len(page) or marks or "\r" in page or "\0" in page:
        raise MalformedRecord(f"{name} is not plain HTML near character {at}.")
    return found


def _is_ambiguous(tag: str, held: str) -> bool:
    return "<!--" in held or f"</{tag}" in held.lower()


def _marks(attributes: str | None, name: str) -> dict[str, str]:
    pairs = ATTRIBUTE.findall(attributes or "")
    marks = dict(pairs)
    if len(marks) != len(pairs):
        raise MalformedRecord(f"{name} has an element with an attribute twice.")
    marks = {key: html.unescape(marks[key]) for key in (EVENT_MARK, PLACE_MARK, EXACT_MARK) if key in marks}
    if marks and not {EVENT_MARK, PLACE_MARK} <= marks.keys():
        raise MalformedRecord(f"{name} has an element that is marked by half.")
    return marks


def _marked(marks: Mapping[str, str], shown: str, name: str) -> Marked:
    shown = exact = html.unescape(shown)
    if EXACT_MARK in marks:
        try:
            exact = json.loads(marks[EXACT_MARK])
        except ValueError as error:
            raise MalformedRecord(f"{name} has a content in {EXACT_MARK} that cannot be read.") from error
        if not isinstance(exact, str):
            raise MalformedRecord(f"{name} has a content in {EXACT_MARK} that is no text.")
    return Marked(marks[EVENT_MARK], marks[PLACE_MARK], exact, shown)


def visible(text: str) -> str:
    """Return a text as a page can show it."""
    return UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def value_at(event: Event, pointer: str) -> str | None:
    """Return what stands at a JSON pointer into an event's header, as text; None where nothing is."""
    if event.header is None or pointer[:1] not in ("", "/"):
        return None
    value: Any = event.header
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def verify_page(data: bytes, name: str, events: Mapping[int, Event]) -> None:
    """Check a page against the events of the record, by their versions.

    Raises:
        MalformedRecord: it is no page that can be compared.
        FilesDisagree: what it repeats is not what the record holds, or a segment does not stand in it.
    """
    try:
        found = marked_elements(data.decode(), name)
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"{name} is not UTF-8.") from error
    versions = {str(version): event for version, event in events.items()}
    missing = {(version, path) for version, event in versions.items() for path in event.texts}
    for version, place, exact, shown in found:
        # [10] what it repeats is the record's
        event = versions.get(version)
        if event is None:
            raise FilesDisagree(f"{name}: it repeats an event {version} that the record does not show.")
        text = event.texts.get(place)
        wrong = (
            value_at(event, place) != exact
            if text is None
            else exact != text or (shown != text and shown != visible(text))
        )
        if wrong:
            what = f"the text of entry {event.index} ({place}) is not what the record holds"
            raise FilesDisagree(f"{name}: {what}.", event.index)
        missing.discard((version, place))
    # [10] and every segment that is shown stands in it
    for version, place in sorted(missing, key=lambda each: (versions[each[0]].index, each[1]))[:1]:
        index = versions[version].index
        raise FilesDisagree(f"{name}: the text of entry {index} ({place}) does not stand in it.", index)
