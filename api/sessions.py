"""Sessions over HTTP: booked, moved, called off, attended, held; breaches decided on; entered in error."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.calls import Change
from api.concept import Concept
from api.consents import ReasonBody
from api.door import changes
from api.fields import Body, Code, Id, Instant, Line, Many, Text, Whole
from records.bookings import (
    ATTENDEES,
    MAX_MINUTES,
    book_session,
    cancel_session,
    record_attendance,
    reschedule_session,
)
from records.breaches import OUTCOMES, review_breach
from records.care_codes import ATTENDANCE, CANCELLED_BY, MODES, PHASES, SESSION_KINDS, SETTINGS
from records.errors import UnknownItem
from records.sessions import mark_session_entered_in_error, record_session_held


class BookingBody(Body):
    """A session to book. What is not named is as the episode has it."""

    id = Id()
    episode_id = Id(required=True)
    start = Instant(required=True)
    kind = Code(SESSION_KINDS, allow_none=True)
    minutes = Whole(1, MAX_MINUTES)
    mode = Code(MODES)
    setting = Code(SETTINGS, allow_none=True)
    room = Line(allow_none=True)


class MoveBody(Body):
    """What changes of a booked session; what is not named stays."""

    start = Instant(allow_none=True)
    minutes = Whole(1, MAX_MINUTES, allow_none=True)
    mode = Code(MODES, allow_none=True)
    setting = Code(SETTINGS, allow_none=True)
    room = Line(allow_none=True)
    reason = Text(allow_none=True)


class CancellationBody(Body):
    """Who called it off, and why."""

    by = Code(CANCELLED_BY, required=True)
    reason = Text(allow_none=True)


class AttendanceBody(Body):
    """An NHS attendance code."""

    code = Code(ATTENDANCE, required=True)
    person = Code(ATTENDEES)


class HeldBody(Body):
    """A session that took place; what is not named is as booked, numbered and planned.

    One that nobody booked names its episode and when it began. A breach reason is given where a consent was missing.
    """

    episode_id = Id(allow_none=True)
    kind = Code(SESSION_KINDS, allow_none=True)
    started_at = Instant(allow_none=True)
    ended_at = Instant(allow_none=True)
    mode = Code(MODES, allow_none=True)
    setting = Code(SETTINGS, allow_none=True)
    methods = Many(Code(), 20)
    phase = Code(PHASES, allow_none=True)
    phase_reason = Text(allow_none=True)
    breach_reason = Text(allow_none=True)


class BreachReviewBody(ReasonBody):
    """What was decided about a breach, and why; a therapist names the supervisor with whom it was decided."""

    outcome = Code(OUTCOMES, required=True)
    supervisor_id = Id(allow_none=True)


BOOKING = {"episode_id": "6f1c1f0e-5a3e-4a57-9d3f-0b8c6f1d2a10", "start": "2027-01-11T10:00:00Z", "minutes": 50}
REVIEW = {"outcome": "consent-taken", "reason": "Came in crisis; signed the form at the next session."}
HELD = {"started_at": "2026-10-12T14:00:00Z", "methods": ["mentalising"]}

blueprint = Concept("sessions", "Bookings and what took place")


@blueprint.route("/clients/<uuid:client_id>/sessions", methods=["POST"])
@changes(book_session, body=BookingBody, example=BOOKING)
def book_a_session(change: Change, client_id: UUID) -> Response:
    """Book a session."""
    session_id = change.new_id()
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/reschedule", methods=["POST"])
@changes(reschedule_session, body=MoveBody, example={"start": "2027-01-12T10:00:00Z"}, versioned=True)
def reschedule_a_session(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Move a booked session."""
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/cancellation", methods=["POST"])
@changes(cancel_session, body=CancellationBody, example={"by": "client"}, versioned=True)
def cancel_a_session(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Call a booked session off."""
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/attendance", methods=["POST"])
@changes(record_attendance, body=AttendanceBody, example={"code": "5"}, versioned=True)
def record_session_attendance(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Record or correct whether a person came."""
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/held", methods=["POST"])
@changes(record_session_held, body=HeldBody, example=HELD, versioned=True)
def hold_a_session(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Record that a session took place; without a live consent only with the reason of the breach."""
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/error", methods=["POST"])
@changes(mark_session_entered_in_error, body=ReasonBody, example={"reason": "Another client's."}, versioned=True)
def mark_session_error(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Mark a session that was held as entered in error; later sessions of the episode count one less."""
    return change.write(client_id, session_id, session_id=session_id)


@blueprint.route("/clients/<uuid:client_id>/sessions/<uuid:session_id>/breach-review", methods=["POST"])
@changes(review_breach, body=BreachReviewBody, example=REVIEW, versioned=True)
def review_a_breach(change: Change, client_id: UUID, session_id: UUID) -> Response:
    """Decide about a session that was held without a consent; nobody decides on a breach that they entered."""
    named = change.body.get("supervisor_id")
    if named is not None:
        account = change.service.directory.staff.get(named)
        part = change.service.directory.team(client_id).parts.get(str(named))
        if account is None or account.disabled or part != "supervises":
            change.refuse(client_id, UnknownItem("supervisor"))
    return change.write(client_id, session_id, session_id=session_id)
