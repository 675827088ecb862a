"""Histories that could have happened: events that the decisions themselves made, in orders that hypothesis draws.

Ids come from small pools, so that things collide, are corrected, pruned and answered. Every free text holds `CANARY`.
What a rule refuses leaves no event, as at the door.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from records import (
    assessments,
    attachments,
    bookings,
    breaches,
    consent,
    disclosures,
    episodes,
    goals,
    legal_hold,
    notes,
    registration,
    risk,
    sessions,
)
from records.actors import Actor, Role
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.consent import Form
from records.decision import Context, Decision
from records.errors import Refused
from records.event import Recorded, StreamKind
from records.registration import Identity, IdentityChanges

CLIENT = UUID("00000000-0000-4000-8000-000000000001")
BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
THERAPIST = Actor(id="00000000-0000-4000-8000-0000000000aa", role=Role.THERAPIST)
SUPERVISOR = Actor(id="00000000-0000-4000-8000-0000000000bb", role=Role.SUPERVISOR)
CANARY = "Zq7canaryText"
FORM = Form(form_id="treatment", form_version="3")
KINDS = ("treatment", "telehealth")
GOAL_CHANGES = ("reword", "pause", "resume", "achieve", "partly-achieve", "abandon", "reopen")


class History:
    """A record as it grows, and its events as the log would give them."""

    def __init__(self) -> None:
        self.record = ClientRecord(client_id=CLIENT)
        self.events: list[Recorded] = []
        self.at = BEGIN
        self.do(registration.register_client, identity=Identity(family="Marsh", given="Robin", birth_date="1980"))

    def do(
        self,
        decision: Decision,
        *,
        actor: Actor = THERAPIST,
        item: str = "",
        item_id: UUID | None = None,
        **arguments: Any,
    ) -> None:
        """Decide on the newest version of the item, and put what came of it into the log."""
        self.at += timedelta(hours=5)
        if item == "identity":
            version = self.record.identity_version
        else:
            state = getattr(self.record, item).get(item_id) if item else None
            version = state.version if state is not None else 0
        context = Context(actor=actor, at=self.at, request_id="history", policy=ClinicPolicy(), if_match=version)
        try:
            made = decision(self.record, context, **arguments)
        except Refused:
            return
        for event in made:
            if event.stream_kind is not StreamKind.CLIENT:
                continue
            place = len(self.events) + 1
            leaf = hashlib.sha256(place.to_bytes(4, "big")).digest()
            at = self.at + timedelta(microseconds=place)
            recorded = Recorded(event, CLIENT, place, place + 100, at, leaf)
            self.record.apply(recorded)
            self.events.append(recorded)


def _error(history: History, decision: Decision, items: str, field: str, target: UUID, b: int) -> None:
    history.do(decision, item=items, item_id=target, reason=_text(b), **{field: target})


def _text(number: int) -> str:
    return f"{CANARY} {number}"


def _id(kind: int, number: int) -> UUID:
    return UUID(int=(kind << 32) + number, version=4)


def _episode_of(history: History, number: int) -> UUID:
    """Return one of the last three episodes, or one that is not there."""
    last = list(history.record.episodes)[-3:]
    return last[number % len(last)] if last else _id(2, number)


def _identity(history: History, a: int, b: int) -> None:
    changes = IdentityChanges(phone=f"0{a}") if b % 2 else IdentityChanges(preferred_name=f"Rob {a}")
    history.do(registration.change_identity, item="identity", changes=changes)


def _death(history: History, a: int, b: int) -> None:
    if b % 3:
        day = history.at.date().isoformat()[: (4, 7, 10)[a % 3]] if b % 2 else None
        history.do(registration.record_death, item="identity", died_on=day, reported_by="relative")
    else:
        history.do(registration.mark_death_entered_in_error, item="identity", reason=_text(b))


def _place_hold(history: History, a: int, b: int) -> None:
    told = {"requested_by": _text(a), "reference": _text(b), "reason": _text(b)}
    history.do(legal_hold.place_legal_hold, hold_id=_id(9, a), authority=("court", "clinic")[b % 2], **told)


def _lift_hold(history: History, a: int, b: int) -> None:
    history.do(legal_hold.lift_legal_hold, item="holds", item_id=_id(9, a), hold_id=_id(9, a), reason=_text(b))


def _consent(history: History, a: int, b: int) -> None:
    outcome = ("offered", "given", "given", "refused")[b % 4]
    extra: dict[str, Any] = {"expires_at": history.at + timedelta(days=a)} if outcome == "given" and b % 3 == 0 else {}
    if outcome == "given":
        extra |= {"capacity_note": _text(b), "restrictions": _text(a)}
    history.do(
        consent.record_consent, consent_id=_id(1, a), kind=KINDS[a % len(KINDS)], outcome=outcome, form=FORM, **extra
    )


def _withdraw(history: History, a: int, b: int) -> None:
    told = {"consent_id": _id(1, a), "channel": "telephone", "reason": _text(b)}
    history.do(consent.withdraw_consent, item="consents", item_id=_id(1, a), **told)


def _consent_error(history: History, a: int, b: int) -> None:
    _error(history, consent.mark_consent_entered_in_error, "consents", "consent_id", _id(1, a), b)


def _episode(history: History, a: int, b: int) -> None:
    history.do(
        episodes.open_episode,
        episode_id=_id(2, len(history.events)),
        format="individual",
        modality="psychodynamic",
        protocol=("dit-manual", "dit-guide", "own")[b % 3],
        planned_sessions=8,
        problem=_text(b),
    )


def _phase(history: History, a: int, b: int) -> None:
    phase = ("ending", "middle", None)[b % 3]
    target = _episode_of(history, a)
    history.do(episodes.set_phase, item="episodes", item_id=target, episode_id=target, phase=phase, reason=_text(b))


def _close(history: History, a: int, b: int) -> None:
    target = _episode_of(history, a)
    why = {"episode_id": target, "reason": ("46", "46", "49")[b % 3], "note": _text(b)}
    history.do(episodes.close_episode, item="episodes", item_id=target, **why)


def _book(history: History, a: int, b: int) -> None:
    history.do(
        bookings.book_session,
        session_id=_id(3, a),
        episode_id=_episode_of(history, b),
        start=history.at + timedelta(days=b % 9 - 2),
        kind="assessment" if b % 2 else None,
        room=f"R{b}",
    )


def _reschedule(history: History, a: int, b: int) -> None:
    history.do(
        bookings.reschedule_session,
        item="sessions",
        item_id=_id(3, a),
        session_id=_id(3, a),
        start=history.at + timedelta(days=b % 9),
        reason=_text(b),
    )


def _attend(history: History, a: int, b: int) -> None:
    history.do(
        bookings.record_attendance,
        item="sessions",
        item_id=_id(3, a),
        session_id=_id(3, a),
        code=("5", "3", "2", "7")[b % 4],
    )


def _cancel(history: History, a: int, b: int) -> None:
    history.do(
        bookings.cancel_session,
        item="sessions",
        item_id=_id(3, a),
        session_id=_id(3, a),
        by=("client", "clinic")[b % 2],
        reason=_text(b),
    )


def _hold(history: History, a: int, b: int) -> None:
    extra = {"breach_reason": _text(b)} if b % 2 else {}
    history.do(
        sessions.record_session_held,
        item="sessions",
        item_id=_id(3, a),
        session_id=_id(3, a),
        episode_id=_episode_of(history, b),
        started_at=history.at - timedelta(hours=b % 30),
        **extra,
    )


def _session_error(history: History, a: int, b: int) -> None:
    held = [key for key, state in history.record.sessions.items() if state.status == "held"]
    if held and b % 2:
        target = held[(a * 10 + b) % len(held)]
        _error(history, sessions.mark_session_entered_in_error, "sessions", "session_id", target, b)


def _review(history: History, a: int, b: int) -> None:
    known = list(history.record.breaches)
    if known:
        target = known[-1 - (a * 10 + b) % len(known)]
        history.do(
            breaches.review_breach,
            actor=SUPERVISOR,
            item="sessions",
            item_id=target,
            session_id=target,
            outcome=("justified", "escalated")[b % 2],
            reason=_text(b),
        )


def _protocol(history: History, a: int, b: int) -> None:
    target = _episode_of(history, a)
    history.do(
        episodes.change_protocol,
        item="episodes",
        item_id=target,
        episode_id=target,
        protocol=("dit-manual", "dit-guide", "own")[b % 3],
        planned_sessions=6 + b % 4,
        begins_anew=bool(a % 2),
        reason=_text(b),
    )


def _goal_error(history: History, a: int, b: int) -> None:
    _error(history, goals.mark_goal_entered_in_error, "goals", "goal_id", _id(6, a), b)


def _assess(history: History, a: int, b: int) -> None:
    measure = ("PHQ-9", "GAD-7", "ORS")[b % 3]
    answers: list[int | float | None] = {
        "PHQ-9": [b % 4] * 8 + [a % 4],
        "GAD-7": [b % 4] * 7,
        "ORS": [a, b % 10, 5, 5],
    }[measure][:]
    if b % 5 == 0:
        answers[-1] = None
    session = _id(3, a) if b % 2 and _id(3, a) in history.record.sessions else None
    history.do(
        assessments.record_assessment,
        assessment_id=_id(4, len(history.events)),
        measure=measure,
        answers=answers,
        session_id=session,
        occurred_at=history.at - timedelta(hours=a * 3),
    )


def _assessment_error(history: History, a: int, b: int) -> None:
    known = list(history.record.assessments)
    if known:
        target = known[(a * 10 + b) % len(known)]
        _error(history, assessments.mark_assessment_entered_in_error, "assessments", "assessment_id", target, b)


def _risk(history: History, a: int, b: int) -> None:
    history.do(
        risk.assess_risk,
        risk_id=_id(5, len(history.events)),
        level="moderate",
        formulation=_text(b),
        details={"plan": _text(a)},
        actions=_text(a),
        answers=[] if b % 2 else None,
    )


def _risk_error(history: History, a: int, b: int) -> None:
    known = list(history.record.risk_assessments)
    if known:
        target = known[-1 - (a * 10 + b) % len(known)]
        _error(history, risk.mark_risk_assessment_entered_in_error, "risk_assessments", "risk_id", target, b)


def _clear(history: History, a: int, b: int) -> None:
    for target in history.record.open_prompts()[:1]:
        history.do(risk.clear_risk_prompt, item="assessments", item_id=target, assessment_id=target, reason=_text(b))


def _goal(history: History, a: int, b: int) -> None:
    scale = ("gas", "gbo", "none")[b % 3]
    history.do(
        goals.set_goal,
        goal_id=_id(6, a),
        text=_text(a),
        scale=scale,
        anchors={"0": _text(b)} if scale == "gas" else {},
        baseline=-1 if scale == "gas" and b % 2 else None,
        importance=1 + a % 3,
    )


def _rate(history: History, a: int, b: int) -> None:
    history.do(goals.rate_goal, goal_id=_id(6, a), value=b % 3, occurred_at=history.at - timedelta(hours=b % 4))


def _change_goal(history: History, a: int, b: int) -> None:
    change = GOAL_CHANGES[b % len(GOAL_CHANGES)]
    extra = {"text": _text(b)} if change == "reword" else {}
    history.do(
        goals.change_goal,
        item="goals",
        item_id=_id(6, a),
        goal_id=_id(6, a),
        change=change,
        reason=_text(a),
        **extra,
    )


def _note(history: History, a: int, b: int) -> None:
    held = [key for key, state in history.record.sessions.items() if state.status == "held"]
    history.do(
        notes.sign_note,
        note_id=_id(7, a),
        kind="progress",
        format="free",
        sections={"text": _text(b)},
        session_id=held[b % len(held)] if held and b % 2 else None,
    )


def _addend(history: History, a: int, b: int) -> None:
    history.do(
        notes.add_addendum,
        item="notes",
        item_id=_id(7, a),
        note_id=_id(7, a),
        addendum_id=_id(8, len(history.events)),
        text=_text(b),
    )


def _amend(history: History, a: int, b: int) -> None:
    history.do(
        notes.amend_note,
        item="notes",
        item_id=_id(7, a),
        note_id=_id(7, a),
        format="DAP",
        sections={"data": _text(b)},
        reason=_text(a),
    )


def _note_error(history: History, a: int, b: int) -> None:
    _error(history, notes.mark_note_entered_in_error, "notes", "note_id", _id(7, a), b)


def _disclose(history: History, a: int, b: int) -> None:
    history.do(
        disclosures.record_disclosure,
        disclosure_id=_id(8, a),
        recipient_kind="court",
        recipient=_text(a),
        description=_text(b),
        purpose=_text(a),
        basis=("court-order", "unauthorised")[b % 2],
        reason=_text(b),
        authorised_by=THERAPIST.id,
    )


def _disclosure_error(history: History, a: int, b: int) -> None:
    _error(history, disclosures.mark_disclosure_entered_in_error, "disclosures", "disclosure_id", _id(8, a), b)


def _attach(history: History, a: int, b: int) -> None:
    picture = {"media_type": "image/png", "alternative_text": _text(b)} if b % 2 else {"media_type": "text/plain"}
    history.do(
        attachments.add_attachment,
        attachment_id=_id(10, a),
        kind=("letter", "artwork", "form")[b % 3],
        made_by=("client", "clinician", "third-party")[a % 3],
        title=_text(a),
        medium=_text(b) if b % 5 == 0 else None,
        size=b + 1,
        sha256=f"{b:064x}",
        **picture,
    )


def _move_attachment(history: History, a: int, b: int) -> None:
    marking, target = attachments.mark_attachment_entered_in_error, _id(10, a)
    if b % 3:
        history.do(attachments.return_attachment, item="attachments", item_id=target, attachment_id=target)
    else:
        _error(history, marking, "attachments", "attachment_id", target, b)


STEPS: tuple[Callable[[History, int, int], None], ...] = (
    _identity,
    _consent,
    _consent,
    _withdraw,
    _consent_error,
    _episode,
    _phase,
    _close,
    _book,
    _book,
    _reschedule,
    _attend,
    _cancel,
    _hold,
    _hold,
    _session_error,
    _review,
    _protocol,
    _assess,
    _assess,
    _assessment_error,
    _risk,
    _risk_error,
    _clear,
    _goal,
    _rate,
    _rate,
    _change_goal,
    _change_goal,
    _goal_error,
    _note,
    _note,
    _addend,
    _amend,
    _note_error,
    _disclose,
    _disclosure_error,
    _death,
    _place_hold,
    _lift_hold,
    _attach,
    _move_attachment,
)


def play(steps: list[tuple[int, int, int]]) -> History:
    """Return the history that the steps make: (which step, and two small numbers that choose within it)."""
    history = History()
    for which, a, b in steps:
        STEPS[which](history, a, b)
    return history


_steps = st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 11), st.integers(0, 59))
histories = st.lists(_steps, max_size=80).map(play)
"""Histories of any kind."""


def long_history(seed: int, length: int) -> History:
    """Return a long history, the same for the same seed."""
    state, steps = seed, []
    for _ in range(length):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        steps.append(((state >> 33) % len(STEPS), (state >> 20) % 60, (state >> 8) % 60))
    return play(steps)
