"""A disk that is full while a client is erased: the record stays closed, and the service goes on once there is room.

The disk is `tests.faults.power_fs`, here with files of which one alone finds no room. The service lives through all of
it: nobody starts it again, and nobody asks it to go on.
"""

from __future__ import annotations

import errno
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from projections.client_view import CLIENT_VIEW
from records.actors import Purpose, Role
from records.errors import Erased
from records.ledger import Kind, decode_entry
from tests.clinic import make_clinic
from tests.faults.power_fs import PowerFs
from tests.faults.test_failing_disk import PATIENCE_SECONDS, ServedDisk
from tests.ops.running import Served, run
from tests.records.test_erasing import approved, require_gone, told

CLIENTS = 12


class PartlyFull(PowerFs):
    """A disk on which some files find no room.

    Attributes:
        full_for: the names of files whose writes fail.
        full_after_turn: the same, from the moment on at which the old key of the keyring is destroyed.
    """

    def __init__(self, mount: Path) -> None:
        super().__init__(mount)
        self.full_for: set[str] = set()
        self.full_after_turn: set[str] = set()
        self._replaced = 0

    def _written(self, number: int, asked: bytes) -> bytes:
        names = {name for node in self._nodes.values() for name, found in node.names.items() if found == number}
        if names & self.full_for:
            raise OSError(errno.ENOSPC, "no room for this file")
        return super()._written(number, asked)

    def _rename(self, folder: int, asked: bytes, header: int) -> bytes:
        answer = super()._rename(folder, asked, header)
        if asked[header:].split(b"\0")[1] == b"root.key" and self.full_after_turn:
            self._replaced += 1
            if self._replaced == 2:
                self.full_for, self.full_after_turn = self.full_after_turn, set()
        return answer


class ErasingDisk(ServedDisk):
    """A served clinic on such a disk, with clients to erase, and with whoever asks for it and approves."""

    power: PartlyFull

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.doors.open()
        self.clients = [self.doors.client() for _ in range(CLIENTS)]
        self.records_clerk = self.doors.token_for(self.doors.hire(Role.RECORDS_CLERK, "Remy Clark"))[0]
        self.officer = self.doors.token_for(self.doors.hire(Role.PRIVACY_OFFICER, "Pat Oakes"))[0]
        self.doors.close()
        self.power = PartlyFull(folder / "mount")

    def request(self, client: UUID) -> UUID:
        """Request the erasure of a client, while there is room."""
        erasure = uuid4()
        body = {"id": str(erasure), "basis": "court-order"}
        path = f"/v1/clients/{client}/erasure"
        assert self.call("POST", path, body, key=uuid4().hex, token=self.records_clerk)[0] == 201
        return erasure

    def approve(self, client: UUID, erasure: UUID) -> tuple[int, Any]:
        """Approve it; sent again it has the same key."""
        path = f"/v1/clients/{client}/erasure/{erasure}/approval"
        return self.call("POST", path, {}, key=f"approve-{erasure}", token=self.officer)

    def shown(self, client: UUID) -> int:
        """Return how a reading of the client is answered."""
        return self.call("GET", f"/v1/clients/{client}")[0]

    def state(self, client: UUID) -> str:
        """Return where the erasure stands."""
        connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {self.officer}", "Purpose-Of-Use": "HCOMPL"}
        connection.request("GET", f"/v1/clients/{client}/erasure", headers=headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, document
        (item,) = document["items"]
        found: str = item["state"]
        return found

    def delayed(self) -> list[str]:
        """Return the errors for which an erasure was delayed, as the log of the service tells them."""
        return [line["error"] for line in self.service.lines() if line["code"] == "alarm.erasure-delayed"]

    def wait_until_delayed(self, times: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while len(self.delayed()) < times:
            assert time.monotonic() < until, self.service.log.read_text()
            time.sleep(0.1)

    def wait_until_completed(self, clients: list[UUID]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        for client in clients:
            while self.state(client) != "completed":
                assert time.monotonic() < until, self.service.log.read_text()
                time.sleep(0.1)

    def hold(self, gone: list[UUID]) -> None:
        """End the service, and hold what is durable to what an erasure promises."""
        kept = [client for client in (self.client, *self.clients) if client not in gone]
        doors = self.stop()
        assert {key.scope for key in doors.keyring.held()}.isdisjoint(gone)
        entries = [decode_entry(raw) for _, raw in doors.store.key_entries()]
        for client in gone:
            found = [entry.kind for entry in entries if entry.stream == client]
            assert found == [Kind.KEY_CREATED, Kind.KEY_DESTROYED], "completed twice, or not at all"
            with pytest.raises(Erased):
                doors.service.view(CLIENT_VIEW, doors.ask(), Purpose.TREAT, client)
        for client in kept:
            assert doors.service.view(CLIENT_VIEW, doors.ask(), Purpose.TREAT, client).client_id == client
        doors.close()
        assert run("verify", "--data", str(doors.data)).exit_code == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[ErasingDisk]:
    made = ErasingDisk(tmp_path)
    with made.power as power:
        power.load(tmp_path / "first")
        made.service = Served(tmp_path / "clinic")
        try:
            made.service.wait()
            yield made
        finally:
            power.room, power.full_for, power.full_after_turn = None, set(), set()
            made.service.stop()


def test_no_room_at_any_step_delays_it_and_it_is_completed_without_a_restart(disk: ErasingDisk) -> None:
    last, keyring, key_file = disk.clients[:3]
    requests = {client: disk.request(client) for client in (last, keyring, key_file)}

    # Its last commit finds no room: keys are destroyed, and the log does not say so yet.
    disk.power.full_after_turn = {"records.db-wal"}
    assert disk.approve(last, requests[last])[0] == 201
    assert disk.power.full_for == {"records.db-wal"}, "it did not come to its last commit"
    assert disk.delayed(), "nobody is told"
    # The reading that is refused would leave an entry, for which there is no room either.
    assert disk.shown(last) in (410, 503)

    for name, client in (("keyring.db-journal", keyring), ("root.new", key_file)):
        disk.power.full_for = {name}
        assert disk.approve(client, requests[client])[0] == 201
        assert disk.shown(client) == 410
        assert disk.state(client) == "approved"
        assert disk.read()[0] == 200, "somebody else's record is not shown"
    disk.wait_until_delayed(4)
    assert set(disk.delayed()) <= {"NotStored", "OutcomeUnknown"}
    assert [disk.state(client) for client in requests] == ["approved"] * 3

    disk.power.full_for = set()
    disk.wait_until_completed(list(requests))
    disk.wait_until_ready()
    assert [disk.shown(client) for client in requests] == [410] * 3
    assert disk.read()[0] == 200
    disk.hold(list(requests))


def test_a_disk_that_fills_up_at_any_byte_approves_it_or_does_not(disk: ErasingDisk) -> None:
    requests = {client: disk.request(client) for client in disk.clients}
    statuses: list[int] = []
    for more, (client, erasure) in zip(
        (0, 1_000, 4_200, 9_000, 13_000, 17_000, 22_000, 30_000, 45_000, 60_000, 90_000, 150_000),
        requests.items(),
        strict=True,
    ):
        disk.power.room = disk.power.used() + more
        status, told = disk.approve(client, erasure)
        assert status in (201, 503), told
        statuses.append(status)
        if status == 201:
            assert disk.shown(client) in (410, 503), "shown though its erasure is approved"
        disk.power.room = None
        assert disk.approve(client, erasure)[0] == 201, "it does not go on once there is room"
        assert disk.shown(client) == 410
    assert set(statuses) == {201, 503}, "the fault came too early or too late to prove anything"
    disk.wait_until_completed(disk.clients)
    disk.wait_until_ready()
    disk.hold(disk.clients)


def test_a_start_on_a_full_disk_says_so_and_the_next_one_completes_it(disk: ErasingDisk) -> None:
    client = disk.clients[0]
    erasure = disk.request(client)
    disk.power.full_for = {"root.new"}
    assert disk.approve(client, erasure)[0] == 201
    assert disk.service.stop() == 0
    disk.service = Served(disk.folder / "clinic")
    assert disk.service.process.wait(30) == 1
    said = disk.service.log.read_text().splitlines()
    assert said[-1] == "wellkept: the key file cannot be written."
    assert not any("Traceback" in line for line in said)
    disk.service.stop()
    disk.power.full_for = set()
    disk.service = Served(disk.folder / "clinic")
    disk.service.wait()
    assert disk.state(client) == "completed"
    disk.hold([client])


def test_a_directory_of_the_keys_that_is_away_delays_it_too(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    erasure = approved(clinic, told(clinic))
    keys = clinic.opened.paths.keys
    away = keys.rename(keys.with_name("away"))
    assert not clinic.opened.erasing.attempt(erasure)
    assert clinic.alarms == [("erasure-delayed", {"erasure": str(erasure.erasure_id), "error": "NotStored"})]
    away.rename(keys)
    assert clinic.opened.erasing.attempt(erasure)
    require_gone(clinic, erasure)
    clinic.close()
