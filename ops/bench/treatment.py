"""A course of treatment to measure with: events that the decisions themselves return, in the order of real work.

- Registration, consent, an episode and a goal first; then for each session: booking, the session as held, a PHQ-9, a
  note of 1 KiB and a rating of the goal.
- Time runs from the beginning that is given, a week from session to session, so a long record reaches far back.

Names and texts are invented and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from records.actors import Actor
from records.assessments import record_assessment
from records.bookings import book_session
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.consent import Form, record_consent
from records.decision import Context, Decision
from records.episodes import open_episode
from records.event import Event, Recorded, StreamKind
from records.goals import rate_goal, set_goal
from records.notes import sign_note
from records.registration import Identity, register_client
from records.sessions import record_session_held

NOTE_TEXT = ("We looked again at what happens when plans change at short notice. " * 16)[:1024]
"""The text of a note of 1 KiB."""

LEAD_EVENTS = 4
"""How many events come before the first session."""

BETWEEN_SESSIONS = timedelta(days=7)


def note_arguments() -> dict[str, Any]:
    """Return the arguments of `sign_note` for a new note of 1 KiB."""
    return {"note_id": uuid4(), "kind": "progress", "format": "free", "sections": {"text": NOTE_TEXT}}


class Treatment:
    """One client's treatment under way: the rule state, and the next events."""

    def __init__(self, client_id: UUID, actor: Actor, begins: datetime, step: timedelta = BETWEEN_SESSIONS) -> None:
        self.record = ClientRecord(client_id=client_id)
        self._actor = actor
        self._at = begins
        self._step = step
        self._policy = ClinicPolicy()

    def events(self, count: int) -> list[Event]:
        """Return the first `count` events; the record has them applied."""
        made: list[Event] = []
        for event in self._course():
            made.append(event)
            if len(made) == count:
                break
        return made

    def _course(self) -> Iterator[Event]:
        episode, goal = uuid4(), uuid4()
        yield from self._decide(register_client, identity=Identity(family="Bench", given="Mark", birth_date="1984"))
        yield from self._decide(
            record_consent,
            consent_id=uuid4(),
            kind="treatment",
            outcome="given",
            form=Form(form_id="treatment", form_version="3"),
        )
        yield from self._decide(
            open_episode, episode_id=episode, format="individual", modality="DIT", protocol="dit-manual"
        )
        yield from self._decide(set_goal, goal_id=goal, text="Keep one evening a week", scale="gbo", baseline=2)
        number = 0
        while True:
            number += 1
            yield from self._session(number, episode, goal)

    def _session(self, number: int, episode: UUID, goal: UUID) -> Iterator[Event]:
        session = uuid4()
        yield from self._decide(
            book_session, session_id=session, episode_id=episode, kind="treatment", start=self._at + self._step
        )
        self._at += self._step
        yield from self._decide(record_session_held, session_id=session, if_match=self.record.sessions[session].version)
        answers = [(number + item) % 3 for item in range(8)]
        yield from self._decide(
            record_assessment, assessment_id=uuid4(), measure="PHQ-9", answers=[*answers, 0], session_id=session
        )
        yield from self._decide(sign_note, session_id=session, **note_arguments())
        yield from self._decide(rate_goal, goal_id=goal, value=number % 11, session_id=session)

    def _decide(self, decision: Decision, *, if_match: int | None = None, **arguments: Any) -> Iterator[Event]:
        context = Context(actor=self._actor, at=self._at, request_id="bench", policy=self._policy, if_match=if_match)
        for event in decision(self.record, context, **arguments):
            if event.stream_kind is not StreamKind.CLIENT:
                continue
            version = self.record.version + 1
            self.record.apply(Recorded(event, self.record.client_id, version, version, self._at))
            yield event
