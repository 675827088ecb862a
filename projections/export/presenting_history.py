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

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from projections.export.material import REASONS, ExportedEvent, ExportedRecord, Shown
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_words import in_words, is_technical, json_text, label_of, moment, title_of
from projections.sections.corrections import Correction, State
from records.notes import NoteAmended, NoteSigned
from records.store.mapper import Unreadable

_FIRST = ("/occurred_at", "/entered_by", "/reported_by", "/originally_recorded_at")
_NO_CORRECTION = Correction()
_HEADER = msgspec.json.Decoder(dict[str, Any])


def header_of(event: ExportedEvent) -> dict[str, Any] | None:
    """Return the header as JSON gives it, or None where it is not shown."""
    for segment in event.segments:
        if isinstance(segment, Shown) and is_header(segment.path):
            return _HEADER.decode(segment.content)
    return None


def is_header(path: str) -> bool:
    """Say whether a path is a header's (`v1`); free texts are named by fields, and none is called so."""
    return path[:1] == "v" and path[1:].isdecimal()


def topic_of_event(event: ExportedEvent) -> str | None:
    """Return the topic that the header states, or None where it is not shown."""
    header = header_of(event)
    return None if header is None else str(header.get("topic", ""))


def lines_of(record: ExportedRecord, event: ExportedEvent) -> tuple[Line, ...]:
    """Return everything that an event shows: who and when, its content, its free texts, then numbers and codes."""
    header = header_of(event)
    topic = "" if header is None else str(header.get("topic", ""))
    facts = [] if header is None else [_fact(record, topic, parts, value) for parts, value in _leaves(header)]
    first = sorted((each for each in facts if each.place in _FIRST), key=lambda each: _FIRST.index(each.place or ""))
    further = [each for each in facts if each.place not in _FIRST]
    technical = [each for each in further if is_technical(each.place or "")]
    others = [each for each in further if not is_technical(each.place or "")]
    texts = [_free_text(each) for each in event.segments if isinstance(each, Shown) and not is_header(each.path)]
    return (*first, *others, *texts, *technical)


def content_of(record: ExportedRecord, event: ExportedEvent) -> tuple[Line, ...]:
    """Return what an event says, for a summary: without who and when, and without numbers and codes."""
    return tuple(
        line for line in lines_of(record, event) if line.place not in _FIRST and not is_technical(line.place or "")
    )


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


def history(record: ExportedRecord, corrections: State) -> Section:
    """Return every event, the oldest first."""
    zone = ZoneInfo(record.time_zone)
    return Section(
        title="History",
        intro=("Every entry of the record, in the order in which it was written, with all that it holds.",),
        entries=tuple(_entry(record, each, corrections, zone) for each in record.events),
    )


def _entry(record: ExportedRecord, event: ExportedEvent, corrections: State, zone: ZoneInfo) -> Entry:
    topic = topic_of_event(event)
    title = "An entry that is not shown" if topic is None else title_of(topic)
    written = Line(label="Recorded on", text=moment(event.recorded.recorded_at, zone))
    left_out = () if event.withheld is None else (Line(label="Left out", text=REASONS[event.withheld]),)
    return Entry(
        title=f"{event.recorded.version}. {title}",
        version=event.recorded.version,
        marks=marks_of(event, corrections),
        lines=(written, *left_out, *lines_of(record, event)),
    )


def _leaves(value: Any, parts: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value that stands as a whole, with the names that lead to it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*parts, name))
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*parts, str(number)))
    else:
        yield parts, value


def _fact(record: ExportedRecord, topic: str, parts: tuple[str, ...], value: Any) -> Line:
    exact = value if isinstance(value, str) else json_text(value)
    text = in_words(record, topic, parts, value)
    return Line(
        label=label_of(parts) if parts else "Nothing",
        exact=exact,
        place="".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts),
        text=None if text == exact else text,
    )


def _free_text(segment: Shown) -> Line:
    return Line(label=label_of(tuple(segment.path.split("/"))), exact=segment.content.decode(), place=segment.path)


def _entries(versions: list[int]) -> str:
    numbers = ", ".join(map(str, versions))
    return f"entry {numbers}" if len(versions) == 1 else f"entries {numbers}"
