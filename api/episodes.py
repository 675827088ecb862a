"""Episodes over HTTP: open a course of care, set its phase, change its protocol, close it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import fields, post_load

from api.calls import Change
from api.concept import Concept
from api.consents import ReasonBody
from api.door import changes
from api.fields import CODE_LENGTH, Body, Code, Day, Flag, Id, Instant, Line, Many, Text, Whole
from records.care_codes import DISCHARGES, FORMATS, PHASES, REFERRALS, SETTINGS
from records.episodes import (
    MAX_PLANNED_SESSIONS,
    ConcurrentTherapy,
    change_protocol,
    close_episode,
    open_episode,
    set_phase,
)


class TherapyBody(Body):
    """Another therapy that the client attends."""

    modality = Line(CODE_LENGTH, required=True)
    provider = Line(allow_none=True)
    started = Day(allow_none=True)
    ended = Day(allow_none=True)

    @post_load
    def therapy(self, found: dict[str, Any], **_: Any) -> ConcurrentTherapy:
        """Return the value that decisions take."""
        return ConcurrentTherapy(**found)


class EpisodeBody(Body):
    """A course of care that begins."""

    id = Id()
    format = Code(FORMATS, required=True)
    modality = Code(required=True)
    modality_label = Line(allow_none=True)
    protocol = Code(required=True, metadata={"description": "`dit-manual`, `dit-guide` or the clinic's own."})
    protocol_version = Line(CODE_LENGTH, allow_none=True)
    planned_sessions = Whole(1, MAX_PLANNED_SESSIONS, allow_none=True)
    problem = Text(allow_none=True)
    referral = Code(REFERRALS, allow_none=True)
    setting = Code(SETTINGS)
    concurrent_therapies = Many(fields.Nested(TherapyBody), 20)
    occurred_at = Instant(allow_none=True)


class PhaseBody(ReasonBody):
    """The phase of the sessions to come; null gives it back to the plan."""

    phase = Code(PHASES, required=True, allow_none=True)


class ProtocolBody(ReasonBody):
    """The protocol from now on, and why; `begins_anew` counts its plan from the next session on."""

    protocol = Code(required=True, metadata={"description": "`dit-manual`, `dit-guide` or the clinic's own."})
    protocol_version = Line(CODE_LENGTH, allow_none=True)
    planned_sessions = Whole(1, MAX_PLANNED_SESSIONS, allow_none=True)
    begins_anew = Flag()


class ClosureBody(Body):
    """Why a course of care ended: an NHS discharge code."""

    reason = Code(DISCHARGES, required=True)
    note = Text(allow_none=True)
    occurred_at = Instant(allow_none=True)


EPISODE = {"format": "individual", "modality": "DIT", "protocol": "dit-manual", "problem": "Low since the move."}

PROTOCOL = {"protocol": "dit-guide", "reason": "The couple will come together from now on."}

blueprint = Concept("episodes", "Courses of care")


@blueprint.route("/clients/<uuid:client_id>/episodes", methods=["POST"])
@changes(open_episode, body=EpisodeBody, example=EPISODE)
def open_an_episode(change: Change, client_id: UUID) -> Response:
    """Open an episode of care."""
    episode_id = change.new_id()
    return change.write(client_id, episode_id, episode_id=episode_id)


@blueprint.route("/clients/<uuid:client_id>/episodes/<uuid:episode_id>/phase", methods=["POST"])
@changes(set_phase, body=PhaseBody, example={"phase": "middle", "reason": "Ready earlier."}, versioned=True)
def set_episode_phase(change: Change, client_id: UUID, episode_id: UUID) -> Response:
    """Set the phase of the sessions to come, with a reason."""
    return change.write(client_id, episode_id, episode_id=episode_id)


@blueprint.route("/clients/<uuid:client_id>/episodes/<uuid:episode_id>/protocol", methods=["POST"])
@changes(change_protocol, body=ProtocolBody, example=PROTOCOL, versioned=True)
def change_episode_protocol(change: Change, client_id: UUID, episode_id: UUID) -> Response:
    """Go on by another protocol, with a reason; phases follow the new plan."""
    return change.write(client_id, episode_id, episode_id=episode_id)


@blueprint.route("/clients/<uuid:client_id>/episodes/<uuid:episode_id>/closure", methods=["POST"])
@changes(close_episode, body=ClosureBody, example={"reason": "46"}, versioned=True)
def close_an_episode(change: Change, client_id: UUID, episode_id: UUID) -> Response:
    """Close an episode of care."""
    return change.write(client_id, episode_id, episode_id=episode_id)
