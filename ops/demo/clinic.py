"""The demo clinic: invented people, written by a seeded generator and played through the same decisions as everything.

- Eighteen months up to now: courses of treatment with readable notes, measures, consents and goals, in storylines.
- What an audit is for is in it: a consent withdrawn, a session held without one, a deterioration, a prompt that waits
  for its answer, a note that was put right, a colleague who is curious.
- The same seed tells the same stories; times end where "now" is, and the sign-in tokens are new each time.
- Nobody in it lives: names are made up, telephone numbers are of the range kept for drama, addresses lead nowhere.

`ops.demo.course` tells a course, `ops.demo.scenes` what is out of the ordinary, `ops.demo.readings` who looked.
"""

from __future__ import annotations

import random
import secrets
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ops.demo.attached import attach_files
from ops.demo.course import WEEK, Course, Slot, Staff
from ops.demo.invented_names import invented_name, invented_staff_name
from ops.demo.prose import STORIES
from ops.demo.readings import write_readings
from ops.demo.scenes import SCENE, write_course
from ops.demo.script import Script
from ops.demo.tamper import mark_demo
from ops.wiring import Clinic, Founded, found, now, open_clinic, operator
from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.migration import Migration
from records.request import Request
from records.staff import create_account, issue_token

CLINIC_NAME = "Lantern Street Clinic (demo)"
CLIENTS_PER_YEAR = 10
FEWEST_CLIENTS = 12
TOKEN_LIFE = timedelta(days=30)
STILL_TREATED = 9 * WEEK
"""How long ago the youngest course began: it is in treatment now."""

_ALONE = (Role.FRONT_DESK, Role.SUPERVISOR, Role.PRIVACY_OFFICER, Role.RECORDS_CLERK, Role.ADMINISTRATOR)


class DemoClinic(NamedTuple):
    """What was made.

    Attributes:
        tokens: role → sign-in token of the first person in that role, told only here.
        staff: id, name and role of everybody.
        clients: id and name of each, in order of registration.
        events: how many events the log holds.
        founded: the log's fingerprint and its recovery secret, told only here.
    """

    tokens: dict[str, str]
    staff: list[dict[str, str]]
    clients: list[dict[str, str]]
    events: int
    founded: Founded


def make_demo(
    data: Path,
    *,
    years: float = 1.5,
    therapists: int = 3,
    seed: int = 7,
    database_url: str | None = None,
    end: datetime | None = None,
) -> DemoClinic:
    """Make a demo clinic in a new or empty directory.

    Args:
        data: the directory.
        years: how long its history is.
        therapists: how many therapists it has; each has a dozen clients or more.
        seed: which stories are told.
        database_url: PostgreSQL to keep the log in; None for SQLite.
        end: when its history ends; None for now.

    Raises:
        FileExistsError: the directory holds something already.
        NotStored, OutcomeUnknown: the log could not be written.
    """
    founded = found(data, CLINIC_NAME, ClinicPolicy(), database_url=database_url)
    clinic = open_clinic(data, database_url=database_url)
    try:
        rng = random.Random(seed)  # noqa: S311 - stories, no secrets
        end = end or now()
        begin = end - timedelta(days=365.25 * years)
        migration = Migration(clinic.service, clinic.store, clinic.keyring, now)
        names = _hire(migration, therapists, begin, rng)
        staff = _staff(names)
        script = Script(end)
        courses = _write(script, staff, begin, years, rng)
        migration.make_keys([course.id for course in courses])
        script.play(migration)
        migration.commit()
        _keep_papers(clinic, courses)
        clinic.close()
        mark_demo(data)
        clinic = open_clinic(data, database_url=database_url)
        tokens = _issue_tokens(clinic, names)
        people = [{"id": str(course.id), "name": course.name.full} for course in courses]
        roles = [{"id": actor.id, "name": name, "role": actor.role.value} for actor, name in names.items()]
        return DemoClinic(tokens, roles, people, _count(clinic), founded)
    finally:
        clinic.close()


def _hire(migration: Migration, therapists: int, at: datetime, rng: random.Random) -> dict[Actor, str]:
    """Open the accounts; return everybody with their name, therapists first."""
    names: dict[Actor, str] = {}
    for number, role in enumerate((*[Role.THERAPIST] * therapists, *_ALONE)):
        staff_id = uuid.UUID(int=rng.getrandbits(128), version=4)
        name = invented_staff_name(number).full
        request = Request(operator(), f"demo:account-{number}")
        migration.transact(staff_id, create_account, request, at, name=name, role=role)
        names[Actor(str(staff_id), role)] = name
    return names


def _staff(names: dict[Actor, str]) -> Staff:
    by_role: dict[Role, list[Actor]] = {}
    for actor in names:
        by_role.setdefault(actor.role, []).append(actor)
    return Staff(tuple(by_role[Role.THERAPIST]), *(by_role[role][0] for role in _ALONE))


def _write(script: Script, staff: Staff, begin: datetime, years: float, rng: random.Random) -> list[Course]:
    """Write every course and who looked; return the courses in order of registration."""
    each = max(FEWEST_CLIENTS, round(CLIENTS_PER_YEAR * years))
    courses = []
    for therapist in range(len(staff.therapists)):
        slots = [Slot(day, hour) for day in range(5) for hour in (9, 10, 11, 13, 14, 15, 16, 17)]
        rng.shuffle(slots)
        for place in range(each):
            number = therapist * each + place
            # Every other name is a woman's, and one storyline is only a woman's.
            pronoun = "she" if number % 2 == 0 else "he"
            story = next(
                told
                for told in (*STORIES[(therapist * 3 + place) % len(STORIES) :], *STORIES)
                if told.pronoun in (None, pronoun)
            )
            courses.append(
                Course(
                    script,
                    staff,
                    therapist,
                    invented_name(number),
                    pronoun,
                    _start(begin, script.end, place, each, rng),
                    slots[place % len(slots)],
                    _scene(place, each) if therapist == 0 else None,
                    rng,
                    story,
                )
            )
    for course in courses:
        write_course(course)
    write_readings(script, staff, courses, begin, rng)
    return sorted(courses, key=lambda course: course.begin)


def _scene(place: int, each: int) -> str | None:
    """Return the scene of the first therapist's n-th client; the last ones are of people who are in treatment now."""
    *past, first_of_now, last_of_now = SCENE
    return {**dict(enumerate(past)), each - 2: first_of_now, each - 1: last_of_now}.get(place)


def _start(begin: datetime, end: datetime, place: int, each: int, rng: random.Random) -> datetime:
    """Return when the n-th client of a therapist called: spread evenly, in the hours of the front desk."""
    span = max(end - STILL_TREATED - begin, WEEK)
    day = begin + span * place / max(each - 1, 1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return Slot(day.weekday(), rng.randint(9, 15)).on(day.date()) + timedelta(minutes=rng.randint(1, 50))


def _keep_papers(clinic: Clinic, courses: list[Course]) -> None:
    for course in courses:
        if course.draft is not None:
            _, note_id, draft = course.draft
            clinic.drafts.save(course.id, note_id, draft, Request(course.therapist, "demo:draft"))
            attach_files(clinic, course)


def _issue_tokens(clinic: Clinic, names: dict[Actor, str]) -> dict[str, str]:
    tokens: dict[str, str] = {}
    for actor in names:
        if actor.role.value in tokens:
            continue
        token = tokens[actor.role.value] = f"wk_{secrets.token_urlsafe(32)}"
        clinic.service.transact(
            uuid.UUID(actor.id),
            issue_token,
            Request(operator(), f"demo:token-{actor.role.value}"),
            token_id=uuid.uuid4(),
            digest=clinic.service.token_digest(token),
            expires_at=now() + TOKEN_LIFE,
        )
    return tokens


def _count(clinic: Clinic) -> int:
    return clinic.store.tally().chained
