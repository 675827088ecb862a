"""Two services on one PostgreSQL: what one of them erases the other shows no more, and one completion is enough.

- `near` approves. `far` leads the signing, holds the client in memory, and has a key file that can be taken from it.
- `tests.faults.watched_service` is what `far` runs: the service as it is, which tells what it holds.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from records.actors import Role
from records.erasure import ErasureCompleted
from records.key_provider import KeyFileProvider
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import Served, run
from tests.throwaway_postgres import ThrowawayPostgres

PATIENCE_SECONDS = 30
DROPPED_SECONDS = 2.0
AT_ONCE = 4

pytestmark = pytest.mark.postgres


class Watched(Served):
    """A service whose caches are looked at."""

    def __init__(self, data: Path, client: UUID, **environment: str) -> None:
        self.command = (sys.executable, "-m", "tests.faults.watched_service", str(client))
        super().__init__(data, **environment)
        self.told: list[tuple[str, float]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, at = line.decode().split()
            self.told.append((what, float(at)))

    def wait_until(self, what: str) -> float:
        """Wait until the newest that it told is this; return when it was."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.told or self.told[-1][0] != what:
            assert time.monotonic() < until, self.told
            time.sleep(0.01)
        return self.told[-1][1]


class Pair:
    """A clinic that two processes serve."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.clinic: StaffedClinic = make_clinic(folder / "clinic", database_url=url)
        self.watched, self.other, *self.clients = (self.clinic.register() for _ in range(4 + AT_ONCE))
        self.clinic.close()
        # The far one has names of its own for the same files, so that its log is its own and its keys can be taken.
        for name, target in (("far", "clinic"), ("far.keys", "clinic.keys"), ("vault", "clinic.keys")):
            (folder / name).symlink_to(folder / target)
        self.vault = folder / "vault"
        environment = {"WELLKEPT_DATABASE_URL": url}
        key_file = str(self.vault / "root.key")
        self.far = Watched(folder / "far", self.watched, WELLKEPT_KEY_FILE=key_file, **environment)
        self.far.wait()
        self.near = Served(folder / "clinic", **environment)
        self.near.wait()

    def request(self, client: UUID) -> str:
        """Request an erasure, and return the path of its approval."""
        erasure = uuid4()
        body = {"id": str(erasure), "basis": "court-order"}
        assert self.post(self.near, Role.RECORDS_CLERK, f"/v1/clients/{client}/erasure", body) == 201
        return f"/v1/clients/{client}/erasure/{erasure}/approval"

    def approve(self, service: Served, path: str) -> int:
        return self.post(service, Role.PRIVACY_OFFICER, path, {})

    def post(self, service: Served, by: Role, path: str, body: object) -> int:
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=60)
        headers = {
            "Authorization": f"Bearer {self.clinic.tokens[by]}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid4().hex,
        }
        with closing(connection):
            connection.request("POST", path, json.dumps(body), headers)
            return connection.getresponse().status

    def shown(self, service: Served, client: UUID) -> int:
        """Return how a reading of the client is answered."""
        token = self.clinic.tokens[Role.THERAPIST]
        return service.request(f"/v1/clients/{client}", token, Purpose_Of_Use="TREAT")[0]

    def state(self, client: UUID) -> str:
        """Return where the erasure stands, as the near one tells it."""
        token = self.clinic.tokens[Role.PRIVACY_OFFICER]
        status, body = self.near.request(f"/v1/clients/{client}/erasure", token, Purpose_Of_Use="HCOMPL")
        assert status == 200, body
        (item,) = json.loads(body)["items"]
        found: str = item["state"]
        return found

    def delayed(self) -> list[str]:
        """Return the errors for which the far one could not go on."""
        return [line["error"] for line in self.far.lines() if line["code"] == "alarm.erasure-delayed"]

    def completions(self, client: UUID) -> int:
        """Return how often the log says that the client's erasure was completed."""
        with closing(open_clinic(self.clinic.path, database_url=self.url, read_only=True)) as opened:
            events = [each.event for each in opened.service.reader.clinic_events(-1)]
            return sum(isinstance(event, ErasureCompleted) and event.client_id == client for event in events)

    def close(self) -> None:
        """End both, and hold what they leave to every invariant."""
        assert [service.stop() for service in (self.near, self.far)] == [0, 0]
        with closing(open_clinic(self.clinic.path, database_url=self.url)) as opened:
            check_store(opened.store)
        verified = run("verify", "--data", str(self.clinic.path), WELLKEPT_DATABASE_URL=self.url)
        assert verified.exit_code == 0, verified.stderr


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres_server: ThrowawayPostgres) -> Iterator[Pair]:
    url = postgres_server.fresh_database()
    made = Pair(tmp_path_factory.mktemp("pair"), url)
    try:
        yield made
        made.close()
    finally:
        made.near.stop()
        made.far.stop()
        postgres_server.drop_database(url)


def test_the_other_one_drops_what_it_holds_without_being_asked(pair: Pair) -> None:
    assert pair.shown(pair.far, pair.watched) == 200
    pair.far.wait_until("held")
    path = pair.request(pair.watched)
    assert pair.approve(pair.near, path) == 201
    approved = time.monotonic()
    assert pair.far.wait_until("dropped") - approved <= DROPPED_SECONDS
    assert pair.shown(pair.far, pair.watched) == 410
    assert pair.state(pair.watched) == "completed"


def test_the_other_one_answers_410_at_its_next_request(pair: Pair) -> None:
    client = pair.clients[0]
    assert pair.shown(pair.far, client) == 200
    assert pair.approve(pair.near, pair.request(client)) == 201
    assert pair.shown(pair.far, client) == 410
    assert pair.shown(pair.far, pair.other) == 200


def test_both_at_the_same_moment_complete_it_once(pair: Pair) -> None:
    for client in pair.clients[1 : 1 + AT_ONCE]:
        path = pair.request(client)
        with ThreadPoolExecutor(2) as both:
            answers = list(both.map(partial(pair.approve, path=path), (pair.near, pair.far)))
        # Whoever comes second finds it approved, or that the record moved, and may ask again.
        assert 201 in answers, answers
        assert set(answers) <= {200, 201, 409, 503}, answers
        assert [pair.shown(service, client) for service in (pair.near, pair.far)] == [410, 410]
        assert pair.state(client) == "completed"
        assert pair.completions(client) == 1


def test_a_key_provider_that_is_away_in_one_is_an_alarm_and_it_goes_on_when_it_is_back(pair: Pair) -> None:
    client = pair.clients[-1]
    path = pair.request(client)
    away = pair.vault.with_name("away")
    pair.vault.rename(away)
    try:
        assert pair.approve(pair.far, path) == 201
        assert set(pair.delayed()) == {"KeyProviderUnreachable"}
        assert [pair.shown(service, client) for service in (pair.near, pair.far)] == [410, 410]
        until = time.monotonic() + PATIENCE_SECONDS
        while len(pair.delayed()) < 2:
            assert time.monotonic() < until, "it is not tried again"
            time.sleep(0.1)
        assert pair.state(client) == "approved"
    finally:
        away.rename(pair.vault)
    until = time.monotonic() + PATIENCE_SECONDS
    while pair.state(client) != "completed":
        assert time.monotonic() < until, pair.far.log.read_text()
        time.sleep(0.1)
    assert set(pair.delayed()) == {"KeyProviderUnreachable"}
    assert pair.completions(client) == 1
    assert len(KeyFileProvider(pair.vault / "root.key").generations()) == 1
