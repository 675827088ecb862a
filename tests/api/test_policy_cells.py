"""Who may do what, cell by cell over HTTP: every operation × role × relation to the client × stated purpose.

- What is expected stands in `GRANTED`, written out here; it is not taken from the policy table that the doors use.
- Every request is right in every way but, maybe, who sends it, so whoever is permitted succeeds.
- Whoever is not permitted gets the same bytes everywhere, whether the client is unknown or somebody else's, and leaves
  one entry that says who, what and why.
- All cells are asked of one clinic, once; the tests look at what they got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from api.app import openapi_document
from records.access import AccessRecorded
from records.actors import Purpose, Role
from records.care_team import Part
from tests.api.caller import Served
from tests.api.right_requests import CANARY, RECIPES, Kitchen, Right
from tests.clinic import ROLES, make_clinic
from tests.signed_clinic import sign_log

GRANTED = """
POST   /v1/clients                                            front_desk:any therapist:any
GET    /v1/clients                                            front_desk:any:TREAT therapist:any:TREAT
GET    /v1/clients                                            supervisor:any:HQUALIMP records_clerk:any:PATRQT
GET    /v1/caseload                                           therapist:any:TREAT supervisor:any:HQUALIMP
GET    /v1/audit/spot-checks                                  privacy_officer:any:HCOMPL
GET    /v1/audit/spot-checks/{draw_id}                        privacy_officer:any:HCOMPL
POST   /v1/audit/spot-checks                                  privacy_officer:any
POST   /v1/audit/spot-checks/{draw_id}/decisions              privacy_officer:any
GET    /v1/audit/patterns                                     privacy_officer:any:HCOMPL
GET    /v1/audit                                              privacy_officer:any:HCOMPL
GET    /v1/audit/report                                       privacy_officer:any:HCOMPL
GET    /v1/audit/{index}                                      privacy_officer:any:HCOMPL
GET    /v1/log/checkpoint             front_desk:any:* therapist:any:* supervisor:any:*
GET    /v1/log/checkpoint             privacy_officer:any:* records_clerk:any:* administrator:any:*
GET    /v1/log/tile/{tile}            front_desk:any:* therapist:any:* supervisor:any:*
GET    /v1/log/tile/{tile}            privacy_officer:any:* records_clerk:any:* administrator:any:*
GET    /v1/log/proof                  front_desk:any:* therapist:any:* supervisor:any:*
GET    /v1/log/proof                  privacy_officer:any:* records_clerk:any:* administrator:any:*
GET    /v1/log/tile/entries/{tile}                            privacy_officer:any:HCOMPL
GET    /v1/clients/{client_id}                                front_desk:any:TREAT therapist:team:TREAT
GET    /v1/clients/{client_id}                                supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}                                therapist:emergency:ETREAT supervisor:emergency:ETREAT
GET    /v1/clients/{client_id}/timeline                       therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/timeline                       therapist:emergency:ETREAT supervisor:emergency:ETREAT
GET    /v1/clients/{client_id}/notes/{note_id}                therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/notes/{note_id}                therapist:emergency:ETREAT supervisor:emergency:ETREAT
GET    /v1/clients/{client_id}/notes/{note_id}/draft          therapist:team:TREAT therapist:emergency:ETREAT
GET    /v1/clients/{client_id}/notes/{note_id}/draft          supervisor:emergency:ETREAT
GET    /v1/clients/{client_id}/access-report                  therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/disclosures                    therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/disclosures                    privacy_officer:any:HCOMPL records_clerk:any:PATRQT
POST   /v1/clients/{client_id}/death                          front_desk:any therapist:team
POST   /v1/clients/{client_id}/death/error                    front_desk:any therapist:team
POST   /v1/clients/{client_id}/attachments                    therapist:team
POST   /v1/clients/{client_id}/attachments/{attachment_id}/return therapist:team
POST   /v1/clients/{client_id}/attachments/{attachment_id}/error therapist:team
GET    /v1/clients/{client_id}/attachments/{attachment_id}    therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/attachments/{attachment_id}    therapist:emergency:ETREAT supervisor:emergency:ETREAT
POST   /v1/clients/{client_id}/legal-holds                    privacy_officer:any
POST   /v1/clients/{client_id}/legal-holds/{hold_id}/lifting  privacy_officer:any
GET    /v1/clients/{client_id}/retention                      therapist:team:TREAT supervisor:supervises:HQUALIMP
GET    /v1/clients/{client_id}/retention                      privacy_officer:any:HCOMPL records_clerk:any:PATRQT
GET    /v1/retention/due                                      privacy_officer:any:HCOMPL
GET    /v1/clients/{client_id}/disclosures/letter             records_clerk:any:PATRQT
POST   /v1/clients/{client_id}/disclosures                    therapist:team records_clerk:any
POST   /v1/clients/{client_id}/exports                        records_clerk:any
GET    /v1/clients/{client_id}/exports/{export_id}            records_clerk:any:PATRQT
POST   /v1/clients/{client_id}/disclosures/{disclosure_id}/error  therapist:team records_clerk:any
GET    /v1/clients/{client_id}/access-report                  privacy_officer:any:HCOMPL records_clerk:any:PATRQT
PATCH  /v1/clients/{client_id}/identity                       front_desk:any therapist:team
PUT    /v1/clients/{client_id}/care-team/members/{staff_id}       front_desk:any administrator:any therapist:team
DELETE /v1/clients/{client_id}/care-team/members/{staff_id}       front_desk:any administrator:any therapist:team
PUT    /v1/clients/{client_id}/care-team/supervisors/{staff_id}   front_desk:any administrator:any therapist:team
DELETE /v1/clients/{client_id}/care-team/supervisors/{staff_id}   front_desk:any administrator:any therapist:team
POST   /v1/clients/{client_id}/consents                       therapist:team
POST   /v1/clients/{client_id}/consents/{consent_id}/withdrawal   therapist:team
POST   /v1/clients/{client_id}/consents/{consent_id}/error    therapist:team
POST   /v1/clients/{client_id}/episodes                       front_desk:any therapist:team
POST   /v1/clients/{client_id}/episodes/{episode_id}/phase    therapist:team
POST   /v1/clients/{client_id}/episodes/{episode_id}/protocol therapist:team
POST   /v1/clients/{client_id}/episodes/{episode_id}/closure  front_desk:any therapist:team
POST   /v1/clients/{client_id}/sessions                       front_desk:any therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/reschedule   front_desk:any therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/cancellation front_desk:any therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/attendance   front_desk:any therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/held     therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/error    therapist:team
POST   /v1/clients/{client_id}/sessions/{session_id}/breach-review therapist:team supervisor:supervises
POST   /v1/clients/{client_id}/assessments                    therapist:team
POST   /v1/clients/{client_id}/assessments/{assessment_id}/error  therapist:team
POST   /v1/clients/{client_id}/assessments/{assessment_id}/prompt-clearance therapist:team supervisor:supervises
POST   /v1/clients/{client_id}/risk-assessments               therapist:team supervisor:supervises
POST   /v1/clients/{client_id}/risk-assessments/{risk_id}/error   therapist:team supervisor:supervises
POST   /v1/clients/{client_id}/risk-assessments               therapist:emergency supervisor:emergency
POST   /v1/clients/{client_id}/goals                          therapist:team
POST   /v1/clients/{client_id}/goals/{goal_id}/changes        therapist:team
POST   /v1/clients/{client_id}/goals/{goal_id}/ratings        therapist:team
POST   /v1/clients/{client_id}/goals/{goal_id}/error          therapist:team
POST   /v1/clients/{client_id}/notes                          therapist:team
POST   /v1/clients/{client_id}/notes                          therapist:emergency supervisor:emergency
PUT    /v1/clients/{client_id}/notes/{note_id}/draft          therapist:team therapist:emergency supervisor:emergency
POST   /v1/clients/{client_id}/notes/{note_id}/signature      therapist:team therapist:emergency supervisor:emergency
POST   /v1/clients/{client_id}/notes/{note_id}/addenda        therapist:team
POST   /v1/clients/{client_id}/notes/{note_id}/amendments     therapist:team
POST   /v1/clients/{client_id}/notes/{note_id}/error          therapist:team
POST   /v1/clients/{client_id}/emergency-access               therapist:any supervisor:any
POST   /v1/clients/{client_id}/emergency-access/{access_id}/approval therapist:any supervisor:any privacy_officer:any
GET    /v1/clients/{client_id}/erasure                        privacy_officer:any:HCOMPL supervisor:any:HCOMPL
GET    /v1/clients/{client_id}/erasure                        records_clerk:any:PATRQT
POST   /v1/clients/{client_id}/erasure                        privacy_officer:any records_clerk:any
POST   /v1/clients/{client_id}/erasure/{erasure_id}/withdrawal privacy_officer:any supervisor:any
POST   /v1/clients/{client_id}/erasure/{erasure_id}/approval  privacy_officer:any supervisor:any
GET    /v1/clients/{client_id}/erasure/{erasure_id}/certificate privacy_officer:any:HCOMPL supervisor:any:HCOMPL
GET    /v1/clients/{client_id}/erasure/{erasure_id}/certificate records_clerk:any:PATRQT
GET    /v1/audit/reviews                                      privacy_officer:any:HCOMPL supervisor:any:HCOMPL
GET    /v1/audit/reviews/{review_id}                          privacy_officer:any:HCOMPL supervisor:any:HCOMPL
POST   /v1/audit/reviews/{review_id}/outcome                  privacy_officer:any supervisor:any
"""
"""Operation, then who: role, relation (`any`: none is needed) and, for a reading, the purpose (`*`: none is asked)."""

RELATIONS: tuple[str, ...] = ("team", "supervises", "none", "emergency", "unknown")
"""How the caller stands to the client that the address names; `unknown`: there is no such client."""
CLINICIANS = (Role.THERAPIST, Role.SUPERVISOR)
"""To whom a client can be open in an emergency; the others stand to that client as to any other."""


class Cell(NamedTuple):
    """One request of one person, and what it got.

    Attributes:
        purpose: the stated purpose; None for a change.
        entries: how many entries the ledger grew by.
        client: whom the address names; None where it names nobody.
    """

    operation: str
    role: Role
    relation: str
    purpose: str | None
    status: int
    request_id: str
    shown: tuple[bytes, ...]
    entries: int
    client: UUID | None


def granted(operation: str) -> set[tuple[str, str, str | None]]:
    """Return role, relation and purpose of each grant of an operation, `any` written out."""
    words = [line.split() for line in GRANTED.split("\n") if line]
    grants = [each.split(":") for method, path, *rest in words if f"{method} {path}" == operation for each in rest]
    return {
        (role, each, stated)
        for role, relation, *purpose in grants
        for each in (RELATIONS if relation == "any" else (relation,))
        for stated in ([each.value for each in Purpose] if purpose == ["*"] else [purpose[0] if purpose else None])
    }


def operations() -> list[str]:
    """Return every operation of the OpenAPI document that needs a token."""
    return [
        f"{method.upper()} {path}"
        for path, methods in openapi_document()["paths"].items()
        for method, operation in methods.items()
        if method != "parameters" and operation["security"]
    ]


LAST = ("/erasure/{erasure_id}/approval", "/erasure/{erasure_id}/certificate")
"""What closes a record is asked when everything else was, and what shows that it was done comes after it."""
OPERATIONS = sorted(operations(), key=lambda each: next((n for n, end in enumerate(LAST, 1) if each.endswith(end)), 0))


class Asked:
    """One clinic with a client for each relation, of whom every role asks everything."""

    def __init__(self, served: Served) -> None:
        self.served = served
        sign_log(served.clinic)
        self.treating, self._token = served.clinic.hire(Role.THERAPIST, "Hanne Dale")
        self._colleague, _ = served.clinic.hire(Role.THERAPIST, "Ida Roe")
        self.clients = {relation: self._client(relation) for relation in RELATIONS[:4]} | {"unknown": uuid4()}
        self._shared: dict[tuple[str, str], Right] = {}
        # The first entry of a year makes the year's key, which has an entry of its own.
        assert served.call("GET", served.of("", self.clients["none"]), by=Role.THERAPIST).status_code == 403

    def _client(self, relation: str) -> UUID:
        client = self.served.clinic.register(family=CANARY, therapist=self.treating, supervised=False)
        parts: dict[str, Part] = {"team": "team", "supervises": "supervises"}
        for role in ROLES if relation in parts else ():
            self.served.clinic.team(client, self.served.clinic.staff[role], parts[relation])
        for role in CLINICIANS if relation == "emergency" else ():
            self.served.clinic.emergency(self.served.clinic.staff[role], client)
        return client

    def everything(self) -> Iterator[Cell]:
        """Ask for every cell."""
        for operation in OPERATIONS:
            reads = operation.startswith("GET")
            for role in ROLES:
                for relation in RELATIONS if "{client_id}" in operation else ("none",):
                    for purpose in [each.value for each in Purpose] if reads else [None]:
                        yield self.one(operation, role, relation, purpose)

    def one(self, operation: str, role: Role, relation: str, purpose: str | None) -> Cell:
        """Ask for one cell."""
        may = (role.value, relation, purpose) in granted(operation)
        right = self.right(operation, role, relation, may)
        client = self._named(operation, relation, right)
        stored = self.served.stored()
        answered = self.send(operation, relation, right, self.served.clinic.tokens[role], purpose)
        grown = self.served.stored() - stored
        request_id = answered.headers.get("X-Request-Id", "")
        return Cell(
            operation, role, relation, purpose, answered.status_code, request_id, shown(answered), grown, client
        )

    def send(self, operation: str, relation: str, right: Right, token: str | None, purpose: str | None) -> TestResponse:
        """Send a right request with a token."""
        method, path = operation.split()
        address = path.format(client_id=self.clients[relation], **right.ids)
        headers = {} if purpose is None else {"Purpose-Of-Use": purpose}
        if purpose == Purpose.ETREAT:
            headers["Access-Reason"] = "A crisis."
        query = "" if right.query is None else f"?{right.query}"
        return self.served.call(
            method, address + query, right.body, by=None, token=token, if_match=right.if_match, headers=headers
        )

    def _named(self, operation: str, relation: str, right: Right) -> UUID | None:
        if operation == "POST /v1/clients" and right.body is not None:
            return UUID(right.body["id"])
        return self.clients[relation] if "{client_id}" in operation else None

    def right(self, operation: str, role: Role, relation: str, may: bool) -> Right:
        """Return a request for a cell, new where it may be done."""
        # Whoever is refused changes nothing, so what they ask for may be asked for again by the next.
        place = "none" if relation == "unknown" or "{client_id}" not in operation else relation
        if not may or (relation == "unknown" and "emergency-access" not in operation):
            found = self._shared.get((operation, place))
            if found is None:
                found = self._shared[operation, place] = RECIPES[operation](self._kitchen(place, self._token, role))
            return found
        own = (role is Role.THERAPIST and relation == "team") or (role in CLINICIANS and relation == "emergency")
        token = self.served.clinic.tokens[role] if own else self._token
        return RECIPES[operation](self._kitchen(place, token, role))

    def _kitchen(self, relation: str, token: str, role: Role) -> Kitchen:
        sender = self.served.clinic.staff[role]
        return Kitchen(self.served, self.clients[relation], token, self._colleague, sender)

    def entries(self, cells: list[Cell]) -> dict[str, list[AccessRecorded]]:
        """Return every access entry of the clients that were named and of nobody's, by request."""
        found: dict[str, list[AccessRecorded]] = {}
        for client in {cell.client for cell in cells} | {None}:
            for entry in self.served.access(client):
                found.setdefault(entry.request_id or "", []).append(entry)
        return found


def shown(answered: TestResponse) -> tuple[bytes, ...]:
    """Return what a caller sees of an answer, without the id of their own request."""
    told = answered.headers.get("X-Request-Id", "no id").encode()
    headers = sorted(f"{name}: {value}".encode() for name, value in answered.headers)
    return tuple(line.replace(told, b"-") for line in (answered.status.encode(), *headers, answered.data))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The clinic."""
    clinic = make_clinic(tmp_path_factory.mktemp("cells") / "clinic")
    yield Asked(Served(clinic, monotonic=lambda: 0.0))
    clinic.close()


@pytest.fixture(scope="module")
def cells(asked: Asked) -> list[Cell]:
    """Every cell, asked."""
    return list(asked.everything())


def expected_status(cell: Cell) -> int:
    """Return what a cell's request should get: 200 for something done, 403, or 404 for a client that is not there."""
    if (cell.role.value, cell.relation, cell.purpose) not in granted(cell.operation):
        return 403
    return 404 if cell.relation == "unknown" else 200


def test_the_table_and_the_recipes_name_every_operation_and_no_other() -> None:
    named = {" ".join(line.split()[:2]) for line in GRANTED.split("\n") if line}
    assert named == set(OPERATIONS)
    assert set(RECIPES) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_cell_gets_what_the_table_says(cells: list[Cell], operation: str) -> None:
    of_it = [cell for cell in cells if cell.operation == operation]

    def lines(statuses: list[int]) -> list[str]:
        return [f"{c.role} {c.relation} {c.purpose}: {s}" for c, s in zip(of_it, statuses, strict=True)]

    got = [200 if cell.status == 201 else cell.status for cell in of_it]
    assert lines(got) == lines([expected_status(cell) for cell in of_it])
    purposes = 5 if operation.startswith("GET") else 1
    assert len(of_it) == len(ROLES) * purposes * (len(RELATIONS) if "{client_id}" in operation else 1)


def test_whoever_is_refused_sees_the_same_bytes_everywhere(cells: list[Cell]) -> None:
    refused = Counter(cell.shown for cell in cells if cell.status == 403)
    assert len(refused) == 1, refused
    (only,) = refused
    assert CANARY not in b"\n".join(only).decode()
    relations = {cell.relation for cell in cells if cell.status == 403}
    assert relations == set(RELATIONS)


def test_whoever_is_refused_leaves_one_entry_and_changes_nothing(asked: Asked, cells: list[Cell]) -> None:
    entries = asked.entries(cells)
    for cell in (cell for cell in cells if cell.status == 403):
        assert cell.entries == 1, cell
        (entry,) = entries[cell.request_id]
        nobodys = cell.relation == "unknown" or (cell.relation == "emergency" and cell.role not in CLINICIANS)
        relation = "none" if nobodys else cell.relation
        assert (entry.outcome, entry.client_id, entry.role, entry.relation, entry.purpose) == (
            "deny",
            cell.client,
            cell.role.value,
            relation,
            cell.purpose,
        ), cell
        assert entry.entered_by == asked.served.clinic.staff[cell.role].id
        assert entry.reason == expected_reason(cell), cell


def expected_reason(cell: Cell) -> str:
    """Return why a refused cell was refused: the first of role, relation and purpose that no grant has."""
    of_role = [grant for grant in granted(cell.operation) if grant[0] == cell.role.value]
    if not of_role:
        return "role"
    return "purpose" if any(relation == cell.relation for _, relation, _ in of_role) else "relation"


def test_an_unknown_client_leaves_the_trace_of_one_that_is_not_ones_own(asked: Asked, cells: list[Cell]) -> None:
    entries = asked.entries(cells)

    def traces(relation: str) -> list[tuple[str | None, ...]]:
        return [
            (cell.operation, entry.action, entry.outcome, entry.role, entry.relation, entry.purpose, entry.reason)
            for cell in cells
            if cell.relation == relation and "{client_id}" in cell.operation and cell.status == 403
            for entry in entries[cell.request_id]
        ]

    assert traces("unknown") == traces("none")
    assert len(traces("unknown")) > 200


def test_whoever_reads_leaves_one_entry(asked: Asked, cells: list[Cell]) -> None:
    entries = asked.entries(cells)
    read = [cell for cell in cells if cell.operation.startswith("GET") and cell.client and cell.status == 200]
    assert len(read) > 10
    by_who_and_purpose = Counter(
        (entry.action, entry.role, entry.client_id, entry.purpose)
        for found in entries.values()
        for entry in found
        if entry.outcome == "permit" and entry.entered_by != asked.treating.id
    )
    actions = {
        "GET /v1/clients/{client_id}": "client.view",
        "GET /v1/clients/{client_id}/timeline": "client.timeline",
        "GET /v1/clients/{client_id}/notes/{note_id}": "note.view",
        "GET /v1/clients/{client_id}/notes/{note_id}/draft": "note.draft.view",
        "GET /v1/clients/{client_id}/attachments/{attachment_id}": "attachment.view",
        "GET /v1/clients/{client_id}/access-report": "client.access_report",
        "GET /v1/clients/{client_id}/disclosures": "client.disclosures",
        "GET /v1/clients/{client_id}/disclosures/letter": "client.accounting",
        "GET /v1/clients/{client_id}/exports/{export_id}": "export.fetch",
        "GET /v1/clients/{client_id}/erasure": "erasure.view",
        "GET /v1/clients/{client_id}/erasure/{erasure_id}/certificate": "erasure.certificate",
        "GET /v1/clients/{client_id}/retention": "client.retention",
    }
    for cell in read:
        assert by_who_and_purpose[actions[cell.operation], cell.role.value, cell.client, cell.purpose] == 1, cell
        assert cell.entries == 1, cell


@pytest.mark.parametrize("token", [None, "wk_unknown"], ids=["nobody", "a token that is none"])
def test_whoever_has_no_good_token_gets_401_and_leaves_one_entry_in_all(asked: Asked, token: str | None) -> None:
    # The minute stands still here, so all failures after the first are still being summed.
    asked.send("GET /v1/caseload", "none", Right({}), token, "TREAT")
    rights = {
        (operation, relation): asked.right(operation, Role.THERAPIST, relation, may=False)
        for operation in OPERATIONS
        for relation in RELATIONS
    }
    stored = asked.served.stored()
    answers = Counter(shown(asked.send(*where, right, token, "TREAT")) for where, right in rights.items())
    assert asked.served.stored() == stored
    ((answer, count),) = answers.items()
    assert (answer[0], count) == (b"401 UNAUTHORIZED", len(OPERATIONS) * len(RELATIONS))
    failures = [entry for entry in asked.served.access(None) if entry.reason == "unauthenticated"]
    assert [(entry.role, entry.relation, entry.outcome) for entry in failures] == [("none", "none", "deny")]
