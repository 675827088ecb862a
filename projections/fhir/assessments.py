"""Measures that were filled in: the answers, the total, the risk item, and the prompt that it opened.

Source: FHIR R4 QuestionnaireResponse, Observation, Flag; LOINC and SNOMED codes of `records.measures`.

- Where only a total is known there is no QuestionnaireResponse; an item that was not answered stands without answer.
- A total that could not be made has the reason in its place. A risk item is an observation of its own, never a level.
- A prompt is a safety Flag: active until a clinician answered it.
"""

from __future__ import annotations

from typing import Any

from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import (
    LOINC,
    SNOMED,
    UCUM,
    Json,
    coding,
    extension,
    identifier,
    instant,
    known,
    local,
    period,
    term,
)
from projections.fhir.texts import LOCAL
from records.assessments import AssessmentEnteredInError, AssessmentRecorded
from records.measures import MEASURES, Answer, Measure

SECTION = "Measures"


def _recorded(draft: Draft, event: AssessmentRecorded, told: Told) -> list[Json]:
    measure = MEASURES.get(event.measure)
    loinc: dict[str, Any] = (measure.loinc if measure else None) or {}
    shared = known(
        encounter=draft.ref("Encounter", event.session_id),
        subject=reference(draft.patient),
    )
    by = reference(draft.patient) if event.completed_by == "client" else draft.staff(event.entered_by)
    made = []
    if event.answers is not None:
        made.append(
            draft.add(
                "QuestionnaireResponse",
                event.assessment_id,
                SECTION,
                identifier=identifier(event.assessment_id)[0],
                questionnaire=f"{LOCAL}Questionnaire/{event.measure.lower()}|{event.measure_version}",
                status="completed",
                authored=instant(told.at),
                author=by,
                source=by,
                item=_items(event, loinc),
                **shared,
            )
        )
    derived = [reference(each) for each in made] or None
    survey: Json = {
        **shared,
        "status": "final",
        "category": [term("observation-category", "survey")],
        "effectiveDateTime": instant(told.at),
        "performer": [by],
        "derivedFrom": derived,
    }
    made.append(_total(draft, event, measure, loinc, survey))
    if event.risk_prompt is not None or event.risk_item_unanswered:
        made += _risk_item(draft, event, measure, loinc, survey, told)
    return made


def _items(event: AssessmentRecorded, loinc: dict[str, Any]) -> list[Json]:
    codes, choices = loinc.get("items", []), loinc.get("answers", [])
    items = []
    for number, answer in enumerate(event.answers or (), start=1):
        link = codes[number - 1] if number <= len(codes) else f"item-{number}"
        items.append(known(linkId=link, answer=_answer(answer, choices)))
    if event.difficulty is not None:
        items.append({"linkId": loinc.get("difficulty", "difficulty"), "answer": [{"valueInteger": event.difficulty}]})
    return items


def _answer(answer: Answer, choices: list[str]) -> list[Json]:
    if answer is None:
        return []
    if isinstance(answer, int) and 0 <= answer < len(choices):
        return [{"valueCoding": coding(LOINC, choices[answer])}]
    return [{"valueInteger": answer}] if isinstance(answer, int) else [{"valueDecimal": answer}]


def _total(
    draft: Draft, event: AssessmentRecorded, measure: Measure | None, loinc: dict[str, Any], survey: Json
) -> Json:
    code = local("measure", event.measure, event.measure)
    if "total" in loinc:
        code["coding"].insert(0, coding(LOINC, loinc["total"]))
    snomed = ((measure.snomed if measure else None) or {}).get("score", "")
    if snomed.isdigit():
        code["coding"].append(coding(SNOMED, snomed))
    value: Json = (
        {"dataAbsentReason": term("data-absent-reason", "unknown") | {"text": "Too many items were not answered."}}
        if event.score is None
        else {"valueQuantity": {"value": event.score, "unit": "{score}", "system": UCUM, "code": "{score}"}}
    )
    interpretation: list[Json] = [] if event.band is None else [{"text": event.band}]
    if event.caseness is not None:
        interpretation.append(local("caseness", "at-caseness" if event.caseness else "below-caseness"))
    details = (
        ("scorer", "String", event.scorer),
        ("missing-items", "Integer", event.missing or None),
        ("prorated", "Boolean", event.prorated or None),
        ("score-only", "Boolean", event.score_only or None),
        ("outside-session", "Boolean", None if event.in_session else True),
    )
    return draft.add(
        "Observation",
        event.assessment_id,
        SECTION,
        extension=[extension(name, kind, told) for name, kind, told in details if told is not None],
        identifier=identifier(event.assessment_id),
        code=code,
        interpretation=interpretation,
        **value,
        **survey,
    )


def _risk_item(
    draft: Draft, event: AssessmentRecorded, measure: Measure | None, loinc: dict[str, Any], survey: Json, told: Told
) -> list[Json]:
    prompt = event.risk_prompt
    number = prompt.item if prompt is not None else measure.risk.item if measure and measure.risk else 0
    codes = loinc.get("items", [])
    code = local("measure-item", f"{event.measure}/{number}", f"{event.measure}, item {number}")
    if 0 < number <= len(codes):
        code["coding"].insert(0, coding(LOINC, codes[number - 1]))
    value: Json = (
        {"dataAbsentReason": term("data-absent-reason", "unknown") | {"text": "Not answered."}}
        if prompt is None
        else {"valueInteger": prompt.value}
    )
    item = draft.add("Observation", f"{event.assessment_id}/risk", SECTION, code=code, **value, **survey)
    if prompt is None:
        return [item]
    flag = draft.add(
        "Flag",
        event.assessment_id,
        SECTION,
        status="active",
        category=[term("flag-category", "safety", "Safety")],
        code={"text": f"{event.measure}, item {number}, was answered with {prompt.value}: to be looked at"},
        subject=reference(draft.patient),
        period=period(told.at),
        encounter=draft.ref("Encounter", event.session_id),
    )
    return [item, flag]


def _in_error(draft: Draft, event: AssessmentEnteredInError, told: Told) -> list[Json]:
    one = event.assessment_id
    return [
        *marked_in_error(draft, "QuestionnaireResponse", one),
        *marked_in_error(draft, "Observation", one, f"{one}/risk"),
        *marked_in_error(draft, "Flag", one),
    ]


MAPS: dict[type, Handler] = {AssessmentRecorded: _recorded, AssessmentEnteredInError: _in_error}
