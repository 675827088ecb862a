"""Sessions: what took place between a client and a therapist, and what took place although it should not have.

Source: DOMAIN 1 and 3 (end): what was held can always be recorded; NHS Talking Therapies data set for modes.

Rules:
- Without a consent that was needed when it began, with a method that the clinic has switched off, or after the episode
  was closed, a session is recorded with a breach reason, and the breach is an event of the same commit.
- A consent to touch is asked again each session: only one whose scope is `session:<id>` counts.
- A session that counts as missed or cancelled is held only after its attendance was put right.
- The record numbers held sessions within their episode; the plan gives the phase, a person may differ with a reason.
- A session that nobody booked is held by naming its episode.
- No session is held before the client's birth or in the future.
- A session that was entered in error counts no longer, and those after it count one less. Its breach stays: nobody
  hides a breach by marking its session.

It does not plan (`records.bookings`) and decides on no breach (`records.breaches`), it holds no couples' and groups'
joint sessions, notes or recordings, and it makes no work list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

import msgspec

from records.care_codes import MODES, PHASES, SESSION_KINDS, SETTINGS, require_known
from records.client_record import BreachState, ClientRecord, EpisodeState, SessionState
from records.decision import Context, decision
from records.errors import ConsentMissing, InvalidContent, RuleBroken, UnknownItem
from records.event import Event

# --- value types

ASKED_EACH_SESSION = ("touch",)
LONGEST = timedelta(minutes=600)
METHOD_DISABLED = "method-disabled"
EPISODE_CLOSED = "episode-closed"

# --- events


class SessionHeld(Event, frozen=True, kw_only=True, tag="session.held"):
    """A session took place. `occurred_at` is when it began. Since 1.

    Attributes:
        number: its number within the episode, from 1.
        phase: the phase it belongs to, None where the protocol has none.
        phase_reason: why the phase is not the plan's (free text); None where it is.
        methods: what was used, names of the clinic's list.
        started_at, ended_at: when it really began and ended, aware; the end is None where nobody noted it.
        kind, mode, setting: as it was held.
        booked: False for a session that nobody had booked.
    """

    subject = "session_id"
    free_text = ("phase_reason",)
    lifecycle = "amend"

    session_id: UUID
    episode_id: UUID
    kind: str
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    mode: str
    setting: str
    methods: tuple[str, ...] = ()
    phase: str | None = None
    phase_reason: str | None = None
    booked: bool = True

    def apply(self, record: ClientRecord, version: int) -> None:
        """Make the session a held one and count it in its episode."""
        now: dict[str, Any] = {
            "version": version,
            "kind": self.kind,
            "start": self.started_at,
            "mode": self.mode,
            "setting": self.setting,
            "status": "held",
            "number": self.number,
        }
        booked = record.sessions.get(self.session_id)
        record.sessions[self.session_id] = (
            msgspec.structs.replace(booked, **now) if booked else SessionState(episode_id=self.episode_id, **now)
        )
        episode = record.episodes[self.episode_id]
        record.episodes[self.episode_id] = msgspec.structs.replace(
            episode, sessions_held=max(episode.sessions_held, self.number)
        )


class SessionBreachRecorded(Event, frozen=True, kw_only=True, tag="session.breach_recorded"):
    """A session was held although a rule forbade it; a supervisor has to look at it. Since 1.

    Attributes:
        missing: the consent kinds that were not live, and `method-disabled:<name>`, `episode-closed`.
        reason: why it was held all the same (free text).
    """

    subject = "session_id"
    free_text = ("reason",)

    session_id: UUID
    missing: tuple[str, ...]
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Keep the breach beside its session."""
        record.breaches[self.session_id] = BreachState(missing=self.missing, entered_by=self.entered_by)
        record.sessions[self.session_id] = msgspec.structs.replace(record.sessions[self.session_id], version=version)


class SessionEnteredInError(Event, frozen=True, kw_only=True, tag="session.entered_in_error"):
    """It turned out that a session that was held should not be in this record. Since 1.

    Attributes:
        number: the number that it counted as until now; later sessions of the episode count one less from here on.
        sessions_held: the highest number of a held session of the episode from here on.
        reason: what was wrong (free text).
    """

    subject = "session_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    session_id: UUID
    episode_id: UUID
    number: int
    sessions_held: int
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take the session out of the count, and close the gap."""
        record.sessions[self.session_id] = msgspec.structs.replace(
            record.sessions[self.session_id], version=version, status="entered-in-error", number=None
        )
        for key, state in record.sessions.items():
            if state.episode_id == self.episode_id and state.number is not None and state.number > self.number:
                record.sessions[key] = msgspec.structs.replace(state, number=state.number - 1)
        record.episodes[self.episode_id] = msgspec.structs.replace(
            record.episodes[self.episode_id], sessions_held=self.sessions_held
        )


EVENTS = (SessionHeld, SessionBreachRecorded, SessionEnteredInError)

# --- decisions


@decision("session.hold")
def record_session_held(
    record: ClientRecord,
    context: Context,
    *,
    session_id: UUID,
    episode_id: UUID | None = None,
    kind: str | None = None,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    mode: str | None = None,
    setting: str | None = None,
    methods: Sequence[str] = (),
    number: int | None = None,
    phase: str | None = None,
    phase_reason: str | None = None,
    breach_reason: str | None = None,
) -> Sequence[Event]:
    """Record that a session took place; what is not named is as booked, numbered and planned.

    A session that was not booked needs `episode_id` and `started_at`. A number is taken from migrated history only.

    Returns:
        The session held; with its breach after it where something was missing and a reason for it is given.

    Raises:
        UnknownItem: no such session and no episode named, or no such episode.
        RuleBroken: `session-already-held`; `session-entered-in-error`; `session-not-attended` where the attendance must
            be put right first; `method-disabled` or `episode-closed` without a breach reason.
        ConsentMissing: names the first kind that was not live, where no breach reason is given.
        InvalidContent: an unknown code, an impossible time, a phase that differs without a reason, a breach reason
            where nothing was missing.
        StaleRecord, VersionRequired: see `Context.require_version`; only for a session that was booked.
    """
    plan = _plan(record, context, session_id, episode_id, started_at)
    started_at = plan.start if started_at is None else started_at
    _require_past(record, context, started_at, ended_at)
    number = _number(record, context, plan.episode_id, number)
    held = SessionHeld(
        session_id=session_id,
        episode_id=plan.episode_id,
        kind=require_known("/kind", plan.kind if kind is None else kind, SESSION_KINDS),
        number=number,
        started_at=started_at,
        ended_at=ended_at,
        mode=require_known("/mode", plan.mode if mode is None else mode, MODES),
        setting=require_known("/setting", plan.setting if setting is None else setting, SETTINGS),
        methods=tuple(dict.fromkeys(methods)),
        phase=_phase(record.episodes[plan.episode_id], number, phase, phase_reason),
        phase_reason=phase_reason,
        booked=session_id in record.sessions,
        **context.stamp(started_at),
    )
    for place, method in enumerate(methods):
        require_known(f"/methods/{place}", method, context.policy.methods)
    return [held, *_breaches(held, _missing(record, context, held), breach_reason, context)]


def _plan(
    record: ClientRecord, context: Context, session_id: UUID, episode_id: UUID | None, started_at: datetime | None
) -> SessionState:
    """Return the booked session, or for one that nobody booked what the episode makes of it."""
    state = record.sessions.get(session_id)
    if state is None:
        if episode_id is None:
            raise UnknownItem("session")
        episode = record.item("episode", record.episodes, episode_id)
        if started_at is None:
            raise InvalidContent("/started_at", "Is needed for a session that was not booked.")
        return SessionState(
            version=0,
            episode_id=episode_id,
            kind=record.usual_session_kind(episode_id),
            start=started_at,
            mode="01",
            setting=episode.setting,
        )
    context.require_version(state.version)
    if state.status == "held":
        raise RuleBroken("session-already-held", "This session was recorded as held before.")
    record.require_session(session_id)
    if state.status != "booked":
        raise RuleBroken("session-not-attended", "Correct the attendance first: it says that nobody was seen.")
    if episode_id not in (None, state.episode_id):
        raise InvalidContent("/episode_id", "Is not the episode that the session was booked in.")
    return state


def _require_past(record: ClientRecord, context: Context, started_at: datetime, ended_at: datetime | None) -> None:
    if started_at > context.at:
        raise InvalidContent("/started_at", "Lies in the future.")
    record.require_born("/started_at", started_at)
    if ended_at is None:
        return
    if ended_at > context.at:
        raise InvalidContent("/ended_at", "Lies in the future.")
    if not timedelta(0) < ended_at - started_at <= LONGEST:
        raise InvalidContent("/ended_at", f"Is not within {LONGEST} after the beginning.")


def _number(record: ClientRecord, context: Context, episode_id: UUID, number: int | None) -> int:
    if number is None:
        return record.episodes[episode_id].sessions_held + 1
    if not context.migrated:
        raise InvalidContent("/number", "Is given by the record.")
    siblings = (session.number for session in record.sessions.values() if session.episode_id == episode_id)
    if number < 1 or number in siblings:
        raise InvalidContent("/number", "Is less than 1, or another session of the episode has it.")
    return number


def _phase(episode: EpisodeState, number: int, phase: str | None, reason: str | None) -> str | None:
    planned = episode.phase_at(number)
    if phase in (None, planned):
        if reason is not None:
            raise InvalidContent("/phase_reason", "The phase is the plan's, so there is nothing to explain.")
        return planned
    require_known("/phase", phase, PHASES)
    if not (reason or "").strip():
        raise InvalidContent("/phase_reason", "A phase that is not the plan's needs a reason.")
    return phase


def _missing(record: ClientRecord, context: Context, held: SessionHeld) -> tuple[str, ...]:
    policy, at = context.policy, held.started_at
    this_session = f"session:{held.session_id}"
    acts = (f"session.{held.kind}", f"mode.{held.mode}", *(f"method.{method}" for method in held.methods))
    kinds = policy.consents_for(*acts)
    consents = record.missing_consents(kinds, at, scopes=(f"episode:{held.episode_id}", this_session))
    asked_anew = {state.kind for state in record.consents.values() if state.scope == this_session and state.live_at(at)}
    closed_at = record.episodes[held.episode_id].closed_at
    return (
        *(kind for kind in kinds if kind in consents or (kind in ASKED_EACH_SESSION and kind not in asked_anew)),
        *(f"{METHOD_DISABLED}:{method}" for method in held.methods if method in policy.disabled_methods),
        *((EPISODE_CLOSED,) if closed_at is not None and at >= closed_at else ()),
    )


def _breaches(
    held: SessionHeld, missing: tuple[str, ...], reason: str | None, context: Context
) -> tuple[SessionBreachRecorded, ...]:
    if not missing:
        if reason is not None:
            raise InvalidContent("/breach_reason", "Nothing was missing, so there is no breach to explain.")
        return ()
    if reason is None:
        _refuse(missing[0])
    if not reason.strip():
        raise InvalidContent("/breach_reason", "A breach needs a reason.")
    stamp = context.stamp(held.started_at)
    return (SessionBreachRecorded(session_id=held.session_id, missing=missing, reason=reason, **stamp),)


def _refuse(missing: str) -> NoReturn:
    if missing == EPISODE_CLOSED:
        raise RuleBroken(EPISODE_CLOSED, "The episode was closed before; give the reason of the breach.")
    if missing.startswith(METHOD_DISABLED):
        raise RuleBroken(METHOD_DISABLED, "The clinic has switched the method off; give the reason of the breach.")
    raise ConsentMissing(missing)


@decision("session.error")
def mark_session_entered_in_error(
    record: ClientRecord, context: Context, *, session_id: UUID, reason: str
) -> Sequence[Event]:
    """Take a session that was held out of the ordinary view and the count; nothing to do where that was done.

    Raises:
        UnknownItem: no such session in this record.
        RuleBroken: `session-not-held`: a booking is called off, and attendance is put right.
        InvalidContent: `/reason` says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("session", record.sessions, session_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if state.status != "held" or state.number is None:
        raise RuleBroken("session-not-held", "Only a session that was held; call the booking off instead.")
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [
        SessionEnteredInError(
            session_id=session_id,
            episode_id=state.episode_id,
            number=state.number,
            sessions_held=_held_without(record, session_id, state.episode_id, state.number),
            reason=reason,
            **context.stamp(),
        )
    ]


def _held_without(record: ClientRecord, session_id: UUID, episode_id: UUID, number: int) -> int:
    left = [
        state.number
        for key, state in record.sessions.items()
        if key != session_id and state.episode_id == episode_id and state.number is not None
    ]
    return max((each - 1 if each > number else each for each in left), default=0)
