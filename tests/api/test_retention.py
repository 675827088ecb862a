"""Retention over HTTP: a death, a legal hold and who is due, from the first request to the last."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.api.caller import CLERK, DESK, OFFICER, Served

HOLD = {"authority": "court", "requested_by": "County Court", "reference": "2026/118", "reason": "A claim."}
FAR = "/v1/retention/due?on=2090-01-01"


def retention(served: Served, **rest: Any) -> dict[str, Any]:
    """Return the retention of the client, as the privacy officer sees it."""
    answered = served.get("/retention", **{"by": OFFICER, **rest})
    assert answered.status_code == 200
    assert isinstance(answered.json, dict)
    return answered.json


def test_a_hold_is_placed_seen_and_lifted_on_its_version(served: Served) -> None:
    placed = served.post("/legal-holds", HOLD, by=OFFICER)
    assert placed.status_code == 201
    assert placed.json is not None
    hold, version = placed.json["id"], placed.json["version"]
    assert placed.headers["ETag"] == f'"{version}"'
    (shown,) = retention(served)["legal_holds"]
    assert (shown["id"], shown["version"], shown["reason"], shown["lifted_at"]) == (hold, version, "A claim.", None)
    view = served.get().json
    assert view is not None
    assert [each["id"] for each in view["legal_holds"]] == [hold]
    desk = served.get(by=DESK).json
    assert desk is not None
    assert "legal_holds" not in desk
    path = f"/legal-holds/{hold}/lifting"
    assert served.post(path, {"reason": "Settled."}, by=OFFICER).status_code == 428
    assert served.post(path, {"reason": "Settled."}, by=OFFICER, if_match=version - 1).status_code == 412
    assert served.post(path, {"reason": "Settled."}, by=OFFICER, if_match=version).status_code == 201
    again = served.post("/legal-holds", {"id": hold, **HOLD}, by=OFFICER)
    assert (again.status_code, again.json and again.json["rule"]) == (409, "legal-hold-lifted")
    assert retention(served)["stopped"] is False


def test_a_death_is_recorded_seen_and_taken_back(served: Served) -> None:
    died = served.post("/death", {"died_on": "2026-01", "reported_by": "gp"}, by=DESK, if_match=1)
    assert died.status_code == 201
    desk = served.get(by=DESK).json
    assert desk is not None
    assert (desk["identity"]["deceased"], desk["identity"]["died_on"]) == (True, "2026-01")
    other = served.post("/death", {"died_on": "2025", "reported_by": "gp"}, by=DESK, if_match=2)
    assert (other.status_code, other.json and other.json["rule"]) == (409, "death-recorded")
    assert served.post("/death", {"died_on": "2026-13", "reported_by": "gp"}, by=DESK, if_match=2).status_code == 422
    assert "death" in {each["ground"] for each in retention(served)["deadlines"]}
    assert served.post("/death/error", {"reason": "Her mother."}, by=DESK, if_match=2).status_code == 201
    assert "death" not in {each["ground"] for each in retention(served, by=CLERK)["deadlines"]}


def test_who_is_due_comes_in_pages_with_one_entry_for_each_client(served: Served) -> None:
    clients = {str(served.client_id), *(str(served.clinic.register(family="Ash")) for _ in range(2))}
    first = served.call("GET", f"{FAR}&limit=2", by=OFFICER).json
    assert first is not None
    assert (first["total"], len(first["items"])) == (3, 2)
    second = served.call("GET", f"{FAR}&limit=2&cursor={first['next']}", by=OFFICER).json
    assert second is not None
    assert second["next"] is None
    assert {each["id"] for each in first["items"] + second["items"]} == clients
    assert [entry.action for entry in served.access()] == ["retention.due"]
    other = served.call("GET", f"/v1/retention/due?on=2089-01-01&cursor={first['next']}", by=OFFICER)
    assert other.status_code == 400
    assert served.call("GET", f"{FAR}&within=3661", by=OFFICER).status_code in (400, 422)
    assert served.call("GET", "/v1/retention/due?on=2090-02-30", by=OFFICER).status_code in (400, 422)


def test_nobody_else_is_told_who_is_due_or_places_a_hold(served: Served) -> None:
    assert served.call("GET", FAR, by=CLERK).status_code == 403
    assert served.post("/legal-holds", HOLD).status_code == 403
    unknown = served.call("GET", served.of("/retention", uuid4()), by=OFFICER)
    assert unknown.status_code == 404
