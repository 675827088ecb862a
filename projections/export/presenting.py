"""An export as people read it: what it is, what endangers the client, how everything stands, and the whole history.

Source: AUDIT E1, E2; EU GDPR 12(1) (concise, intelligible, in plain language); decision 48.

- It is made from an `ExportedRecord` and nothing else, so the same record gives the same words.
- The order is that of need: facts, safety, identity, consents, treatments, goals, questionnaires, notes, disclosures,
  then the history with everything, then who looked.
- What is left out is said at the top, with why. Nothing withheld is in any line.

It draws nothing (`projections.export.page`).
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from projections.client_state import fold
from projections.client_view import ClientDocument, render_clinical
from projections.export.material import REASONS, ExportedRecord
from projections.export.presented import Entry, Presented
from projections.export.presenting_files import files
from projections.export.presenting_history import EventLines, history
from projections.export.presenting_notes import notes
from projections.export.presenting_readings import who_looked
from projections.export.presenting_safety import safety
from projections.export.presenting_summary import Summary
from projections.export.presenting_words import is_technical, moment, person
from projections.sections.viewing import Viewing
from records.actors import Actor, Relation, Role
from records.clinic_policy import ClinicPolicy
from records.reader import Asked


def present(record: ExportedRecord) -> Presented:
    """Return the document. Cost: grows with the record and its readings."""
    state = fold(each.recorded for each in record.events)
    # The view of a clinician is the one that holds everything; nobody of this name reads it.
    reading = Asked(
        client_id=record.client_id, actor=Actor("export", Role.THERAPIST), relation=Relation.TEAM, at=record.as_of
    )
    policy = ClinicPolicy(timezone=record.time_zone)
    viewing = Viewing(Role.THERAPIST, record.as_of, policy, lambda staff_id: person(record, staff_id))
    view = render_clinical(state, reading, record.client_id, viewing, team=())
    lines = EventLines(record)
    summary = Summary(record, view, lines)
    name = _name(view)
    return Presented(
        title=f"Health record of {name}" if name else "Health record",
        clinic=record.clinic,
        facts=_facts(record, name),
        sections=(
            safety(record, view, lines),
            summary.identity(),
            summary.consents(),
            summary.treatments(),
            summary.goals(),
            summary.questionnaires(),
            notes(record, lines),
            files(record, lines),
            summary.disclosures(state.corrections),
            history(record, state.corrections, lines),
            who_looked(record),
        ),
        created=record.as_of.isoformat().replace("+00:00", "Z"),
    )


def _name(view: ClientDocument) -> str:
    if view.identity is None:
        return ""
    return " ".join(part for part in (view.identity.given, view.identity.family) if part)


def _facts(record: ExportedRecord, name: str) -> tuple[tuple[str, str], ...]:
    events, readings = len(record.events), len(record.readings)
    return (
        ("For", name or "The name is not shown."),
        ("Given by", record.clinic),
        ("As it stood on", moment(record.as_of, ZoneInfo(record.time_zone))),
        ("Holds", f"{_count(events, 'entry', 'entries')} of the record, and {readings} about who looked at it"),
        ("Left out", _left_out(record)),
        ("Client number", str(record.client_id)),
        ("Name of the log", record.origin),
        (
            "Fingerprint, as this copy states it",
            f"{record.fingerprint} – it proves nothing by itself. Compare it, letter by letter, with the fingerprint "
            "on the papers that the clinic gave you.",
        ),
    )


def _left_out(record: ExportedRecord) -> str:
    if not record.left_out:
        return "Nothing"
    return " ".join(f"{_count(each.count, 'part', 'parts')}: {REASONS[each.reason]}" for each in record.left_out)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def for_paper(presented: Presented) -> Presented:
    """Return the document without numbers and codes, which would fill half of the paper; the page has them."""

    def plain(entry: Entry) -> Entry:
        return msgspec.structs.replace(
            entry, lines=tuple(line for line in entry.lines if not is_technical(line.place or ""))
        )

    sections = tuple(
        msgspec.structs.replace(section, entries=tuple(map(plain, section.entries))) for section in presented.sections
    )
    return msgspec.structs.replace(presented, sections=sections)
