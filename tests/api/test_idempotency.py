"""Idempotency-Key: sent again it changes nothing and gets the first answer; for anything else it is refused."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.api.caller import DESK, S, Served, T

NOTE = {"kind": "progress", "format": "free", "sections": {"text": "x"}}
PERSON = {"family": "Quillfeather", "given": "Tam"}


def test_the_same_again_gets_the_first_answer(served: Served) -> None:
    first = served.post("/notes", NOTE, key="one")
    events = served.events()
    again = served.post("/notes", NOTE, key="one")
    assert again.status_code == first.status_code == 201
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Location"] == first.headers["Location"]
    assert served.events() == events


def test_a_registration_sent_again_is_the_same_client(served: Served) -> None:
    first = served.call("POST", "/v1/clients", PERSON, by=DESK, key="one")
    again = served.call("POST", "/v1/clients", PERSON, by=DESK, key="one")
    other = served.call("POST", "/v1/clients", PERSON, by=DESK, key="two")
    assert [answered.status_code for answered in (first, again, other)] == [201, 201, 201]
    assert first.json == again.json
    assert first.json is not None
    assert other.json is not None
    assert other.json["id"] != first.json["id"]


def test_a_registration_that_fills_the_care_team_too_gets_the_first_answer_again(served: Served) -> None:
    first = served.call("POST", "/v1/clients", PERSON, by=T, key="one")
    again = served.call("POST", "/v1/clients", PERSON, by=T, key="one")
    assert again.json == first.json


def test_the_same_key_of_another_person_is_another_key(served: Served) -> None:
    by_therapist = served.call("POST", "/v1/clients", PERSON, by=T, key="one").json
    by_desk = served.call("POST", "/v1/clients", PERSON, by=DESK, key="one").json
    assert by_therapist is not None
    assert by_desk is not None
    assert by_therapist["id"] != by_desk["id"]


def test_another_body_is_refused(served: Served) -> None:
    served.post("/notes", NOTE, key="one")
    events = served.events()
    other = served.post("/notes", {**NOTE, "sections": {"text": "canary-b12"}}, key="one")
    assert other.status_code == 422
    assert other.json is not None
    assert other.json["type"] == "/problems/idempotency-key-reused"
    assert "canary" not in other.text
    assert served.events() == events


def test_another_address_is_another_request(served: Served) -> None:
    goals = [served.made("/goals", {"text": "x", "scale": "none"}) for _ in range(2)]
    (one, v1), (two, v2) = goals
    assert served.post(f"/goals/{one}/changes", {"change": "pause"}, key="k", if_match=v1).status_code == 201
    assert served.post(f"/goals/{two}/changes", {"change": "pause"}, key="k", if_match=v2).status_code == 422


def test_another_client_is_another_request(served: Served) -> None:
    other = served.clinic.register(family="Quillfeather")
    served.post("/notes", NOTE, key="one")
    answered = served.call("POST", served.of("/notes", other), NOTE, key="one")
    assert answered.status_code == 422
    assert served.events(other) == 1


def test_it_stands_when_the_record_moved_on(served: Served) -> None:
    note, version = served.note()
    amendment = {"format": "free", "sections": {"text": "y"}, "reason": "Wrong."}
    first = served.post(f"/notes/{note}/amendments", amendment, key="one", if_match=version)
    assert first.json is not None
    served.made(f"/notes/{note}/error", {"reason": "Another client's."}, if_match=first.json["version"])
    again = served.post(f"/notes/{note}/amendments", amendment, key="one", if_match=version)
    assert again.status_code == 201
    assert again.json == first.json
    served.restart()
    assert served.post(f"/notes/{note}/amendments", amendment, key="one", if_match=version).json == first.json


def test_permission_is_checked_again(served: Served) -> None:
    first = served.post("/notes", NOTE, key="one")
    assert first.status_code == 201
    therapist = served.clinic.staff[T]
    assert served.call("DELETE", served.of(f"/care-team/members/{therapist.id}"), by=DESK).status_code == 200
    again = served.post("/notes", NOTE, key="one")
    assert again.status_code == 403
    assert served.post("/notes", NOTE, key="one", by=S).status_code == 403


def test_a_refused_request_leaves_its_key_free(served: Served) -> None:
    assert served.post("/notes", {**NOTE, "format": "SOAP"}, key="one").status_code == 422
    assert served.post("/notes", NOTE, key="one").status_code == 201


def test_an_id_of_the_callers_own_is_kept(served: Served) -> None:
    own = str(uuid4())
    assert served.made("/notes", {**NOTE, "id": own})[0] == own
    taken = served.post("/notes", {**NOTE, "id": own})
    assert taken.status_code == 409
    assert taken.json is not None
    assert taken.json["rule"] == "note-already-signed"


def test_an_id_that_is_drawn_is_a_random_uuid(served: Served) -> None:
    drawn = {UUID(served.note(key=str(n))[0]) for n in range(20)}
    assert len(drawn) == 20
    assert {each.version for each in drawn} == {4}
