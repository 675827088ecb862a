"""The walk that a clinic takes with a client, over HTTP, as each role that takes part in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from tests.api.caller import CLERK, DESK, OFFICER, S, Served, T, ahead
from tests.clinic import make_clinic


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A clinic on each engine in turn."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    clinic = make_clinic(tmp_path / "clinic", database_url=url)
    yield Served(clinic)
    clinic.close()


def test_from_registration_to_who_looked(served: Served) -> None:
    desk = served.call("POST", "/v1/clients", {"family": "Fennimarsh", "given": "Ottoline"}, by=DESK)
    assert desk.status_code == 201
    assert desk.json is not None
    served.client_id = UUID(desk.json["id"])
    assert desk.headers["Location"] == served.of()
    therapist, supervisor = (served.clinic.staff[role].id for role in served.clinic.staff if role in ("therapist", S))
    assert served.call("PUT", served.of(f"/care-team/members/{therapist}"), by=DESK).status_code == 200
    assert served.call("PUT", served.of(f"/care-team/supervisors/{supervisor}"), by=DESK).status_code == 200

    episode, _ = served.episode()
    booked, version = served.made("/sessions", {"episode_id": episode, "start": ahead(minutes=1)}, by=DESK)
    _, version = served.made(f"/sessions/{booked}/attendance", {"code": "5"}, by=DESK, if_match=version)
    served.consent()
    begun = datetime.now(UTC).isoformat()
    held = {"started_at": begun, "methods": ["mentalising"]}
    served.made(f"/sessions/{booked}/held", held, if_match=version)

    assessment, _ = served.made(
        "/assessments", {"measure": "PHQ-9", "answers": [1, 2, 1, 2, 1, 1, 2, 0, 1], "session_id": booked}
    )
    view = served.get().json
    assert view is not None
    assert view["risk_prompts"][0]["assessment_id"] == assessment
    assert list(view).index("risk_prompts") < list(view).index("identity")

    note, signed = served.note("Spoke of her sister.", key="the-note")
    before = datetime.now(UTC).isoformat()
    amendment = {"format": "free", "sections": {"text": "Spoke of her aunt."}, "reason": "It was her aunt."}
    served.made(f"/notes/{note}/amendments", amendment, if_match=signed)

    now = served.get(f"/notes/{note}").json
    then = served.get(f"/notes/{note}", query_string={"known_at": before}).json
    assert now is not None
    assert then is not None
    assert [text["sections"]["text"] for text in now["texts"]] == ["Spoke of her aunt.", "Spoke of her sister."]
    assert [text["sections"]["text"] for text in then["texts"]] == ["Spoke of her sister."]
    history = served.get("/timeline", query_string={"known_at": before}).json
    assert history is not None
    assert history["items"][0]["topic"] == "note.signed"

    for by in (S, CLERK, OFFICER):
        report = served.get("/access-report", by=by)
        assert report.status_code == 200
    assert report.json is not None
    looked = {(item["actor"], item["action"]) for item in report.json["items"]}
    assert (therapist, "client.view") in looked
    assert report.json["entries"] == len(served.access()) - 1


def test_a_risk_assessment_answers_the_prompt(served: Served) -> None:
    assessment, version = served.made("/assessments", {"measure": "PHQ-9", "answers": [0] * 8 + [2]})
    cleared = {"reason": "Ticked by mistake; asked and answered."}
    assert served.post(f"/assessments/{assessment}/prompt-clearance", cleared, by=DESK).status_code == 403
    served.made("/risk-assessments", {"level": "low", "formulation": "No plan."}, by=S)
    view = served.get().json
    assert view is not None
    assert view["risk_prompts"] == []
    stale = served.post(f"/assessments/{assessment}/prompt-clearance", cleared, if_match=version)
    assert stale.status_code == 200


def test_the_front_desk_sees_no_clinical_text(served: Served) -> None:
    served.note("CANARY-clinical")
    served.made("/goals", {"text": "CANARY-goal", "scale": "none"})
    answered = served.get(by=DESK)
    assert answered.status_code == 200
    assert "CANARY" not in answered.text
    assert answered.json is not None
    assert answered.json["view"] == "desk"
    assert served.get("/timeline", by=DESK).status_code == 403


def test_lists_and_caseload_show_ones_own(served: Served) -> None:
    other, _ = served.clinic.hire(T)
    stranger = served.clinic.register(family="Quillfeather", therapist=other, supervised=False)
    own = served.call("GET", "/v1/caseload").json
    assert own is not None
    assert [item["id"] for item in own["items"]] == [str(served.client_id)]
    everyone = served.call("GET", "/v1/clients", by=DESK).json
    assert everyone is not None
    assert {item["id"] for item in everyone["items"]} == {str(served.client_id), str(stranger)}
    found = served.call("GET", "/v1/clients?name=quill", by=DESK).json
    assert found is not None
    assert [item["id"] for item in found["items"]] == [str(stranger)]
    hidden = served.call("GET", "/v1/clients?name=quill").json
    assert hidden is not None
    assert hidden["items"] == []
