"""A record as one FHIR R4 document: a Bundle that begins with a Composition.

Source: FHIR R4 documents, Bundle (bdl-9, bdl-10, bdl-11), Composition; LOINC 11503-0 (medical records); AUDIT E2, E5.

- Base R4; no profile is claimed. Every reference that has an address resolves within the Bundle.
- A pure function of the exported record: the only date of its own is `as_of`, ids follow from ids.
- What does not open is counted in the last section, with whatever else was left out.
- What a program may check is in `projections.fhir`.

It signs nothing: what proves it is the bundle that it is part of (`projections.export`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from projections.export.material import REASONS, ExportedRecord
from projections.export.record_json import readable_json
from projections.fhir import assessments, attachments, consents, disclosures, episodes, goals, notes, risk, sessions
from projections.fhir.draft import Draft, Told, reference
from projections.fhir.elements import LOINC, URI, Json, concept, instant
from projections.fhir.mapping import MAPPING, WITHOUT
from projections.fhir.narrative import block, div, escaped
from projections.fhir.provenance import Written, write
from records.event import topic_of
from records.store.mapper import Unreadable

CLIENT = "The client"
ABOUT = "About this copy"
SECTIONS = (
    CLIENT,
    episodes.SECTION,
    sessions.SECTION,
    consents.SECTION,
    assessments.SECTION,
    risk.SECTION,
    goals.SECTION,
    notes.SECTION,
    attachments.SECTION,
    disclosures.SECTION,
    disclosures.HOLDS,
)
"""Titles in the order of reading; an empty section is left out."""


def to_fhir_json(record: ExportedRecord) -> bytes:
    """Return the document as the file of a bundle: JSON in UTF-8, the same bytes for the same record.

    Cost: a few times the record's size.
    """
    draft = Draft(record)
    draft.sections[CLIENT] = {draft.address("Patient", record.client_id): None}
    for exported in record.events:
        event = exported.recorded.event
        if isinstance(event, Unreadable):
            continue
        told = Told(exported)
        topic = topic_of(event)
        draft.touch(told, [] if topic in WITHOUT else MAPPING[topic](draft, event, told))
    resources = write(draft)
    composition = _composition(draft, resources)
    return readable_json(
        {
            "resourceType": "Bundle",
            "identifier": {"system": URI, "value": draft.address("Bundle", record.at)},
            "type": "document",
            "timestamp": instant(record.as_of),
            "entry": [
                {"fullUrl": f"urn:uuid:{composition['id']}", "resource": composition},
                *({"fullUrl": url, "resource": msgspec.Raw(each.data)} for url, each in resources.items()),
            ],
        }
    )


def _composition(draft: Draft, resources: Mapping[str, Written]) -> Json:
    record = draft.record
    return draft.add(
        "Composition",
        record.at,
        None,
        identifier={"system": URI, "value": draft.address("Composition", "identifier")},
        status="final",
        type=concept(LOINC, "11503-0", "Medical records"),
        subject=reference(draft.patient),
        date=instant(record.as_of),
        author=[reference(draft.clinic)],
        title="Record of psychotherapy",
        confidentiality="R",
        custodian=reference(draft.clinic),
        section=[*_sections(draft, resources), _about(record)],
    )


def _sections(draft: Draft, resources: Mapping[str, Written]) -> list[Json]:
    texts = {told.segment(path): text for told, _ in draft.touched for path, text in told.texts.items()}
    standing = {address: list(each.segments) for address, each in resources.items()}
    for provenance in draft.of_kind("Provenance"):
        standing[provenance["target"][0]["reference"]] += resources[f"urn:uuid:{provenance['id']}"].segments
    found = []
    for title in SECTIONS:
        places = draft.sections.get(title, {})
        if places:
            told = (
                block(draft.resources[url], {each: texts[each] for each in standing[url]}, draft.zone) for url in places
            )
            entry = [reference(draft.resources[url]) for url in places]
            found.append({"title": title, "text": div("".join(told)), "entry": entry})
    return found


def _about(record: ExportedRecord) -> Json:
    lines = [f"{len(record.events)} events below entry {record.at} of the log {record.origin}."]
    lines += [f"Left out: {each.count}. {REASONS[each.reason]}" for each in record.left_out]
    return {"title": ABOUT, "text": div("".join(f"<p>{escaped(line)}</p>" for line in lines))}
