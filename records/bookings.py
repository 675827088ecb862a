"""Bookings: a session is planned, moved, called off, and its attendance recorded.

Source: DOMAIN 1 and 3 (end); NHS Talking Therapies data set for the codes of attendance and mode.

Rules:
- A booking is refused where a consent that it needs is not live at its start, as known now, and the missing kind is
  named. Which kinds an act needs is clinic policy; by default an assessment needs none, so that a client can come
  before consenting, and a treatment session and a remote mode do.
- Where no kind is named, a session is an assessment while the episode has no other that is booked or was held.
- A closed episode takes no booking. Nothing is booked before the client's birth or beyond the clinic's horizon.
- A booking may lie in the past: what was not written down in time can still be recorded as missed or cancelled.
- Attendance follows the NHS codes and can be corrected; a session that was held keeps counting as attended.

It does not say what took place (`records.sessions`), and it keeps no calendar of rooms or therapists.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from records.care_codes import ATTENDANCE, CANCELLED_BY, MODES, SEEN, SESSION_KINDS, SETTINGS, require_known
from records.client_record import ClientRecord, SessionState, SessionStatus
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

ATTENDEES = ("client",)
MAX_MINUTES = 600
EARLY_ARRIVAL = timedelta(hours=1)
"""How long before its start a session's attendance can be known."""


def status_after(code: str) -> SessionStatus:
    """Return the status that an attendance code gives a session that is not held (yet)."""
    if code in SEEN:
        return "booked"
    return "cancelled" if code in CANCELLED_BY.values() else "missed"


# --- events


class SessionBooked(Event, frozen=True, kw_only=True, tag="session.booked"):
    """A session was planned. Since 1.

    Attributes:
        kind: one of `SESSION_KINDS`.
        start: when it is to begin, aware.
        minutes: its planned length, 1 to 600.
        mode: NHS consultation mode, one of `MODES`.
        setting: one of `SETTINGS`.
        room: where in the building.
    """

    subject = "session_id"

    session_id: UUID
    episode_id: UUID
    kind: str
    start: datetime
    minutes: int = 50
    mode: str = "01"
    setting: str = "clinic"
    room: str | None = None

    def planned(self, version: int) -> SessionState:
        """Return the state of the session that is planned so."""
        return SessionState(
            version=version,
            episode_id=self.episode_id,
            kind=self.kind,
            start=self.start,
            mode=self.mode,
            minutes=self.minutes,
            setting=self.setting,
            room=self.room,
        )

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the session."""
        record.sessions[self.session_id] = self.planned(version)


class SessionRescheduled(Event, frozen=True, kw_only=True, tag="session.rescheduled"):
    """A booked session was given another time, length, mode or place; the fields are the new plan. Since 1.

    Attributes:
        reason: why (free text).
    """

    subject = "session_id"
    free_text = ("reason",)
    lifecycle = "amend"

    session_id: UUID
    start: datetime
    minutes: int
    mode: str
    setting: str
    room: str | None = None
    reason: str | None = None

    def moved(self, state: SessionState, version: int) -> SessionState:
        """Return the state of the session that is moved so."""
        return msgspec.structs.replace(
            state,
            version=version,
            start=self.start,
            minutes=self.minutes,
            mode=self.mode,
            setting=self.setting,
            room=self.room,
        )

    def apply(self, record: ClientRecord, version: int) -> None:
        """Move the session."""
        record.sessions[self.session_id] = self.moved(record.sessions[self.session_id], version)


class AttendanceRecorded(Event, frozen=True, kw_only=True, tag="session.attendance_recorded"):
    """Whether a person came was recorded, or put right. Since 1.

    Attributes:
        code: NHS attendance code, one of `ATTENDANCE` of `records.care_codes`.
        person: whose attendance, one of `ATTENDEES`.
    """

    subject = "session_id"

    session_id: UUID
    code: str
    person: str = "client"

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note the code; a session that was held stays held."""
        state = record.sessions[self.session_id]
        status = state.status if state.status == "held" else status_after(self.code)
        record.sessions[self.session_id] = msgspec.structs.replace(
            state, version=version, status=status, attendance=self.code
        )


class SessionCancelled(Event, frozen=True, kw_only=True, tag="session.cancelled"):
    """A booked session was called off. Since 1.

    Attributes:
        by: `client` or `clinic`.
        code: the NHS attendance code that follows: 2 or 4.
        reason: why (free text).
    """

    subject = "session_id"
    free_text = ("reason",)
    lifecycle = "amend"

    session_id: UUID
    by: str
    code: str
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Cancel the session."""
        record.sessions[self.session_id] = msgspec.structs.replace(
            record.sessions[self.session_id], version=version, status="cancelled", attendance=self.code
        )


EVENTS = (SessionBooked, SessionRescheduled, AttendanceRecorded, SessionCancelled)

# --- decisions


@decision("session.book")
def book_session(
    record: ClientRecord,
    context: Context,
    *,
    session_id: UUID,
    episode_id: UUID,
    start: datetime,
    kind: str | None = None,
    minutes: int = 50,
    mode: str = "01",
    setting: str | None = None,
    room: str | None = None,
) -> Sequence[Event]:
    """Book a session; nothing to do where the same booking stands.

    Where no kind is named, it is an assessment until the episode's first session was held, then treatment. Where no
    setting is named, it is the episode's.

    Raises:
        UnknownItem: no such episode in this record.
        RuleBroken: `session-already-booked`, `episode-closed`.
        ConsentMissing: names the first kind that is not live at the start.
        InvalidContent: an unknown code, an impossible length, a start before birth or beyond the horizon.
    """
    episode = record.item("episode", record.episodes, episode_id)
    known = record.sessions.get(session_id)
    if kind is None:
        kind = known.kind if known else record.usual_session_kind(episode_id)
    booked = SessionBooked(
        session_id=session_id,
        episode_id=episode_id,
        kind=kind,
        start=start,
        minutes=minutes,
        mode=mode,
        setting=episode.setting if setting is None else setting,
        room=room,
        **context.stamp(),
    )
    if known is not None:
        if known == booked.planned(known.version):
            return []
        raise RuleBroken("session-already-booked", "This session is booked already; reschedule it instead.")
    _require_bookable(record, context, session_id, booked.planned(version=0))
    return [booked]


@decision("session.book")
def reschedule_session(
    record: ClientRecord,
    context: Context,
    *,
    session_id: UUID,
    start: datetime | None = None,
    minutes: int | None = None,
    mode: str | None = None,
    setting: str | None = None,
    room: str | None = None,
    reason: str | None = None,
) -> Sequence[Event]:
    """Move a booked session in time, length, mode or place; what is not named stays. Nothing to do where all stays.

    Raises:
        UnknownItem: no such session in this record.
        RuleBroken: `session-not-booked`, `episode-closed`.
        ConsentMissing: names the first kind that is not live at the new start.
        InvalidContent: as in `book_session`.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("session", record.sessions, session_id)
    context.require_version(state.version)
    if state.status != "booked":
        raise RuleBroken("session-not-booked", "Only a booked session can be moved; book a new one.")
    moved = SessionRescheduled(
        session_id=session_id,
        start=state.start if start is None else start,
        minutes=state.minutes if minutes is None else minutes,
        mode=state.mode if mode is None else mode,
        setting=state.setting if setting is None else setting,
        room=state.room if room is None else room,
        reason=reason,
        **context.stamp(),
    )
    if state == moved.moved(state, state.version):
        return []
    _require_bookable(record, context, session_id, moved.moved(state, state.version))
    return [moved]


@decision("session.attend")
def record_attendance(
    record: ClientRecord, context: Context, *, session_id: UUID, code: str, person: str = "client"
) -> Sequence[Event]:
    """Record or correct whether a person came; nothing to do where the code stands already.

    Raises:
        UnknownItem: no such session in this record.
        RuleBroken: `session-held` where a held session would count as not attended, `session-entered-in-error`.
        InvalidContent: an unknown code or person, or whether somebody came long before the start.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("session", record.sessions, session_id)
    require_known("/code", code, ATTENDANCE)
    require_known("/person", person, ATTENDEES)
    if state.attendance == code:
        return []
    context.require_version(state.version)
    record.require_session(session_id)
    if state.status == "held" and code not in SEEN:
        raise RuleBroken("session-held", "The session was held, so it was attended.")
    if status_after(code) != "cancelled" and context.at < state.start - EARLY_ARRIVAL:
        raise InvalidContent("/code", "Cannot be known so long before the session.")
    return [AttendanceRecorded(session_id=session_id, code=code, person=person, **context.stamp())]


@decision("session.cancel")
def cancel_session(
    record: ClientRecord, context: Context, *, session_id: UUID, by: str, reason: str | None = None
) -> Sequence[Event]:
    """Call a booked session off; nothing to do where that party did.

    Raises:
        UnknownItem: no such session in this record.
        RuleBroken: `session-not-booked` where it was held or missed, or the other party cancelled it.
        InvalidContent: neither `client` nor `clinic` called it off.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("session", record.sessions, session_id)
    require_known("/by", by, CANCELLED_BY)
    code = CANCELLED_BY[by]
    if state.status == "cancelled" and state.attendance == code:
        return []
    context.require_version(state.version)
    if state.status != "booked":
        raise RuleBroken("session-not-booked", "Only a booked session can be called off; correct its attendance.")
    return [SessionCancelled(session_id=session_id, by=by, code=code, reason=reason, **context.stamp())]


def _require_bookable(record: ClientRecord, context: Context, session_id: UUID, plan: SessionState) -> None:
    if record.episodes[plan.episode_id].closed_at is not None:
        raise RuleBroken("episode-closed", "The episode is closed; open a new one.")
    require_known("/kind", plan.kind, SESSION_KINDS)
    require_known("/mode", plan.mode, MODES)
    require_known("/setting", plan.setting, SETTINGS)
    if not 1 <= plan.minutes <= MAX_MINUTES:
        raise InvalidContent("/minutes", f"Is not between 1 and {MAX_MINUTES}.")
    record.require_born("/start", plan.start)
    if plan.start > context.at + timedelta(days=context.policy.booking_horizon_days):
        raise InvalidContent("/start", "Lies further ahead than this clinic books.")
    record.require_consents(
        context.policy.consents_for(f"session.{plan.kind}", f"mode.{plan.mode}"),
        plan.start,
        scopes=(f"episode:{plan.episode_id}", f"session:{session_id}"),
    )
