"""Each resource shows the state at the end: what the document says is what the record's own rules say."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings

from records import assessments, consent, risk
from tests.projections.fhir_record import Json, record_of, resources, to_fhir
from tests.projections.histories import FORM, History, histories, long_history

SESSIONS = {
    "booked": {"planned", "arrived"},
    "held": {"finished"},
    "missed": {"cancelled"},
    "cancelled": {"cancelled"},
    "entered-in-error": {"entered-in-error"},
}
CONSENTS = {
    "offered": "proposed",
    "given": "active",
    "refused": "rejected",
    "withdrawn": "inactive",
    "superseded": "inactive",
    "entered-in-error": "entered-in-error",
}
GOALS = {
    "active": "active",
    "paused": "on-hold",
    "achieved": "completed",
    "partly-achieved": "completed",
    "abandoned": "cancelled",
    "entered-in-error": "entered-in-error",
}
ASSESSED, JUDGED = UUID(int=75, version=4), UUID(int=76, version=4)
GUARDED = UUID(int=77, version=4)


def by_id(document: Json, kind: str) -> dict[str, Json]:
    """Return the resources of a kind by the item's own id."""
    return {each["identifier"][0]["value"]: each for each in resources(document, kind) if "identifier" in each}


def require_the_same_state(history: History) -> None:
    """Compare the document with the state that decisions rest on."""
    record, exported = history.record, record_of(history.events)
    document = to_fhir(exported)
    _require_care(record, document)
    consents = by_id(document, "Consent")
    for key, state in record.consents.items():
        over = state.status == "given" and state.expires_at is not None and state.expires_at <= exported.as_of
        assert consents[key.urn]["status"] == ("inactive" if over else CONSENTS[state.status])
    goals = by_id(document, "Goal")
    assert {key: each["lifecycleStatus"] for key, each in goals.items()} == {
        key.urn: GOALS[state.status] for key, state in record.goals.items()
    }
    flags = [each for each in resources(document, "Flag") if "identifier" not in each]
    open_flags = sum(each["status"] == "active" for each in flags)
    assert open_flags == len(record.open_prompts())
    prompts = [state.prompt for state in record.assessments.values() if state.prompt]
    assert len(flags) == len(prompts)
    holds = by_id(document, "Flag")
    for key, hold in record.holds.items():
        assert holds[key.urn]["status"] == ("inactive" if hold.lifted else "active")
    (patient,) = resources(document, "Patient")
    assert (record.died is not None) == any(name.startswith("deceased") for name in patient)


def _require_care(record: Any, document: Json) -> None:
    sessions = by_id(document, "Encounter")
    assert len(sessions) == len(record.sessions)
    for key, state in record.sessions.items():
        session = sessions[key.urn]
        assert session["status"] in SESSIONS[state.status]
        numbers = [each["valuePositiveInt"] for each in session["extension"] if each["url"].endswith("session-number")]
        assert numbers == ([] if state.number is None else [state.number])
    episodes = by_id(document, "EpisodeOfCare")
    for key, state in record.episodes.items():
        assert episodes[key.urn]["status"] == ("active" if state.closed_at is None else "finished")
        assert ("end" in episodes[key.urn]["period"]) == (state.closed_at is not None)
    current: dict[str, int] = {}
    for note in resources(document, "DocumentReference"):
        if note["status"] == "current" and "description" not in note:
            current[note["identifier"][0]["value"]] = current.get(note["identifier"][0]["value"], 0) + 1
    assert current == {key.urn: 1 for key, state in record.notes.items() if state.status == "signed"}
    for kind, states in (("RiskAssessment", record.risk_assessments), ("Communication", record.disclosures)):
        found = by_id(document, kind)
        for key, state in states.items():
            assert (found[key.urn]["status"] == "entered-in-error") == (state.status == "entered-in-error")


@given(histories)
@settings(max_examples=100, deadline=None)
def test_any_history_ends_in_the_same_state(history: History) -> None:
    require_the_same_state(history)


@pytest.mark.parametrize("seed", range(12))
def test_long_histories_end_in_the_same_state(seed: int) -> None:
    require_the_same_state(long_history(seed, 600))


def test_a_guardian_who_agreed_is_a_related_person() -> None:
    history = History()
    told = {"given_by": "guardian", "authority": "Mother", "witnessed_by": "Sam Ray", "method": "verbal-witnessed"}
    history.do(consent.record_consent, consent_id=GUARDED, kind="treatment", outcome="given", form=FORM, **told)
    document = to_fhir(record_of(history.events))
    (guardian,) = resources(document, "RelatedPerson")
    (given_consent,) = resources(document, "Consent")
    assert guardian["relationship"][0]["coding"][0]["code"] == "GUARD"
    assert given_consent["performer"][0]["reference"] == f"urn:uuid:{guardian['id']}"
    assert "Mother" in str(given_consent["extension"])


def test_a_prompt_is_a_flag_that_ends_with_the_answer_and_comes_back_with_an_answer_in_error() -> None:
    history = History()
    answers = [1] * 8 + [2]
    history.do(assessments.record_assessment, assessment_id=ASSESSED, measure="PHQ-9", answers=answers)
    assert _flag(history)["status"] == "active"
    history.do(risk.assess_risk, risk_id=JUDGED, level="low", formulation="Looked at.", answers=[ASSESSED])
    answered = _flag(history)
    assert answered["status"] == "inactive"
    assert answered["period"]["end"] > answered["period"]["start"]
    (judged,) = resources(to_fhir(record_of(history.events)), "RiskAssessment")
    total, item = resources(to_fhir(record_of(history.events)), "Observation")
    assert (total["valueQuantity"]["value"], item["valueInteger"]) == (10, 2)
    assert item["code"]["coding"][0] == {"system": "http://loinc.org", "code": "44260-8"}
    assert judged["basis"] == [{"reference": f"urn:uuid:{item['id']}", "type": "Observation"}]
    history.do(
        risk.mark_risk_assessment_entered_in_error,
        item="risk_assessments",
        item_id=JUDGED,
        risk_id=JUDGED,
        reason="Of somebody else.",
    )
    again = _flag(history)
    assert again["status"] == "active"
    assert "end" not in again["period"]


def _flag(history: History) -> Json:
    (flag,) = resources(to_fhir(record_of(history.events)), "Flag")
    return flag
