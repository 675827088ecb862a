"""Emergency access over HTTP, from the refusal to the review, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from records.actors import Actor, Role
from records.one_time_code import code_at
from tests.api.caller import OFFICER, S, Served, T
from tests.clinic import make_clinic
from tests.doors import Watch

REASON = "CANARY-reason: crisis call, the treating therapist cannot be reached"
NOTE = {"kind": "progress", "format": "free", "sections": {"text": "Saw them in the crisis room."}}


class Emergencies(Served):
    """A served clinic whose clock is set, with people who have second factors."""

    def __init__(self, watch: Watch, clinic: Any) -> None:
        super().__init__(clinic, monotonic=lambda: 0.0)
        self.watch = watch
        self.secrets: dict[str, bytes] = {}
        self.outsider, self.outsider_token = clinic.hire(Role.THERAPIST, "Kim Vale")
        for person in (self.outsider, *(clinic.staff[role] for role in (T, S, OFFICER))):
            self.secrets[person.id] = clinic.secret(person)

    def code(self, person: Actor) -> str:
        """Return the person's next code; each call is half a minute later."""
        self.watch.ahead += timedelta(seconds=30)
        return code_at(self.secrets[person.id], self.watch())

    def grant(self, code: str | None = None, ground: str = "crisis", **rest: Any) -> TestResponse:
        """Ask for a grant as the outsider."""
        body = {"ground": ground, "code": code or self.code(self.outsider)}
        return self.post("/emergency-access", body, **{"token": self.outsider_token, **rest})

    def granted(self) -> str:
        """Return the id of a new grant."""
        answered = self.grant()
        assert answered.status_code == 201, answered.json
        assert answered.json is not None
        return str(answered.json["id"])

    def read(self, path: str = "", access: str | None = None, reason: str | None = REASON, **rest: Any) -> TestResponse:
        """Read in an emergency, as the outsider."""
        headers = {"Purpose-Of-Use": "ETREAT", "Access-Reason": reason or "", "Emergency-Access": access or ""}
        return self.get(path, **{"token": self.outsider_token, "headers": headers, **rest})

    def reviews(self, by: Role = OFFICER, **query: str) -> list[dict[str, Any]]:
        """Return the reviews that somebody may judge."""
        headers = {"Purpose-Of-Use": "HCOMPL"}
        answered = self.call("GET", "/v1/audit/reviews", by=by, headers=headers, query_string=query)
        assert answered.status_code == 200, answered.json
        assert answered.json is not None
        return list(answered.json["items"])

    def close(self, review: str, by: Role = OFFICER, outcome: str = "justified", finding: str = "risk") -> TestResponse:
        """Close a review."""
        body = {"outcome": outcome, "finding": finding}
        return self.call("POST", f"/v1/audit/reviews/{review}/outcome", body, by=by)


def problem(answered: TestResponse) -> tuple[int, str | None]:
    """Return status, and the rule that was broken or the kind of the problem."""
    assert answered.json is not None
    return answered.status_code, answered.json.get("rule") or answered.json["type"].rpartition("/")[2]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emergencies]:
    """A clinic on each engine in turn."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    watch = Watch()
    staffed = make_clinic(tmp_path / "clinic", database_url=url, clock=watch)
    yield Emergencies(watch, staffed)
    staffed.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Emergencies]:
    """A clinic on SQLite."""
    watch = Watch()
    staffed = make_clinic(tmp_path / "clinic", clock=watch)
    yield Emergencies(watch, staffed)
    staffed.close()


def test_the_whole_walk(clinic: Emergencies) -> None:
    note, _ = clinic.note("They spoke of the flood.")
    assert problem(clinic.get(token=clinic.outsider_token)) == (403, "not-permitted")
    assert problem(clinic.read()) == (403, "not-permitted")

    access = clinic.granted()
    assert clinic.read(access=access).status_code == 200
    assert clinic.read("/timeline").status_code == 200
    assert "flood" in clinic.read(f"/notes/{note}").text
    assert problem(clinic.read("/access-report")) == (403, "not-permitted")
    clinic.made("/risk-assessments", {"level": "high", "formulation": "Plan."}, token=clinic.outsider_token)
    clinic.made("/notes", NOTE, token=clinic.outsider_token)
    assert clinic.post("/goals", {"text": "x", "scale": "none"}, token=clinic.outsider_token).status_code == 403

    report = clinic.get("/access-report", by=OFFICER)
    assert report.json is not None
    marked = [item for item in report.json["items"] if item["purpose"] == "ETREAT" and item["outcome"] == "permit"]
    assert {(item["action"], item["relation"], item["actor"]) for item in marked} == {
        (action, "emergency", clinic.outsider.id) for action in ("client.view", "client.timeline", "note.view")
    }
    assert "CANARY" not in report.text

    (review,) = clinic.reviews()
    assert (review["id"], review["state"], review["staff_id"]) == (access, "open", clinic.outsider.id)
    single = clinic.call("GET", f"/v1/audit/reviews/{access}", by=OFFICER)
    assert single.json is not None
    assert [(each["action"], each["reason"]) for each in single.json["readings"]] == [
        ("client.view", REASON),
        ("client.timeline", REASON),
        ("note.view", REASON),
    ]
    assert clinic.close(access).status_code == 201
    assert clinic.close(access).status_code == 200
    assert problem(clinic.close(access, outcome="follow-up", finding="talk")) == (409, "review-closed")
    assert clinic.reviews(state="open") == []
    assert [each["state"] for each in clinic.reviews()] == ["closed"]


def test_it_closes_by_itself(sqlite: Emergencies) -> None:
    access = sqlite.granted()
    assert sqlite.read(access=access).status_code == 200
    sqlite.watch.ahead += timedelta(hours=2, minutes=59)
    assert sqlite.read().status_code == 200
    sqlite.watch.ahead += timedelta(minutes=2)
    assert problem(sqlite.read()) == (403, "not-permitted")
    assert problem(sqlite.read(access=access)) == (409, "grant-used")
    assert sqlite.post("/notes", NOTE, token=sqlite.outsider_token).status_code == 403


def test_a_grant_opens_one_client_once_in_five_minutes(sqlite: Emergencies) -> None:
    other = sqlite.clinic.register(family="Quillfeather")
    access = sqlite.granted()
    assert (
        sqlite.call(
            "GET",
            sqlite.of("", other),
            token=sqlite.outsider_token,
            headers={"Purpose-Of-Use": "ETREAT", "Access-Reason": "x", "Emergency-Access": access},
        ).status_code
        == 403
    )
    sqlite.watch.ahead += timedelta(minutes=5)
    assert problem(sqlite.read(access=access)) == (409, "grant-expired")
    assert sqlite.reviews() == []
    assert [e.reason for e in sqlite.access(other) if e.purpose == "ETREAT"] == ["grant"]
