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
from projections.export.presenting_history import lines_of
from projections.export.presenting_words import day, is_technical
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned


def notes(record: ExportedRecord) -> Section:
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
    entries = [entry for each in standing for entry in _note(record, texts[each], additions.get(each, []))]
    return Section(title="Notes", intro=tuple(intro), entries=tuple(entries))


def _note(record: ExportedRecord, texts: list[ExportedEvent], additions: list[ExportedEvent]) -> list[Entry]:
    """Return a note's newest text, its additions in their order, and its earlier texts, newest first."""
    *earlier, newest = texts
    marks = ["amended"] if earlier else []
    if any(isinstance(each.recorded.event, NoteSigned) and each.recorded.event.late_entry for each in texts):
        marks.append("written late")
    on = day(texts[0].recorded.event.occurred_at.astimezone(ZoneInfo(record.time_zone)).date())
    return [
        _entry(record, newest, f"Note of {on}", tuple(marks)),
        *(_entry(record, each, f"Added to the note of {on}", ("addition",)) for each in additions),
        *(_entry(record, each, f"Note of {on}, as it was before", ("earlier text",)) for each in reversed(earlier)),
    ]


def _entry(record: ExportedRecord, event: ExportedEvent, title: str, marks: tuple[str, ...]) -> Entry:
    version = event.recorded.version
    lines = tuple(line for line in lines_of(record, event) if not is_technical(line.place or ""))
    return Entry(title=f"{title} (entry {version})", version=version, marks=marks, lines=lines)
