"""AuditEvents: valid R4, in the shape of IHE BALP, with known codes, and nothing of a record in them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle

from projections.audit_entry import CHANGED, AuditEntry
from projections.audit_fhir import PROFILES, audit_event, bundle
from records.actors import Purpose
from records.catalogue import CATALOGUE
from records.event import topic_of
from records.policy import TABLE

LOG, CLIENT, NOTE, JO = uuid4(), uuid4(), uuid4(), str(uuid4())
AT = datetime(2026, 10, 12, 13, 5, 0, 123456, tzinfo=UTC)
CODES: dict[str, set[str]] = {
    system: set(codes.split())
    for line in Path(__file__).with_name("fhir_codes.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for system, _, codes in [line.rpartition(": ")]
}
NEWER_PURPOSES = {"HCOMPL"}
"""Codes of PurposeOfUse that came after R4; the binding is extensible, and CONTRACT names them."""
REQUIRED = {
    "action": CODES["http://hl7.org/fhir/audit-event-action"],
    "outcome": CODES["http://terminology.hl7.org/CodeSystem/audit-event-outcome"],
}


def entry(**fields: Any) -> AuditEntry:
    known: dict[str, Any] = {"actor": JO, "actor_name": "Jo Lind", "role": "therapist", "relation": "team"}
    known |= {"index": 7, "at": AT, "client_id": CLIENT, "action": "client.view", "purpose": "TREAT"}
    known |= {"address": "203.0.113.9", "request_id": "r1", "lifecycle": "access", "text": "Told."}
    return AuditEntry(**known | fields)


def change(topic: str) -> AuditEntry:
    lifecycle = CATALOGUE[topic].lifecycle
    known = {"kind": "change", "index": 8, "at": AT, "actor": JO, "action": topic, "about": JO, "detail": "supervisor"}
    return AuditEntry(**known, client_id=CLIENT, lifecycle=lifecycle, request_id="r2", text="Told.")


def every_entry() -> Iterator[AuditEntry]:
    for action in (*TABLE, "sign_in"):
        for client in (CLIENT, None):
            yield entry(action=action, client_id=client)
            for reason in ("role", "relation", "purpose", "consent-missing", "malformed", "unauthenticated"):
                yield entry(action=action, client_id=client, outcome="deny", reason=reason, purpose=None)
    for purpose in Purpose:
        yield entry(purpose=purpose.value)
    for address in ("local", "2001:db8::1", "unknown", None):
        yield entry(address=address, resource=NOTE, action="note.view")
    yield entry(actor=None, actor_name=None, address=None)
    yield entry(actor="operator:root", role="operator", relation="none")
    yield from (change(topic_of(cls)) for cls in CHANGED)


EVERY = list(every_entry())


def codings(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "system" in node and "code" in node:
            yield node["system"], node["code"]
        for inner in node.values():
            yield from codings(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from codings(inner)


@pytest.mark.parametrize("told", EVERY, ids=lambda e: f"{e.action}-{e.outcome}-{e.reason}-{e.address}")
def test_every_entry_is_a_valid_event_of_known_codes(told: AuditEntry) -> None:
    event = audit_event(told, LOG)
    read = AuditEvent.model_validate_json(msgspec.json.encode(event))
    assert read.source.observer.identifier.value == LOG.urn
    for name, allowed in REQUIRED.items():
        assert event[name] in allowed
    for agent in event["agent"]:
        assert agent.get("network", {}).get("type", "1") in CODES["http://hl7.org/fhir/network-type"]
    for system, code in codings(event):
        assert code in CODES[system] or code in NEWER_PURPOSES, (system, code)
    assert {code for system, code in codings(event) if system.endswith("iso-21089-lifecycle")} == {told.lifecycle}
    assert [agent["requestor"] for agent in event["agent"]].count(True) == 1


def test_every_event_of_ours_has_one_known_lifecycle_code() -> None:
    known = CODES["http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"]
    assert {topic: cls.lifecycle for topic, cls in CATALOGUE.items() if cls.lifecycle not in known} == {}


def by_type(event: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the one agent of a type."""
    (found,) = [agent for agent in event["agent"] if agent["type"]["coding"][0]["code"] == code]
    return found


def test_a_reading_has_the_shape_of_balp_patient_read() -> None:
    event = audit_event(entry(action="note.view", resource=NOTE), LOG)
    assert event["meta"]["profile"] == [PROFILES + "PatientRead"]
    assert (event["type"]["code"], event["action"], event["outcome"]) == ("rest", "R", "0")
    assert event["subtype"][0]["code"] == "read"
    assert event["recorded"] == "2026-10-12T13:05:00.123Z"
    client, server, user = (by_type(event, code) for code in ("110152", "110153", "IRCP"))
    assert client["network"] == {"address": "203.0.113.9", "type": "2"}
    assert server["network"]["address"] == LOG.urn
    assert "network" not in user
    assert (user["requestor"], user["name"], user["who"]["identifier"]["value"]) == (True, "Jo Lind", UUID(JO).urn)
    assert user["role"] == [{"text": "therapist"}, {"text": "relation: team"}]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    data, patient, transaction = event["entity"]
    assert (data["type"]["code"], data["role"]["code"], data["what"]["identifier"]["value"]) == ("2", "4", NOTE.urn)
    assert (patient["type"]["code"], patient["role"]["code"]) == ("1", "1")
    assert patient["what"] == {
        "type": "Patient",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": CLIENT.urn},
    }
    assert transaction["what"]["identifier"]["value"] == "r1"
    # BALP keeps these empty in a reading.
    assert all(not {"lifecycle", "name", "query", "detail"} & set(entity) for entity in event["entity"])


def test_a_list_has_the_shape_of_balp_patient_query_and_keeps_no_search_term() -> None:
    event = audit_event(entry(action="client.list"), LOG)
    assert event["meta"]["profile"] == [PROFILES + "PatientQuery"]
    assert (event["action"], event["subtype"][0]["code"]) == ("E", "search")
    assert (by_type(event, "110153")["network"]["type"], by_type(event, "110152")["network"]["type"]) == ("2", "5")
    query = event["entity"][0]
    assert query["role"]["code"] == "24"
    assert base64.b64decode(query["query"]) == b"client.list"
    assert "what" not in query
    alone = audit_event(entry(action="client.list", client_id=None), LOG)
    assert alone["meta"]["profile"] == [PROFILES + "Query"]


@pytest.mark.parametrize(
    ("reason", "kind"), [("role", "AuthZ-Role"), ("relation", "AuthZ-Role"), ("consent-missing", "AuthZ-Consent")]
)
def test_a_refusal_is_an_authorisation_decision_with_its_reason(reason: str, kind: str) -> None:
    event = audit_event(entry(outcome="deny", reason=reason), LOG)
    assert (event["type"]["code"], event["subtype"][0]["code"], event["action"]) == ("110113", kind, "E")
    assert (event["outcome"], event["outcomeDesc"]) == ("8", reason)
    types = [agent["type"]["coding"][0]["code"] for agent in event["agent"]]
    assert types == ["110150", "IRCP", "PROV", "authserver"]
    assert "meta" not in event
    assert event["entity"][1]["detail"] == [{"type": "action", "valueString": "client.view"}]


def test_a_profile_is_claimed_only_where_it_is_kept() -> None:
    for told in EVERY:
        claims = "meta" in audit_event(told, LOG)
        assert claims <= (told.kind == "access" and told.outcome == "permit" and told.address is not None)


def test_a_change_says_whose_account_and_how_its_security_changed() -> None:
    event = audit_event(change("account.role_changed"), LOG)
    assert [coding["code"] for coding in event["subtype"]] == ["110136", "amend"]
    assert (event["action"], event["entity"][0]["role"]["code"]) == ("U", "6")
    assert {"type": "given", "valueString": "supervisor"} in event["entity"][2]["detail"]


def test_a_page_is_a_bundle_that_names_the_next() -> None:
    page = bundle(EVERY[:5], LOG, "/v1/audit?cursor=x")
    read = Bundle.model_validate_json(msgspec.json.encode(page))
    assert len(read.entry) == 5
    assert read.link[0].relation == "next"
    assert "entry" not in Bundle.model_validate(bundle([], LOG)).model_dump()
