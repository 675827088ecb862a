"""Sessions and bookings, as the current view shows them: what comes next, and the last that took place or fell out.

Source: DOMAIN 1 and 3 (end). The rules are those of `records.bookings` and `records.sessions`.

- A booking that lies ahead is upcoming. Whatever began before now is past, a booking too that nobody followed up. What
  was cancelled ahead of its time shows among the past once its time has come.
- A breach stays open for the supervisor until one decided on it; the decision then stands beside its session. A session
  that was entered in error is hidden, and its breach stays open all the same.
- Numbers are those that count now: a session that was entered in error gave its number back.
- The newest open breaches are kept with what was missing, of the others only how many there are.
- All bookings ahead are kept, of the past only the last; a session that is no longer kept is in the history.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.bookings import AttendanceRecorded, SessionBooked, SessionCancelled, SessionRescheduled, status_after
from records.breaches import SessionBreachReviewed
from records.client_record import SessionStatus
from records.event import Recorded
from records.sessions import SessionBreachRecorded, SessionEnteredInError, SessionHeld


class BreachReview(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a breach; outcomes are those of `records.breaches`.

    Attributes:
        reviewed_by, supervisor: who entered it, and the supervisor who decided; the same person as a rule.
    """

    outcome: str
    reason: str
    reviewed_at: datetime
    reviewed_by: str
    reviewed_by_name: str = ""
    supervisor: str
    supervisor_name: str = ""


class SessionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One session, booked, held, missed or cancelled.

    Attributes:
        id, version: the session, and the version of the last event that touched it (the ETag).
        start: when it is planned to begin, and once held, when it began.
        minutes: its planned length; ended_at: when a held one ended.
        mode, setting, attendance: codes of `records.care_codes`.
        number, phase, methods: of a held session.
        reason: why it was moved or cancelled.
        breach: consent kinds that were missing when it was held, and other breaches.
        breach_reason: why it was held all the same.
        breach_review: what a supervisor decided about it; None while nobody did.
    """

    id: UUID
    version: int
    episode_id: UUID
    kind: str
    status: SessionStatus
    start: datetime
    minutes: int | None = None
    ended_at: datetime | None = None
    mode: str
    setting: str
    room: str | None = None
    attendance: str | None = None
    number: int | None = None
    phase: str | None = None
    methods: tuple[str, ...] = ()
    reason: str | None = None
    breach: tuple[str, ...] = ()
    breach_reason: str | None = None
    breach_review: BreachReview | None = None


class DeskSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as the front desk sees it: when, where and whether somebody came; fields as in `SessionItem`."""

    id: UUID
    version: int
    episode_id: UUID
    kind: str
    status: SessionStatus
    start: datetime
    minutes: int | None = None
    mode: str
    setting: str
    room: str | None = None
    attendance: str | None = None


LAST_SHOWN = 5
BOOKINGS_SHOWN = 10
KEPT_PAST = 8
KEPT_AHEAD = 120
KEPT_BREACHES = 20
PRUNED_OVER = 24


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was held although a rule forbade it, and that nobody decided on yet.

    Attributes:
        version: the session's, for the decision on the breach.
        in_error: the session was entered in error since.
    """

    session_id: UUID
    version: int
    at: datetime
    missing: tuple[str, ...]
    in_error: bool = False


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """Upcoming bookings, soonest first, and past sessions, newest first."""

    coming: tuple[SessionItem, ...]
    past: tuple[SessionItem, ...]


class State(msgspec.Struct, kw_only=True):
    """Sessions by id, the newest open breaches, oldest first, and how many breaches are open in all."""

    items: dict[UUID, SessionItem] = msgspec.field(default_factory=dict)
    breaches: list[Breach] = msgspec.field(default_factory=list)
    open_breaches: int = 0
    in_error: int = 0


def _booked(state: State, event: SessionBooked, recorded: Recorded) -> None:
    state.items[event.session_id] = SessionItem(
        id=event.session_id,
        version=recorded.version,
        episode_id=event.episode_id,
        kind=event.kind,
        status="booked",
        start=event.start,
        minutes=event.minutes,
        mode=event.mode,
        setting=event.setting,
        room=event.room,
    )
    _prune(state, recorded)


def _rescheduled(state: State, event: SessionRescheduled, recorded: Recorded) -> None:
    item = state.items.get(event.session_id)
    if item is not None:
        state.items[event.session_id] = msgspec.structs.replace(
            item,
            version=recorded.version,
            start=event.start,
            minutes=event.minutes,
            mode=event.mode,
            setting=event.setting,
            room=event.room,
            reason=event.reason,
        )


def _attended(state: State, event: AttendanceRecorded, recorded: Recorded) -> None:
    item = state.items.get(event.session_id)
    if item is not None:
        status = item.status if item.status == "held" else status_after(event.code)
        state.items[event.session_id] = msgspec.structs.replace(
            item, version=recorded.version, status=status, attendance=event.code
        )
    _touch_breach(state, event.session_id, recorded)


def _cancelled(state: State, event: SessionCancelled, recorded: Recorded) -> None:
    item = state.items.get(event.session_id)
    if item is not None:
        state.items[event.session_id] = msgspec.structs.replace(
            item, version=recorded.version, status="cancelled", attendance=event.code, reason=event.reason
        )


def _held(state: State, event: SessionHeld, recorded: Recorded) -> None:
    booked = state.items.get(event.session_id)
    state.items[event.session_id] = SessionItem(
        id=event.session_id,
        version=recorded.version,
        episode_id=event.episode_id,
        kind=event.kind,
        status="held",
        start=event.started_at,
        minutes=booked.minutes if booked else None,
        ended_at=event.ended_at,
        mode=event.mode,
        setting=event.setting,
        room=booked.room if booked else None,
        attendance=booked.attendance if booked else None,
        number=event.number,
        phase=event.phase,
        methods=event.methods,
        reason=event.phase_reason or (booked.reason if booked else None),
    )
    _prune(state, recorded)


def _breached(state: State, event: SessionBreachRecorded, recorded: Recorded) -> None:
    item = state.items.get(event.session_id)
    if item is not None:
        state.items[event.session_id] = msgspec.structs.replace(
            item, version=recorded.version, breach=event.missing, breach_reason=event.reason
        )
    breach = Breach(session_id=event.session_id, version=recorded.version, at=event.occurred_at, missing=event.missing)
    state.breaches.append(breach)
    state.open_breaches += 1
    del state.breaches[:-KEPT_BREACHES]


def _reviewed(state: State, event: SessionBreachReviewed, recorded: Recorded) -> None:
    state.breaches = [breach for breach in state.breaches if breach.session_id != event.session_id]
    state.open_breaches -= 1
    item = state.items.get(event.session_id)
    if item is not None:
        review = BreachReview(
            outcome=event.outcome,
            reason=event.reason,
            reviewed_at=event.occurred_at,
            reviewed_by=event.entered_by,
            supervisor=event.supervisor,
        )
        state.items[event.session_id] = msgspec.structs.replace(item, version=recorded.version, breach_review=review)


def _in_error(state: State, event: SessionEnteredInError, recorded: Recorded) -> None:
    state.in_error += 1
    state.items.pop(event.session_id, None)
    for key, item in state.items.items():
        if item.episode_id == event.episode_id and item.number is not None and item.number > event.number:
            state.items[key] = msgspec.structs.replace(item, number=item.number - 1)
    _touch_breach(state, event.session_id, recorded, in_error=True)


def _touch_breach(state: State, session_id: UUID, recorded: Recorded, **changes: bool) -> None:
    for place, breach in enumerate(state.breaches):
        if breach.session_id == session_id:
            state.breaches[place] = msgspec.structs.replace(breach, version=recorded.version, **changes)


SHOWS: dict[type, Handler] = {
    SessionBooked: _booked,
    SessionRescheduled: _rescheduled,
    AttendanceRecorded: _attended,
    SessionCancelled: _cancelled,
    SessionHeld: _held,
    SessionBreachRecorded: _breached,
    SessionBreachReviewed: _reviewed,
    SessionEnteredInError: _in_error,
}


def render(state: State, viewing: Viewing) -> Ahead:
    """Return what comes next (at most one and `BOOKINGS_SHOWN` more) and the last `LAST_SHOWN` of the past."""
    coming, past = _split(state, viewing.passed)
    shown = tuple(_named(item, viewing) for item in past[:LAST_SHOWN])
    return Ahead(coming=tuple(coming[: BOOKINGS_SHOWN + 1]), past=shown)


def _named(item: SessionItem, viewing: Viewing) -> SessionItem:
    review = item.breach_review
    if review is None:
        return item
    named = msgspec.structs.replace(
        review,
        reviewed_by_name=viewing.name_of(review.reviewed_by),
        supervisor_name=viewing.name_of(review.supervisor),
    )
    return msgspec.structs.replace(item, breach_review=named)


def desk(item: SessionItem) -> DeskSession:
    """Return what the front desk sees of a session."""
    return DeskSession(
        id=item.id,
        version=item.version,
        episode_id=item.episode_id,
        kind=item.kind,
        status=item.status,
        start=item.start,
        minutes=item.minutes,
        mode=item.mode,
        setting=item.setting,
        room=item.room,
        attendance=item.attendance,
    )


def _split(state: State, passed: Callable[[datetime], bool]) -> tuple[list[SessionItem], list[SessionItem]]:
    coming: list[SessionItem] = []
    past: list[SessionItem] = []
    for item in state.items.values():
        if passed(item.start):
            past.append(item)
        elif item.status == "booked":
            coming.append(item)
    coming.sort(key=lambda item: (item.start, item.version))
    past.sort(key=lambda item: (item.start, item.version), reverse=True)
    return coming, past


def _prune(state: State, recorded: Recorded) -> None:
    if len(state.items) <= PRUNED_OVER:
        return
    at = recorded.recorded_at
    coming, past = _split(state, lambda start: start < at)
    fallen_out = [item for item in state.items.values() if item.start >= at and item.status != "booked"]
    kept = (*past[:KEPT_PAST], *coming[:KEPT_AHEAD], *fallen_out[-KEPT_PAST:])
    state.items = {item.id: item for item in kept}
