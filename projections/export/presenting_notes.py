"""The notes of an export: each with its newest text, what was added to it, and the texts that it had before.

Source: DOMAIN 4; HIPAA 164.526 (a correction is linked, never written over).

- The newest note stands first. Below its newest text stand additions, then earlier texts, marked as such.
- A note that was entered in error is not here; the history tells of it.
"""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from projections.export.material import ExportedEvent, ExportedRecord
from projections.export.presented import Entry, Section
from projections.export.presenting_history import EventLines
from projections.export.presenting_words import day
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned


def notes(record: ExportedRecord, lines: EventLines) -> Section:
    """Return all notes that stand."""
    texts: dict[UUID, list[ExportedEvent]] = {}
    additions: dict[UUID, list[ExportedEvent]] = {}
    in_error: set[UUID] = set()
    for each in record.events:
        event = each.recorded.event
        if isinstance(event, NoteSigned | NoteAmended):
            texts.setdefault(event.note_id, []).append(each)
        elif isinstance(event, NoteAddendumSigned):
            additions.setdefault(event.note_id, []).append(each)
        elif isinstance(event, NoteEnteredInError):
            in_error.add(event.note_id)
    standing = [note_id for note_id in reversed(texts) if note_id not in in_error]
    intro = [] if standing else ["No notes."]
    if in_error:
        intro.append(f"{len(in_error)} marked as entered in error: see the history.")
    entries = [entry for each in standing for entry in _note(record, lines, texts[each], additions.get(each, []))]
    return Section(title="Notes", intro=tuple(intro), entries=tuple(entries))


def _note(
    record: ExportedRecord, lines: EventLines, texts: list[ExportedEvent], additions: list[ExportedEvent]
) -> list[Entry]:
    """Return a note's newest text, its additions in their order, and its earlier texts, newest first."""
    *earlier, newest = texts
    marks = ["amended"] if earlier else []
    if any(isinstance(each.recorded.event, NoteSigned) and each.recorded.event.late_entry for each in texts):
        marks.append("written late")
    on = day(texts[0].recorded.event.occurred_at.astimezone(ZoneInfo(record.time_zone)).date())
    return [
        _entry(lines, newest, f"Note of {on}", tuple(marks)),
        *(_entry(lines, each, f"Added to the note of {on}", ("addition",)) for each in additions),
        *(_entry(lines, each, f"Note of {on}, as it was before", ("earlier text",)) for each in reversed(earlier)),
    ]


def _entry(lines: EventLines, event: ExportedEvent, title: str, marks: tuple[str, ...]) -> Entry:
    version = event.recorded.version
    return Entry(
        title=f"{title} (entry {version})", version=version, marks=marks, lines=lines.without_numbers_of(event)
    )
