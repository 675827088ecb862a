"""Each concept over HTTP: what goes in by its route is what the current view shows, and rules answer by name."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

from records.actors import Role
from tests.api.caller import ADMIN, CLERK, DESK, OFFICER, S, Served, T, ahead

TEXT = {"kind": "progress", "format": "SOAP", "sections": {"subjective": "Low.", "plan": "Same time."}}
PAST = "2026-10-12T14:00:00Z"


def view(served: Served, **rest: Any) -> dict[str, Any]:
    """Return the current view."""
    shown = served.get(**rest)
    assert shown.status_code == 200
    assert isinstance(shown.json, dict)
    return shown.json


def rule_of(answered: Any) -> str:
    """Return the rule that an answer names."""
    assert answered.status_code == 409
    found: str = answered.json["rule"]
    return found


def test_registration_shows_all_that_was_given(served: Served) -> None:
    person = {
        "family": "Fennimarsh",
        "given": "Ottoline",
        "preferred_name": "Otti",
        "birth_date": "1981-04",
        "language": "en-GB",
        "interpreter_needed": True,
        "email": "otti@example.org",
        "nhs_number": "9434765919",
    }
    made = served.call("POST", "/v1/clients", person)
    assert made.json is not None
    shown = served.call("GET", made.headers["Location"], by=T).json
    assert shown is not None
    assert {name: shown["identity"][name] for name in person} == person
    assert rule_of(served.call("POST", "/v1/clients", {**person, "id": made.json["id"], "given": "x"})) == (
        "client-already-registered"
    )
    same = served.call("POST", "/v1/clients", {**person, "id": made.json["id"]})
    assert same.status_code == 200
    assert served.call("POST", "/v1/clients", {"preferred_name": "x"}).status_code == 422


def test_consent_bars_what_it_does_not_cover(served: Served) -> None:
    episode, _ = served.episode()
    start = ahead(days=1)
    treatment = {"episode_id": episode, "start": start, "kind": "treatment"}
    missing = served.post("/sessions", treatment)
    assert rule_of(missing) == "consent-missing"
    assert missing.json is not None
    assert missing.json["consent"] == "treatment"
    consent, given = served.consent()
    served.made("/sessions", treatment)
    remote = served.post("/sessions", {**treatment, "mode": "11"})
    assert remote.json is not None
    assert remote.json["consent"] == "telehealth"
    served.made(f"/consents/{consent}/withdrawal", {"channel": "telephone", "reason": None}, if_match=given)
    assert rule_of(served.post("/sessions", {**treatment, "start": ahead(days=2)})) == "consent-missing"
    kinds = {item["kind"]: item["status"] for item in view(served)["consents"]}
    assert kinds == {"treatment": "withdrawn"}


def test_what_was_held_without_consent_is_a_breach(served: Served) -> None:
    episode, _ = served.episode()
    session = f"/sessions/{uuid4()}/held"
    held = {"episode_id": episode, "started_at": PAST, "kind": "treatment"}
    assert rule_of(served.post(session, held)) == "consent-missing"
    served.made(session, {**held, "breach_reason": "Forgot the form."})
    shown = view(served, by=S)
    assert [alert["kind"] for alert in shown["alerts"]] == ["breach"]
    assert shown["last_sessions"][0]["breach"] == ["treatment"]


def breach(served: Served, **rest: Any) -> tuple[str, int]:
    """Hold a session without its consent; return the session and its version."""
    episode, _ = served.episode()
    held = {"episode_id": episode, "started_at": PAST, "kind": "treatment", "breach_reason": "Forgot the form."}
    return served.made(f"/sessions/{uuid4()}/held", held, **rest)


def test_a_breach_leaves_the_top_when_a_supervisor_decided_and_stays_in_the_history(served: Served) -> None:
    session, version = breach(served)
    decision = {"outcome": "consent-taken", "reason": "Signed at the next session."}
    (alert,) = view(served, by=S)["alerts"]
    assert (alert["kind"], alert["about"], alert["version"]) == ("breach", session, version)
    # Whoever entered it does not decide, in company of a supervisor or alone.
    supervisor = served.clinic.staff[S].id
    own = served.post(f"/sessions/{session}/breach-review", {**decision, "supervisor_id": supervisor}, if_match=version)
    assert rule_of(own) == "own-breach"
    assert view(served, by=S)["alerts"] == [alert]
    assert served.post(f"/sessions/{session}/breach-review", decision, by=S).status_code == 428
    served.made(f"/sessions/{session}/breach-review", decision, by=S, if_match=version)
    shown = view(served, by=S)
    assert shown["alerts"] == []
    review = shown["last_sessions"][0]["breach_review"]
    assert (review["outcome"], review["reviewed_by_name"]) == ("consent-taken", "Sam Vale")
    assert shown["last_sessions"][0]["breach"] == ["treatment"]
    told = served.get("/timeline").json
    assert told is not None
    assert [item["topic"] for item in told["items"][:2]] == ["session.breach_reviewed", "session.breach_recorded"]
    assert told["items"][0]["content"]["reason"] == "Signed at the next session."
    again = served.post(f"/sessions/{session}/breach-review", decision, by=S, if_match=shown["version"])
    assert rule_of(again) == "breach-already-reviewed"


def test_a_therapist_decides_on_a_colleagues_breach_with_a_supervisor_of_this_client(served: Served) -> None:
    session, version = breach(served)
    colleague, token = served.clinic.hire(T)
    served.clinic.team(served.client_id, colleague, "team")
    stranger, _ = served.clinic.hire(S)
    address = f"/sessions/{session}/breach-review"
    decision = {"outcome": "justified", "reason": "Came in crisis."}
    for named in (stranger.id, colleague.id, str(uuid4())):
        asked = served.post(address, {**decision, "supervisor_id": named}, token=token, if_match=version)
        assert asked.status_code == 404
    assert served.post(address, decision, token=token, if_match=version).status_code == 422
    supervisor = served.clinic.staff[S].id
    served.made(address, {**decision, "supervisor_id": supervisor}, token=token, if_match=version)
    review = view(served)["last_sessions"][0]["breach_review"]
    assert (review["reviewed_by"], review["supervisor_name"]) == (colleague.id, "Sam Vale")


def test_a_session_in_error_is_hidden_and_counts_no_more_but_hides_no_breach(served: Served) -> None:
    session, version = breach(served)
    episode = view(served)["episodes"][0]["id"]
    second, _ = served.made(f"/sessions/{uuid4()}/held", {"episode_id": episode, "started_at": PAST, "kind": "review"})
    served.made(f"/sessions/{session}/error", {"reason": "Another client's."}, if_match=version)
    shown = view(served, by=S)
    assert [(item["id"], item["number"]) for item in shown["last_sessions"]] == [(second, 1)]
    assert (shown["episodes"][0]["sessions_held"], shown["sessions_in_error"]) == (1, 1)
    (alert,) = shown["alerts"]
    assert (alert["kind"], alert["about"]) == ("breach", session)
    assert "entered in error" in alert["text"]
    told = served.get("/timeline").json
    assert told is not None
    (held,) = (item for item in told["items"] if item["subject"] == session and item["topic"] == "session.held")
    assert (held["entered_in_error"], held["content"]["number"]) == (True, 1)
    no_breach = {"outcome": "no-breach", "reason": "It was of somebody else."}
    served.made(f"/sessions/{session}/breach-review", no_breach, by=S, if_match=alert["version"])
    assert view(served, by=S)["alerts"] == []
    note = {**TEXT, "session_id": session}
    assert rule_of(served.post("/notes", note)) == "session-entered-in-error"
    assert served.call("GET", "/v1/caseload").json["items"][0]["last_session"] is not None  # type: ignore[index]  # it is an object


def test_a_case_changes_its_protocol_and_what_is_due_follows(served: Served) -> None:
    episode, version = served.episode(protocol="dit-guide")
    assert view(served)["episodes"][0]["measures_due"] == []
    change = {"protocol": "dit-manual", "reason": "Comes alone now."}
    served.made(f"/episodes/{episode}/protocol", change, if_match=version)
    (shown,) = view(served)["episodes"]
    assert (shown["protocol"], shown["protocol_version"], shown["phase"]) == ("dit-manual", "2011", "initial")
    assert (shown["protocol_reason"], shown["measures_due"]) == ("Comes alone now.", ["PHQ-9", "GAD-7"])
    served.made("/assessments", {"measure": "PHQ-9", "answers": [1] * 8 + [0]})
    assert view(served)["episodes"][0]["measures_due"] == ["GAD-7"]
    told = served.get("/timeline").json
    assert told is not None
    (old,) = (item for item in told["items"] if item["topic"] == "episode.opened")
    assert old["content"]["protocol"] == "dit-guide"


def test_sessions_from_booking_to_the_end(served: Served) -> None:
    episode, _ = served.episode()
    first, booked = served.made("/sessions", {"episode_id": episode, "start": ahead(minutes=3), "room": "2"}, by=DESK)
    _, moved = served.made(f"/sessions/{first}/reschedule", {"room": "3"}, by=DESK, if_match=booked)
    assert view(served)["next_session"]["room"] == "3"
    _, came = served.made(f"/sessions/{first}/attendance", {"code": "5"}, by=DESK, if_match=moved)
    served.made(f"/sessions/{first}/held", {"started_at": PAST, "methods": ["mentalising"]}, if_match=came)
    assert view(served)["last_sessions"][0]["number"] == 1
    other, booked = served.made("/sessions", {"episode_id": episode, "start": ahead(days=9), "kind": "review"})
    served.made(f"/sessions/{other}/cancellation", {"by": "client", "reason": "Ill."}, by=DESK, if_match=booked)
    _, version = served.made(
        f"/episodes/{episode}/phase",
        {"phase": "ending", "reason": "Moving away."},
        if_match=view(served)["episodes"][0]["version"],
    )
    served.made(f"/episodes/{episode}/closure", {"reason": "46"}, if_match=version)
    assert view(served)["episodes"][0]["close_reason"] == "46"
    assert rule_of(served.post("/sessions", {"episode_id": episode, "start": ahead(days=1)})) == "episode-closed"


def test_assessments_with_answers_and_with_a_total_only(served: Served) -> None:
    served.made("/assessments", {"measure": "PHQ-9", "answers": [3, 3, 2, 2, 2, 2, 2, 2, None], "occurred_at": PAST})
    served.made("/assessments", {"measure": "PHQ-9", "score": 6, "in_session": False, "completed_by": "therapist"})
    (measure,) = view(served)["measures"]
    assert measure["first"]["risk_item_unanswered"]
    assert measure["last"]["score_only"]
    assert measure["better_by"] > 0
    error, version = served.made("/assessments", {"measure": "GAD-7", "answers": [1] * 7})
    served.made(f"/assessments/{error}/error", {"reason": "Another client's."}, if_match=version)
    assert [item["measure"] for item in view(served)["measures"]] == ["PHQ-9"]


def test_the_tenth_question_is_kept_and_never_scored(served: Served) -> None:
    answers = [2] * 8 + [0]
    served.made("/assessments", {"measure": "PHQ-9", "answers": answers, "difficulty": 3})
    latest = view(served)["measures"][0]["latest"]
    assert (latest["score"], latest["difficulty"]) == (16, 3)
    for wrong in (4, -1, "2", True):
        refused = served.post("/assessments", {"measure": "PHQ-9", "answers": answers, "difficulty": wrong})
        assert refused.status_code == 422
    refused = served.post("/assessments", {"measure": "WSAS", "answers": [1] * 5, "difficulty": 1})
    assert refused.status_code == 422


def test_a_prompt_is_cleared_or_answered_by_name(served: Served) -> None:
    prompts = [served.made("/assessments", {"measure": "PHQ-9", "answers": [0] * 8 + [n]}) for n in (1, 3)]
    (one, version), (two, _) = prompts
    assert [item["assessment_id"] for item in view(served)["risk_prompts"]] == [one, two]
    served.made(f"/assessments/{one}/prompt-clearance", {"reason": "Asked: a slip."}, by=S, if_match=version)
    risk = {"level": "moderate", "formulation": "Alone at night.", "answers": [two], "review_date": "2199-12-31"}
    risk_id, _ = served.made(
        "/risk-assessments", {**risk, "findings": {"means": "absent"}, "details": {"means": "No."}}
    )
    shown = view(served)
    assert shown["risk_prompts"] == []
    assert shown["risk"]["id"] == risk_id
    assert rule_of(served.post("/risk-assessments", {**risk, "id": risk_id})) == "risk-already-assessed"


def test_an_answer_that_was_entered_in_error_opens_its_prompt_again(served: Served) -> None:
    assessment, _ = served.made("/assessments", {"measure": "PHQ-9", "answers": [0] * 8 + [2]})
    older, _ = served.made("/risk-assessments", {"level": "low", "formulation": "No plan.", "answers": []})
    risk, version = served.made("/risk-assessments", {"level": "moderate", "formulation": "Of somebody else."})
    assert view(served)["risk_prompts"] == []
    reason = {"reason": "Another client's."}
    assert served.post(f"/risk-assessments/{risk}/error", reason).status_code == 428
    served.made(f"/risk-assessments/{risk}/error", reason, if_match=version)
    shown = view(served)
    (prompt,) = shown["risk_prompts"]
    assert (prompt["assessment_id"], prompt["value"], prompt["reopened"]) == (assessment, 2, True)
    assert shown["risk"]["id"] == older
    assert shown["risk_in_error"] == 1
    (client,) = served.call("GET", "/v1/caseload").json["items"]  # type: ignore[index]  # it is an object
    assert client["open_prompts"] == 1
    told = served.get("/timeline").json
    assert told is not None
    (item,) = (item for item in told["items"] if item["topic"] == "risk.assessed" and item["subject"] == risk)
    assert item["entered_in_error"]
    assert item["content"]["formulation"] == "Of somebody else."
    served.made(f"/assessments/{assessment}/prompt-clearance", {"reason": "Asked: a slip."}, if_match=prompt["version"])
    assert view(served)["risk_prompts"] == []


def test_goals_from_setting_to_reopening(served: Served) -> None:
    goal, version = served.made(
        "/goals", {"text": "Sleep.", "scale": "gas", "baseline": -2, "anchors": {"-2": "Hardly.", "0": "Most nights."}}
    )
    served.made(f"/goals/{goal}/ratings", {"value": 0, "rater": "both"})
    for change in ({"change": "reword", "text": "Sleep through."}, {"change": "achieve"}, {"change": "reopen"}):
        version = view(served)["goals"]["items"][0]["version"]
        served.made(f"/goals/{goal}/changes", change, if_match=version)
    shown = view(served)["goals"]
    assert shown["items"][0]["text"] == "Sleep through."
    assert shown["gas_t_score"] == 50
    assert served.post(f"/goals/{goal}/ratings", {"value": 3}).status_code == 422
    assert served.post(f"/goals/{uuid4()}/ratings", {"value": 1}).status_code == 404


def test_a_goal_in_error_is_hidden_and_counts_nowhere(served: Served) -> None:
    kept, _ = served.made("/goals", {"text": "Sleep.", "scale": "gas", "baseline": -1})
    wrong, _ = served.made("/goals", {"text": "Of somebody else.", "scale": "gas", "baseline": -2})
    for goal, value in ((kept, 0), (wrong, 2)):
        _, version = served.made(f"/goals/{goal}/ratings", {"value": value})
    served.made(f"/goals/{wrong}/error", {"reason": "Another client's."}, if_match=version)
    shown = view(served)["goals"]
    assert ([item["id"] for item in shown["items"]], shown["in_error"]) == ([kept], 1)
    assert (shown["gas_t_score"], shown["gas_t_score_baseline"]) == (50, 40)
    assert rule_of(served.post(f"/goals/{wrong}/ratings", {"value": 1})) == "goal-entered-in-error"
    told = served.get("/timeline").json
    assert told is not None
    assert [item["entered_in_error"] for item in told["items"] if item["subject"] == wrong] == [False, True, True]


def test_a_draft_is_its_authors_only_and_gone_when_signed(served: Served) -> None:
    note = uuid4()
    address = served.of(f"/notes/{note}/draft")
    first = served.call("PUT", address, TEXT)
    assert first.status_code == 200
    assert served.call("PUT", address, TEXT).status_code == 428
    second = served.call("PUT", address, {**TEXT, "sections": {"plan": "Later."}}, if_match=first.headers["ETag"])
    assert second.json is not None
    shown = served.call("GET", address)
    assert shown.headers["ETag"] == second.headers["ETag"]
    assert shown.json is not None
    assert shown.json["text_sha256"] == second.json["text_sha256"]
    colleague, token = served.clinic.hire(T)
    served.clinic.team(served.client_id, colleague, "team")
    assert served.call("GET", address, token=token).status_code == 404
    assert served.call("GET", address, by=S).status_code == 403
    assert first.json is not None
    stale = served.post(f"/notes/{note}/signature", {"text_sha256": first.json["text_sha256"]})
    assert stale.status_code == 412
    signed = served.post(f"/notes/{note}/signature", {"text_sha256": second.json["text_sha256"]}, key="sign")
    assert signed.status_code == 201
    again = served.post(f"/notes/{note}/signature", {"text_sha256": second.json["text_sha256"]}, key="sign")
    assert again.json == signed.json
    assert served.call("GET", address).status_code == 404
    text = served.get(f"/notes/{note}").json
    assert text is not None
    assert text["texts"][0]["sections"] == {"plan": "Later."}


def test_the_digest_of_a_draft_is_that_of_its_text(served: Served) -> None:
    saved = served.call("PUT", served.of(f"/notes/{uuid4()}/draft"), TEXT).json
    assert saved is not None
    text = b"".join(f"{name}\n{words}\0".encode() for name, words in sorted(TEXT["sections"].items()))  # type: ignore[attr-defined]  # a mapping
    assert saved["text_sha256"] == hashlib.sha256(text).hexdigest()


def test_notes_are_added_to_and_taken_out(served: Served) -> None:
    note, version = served.note("Came.")
    _, version = served.made(f"/notes/{note}/addenda", {"text": "Rang later."}, if_match=version)
    own = str(uuid4())
    _, version = served.made(f"/notes/{note}/addenda", {"id": own, "text": "Rang again."}, if_match=version)
    shown = served.get(f"/notes/{note}")
    assert shown.json is not None
    assert [item["text"] for item in shown.json["addenda"]] == ["Rang later.", "Rang again."]
    assert shown.json["addenda"][1]["id"] == own
    assert shown.headers["ETag"] == f'"{version}"'
    colleague, token = served.clinic.hire(T)
    served.clinic.team(served.client_id, colleague, "team")
    amendment = {"format": "free", "sections": {"text": "Never came."}, "reason": "x"}
    assert (
        rule_of(served.post(f"/notes/{note}/amendments", amendment, token=token, if_match=version)) == "not-the-author"
    )
    served.made(f"/notes/{note}/error", {"reason": "Another client's."}, if_match=version)
    assert view(served)["notes"] == []
    assert view(served)["notes_in_error"] == 1


def test_the_access_report_tells_of_refusals_too(served: Served) -> None:
    served.get()
    stranger = served.clinic.hire(T, name="Kim Vale")[1]
    served.get(token=stranger)
    report = served.get("/access-report", by=OFFICER)
    assert report.json is not None
    told = [(item["actor_name"], item["action"], item["outcome"]) for item in report.json["items"]]
    assert told == [("Kim Vale", "client.view", "deny"), ("Jo Lind", "client.view", "permit")]
    assert served.get("/access-report", by=ADMIN).status_code == 403
    assert served.get("/access-report", by=CLERK).status_code == 200


def test_a_purpose_that_is_not_ones_own_is_refused(served: Served) -> None:
    for purpose in ("HQUALIMP", "HCOMPL", "PATRQT", "ETREAT"):
        assert served.get(headers={"Purpose-Of-Use": purpose}).status_code == 403
    assert {(entry.outcome, entry.reason) for entry in served.access()} == {("deny", "purpose")}
    assert served.clinic.staff[Role.THERAPIST].id in {entry.entered_by for entry in served.access()}


def test_answers_are_never_kept_on_the_way(served: Served) -> None:
    answers = [served.get(), served.post("/notes", {**TEXT}), served.get("/timeline"), served.get(by=None)]
    assert {answered.headers["Cache-Control"] for answered in answers} == {"no-store"}
    fresh = served.get(
        headers={"If-None-Match": answers[0].headers["ETag"], "If-Modified-Since": "Sat, 01 Jan 2200 00:00:00 GMT"}
    )
    assert fresh.status_code == 200
