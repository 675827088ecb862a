"""Gathering one client's record for an export: every event and reading below one place of the log, opened.

Source: AUDIT E2, E3, E5; DOMAIN 4 (what was entered in error leaves the client's export); CRYPTO 2.

- The free texts of what was entered in error are withheld, those of the events that say so too: they may be about
  somebody else. Their headers stay: codes, times and scores, without which the rest could not be read back.
- An event that does not open is withheld whole; an alarm has been raised.
- Drafts are no events, so they are never in it.
- What it returns depends on nothing above the place, but for the clinic's settings of the zone and of naming staff.

It writes nothing.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import msgspec

from projections.export.material import ExportedEvent, ExportedReading, ExportedRecord, Shown, Withheld
from projections.sections.corrections import State as Corrections
from projections.sections.corrections import corrections_of
from records.checkpoint import origin_of
from records.epoch import genesis_fingerprint
from records.errors import InvalidContent, RuleBroken, UnknownClient
from records.event import Event, Recorded
from records.ledger import from_microseconds, read_entry
from records.payload import Segment
from records.reader import Reader
from records.sealing import segment_digest
from records.store.mapper import Unreadable
from records.store.unit import StoredRow

_IDS = re.compile(rb"-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""An id from its first hyphen on, which is found at once; eight digits stand before it."""


def gather(reader: Reader, client_id: UUID, at: int | None = None) -> ExportedRecord:
    """Open a record below a place of the log.

    Args:
        reader: of the clinic.
        client_id: whose.
        at: the ledger index below which it lies; None is the size of the newest checkpoint.

    Returns:
        The record. Cost: opens all its events and all its readings.

    Raises:
        UnknownClient: no event of such a client lies below that place.
        InvalidContent: `/at` is above the newest checkpoint.
        RuleBroken: `log-not-signed`: there is no checkpoint yet.
        Erased, KeyMissing: see `Reader.open`.
    """
    newest = reader.checkpoint()
    genesis = reader.body(0)
    if newest is None or genesis is None:
        raise RuleBroken("log-not-signed", "The log has no checkpoint yet; try again in a moment.")
    place = newest.size if at is None else at
    if place > newest.size:
        raise InvalidContent("/at", "Is above the newest checkpoint.")
    rows = [row for row in reader.rows(client_id) if row.position < place]
    if not rows:
        raise UnknownClient("no such client below that place of the log")
    opened = reader.open_salted(client_id, rows)
    corrections = corrections_of(recorded for recorded, _ in opened)
    events = tuple(
        _exported(row, recorded, salted, corrections) for row, (recorded, salted) in zip(rows, opened, strict=True)
    )
    read = [row for row in reader.access_rows(client_id) if row.position < place]
    told = reader.access_events(client_id, 0, len(read)) if read else []
    clinic, policy = reader.directory.clinic, reader.directory.clinic.policy
    (last,) = reader.log_entries(place - 1, place)
    return ExportedRecord(
        clinic=clinic.name,
        deployment_id=reader.deployment_id,
        origin=origin_of(reader.deployment_id),
        jurisdiction=policy.jurisdiction,
        time_zone=policy.timezone,
        client_id=client_id,
        at=place,
        as_of=from_microseconds(read_entry(last).logged_at_us),
        events=events,
        readings=tuple(
            ExportedReading(recorded=recorded, entry=row.entry) for row, recorded in zip(read, told, strict=True)
        ),
        staff=_staff(reader, events, told if policy.names_staff_to_clients else []),
        names_readers=policy.names_staff_to_clients,
        fingerprint=genesis_fingerprint(genesis),
    )


def _exported(
    row: StoredRow, recorded: Recorded, salted: tuple[tuple[bytes, Segment], ...], corrections: Corrections
) -> ExportedEvent:
    if isinstance(recorded.event, Unreadable):
        # Nothing of it is known: not even how many segments it has, so its entry stands alone.
        return ExportedEvent(recorded=recorded, entry=row.entry, segments=())
    subject = recorded.event.subject_id
    correction = None if subject is None else corrections.items.get(subject)
    if correction is None or not correction.in_error:
        segments = tuple(Shown(path=each.path, salt=salt, content=each.content) for salt, each in salted)
        return ExportedEvent(recorded=recorded, entry=row.entry, segments=segments)
    (salt, header), *texts = salted
    return ExportedEvent(
        recorded=msgspec.structs.replace(recorded, event=without_texts(recorded.event)),
        entry=row.entry,
        segments=(
            Shown(path=header.path, salt=salt, content=header.content),
            *(Withheld(digest=segment_digest(salt, text), reason="entered-in-error") for salt, text in texts),
        ),
    )


def without_texts(event: Event) -> Event:
    """Return an event whose free texts are empty: an empty mapping or text, None where the field may be that."""
    blank: dict[str, Any] = {}
    for name in event.free_text:
        value = getattr(event, name)
        blank[name] = {} if isinstance(value, dict) else ("" if value else value)
    return msgspec.structs.replace(event, **blank)


def _staff(reader: Reader, events: tuple[ExportedEvent, ...], readings: list[Recorded]) -> dict[str, str]:
    """Return the names of everybody who is named by id in the events, and of those who read, sorted by id."""
    headers = (segment.content for event in events for segment in event.segments[:1] if isinstance(segment, Shown))
    found = {header[max(at.start() - 8, 0) : at.end()] for header in headers for at in _IDS.finditer(header)}
    named = {each.decode(errors="replace") for each in found}
    named |= {reading.event.entered_by for reading in readings}
    names = {each: reader.directory.name_of(each) for each in sorted(named)}
    return {each: name for each, name in names.items() if name != each}
