"""Goals over HTTP: set in the client's words, changed, rated."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

from flask import Response

from api.calls import Change
from api.concept import Concept
from api.consents import ReasonBody
from api.door import changes
from api.fields import Body, Code, Id, Instant, Text, Whole, Words
from records.goals import (
    ANCHORS,
    CHANGES,
    SCALES,
    WEIGHTS,
    Party,
    Scope,
    change_goal,
    mark_goal_entered_in_error,
    rate_goal,
    set_goal,
)

WORST, BEST = -2, 10


class GoalBody(Body):
    """A goal in the client's words."""

    id = Id()
    text = Text(required=True)
    scale = Code(SCALES, required=True)
    anchors = Words(ANCHORS, allow_none=True)
    baseline = Whole(WORST, BEST, allow_none=True)
    importance = Whole(WEIGHTS[0], WEIGHTS[-1])
    difficulty = Whole(WEIGHTS[0], WEIGHTS[-1])
    agreed_by = Code(get_args(Party))
    scope = Code(get_args(Scope))
    session_id = Id(allow_none=True)
    episode_id = Id(allow_none=True)
    occurred_at = Instant(allow_none=True)


class GoalChangeBody(Body):
    """A change of a goal: rewording needs the text, abandoning a reason."""

    change = Code(CHANGES, required=True)
    text = Text(allow_none=True)
    reason = Text(allow_none=True)
    occurred_at = Instant(allow_none=True)


class RatingBody(Body):
    """How near the goal is, on its own scale."""

    value = Whole(WORST, BEST, required=True)
    rater = Code(get_args(Party))
    session_id = Id(allow_none=True)
    occurred_at = Instant(allow_none=True)


GOAL = {"text": "Say no without feeling sick.", "scale": "gas", "baseline": -1, "importance": 3}

blueprint = Concept("goals", "What a client wants to reach")


@blueprint.route("/clients/<uuid:client_id>/goals", methods=["POST"])
@changes(set_goal, body=GoalBody, example=GOAL)
def set_a_goal(change: Change, client_id: UUID) -> Response:
    """Set a goal."""
    goal_id = change.new_id()
    return change.write(client_id, goal_id, goal_id=goal_id)


@blueprint.route("/clients/<uuid:client_id>/goals/<uuid:goal_id>/changes", methods=["POST"])
@changes(change_goal, body=GoalChangeBody, example={"change": "achieve"}, versioned=True)
def change_a_goal(change: Change, client_id: UUID, goal_id: UUID) -> Response:
    """Reword, pause, resume, achieve, partly achieve, abandon or reopen a goal."""
    return change.write(client_id, goal_id, goal_id=goal_id)


@blueprint.route("/clients/<uuid:client_id>/goals/<uuid:goal_id>/ratings", methods=["POST"])
@changes(rate_goal, body=RatingBody, example={"value": 1, "rater": "client"})
def rate_a_goal(change: Change, client_id: UUID, goal_id: UUID) -> Response:
    """Rate a goal."""
    return change.write(client_id, goal_id, goal_id=goal_id)


@blueprint.route("/clients/<uuid:client_id>/goals/<uuid:goal_id>/error", methods=["POST"])
@changes(mark_goal_entered_in_error, body=ReasonBody, example={"reason": "Another client's."}, versioned=True)
def mark_goal_error(change: Change, client_id: UUID, goal_id: UUID) -> Response:
    """Mark a goal as entered in error."""
    return change.write(client_id, goal_id, goal_id=goal_id)
