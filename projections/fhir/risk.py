"""Risk as clinicians judge it, as RiskAssessments; and the prompts that this answers.

Source: FHIR R4 RiskAssessment, Flag; DOMAIN 2 (a prompt is no score, a level is a clinician's judgement).

- The level is a qualitative risk of our own list, and of HL7's where a code means the same. No probability is given.
- What was found of each area stands in extensions, with what was said of it.
"""

from __future__ import annotations

from uuid import UUID

from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import Json, ended, extension, identifier, instant, local, term
from projections.fhir.texts import LOCAL
from records.risk import AREAS, RiskAssessed, RiskAssessmentEnteredInError, RiskPromptCleared

SECTION = "Risk"
PROBABILITIES = ("low", "moderate", "high")
_URL = f"{LOCAL}StructureDefinition/"


def _assessed(draft: Draft, event: RiskAssessed, told: Told) -> list[Json]:
    basis = [
        found
        for answered in event.answers
        for found in (draft.ref("Observation", f"{answered}/risk") or draft.ref("Observation", answered),)
        if found is not None
    ]
    level = local("risk-level", event.level)
    if event.level in PROBABILITIES:
        level["coding"] += term("risk-probability", event.level)["coding"]
    risk = draft.add(
        "RiskAssessment",
        event.risk_id,
        SECTION,
        extension=[*_findings(event, told), *_details(event, told)],
        identifier=identifier(event.risk_id),
        status="final",
        code={"text": "Risk of harm to self or others"},
        subject=reference(draft.patient),
        encounter=draft.ref("Encounter", event.session_id),
        occurrenceDateTime=instant(told.at),
        performer=draft.staff(event.entered_by),
        basis=basis,
        prediction=[{"qualitativeRisk": level}],
    )
    risk.update(told.string("mitigation", "actions"))
    note = told.string("text", "formulation")
    if note:
        # An Annotation must have its text; where only the exact bytes can say it, what is beside it says so.
        risk["note"] = [note]
    answered = [_close_flag(draft, each, told) for each in event.answers]
    return [risk, *(flag for flag in answered if flag is not None)]


def _findings(event: RiskAssessed, told: Told) -> list[Json]:
    said = told.of("details")
    areas = [each for each in (*AREAS, *said) if each in event.findings or each in said]
    found = []
    for area in dict.fromkeys(areas):
        parts: list[Json] = [{"url": "area", "valueCode": area}]
        if area in event.findings:
            parts.append({"url": "finding", "valueCode": event.findings[area]})
        found += told.extension(f"{_URL}risk-finding", f"details/{area}", *parts)
    return found


def _details(event: RiskAssessed, told: Told) -> list[Json]:
    found = [
        each
        for path in ("protective_factors", "who_told")
        for each in told.extension(f"{_URL}{path.replace('_', '-')}", path)
    ]
    if event.review_date is not None:
        found.append(extension("review-date", "Date", event.review_date.isoformat()))
    return found


def _close_flag(draft: Draft, assessment_id: UUID, told: Told) -> Json | None:
    flag = draft.find("Flag", assessment_id)
    if flag is None:
        return None
    if flag["status"] == "active":
        flag["status"] = "inactive"
        flag["period"] = ended(flag["period"], told.at)
    return flag


def _cleared(draft: Draft, event: RiskPromptCleared, told: Told) -> list[Json]:
    flag = _close_flag(draft, event.assessment_id, told)
    return [] if flag is None else [flag]


def _in_error(draft: Draft, event: RiskAssessmentEnteredInError, told: Told) -> list[Json]:
    found = marked_in_error(draft, "RiskAssessment", event.risk_id)
    for prompt in event.reopens:
        flag = draft.find("Flag", prompt.assessment_id)
        if flag is not None and flag["status"] == "inactive":
            flag["status"] = "active"
            flag["period"].pop("end", None)
            found.append(flag)
    return found


MAPS: dict[type, Handler] = {
    RiskAssessed: _assessed,
    RiskPromptCleared: _cleared,
    RiskAssessmentEnteredInError: _in_error,
}
