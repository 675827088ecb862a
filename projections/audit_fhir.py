"""Audit entries as FHIR R4 AuditEvents in the shape of IHE BALP.

Source: FHIR R4 AuditEvent; IHE BALP 1.1 (PatientRead, Read, PatientQuery, Query, AuthZconsent); DICOM audit codes;
AUDIT A2, A3, A6, A10.

| entry | becomes |
|---|---|
| a reading of one record | PatientRead: action R, client, server and user, entity data and entity patient |
| a list, a search or an audit query | PatientQuery (Query where no client is named): action E, entity query |
| refused by role, relation, purpose or consent | an authorisation decision: security alert, action E, outcome 8 |
| refused by a rule or for its form, a failed sign-in | outcome 4, with the reason |
| a change of accounts, care teams or clinic | a security alert with its DICOM sub-type |

- The profile is named only where the entry keeps to it. AuthZconsent is never named: it wants the one consent that the
  decision rests on, and ours rest on roles, too.
- The ISO 21089 code stands as a sub-type, since BALP keeps `entity.lifecycle` empty.
- What was searched for is kept nowhere, so a query's text is the action alone.
- Clients are referred to by identifier: neither name nor any content is in it.

It finds nothing and orders nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from projections.audit_entry import AuditEntry
from records.policy import TABLE

Json = dict[str, Any]

MEDIA_TYPE = "application/fhir+json"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
TERMS = "http://terminology.hl7.org/CodeSystem"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
BALP_TYPES = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
DECISIONS = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"

SEARCHES = frozenset({"client.list", "caseload.view", "audit.view", "account.list", "retention.due"})
READINGS = frozenset(action for action, row in TABLE.items() if any(grant.purposes for grant in row.values()))
BY_ROLE = frozenset({"role", "relation", "purpose"})
CONSENT_MISSING = "consent-missing"
SUCCESS, MINOR, SERIOUS = "0", "4", "8"
_MACHINE, _IP, _URI = "1", "2", "5"
"""Types of a network address: machine name, IP address, URI."""

ALERTS: dict[str, tuple[str, str]] = {
    "account.role_changed": ("110136", "Security Roles Changed"),
    "care_team.member_added": ("110136", "Security Roles Changed"),
    "care_team.member_removed": ("110136", "Security Roles Changed"),
    "clinic.founded": ("110129", "Security Configuration"),
    "clinic.policy_changed": ("110129", "Security Configuration"),
}
"""Topic of a change → its DICOM sub-type; any other is a change of a user's security attributes (110137)."""

_CHANGED_AS = {"originate": "C", "amend": "U", "deprecate": "U"}


class Source(NamedTuple):
    """Who recorded the events: the deployment whose log it is."""

    log: UUID

    @property
    def urn(self) -> str:
        """The deployment as a URN."""
        return self.log.urn

    @property
    def reference(self) -> Json:
        """The deployment as a device."""
        return _by_identifier("Device", self.urn, "Wellkept")


def bundle(entries: Sequence[AuditEntry], log: UUID, following: str | None = None) -> Json:
    """Return a page of entries as a Bundle; `following` is the address of the next page."""
    found: Json = {"resourceType": "Bundle", "type": "searchset"}
    if following is not None:
        found["link"] = [{"relation": "next", "url": following}]
    if entries:
        found["entry"] = [{"resource": audit_event(entry, log), "search": {"mode": "match"}} for entry in entries]
    return found


def audit_event(entry: AuditEntry, log: UUID) -> Json:
    """Return one entry as an AuditEvent."""
    source = Source(log)
    if entry.kind == "change":
        return _change(entry, source)
    if entry.action == "sign_in":
        return _sign_in(entry, source)
    if entry.outcome == "deny" and entry.reason in (*BY_ROLE, CONSENT_MISSING):
        return _decision(entry, source)
    if entry.action in SEARCHES or entry.action not in READINGS:
        return _query(entry, source)
    return _read(entry, source)


def _read(entry: AuditEntry, source: Source) -> Json:
    event = _event(entry, source, _coding(f"{TERMS}/audit-event-type", "rest"), _coding(INTERACTION, "read"), "R")
    if entry.outcome == "permit" and entry.address is not None:
        _name(event, "PatientRead" if entry.client_id else "Read")
    # The data flow from the server to the client.
    event["agent"] = [_client(entry, "110152", "Destination Role ID"), _server(source, "110153", "Source Role ID")]
    event["agent"].append(_user(entry))
    data: Json = {
        "what": _by_identifier(None, _urn(entry.resource or entry.client_id), entry.action),
        "type": _coding(f"{TERMS}/audit-entity-type", "2", "System Object"),
        "role": _coding(f"{TERMS}/object-role", "4", "Domain Resource"),
    }
    event["entity"] = [data, *_patient(entry), *_transaction(entry)]
    return event


def _query(entry: AuditEntry, source: Source) -> Json:
    searched = entry.action in SEARCHES
    interaction = _coding(INTERACTION, "search" if searched else "operation")
    event = _event(entry, source, _coding(f"{TERMS}/audit-event-type", "rest"), interaction, "E")
    if searched and entry.outcome == "permit" and entry.address is not None:
        _name(event, "PatientQuery" if entry.client_id else "Query")
    # As DICOM and IHE have it: the question flows from the client to the server.
    event["agent"] = [_client(entry, "110153", "Source Role ID"), _server(source, "110152", "Destination Role ID")]
    event["agent"].append(_user(entry))
    query: Json = {
        "type": _coding(f"{TERMS}/audit-entity-type", "2", "System Object"),
        "role": _coding(f"{TERMS}/object-role", "24", "Query"),
        "description": entry.action,
        "query": b64encode(entry.action.encode()).decode(),
    }
    event["entity"] = [query, *_patient(entry), *_transaction(entry)]
    return event


def _decision(entry: AuditEntry, source: Source) -> Json:
    consent = entry.reason == CONSENT_MISSING
    kind = _coding(DECISIONS, "AuthZ-Consent" if consent else "AuthZ-Role")
    event = _event(entry, source, _coding(DICOM, "110113", "Security Alert"), kind, "E")
    event["agent"] = [
        _client(entry, "110150", "Application"),
        _user(entry),
        {
            "type": _concept(f"{TERMS}/v3-RoleClass", "PROV", "healthcare provider"),
            "who": _by_identifier("Organization", source.urn, "the clinic"),
            "requestor": False,
        },
        {
            "type": _concept(f"{TERMS}/extra-security-role-type", "authserver", "authorization server"),
            "who": source.reference,
            "requestor": False,
        },
    ]
    event["entity"] = [*_patient(entry), *_asked_for(entry)]
    return event


def _sign_in(entry: AuditEntry, source: Source) -> Json:
    login = _coding(DICOM, "110122", "Login")
    event = _event(entry, source, _coding(DICOM, "110114", "User Authentication"), login, "E")
    event["agent"] = [_client(entry, "110150", "Application"), _server(source, "110152", "Destination Role ID")]
    event["agent"][0]["requestor"] = True
    event["entity"] = _transaction(entry)
    return event


def _change(entry: AuditEntry, source: Source) -> Json:
    code, display = ALERTS.get(entry.action, ("110137", "User Security Attributes Changed"))
    action = _CHANGED_AS.get(entry.lifecycle, "U")
    event = _event(entry, source, _coding(DICOM, "110113", "Security Alert"), _coding(DICOM, code, display), action)
    event["agent"] = [_user(entry), _server(source, "110152", "Destination Role ID")]
    event["entity"] = [*_about(entry), *_patient(entry), *_asked_for(entry), *_transaction(entry)]
    return event


def _event(entry: AuditEntry, source: Source, kind: Json, subtype: Json, action: str) -> Json:
    event: Json = {
        "resourceType": "AuditEvent",
        "id": f"entry-{entry.index}",
        "type": kind,
        "subtype": [subtype, _coding(f"{TERMS}/iso-21089-lifecycle", entry.lifecycle)],
        "action": action,
        "recorded": instant(entry.at),
        "outcome": _outcome(entry),
    }
    if entry.reason is not None:
        event["outcomeDesc"] = entry.reason
    if entry.purpose is not None:
        event["purposeOfEvent"] = [_purpose(entry.purpose)]
    event["source"] = {
        "site": source.urn,
        "observer": source.reference,
        "type": [_coding(f"{TERMS}/security-source-type", "4", "Application Server")],
    }
    return event


def _outcome(entry: AuditEntry) -> str:
    if entry.outcome == "permit":
        return SUCCESS
    return SERIOUS if entry.reason in (*BY_ROLE, CONSENT_MISSING) else MINOR


def _name(event: Json, profile: str) -> None:
    event["meta"] = {"profile": [PROFILES + profile]}


def _client(entry: AuditEntry, code: str, display: str) -> Json:
    agent: Json = {
        "type": _concept(DICOM, code, display),
        "who": {"display": "the caller's program"},
        "requestor": False,
    }
    if entry.address is not None:
        agent["network"] = {"address": entry.address, "type": _type_of(entry.address)}
    return agent


def _server(source: Source, code: str, display: str) -> Json:
    return {
        "type": _concept(DICOM, code, display),
        "who": source.reference,
        "requestor": False,
        "network": {"address": source.urn, "type": _URI},
    }


def _user(entry: AuditEntry) -> Json:
    agent: Json = {
        "type": _concept(f"{TERMS}/v3-ParticipationType", "IRCP", "information recipient"),
        "who": _who(entry),
        "requestor": True,
    }
    roles = [each for each in (entry.role, entry.relation and f"relation: {entry.relation}") if each]
    if roles:
        agent["role"] = [{"text": each} for each in roles]
    if entry.actor_name is not None:
        agent["name"] = entry.actor_name
    if entry.purpose is not None:
        agent["purposeOfUse"] = [_purpose(entry.purpose)]
    return agent


def _who(entry: AuditEntry) -> Json:
    if entry.actor is None:
        return {"display": "a member of staff"}
    return _account(entry.actor)


def _account(actor: str) -> Json:
    try:
        return _by_identifier("Practitioner", UUID(actor).urn)
    except ValueError:
        # An operator is known by the name that the machine has for them.
        return {"identifier": {"value": actor}}


def _patient(entry: AuditEntry) -> list[Json]:
    if entry.client_id is None:
        return []
    return [
        {
            "what": _by_identifier("Patient", entry.client_id.urn),
            "type": _coding(f"{TERMS}/audit-entity-type", "1", "Person"),
            "role": _coding(f"{TERMS}/object-role", "1", "Patient"),
        }
    ]


def _about(entry: AuditEntry) -> list[Json]:
    if entry.about is None:
        return []
    return [
        {
            "what": _account(entry.about),
            "type": _coding(f"{TERMS}/audit-entity-type", "1", "Person"),
            "role": _coding(f"{TERMS}/object-role", "6", "User"),
        }
    ]


def _asked_for(entry: AuditEntry) -> list[Json]:
    """Return the act that was decided on, or that changed something, as an entity of its own."""
    details = [("action", entry.action), ("given", entry.detail)]
    entity: Json = {
        "type": _coding(f"{TERMS}/audit-entity-type", "2", "System Object"),
        "role": _coding(f"{TERMS}/object-role", "4", "Domain Resource"),
        "detail": [{"type": name, "valueString": value} for name, value in details if value is not None],
    }
    if entry.resource is not None:
        entity["what"] = _by_identifier(None, entry.resource.urn)
    return [entity]


def _transaction(entry: AuditEntry) -> list[Json]:
    if entry.request_id is None:
        return []
    return [{"what": {"identifier": {"value": entry.request_id}}, "type": _coding(BALP_TYPES, "XrequestId")}]


def _purpose(code: str) -> Json:
    return _concept(f"{TERMS}/v3-ActReason", code)


def _concept(system: str, code: str, display: str | None = None) -> Json:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str | None = None) -> Json:
    return {"system": system, "code": code} if display is None else {"system": system, "code": code, "display": display}


def _by_identifier(kind: str | None, urn: str | None, display: str | None = None) -> Json:
    found: Json = {} if kind is None else {"type": kind}
    if urn is not None:
        found["identifier"] = {"system": "urn:ietf:rfc:3986", "value": urn}
    if display is not None:
        found["display"] = display
    return found


def _urn(item: UUID | None) -> str | None:
    return None if item is None else item.urn


def _type_of(address: str) -> str:
    return _IP if ":" in address or address.replace(".", "").isdigit() else _MACHINE


def instant(at: datetime) -> str:
    """Return a time as FHIR writes an instant, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
