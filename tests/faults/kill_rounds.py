"""Killing a busy process again and again, and holding what it acknowledged to what the log then says.

- `Claims` are the lines that the process could say before it was killed.
- `hold` opens the clinic anew and checks every claim and every invariant.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from ops.wiring import open_clinic
from records.access import AccessRecorded
from records.actors import Actor
from records.notes import NoteSigned
from tests.check import check_store
from tests.faults.busy_clinic import sign, text_of

ROOT = Path(__file__).parent.parent.parent
SHORTEST_SECONDS, LONGEST_SECONDS = 0.0, 0.4
LINES_FIRST = 60
"""How much must be said before the moment of the kill is drawn, so that every life proves something."""


class Write(NamedTuple):
    """A note that was sent: its retry key, its client, its id."""

    key: str
    client: UUID
    note: UUID


class Claims:
    """What a process said before it was killed."""

    def __init__(self, lines: list[str]) -> None:
        self.asked: list[Write] = []
        self.wrote: list[Write] = []
        self.read: list[tuple[str, UUID]] = []
        for line in lines:
            what, *words = line.split()
            if what == "read":
                self.read.append((words[0], UUID(words[1])))
            elif what in ("asked", "wrote"):
                getattr(self, what).append(Write(words[0], UUID(words[1]), UUID(words[2])))

    @property
    def in_flight(self) -> list[Write]:
        """What was sent and not acknowledged."""
        return [write for write in self.asked if write not in set(self.wrote)]


def kill_once(data: Path, actor: Actor, clients: list[UUID], threads: int, seed: int) -> Claims:
    """Start a busy process, kill it (SIGKILL) at a random moment, and return what it had said."""
    command = [
        sys.executable,
        "-m",
        "tests.faults.busy_clinic",
        str(data),
        actor.id,
        ",".join(map(str, clients)),
        str(threads),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        lines: list[str] = []
        reader = threading.Thread(target=lines.extend, args=(process.stdout,))
        reader.start()
        while len(lines) < LINES_FIRST and process.poll() is None:
            time.sleep(0.005)
        time.sleep(random.Random(seed).uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
        process.kill()
        reader.join()
        complaints = process.stderr.read()
    assert "Traceback" not in complaints, complaints
    return Claims([line for line in lines if line.endswith("\n")])


def hold(data: Path, actor: Actor, claims: Claims) -> None:
    """Check every claim against the log, send again what was in flight, and check every invariant."""
    clinic = open_clinic(data)
    try:
        service = clinic.service
        check_store(clinic.store)
        for client in {write.client for write in claims.asked}:
            stored = {
                recorded.event.note_id: recorded.event.sections["text"]
                for recorded in service.reader.events(client)
                if isinstance(recorded.event, NoteSigned)
            }
            lost = [write.note for write in claims.wrote if write.client == client and write.note not in stored]
            assert lost == [], "an acknowledged note is lost"
            assert all(text == text_of(note) for note, text in stored.items()), "a note is not what was signed"
            entries = [recorded.event for recorded in service.reader.access_events(client)]
            recorded = {entry.request_id for entry in entries if isinstance(entry, AccessRecorded)}
            unseen = [request for request, of in claims.read if of == client and request not in recorded]
            assert unseen == [], "a record was released without its entry"
        for write in [*claims.in_flight, *claims.wrote[-3:]]:
            sign(service, actor, write.client, write.note, write.key)
            sign(service, actor, write.client, write.note, write.key)
            versions = [
                recorded.version
                for recorded in service.reader.events(write.client)
                if isinstance(recorded.event, NoteSigned) and recorded.event.note_id == write.note
            ]
            assert len(versions) == 1, "a retry wrote again, or nothing"
        check_store(clinic.store)
    finally:
        clinic.close()
