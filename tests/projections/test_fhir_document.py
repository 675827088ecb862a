"""The FHIR document: valid R4, closed in itself, exact in its texts, silent about what is withheld."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import jsonschema_rs
import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.export.material import ExportedRecord, Shown, Withheld
from projections.fhir.document import to_fhir_json
from projections.fhir.draft import Draft, reference
from projections.fhir.mapping import MAPPING
from projections.fhir.texts import shown
from records import notes
from records.event import Recorded, topic_of
from records.registration import IdentityChanges, change_identity
from records.store.mapper import Unreadable
from tests.projections.fhir_record import Json, exact_texts, nodes, record_of, resources, to_fhir, told_texts
from tests.projections.histories import BEGIN, CANARY, THERAPIST, History, histories, long_history

SCHEMA = Path(__file__).with_name("fhir_r4_schema.json.gz")
CODES: dict[str, set[str]] = {
    system: set(codes.split())
    for line in Path(__file__).with_name("fhir_codes.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for system, _, codes in [line.rpartition(": ")]
}
OPEN = ("http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org", "urn:ietf:bcp:47")
"""Systems too large to list here; `measures.json` is where their codes are looked after."""
OURS = ("https://wellkept.example/fhir/", "https://www.datadictionary.nhs.uk/")
REQUIRED = {
    ("Bundle", "type"): "http://hl7.org/fhir/bundle-type",
    ("Composition", "status"): "http://hl7.org/fhir/composition-status",
    ("Composition", "confidentiality"): "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    ("Patient", "gender"): "http://hl7.org/fhir/administrative-gender",
    ("EpisodeOfCare", "status"): "http://hl7.org/fhir/episode-of-care-status",
    ("CarePlan", "status"): "http://hl7.org/fhir/request-status",
    ("CarePlan", "intent"): "http://hl7.org/fhir/request-intent",
    ("Encounter", "status"): "http://hl7.org/fhir/encounter-status",
    ("Consent", "status"): "http://hl7.org/fhir/consent-state-codes",
    ("QuestionnaireResponse", "status"): "http://hl7.org/fhir/questionnaire-answers-status",
    ("Observation", "status"): "http://hl7.org/fhir/observation-status",
    ("RiskAssessment", "status"): "http://hl7.org/fhir/observation-status",
    ("Flag", "status"): "http://hl7.org/fhir/flag-status",
    ("Goal", "lifecycleStatus"): "http://hl7.org/fhir/goal-status",
    ("DocumentReference", "status"): "http://hl7.org/fhir/document-reference-status",
    ("DocumentReference", "docStatus"): "http://hl7.org/fhir/composition-status",
    ("Communication", "status"): "http://hl7.org/fhir/event-status",
}
"""Element with a required binding → the list of its codes."""
PARTS = (
    ("relatesTo", "code", "http://hl7.org/fhir/document-relationship-type"),
    ("entity", "role", "http://hl7.org/fhir/provenance-entity-role"),
    ("statusHistory", "status", "http://hl7.org/fhir/episode-of-care-status"),
    ("activity", "status", "http://hl7.org/fhir/care-plan-activity-status"),
)
"""Parts of resources, by name, with the element that is bound."""
NOTE, ADDENDUM = UUID(int=7, version=4), UUID(int=8, version=4)
UNREADABLE = Unreadable(occurred_at=BEGIN, entered_by="unknown", request_id="unknown")
MASKED = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
CLINICAL = {kind for kind, _ in REQUIRED} - {"Bundle", "Composition"} | {"Condition", "RelatedPerson"}
HOSTILE = (
    "<script>alert(1)</script>",
    "a ]]> b",
    "\u202etxet\u202c",
    "\U0001f469\u200d\U0001f4bb",
    "nul \0 here",
    "line\r\nfeed\rreturn",
    "wide\u3000space\xa0",
    "\ufeff\uffff",
    "",
    " ",
    "\xa0",
    "word " * 2000,
)


@cache
def validator(kind: str) -> Any:
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    return jsonschema_rs.validator_for(schema | {"$ref": f"#/definitions/{kind}"})


def problems(document: Json) -> Iterator[str]:
    """Yield what R4's JSON schema, the bindings and the invariants find in a document."""
    yield from (f"{each.instance_path} {each.message[:200]}" for each in validator("Bundle").iter_errors(document))
    entries = document["entry"]
    # bdl-9, bdl-10, bdl-11
    if not document["identifier"].get("system") or not document["identifier"].get("value"):
        yield "bdl-9"
    if not document.get("timestamp"):
        yield "bdl-10"
    if entries[0]["resource"]["resourceType"] != "Composition":
        yield "bdl-11"
    urls = [each["fullUrl"] for each in entries]
    if len(urls) != len(set(urls)):
        yield "bdl-7"
    kinds = {each["fullUrl"]: each["resource"]["resourceType"] for each in entries}
    for node in nodes(document):
        if "reference" in node and isinstance(node["reference"], str) and kinds.get(node["reference"]) != node["type"]:
            yield f"unresolved {node}"
        valued = any(key.strip("_").startswith("value") for key in node)
        if "url" in node and "contentType" not in node and ("extension" in node) == valued:
            yield f"ext-1 {node}"
        if "system" in node and "code" in node:
            yield from _unknown_code(node["system"], node["code"])
        if "start" in node and "end" in node and _at(node["end"]) < _at(node["start"]):
            yield f"per-1 {node}"
    for entry in entries:
        yield from _invariants(entry["resource"])
        yield from _parts(entry["resource"])


def _at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def _unknown_code(system: str, code: str) -> Iterator[str]:
    if system not in OPEN and not system.startswith(OURS) and code not in CODES.get(system, set()):
        yield f"code {system} {code}"


def _parts(resource: Json) -> Iterator[str]:
    """Yield the codes of required bindings within parts of a resource that their list does not have."""
    for name, element, system in PARTS:
        parts = resource.get(name, [])
        for each in parts if isinstance(parts, list) else []:
            code = each.get("detail", each)[element]
            if code not in CODES[system]:
                yield f"binding {name}.{element} {code}"


def _invariants(resource: Json) -> Iterator[str]:
    kind = resource["resourceType"]
    for (of, element), system in REQUIRED.items():
        if of == kind and element in resource and resource[element] not in CODES[system]:
            yield f"binding {kind}.{element} {resource[element]}"
    values = [key for key in resource if key.startswith("value")]
    if kind == "Observation" and len(values) + ("dataAbsentReason" in resource) != 1:
        yield "obs-6, one value"
    if kind == "Goal" and any("measure" not in each for each in resource.get("target", []) if len(each) > 1):
        yield "gol-1"
    if kind == "Consent" and not (resource.get("policy") or resource.get("policyRule")):
        yield "ppc-1"
    if kind == "Composition" and any(not each.get("text") and not each.get("entry") for each in resource["section"]):
        yield "cmp-1"


def segments(record: ExportedRecord) -> list[tuple[str, bytes]]:
    """Return the free texts that a record shows."""
    return [
        (f"{event.recorded.version}:{each.path}", each.content)
        for event in record.events
        for each in event.segments[1:]
        if isinstance(each, Shown)
    ]


def require_whole(record: ExportedRecord) -> Json:
    """Return the document, after all that must hold of any was asked of it."""
    document = require_exact(record)
    Bundle.model_validate_json(msgspec.json.encode(document))
    return document


def require_exact(record: ExportedRecord) -> Json:
    """Return the document, after all but what a library says of it, which takes longest."""
    document = to_fhir(record)
    assert list(problems(document)) == []
    texts = segments(record)
    assert sorted(exact_texts(document)) == sorted(texts)
    assert sorted(told_texts(document)) == sorted((name, shown(text.decode())) for name, text in texts)
    targets = {each["reference"] for one in resources(document, "Provenance") for each in one["target"]}
    for entry in document["entry"]:
        if entry["resource"]["resourceType"] in CLINICAL - {"Patient"}:
            assert entry["fullUrl"] in targets
            assert {each["code"] for each in entry["resource"]["meta"]["security"]} == {"R", "PSY"}
    assert len(resources(document, "Provenance")) == sum(bool(each.segments) for each in record.events)
    return document


@given(histories)
@settings(max_examples=20, deadline=None)
def test_any_history_becomes_a_valid_document_with_every_text_in_its_place(history: History) -> None:
    require_whole(record_of(history.events))


@pytest.mark.parametrize("seed", range(4))
def test_long_histories_hold_every_kind_of_resource(seed: int) -> None:
    document = require_whole(record_of(long_history(seed, 400).events))
    kinds = {each["resource"]["resourceType"] for each in document["entry"]}
    assert CLINICAL - {"RelatedPerson"} <= kinds


def test_the_same_record_gives_the_same_bytes() -> None:
    events = long_history(3, 200).events
    assert to_fhir_json(record_of(events)) == to_fhir_json(record_of(events))
    document = json.loads(to_fhir_json(record_of(events)))
    composition = document["entry"][0]["resource"]
    assert document["timestamp"] == composition["date"] == "2027-02-09T09:00:00Z"


def retold(events: Iterable[Recorded], texts: Iterable[str]) -> list[Recorded]:
    """Return events whose free texts are others, taken in turn."""
    source = cycle(texts)
    found = []
    for each in events:
        fields = {name: getattr(each.event, name) for name in each.event.free_text}
        told: Json = {
            name: {key: next(source) for key in value} if isinstance(value, dict) else next(source)
            for name, value in fields.items()
            if value is not None
        }
        found.append(msgspec.structs.replace(each, event=msgspec.structs.replace(each.event, **told)))
    return found


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:9]))
def test_a_hostile_text_stays_data_and_stays_exact_in_every_place(text: str) -> None:
    require_whole(record_of(retold(long_history(1, 250).events, [text])))


@given(st.integers(0, 3), st.lists(st.text() | st.sampled_from(HOSTILE), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_any_text_stays_exact(seed: int, texts: list[str]) -> None:
    require_whole(record_of(retold(long_history(seed, 200).events, texts)))


@given(st.text(max_size=20) | st.sampled_from(HOSTILE))
@settings(max_examples=20, deadline=None)
def test_any_identity_gives_a_valid_patient(words: str) -> None:
    history = History()
    for name in ("family", "preferred_name", "gender", "pronouns", "address", "phone", "email", "gp"):
        history.do(change_identity, item="identity", changes=IdentityChanges(**{name: words}))
    history.do(change_identity, item="identity", changes=IdentityChanges(emergency_contact=words))
    require_whole(record_of(history.events, clinic=f"Clinic <b>{words}", staff={THERAPIST.id: words}))


@given(st.integers(0, 5), st.sets(st.integers(0, 90)))
@settings(max_examples=20, deadline=None)
def test_what_does_not_open_is_counted_and_the_rest_is_valid(seed: int, gaps: set[int]) -> None:
    events = [
        msgspec.structs.replace(each, event=UNREADABLE) if place in gaps else each
        for place, each in enumerate(long_history(seed, 200).events)
    ]
    document = require_whole(record_of(events))
    count = sum(each.event is UNREADABLE for each in events)
    about = document["entry"][0]["resource"]["section"][-1]["text"]["div"]
    assert (f"Left out: {count}. Could not be opened" in about) == bool(count)


@pytest.mark.parametrize("topic", sorted(MAPPING))
def test_a_record_without_any_event_of_a_topic_is_still_valid(topic: str) -> None:
    events = [
        msgspec.structs.replace(each, event=UNREADABLE) if topic_of(each.event) == topic else each
        for each in long_history(1, 400).events
    ]
    require_exact(record_of(events))


def test_no_word_of_what_is_withheld_is_in_the_document_even_where_an_event_has_it() -> None:
    hidden = 0
    for seed in range(6):
        events = long_history(seed, 150).events
        told = retold(events, (f"secretword{number}z" for number in range(9999)))
        record = record_of(told)
        # As if whoever gathered the record had left the texts in the events: only segments count.
        left_in = zip(record.events, told, strict=True)
        whole = tuple(msgspec.structs.replace(each, recorded=recorded) for each, recorded in left_in)
        document = to_fhir(msgspec.structs.replace(record, events=whole))
        shown_words = {content.decode() for _, content in segments(record)}
        data = (base64.b64decode(node["data"]).decode() for node in nodes(document) if "data" in node)
        text = json.dumps(document) + "".join(data)
        assert set(re.findall(r"secretword\d+z", text)) == shown_words
        hidden += sum(isinstance(part, Withheld) for each in record.events for part in each.segments)
    assert hidden > 20


def test_a_text_in_error_leaves_a_resource_that_says_so() -> None:
    history = History()
    history.do(notes.sign_note, note_id=NOTE, kind="progress", format="free", sections={"text": CANARY})
    history.do(notes.add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text=CANARY, item="notes", item_id=NOTE)
    history.do(notes.mark_note_entered_in_error, note_id=NOTE, reason=CANARY, item="notes", item_id=NOTE)
    document = require_whole(record_of(history.events))
    for note in resources(document, "DocumentReference"):
        assert (note["status"], note["docStatus"]) == ("entered-in-error", "entered-in-error")
        assert note["content"] == [{"attachment": {"extension": [MASKED]}}]
    assert len(resources(document, "DocumentReference")) == 2
    assert "Left out: 3. Marked by the clinic as written into this record by mistake" in json.dumps(document)


def test_notes_replace_and_append() -> None:
    history = History()
    history.do(notes.sign_note, note_id=NOTE, kind="progress", format="free", sections={"text": "as signed"})
    history.do(notes.add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text="more", item="notes", item_id=NOTE)
    history.do(
        notes.amend_note,
        note_id=NOTE,
        format="free",
        sections={"text": "put right"},
        reason="A slip.",
        item="notes",
        item_id=NOTE,
    )
    document = require_whole(record_of(history.events))
    signed, addendum, amended = resources(document, "DocumentReference")
    assert [each["status"] for each in (signed, addendum, amended)] == ["superseded", "current", "current"]
    assert addendum["relatesTo"] == [{"code": "appends", "target": reference(signed)}]
    assert amended["relatesTo"] == [{"code": "replaces", "target": reference(signed)}]
    assert base64.b64decode(amended["content"][0]["attachment"]["data"]) == b"put right"
    (why,) = [each for each in resources(document, "Provenance") if "reason" in each]
    assert why["reason"][0]["text"] == "A slip."
    assert why["activity"]["coding"][0]["code"] == "amend"
    assert why["target"] == [reference(amended), reference(signed)]


def test_an_id_is_uuid5_of_kind_and_item() -> None:
    record = record_of(History().events)
    for kind, key in (
        ("Patient", record.client_id),
        ("Provenance", 1),
        ("Observation", f"{NOTE}/risk"),
        ("Encounter", None),
    ):
        assert Draft(record).address(kind, key) == uuid5(record.client_id, f"{kind}/{key}").urn


def test_a_provenance_names_the_event_in_the_log() -> None:
    record = record_of(History().events)
    (provenance,) = resources(to_fhir(record), "Provenance")
    leaf = hashlib.sha256(b"\0" + record.events[0].entry).hexdigest()
    assert provenance["entity"][0]["what"]["identifier"] == {
        "system": record.deployment_id.urn,
        "value": f"1/{record.events[0].recorded.index}/{leaf}",
    }
    assert provenance["recorded"].endswith("Z")
    assert provenance["agent"][0]["who"] == reference(resources(to_fhir(record), "Practitioner")[0])
