"""Bad input: a clear problem with pointers, no echo, nothing stored, and an entry where a client was named."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest

from tests.api.caller import DESK, Served, T, ahead

CANARY = "canary-a83f"
NOTE = {"kind": "progress", "format": "free", "sections": {"text": "x"}}
FORM = {"form_id": "f", "form_version": "1"}
GIVEN = {"kind": "treatment", "outcome": "given", "form": FORM}
SCORE = {"measure": "PHQ-9", "score": 3}
RISK = {"level": "low", "formulation": "x"}
EPISODE = {"format": "individual", "modality": "DIT", "protocol": "dit-manual"}

CONTENT: list[tuple[str, str, dict[str, Any], str]] = [
    ("an unknown field", "/notes", {**NOTE, CANARY: 1}, ""),
    ("an unknown field further in", "/notes", {**NOTE, "sections": {CANARY: "x"}}, "/sections"),
    ("a number for text", "/notes", {**NOTE, "sections": {"text": 1}}, "/sections/text"),
    ("text for an object", "/notes", {**NOTE, "sections": CANARY}, "/sections"),
    ("a NUL", "/notes", {**NOTE, "sections": {"text": f"{CANARY}\0"}}, "/sections/text"),
    ("half a character", "/notes", {**NOTE, "sections": {"text": f"{CANARY}\ud800"}}, "/sections/text"),
    ("no text", "/notes", {**NOTE, "sections": {"text": "  "}}, "/sections"),
    ("a section of another format", "/notes", {**NOTE, "sections": {"plan": CANARY}}, "/sections"),
    ("an unknown format", "/notes", {**NOTE, "format": CANARY}, "/format"),
    ("a missing field", "/notes", {"kind": "progress", "format": "free"}, "/sections"),
    ("no id", "/notes", {**NOTE, "id": CANARY}, "/id"),
    ("an id without dashes", "/notes", {**NOTE, "id": uuid4().hex}, "/id"),
    ("an unknown measure", "/assessments", {"measure": CANARY, "score": 3}, "/measure"),
    ("an answer out of range", "/assessments", {"measure": "PHQ-9", "answers": [4] + [0] * 8}, "/answers/0"),
    ("a half answer", "/assessments", {"measure": "PHQ-9", "answers": [0.5] + [0] * 8}, "/answers/0"),
    ("an answer in quotes", "/assessments", {"measure": "PHQ-9", "answers": ["1"] + [0] * 8}, "/answers/0"),
    ("true for an answer", "/assessments", {"measure": "PHQ-9", "answers": [True] + [0] * 8}, "/answers/0"),
    ("too few answers", "/assessments", {"measure": "PHQ-9", "answers": [1]}, "/answers"),
    ("a score out of range", "/assessments", {"measure": "PHQ-9", "score": 28}, "/score"),
    ("an assessment to come", "/assessments", {**SCORE, "occurred_at": ahead(days=1)}, "/occurred_at"),
    ("a time without a zone", "/assessments", {**SCORE, "occurred_at": "2026-01-01T10:00:00"}, "/occurred_at"),
    ("a day that is none", "/assessments", {**SCORE, "occurred_at": "2026-02-30T10:00:00Z"}, "/occurred_at"),
    ("a time before all clients", "/assessments", {**SCORE, "occurred_at": "0001-01-01T00:00:00Z"}, "/occurred_at"),
    ("a number for a time", "/assessments", {**SCORE, "occurred_at": 1}, "/occurred_at"),
    ("an unknown consent", "/consents", {**GIVEN, "kind": CANARY}, "/kind"),
    ("an unknown field of a form", "/consents", {**GIVEN, "form": {**FORM, CANARY: 1}}, "/form"),
    ("a digest that is none", "/consents", {**GIVEN, "form": {**FORM, "text_sha256": CANARY}}, "/form/text_sha256"),
    ("a guardian without authority", "/consents", {**GIVEN, "given_by": "guardian"}, "/authority"),
    ("an unknown area of risk", "/risk-assessments", {**RISK, "findings": {CANARY: "present"}}, "/findings"),
    ("an unknown finding", "/risk-assessments", {**RISK, "findings": {"plan": CANARY}}, "/findings/plan"),
    ("a goal beyond its scale", "/goals", {"text": "x", "scale": "gas", "baseline": 3}, "/baseline"),
    ("a weight beyond all", "/goals", {"text": "x", "scale": "gas", "importance": 4}, "/importance"),
    ("words for no level", "/goals", {"text": "x", "scale": "gas", "anchors": {CANARY: "x"}}, "/anchors"),
    ("a plan of nothing", "/episodes", {**EPISODE, "planned_sessions": 0}, "/planned_sessions"),
    ("a code that is none", "/episodes", {**EPISODE, "modality": f"{CANARY} "}, "/modality"),
]


@pytest.mark.parametrize(("path", "body", "pointer"), [case[1:] for case in CONTENT], ids=[case[0] for case in CONTENT])
def test_invalid_content(served: Served, path: str, body: dict[str, Any], pointer: str) -> None:
    events = served.events()
    answered = served.post(path, body)
    assert answered.status_code == 422
    assert answered.json is not None
    assert [fault["pointer"] for fault in answered.json["errors"]] == [pointer]
    refused_without_a_trace(served, answered.text, events)


SHAPE = [
    ("invalid UTF-8", b'{"kind": "\xff' + CANARY.encode() + b'"}'),
    ("not JSON", b'{"kind": ' + CANARY.encode()),
    ("nothing", b""),
    ("a list", b'["' + CANARY.encode() + b'"]'),
    ("a key twice", b'{"kind": "a", "kind": "' + CANARY.encode() + b'"}'),
    ("NaN", b'{"score": NaN}'),
    ("an endless number", b'{"score": -Infinity}'),
    ("too deep", b'{"a":' * 17 + b"1" + b"}" * 17),
    ("much too deep", b"[" * 60_000),
    ("a number without end", b'{"score": ' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize("data", [case[1] for case in SHAPE], ids=[case[0] for case in SHAPE])
def test_malformed_bodies(served: Served, data: bytes) -> None:
    events = served.events()
    answered = served.post("/assessments", None, data=data, headers={"Content-Type": "application/json"})
    assert answered.status_code == 400
    refused_without_a_trace(served, answered.text, events)


def test_a_number_beyond_all_is_none(served: Served) -> None:
    data = b'{"measure": "PHQ-9", "score": 1e999}'
    answered = served.post("/assessments", None, data=data, headers={"Content-Type": "application/json"})
    assert answered.status_code == 422
    refused_without_a_trace(served, answered.text, 1)


def test_brackets_in_text_are_no_depth(served: Served) -> None:
    assert served.post("/notes", {**NOTE, "sections": {"text": '[{"\\' * 200}}).status_code == 201


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_other_media_types(served: Served, media_type: str) -> None:
    events = served.events()
    answered = served.post("/notes", None, data=json.dumps(NOTE), headers={"Content-Type": media_type})
    assert answered.status_code == 415
    refused_without_a_trace(served, answered.text, events)


def test_large_bodies(served: Served) -> None:
    events = served.events()
    for path, size in (("/notes", 10_000_000), ("/notes", 1024 * 1024 + 1), ("/consents", 64 * 1024 + 1)):
        answered = served.post(path, None, data=b"x" * size, headers={"Content-Type": "application/json"})
        assert answered.status_code == 413
        refused_without_a_trace(served, answered.text, events)


@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 400), (64 * 1024 + 1, 413), (10_000_000, 413)])
def test_bodies_that_do_not_tell_their_length(served: Served, size: int, status: int) -> None:
    events = served.events()
    answered = served.post(
        "/consents",
        None,
        data=None,
        input_stream=BytesIO(b"x" * size),
        headers={"Content-Type": "application/json"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answered.status_code == status
    refused_without_a_trace(served, answered.text, events)


def test_a_long_note_is_kept(served: Served) -> None:
    assert served.post("/notes", {**NOTE, "sections": {"text": "a" * 400_000}}).status_code == 201
    assert served.post("/notes", {**NOTE, "sections": {"text": "a" * 400_001}}).status_code == 422


HEADERS = [
    ("no retry key", {"Idempotency-Key": ""}),
    ("a retry key too long", {"Idempotency-Key": "k" * 129}),
    ("a retry key with a space", {"Idempotency-Key": f"a {CANARY}"}),
    ("a weak tag", {"If-Match": 'W/"1"'}),
    ("any tag", {"If-Match": "*"}),
    ("a tag of words", {"If-Match": f'"{CANARY}"'}),
    ("two tags", {"If-Match": '"1", "2"'}),
]


@pytest.mark.parametrize("headers", [case[1] for case in HEADERS], ids=[case[0] for case in HEADERS])
def test_malformed_headers(served: Served, headers: dict[str, str]) -> None:
    events = served.events()
    answered = served.post("/notes", NOTE, headers=headers)
    assert answered.status_code == 400
    refused_without_a_trace(served, answered.text, events)


ADDRESSES = [
    ("", {CANARY: "1"}, "/query"),
    ("", {"known_at": CANARY}, "/query/known_at"),
    ("", {"known_at": "2026-01-01"}, "/query/known_at"),
    ("/timeline", {"limit": "0"}, "/query/limit"),
    ("/timeline", {"limit": "51"}, "/query/limit"),
    ("/timeline", {"limit": "1e1"}, "/query/limit"),
    ("/timeline", {"limit": ["1", "2"]}, "/query"),
    ("/timeline", {"oldest_first": CANARY}, "/query/oldest_first"),
    ("/timeline", {"cursor": CANARY}, "/query/cursor"),
    ("/timeline", {"cursor": ""}, "/query/cursor"),
    ("/access-report", {"cursor": "ä"}, "/query/cursor"),
]


@pytest.mark.parametrize(("path", "query", "pointer"), ADDRESSES)
def test_malformed_addresses(served: Served, path: str, query: dict[str, Any], pointer: str) -> None:
    events = served.events()
    answered = served.get(path, query_string=query)
    assert answered.status_code == 400
    assert answered.json is not None
    assert [fault["pointer"] for fault in answered.json["errors"]] == [pointer]
    refused_without_a_trace(served, answered.text, events)


def test_a_change_takes_no_parameters(served: Served) -> None:
    events = served.events()
    answered = served.post("/notes", NOTE, query_string={"known_at": CANARY})
    assert answered.status_code == 400
    refused_without_a_trace(served, answered.text, events)


@pytest.mark.parametrize("purpose", ["", "TREATMENT", "treat", CANARY])
def test_a_reading_states_a_known_purpose(served: Served, purpose: str) -> None:
    answered = served.get(headers={"Purpose-Of-Use": purpose})
    assert answered.status_code == 400
    assert answered.json is not None
    assert answered.json["type"] == "/problems/purpose-missing"
    assert CANARY not in answered.text
    assert [entry.outcome for entry in served.access()] == ["deny"]


def test_form_is_told_only_to_those_who_are_permitted(served: Served) -> None:
    for by, entry in ((DESK, "role"), (T, "malformed")):
        answered = served.post("/notes", {CANARY: 1}, by=by)
        assert answered.status_code == (403 if by == DESK else 422)
        assert served.access()[-1].reason == entry
    stranger = served.clinic.hire(T)[1]
    assert served.post("/notes", {CANARY: 1}, token=stranger).status_code == 403
    assert served.get(token=stranger, headers={"Purpose-Of-Use": ""}).status_code == 403
    assert [entry.reason for entry in served.access()][-2:] == ["relation", "relation"]


def test_sessions_out_of_time(served: Served) -> None:
    episode, _ = served.episode()
    identity = served.call("PATCH", served.of("/identity"), {"birth_date": "1981-04-02"}, if_match=1)
    assert identity.status_code == 200
    for start in ("1981-04-01T10:00:00Z", ahead(days=400), "9999-12-31T23:59:59Z"):
        answered = served.post("/sessions", {"episode_id": episode, "start": start})
        assert answered.status_code == 422
        assert answered.json is not None
        assert [fault["pointer"] for fault in answered.json["errors"]] == ["/start"]
    held = served.post(f"/sessions/{uuid4()}/held", {"episode_id": episode, "started_at": ahead(minutes=5)})
    assert held.status_code == 422


def test_another_clients_child_is_unknown_under_ones_own(served: Served) -> None:
    other = served.clinic.register(family="Quillfeather")
    note = served.clinic.note(other)
    readings = [f"/notes/{note}", f"/notes/{uuid4()}"]
    answers = [served.get(path) for path in readings]
    assert [answered.status_code for answered in answers] == [404, 404]
    assert {answered.json["type"] for answered in answers if answered.json} == {"/problems/unknown-item"}
    added = served.post(f"/notes/{note}/addenda", {"text": "x"}, if_match=2)
    assert added.status_code == 404
    assert [(entry.outcome, entry.reason) for entry in served.access()] == [("deny", "unknown-item")] * 3
    assert served.access(other) == []


def test_unknown_clients_and_forbidden_ones_look_alike(served: Served) -> None:
    stranger = served.clinic.hire(T)[1]
    unknown = uuid4()
    forbidden = [served.call("GET", served.of("", client), token=stranger) for client in (served.client_id, unknown)]
    assert [answered.status_code for answered in forbidden] == [403, 403]
    for client in (served.client_id, unknown):
        assert [(entry.outcome, entry.reason) for entry in served.access(client)] == [("deny", "relation")]
    desk = served.call("GET", served.of("", unknown), by=DESK)
    assert desk.status_code == 404


def test_addresses_and_methods_that_are_not_there(served: Served) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/clients/none", 404),
        ("GET", f"/v1/clients/{CANARY}", 404),
        ("GET", served.of() + "/", 404),
        ("HEAD", served.of(), 405),
        ("OPTIONS", served.of(), 405),
        ("DELETE", served.of(), 405),
        ("PUT", "/v1/clients", 405),
    ):
        answered = served.http.open(path, method=method, headers={"Purpose-Of-Use": "TREAT"})
        assert answered.status_code == status
        assert answered.mimetype == "application/problem+json"
        assert CANARY not in answered.text
        assert ("Allow" in answered.headers) == (status == 405)
    assert served.access() == []


def refused_without_a_trace(served: Served, text: str, events: int) -> None:
    """Nothing is stored but the access entry of the refusal, and nothing of the input is told."""
    assert CANARY not in text
    assert served.events() == events
    entry = served.access()[-1]
    assert entry.outcome == "deny"
    assert entry.reason in ("malformed", "invalid-content")
