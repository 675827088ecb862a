"""Data types of FHIR R4 as plain data: codes, references, times, extensions.

Source: FHIR R4 (4.0.1) data types.

- Codes of ours have systems below `LOCAL`; a code that FHIR cannot write is given in words.
- None stands for what is not known and is left out (`known`); an empty element is never written.
- Times are instants in UTC; days are the clinic's.

It knows no event.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from projections.fhir.texts import LOCAL, words

Json = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
NHS = "https://www.datadictionary.nhs.uk/attributes/"
TERMS = "http://terminology.hl7.org/CodeSystem/"
URI = "urn:ietf:rfc:3986"

_CODE = re.compile(r"[^\s\x00-\x1f]+( [^\s\x00-\x1f]+)*")
MARKS: list[Json] = [
    {"system": f"{TERMS}v3-Confidentiality", "code": "R", "display": "restricted"},
    {"system": f"{TERMS}v3-ActCode", "code": "PSY", "display": "psychiatry disorder information sensitivity"},
]
"""Security labels of everything clinical."""


def known(**elements: Any) -> Json:
    """Return the elements that are known."""
    return {name: value for name, value in elements.items() if value is not None and value != []}


def coding(system: str, code: str, display: str | None = None) -> Json:
    """Return a Coding."""
    return {"system": system, "code": code} if display is None else {"system": system, "code": code, "display": display}


def concept(system: str, code: str, display: str | None = None) -> Json:
    """Return a CodeableConcept of one code."""
    return {"coding": [coding(system, code, display)]}


def term(name: str, code: str, display: str | None = None) -> Json:
    """Return a code of one of HL7's own lists."""
    return concept(TERMS + name, code, display)


def local(name: str, code: str, display: str | None = None) -> Json:
    """Return a code of one of our lists, in words where FHIR cannot write the code."""
    if _CODE.fullmatch(code) is None:
        return {"text": words(code) or "unknown"}
    return concept(f"{LOCAL}CodeSystem/{name}", code, words(display))


def extension(name: str, kind: str, value: Any) -> Json:
    """Return an extension of ours; `kind` is the type of its value, such as `String`."""
    return {"url": f"{LOCAL}StructureDefinition/{name}", f"value{kind}": value}


def absent(reason: str) -> Json:
    """Return the extension that says why a value is not there."""
    return {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": reason}


def identifier(item: UUID) -> list[Json]:
    """Return an id of ours as identifiers."""
    return [{"system": URI, "value": item.urn}]


def instant(at: datetime) -> str:
    """Return a moment, in UTC, to the microsecond where it has any."""
    # A document has thousands of moments, and this writes them in an eighth of the time of `isoformat`.
    told: str = msgspec.to_builtins(at.astimezone(UTC))
    return told


def ended(found: Json, at: datetime) -> Json:
    """Return a period that has begun, ended at a moment, though never before it began."""
    begun = datetime.fromisoformat(found["start"])
    return found | {"end": instant(max(begun, at))}


def period(start: datetime | None, end: datetime | None = None) -> Json | None:
    """Return a period; None where neither side is known, or where it would end before it began."""
    if start is not None and end is not None and end < start:
        end = None
    found = known(start=None if start is None else instant(start), end=None if end is None else instant(end))
    return found or None
