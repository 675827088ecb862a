"""Courses of care, as EpisodeOfCare, CarePlan and Condition.

Source: FHIR R4 EpisodeOfCare, CarePlan, Condition; NHS Talking Therapies for the codes of formats and discharges.

- The plan is a CarePlan of its own, so that what was agreed stands apart from what took place. How far a phase has come
  nobody says, so its status is unknown.
- What brings the client is a Condition in their words: unconfirmed, with no claim about whether it is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from projections.fhir.draft import Draft, Handler, Told, reference
from projections.fhir.elements import NHS, Json, concept, extension, identifier, instant, known, local, period, term
from projections.fhir.texts import LOCAL, words
from records.care_codes import DISCHARGES, FORMATS, PHASES
from records.episodes import ConcurrentTherapy, EpisodeClosed, EpisodeOpened, EpisodePhaseSet, EpisodeProtocolChanged

SECTION = "Courses of care"
_PHASE_SET = f"{LOCAL}StructureDefinition/phase"


def _opened(draft: Draft, event: EpisodeOpened, told: Told) -> list[Json]:
    made = []
    problem = None
    if "problem" in told.texts:
        problem = draft.add(
            "Condition",
            event.episode_id,
            SECTION,
            verificationStatus=term("condition-ver-status", "unconfirmed"),
            code=told.string("text", "problem"),
            subject=reference(draft.patient),
            recordedDate=instant(told.at),
        )
        made.append(problem)
    nhs = FORMATS.get(event.format)
    kind = local("format", event.format)
    if nhs is not None and "coding" in kind:
        kind["coding"] += concept(f"{NHS}appointment_format", nhs)["coding"]
    episode = draft.add(
        "EpisodeOfCare",
        event.episode_id,
        SECTION,
        extension=[
            extension("setting", "CodeableConcept", local("setting", event.setting)),
            *(
                []
                if event.referral is None
                else [extension("referral", "CodeableConcept", local("referral", event.referral))]
            ),
            *(_concurrent(each) for each in event.concurrent_therapies),
        ],
        identifier=identifier(event.episode_id),
        status="active",
        statusHistory=[{"status": "active", "period": period(told.at)}],
        type=[local("modality", event.modality, event.modality_label), kind],
        diagnosis=None if problem is None else [{"condition": reference(problem)}],
        patient=reference(draft.patient),
        managingOrganization=reference(draft.clinic),
        period=period(told.at),
    )
    plan = draft.add(
        "CarePlan",
        event.episode_id,
        SECTION,
        status="active",
        intent="plan",
        subject=reference(draft.patient),
        period=period(told.at),
        author=draft.staff(event.entered_by),
        addresses=None if problem is None else [reference(problem)],
        supportingInfo=[reference(episode)],
    )
    _put_plan(plan, event.protocol, event.protocol_version, event.planned_sessions, event.phases)
    return [*made, episode, plan]


def _concurrent(therapy: ConcurrentTherapy) -> Json:
    parts = (
        ("modality", "valueString", words(therapy.modality)),
        ("provider", "valueString", words(therapy.provider)),
        ("started", "valueDate", None if therapy.started is None else therapy.started.isoformat()),
        ("ended", "valueDate", None if therapy.ended is None else therapy.ended.isoformat()),
    )
    return {
        "url": f"{LOCAL}StructureDefinition/concurrent-therapy",
        "extension": [{"url": url, kind: value} for url, kind, value in parts if value is not None],
    }


def _put_plan(plan: Json, protocol: str, version: str | None, sessions: int, phases: Mapping[str, int]) -> None:
    plan["title"] = words(f"{protocol} {version or ''}") or "Plan"
    plan["extension"] = [extension("planned-sessions", "Integer", sessions)]
    plan.pop("activity", None)
    activity = [
        {"detail": {"status": "unknown", "description": words(f"{PHASES.get(phase, phase)}: from session {first}")}}
        for phase, first in sorted(phases.items(), key=lambda each: each[1])
    ]
    if activity:
        plan["activity"] = activity


def _phase_set(draft: Draft, event: EpisodePhaseSet, told: Told) -> list[Json]:
    episode = draft.find("EpisodeOfCare", event.episode_id)
    if episode is None:
        return []
    _end_phase(episode)
    if event.phase is not None:
        value = local("phase", event.phase, PHASES.get(event.phase))
        episode["extension"].append(extension("phase", "CodeableConcept", value))
    return [episode]


def _end_phase(episode: Json) -> None:
    episode["extension"] = [each for each in episode["extension"] if each["url"] != _PHASE_SET]


def _protocol_changed(draft: Draft, event: EpisodeProtocolChanged, told: Told) -> list[Json]:
    episode, plan = draft.find("EpisodeOfCare", event.episode_id), draft.find("CarePlan", event.episode_id)
    if episode is None or plan is None:
        return []
    _end_phase(episode)
    _put_plan(plan, event.protocol, event.protocol_version, event.planned_sessions, event.phases)
    return [episode, plan]


def _closed(draft: Draft, event: EpisodeClosed, told: Told) -> list[Json]:
    episode, plan = draft.find("EpisodeOfCare", event.episode_id), draft.find("CarePlan", event.episode_id)
    if episode is None or plan is None:
        return []
    end = instant(told.at)
    episode["status"] = "finished"
    episode["statusHistory"][-1]["period"]["end"] = end
    episode["statusHistory"].append({"status": "finished", "period": period(told.at)})
    episode["period"]["end"] = end
    reason = concept(f"{NHS}discharge_reason", event.reason, DISCHARGES.get(event.reason))
    reason.update(told.string("text", "note"))
    episode["extension"].append(extension("discharge", "CodeableConcept", reason))
    plan["status"] = "completed"
    plan["period"] = known(**plan["period"]) | {"end": end}
    return [episode, plan]


MAPS: dict[type, Handler] = {
    EpisodeOpened: _opened,
    EpisodePhaseSet: _phase_set,
    EpisodeProtocolChanged: _protocol_changed,
    EpisodeClosed: _closed,
}
