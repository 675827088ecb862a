"""The words of an export: what each topic, field and code is called, and how times and staff are told.

Source: AUDIT E1 (a person must be able to read the record); DOMAIN for the codes.

- A topic, field or code that has no words here is shown by its own name, so that a new one is never left out.
- Times are the clinic's, and name their zone. Dates without a time are as they were written.
- A person of the clinic is named where the record names them, and else told without a name.

It decides neither order nor place (`projections.export.presenting_history`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from projections.export.material import ExportedRecord
from records.attachments import KINDS, MAKERS
from records.care_codes import ATTENDANCE, DISCHARGES, MODES
from records.disclosures import BASES

TOPICS: dict[str, str] = {
    "client.registered": "Registered at the clinic",
    "client.identity_changed": "Personal details changed",
    "client.death_recorded": "Death recorded",
    "client.death_entered_in_error": "Record of a death taken back",
    "consent.offered": "Consent asked for",
    "consent.given": "Consent given",
    "consent.refused": "Consent refused",
    "consent.withdrawn": "Consent withdrawn",
    "consent.entered_in_error": "Consent marked as entered in error",
    "episode.opened": "Treatment began",
    "episode.phase_set": "Phase of treatment set",
    "episode.protocol_changed": "Plan of treatment changed",
    "episode.closed": "Treatment ended",
    "session.booked": "Session booked",
    "session.rescheduled": "Session moved",
    "session.cancelled": "Session cancelled",
    "session.attendance_recorded": "Attendance recorded",
    "session.held": "Session held",
    "session.breach_recorded": "Session held although a consent was missing",
    "session.breach_reviewed": "Missing consent reviewed",
    "session.entered_in_error": "Session marked as entered in error",
    "assessment.recorded": "Questionnaire filled in",
    "assessment.entered_in_error": "Questionnaire marked as entered in error",
    "risk.assessed": "Risk assessed",
    "risk.prompt_cleared": "Answer about risk followed up",
    "risk.entered_in_error": "Risk assessment marked as entered in error",
    "goal.set": "Goal set",
    "goal.reworded": "Goal put in other words",
    "goal.rated": "Goal rated",
    "goal.paused": "Goal paused",
    "goal.resumed": "Goal taken up again",
    "goal.achieved": "Goal achieved",
    "goal.partly_achieved": "Goal partly achieved",
    "goal.abandoned": "Goal given up",
    "goal.reopened": "Goal opened again",
    "goal.entered_in_error": "Goal marked as entered in error",
    "note.signed": "Note signed",
    "note.amended": "Note amended",
    "note.addendum_signed": "Addition to a note signed",
    "note.entered_in_error": "Note marked as entered in error",
    "attachment.added": "File added",
    "attachment.returned": "Original of a file given back",
    "attachment.entered_in_error": "File marked as entered in error",
    "record.imported": "Record taken over from another clinic",
    "disclosure.made": "Information given to somebody else",
    "disclosure.entered_in_error": "Disclosure marked as entered in error",
    "legal_hold.placed": "Record kept from being erased",
    "legal_hold.lifted": "Record no longer kept from being erased",
}
"""Topic → what happened."""

FIELDS: dict[str, str] = {
    "about": "About what took place on",
    "alternative_text": "What the picture shows",
    "cleaned": "Place, time and names that a camera had written into it were left out",
    "actions": "What was agreed or done",
    "agreed_by": "Agreed by",
    "authorised_by": "Answered for by",
    "basis": "On the basis of",
    "booked": "Was booked before",
    "by": "Cancelled by",
    "caseness": "At or above the cut-off",
    "channel": "How it was said",
    "code": "Attendance",
    "died_on": "Died on",
    "entered_by": "Written by",
    "format": "Form",
    "gp": "General practitioner",
    "in_session": "Filled in during a session",
    "level": "Level, as the clinician judged it",
    "made_by": "Made by",
    "media_type": "Kind of file",
    "medium": "Made of",
    "missing": "Missing",
    "minutes": "Length in minutes",
    "nhs_number": "NHS number",
    "number": "Number of the session",
    "occurred_at": "Happened on",
    "originally_recorded_at": "First recorded elsewhere on",
    "prorated": "Total estimated from the answered items",
    "reported_by": "Reported by",
    "scope": "Covers",
    "score": "Total score",
    "sha256": "Digest of the file",
    "size": "Size in bytes",
    "score_only": "Only the total is known",
    "start": "Begins",
    "started_at": "Began",
    "ended_at": "Ended",
    "taken_at": "Filled in on",
    "text": "Text",
    "text_sha256": "Digest of the text that was shown",
    "manifest_sha256": "Digest of what was given",
    "text_version": "Version of the text",
    "who_told": "Who was told",
    "registered_at": "Registered on",
    "family": "Family name",
    "given": "Given names",
    "recipient_kind": "Kind of recipient",
    "late_entry": "Written late",
}
"""Field → its label, where its own name does not say it well."""

AREAS: dict[str, str] = {
    "ideation": "Thoughts of suicide",
    "intent": "An intent to act",
    "plan": "A plan",
    "means": "Means at hand",
    "past-attempts": "Past attempts",
}
"""Area of a risk assessment → its label, where its own name does not say it well."""

AROUND: dict[str, str] = {
    "anchors": "What this level means",
    "details": "Details",
    "findings": "Asked about",
    "concurrent_therapies": "Other therapy",
    "reopens": "Opens again",
    "risk_prompt": "Answer that asks for a follow-up",
    "form": "Form that was shown",
    "changes": "New",
}
"""Field that holds others → what is said before their labels."""

_CODED = frozenset(
    {
        *("kind", "status", "level", "outcome", "method", "methods", "given_by", "channel", "setting", "mode", "code"),
        "format",
        *("phase", "phases", "scale", "scope", "agreed_by", "rater", "by", "findings", "referral", "recipient_kind"),
        *("completed_by", "missing", "reported_by", "basis", "person", "authority"),
    }
)
"""Fields whose values are codes; one that is not known by a table is spelled out."""
_STAFF = frozenset(
    {"entered_by", "authorised_by", "second_person", "received_by", "supervisor", "reported_by", "witnessed_by"}
)
_ALWAYS_STAFF = frozenset({"entered_by", "authorised_by", "second_person"})
_BY_FIELD: dict[str, dict[str, str]] = {"mode": MODES, "code": ATTENDANCE, "basis": BASES}
_BY_TOPIC: dict[tuple[str, str], dict[str, str]] = {
    ("episode.closed", "reason"): DISCHARGES,
    ("attachment.added", "kind"): KINDS,
    ("attachment.added", "made_by"): MAKERS,
}
_TECHNICAL = frozenset(
    {
        *("topic", "request_id", "text_sha256", "manifest_sha256", "measure_version", "form_version", "scorer"),
        *("supersedes", "restores", "media_type", "size", "sha256"),
    }
)
_CODE = re.compile(r"[a-z]+([-_][a-z]+)*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
NAMES = 1024
"""How many names of fields are remembered with what they are called; never what a field holds."""
UNNAMED = "a member of the clinic's staff, who is not named here"


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def json_text(value: Any) -> str:
    """Return the one JSON text by which a value that is no string is shown and compared."""
    return _JSON.encode(value)


@lru_cache(maxsize=NAMES)
def title_of(topic: str) -> str:
    """Return what happened."""
    return TOPICS.get(topic, _spelled(topic.replace(".", ": ")))


@lru_cache(maxsize=NAMES)
def label_of(parts: tuple[str, ...]) -> str:
    """Return the label of a place; its parts are names, numbers of a list included."""
    own = parts[-1]
    words = AREAS if parts[0] in ("findings", "details") else FIELDS
    label = f"Number {int(own) + 1}" if own.isdecimal() else words.get(own, _spelled(own))
    before = [AROUND[part] for part in parts[:-1] if part in AROUND]
    numbers = [str(int(part) + 1) for part in parts[1:-1] if part.isdecimal()]
    head = " ".join((*before, *numbers))
    return f"{head}: {label}" if head else label


@lru_cache(maxsize=NAMES)
def is_technical(place: str) -> bool:
    """Say whether a place of the header holds what only programs and clerks need."""
    name = place.rpartition("/")[2]
    return place.startswith("/") and (name in _TECHNICAL or name.endswith("_id"))


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Return a moment in the clinic's zone, which is named: `2 March 2026, 10:00 (Europe/London)`."""
    local = at.astimezone(zone)
    return f"{day(local)}, {local.hour:02}:{local.minute:02} ({zone.key})"


def day(on: date) -> str:
    """Return a day: `2 March 2026`."""
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def person(record: ExportedRecord, staff_id: str) -> str:
    """Return who somebody of the clinic is, or that they are not named."""
    return record.staff.get(staff_id, UNNAMED)


class Field(NamedTuple):
    """What is known of a field of a header before its value is read.

    Attributes:
        codes: code → what it means.
        is_staff: whether a value that is a known person is told by name.
        is_always_staff: whether every value is a person.
        is_coded: whether a value that looks like a code is spelled out.
    """

    codes: Mapping[str, str]
    is_staff: bool
    is_always_staff: bool
    is_coded: bool


@lru_cache(maxsize=NAMES)
def field_of(topic: str, parts: tuple[str, ...]) -> Field:
    """Return what is known of a field, by the event's topic and the names from the header's top to it."""
    names = [part for part in parts if not part.isdecimal()]
    own = names[-1] if names else ""
    return Field(
        codes=_BY_TOPIC.get((topic, own), _BY_FIELD.get(own, {})),
        is_staff=own in _STAFF,
        is_always_staff=own in _ALWAYS_STAFF,
        is_coded=not _CODED.isdisjoint(names),
    )


def in_words(record: ExportedRecord, field: Field, value: Any) -> str:
    """Return a value of a header as people read it.

    Args:
        record: whose staff and zone are told.
        field: where the value stands.
        value: what JSON gave: a scalar, a list of scalars, or an empty list or mapping.
    """
    if isinstance(value, str):
        return _text_in_words(record, field, value)
    if value is None or value in ([], {}):
        return "None"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join([in_words(record, field, each) for each in value])
    return str(value)


def _text_in_words(record: ExportedRecord, field: Field, value: str) -> str:
    if value in field.codes:
        return field.codes[value][:1].upper() + field.codes[value][1:]
    if field.is_staff and (value in record.staff or field.is_always_staff):
        return person(record, value)
    try:
        # Most values are no dates, and by where a moment has its T they need not be read whole.
        if value[10:11] == "T" and _MOMENT.fullmatch(value):
            return moment(datetime.fromisoformat(value), ZoneInfo(record.time_zone))
        if len(value) == len("2026-03-02") and _DAY.fullmatch(value):
            return day(date.fromisoformat(value))
    except (ValueError, OverflowError):
        return value  # a text that only looks like a date is shown as it is
    if field.is_coded and _CODE.fullmatch(value):
        return _spelled(value)
    return value


def _spelled(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] if words else name
