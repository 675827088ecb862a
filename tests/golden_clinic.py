"""Makes the golden data directory of a format: a small signed clinic, as the code of that format wrote it.

    python -m tests.golden_clinic FOLDER

It writes `clinic.tar.gz` (the directories `clinic` and `clinic.keys`, the key file without a passphrase) and
`views.json`. Run it once, with the last code of a format (see the how-to about upgrades); what it wrote is never
changed afterwards.

- Everything happens on one day, by a clock that starts at MADE_AT, so that the golden clinic is never of the future.
- The clinic is closed before it is packed, so what was written is signed. SQLite's journal is a part of it.
"""

from __future__ import annotations

import itertools
import json
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from ops import wiring
from projections.client_view import CLIENT_VIEW
from projections.timeline import TIMELINE
from records.actors import Role
from records.assessments import record_assessment
from records.clinic_policy import ClinicPolicy
from records.consent import Form, record_consent
from records.episodes import open_episode
from records.goals import set_goal
from records.notes import add_addendum, sign_note
from records.risk import assess_risk
from tests.clinic import StaffedClinic, make_clinic

MADE_AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
READ_AT = MADE_AT + timedelta(hours=8)
"""The time at which the golden views are read."""
NAMED = [UUID(int=0xC0 << 120 | 4 << 76 | 8 << 60 | number) for number in range(1, 9)]
CLIENTS = NAMED[:2]


def read_views(clinic: StaffedClinic) -> dict[str, Any]:
    """Return who the therapist is and what they are shown of their clients, as plain JSON; each reading is recorded."""
    shown = {
        "therapist": clinic.staff[Role.THERAPIST].id,
        "clients": {
            str(client): {"client": clinic.see(CLIENT_VIEW, client), "timeline": clinic.see(TIMELINE, client)}
            for client in CLIENTS
        },
    }
    plain: dict[str, Any] = json.loads(msgspec.json.encode(shown))
    return plain


def _work(clinic: StaffedClinic) -> None:
    consent, episode, goal, reading, risk, addendum = NAMED[2:8]
    form = Form(form_id="treatment", form_version="3")
    clinic.register(client_id=CLIENTS[0], family="Oldfield", given="Ann")
    clinic.register(client_id=CLIENTS[1], family="Oldham", given="Ben")
    clinic.do(CLIENTS[0], record_consent, consent_id=consent, kind="treatment", outcome="given", form=form)
    clinic.do(
        CLIENTS[0], open_episode, episode_id=episode, format="individual", modality="CBT", protocol="cbt-low-intensity"
    )
    clinic.do(CLIENTS[0], set_goal, goal_id=goal, text="Sleep through.", scale="gas")
    answers = [1, 2, 0, 1, 0, 2, 1, 0, 1]
    clinic.do(CLIENTS[0], record_assessment, assessment_id=reading, measure="PHQ-9", answers=answers)
    clinic.do(CLIENTS[0], assess_risk, risk_id=risk, level="low", formulation="Passing thoughts, no plan.")
    signed = {"note_id": NAMED[0], "kind": "progress", "format": "free", "sections": {"text": "Came on time."}}
    read = clinic.do(CLIENTS[0], sign_note, **signed).version
    added = {"note_id": NAMED[0], "addendum_id": addendum, "text": "Slept badly."}
    clinic.do(CLIENTS[0], add_addendum, if_match=read, **added)
    clinic.note(CLIENTS[1], "First meeting.")


def make(folder: Path) -> None:
    """Make the golden files in a folder."""
    ticks = itertools.count()
    start_us = int(MADE_AT.timestamp()) * 1_000_000

    def clock_us() -> int:
        return start_us + next(ticks) * 1_000

    # The composition root's own clocks, since `found` takes none.
    wiring.now_us = clock_us
    wiring.now = lambda: MADE_AT + timedelta(microseconds=clock_us() - start_us)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "clinic"
        clinic = make_clinic(data, policy=ClinicPolicy(), clock=wiring.now)
        _work(clinic)
        clinic.clock = lambda: READ_AT
        views = read_views(clinic)
        clinic.close()
        (folder / "views.json").write_text(json.dumps(views, indent=1, sort_keys=True) + "\n")
        with tarfile.open(folder / "clinic.tar.gz", "w:gz") as archive:
            archive.add(data, "clinic")
            archive.add(data.with_name("clinic.keys"), "clinic.keys")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
