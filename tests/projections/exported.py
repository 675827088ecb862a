"""Records as an export gets them, made by hand over a log that is written from the layouts alone.

- `ExportedLog` takes events, seals nothing, and gives an `ExportedRecord` whose entries lie in a real tree; so its
  shared proof, checkpoint and genesis body are there as well.
- `STORY` is the record of a client in ordinary words; `every_topic()` has each of the record's topics with every field.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from projections.export.material import ExportedEvent, ExportedReading, ExportedRecord, Shown, Withheld
from records.access import AccessRecorded
from records.assessments import AssessmentRecorded, RiskPrompt
from records.catalogue import CATALOGUE
from records.consent import ConsentGiven, Form
from records.disclosures import DisclosureMade
from records.episodes import EpisodeOpened
from records.event import Event, Recorded, StreamKind
from records.goals import GoalRated, GoalSet
from records.notes import NoteAddendumSigned, NoteAmended, NoteSigned
from records.payload import to_segments
from records.registration import ClientDeathRecorded, ClientRegistered, Identity
from records.risk import RiskAssessed
from tests.ops.written_log import NOTHING, WrittenLog, lp, lp32, sha, tree
from tests.test_golden import sample_event

CLIENT = UUID("00000000-0000-4000-8000-0000000000c1")
JO = "00000000-0000-4000-8000-0000000000aa"
AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def leaf_of(path: str, salt: bytes, content: bytes) -> bytes:
    return sha(b"wkseg\1" + salt + lp(path.encode()) + lp32(content))


class ExportedLog(WrittenLog):
    """A log that also gives one client's record as an export has it."""

    def __init__(self) -> None:
        super().__init__("export")
        self.client_key = self.key(CLIENT.bytes)
        self.events: list[ExportedEvent] = []
        self.readings: list[ExportedReading] = []

    def add(self, event: Event, withhold: str | None = None, only: Collection[str] | None = None) -> ExportedEvent:
        """Log an event of the record; `withhold` is why the segments in `only` (all) are left out."""
        segments = to_segments(event)
        index, recorded = self._log(event, [(part.path, part.content) for part in segments], CLIENT, 1)
        parts = [
            Withheld(digest=leaf_of(path, self._salt(index, path), content), reason=withhold)
            if withhold and (only is None or path in only)
            else Shown(path=path, salt=self._salt(index, path), content=content)
            for path, content in segments
        ]
        made = ExportedEvent(recorded=recorded, entry=self.entries[index], segments=tuple(parts))
        self.events.append(made)
        return made

    def add_reading(self, event: Event) -> None:
        """Log an entry of the client's access stream."""
        index, recorded = self._log(event, [("v1", b"{}")], UUID(int=CLIENT.int + 1), 2)
        self.readings.append(ExportedReading(recorded=recorded, entry=self.entries[index]))

    def _log(
        self, event: Event, segments: Sequence[tuple[str, bytes]], stream: UUID, kind: int
    ) -> tuple[int, Recorded]:
        version, previous = self.heads.get(stream.bytes, (0, NOTHING))
        index = len(self.entries)
        leaves = [sha(b"\0" + leaf_of(path, self._salt(index, path), content)) for path, content in segments]
        self.enter(kind, stream.bytes, version + 1, previous, self.client_key, 1, 640, sha(b"sealed"), tree(leaves))
        self.heads[stream.bytes] = (version + 1, sha(b"\0" + self.entries[index]))
        logged_at = AT + timedelta(minutes=index)
        return index, Recorded(event, stream, version + 1, index, logged_at, sha(b"\0" + self.entries[index]))

    @staticmethod
    def _salt(index: int, path: str) -> bytes:
        return sha(f"salt/{index}/{path}".encode())

    def record(self, **changes: Any) -> ExportedRecord:
        """Return the record as it is now."""
        facts: dict[str, Any] = {
            "clinic": "Riverside Practice",
            "deployment_id": self.deployment,
            "origin": self.origin,
            "jurisdiction": "uk",
            "time_zone": "Europe/London",
            "client_id": CLIENT,
            "at": len(self.entries),
            "as_of": AT + timedelta(minutes=len(self.entries)),
            "events": tuple(self.events),
            "readings": tuple(self.readings),
            "staff": {JO: "Jo Lind"},
            "fingerprint": self.fingerprint,
        }
        return ExportedRecord(**(facts | changes))

    def shared_proof(self, indexes: Iterable[int]) -> bytes:
        """Return `proof/log.json` for some entries, by the words of decision 48."""
        wanted, leaves = sorted(set(indexes)), self.leaves()
        hashes: list[str] = []

        def walk(start: int, end: int) -> None:
            inside = [each for each in wanted if start <= each < end]
            if not inside:
                hashes.append(base64.b64encode(tree(leaves[start:end])).decode())
            elif end - start > 1:
                half = start + (1 << (end - start - 1).bit_length() - 1)
                walk(start, half)
                walk(half, end)

        walk(0, len(leaves))
        entries = {str(each): base64.b64encode(self.entries[each]).decode() for each in wanted}
        return json.dumps(
            {"format": "wellkept-log-proof/1", "size": len(leaves), "entries": entries, "hashes": hashes}
        ).encode()

    def proof(self) -> dict[str, bytes]:
        """Return the three files of the bundle that the page asks for."""
        indexes = [0, *(each.recorded.index for each in (*self.events, *self.readings))]
        return {"log": self.shared_proof(indexes), "checkpoint": self.checkpoint(), "genesis": self.bodies[0]}


def stamp(days: int = 0, by: str = JO) -> dict[str, Any]:
    return {"occurred_at": AT + timedelta(days=days), "entered_by": by, "request_id": f"request-{days}"}


NOTE, GOAL, EPISODE, ASKED = (UUID(int=each, version=4) for each in (1, 2, 3, 4))


def story() -> list[Event]:
    """Return a record in ordinary words."""
    return [*_beginning(), *_notes(), *_later()]


def _beginning() -> list[Event]:
    identity = Identity(family="Example", given="Ann", birth_date="1981-04-02", phone="+44 20 7946 0000")
    return [
        ClientRegistered(identity=identity, **stamp()),
        ConsentGiven(
            consent_id=UUID(int=5, version=4),
            kind="treatment",
            form=Form(form_id="treatment", form_version="3", text_sha256="ab" * 32, language="en"),
            method="signature",
            given_by="client",
            **stamp(1),
        ),
        EpisodeOpened(
            episode_id=EPISODE,
            format="individual",
            modality="cbt",
            protocol="open",
            problem="Cannot sleep since the move.",
            setting="clinic",
            **stamp(1),
        ),
        AssessmentRecorded(
            assessment_id=ASKED,
            measure="PHQ-9",
            measure_version="1",
            scorer="1",
            answers=(2, 2, 3, 1, 1, 2, 1, 0, 1),
            score=13.0,
            band="moderate",
            caseness=True,
            risk_prompt=RiskPrompt(item=9, value=1),
            **stamp(2),
        ),
        GoalSet(
            goal_id=GOAL,
            text="Sleep through three nights a week.",
            scale="gbo",
            importance=3,
            difficulty=2,
            agreed_by="both",
            scope="treatment",
            **stamp(3),
        ),
        GoalRated(goal_id=GOAL, scale="gbo", value=4, rater="client", **stamp(10)),
    ]


def _notes() -> list[Event]:
    return [
        NoteSigned(
            note_id=NOTE,
            kind="progress",
            format="SOAP",
            sections={"subjective": "Slept badly.\n\nWorries about work.", "plan": "Sleep diary until next week."},
            late_entry=False,
            **stamp(11),
        ),
        NoteAddendumSigned(
            note_id=NOTE, addendum_id=UUID(int=6, version=4), text="Rang to say the diary helps.", **stamp(12)
        ),
        NoteAmended(
            note_id=NOTE,
            format="SOAP",
            sections={"subjective": "Slept badly.", "plan": "Sleep diary for two weeks."},
            reason="The plan was written down wrongly.",
            text_version=2,
            **stamp(13),
        ),
    ]


def _later() -> list[Event]:
    return [
        RiskAssessed(
            risk_id=UUID(int=7, version=4),
            level="moderate",
            formulation="Thoughts of not waking up, no plan. Sister lives near.",
            findings={"ideation": "present", "plan": "absent"},
            details={"ideation": "Comes in the evening, passes when she calls her sister."},
            actions="Calls her sister, then the clinic. Review in a week.",
            review_date=date(2026, 3, 20),
            **stamp(1),
        ),
        DisclosureMade(
            disclosure_id=UUID(int=8, version=4),
            recipient_kind="information-sharing-gp",
            recipient="Dr Gray",
            description="A letter on the course of the treatment.",
            purpose="So that the general practitioner knows.",
            basis="client-request",
            authorised_by=JO,
            **stamp(14),
        ),
    ]


def reading(by: str = JO, **facts: Any) -> AccessRecorded:
    plain = {"role": "therapist", "relation": "team", "action": "client.view", "outcome": "permit"}
    plain |= {"purpose": "TREAT", "address": "local"}
    return AccessRecorded(client_id=CLIENT, **(plain | facts), **stamp(15, by))


def story_log() -> ExportedLog:
    log = ExportedLog()
    for event in story():
        log.add(event)
    for who in (JO, JO, "00000000-0000-4000-8000-0000000000bb"):
        log.add_reading(reading(who))
    log.turn()
    return log


def every_topic() -> ExportedLog:
    """Return a log whose record has each topic of a client's record, every field set."""
    log = ExportedLog()
    for cls in CATALOGUE.values():
        if cls.stream_kind is StreamKind.CLIENT:
            event = sample_event(cls)
            # The one field whose sample the fold of the current view cannot take.
            log.add(msgspec.structs.replace(event, died_on="2026-03") if cls is ClientDeathRecorded else event)
    return log
