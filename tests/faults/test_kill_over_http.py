"""kill -9 of the service with requests in flight: the callers keep every byte they got, and the log answers for it.

A reading counts as released as soon as its headers arrived, complete or not. Each caller reads a client of its own, and
nobody else does, so the readings in the log can be counted against those that it got.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from records.access import AccessRecorded
from records.actors import Actor
from records.notes import NoteSigned
from tests.check import check_store
from tests.doors import Doors
from tests.faults.busy_clinic import text_of
from tests.faults.kill_rounds import LONGEST_SECONDS, SHORTEST_SECONDS
from tests.ops.running import Served

CALLERS = 12
PATIENCE_SECONDS = 60
IN_FLIGHT = 8
"""How many callers must be waiting when the service is killed; the others may be between two requests."""
ANSWERS_FIRST = 4 * CALLERS
"""How many answers come before the moment of the kill is drawn, so that every life proves something."""


class Caller(threading.Thread):
    """Signs notes and reads the current view in turn until the service is gone, and keeps what it was told."""

    def __init__(self, port: int, token: str, client: UUID) -> None:
        super().__init__()
        self._port = port
        self._token = token
        self.client = client
        self.sent: dict[UUID, str] = {}
        self.acknowledged: list[UUID] = []
        self.released = 0
        self.bodies: list[bytes] = []
        self.unexpected: list[tuple[int, bytes]] = []
        self.waiting = False
        self.ended = ""

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            while True:
                self._sign(connection)
                self._read(connection)
        except (OSError, http.client.HTTPException) as error:
            self.ended = repr(error)
            connection.close()

    def _sign(self, connection: http.client.HTTPConnection) -> None:
        note, key = uuid4(), uuid4().hex
        self.sent[note] = key
        if self.post(connection, note, key) is not None:
            self.acknowledged.append(note)

    def post(self, connection: http.client.HTTPConnection, note: UUID, key: str) -> dict[str, Any] | None:
        """Sign a note; return the answer where it was acknowledged."""
        body = {"id": str(note), "kind": "progress", "format": "free", "sections": {"text": text_of(note)}}
        headers = {**self._headers(), "Content-Type": "application/json", "Idempotency-Key": key}
        self.waiting = True
        connection.request("POST", f"/v1/clients/{self.client}/notes", json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        self.waiting = False
        if answer.status not in (200, 201):
            self.unexpected.append((answer.status, content))
            return None
        document: dict[str, Any] = json.loads(content)
        return document

    def _read(self, connection: http.client.HTTPConnection) -> None:
        headers = {**self._headers(), "Purpose-Of-Use": "TREAT"}
        self.waiting = True
        connection.request("GET", f"/v1/clients/{self.client}", headers=headers)
        answer = connection.getresponse()
        if answer.status == 200:
            self.released += 1
        self.bodies.append(answer.read())
        self.waiting = False
        if answer.status != 200:
            self.unexpected.append((answer.status, self.bodies[-1]))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def kill_once(doors: Doors, tokens: list[str], clients: list[UUID], seed: int) -> list[Caller]:
    """Serve the clinic, kill the service (SIGKILL) while callers wait for answers, and return the callers."""
    service = Served(doors.data)
    try:
        service.wait()
        port = int(service.url.rpartition(":")[2])
        callers = [Caller(port, token, client) for token, client in zip(tokens, clients, strict=True)]
        for caller in callers:
            caller.start()
        until = time.monotonic() + PATIENCE_SECONDS
        while sum(len(caller.acknowledged) + caller.released for caller in callers) < ANSWERS_FIRST:
            told = [(caller.ended, caller.unexpected[:1]) for caller in callers]
            state = f"exit {service.process.poll()}: {told} {service.log.read_text()}"
            assert time.monotonic() < until, f"too few answers, {state}"
            assert any(caller.is_alive() for caller in callers), f"nobody was answered, {state}"
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
        service.process.kill()
        for caller in callers:
            caller.join()
    finally:
        service.stop()
    return callers


def hold(doors: Doors, caller: Caller, released: int) -> None:
    """Hold the log to what one caller was told; `released` counts what was read of its client in all lives."""
    reader = doors.service.reader
    notes = {
        recorded.event.note_id: recorded.event.sections["text"]
        for recorded in reader.events(caller.client)
        if isinstance(recorded.event, NoteSigned)
    }
    assert caller.unexpected == []
    assert [note for note in caller.acknowledged if note not in notes] == [], "an acknowledged note is lost"
    assert all(notes[note] == text_of(note) for note in caller.sent if note in notes)
    entries = [recorded.event for recorded in reader.access_events(caller.client)]
    readings = [
        e for e in entries if isinstance(e, AccessRecorded) and (e.action, e.outcome) == ("client.view", "permit")
    ]
    assert released <= len(readings), "released without its entry"


def send_again(doors: Doors, callers: list[Caller]) -> None:
    """Send what was in flight again, with its key, to a service that was started anew; each note stands once."""
    service = Served(doors.data)
    try:
        service.wait()
        port = int(service.url.rpartition(":")[2])
        for caller in callers:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for note in [*(note for note in caller.sent if note not in caller.acknowledged), *caller.acknowledged[-1:]]:
                first, again = (caller.post(connection, note, caller.sent[note]) for _ in range(2))
                assert first is not None
                assert first == again
            connection.close()
    finally:
        service.stop()


def run(folder: Path, kills: int, seed: int) -> None:
    """Kill a served clinic so many times, and check it after each."""
    doors = Doors(folder)
    people: list[Actor] = [doors.therapist, *(doors.hire(doors.therapist.role, f"Nan {n}") for n in range(CALLERS - 1))]
    tokens = [doors.token_for(person)[0] for person in people]
    clients = [doors.client(team=person) for person in people]
    doors.close()
    told = in_flight = 0
    released = dict.fromkeys(clients, 0)
    for kill in range(kills):
        callers = kill_once(doors, tokens, clients, seed + kill)
        doors.open()
        check_store(doors.store)
        for caller in callers:
            released[caller.client] += caller.released
            hold(doors, caller, released[caller.client])
            told += len(caller.acknowledged) + caller.released
        doors.close()
        in_flight = max(in_flight, sum(caller.waiting for caller in callers))
        send_again(doors, callers)
    doors.open()
    for client in clients:
        notes = [
            each.event.note_id for each in doors.service.reader.events(client) if isinstance(each.event, NoteSigned)
        ]
        assert len(notes) == len(set(notes)), "a retry signed a note twice"
    check_store(doors.store)
    doors.close()
    assert told >= ANSWERS_FIRST * kills, "too little was answered to prove anything"
    assert in_flight >= IN_FLIGHT, "too few requests were in flight when it was killed"


def test_a_kill_of_the_service_loses_nothing_that_it_told_its_callers(tmp_path: Path) -> None:
    run(tmp_path, kills=2, seed=300)


@pytest.mark.slow
def test_fifty_kills_of_the_service_lose_nothing_that_it_told_its_callers(tmp_path: Path) -> None:
    run(tmp_path, kills=50, seed=3000)
