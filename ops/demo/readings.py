"""Who reads what in the demo clinic, beside what belongs to each session: the usual, and what an audit is for.

- Therapists open their caseload on Mondays; the supervisor reads along after the fourth, eighth and twelfth session;
  the privacy officer reads the audit each month; the records clerk prepares who-looked for clients who ask.
- One colleague is curious: refused at night on a record that is not hers, and, in the team of one client since a
  holiday cover, reading that record long after, again and again in the small hours.

It writes a script and stores nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ops.demo.course import WEEK, Course, Slot, Staff
from ops.demo.script import Script
from records.actors import Role
from records.care_team import put_member

SUPERVISED_SESSIONS = (4, 8, 12)
CURIOUS_NIGHTS = (3, 5, 6, 11, 19, 24)
"""Days after the cover on which the colleague reads."""


def write_readings(
    script: Script, staff: Staff, courses: Sequence[Course], begin: datetime, rng: random.Random
) -> None:
    """Write the readings of a whole history that ends where the script does."""
    for monday in _weekly(Slot(0, 8), begin, script.end):
        for course in courses:
            if course.begin <= monday and (course.closed_at is None or monday < course.closed_at):
                script.read(monday, course.therapist, "caseload.view", course.id)
    for course in courses:
        _supervise(script, staff, course, rng)
    for place, when in enumerate(_weekly(Slot(4, 11), begin, script.end)):
        if place % 4 == 0:
            script.read(when, staff.privacy_officer, "audit.view")
    for course in courses[::9]:
        if course.closed_at is not None:
            asked = course.closed_at + timedelta(days=12, hours=2)
            script.read(asked, staff.records_clerk, "client.access_report", course.id)
    _be_curious(script, staff, courses)


def _weekly(slot: Slot, begin: datetime, end: datetime) -> Iterator[datetime]:
    when = slot.first_after(begin)
    while when < end:
        yield when
        when = slot.next(when)


def _supervise(script: Script, staff: Staff, course: Course, rng: random.Random) -> None:
    for place, (note_id, signed_at) in enumerate(course.notes, 1):
        if place in SUPERVISED_SESSIONS:
            at = Slot(3, 16).first_after(signed_at) + timedelta(minutes=rng.randint(0, 40))
            script.read(at, staff.supervisor, "client.view", course.id)
            script.read(at + timedelta(minutes=1), staff.supervisor, "client.timeline", course.id)
            script.read(at + timedelta(minutes=3), staff.supervisor, "note.view", course.id, note_id)


def _be_curious(script: Script, staff: Staff, courses: Sequence[Course]) -> None:
    curious = staff.therapists[1] if len(staff.therapists) > 1 else staff.desk
    own = [course for course in courses if course.therapist == staff.therapists[0]]
    wanted = next((course for course in own if course.scene == "deterioration"), own[0])
    covered = own[0]
    night = Slot(5, 22).on((script.end - 7 * WEEK).date()) + timedelta(minutes=41)
    reason = "relation" if curious.role is Role.THERAPIST else "role"
    for minutes, action in ((0, "client.timeline"), (1, "note.view"), (4, "client.timeline")):
        if night > wanted.begin:
            script.read(night + timedelta(minutes=minutes), curious, action, wanted.id, refused=reason)
    cover = Slot(0, 9).on((script.end - 6 * WEEK).date())
    if curious.role is not Role.THERAPIST or cover <= covered.begin:
        return
    script.do(cover, staff.desk, covered.id, put_member, staff_id=curious.id, part="team")
    for days in CURIOUS_NIGHTS:
        at = cover + timedelta(days=days, hours=16, minutes=7 * days)
        script.read(at, curious, "client.view", covered.id)
        script.read(at + timedelta(minutes=2), curious, "client.timeline", covered.id)
        for note_id, _ in covered.notes[-3:]:
            script.read(at + timedelta(minutes=5), curious, "note.view", covered.id, note_id)
    for course in (wanted, covered):
        at = cover + timedelta(days=28, hours=2)
        script.read(at, staff.privacy_officer, "client.access_report", course.id)
