"""Who looked, for the client: as sentences, as JSON and as FHIR AuditEvents, from the same readings.

Source: AUDIT A6, A7 (the client can judge whether an access was justified), A8; EU C-579/21.

- Equal readings of one day are one sentence; in JSON and FHIR each reading is its own.
- No network addresses; no names or ids of those who looked where the clinic does not give them.
- A reading that does not open is counted and said.

It is not proved by content: the bundle's proof shows how many readings there were, and when.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from projections.access_groups import Group, Key, key_of
from projections.audit_entry import Telling
from projections.audit_fhir import audit_event
from projections.export.material import ExportedRecord
from projections.export.record_json import readable_json
from records.access import AccessRecorded
from records.event import Recorded

FORMAT = "wellkept-access-report/1"


def telling_of(record: ExportedRecord) -> Telling:
    """Return how this record tells its readings to its client."""
    return Telling(record.name_of, ZoneInfo(record.time_zone), for_client=True, names_staff=record.names_readers)


def access_sentences(record: ExportedRecord) -> tuple[str, ...]:
    """Return one sentence for each group of equal readings, the newest first."""
    telling = telling_of(record)
    return tuple(sentence_of(group, telling) for group in groups_of(_readings(record), telling.zone))


def groups_of(readings: Iterable[Recorded], zone: ZoneInfo) -> list[Group]:
    """Return equal readings of one day as one group each, in the order in which they are given."""
    groups: dict[Key, Group] = {}
    for reading in readings:
        groups.setdefault(key_of(reading, zone), Group(reading.event)).add(reading)
    return list(groups.values())


def sentence_of(group: Group, telling: Telling) -> str:
    """Return the sentence for a group of readings that were given newest first."""
    newest, oldest = group.entries[0], group.entries[-1]
    assert isinstance(newest.event, AccessRecorded), "only readings and refusals are grouped"
    return telling.sentence(newest.event, oldest.recorded_at, newest.recorded_at, len(group.entries))


def unreadable(record: ExportedRecord) -> int:
    """Return how many readings cannot be told."""
    return len(record.readings) - len(_readings(record))


def to_access_files(record: ExportedRecord) -> dict[str, bytes]:
    """Return the three files by their names in the bundle."""
    telling = telling_of(record)
    entries = [telling.entry(each) for each in _readings(record)]
    sentences, gaps = access_sentences(record), unreadable(record)
    count = len(record.readings)
    title = f"Who looked at your record: {count} entr{'y' if count == 1 else 'ies'} up to entry {record.at} of the log"
    lines = [title, "", *sentences] if sentences else [title, "", "Nobody looked."]
    if gaps:
        lines += ["", f"{gaps} of them could not be opened, so what they were is not told here."]
    report = {
        "format": FORMAT,
        "client_id": record.client_id,
        "at": record.at,
        "as_of": record.as_of,
        "count": count,
        "unreadable": gaps,
        "entries": entries,
    }
    return {
        "access-report/report.txt": ("\n".join(lines) + "\n").encode(),
        "access-report/report.json": readable_json(report),
        "access-report/audit-events.json": readable_json(
            {
                "resourceType": "Bundle",
                "type": "collection",
                "timestamp": record.as_of,
                "entry": [{"resource": audit_event(entry, record.deployment_id)} for entry in entries],
            }
        ),
    }


def _readings(record: ExportedRecord) -> list[Recorded]:
    """Return the readings that open, the newest first."""
    return [each.recorded for each in reversed(record.readings) if isinstance(each.recorded.event, AccessRecorded)]
