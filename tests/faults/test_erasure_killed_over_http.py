"""kill -9 of a service that erases one client after another while others are written to: nothing said is taken back.

- Whoever's approval was acknowledged is gone in every later life: 410, and completed before anything is served.
- An approval that was sent and not acknowledged stands or does not, and is not half made.
- What was acknowledged of the other clients is there.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from records.actors import Actor, Role
from records.erasure import ErasureCompleted
from tests.check import check_store
from tests.doors import Doors
from tests.faults.test_kill_over_http import PATIENCE_SECONDS, Caller, hold
from tests.ops.running import Served, run, served

CALLERS = 4
CLIENTS_EACH_LIFE = 30
"""More than a life erases, so that it is always killed with one on the way."""
LONGEST_SECONDS = 0.15
"""About as long as an erasure takes under this load."""


class Eraser(threading.Thread):
    """Asks for the erasure of one client after the other and approves it, until the service is gone."""

    def __init__(self, port: int, clerk: str, officer: str, clients: list[UUID]) -> None:
        super().__init__()
        self._port, self._clerk, self._officer = port, clerk, officer
        self.clients = clients
        self.sent: list[UUID] = []
        self.approved: list[UUID] = []
        self.unexpected: list[tuple[int, bytes]] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            for client in self.clients:
                self._erase(connection, client)
        except (OSError, http.client.HTTPException):
            connection.close()

    def _erase(self, connection: http.client.HTTPConnection, client: UUID) -> None:
        erasure = uuid4()
        asked = {"id": str(erasure), "basis": "court-order"}
        self._post(connection, self._clerk, f"/v1/clients/{client}/erasure", asked)
        self.sent.append(client)
        if self._post(connection, self._officer, f"/v1/clients/{client}/erasure/{erasure}/approval", {}):
            self.approved.append(client)

    def _post(self, connection: http.client.HTTPConnection, token: str, path: str, body: dict[str, Any]) -> bool:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid4().hex,
        }
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            self.unexpected.append((answer.status, content))
        return answer.status in (200, 201)


class Life:
    """A clinic whose service is killed again and again."""

    def __init__(self, folder: Path, kills: int) -> None:
        self.doors = Doors(folder)
        doors = self.doors
        people: list[Actor] = [doors.hire(Role.THERAPIST, f"Nan {number}") for number in range(CALLERS)]
        self.tokens = [doors.token_for(person)[0] for person in people]
        self.clients = [doors.client(team=person) for person in people]
        self.clerk = doors.token_for(doors.hire(Role.RECORDS_CLERK, "Remy Clark"))[0]
        self.officer = doors.token_for(doors.hire(Role.PRIVACY_OFFICER, "Pat Oakes"))[0]
        self.therapist = doors.token_for(doors.therapist)[0]
        self.to_erase = [[doors.client() for _ in range(CLIENTS_EACH_LIFE)] for _ in range(kills)]
        self.released = dict.fromkeys(self.clients, 0)
        self.gone: list[UUID] = []
        self.interrupted = 0
        doors.close()

    def kill_once(self, clients: list[UUID], seed: int) -> tuple[Eraser, list[Caller]]:
        """Serve, hold what was erased before to 410, and kill the service (SIGKILL) while it erases."""
        service = Served(self.doors.data)
        try:
            service.wait()
            self.require_gone(service)
            port = int(service.url.rpartition(":")[2])
            callers = [Caller(port, token, client) for token, client in zip(self.tokens, self.clients, strict=True)]
            eraser = Eraser(port, self.clerk, self.officer, clients)
            for thread in (*callers, eraser):
                thread.start()
            until = time.monotonic() + PATIENCE_SECONDS
            while len(eraser.approved) < 2 or sum(len(caller.acknowledged) for caller in callers) < CALLERS:
                told = (eraser.unexpected, [caller.unexpected[:1] for caller in callers], service.log.read_text())
                assert time.monotonic() < until, told
                assert eraser.is_alive(), told
                time.sleep(0.005)
            time.sleep(random.Random(seed).uniform(0, LONGEST_SECONDS))
            service.process.kill()
            for thread in (*callers, eraser):
                thread.join()
        finally:
            service.stop()
        return eraser, callers

    def require_gone(self, service: Served) -> None:
        """Hold a service to what was erased in earlier lives; it may not have been asked anything before."""
        for client in self.gone[-3:]:
            status, body = service.request(f"/v1/clients/{client}", self.therapist, Purpose_Of_Use="TREAT")
            assert status == 410, body
            status, body = service.request(f"/v1/clients/{client}/erasure", self.officer, Purpose_Of_Use="HCOMPL")
            assert [item["state"] for item in json.loads(body)["items"]] == ["completed"]

    def hold(self, eraser: Eraser, callers: list[Caller]) -> None:
        """Hold the log that a killed service left to what it had told, and complete what waits."""
        assert eraser.unexpected == []
        with closing(open_clinic(self.doors.data, read_only=True)) as left:
            erased = left.service.directory.clinic.erased
            assert [client for client in eraser.approved if client not in erased] == [], "an approval is forgotten"
            assert set(erased) <= {*self.gone, *eraser.sent}, "erased unasked"
            self.interrupted += bool(left.erasing.waiting())
        self.doors.open()
        try:
            assert self.doors.clinic.erasing.waiting() == ()
            self.gone = list(self.doors.service.directory.clinic.erased)
            held = {key.scope for key in self.doors.keyring.held()}
            assert held.isdisjoint(self.gone), "a key outlived its client"
            assert held.issuperset({*eraser.clients, *self.clients} - set(self.gone)), "another client's key is gone"
            for caller in callers:
                self.released[caller.client] += caller.released
                hold(self.doors, caller, self.released[caller.client])
            told = [each.event for each in self.doors.service.reader.clinic_events(-1)]
            done = [event.client_id for event in told if isinstance(event, ErasureCompleted)]
            assert sorted(done) == sorted(self.gone), "completed twice, or not at all"
            check_store(self.doors.store)
        finally:
            self.doors.close()


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Life:
    """Kill a clinic that erases so many times, and hold it after each."""
    life = Life(folder, kills)
    for kill, clients in enumerate(life.to_erase):
        life.hold(*life.kill_once(clients, seed + kill))
    with served(life.doors.data) as service:
        life.require_gone(service)
    assert run("verify", "--data", str(life.doors.data)).exit_code == 0
    assert len(life.gone) >= 2 * kills, "too little was erased to prove anything"
    return life


def test_a_kill_while_it_erases_takes_nothing_back(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, kills=2, seed=700)


@pytest.mark.slow
def test_fifty_kills_while_it_erases_take_nothing_back(tmp_path: Path) -> None:
    life = kill_again_and_again(tmp_path, kills=50, seed=7000)
    assert life.interrupted >= 10, "too few erasures were on their way when it was killed"
