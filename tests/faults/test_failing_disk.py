"""A disk that is full, read-only or broken, under a served clinic: 503, nothing half stored, and it recovers by itself.

The disk is `tests.faults.power_fs`. While it fails, no change is acknowledged and no reading is shown; once it works
again, the same service does what is sent again with the same Idempotency-Key, once.
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

from records.actors import Role
from records.notes import NoteSigned
from tests.check import check_store
from tests.doors import Doors
from tests.faults.power_fs import PowerFs
from tests.ops.running import Served, run

LARGE = 50_000
"""Characters of a note that needs more room than a disk that is nearly full has left."""
PATIENCE_SECONDS = 20


class ServedDisk:
    """A clinic that is served from a failing disk, and somebody who calls it."""

    def __init__(self, folder: Path) -> None:
        self.doors = Doors(folder / "first")
        self.client = self.doors.client()
        self.token = self.doors.token_for(self.doors.therapist)[0]
        self.clerk = self.doors.token_for(self.doors.hire(Role.FRONT_DESK, "Dee Frost"))[0]
        self.doors.close()
        self.folder = folder
        mount = folder / "mount"
        mount.mkdir()
        self.power = PowerFs(mount)
        # The service's own log stands beside what is a link here, on a disk that does not fail.
        for name in ("clinic", "clinic.keys"):
            (folder / name).symlink_to(mount / name)

    def call(self, method: str, path: str, body: Any = None, *, key: str = "", token: str = "") -> tuple[int, Any]:
        """Send a request; return status and document."""
        connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {"Purpose-Of-Use": "TREAT"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            if answer.status == 503 and path != "/readyz":
                assert answer.headers["Retry-After"]
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def note(self, note: UUID, key: str) -> tuple[int, Any]:
        """Sign a large note."""
        body = {"id": str(note), "kind": "progress", "format": "free", "sections": {"text": "x" * LARGE}}
        return self.call("POST", f"/v1/clients/{self.client}/notes", body, key=key)

    def register(self, client: UUID, key: str) -> tuple[int, Any]:
        """Register a client, who needs a new data key."""
        body = {"id": str(client), "family": "Fen", "given": "Otto"}
        return self.call("POST", "/v1/clients", body, key=key, token=self.clerk)

    def read(self) -> tuple[int, Any]:
        """Read the client's record."""
        return self.call("GET", f"/v1/clients/{self.client}")

    def wait_until_ready(self) -> None:
        """Wait until the service says by itself that it is well."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.call("GET", "/readyz")[0] != 200:
            assert time.monotonic() < until, self.call("GET", "/readyz")
            time.sleep(0.1)

    def stop(self) -> Doors:
        """End the service and open what is durable on the disk."""
        assert self.service.stop() == 0
        self.power.keep(self.folder / "left")
        self.doors.data = self.folder / "left" / "clinic"
        self.doors.open()
        check_store(self.doors.store)
        return self.doors


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[ServedDisk]:
    made = ServedDisk(tmp_path)
    with made.power as power:
        power.load(tmp_path / "first")
        made.service = Served(tmp_path / "clinic")
        try:
            made.service.wait()
            yield made
        finally:
            power.room, power.fails = None, {}
            made.service.stop()


def notes_of(doors: Doors, client: UUID) -> list[UUID]:
    events = [recorded.event for recorded in doors.service.reader.events(client)]
    return [event.note_id for event in events if isinstance(event, NoteSigned)]


EVERY_CHANGE = ("write", "sync", "size", "name")
FAULTS = [
    pytest.param(dict.fromkeys(EVERY_CHANGE, errno.ENOSPC), id="full"),
    pytest.param(dict.fromkeys(EVERY_CHANGE, errno.EROFS), id="read-only", marks=pytest.mark.slow),
    pytest.param(dict.fromkeys(EVERY_CHANGE, errno.EIO), id="broken", marks=pytest.mark.slow),
    pytest.param({"sync": errno.EIO}, id="syncs fail"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_acknowledged_or_shown_and_it_goes_on_by_itself(disk: ServedDisk, fault: dict[str, int]) -> None:
    before = uuid4()
    assert disk.note(before, "before")[0] == 201
    note, client = uuid4(), uuid4()
    disk.power.fails = fault
    for _ in range(2):
        for status, told in (disk.note(note, "note"), disk.register(client, "client"), disk.read()):
            assert status == 503, told
            assert told["type"] in ("/problems/not-stored", "/problems/outcome-unknown"), told
    assert disk.call("GET", "/readyz")[0] == 503
    # Long enough for the signer to try.
    time.sleep(1)

    disk.power.fails = {}
    disk.wait_until_ready()
    for _ in range(2):
        assert disk.note(note, "note")[0] == 201
        assert disk.register(client, "client")[0] == 201
    status, shown = disk.read()
    assert status == 200
    assert [each["id"] for each in shown["notes"]].count(str(note)) == 1

    doors = disk.stop()
    assert notes_of(doors, disk.client) == [before, note]
    assert len(doors.service.reader.events(client)) == 1
    doors.close()
    assert run("verify", "--data", str(doors.data)).exit_code == 0


def test_a_disk_that_fills_up_at_any_byte_stores_a_request_whole_or_not_at_all(disk: ServedDisk) -> None:
    sent: dict[UUID, int] = {}
    clients: dict[UUID, int] = {}
    for more in (0, 1, 100, 4_096, 9_000, 20_000, 40_000, 60_000, 90_000, 150_000):
        disk.power.room = disk.power.used() + more
        note, client = uuid4(), uuid4()
        sent[note] = disk.note(note, str(note))[0]
        clients[client] = disk.register(client, str(client))[0]
        shown = disk.read()[0]
        assert {sent[note], clients[client], shown} <= {200, 201, 503}
        disk.power.room = None
        assert disk.note(note, str(note))[0] == 201, "it goes on once there is room"
    assert {201, 503} == set(sent.values()), "the fault came too early or too late to prove anything"
    disk.wait_until_ready()
    doors = disk.stop()
    assert sorted(notes_of(doors, disk.client)) == sorted(sent), "each note stands once"
    for client, status in clients.items():
        assert len(doors.service.reader.events(client)) == (status == 201)
    doors.close()
    assert run("verify", "--data", str(doors.data)).exit_code == 0


def test_a_service_does_not_start_on_a_read_only_disk_and_says_so(disk: ServedDisk) -> None:
    assert disk.service.stop() == 0
    disk.power.fails = dict.fromkeys(EVERY_CHANGE, errno.EROFS)
    disk.service = Served(disk.folder / "clinic")
    assert disk.service.process.wait(30) == 1
    said = disk.service.log.read_text().splitlines()
    assert said[-1].startswith("wellkept: ")
    assert not any("Traceback" in line for line in said)
    disk.power.fails = {}
    disk.service.stop()
    disk.service = Served(disk.folder / "clinic")
    disk.service.wait()
    assert disk.read()[0] == 200
