"""Emergency access over HTTP, from the refusal to the review, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from records.actors import Actor, Role
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.one_time_code import code_at
from tests.api.caller import DESK, OFFICER, S, Served, T
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


def test_joining_a_team_by_oneself_is_reviewed_and_told_to_the_team(clinic: Emergencies) -> None:
    own = clinic.of(f"/care-team/members/{clinic.outsider.id}")
    assert clinic.call("PUT", own, token=clinic.outsider_token).status_code == 403
    access = clinic.granted()
    assert clinic.read(access=access).status_code == 200
    friend = clinic.of(f"/care-team/members/{clinic.clinic.staff[DESK].id}")
    assert clinic.call("PUT", friend, token=clinic.outsider_token).status_code == 403
    assert clinic.call("PUT", own, token=clinic.outsider_token).status_code == 200
    assert clinic.get(token=clinic.outsider_token).status_code == 200

    seen = clinic.get().json
    assert seen is not None
    assert [alert["kind"] for alert in seen["alerts"]] == ["self-added", "emergency-access"]
    assert all("Kim Vale" in alert["text"] for alert in seen["alerts"])
    assert [review["cause"] for review in clinic.reviews()] == ["emergency", "own-membership"]
    joined = clinic.reviews()[1]["id"]
    single = clinic.call("GET", f"/v1/audit/reviews/{joined}", by=OFFICER)
    assert single.json is not None
    assert [(each["action"], each["reason"]) for each in single.json["readings"]] == [("client.view", None)]
    clinic.close(joined)
    clinic.close(access)
    seen = clinic.get().json
    assert seen is not None
    assert seen["alerts"] == []


def test_a_member_still_does_not_promote_themselves(sqlite: Emergencies) -> None:
    own = sqlite.of(f"/care-team/supervisors/{sqlite.clinic.staff[T].id}")
    assert problem(sqlite.call("PUT", own)) == (409, "own-membership")
    access = sqlite.clinic.emergency(sqlite.clinic.staff[T], sqlite.client_id)
    assert problem(sqlite.call("PUT", own)) == (409, "own-membership")
    assert str(access) in {review["id"] for review in sqlite.reviews()}


def test_an_overdue_review_asks_for_a_second_person(clinic: Emergencies) -> None:
    clinic.read(access=clinic.granted())
    clinic.watch.ahead += timedelta(days=8)
    assert [review["state"] for review in clinic.reviews(state="overdue")] == ["overdue"]
    asked = clinic.grant()
    assert asked.json is not None
    access, approval = asked.json["id"], f"/emergency-access/{asked.json['id']}/approval"
    assert asked.json["needs_approval"] is True
    assert problem(clinic.read(access=access)) == (409, "approval-missing")
    own = {"code": clinic.code(clinic.outsider)}
    assert problem(clinic.post(approval, own, token=clinic.outsider_token)) == (409, "own-approval")
    for role in (DESK, Role.ADMINISTRATOR):
        assert clinic.post(approval, own, by=role).status_code == 403
    assert problem(clinic.post(approval, own, by=S)) == (409, "code-wrong")
    confirming = {"code": clinic.code(clinic.clinic.staff[OFFICER])}
    assert clinic.post(approval, confirming, by=OFFICER, key="confirm").status_code == 201
    assert clinic.post(approval, confirming, by=OFFICER, key="confirm").status_code == 201
    assert clinic.read(access=access).status_code == 200
    assert problem(clinic.close(access)) == (409, "own-review")
    assert access not in {review["id"] for review in clinic.reviews()}


def test_a_code_is_good_once_and_wrong_ones_are_counted(sqlite: Emergencies) -> None:
    code = sqlite.code(sqlite.outsider)
    first = sqlite.grant(code, key="one")
    assert first.status_code == 201
    assert sqlite.grant(code, key="one").json == first.json
    assert problem(sqlite.grant(code)) == (409, "code-used")
    assert problem(sqlite.grant("000000", ground="risk-to-life", key="one")) == (422, "idempotency-key-reused")
    for _ in range(5):
        wrong = f"{(int(sqlite.code(sqlite.outsider)) + 1) % 1_000_000:06}"
        assert problem(sqlite.grant(wrong)) == (409, "code-wrong")
    sqlite.watch.ahead -= timedelta(minutes=1)
    locked = sqlite.grant(sqlite.code(sqlite.outsider))
    assert problem(locked) == (429, "too-many-attempts")
    assert int(locked.headers["Retry-After"]) > 0
    reasons = [entry.reason for entry in sqlite.access() if entry.action == "emergency.grant"]
    assert reasons == ["code-used", "idempotency-key-reused", *["code-wrong"] * 5, "too-many-attempts"]
    sqlite.watch.ahead += timedelta(minutes=6)
    assert sqlite.grant().status_code == 201


def test_whoever_has_no_second_factor_is_told_so(sqlite: Emergencies) -> None:
    _, token = sqlite.clinic.hire(T, "New Hand")
    assert problem(sqlite.grant("123456", token=token)) == (409, "second-factor-missing")


def test_an_unknown_client_is_granted_to_nobody_and_uses_up_no_code(sqlite: Emergencies) -> None:
    code = sqlite.code(sqlite.outsider)
    path = sqlite.of("/emergency-access", uuid4())
    asked = sqlite.call("POST", path, {"ground": "crisis", "code": code}, token=sqlite.outsider_token)
    assert problem(asked) == (404, "unknown-client")
    assert sqlite.grant(code).status_code == 201


def test_somebody_elses_grant_opens_nothing(sqlite: Emergencies) -> None:
    access = sqlite.granted()
    _, token = sqlite.clinic.hire(T, "Ida Roe")
    assert problem(sqlite.read(access=access, token=token)) == (403, "not-permitted")
    assert problem(sqlite.read(access=access, token=None, by=DESK)) == (403, "not-permitted")


def test_a_reason_is_needed_each_time_and_may_be_in_any_script(sqlite: Emergencies) -> None:
    access = sqlite.granted()
    assert problem(sqlite.read(access=access, reason=None)) == (400, "reason-missing")
    assert sqlite.read(access=access, reason="Zw%C3%B6lf Anrufe%0Aheute").status_code == 200
    assert problem(sqlite.read(reason=None)) == (400, "reason-missing")
    assert problem(sqlite.read(reason="x" * 501)) == (400, "malformed")
    assert problem(sqlite.read(access="no-id")) == (400, "malformed")
    single = sqlite.call("GET", f"/v1/audit/reviews/{access}", by=OFFICER)
    assert single.json is not None
    assert [each["reason"] for each in single.json["readings"]] == ["Zwölf Anrufe heute"]


def test_the_clinic_may_keep_reasons_from_reviewers(sqlite: Emergencies) -> None:
    access = sqlite.granted()
    sqlite.read(access=access)
    policy = ClinicPolicy(reviewer_sees_reason=False)
    sqlite.clinic.do(uuid4(), change_policy, by=Role.OPERATOR, policy=policy)
    single = sqlite.call("GET", f"/v1/audit/reviews/{access}", by=OFFICER)
    assert single.json is not None
    assert [each["reason"] for each in single.json["readings"]] == [None]


def test_a_supervisor_in_an_emergency_writes_a_note_too(sqlite: Emergencies) -> None:
    client = sqlite.clinic.register(family="Quillfeather", supervised=False)
    sqlite.client_id = client
    sqlite.clinic.emergency(sqlite.clinic.staff[S], client)
    assert sqlite.post("/notes", NOTE, by=S).status_code == 201
    assert sqlite.get(by=S).status_code == 403


def test_reviews_are_listed_in_pages(sqlite: Emergencies) -> None:
    accesses = [str(sqlite.clinic.emergency(sqlite.outsider, sqlite.client_id)) for _ in range(3)]
    first = sqlite.call("GET", "/v1/audit/reviews?limit=2", by=OFFICER).json
    assert first is not None
    rest = sqlite.call("GET", f"/v1/audit/reviews?limit=2&cursor={first['next']}", by=OFFICER).json
    assert rest is not None
    assert [item["id"] for item in first["items"] + rest["items"]] == accesses
    assert (first["unclosed"], rest["next"]) == (3, None)
