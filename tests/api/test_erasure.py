"""Erasure over HTTP: what is asked, who answers for it, and that nothing of the client is to be had afterwards."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.verifier.erasure_check import check_certificate
from records.actors import Role
from tests.api.caller import CLERK, DESK, OFFICER, Served, T
from tests.api.right_requests import RECIPES, Kitchen, Right, lift_holds
from tests.api.test_policy_cells import OPERATIONS
from tests.signed_clinic import sign_log

S = Role.SUPERVISOR
CANARY = "canary-71c4"
KEPT = ("GET /v1/clients/{client_id}/erasure", "POST /v1/clients/{client_id}/erasure/{erasure_id}/approval")
"""What is still answered when a record is gone, beside the certificate."""


def ask(served: Served, **rest: Any) -> Any:
    return served.call("POST", served.of("/erasure"), {"basis": "court-order"}, **{"by": CLERK, **rest})


def approve(served: Served, erasure: str, **rest: Any) -> Any:
    return served.call("POST", served.of(f"/erasure/{erasure}/approval"), {}, **{"by": OFFICER, **rest})


@pytest.fixture
def erased(served: Served) -> str:
    """A client who was erased."""
    served.note(CANARY)
    asked = ask(served)
    assert asked.status_code == 201, asked.json
    erasure: str = asked.json["id"]
    assert approve(served, erasure).status_code == 201
    return erasure


def test_it_is_requested_approved_and_done(served: Served, erased: str) -> None:
    shown = served.call("GET", served.of("/erasure"), by=OFFICER)
    assert shown.status_code == 200
    (item,) = shown.json["items"]
    assert (item["id"], item["state"], item["basis"]) == (erased, "completed", "court-order")
    assert (item["requested_by_name"], item["approved_by_name"]) == ("Remy Clark", "Pat Oakes")
    assert "Marsh" not in shown.text


def test_the_same_request_again_gives_the_first_answer(served: Served) -> None:
    key = str(uuid4())
    first, again = ask(served, key=key), ask(served, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["id"] == again.json["id"]
    key = str(uuid4())
    first, again = (approve(served, first.json["id"], key=key) for _ in range(2))
    assert first.json == again.json
    assert len(served.clinic.opened.service.directory.clinic.erasures) == 1


def test_retention_refuses_it_with_its_ground(served: Served) -> None:
    refused = served.call("POST", served.of("/erasure"), {"basis": "client-request"}, by=CLERK)
    assert (refused.status_code, refused.json["rule"]) == (409, "retention")
    assert refused.json["detail"]
    assert served.access()[-1].reason == "retention"


def test_nobody_approves_what_they_asked_for(served: Served) -> None:
    asked = ask(served, by=OFFICER)
    refused = approve(served, asked.json["id"])
    assert (refused.status_code, refused.json["rule"]) == (409, "own-approval")
    assert served.get().status_code == 200
    assert approve(served, asked.json["id"], by=S).status_code == 201


def test_a_request_is_withdrawn(served: Served) -> None:
    erasure = ask(served).json["id"]
    path = served.of(f"/erasure/{erasure}/withdrawal")
    assert served.call("POST", path, {"ground": "request-withdrawn"}, by=OFFICER).status_code == 201
    assert approve(served, erasure).json["rule"] == "erasure-withdrawn"
    assert served.get().status_code == 200


def test_every_address_of_the_client_is_gone_and_every_refusal_is_recorded(served: Served) -> None:
    """Everything that was right to ask a moment before, by whoever may ask it."""
    clinic = served.clinic
    colleague, _ = clinic.hire(Role.THERAPIST, "Ida Roe")
    kitchen = Kitchen(served, served.client_id, clinic.tokens[T], colleague, clinic.staff[T])
    for role in (T, S):
        clinic.team(served.client_id, clinic.staff[role], "team" if role is T else "supervises")
    operations = [each for each in OPERATIONS if "{client_id}" in each and "erasure" not in each]
    assert len(operations) > 40
    rights = {operation: RECIPES[operation](kitchen) for operation in operations}
    lift_holds(clinic, served.client_id)
    erasure = ask(served).json["id"]
    assert approve(served, erasure).status_code == 201
    for operation, right in rights.items():
        gone = [role for role in Role if role in clinic.tokens and answered(served, operation, right, role) == 410]
        assert gone, operation
        assert served.access()[-1].client_id == served.client_id


def answered(served: Served, operation: str, right: Right, role: Role) -> int:
    """Ask an operation as a role; nothing of the client is in the answer."""
    method, path = operation.split()
    before = len(served.access())
    got = served.call(
        method,
        path.format(client_id=served.client_id, **right.ids),
        right.body,
        by=role,
        if_match=right.if_match,
    )
    assert got.status_code in (403, 410), (operation, role, got.json)
    assert CANARY not in got.text
    assert "Marsh" not in got.text
    (entry,) = served.access()[before:]
    assert entry.outcome == "deny"
    if got.status_code == 410:
        assert entry.reason == "erased"
    status: int = got.status_code
    return status


def test_lists_keep_the_id_without_a_name(served: Served, erased: str) -> None:
    for path, role in (("/v1/caseload", T), ("/v1/clients", DESK), ("/v1/clients", CLERK)):
        shown = served.call("GET", path, by=role)
        (item,) = [each for each in shown.json["items"] if each["id"] == str(served.client_id)]
        assert item.get("name") is None
        assert item["erased"] is True
        assert "Marsh" not in shown.text


def test_who_was_erased_is_neither_due_nor_unreadable(served: Served, erased: str) -> None:
    due = served.call("GET", "/v1/retention/due?on=2099-01-01", by=OFFICER)
    assert (due.status_code, due.json["total"], due.json["unreadable"]) == (200, 0, 0)


def test_the_audit_keeps_who_looked_and_no_name(served: Served, erased: str) -> None:
    shown = served.call("GET", f"/v1/audit?client={served.client_id}", by=OFFICER)
    assert shown.status_code == 200
    assert len(shown.json["items"]) > 3
    assert "Marsh" not in shown.text
    assert CANARY not in shown.text


def test_somebody_elses_record_reads_the_same(served: Served) -> None:
    other = served.clinic.register(family="Quillfeather")
    before = served.call("GET", served.of("", other)).json
    erasure = ask(served).json["id"]
    approve(served, erasure)
    assert served.call("GET", served.of("", other)).json == before


def test_the_certificate_holds_against_the_fingerprint_and_against_no_other(served: Served, erased: str) -> None:
    path = served.of(f"/erasure/{erased}/certificate")
    sign_log(served.clinic)
    shown = served.call("GET", path, by=CLERK)
    assert shown.status_code == 200, shown.json
    proved = check_certificate(shown.data, genesis_of(served))
    assert (proved.client, len(proved.keys), proved.pinned) == (served.client_id, 1, True)
    assert not check_certificate(shown.data, None).pinned
    assert "Marsh" not in shown.text


def test_there_is_no_certificate_before_it_is_done(served: Served) -> None:
    erasure = ask(served).json["id"]
    refused = served.call("GET", served.of(f"/erasure/{erasure}/certificate"), by=CLERK)
    assert (refused.status_code, refused.json["rule"]) == (409, "erasure-not-completed")
    nothing = served.call("GET", served.of(f"/erasure/{uuid4()}/certificate"), by=CLERK)
    assert nothing.status_code == 404


def genesis_of(served: Served) -> str:
    """Return the fingerprint of the clinic's log."""
    import hashlib

    return hashlib.sha256(served.clinic.store.body(0)).hexdigest()


def test_an_id_that_is_no_clients_is_not_found(served: Served) -> None:
    nobody: UUID = uuid4()
    asked = served.call("POST", served.of("/erasure", nobody), {"basis": "court-order"}, by=CLERK)
    assert asked.status_code == 404
    assert served.call("GET", served.of("/erasure", nobody), by=CLERK).status_code == 404
