"""Line by line: what each line of the clinic-year format asks of the record.

- Each line becomes one decision, by the account that stands for its actor, at its time. What a client filled in is
  entered by the therapist and reported by the client.
- A line that the file dates before the record could hold it waits: a booking for its registration, the attendance of
  a session that could not be booked for that session being held. It is then recorded at the later time.
- A session that was held against a rule is refused as it stands, and listed; that it was held is recorded all the
  same, with its breach, since what happened is never turned away.
- Ids are random to whoever has not the clinic's key, and the same for the same name within one clinic.

It counts nothing (`ops.loading.load`), and the words and tables are in `ops.loading.mapping`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from ops.demo.invented_names import invented_name, invented_staff_name
from ops.loading import line_data, mapping
from ops.loading.year_format import INDIVIDUAL, Line, Outline
from records.access_log import reason_of
from records.actors import Actor, Role
from records.assessments import AssessmentRecorded, record_assessment
from records.bookings import book_session, record_attendance
from records.care_team import put_member
from records.clinic import change_policy
from records.consent import Form, record_consent, withdraw_consent
from records.decision import Decision
from records.drafts import Draft
from records.episodes import close_episode, open_episode
from records.errors import ConsentMissing, InvalidContent, NotPermitted, Refused, RuleBroken, UnknownItem
from records.event import Event, StreamKind
from records.goals import change_goal, rate_goal, set_goal
from records.measures import MEASURES, score_answers
from records.migration import Migration
from records.notes import FORMATS, add_addendum, mark_note_entered_in_error, sign_note
from records.registration import Identity, register_client
from records.request import Request
from records.risk import assess_risk, clear_risk_prompt
from records.sessions import record_session_held
from records.staff import create_account
from records.streams import Streams


class Verdict(NamedTuple):
    """What became of a line.

    Attributes:
        line: its number.
        rule: the rule that refused it, or None.
        what: what the rule named: a consent kind, a kind of item, a field; empty where nothing.
        kept: `breach` where what happened is recorded all the same.
        skipped: the kind under which it was skipped, or None.
    """

    line: int
    rule: str | None = None
    what: str = ""
    kept: str | None = None
    skipped: str | None = None


class Skip(Exception):
    """The record does not hold lines of this kind, or holds them already."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Wait(Exception):
    """The line is taken when the line that it waits for was."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream


class HeldWithBreach(Exception):
    """The session is recorded with its breach; the line as it stands was refused."""

    def __init__(self, refusal: RuleBroken) -> None:
        super().__init__(refusal.rule)
        self.refusal = refusal


class LineLoader:
    """Takes the lines of one file into one migration."""

    def __init__(self, migration: Migration, streams: Streams, outline: Outline, operator: Actor) -> None:
        self._migration = migration
        self._streams = streams
        self._outline = outline
        self._operator = operator
        self._id_key = streams.service_key("loaded-ids")
        self._ids: dict[str, UUID] = {}
        self._zone = ZoneInfo(migration.directory.clinic.policy.timezone)
        self._actors: dict[str, Actor] = {}
        self._registered = 0
        self._number = 0
        self._at = datetime.min.replace(tzinfo=UTC)
        self._waiting: dict[str, list[tuple[int, Line]]] = {}
        self._unbooked: dict[str, dict[str, Any]] = {}
        self._prompts: dict[str, tuple[UUID, int | None]] = {}
        self.drafts: dict[str, tuple[Actor, UUID, Draft]] = {}

    # --- the clinic itself

    def prepare(self, first: datetime) -> None:
        """Make accounts, policy and the keys of all clients, at the time of the file's first line."""
        self._at = first
        self._migration.make_keys([self.id_of(name) for name in self._outline.clients_registered])
        clinic = self._streams.of(StreamKind.CLINIC, self._streams.deployment_id)
        self._do(
            clinic, change_policy, self._operator, policy=mapping.policy_for(self._migration.directory.clinic.policy)
        )
        for name in sorted(self._outline.actors):
            role = mapping.ROLES.get(name.partition("-")[0])
            if role is not None:
                staff_id = self.id_of(name)
                full_name = invented_staff_name(len(self._actors)).full
                self._do(staff_id, create_account, self._operator, name=full_name, role=role)
                self._actors[name] = Actor(str(staff_id), role)

    def local(self, time: datetime) -> datetime:
        """Return a time of the file as the clinic's."""
        return time.replace(tzinfo=self._zone).astimezone(UTC)

    def id_of(self, name: str) -> UUID:
        """Return the id of what the file calls by this name."""
        known = self._ids.get(name)
        if known is None:
            known = self._ids[name] = UUID(bytes=hmac.digest(self._id_key, name.encode(), "sha256")[:16], version=4)
        return known

    # --- lines

    def take(self, number: int, line: Line, *, last: bool = False) -> list[Verdict]:
        """Take one line, and after it those that waited for it.

        Args:
            number: the line's number.
            line: the line.
            last: nothing is to come that it could wait for.

        Returns:
            One verdict for each line that is settled now, this one first; none for one that waits.
        """
        # Time never goes back, so a record as known at any moment is a whole prefix of what was recorded.
        self._at = max(self._at, self.local(line.at))
        self._number = number
        try:
            self._handler(line)(self, line, line.data)
            verdict = Verdict(number)
        except Skip as skip:
            verdict = Verdict(number, skipped=skip.kind)
        except HeldWithBreach as held:
            verdict = Verdict(number, held.refusal.rule, _named(held.refusal), "breach")
        except Refused as refusal:
            verdict = Verdict(number, reason_of(refusal), _named(refusal))
        except Wait as wait:
            if not last:
                self._waiting.setdefault(wait.stream, []).append((number, line))
                return []
            verdict = Verdict(number, "unknown-item")
        waited = self._waiting.pop(line.stream, ()) if line.type in _AWAITED else ()
        return [verdict, *(each for place, held in waited for each in self.take(place, held))]

    def take_waiting(self) -> list[Verdict]:
        """Take the lines that wait for nothing any more, at the end of the file."""
        waiting, self._waiting = self._waiting, {}
        return [
            verdict
            for lines in waiting.values()
            for number, line in lines
            for verdict in self.take(number, line, last=True)
        ]

    def _handler(self, line: Line) -> Callable[[LineLoader, Line, Any], None]:
        kind = mapping.SKIPPED.get(line.type)
        if kind is not None:
            raise Skip(kind)
        handler = _HANDLERS.get(line.type)
        if handler is None:
            raise Skip(mapping.UNKNOWN)
        episode = self._outline.episode(line.stream)
        if episode is not None and episode.format != INDIVIDUAL:
            raise Skip(episode.format)
        if self._outline.note_kind.get(line.stream) == "process":
            raise Skip(mapping.PROCESS_NOTE)
        return handler

    def _do(self, target: UUID, decision: Decision, actor: Actor, **arguments: Any) -> Any:
        request = Request(actor, f"load:{self._number}")
        return self._migration.transact(target, decision, request, self._at, **arguments)

    def _by(self, line: Line, decision: Decision, **arguments: Any) -> Any:
        return self._do(self._client(line), decision, self._actor(line), **arguments)

    def _client(self, line: Line) -> UUID:
        clients = self._outline.clients(line.stream)
        if not clients:
            raise UnknownItem("episode")
        return self.id_of(clients[0])

    def _actor(self, line: Line) -> Actor:
        """Return the account of the line's actor; what a client reported, their therapist entered."""
        name = line.actor
        if name.startswith("client-"):
            name = next(iter(self._outline.therapists.get(name, ())), name)
        actor = self._actors.get(name)
        if actor is None:
            raise NotPermitted("actor")
        return actor

    def _session(self, line: Line, name: str) -> UUID | None:
        """Return the session that a measure belongs to; None where the record has none of that name."""
        session_id = self.id_of(name)
        return session_id if session_id in self._migration.record(self._client(line)).sessions else None

    # --- what each type of line asks

    def _register(self, line: Line, data: line_data.Registered) -> None:
        name = invented_name(self._registered)
        self._registered += 1
        language = mapping.LANGUAGES.get(data.lang, data.lang)
        identity = Identity(family=name.family, given=name.given, birth_date=data.dob, language=language)
        self._by(line, register_client, identity=identity)
        parts = dict.fromkeys(self._outline.therapists.get(line.stream, ()), "team")
        parts |= {actor: "supervises" for actor, each in self._actors.items() if each.role is Role.SUPERVISOR}
        for actor, part in parts.items():
            self._do(self._client(line), put_member, self._operator, staff_id=self._actors[actor].id, part=part)

    def _open_episode(self, line: Line, data: line_data.EpisodeOpened) -> None:
        modality = data.modality
        protocol = mapping.PROTOCOLS.get(modality, mapping.OWN_PROTOCOL)
        self._by(
            line,
            open_episode,
            episode_id=self.id_of(line.stream),
            format=data.format,
            modality=modality,
            protocol=protocol,
            referral=data.referral,
        )

    def _close_episode(self, line: Line, data: line_data.EpisodeClosed) -> None:
        self._by(line, close_episode, episode_id=self.id_of(line.stream), reason=data.reason)

    def _book(self, line: Line, data: line_data.Booked) -> None:
        if not self._migration.record(self._client(line)).exists:
            raise Wait(data.episode)
        plan = {"episode_id": self.id_of(data.episode), "mode": data.mode}
        start = self.local(data.start)
        try:
            self._by(
                line,
                book_session,
                session_id=self.id_of(line.stream),
                start=start,
                minutes=data.minutes,
                **plan,
            )
        except RuleBroken:
            self._unbooked[line.stream] = {**plan, "started_at": start}
            raise

    def _attend(self, line: Line, data: line_data.Attended) -> None:
        if line.stream in self._unbooked and data.code in mapping.SEEN:
            raise Wait(line.stream)
        self._by(line, record_attendance, session_id=self.id_of(line.stream), code=data.code)

    def _hold(self, line: Line, data: line_data.Held) -> None:
        held = {
            "session_id": self.id_of(line.stream),
            "number": data.number,
            "phase": data.phase,
            "methods": data.methods,
            **self._unbooked.pop(line.stream, {}),
        }
        try:
            self._by(line, record_session_held, **held)
        except RuleBroken as refusal:
            self._by(line, record_session_held, breach_reason=mapping.BREACH, **held)
            raise HeldWithBreach(refusal) from refusal

    def _consent(self, line: Line, data: line_data.ConsentAsked) -> None:
        form_id, _, version = data.form.partition("@")
        kind = data.kind
        self._by(
            line,
            record_consent,
            consent_id=self.id_of(data.consent),
            kind=mapping.CONSENT_KINDS.get(kind, kind),
            outcome=line.type.partition(".")[2],
            form=Form(form_id=form_id, form_version=version),
            method=mapping.CONSENT_METHOD,
        )

    def _withdraw(self, line: Line, data: line_data.ConsentWithdrawn) -> None:
        consent_id = self.id_of(data.consent)
        self._by(line, withdraw_consent, consent_id=consent_id, channel=mapping.WITHDRAWAL_CHANNEL)

    def _measure(self, line: Line, data: line_data.Measured) -> None:
        name, answers, total = data.measure, data.items, data.total
        measure = MEASURES.get(name)
        if answers is not None and measure is not None and score_answers(measure, answers).score != total:
            raise RuleBroken("total-differs", "The total is not the one of the answers.")
        events = self._by(
            line,
            record_assessment,
            assessment_id=self.id_of(f"line-{self._number}"),
            measure=name,
            answers=answers,
            score=None if answers is not None else total,
            session_id=self._session(line, data.session),
        )
        if measure is not None and measure.risk is not None:
            self._remember_prompt(line, events[0])

    def _remember_prompt(self, line: Line, event: Event) -> None:
        assert isinstance(event, AssessmentRecorded)
        value = event.risk_prompt.value if event.risk_prompt is not None else None
        self._prompts[line.stream] = (event.assessment_id, value)

    def _flag_raised(self, line: Line, data: line_data.FlagRaised) -> None:
        _, value = self._prompts.get(line.stream, (None, None))
        if value is None:
            raise RuleBroken("no-risk-prompt", "The answers open no risk prompt.")
        if value != data.item9:
            raise RuleBroken("risk-flag-differs", "The flag tells another answer than the measure; the answer stands.")
        raise Skip(mapping.DERIVED)

    def _flag_cleared(self, line: Line, data: line_data.Nothing) -> None:
        if line.stream not in self._prompts:
            raise UnknownItem("assessment")
        assessment_id, _ = self._prompts[line.stream]
        self._by(line, clear_risk_prompt, assessment_id=assessment_id, reason=mapping.PROMPT_CLEARED)

    def _assess_risk(self, line: Line, data: line_data.RiskAssessed) -> None:
        risk_id = self.id_of(f"line-{self._number}")
        self._by(line, assess_risk, risk_id=risk_id, level=data.level, formulation=data.text)

    def _set_goal(self, line: Line, data: line_data.GoalSet) -> None:
        goal_id = self.id_of(data.goal)
        self._by(line, set_goal, goal_id=goal_id, text=data.text, scale=mapping.GOAL_SCALE)

    def _rate_goal(self, line: Line, data: line_data.GoalRated) -> None:
        goal_id = self.id_of(data.goal)
        self._by(line, rate_goal, goal_id=goal_id, value=data.score, rater="client")

    def _close_goal(self, line: Line, data: line_data.GoalClosed) -> None:
        change = mapping.GOAL_CHANGES.get(data.status, data.status)
        reason = mapping.GOAL_GIVEN_UP if change == "abandon" else None
        self._by(line, change_goal, goal_id=self.id_of(data.goal), change=change, reason=reason)

    def _draft(self, line: Line, data: line_data.NoteDrafted) -> None:
        form = data.format
        draft = Draft(
            kind=data.kind,
            format=form,
            sections={FORMATS.get(form, ("text",))[0]: data.text},
            session_id=self.id_of(data.session),
        )
        self.drafts[line.stream] = (self._actor(line), self._client(line), draft)

    def _sign(self, line: Line, data: line_data.Nothing) -> None:
        if line.stream not in self.drafts:
            raise UnknownItem("draft")
        _, _, draft = self.drafts.pop(line.stream)
        self._by(
            line,
            sign_note,
            note_id=self.id_of(line.stream),
            kind=draft.kind,
            format=draft.format,
            sections=draft.sections,
            session_id=draft.session_id,
        )

    def _addend(self, line: Line, data: line_data.NoteAdded) -> None:
        addendum_id = self.id_of(f"line-{self._number}")
        self._by(line, add_addendum, note_id=self.id_of(line.stream), addendum_id=addendum_id, text=data.text)

    def _note_error(self, line: Line, data: line_data.NoteError) -> None:
        note_id = self.id_of(line.stream)
        self._by(line, mark_note_entered_in_error, note_id=note_id, reason=data.reason)

    def _read(self, line: Line, data: line_data.Viewed) -> None:
        action = mapping.READINGS.get(data.part)
        if action is None:
            raise Skip(mapping.UNKNOWN)
        actor = self._actor(line)
        purpose = data.purpose
        if actor.role is Role.SUPERVISOR:
            purpose = mapping.SUPERVISION_PURPOSE
        self._migration.read(action, Request(actor, f"load:{self._number}"), purpose, self._client(line), self._at)


_AWAITED = ("episode.opened", "session.held")

_HANDLERS: dict[str, Callable[[LineLoader, Line, Any], None]] = {
    "client.registered": LineLoader._register,
    "episode.opened": LineLoader._open_episode,
    "episode.closed": LineLoader._close_episode,
    "session.booked": LineLoader._book,
    "session.attendance": LineLoader._attend,
    "session.held": LineLoader._hold,
    "consent.given": LineLoader._consent,
    "consent.refused": LineLoader._consent,
    "consent.withdrawn": LineLoader._withdraw,
    "measure.recorded": LineLoader._measure,
    "risk.flag_raised": LineLoader._flag_raised,
    "risk.flag_cleared": LineLoader._flag_cleared,
    "risk.assessed": LineLoader._assess_risk,
    "goal.set": LineLoader._set_goal,
    "goal.rated": LineLoader._rate_goal,
    "goal.closed": LineLoader._close_goal,
    "note.drafted": LineLoader._draft,
    "note.signed": LineLoader._sign,
    "note.addendum": LineLoader._addend,
    "note.entered_in_error": LineLoader._note_error,
    "record.viewed": LineLoader._read,
}
"""Line type → what it asks."""


def _named(refusal: Refused) -> str:
    """Return what a refusal names: codes and fields, never a value."""
    if isinstance(refusal, ConsentMissing):
        return refusal.kind
    if isinstance(refusal, InvalidContent):
        return refusal.pointer
    if isinstance(refusal, UnknownItem):
        return refusal.kind
    return refusal.reason if isinstance(refusal, NotPermitted) else ""
