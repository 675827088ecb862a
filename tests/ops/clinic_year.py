"""Loading in tests: a clinic with a loaded file, and files of a few lines written for one test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from ops.loading.load import LoadReport, load_file
from ops.wiring import Clinic, found, open_clinic
from records.clinic_policy import ClinicPolicy
from records.ledger import KeyClass, decode_entry

ROOT = Path(__file__).parent.parent.parent
YEAR = ROOT / "reference" / "clinic-year.jsonl.gz"


class Loaded(NamedTuple):
    """A loaded clinic, what was reported, and every (done, all) that was told meanwhile."""

    clinic: Clinic
    report: LoadReport
    told: list[tuple[int, int]]


def load(folder: Path, file: Path, url: str | None = None) -> Loaded:
    found(folder / "clinic", "Hill Clinic", ClinicPolicy(), database_url=url)
    clinic = open_clinic(folder / "clinic", database_url=url)
    told: list[tuple[int, int]] = []
    try:
        return Loaded(clinic, load_file(clinic, file, lambda *progress: told.append(progress)), told)
    except BaseException:
        clinic.close()
        raise


def clients(clinic: Clinic) -> list[UUID]:
    """Return the clients of a clinic, in order of registration."""
    entries = (decode_entry(raw) for _, raw in clinic.store.key_entries())
    return [entry.stream for entry in entries if entry.key_class is KeyClass.RECORD]


class Script:
    """Lines of a small file, in the order in which they are written."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def line(self, t: str, stream: str, type_: str, actor: str, **data: Any) -> Script:
        self.lines.append({"t": f"2021-{t}:00", "stream": stream, "type": type_, "actor": actor, "data": data})
        return self

    def opened(self, *, modality: str = "DIT", episode_format: str = "individual") -> Script:
        self.line("03-01T09:00", "client-1", "client.registered", "admin-0", dob="1981", lang="other")
        facts = {"format": episode_format, "modality": modality, "participants": ["client-1"], "referral": "gp"}
        return self.line("03-01T09:00", "episode-1", "episode.opened", "admin-0", **facts)

    def booked(self, t: str, session: str, start: str) -> Script:
        plan = {"episode": "episode-1", "start": f"2021-{start}:00", "minutes": 50, "mode": "11"}
        return self.line(t, session, "session.booked", "admin-0", **plan)

    def held(self, t: str, session: str, number: int) -> Script:
        self.line(t, session, "session.attendance", "therapist-0", code="5")
        return self.line(t, session, "session.held", "therapist-0", number=number, phase=None, methods=["DIT"])

    def consented(self, t: str = "03-02T10:00") -> Script:
        facts = {"consent": "consent-1", "kind": "treatment", "form": "treatment@3"}
        return self.line(t, "client-1", "consent.given", "therapist-0", **facts)

    def drafted(self, t: str, note: str, session: str, kind: str = "progress", **more: Any) -> Script:
        facts = {"session": session, "kind": kind, "text": "We met.", **more}
        return self.line(t, note, "note.drafted", "therapist-0", **facts)

    def write(self, folder: Path) -> Path:
        file = folder / "small.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return file
