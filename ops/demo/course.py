"""One client's course of treatment in the demo clinic, from the first telephone call to the last session.

- Sessions are weekly, on working days, in the hours of the therapist, with the holidays of a small clinic.
- Each session is what a real one is for the record: reminder, reading up, measures, attendance, what was held, the next
  booking, a note. Some are cancelled, missed or moved; some courses end early.
- What is out of the ordinary is a scene (`ops.demo.scenes`), named when the course is made.

It writes a script and stores nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from ops.demo.answers import answers_for, severity_at
from ops.demo.consents import Consents
from ops.demo.invented_names import InventedName
from ops.demo.notes import PLANNED, note_sections
from ops.demo.prose import PRACTICE, Story, Voice
from ops.demo.script import Script
from records.actors import Actor
from records.assessments import record_assessment
from records.bookings import book_session, cancel_session, record_attendance, reschedule_session
from records.care_team import put_member
from records.drafts import Draft
from records.episodes import close_episode, open_episode
from records.goals import change_goal, rate_goal, set_goal
from records.measures import MEASURES
from records.notes import sign_note
from records.registration import Identity, register_client
from records.sessions import record_session_held

ZONE = ZoneInfo("Europe/London")
WEEK = timedelta(weeks=1)
FORMATS = ("free", "DAP", "SOAP", "BIRP")
"""Each therapist has a habit; the n-th writes in the n-th format."""

STREETS = ("Cooper Rise", "Ferry Lane", "Sorrel Row")

STILL_OPEN = timedelta(hours=3)
"""Sessions that would end later than this before the end of the script are still to come."""

PATIENCE = 2
"""How many sessions in a row a client may miss before the course is closed."""

PATHS = {"complete": 0.62, "drop-out": 0.2, "assessed-only": 0.12, "never-seen": 0.06}


class Staff(NamedTuple):
    """Who works in the demo clinic."""

    therapists: tuple[Actor, ...]
    desk: Actor
    supervisor: Actor
    privacy_officer: Actor
    records_clerk: Actor
    administrator: Actor


class Slot(NamedTuple):
    """A weekly hour: working day (0 to 4) and local hour."""

    day: int
    hour: int

    def first_after(self, at: datetime) -> datetime:
        """Return the first such hour at least two days after a moment, in UTC."""
        local = at.astimezone(ZONE) + timedelta(days=2)
        day = local.date() + timedelta(days=(self.day - local.weekday()) % 7)
        return self.on(_open_on(day))

    def on(self, day: date) -> datetime:
        """Return this hour on a day, in UTC."""
        return datetime(day.year, day.month, day.day, self.hour, tzinfo=ZONE).astimezone(UTC)

    def next(self, at: datetime) -> datetime:
        """Return the hour of the next week in which the clinic is open."""
        return self.on(_open_on(at.astimezone(ZONE).date() + WEEK))


def _open_on(day: date) -> date:
    """Return the day, or the same day of the first week after the winter holiday."""
    while (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 2):
        day += WEEK
    return day


class Session(NamedTuple):
    """One session that is held.

    Attributes:
        final: it ends the course.
        latest: it ends the course, or the next one is still to come.
    """

    id: UUID
    start: datetime
    number: int
    final: bool
    latest: bool


class Course:
    """Writes one client's course into the script."""

    def __init__(
        self,
        script: Script,
        staff: Staff,
        therapist: int,
        name: InventedName,
        pronoun: str,
        begin: datetime,
        slot: Slot,
        scene: str | None,
        rng: random.Random,
        story: Story,
    ) -> None:
        self.script = script
        self.staff = staff
        self.therapist = staff.therapists[therapist]
        self.name = name
        self.begin = begin
        self.end = script.end
        self.slot = slot
        self.scene = scene
        self.rng = rng
        self.voice = Voice(story, name.given, pronoun, rng)
        self.id = self.new_id()
        self.episode = self.new_id()
        self.path = "complete" if scene else rng.choices(tuple(PATHS), tuple(PATHS.values()))[0]
        self.closed_at: datetime | None = None
        self.notes: list[tuple[UUID, datetime]] = []
        self.consents = Consents(
            self.do, self.new_id, rng, emdr=self.voice.story.modality == "EMDR", remote=scene != "breach"
        )
        self.draft: tuple[Session, UUID, Draft] | None = None
        self.habit = FORMATS[therapist % len(FORMATS)]
        self._course = (
            "worse"
            if scene == "deterioration"
            else rng.choices(("responder", "partial", "none", "worse"), (54, 26, 14, 6))[0]
        )
        self._start = 0.5 if scene == "deterioration" else rng.uniform(0.42, 0.68)
        self._goals: list[tuple[UUID, str, int]] = []
        self._texts: dict[UUID, dict[str, str]] = {}

    def new_id(self) -> UUID:
        """Return the next id of the script, random to look at."""
        return UUID(int=self.rng.getrandbits(128), version=4)

    def do(self, at: datetime, decision: Any, actor: Actor | None = None, **arguments: Any) -> None:
        """The therapist, or somebody else, decides something on this client."""
        self.script.do(at, actor or self.therapist, self.id, decision, **arguments)

    # --- from the first call on

    def write(self) -> Iterator[Session]:
        """Write the course, and hand out each session after it began, so that the caller says how it went."""
        self._register()
        number = stayed_away = 0
        booked_at, when = self.begin + timedelta(minutes=20), self.slot.first_after(self.begin)
        planned = {"drop-out": self.rng.randint(2, 6), "assessed-only": 1, "never-seen": 0}.get(self.path, PLANNED)
        while self.closed_at is None:
            session = self._book(booked_at, when)
            if when > self.end - STILL_OPEN:
                return
            following = self.slot.next(when)
            if number == planned:
                self.do(when + timedelta(minutes=25), record_attendance, session_id=session, code="3")
                stayed_away += 1
                if stayed_away == PATIENCE:
                    self._close(when)
            elif not self._goes_wrong(session, when, number):
                number += 1
                final = number == planned and self.path in ("complete", "assessed-only")
                held = Session(session, when, number, final, final or following > self.end - STILL_OPEN)
                self._begin(held)
                yield held
                if final:
                    self._close(when)
            booked_at, when = when + timedelta(minutes=62), following

    def _register(self) -> None:
        desk, begin = self.staff.desk, self.begin
        self.script.read(begin - timedelta(minutes=4), desk, "client.list")
        identity = Identity(
            family=self.name.family,
            given=self.name.given,
            birth_date=f"{self.rng.randint(1948, 2004)}-{self.rng.randint(1, 12):02}-{self.rng.randint(1, 28):02}",
            pronouns={"she": "she/her", "he": "he/him"}[self.voice.pronoun],
            language="en",
            phone=f"020 7946 0{self.rng.randint(100, 999)}",
            email=f"{self.name.given}.{self.name.family}@post.example".lower(),
            address=f"{self.rng.randint(1, 90)} {self.rng.choice(STREETS)}, Otterford",
            gp="The practice in Mill Lane, Otterford",
        )
        self.do(begin, register_client, desk, identity=identity)
        self.do(begin, put_member, desk, staff_id=self.therapist.id, part="team")
        self.do(begin, put_member, desk, staff_id=self.staff.supervisor.id, part="supervises")
        modality = self.voice.story.modality
        self.do(
            begin + timedelta(minutes=6),
            open_episode,
            desk,
            episode_id=self.episode,
            format="individual",
            modality=modality,
            protocol="dit-manual" if modality == "DIT" else "clinic",
            planned_sessions=PLANNED,
            problem=self.voice.say(self.voice.story.problem),
            referral=self.rng.choice(("self", "gp", "employer")),
        )

    def _book(self, at: datetime, when: datetime) -> UUID:
        session = self.new_id()
        remote = "telehealth" in self.consents.given and self.rng.random() < 0.3
        self.do(
            at,
            book_session,
            self.staff.desk,
            session_id=session,
            episode_id=self.episode,
            start=when,
            mode=self.rng.choice(("11", "11", "02")) if remote else "01",
            room=None if remote else f"Room {self.slot.hour % 3 + 1}",
        )
        return session

    def _goes_wrong(self, session: UUID, when: datetime, number: int) -> bool:
        """Let a session be cancelled, missed or moved; tell whether it did not take place."""
        chance, desk = self.rng.random(), self.staff.desk
        if self.scene is not None or number == 0:
            return False
        reason = self.rng.choice(PRACTICE["cancel_reasons"])
        if chance < 0.06:
            by = "clinic" if "therapist" in reason else "client"
            self.do(when - timedelta(hours=20), cancel_session, desk, session_id=session, by=by, reason=reason)
            return True
        if chance < 0.1:
            self.do(when + timedelta(minutes=25), record_attendance, session_id=session, code="3")
            return True
        if chance < 0.16:
            moved = {"start": when, "room": "Room 4", "reason": self.rng.choice(PRACTICE["moved_reasons"])}
            self.do(when - timedelta(days=1, hours=2), reschedule_session, desk, session_id=session, **moved)
        return False

    # --- a session

    def _begin(self, session: Session) -> None:
        start, number = session.start, session.number
        if self.rng.random() < 0.4:
            self.script.read(start - timedelta(hours=23), self.staff.desk, "client.view", self.id)
        self.script.read(start - timedelta(minutes=15), self.therapist, "client.view", self.id)
        if self.notes:
            self.script.read(start - timedelta(minutes=13), self.therapist, "note.view", self.id, self.notes[-1][0])
        code = "6" if self.rng.random() < 0.06 else "5"
        self.do(start + timedelta(minutes=2), record_attendance, session_id=session.id, code=code)
        if number == 1:
            self.consents.ask(start + timedelta(minutes=6), treated=self.path != "assessed-only")
        if number == 3:
            self._set_goals(start + timedelta(minutes=40))
        elif number > 3 and number % 2 == 0:
            self._rate_goals(start + timedelta(minutes=40), session)

    def held(self, session: Session, **facts: Any) -> None:
        """Record that the session took place; `facts` are more arguments of the decision."""
        end = session.start + timedelta(minutes=50)
        methods = ["EMDR"] if self.voice.story.modality == "EMDR" and 4 < session.number < 14 else ["mentalising"]
        if session.number % 4 == 0:
            methods.append(self.rng.choice(("clarifying", "transference", "writing")))
        facts = {"started_at": session.start, "ended_at": end, "methods": methods, **facts}
        self.do(end + timedelta(minutes=2), record_session_held, session_id=session.id, **facts)

    def measure(self, session: Session, *, severity: float | None = None, risk: int = 0) -> UUID:
        """Let the client fill in the measures of this session; return the id of the PHQ-9."""
        at = session.start - timedelta(minutes=8)
        usual = severity_at(self._start, self._course, session.number / PLANNED, self.rng)
        level = usual if severity is None else severity
        names = ["PHQ-9", "GAD-7"]
        if session.number in (1, 8) or session.final:
            names += ["CORE-10", *(name for name in self.voice.story.measures if name != "CORE-10")]
        ids = []
        for place, name in enumerate(names):
            ids.append(self.new_id())
            self.do(
                at + timedelta(minutes=place),
                record_assessment,
                assessment_id=ids[-1],
                measure=name,
                answers=answers_for(MEASURES[name], level, self.rng, risk if name == "PHQ-9" else 0),
                session_id=session.id,
            )
        return ids[0]

    def _set_goals(self, at: datetime) -> None:
        own = self.voice.own
        for goal in self.voice.story.goals:
            goal_id = self.new_id()
            self._goals.append((goal_id, goal.scale, goal.baseline))
            self.do(
                at,
                set_goal,
                goal_id=goal_id,
                text=own(goal.text),
                scale=goal.scale,
                anchors={level: own(text) for level, text in goal.anchors.items()},
                baseline=goal.baseline,
                importance=3,
                difficulty=2,
            )

    def _rate_goals(self, at: datetime, session: Session) -> None:
        progress = (session.number - 3) / 13 * (0.3 if self._course == "worse" else 1)
        for goal_id, scale, baseline in self._goals:
            most, gain = (10, 7) if scale == "gbo" else (2, 3)
            value = min(most, baseline + round(gain * progress))
            self.do(at, rate_goal, goal_id=goal_id, value=value, rater="client", session_id=session.id)

    @property
    def goals(self) -> list[UUID]:
        """The goals that are worked on, in the order in which they were set."""
        return [goal_id for goal_id, _, _ in self._goals]

    def give_up(self, goal_id: UUID) -> None:
        """Work on a goal no more."""
        self._goals = [goal for goal in self._goals if goal[0] != goal_id]

    # --- notes

    def note(self, session: Session, text: str | None = None, delay: timedelta | None = None) -> UUID:
        """Sign the session's note, in the therapist's habit; return its id."""
        if delay is None:
            quick = timedelta(minutes=self.rng.randint(62, 110))
            delay = self.rng.choices((quick, timedelta(hours=8), timedelta(hours=21)), (78, 16, 6))[0]
        note_id = self.new_id()
        at = min(session.start + delay, self.end)
        content: dict[str, Any] = {
            "kind": "progress",
            "format": self.habit,
            "sections": self.sections(session, text),
        }
        self.do(at, sign_note, note_id=note_id, session_id=session.id, **content)
        self.notes.append((note_id, at))
        self._texts[note_id] = content["sections"]
        return note_id

    def sections(self, session: Session, text: str | None = None) -> dict[str, str]:
        """Return what the note of a session says."""
        treated = self.path != "assessed-only"
        return note_sections(
            self.voice, self.habit, session.number, self.rng, text, treated=treated, final=session.final
        )

    def sections_of(self, note_id: UUID) -> dict[str, str]:
        """Return the text of a note as it was signed."""
        return self._texts[note_id]

    def keep_draft(self, session: Session, text: str) -> None:
        """Leave the session's note unsigned."""
        name = next(iter(self.sections(session)))
        draft = Draft(kind="progress", format=self.habit, sections={name: text}, session_id=session.id)
        self.draft = (session, self.new_id(), draft)

    # --- the end

    def _close(self, at: datetime) -> None:
        if self.path == "complete":
            for place, (goal_id, _, _) in enumerate(self._goals):
                change = "partly-achieve" if place or self._course in ("partial", "worse", "none") else "achieve"
                self.do(at + timedelta(minutes=45), change_goal, goal_id=goal_id, change=change)
        reasons = {"complete": "46", "drop-out": "47", "assessed-only": "11", "never-seen": "50"}
        note = PRACTICE["drop_out"] if self.path == "drop-out" else None
        self.close(at + timedelta(days=1), reasons[self.path], self.voice.say(note) if note else None)

    def close(self, at: datetime, reason: str, note: str | None = None) -> None:
        """Close the episode."""
        self.closed_at = at
        self.do(at, close_episode, episode_id=self.episode, reason=reason, note=note)
