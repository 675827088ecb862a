"""Assessments and risk over HTTP: completed measures, risk assessments, and prompts that are cleared with a reason."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import fields

from api.calls import Change
from api.concept import Concept
from api.consents import ReasonBody
from api.door import changes
from api.fields import Body, Code, Day, Flag, Id, Instant, Many, Number, Text, Whole, Words
from api.json_body import LARGE_BYTES
from records.assessments import COMPLETED_BY, mark_assessment_entered_in_error, record_assessment
from records.measures import MEASURES
from records.risk import (
    AREAS,
    FINDINGS,
    LEVELS,
    assess_risk,
    clear_risk_prompt,
    mark_risk_assessment_entered_in_error,
)

CLIENT_MEASURES = tuple(name for name, measure in MEASURES.items() if measure.rated_on != "goal")


class AssessmentBody(Body):
    """A completed measure: its answers, null where unanswered, or the total where only that is known."""

    id = Id()
    measure = Code(CLIENT_MEASURES, required=True)
    answers = Many(Number(-1000, 1000, allow_none=True), 200, allow_none=True)
    score = Number(-10_000, 10_000, allow_none=True)
    session_id = Id(allow_none=True)
    completed_by = Code(COMPLETED_BY)
    in_session = Flag()
    difficulty = Whole(0, 3, allow_none=True)
    occurred_at = Instant(allow_none=True)


FindingsBody: type[Body] = type("Findings", (Body,), {area: Code(FINDINGS) for area in AREAS})


class RiskBody(Body):
    """A clinician's risk assessment. `answers` names the assessments whose prompts it answers; by default all open."""

    id = Id()
    level = Code(LEVELS, required=True)
    formulation = Text(required=True)
    findings = fields.Nested(FindingsBody, allow_none=True)
    details = Words(AREAS, allow_none=True)
    protective_factors = Text(allow_none=True)
    actions = Text(allow_none=True)
    who_told = Text(allow_none=True)
    review_date = Day(allow_none=True)
    answers = Many(Id(), 100, allow_none=True)
    session_id = Id(allow_none=True)
    occurred_at = Instant(allow_none=True)


PHQ9 = {"measure": "PHQ-9", "answers": [1, 2, 1, 2, 1, 1, 2, 0, 1], "difficulty": 1}
RISK = {"level": "low", "formulation": "Passing thoughts, no plan, wants to live.", "findings": {"ideation": "present"}}

blueprint = Concept("assessments", "Measures and risk")


@blueprint.route("/clients/<uuid:client_id>/assessments", methods=["POST"])
@changes(record_assessment, body=AssessmentBody, example=PHQ9)
def record_an_assessment(change: Change, client_id: UUID) -> Response:
    """Record a completed measure; an answer to a risk item opens a prompt."""
    assessment_id = change.new_id()
    return change.write(client_id, assessment_id, assessment_id=assessment_id)


@blueprint.route("/clients/<uuid:client_id>/assessments/<uuid:assessment_id>/error", methods=["POST"])
@changes(mark_assessment_entered_in_error, body=ReasonBody, example={"reason": "Another client's."}, versioned=True)
def mark_assessment_error(change: Change, client_id: UUID, assessment_id: UUID) -> Response:
    """Mark an assessment as entered in error; an open prompt closes with it."""
    return change.write(client_id, assessment_id, assessment_id=assessment_id)


@blueprint.route("/clients/<uuid:client_id>/assessments/<uuid:assessment_id>/prompt-clearance", methods=["POST"])
@changes(clear_risk_prompt, body=ReasonBody, example={"reason": "Ticked by mistake, asked."}, versioned=True)
def clear_a_risk_prompt(change: Change, client_id: UUID, assessment_id: UUID) -> Response:
    """Clear an open risk prompt with a reason."""
    return change.write(client_id, assessment_id, assessment_id=assessment_id)


@blueprint.route("/clients/<uuid:client_id>/risk-assessments", methods=["POST"])
@changes(assess_risk, body=RiskBody, example=RISK, most_bytes=LARGE_BYTES)
def assess_a_risk(change: Change, client_id: UUID) -> Response:
    """Record a clinician's risk assessment, which answers the open prompts."""
    risk_id = change.new_id()
    return change.write(client_id, risk_id, risk_id=risk_id)


@blueprint.route("/clients/<uuid:client_id>/risk-assessments/<uuid:risk_id>/error", methods=["POST"])
@changes(
    mark_risk_assessment_entered_in_error, body=ReasonBody, example={"reason": "Another client's."}, versioned=True
)
def mark_risk_assessment_error(change: Change, client_id: UUID, risk_id: UUID) -> Response:
    """Mark a risk assessment as entered in error; the prompts that it alone answered open again."""
    return change.write(client_id, risk_id, risk_id=risk_id)
