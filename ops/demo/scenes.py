"""Scenes of the demo clinic: what is worth showing, each in one client's record.

- `amended`: a wrong word is put right two days later. `late`: a note written two days after the session. `addendum`: a
  telephone call after the session. `error`: a note in the wrong record.
- `deterioration`: scores rise, item 9 is answered twice with risk assessments, the doctor is told.
- `cleared`: an answer to item 9 that meant something else. `open-prompt`: one that nobody has answered yet.
- `breach`: a session by video before the consent to it, on which the supervisor decides a week later.
- `withdrawal`: the consent to treatment taken back, and a booking that is refused the day after. `sharing`: one
  recipient taken out.
- `goals`: a goal reworded, rested and taken up, another given up. `draft`: the latest note is not signed yet.

Each is a function from the course and one session to more of the script; a session that no scene takes goes as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ops.demo.course import Course, Session
from ops.demo.prose import PRACTICE, SCENES
from records.bookings import book_session, cancel_session
from records.breaches import review_breach
from records.consent import withdraw_consent
from records.goals import change_goal
from records.notes import add_addendum, amend_note, mark_note_entered_in_error, sign_note
from records.registration import IdentityChanges, change_identity
from records.risk import assess_risk, clear_risk_prompt

DAY = timedelta(days=1)
IN_SESSION = timedelta(minutes=40)

FIRST_PROMPT = 0.25
"""How often a first questionnaire prompts; the therapist asks in the same session."""

Scene = Callable[[Course, Session], bool]
"""Takes a session: True where it wrote the session itself, False where the usual is to follow."""


def _amended(course: Course, session: Session) -> bool:
    if session.number != 3:
        return False
    course.measure(session)
    course.held(session)
    wrong, right = (SCENES["amended"][key] for key in ("wrong", "right"))
    note_id = course.note(session, wrong, timedelta(minutes=75))
    sections = course.sections_of(note_id)
    corrected = {
        name: text.replace(course.voice.say(wrong), course.voice.say(right)) for name, text in sections.items()
    }
    reason = course.voice.say(SCENES["amended"]["reason"])
    facts: dict[str, Any] = {"format": course.habit, "sections": corrected, "reason": reason}
    course.do(session.start + 2 * DAY, amend_note, note_id=note_id, **facts)
    changes = IdentityChanges(preferred_name=course.name.given[:3], address="8 Lantern Street, Otterford")
    course.do(session.start + 3 * DAY, change_identity, course.staff.desk, changes=changes)
    return True


def _late(course: Course, session: Session) -> bool:
    if session.number != 2:
        return False
    course.measure(session)
    course.held(session)
    theme = f"{course.voice.story.beats[1]} {SCENES['late']}"
    course.note(session, theme, timedelta(hours=44))
    return True


def _addendum(course: Course, session: Session) -> bool:
    if session.number != 5:
        return False
    course.measure(session)
    course.held(session)
    note_id = course.note(session, delay=timedelta(minutes=70))
    text = course.voice.say(SCENES["addendum"])
    course.do(session.start + timedelta(hours=3), add_addendum, note_id=note_id, addendum_id=course.new_id(), text=text)
    return True


def _error(course: Course, session: Session) -> bool:
    if session.number == 4:
        note_id, words = course.new_id(), SCENES["error"]
        content: dict[str, Any] = {"kind": "progress", "format": "free", "sections": {"text": words["text"]}}
        course.do(session.start + timedelta(hours=5), sign_note, note_id=note_id, **content)
        at = session.start + timedelta(hours=26)
        course.do(at, mark_note_entered_in_error, note_id=note_id, reason=words["reason"])
    return False


_RISING = {6: (0.6, 1), 7: (0.78, 2), 8: (0.72, 1)}
"""Session → severity and answer to item 9, while it gets worse."""


def _deterioration(course: Course, session: Session) -> bool:
    if session.number not in _RISING:
        return False
    severity, risk = _RISING[session.number]
    course.measure(session, severity=severity, risk=risk)
    course.held(session)
    scene, say = SCENES["deterioration"], course.voice.say
    first = session.number == 6
    course.do(
        session.start + IN_SESSION,
        assess_risk,
        risk_id=course.new_id(),
        level="high" if session.number == 7 else "moderate",
        formulation=say(scene["second"] if session.number == 8 else scene["formulation"]),
        findings={"ideation": "present", "intent": "absent", "plan": "absent" if first else "uncertain"},
        protective_factors=say(scene["protective"]),
        actions=say(scene["actions"]),
        who_told=say(scene["told"]),
        review_date=(session.start + 7 * DAY).date(),
        session_id=session.id,
    )
    course.note(session, scene["notes"][session.number - 6], timedelta(minutes=64))
    return True


def _cleared(course: Course, session: Session) -> bool:
    if session.number != 5:
        return False
    assessment_id = course.measure(session, risk=1)
    course.held(session)
    reason = course.voice.say(SCENES["cleared"])
    course.do(session.start + IN_SESSION, clear_risk_prompt, assessment_id=assessment_id, reason=reason)
    course.note(session)
    return True


def _open_prompt(course: Course, session: Session) -> bool:
    if not session.latest:
        return False
    course.measure(session, risk=1)
    course.held(session)
    course.note(session, SCENES["open_prompt"], timedelta(minutes=64))
    return True


def _breach(course: Course, session: Session) -> bool:
    if session.number == 6:
        course.consents.record(session.start + timedelta(minutes=6), "telehealth", "given")
    if session.number != 5:
        return False
    course.measure(session)
    scene = SCENES["breach"]
    course.held(session, mode="11", breach_reason=course.voice.say(scene["reason"]))
    decided: dict[str, Any] = {"outcome": "consent-taken", "reason": course.voice.say(scene["review"])}
    course.do(session.start + 8 * DAY, review_breach, course.staff.supervisor, session_id=session.id, **decided)
    course.note(session, scene["note"], timedelta(minutes=70))
    return True


def _withdrawal(course: Course, session: Session) -> bool:
    if session.number != 6:
        return False
    course.measure(session)
    course.held(session)
    course.note(session, delay=timedelta(minutes=70))
    scene, booked = SCENES["withdrawal"], course.new_id()
    plan: dict[str, Any] = {"episode_id": course.episode, "start": session.start + 7 * DAY}
    course.do(session.start + timedelta(hours=1), book_session, course.staff.desk, session_id=booked, **plan)
    at = session.start + 3 * DAY
    withdrawn: dict[str, Any] = {
        "consent_id": course.consents.given["treatment"],
        "channel": "email",
        "reason": scene["reason"],
    }
    course.do(at, withdraw_consent, **withdrawn)
    course.do(at + timedelta(minutes=10), cancel_session, course.staff.desk, session_id=booked, by="client")
    content: dict[str, Any] = {
        "kind": "progress",
        "format": "free",
        "sections": {"text": course.voice.say(scene["note"])},
    }
    course.do(at + timedelta(minutes=30), sign_note, note_id=course.new_id(), **content)
    again: dict[str, Any] = {"session_id": course.new_id(), "kind": "treatment", **plan}
    course.script.try_in_vain(at + DAY, course.staff.desk, course.id, book_session, "consent-missing", **again)
    course.close(at + 14 * DAY, "14")
    return True


def _sharing(course: Course, session: Session) -> bool:
    if session.number == 2:
        course.consents.record(session.start + timedelta(minutes=45), "information-sharing-gp", "given")
    if session.number == 7:
        consent_id = course.consents.given["information-sharing-gp"]
        facts: dict[str, Any] = {
            "consent_id": consent_id,
            "channel": "in-person",
            "reason": SCENES["sharing_withdrawn"],
        }
        course.do(session.start + IN_SESSION, withdraw_consent, **facts)
    return False


def _goals(course: Course, session: Session) -> bool:
    at, goals = session.start + timedelta(minutes=46), course.goals
    if session.number == 5 and goals:
        why = course.voice.say(PRACTICE["goal_reworded_why"])
        facts: dict[str, Any] = {"goal_id": goals[0], "text": PRACTICE["goal_reworded"], "reason": why}
        course.do(at, change_goal, change="reword", **facts)
    if session.number == 7 and goals:
        course.do(at, change_goal, goal_id=goals[0], change="pause", reason=PRACTICE["goal_paused"])
        course.do(session.start + 13 * DAY, change_goal, goal_id=goals[0], change="resume")
    if session.number == 9 and len(goals) > 1:
        course.do(at, change_goal, goal_id=goals[1], change="abandon", reason=PRACTICE["goal_given_up"])
        course.give_up(goals[1])
    return False


def _draft(course: Course, session: Session) -> bool:
    if not session.latest:
        return False
    course.measure(session)
    course.held(session)
    course.keep_draft(session, course.voice.say(SCENES["draft"]))
    return True


SCENE: dict[str, Scene] = {
    "amended": _amended,
    "late": _late,
    "deterioration": _deterioration,
    "breach": _breach,
    "addendum": _addendum,
    "withdrawal": _withdrawal,
    "cleared": _cleared,
    "sharing": _sharing,
    "goals": _goals,
    "error": _error,
    "draft": _draft,
    "open-prompt": _open_prompt,
}
"""Name → scene, in the order in which the first therapist's clients take them; the last two are still in treatment."""


def write_course(course: Course) -> None:
    """Write a course to its end, with its scene where it has one."""
    take = SCENE.get(course.scene or "")
    for session in course.write():
        if take is None or not take(course, session):
            _as_usual(course, session)


def _as_usual(course: Course, session: Session) -> None:
    prompted = session.number == 1 and course.scene is None and course.rng.random() < FIRST_PROMPT
    course.measure(session, risk=1 if prompted else 0)
    course.held(session)
    if prompted:
        course.do(
            session.start + IN_SESSION,
            assess_risk,
            risk_id=course.new_id(),
            level="low",
            formulation=course.voice.say(course.rng.choice(SCENES["first_risk"])),
            findings={"ideation": "present", "intent": "absent", "plan": "absent"},
            session_id=session.id,
        )
    course.note(session)
