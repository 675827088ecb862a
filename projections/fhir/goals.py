"""Goals with their ratings, as Goal and Observation.

Source: FHIR R4 Goal; HL7 PCO goal attainment scaling (extension and LOINC codes of levels).

- The words are the newest; older wordings stand with the events that gave them (`projections.fhir.provenance`).
- A goal that was reached in part is completed; HL7 has no code for that, so ours says it.
- The client's words for a level of the scale stand in the HL7 extension.
"""

from __future__ import annotations

from typing import Any

from projections.fhir.draft import Draft, Handler, Told, reference, without
from projections.fhir.elements import LOINC, Json, coding, concept, extension, identifier, instant, local, term
from records.event import Event
from records.goals import (
    ANCHORS,
    GoalAbandoned,
    GoalAchieved,
    GoalEnteredInError,
    GoalPartlyAchieved,
    GoalPaused,
    GoalRated,
    GoalReopened,
    GoalResumed,
    GoalReworded,
    GoalSet,
)
from records.measures import MEASURES

SECTION = "Goals"
GAS = "http://hl7.org/fhir/us/pco/StructureDefinition/pco-goal-attainment-scaling"
_CODES: dict[str, Any] = MEASURES["GAS"].loinc or {}
LEVELS: dict[str, str] = dict(zip(ANCHORS, _CODES["answers"], strict=True))
DISPLAYS: dict[str, str] = {
    "-2": "Much less than expected",
    "-1": "Less than expected",
    "0": "Expected outcome",
    "1": "Better than expected",
    "2": "Much better than expected",
}
"""Level of the scale → how LOINC calls it."""
SCORES = {"both": _CODES["scores"]["reported"]} | {who: _CODES["scores"][who] for who in ("client", "therapist")}

STANDING: dict[type[Event], tuple[str, Json]] = {
    GoalPaused: ("on-hold", term("goal-achievement", "in-progress")),
    GoalResumed: ("active", term("goal-achievement", "in-progress")),
    GoalReopened: ("active", term("goal-achievement", "in-progress")),
    GoalAchieved: ("completed", term("goal-achievement", "achieved")),
    GoalPartlyAchieved: ("completed", local("goal-achievement", "partly-achieved")),
    GoalAbandoned: ("cancelled", term("goal-achievement", "not-achieved")),
}
"""What happened to a goal → its life-cycle status and how far it was reached."""


def _set(draft: Draft, event: GoalSet, told: Told) -> list[Json]:
    anchors = told.of("anchors")
    details = (
        ("goal-scale", "Code", event.scale),
        ("goal-baseline", "Integer", event.baseline),
        ("goal-importance", "Integer", event.importance),
        ("goal-difficulty", "Integer", event.difficulty),
        ("goal-agreed-by", "Code", event.agreed_by),
    )
    for_whom = draft.ref("Encounter", event.session_id) or draft.ref("EpisodeOfCare", event.episode_id)
    goal = draft.add(
        "Goal",
        event.goal_id,
        SECTION,
        extension=[
            *(each for level in ANCHORS if level in anchors for each in _anchor(told, level)),
            *(extension(name, kind, value) for name, kind, value in details if value is not None),
            *([] if for_whom is None else [extension("goal-set-for", "Reference", for_whom)]),
        ],
        identifier=identifier(event.goal_id),
        lifecycleStatus="active",
        achievementStatus=term("goal-achievement", "in-progress"),
        category=[local("goal-scope", event.scope)],
        description=told.required("text", "text"),
        subject=reference(draft.patient),
        startDate=draft.day(told.at),
        statusDate=draft.day(told.at),
        expressedBy=draft.staff(event.entered_by) if event.agreed_by == "therapist" else reference(draft.patient),
    )
    return [goal]


def _anchor(told: Told, level: str) -> list[Json]:
    code = {"url": "level", "valueCoding": coding(LOINC, LEVELS[level], DISPLAYS[level])}
    return told.extension(GAS, f"anchors/{level}", code, name="progressText")


def _reworded(draft: Draft, event: GoalReworded, told: Told) -> list[Json]:
    goal = draft.find("Goal", event.goal_id)
    if goal is None:
        return []
    goal["description"] = told.required("text", "text")
    return [goal]


def _rated(draft: Draft, event: GoalRated, told: Told) -> list[Json]:
    goal = draft.find("Goal", event.goal_id)
    if goal is None:
        return []
    gas = event.scale == "gas"
    code = concept(LOINC, SCORES[event.rater]) if gas else local("measure", event.scale)
    value: Json = {"valueInteger": event.value}
    if gas:
        value = {"valueCodeableConcept": concept(LOINC, LEVELS[str(event.value)], DISPLAYS[str(event.value)])}
    by = [] if event.rater == "therapist" else [reference(draft.patient)]
    by += [] if event.rater == "client" else [draft.staff(event.entered_by)]
    rating = draft.add(
        "Observation",
        f"{event.goal_id}/{told.version}",
        SECTION,
        status="entered-in-error" if goal["lifecycleStatus"] == "entered-in-error" else "final",
        category=[term("observation-category", "survey")],
        code=code,
        subject=reference(draft.patient),
        focus=[reference(goal)],
        encounter=draft.ref("Encounter", event.session_id),
        effectiveDateTime=instant(told.at),
        performer=by,
        **value,
    )
    goal.setdefault("outcomeReference", []).append(reference(rating))
    return [rating, goal]


def _moved(draft: Draft, event: Any, told: Told) -> list[Json]:
    goal = draft.find("Goal", event.goal_id)
    if goal is None:
        return []
    goal["lifecycleStatus"], goal["achievementStatus"] = STANDING[type(event)]
    goal["statusDate"] = draft.day(told.at)
    return [goal]


def _in_error(draft: Draft, event: GoalEnteredInError, told: Told) -> list[Json]:
    goal = draft.find("Goal", event.goal_id)
    if goal is None:
        return []
    goal["lifecycleStatus"], goal["statusDate"] = "entered-in-error", draft.day(told.at)
    without(goal, "achievementStatus")
    ratings = [draft.resources[each["reference"]] for each in goal.get("outcomeReference", [])]
    for rating in ratings:
        rating["status"] = "entered-in-error"
    return [goal, *ratings]


MAPS: dict[type, Handler] = {
    GoalSet: _set,
    GoalReworded: _reworded,
    GoalRated: _rated,
    **dict.fromkeys(STANDING, _moved),
    GoalEnteredInError: _in_error,
}
