"""The audit over HTTP: four forms of the same entries, links from page to page, and its own entries."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from werkzeug.test import TestResponse

from records.actors import Role
from tests.api.caller import CLERK, DESK, OFFICER, S, Served, T

FORMS = ("application/json", "application/x-ndjson", "text/csv", "application/fhir+json")
CANARY = "canary-audit-3d1f"


def ask(served: Served, path: str, accept: str | None = None, by: Role = OFFICER) -> TestResponse:
    headers = {} if accept is None else {"Accept": accept}
    return served.call("GET", path, by=by, headers=headers)


def read(served: Served) -> None:
    """Let somebody read, list and be refused."""
    note, _ = served.note(CANARY)
    assert served.get(f"/notes/{note}").status_code == 200
    for _ in range(3):
        assert served.get().status_code == 200
    assert served.get(by=S).status_code == 200
    assert served.call("GET", "/v1/clients?name=Marsh", by=DESK).status_code == 200
    assert served.get("/timeline", by=DESK).status_code == 403


def indexes(answered: TestResponse) -> list[int]:
    """Return the ledger indexes of a page's entries, whatever its form."""
    if answered.mimetype == "application/json":
        return [item["index"] for item in answered.json["items"]]
    if answered.mimetype == "application/x-ndjson":
        return [json.loads(line)["index"] for line in answered.text.splitlines()]
    if answered.mimetype == "text/csv":
        return [int(row["index"]) for row in csv.DictReader(io.StringIO(answered.text, newline=""))]
    found = Bundle.model_validate_json(answered.data)
    return [int(each.resource.id.removeprefix("entry-")) for each in found.entry or ()]


def test_every_form_holds_the_same_entries_and_leaves_its_own(served: Served) -> None:
    read(served)
    end = served.access()[-1].occurred_at.isoformat().replace("+00:00", "Z")
    before = len(served.access())
    for path in (
        f"/v1/audit?to={end}",
        f"/v1/audit?to={end}&source=access&sort=action",
        f"/v1/audit?client={served.client_id}&to={end}",
    ):
        found = [ask(served, path, form) for form in FORMS]
        assert [answered.mimetype for answered in found] == list(FORMS)
        assert len({tuple(indexes(answered)) for answered in found}) == 1
        assert len(indexes(found[0])) > 3
        for answered in found:
            assert answered.headers["Cache-Control"] == "no-store"
            for secret in (CANARY, "Marsh", "Robin"):
                assert secret not in answered.text
    assert len(served.access()) == before + 12
    assert {entry.action for entry in served.access()[before:]} == {"audit.view"}


@pytest.mark.parametrize("form", FORMS)
def test_links_lead_through_all_pages_in_every_form(served: Served, form: str) -> None:
    read(served)
    path, found = f"/v1/audit?client={served.client_id}&source=access&limit=2&sort=at", []
    for _ in range(20):
        answered = ask(served, path, form)
        found += indexes(answered)
        link = answered.headers.get("Link")
        # Oldest first and without an end, a report follows itself: it is left after what was there before.
        if link is None or len(found) >= 6:
            break
        assert link.endswith('>; rel="next"')
        path = link[1:].partition(">")[0]
    assert found[:6] == [recorded.index for recorded in served.clinic.reader.access_events(served.client_id)][:6]
    assert "cursor=" in path


def test_a_cursor_is_for_its_own_question(served: Served) -> None:
    read(served)
    cursor = ask(served, "/v1/audit?limit=1").json["next"]
    assert ask(served, f"/v1/audit?limit=1&cursor={cursor}").status_code == 200
    assert ask(served, f"/v1/audit?limit=1&outcome=deny&cursor={cursor}").status_code == 400
    assert ask(served, f"/v1/audit/report?limit=1&cursor={cursor}").status_code == 400


def test_filters_answer_what_an_officer_asks(served: Served) -> None:
    read(served)
    jo = served.clinic.staff[T].id

    def found(query: str) -> list[dict[str, Any]]:
        answered = ask(served, f"/v1/audit?source=access&{query}")
        assert answered.status_code == 200, answered.json
        return answered.json["items"]

    assert {item["action"] for item in found(f"actor={jo}&client={served.client_id}")} == {"note.view", "client.view"}
    assert [item["action"] for item in found("outcome=deny&role=front_desk")] == ["client.timeline"]
    assert {item["role"] for item in found("purpose=HQUALIMP")} == {"supervisor"}
    assert {item["role"] for item in found("outside_team=true&outcome=permit&action=client.list")} == {"front_desk"}
    assert found("from=2101-01-01T00:00:00Z") == []
    (refused,) = found("outcome=deny&role=front_desk")
    (alone,) = ask(served, f"/v1/audit/{refused['index']}").json["items"]
    assert alone == refused


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("action=client.veiw", 422, "/action"),
        ("sort=text", 400, "/query/sort"),
        ("purpose=FUN", 400, "/query/purpose"),
        ("from=yesterday", 400, "/query/from"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", 422, "/to"),
        ("who=me", 400, "/query"),
    ],
)
def test_what_cannot_be_asked_is_told_where(served: Served, query: str, status: int, pointer: str) -> None:
    answered = ask(served, f"/v1/audit?{query}")
    assert (answered.status_code, answered.json["errors"][0]["pointer"]) == (status, pointer)


def test_a_form_that_there_is_not_is_said_only_to_whoever_may_ask(served: Served) -> None:
    assert ask(served, "/v1/audit", "application/xml").status_code == 406
    assert ask(served, "/v1/audit", "application/xml", by=DESK).status_code == 403
    assert ask(served, "/v1/audit", "text/csv;q=0.5, application/x-ndjson").mimetype == "application/x-ndjson"
    assert ask(served, "/v1/audit", "*/*").mimetype == "application/json"
    assert served.get("/access-report", by=OFFICER, headers={"Accept": "application/xml"}).status_code == 406
    assert served.access()[-1].reason == "malformed"


def test_the_report_is_sentences_and_its_fhir_single_entries(served: Served) -> None:
    read(served)
    page = ask(served, f"/v1/audit/report?client={served.client_id}&source=access").json
    assert [item["count"] for item in page["items"] if item["action"] == "client.view"] == [1, 3]
    assert page["shown"] == sum(item["count"] for item in page["items"])
    fhir = ask(served, f"/v1/audit/report?client={served.client_id}&source=access", "application/fhir+json")
    # The page before left an entry of its own.
    assert len(indexes(fhir)) == page["shown"] + 1
    table = ask(served, "/v1/audit/report?source=access", "text/csv")
    assert "Jo Lind (therapist, care team) read the current view 3 times on " in table.text


def test_the_access_report_has_the_same_forms_and_a_clerk_gets_what_the_client_may_know(served: Served) -> None:
    read(served)
    path = served.of("/access-report")
    grouped = ask(served, path).json
    assert grouped["entries"] == grouped["shown"] == sum(item["count"] for item in grouped["items"])
    assert grouped["complete_up_to"]["index"] >= max(indexes(ask(served, path, "text/csv"))[1:])
    for form in FORMS[1:]:
        answered = ask(served, path, form, by=CLERK)
        assert answered.status_code == 200
        assert "127.0.0.1" not in answered.text
        assert len(indexes(answered)) == len(served.access()) - 1
    told = ask(served, path, by=CLERK).json["items"]
    assert any(item["text"].startswith("Jo Lind, your therapist, read your session notes on ") for item in told)


def test_changes_of_staff_and_teams_are_shown_to_the_officer(served: Served) -> None:
    colleague, _ = served.clinic.hire(T, "Ida Roe")
    member = served.of(f"/care-team/members/{colleague.id}")
    assert served.call("PUT", member, by=DESK).status_code == 200
    page = ask(served, f"/v1/audit?source=changes&client={served.client_id}").json
    assert "put Ida Roe into the client's care team, treating" in page["items"][0]["text"]
    assert page["items"][0]["about"] == colleague.id
    assert ask(served, "/v1/audit?action=account.created").json["items"][0]["detail"] == "therapist"


@pytest.mark.parametrize("index", ["99999999", str(2**62), str(2**62 + 1), "0", "-1", "x"])
def test_what_is_no_entry_of_the_audit_is_not_found(served: Served, index: str) -> None:
    assert ask(served, f"/v1/audit/{index}").status_code == 404
