"""Who looked at the record, as an export tells it: sentences by day, the newest day first.

Source: AUDIT A7, A11; EU C-579/21 (names of staff only where the clinic gives them).

- Equal readings of one person on one day are one sentence, with their number, as in the report of the service.
- Who is not named in the record is told by role and relation. Network addresses are never told.
- Entries that cannot be opened are counted on their day.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from projections.access_groups import Group
from projections.export.access_files import groups_of, sentence_of, telling_of
from projections.export.material import ExportedReading, ExportedRecord
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_words import day
from records.access import AccessRecorded


def who_looked(record: ExportedRecord) -> Section:
    """Return who looked, when and why."""
    zone = ZoneInfo(record.time_zone)
    days: dict[date, list[ExportedReading]] = {}
    for reading in reversed(record.readings):
        days.setdefault(reading.recorded.recorded_at.astimezone(zone).date(), []).append(reading)
    count = len(record.readings)
    told = "Nobody has looked at this record." if not count else _numbered(count)
    return Section(
        title="Who looked",
        intro=(told, f"Times are those of {zone.key}."),
        entries=tuple(Entry(title=day(on), lines=_sentences(record, found, zone)) for on, found in days.items()),
    )


def _numbered(count: int) -> str:
    if count == 1:
        return "One reading, change or refusal was logged. It has the number 1."
    return (
        f"{count} readings, changes and refusals were logged. They are numbered from 1 to {count} without a gap; "
        "equal ones of one day are told in one sentence."
    )


def _sentences(record: ExportedRecord, readings: list[ExportedReading], zone: ZoneInfo) -> tuple[Line, ...]:
    told = [each.recorded for each in readings if isinstance(each.recorded.event, AccessRecorded)]
    lines = [Line(text=_sentence(record, group)) for group in groups_of(told, zone)]
    unreadable = len(readings) - len(told)
    if unreadable:
        word = "entry" if unreadable == 1 else "entries"
        lines.append(Line(text=f"{unreadable} {word} of this day could not be opened; the clinic has been alarmed."))
    return tuple(lines)


def _sentence(record: ExportedRecord, group: Group) -> str:
    telling = telling_of(record)
    # Who wrote in the record is named there; whether they are named as readers is the clinic's own decision.
    names_staff = telling.names_staff and group.event.entered_by in record.staff
    return sentence_of(group, telling._replace(names_staff=names_staff))
