"""The history of an export: every event, the oldest first, with everything that it holds.

Source: AUDIT E1, E2 (nothing of the record is missing); decision 48.

- It is made from the segments that are shown, and from nothing else of an event: what is withheld cannot come in.
- Each value of a header stands once, by its JSON pointer: a scalar, a list of scalars or an empty list or mapping as a
  whole, all others by their parts. Each free text stands once, by its path.
- A string is its own content; any other value is its JSON text (`presenting_words.json_text`).
- What was amended later, or should not be in the record, is marked by the numbers of the entries that say so.

It makes no summary (`projections.export.presenting_summary`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from projections.export.material import REASONS, ExportedEvent, ExportedRecord, Shown
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_words import (
    NAMES,
    Field,
    field_of,
    in_words,
    is_technical,
    json_text,
    label_of,
    moment,
    title_of,
)
from projections.sections.corrections import Correction, State
from records.notes import NoteAmended, NoteSigned
from records.store.mapper import Unreadable

_FIRST = ("/occurred_at", "/entered_by", "/reported_by", "/originally_recorded_at")
_NO_CORRECTION = Correction()
_NESTED = frozenset({dict, list})
_HEADER = msgspec.json.Decoder(dict[str, Any])


def is_header(path: str) -> bool:
    """Say whether a path is a header's (`v1`); free texts are named by fields, and none is called so."""
    return path[:1] == "v" and path[1:].isdecimal()


class _Place(NamedTuple):
    """What is known of a value of a header before it is read.

    Attributes:
        label: what it is.
        pointer: the JSON pointer to it.
        is_technical: whether only programs and clerks need it.
        field: how it is told.
    """

    label: str
    pointer: str
    is_technical: bool
    field: Field


@lru_cache(maxsize=NAMES)
def _place_of(topic: str, parts: tuple[str, ...]) -> _Place:
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return _Place(label_of(parts) if parts else "Nothing", pointer, is_technical(pointer), field_of(topic, parts))


class EventLines:
    """Lays out the events of one record, each of them once."""

    def __init__(self, record: ExportedRecord) -> None:
        self._record = record
        self._laid: dict[int, tuple[str | None, tuple[Line, ...]]] = {}

    def of(self, event: ExportedEvent) -> tuple[Line, ...]:
        """Return everything that an event shows: who and when, its content, its free texts, then numbers and codes."""
        return self._laid_out(event)[1]

    def topic_of(self, event: ExportedEvent) -> str | None:
        """Return the topic that the header states, or None where it is not shown."""
        return self._laid_out(event)[0]

    def without_numbers_of(self, event: ExportedEvent) -> tuple[Line, ...]:
        """Return the same without numbers and codes."""
        return tuple(line for line in self.of(event) if not is_technical(line.place or ""))

    def content_of(self, event: ExportedEvent) -> tuple[Line, ...]:
        """Return what an event says, for a summary: without who and when, and without numbers and codes."""
        return tuple(line for line in self.without_numbers_of(event) if line.place not in _FIRST)

    def _laid_out(self, event: ExportedEvent) -> tuple[str | None, tuple[Line, ...]]:
        """Return the topic and the lines of an event."""
        version = event.recorded.version
        if version not in self._laid:
            self._laid[version] = self._lay_out(event)
        return self._laid[version]

    def _lay_out(self, event: ExportedEvent) -> tuple[str | None, tuple[Line, ...]]:
        topic, facts, texts = None, [], []
        for segment in event.segments:
            if not isinstance(segment, Shown):
                continue
            if is_header(segment.path):
                header = _HEADER.decode(segment.content)
                topic = str(header.get("topic", ""))
                facts = self._facts(header, topic)
            else:
                texts.append(_free_text(segment))
        first = {line.place: line for line, _ in facts if line.place in _FIRST}
        further = [(line, technical) for line, technical in facts if line.place not in _FIRST]
        return topic, (
            *(first[place] for place in _FIRST if place in first),
            *(line for line, technical in further if not technical),
            *texts,
            *(line for line, technical in further if technical),
        )

    def _facts(self, header: dict[str, Any], topic: str) -> list[tuple[Line, bool]]:
        """Return a line for each value of a header, and whether it is a number or a code."""
        facts = []
        for parts, value in _leaves(header):
            label, pointer, technical, field = _place_of(topic, parts)
            exact = value if isinstance(value, str) else json_text(value)
            text = in_words(self._record, field, value)
            line = Line(label=label, exact=exact, place=pointer, text=None if text == exact else text)
            facts.append((line, technical))
        return facts


def marks_of(event: ExportedEvent, corrections: State) -> tuple[str, ...]:
    """Return the warnings that stand beside an event's title."""
    marks = []
    if isinstance(event.recorded.event, Unreadable):
        marks.append("could not be opened")
    elif event.withheld is not None:
        marks.append("partly left out")
    version, subject = event.recorded.version, event.recorded.event.subject_id
    correction = _NO_CORRECTION if subject is None else corrections.items.get(subject, _NO_CORRECTION)
    later = [each for each in correction.versions if each > version]
    if later and correction.in_error:
        marks.append(f"entered in error (see entry {later[-1]})")
    elif later and isinstance(event.recorded.event, NoteSigned | NoteAmended):
        marks.append(f"amended later (see {_entries(later)})")
    return tuple(marks)


def history(record: ExportedRecord, corrections: State, lines: EventLines) -> Section:
    """Return every event, the oldest first."""
    zone = ZoneInfo(record.time_zone)
    return Section(
        title="History",
        intro=("Every entry of the record, in the order in which it was written, with all that it holds.",),
        entries=tuple(_entry(each, corrections, lines, zone) for each in record.events),
    )


def _entry(event: ExportedEvent, corrections: State, lines: EventLines, zone: ZoneInfo) -> Entry:
    topic = lines.topic_of(event)
    title = "An entry that is not shown" if topic is None else title_of(topic)
    written = Line(label="Recorded on", text=moment(event.recorded.recorded_at, zone))
    left_out = () if event.withheld is None else (Line(label="Left out", text=REASONS[event.withheld]),)
    return Entry(
        title=f"{event.recorded.version}. {title}",
        version=event.recorded.version,
        marks=marks_of(event, corrections),
        lines=(written, *left_out, *lines.of(event)),
    )


def _leaves(value: Any, parts: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return each value that stands as a whole, with the names that lead to it."""
    if isinstance(value, dict) and value:
        inner = value.items()
    elif isinstance(value, list) and not _NESTED.isdisjoint(map(type, value)):
        inner = {str(number): each for number, each in enumerate(value)}.items()
    else:
        return [(parts, value)]
    found = []
    for name, each in inner:
        if type(each) in _NESTED:
            found += _leaves(each, (*parts, name))
        else:
            found.append(((*parts, name), each))
    return found


def _free_text(segment: Shown) -> Line:
    return Line(label=label_of(tuple(segment.path.split("/"))), exact=segment.content.decode(), place=segment.path)


def _entries(versions: list[int]) -> str:
    numbers = ", ".join(map(str, versions))
    return f"entry {numbers}" if len(versions) == 1 else f"entries {numbers}"
