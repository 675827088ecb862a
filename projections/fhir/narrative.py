"""The document as people read it: one section of XHTML for each part of the record.

Source: FHIR R4 Narrative (txt-1: basic formatting only), documents (a section's text is what people are shown).

- Each resource has a heading of what it is, and below it every text that stands in it or with its events, in full, in
  an element that names its segment (rule 4 of `projections.fhir`).
- All of it is data: every character is escaped, a carriage return as a reference so that XML keeps it.
- Times are the clinic's; a heading says in words what codes say elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from projections.fhir.elements import Json
from projections.fhir.texts import shown

_LABELS = {"sections": "", "text": "", "reason": "Reason"}


def in_words(found: Json | None) -> str:
    """Return a code as people read it."""
    if not found:
        return ""
    (first, *_) = found.get("coding", [{}])
    return str(first.get("display") or first.get("code") or found.get("text") or "")


def _status(resource: Json) -> str:
    return str(resource.get("status") or resource.get("lifecycleStatus", ""))


def _all(concepts: Iterable[Json]) -> str:
    return ", ".join(each for each in map(in_words, concepts) if each)


def _value(resource: Json) -> str:
    if "valueQuantity" in resource:
        return f"{resource['valueQuantity']['value']:g}"
    if "valueInteger" in resource:
        return str(resource["valueInteger"])
    return in_words(resource.get("valueCodeableConcept")) or "no value"


def _observed(resource: Json) -> str:
    name = next((each["display"] for each in resource["code"].get("coding", []) if "display" in each), "Rating")
    bands = ", ".join(each["text"] for each in resource.get("interpretation", []) if "text" in each)
    return f"{name}: {_value(resource)}" + (f" ({bands})" if bands else "")


TITLES: dict[str, Callable[[Json], str]] = {
    "Patient": lambda _: "The client",
    "RelatedPerson": lambda one: f"Agreed for the client: {_all(one['relationship'])}",
    "EpisodeOfCare": lambda one: f"Course of care: {_all(one['type'])}",
    "CarePlan": lambda one: f"Plan: {one['title']}",
    "Condition": lambda _: "What brings the client",
    "Encounter": lambda one: f"Session: {_all(one.get('type', []))}",
    "Consent": lambda one: f"Consent: {in_words(one['category'][1])}",
    "QuestionnaireResponse": lambda one: f"Answers: {one['questionnaire'].rpartition('/')[2]}",
    "Observation": _observed,
    "Flag": lambda one: one["code"].get("text", "Flag"),
    "RiskAssessment": lambda one: f"Risk: {in_words(one['prediction'][0]['qualitativeRisk'])}",
    "Goal": lambda _: "Goal",
    "DocumentReference": lambda one: one.get("description") or in_words(one.get("type")) or "Note",
    "Communication": lambda one: f"Given to somebody outside: {in_words(one['reasonCode'][0])}",
}
"""Kind of resource → its heading."""

_DATES = (
    "date",
    "sent",
    "occurrenceDateTime",
    "effectiveDateTime",
    "authored",
    "dateTime",
    "recordedDate",
    "startDate",
)


def _when(resource: Json, zone: ZoneInfo) -> str:
    told = next((resource[name] for name in _DATES if name in resource), resource.get("period", {}).get("start"))
    if told is None or len(told) == len("2026-03-02"):
        return told or ""
    at = datetime.fromisoformat(told).astimezone(zone)
    return f"{at.year}-{at.month:02}-{at.day:02} {at.hour:02}:{at.minute:02}"


def block(resource: Json, texts: Mapping[str, str], zone: ZoneInfo) -> str:
    """Return what people read of one resource.

    Args:
        resource: of a kind in `TITLES`.
        texts: name of each segment that stands in it or with its events → its text.
        zone: the clinic's.
    """
    facts = " · ".join(each for each in (_when(resource, zone), _status(resource)) if each)
    lines = [f"<h3>{escaped(TITLES[resource['resourceType']](resource))}</h3>"]
    if facts:
        lines.append(f"<p>{escaped(facts)}</p>")
    lines += [_told(segment, text) for segment, text in texts.items()]
    return "".join(lines)


def _told(segment: str, text: str) -> str:
    field, _, key = segment.partition(":")[2].partition("/")
    label = key or _LABELS.get(field, field.replace("_", " "))
    heading = f"<p><b>{escaped(label)}</b></p>" if label else ""
    return f'{heading}<p class="segment" style="white-space: pre-wrap" title="{escaped(segment)}">{escaped(text)}</p>'


def div(inner: str) -> Json:
    """Return a Narrative; `inner` is XHTML already."""
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}


def escaped(text: str) -> str:
    """Return a text as XHTML shows it."""
    return html.escape(shown(text)).replace("\r", "&#13;")
