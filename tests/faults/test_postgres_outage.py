"""PostgreSQL goes away under an open clinic: the answer of a commit is lost, or the server is killed (SIGKILL).

Whoever sends a change again with its Idempotency-Key gets the same outcome, written once; a reading whose entry may not
stand is not shown; signing goes on by itself. What the store alone promises is in the tests of the store.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from projections.client_view import CLIENT_VIEW
from records.access import AccessRecorded
from records.errors import NotStored, OutcomeUnknown, Unavailable
from records.notes import NoteSigned, sign_note
from records.registration import Identity, register_client
from records.service import Service
from records.store.unit import Unit
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.doors import FaultyStore
from tests.ops.running import run
from tests.records.store.cut_connection import Cut, CutConnection
from tests.throwaway_postgres import ThrowawayPostgres

pytestmark = pytest.mark.postgres
NOTE: dict[str, Any] = {"kind": "progress", "format": "free", "sections": {"text": "Came on time."}}
PATIENCE_SECONDS = 60
WRITERS = 4


def again(act: Callable[[], Any]) -> Any:
    """Do it until it is not refused any more, as a caller does that obeys Retry-After."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except Unavailable:
            assert time.monotonic() < until
            time.sleep(0.1)


def notes(clinic: StaffedClinic, client: UUID) -> list[UUID]:
    events = [recorded.event for recorded in clinic.reader.events(client)]
    return [event.note_id for event in events if isinstance(event, NoteSigned)]


def readings(clinic: StaffedClinic, client: UUID) -> int:
    events = [recorded.event for recorded in clinic.reader.access_events(client)]
    return sum(isinstance(event, AccessRecorded) and event.action == "client.view" for event in events)


# --- the answer of a commit is lost


@pytest.fixture
def proxy(postgres_server: ThrowawayPostgres) -> Iterator[CutConnection]:
    made = CutConnection(postgres_server.socket)
    yield made
    made.close()


@pytest.fixture
def clinic(tmp_path: Path, proxy: CutConnection, postgres_url: str) -> Iterator[StaffedClinic]:
    """A clinic that reaches its database by the proxy."""
    made = make_clinic(tmp_path / "clinic", database_url=proxy.url(postgres_url))
    yield made
    proxy.away = False
    made.opened.abandon()


CUTS = [
    pytest.param(Cut.BEFORE, NotStored, id="before"),
    pytest.param(Cut.AFTER, None, id="after"),
    pytest.param(Cut.AFTER_AND_AWAY, OutcomeUnknown, id="after, and the server stays away"),
]


def cut_next(clinic: StaffedClinic, proxy: CutConnection, cut: Cut) -> None:
    """Cut the next change of the log at its COMMIT; what is read before, on other connections, is left alone."""
    # The proxy knows a COMMIT by its text, which the driver sends as such on a young connection only.
    clinic.reopen()
    faulty = FaultyStore(clinic.store)

    def arm(_: Unit) -> None:
        proxy.cut, faulty.before = cut, None

    faulty.before = arm
    service = Service(faulty, clinic.opened.keyring, clinic.clock, lambda _code, _facts: None)
    clinic.opened = clinic.opened._replace(service=service)


def hold(clinic: StaffedClinic, proxy: CutConnection, postgres_url: str) -> None:
    """Check every invariant, sign, and verify past the proxy."""
    assert proxy.cuts == 1, "nothing was cut"
    check_store(clinic.store)
    assert clinic.opened.signer is not None
    again(clinic.opened.signer.flush)
    check_store(clinic.store)
    result = run("verify", "--data", str(clinic.path), WELLKEPT_DATABASE_URL=postgres_url)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(("cut", "error"), CUTS)
def test_a_change_that_is_sent_again_is_written_once(
    clinic: StaffedClinic, proxy: CutConnection, postgres_url: str, cut: Cut, error: type[Unavailable] | None
) -> None:
    client, note = clinic.register(), uuid4()
    cut_next(clinic, proxy, cut)
    if error is None:
        clinic.do(client, sign_note, key="k", note_id=note, **NOTE)
    else:
        with pytest.raises(error):
            clinic.do(client, sign_note, key="k", note_id=note, **NOTE)
    proxy.away = False
    for _ in range(2):
        assert again(lambda: clinic.do(client, sign_note, key="k", note_id=note, **NOTE)).subject == note
    assert notes(clinic, client) == [note]
    hold(clinic, proxy, postgres_url)


@pytest.mark.parametrize(("cut", "error"), CUTS)
def test_a_client_whose_registration_was_cut_is_registered_once_under_one_key(
    clinic: StaffedClinic, proxy: CutConnection, postgres_url: str, cut: Cut, error: type[Unavailable] | None
) -> None:
    client, identity = uuid4(), Identity(family="Marsh", given="Robin")
    cut_next(clinic, proxy, cut)
    if error is None:
        clinic.do(client, register_client, key="k", identity=identity)
    else:
        with pytest.raises(error):
            clinic.do(client, register_client, key="k", identity=identity)
    proxy.away = False
    for _ in range(2):
        again(lambda: clinic.do(client, register_client, key="k", identity=identity))
    assert len(clinic.reader.events(client)) == 1
    assert len([key for key in clinic.opened.keyring.held() if key.scope == client]) == 1
    hold(clinic, proxy, postgres_url)


def test_a_reading_whose_entry_may_not_stand_is_not_shown(
    clinic: StaffedClinic, proxy: CutConnection, postgres_url: str
) -> None:
    client, shown = clinic.register(), []
    cut_next(clinic, proxy, Cut.AFTER_AND_AWAY)
    with pytest.raises(Unavailable):
        shown.append(clinic.see(CLIENT_VIEW, client))
    assert shown == []
    proxy.away = False
    again(lambda: clinic.see(CLIENT_VIEW, client))
    assert readings(clinic, client) in (1, 2), "what may have been shown may be logged; what was shown must be"
    hold(clinic, proxy, postgres_url)


# --- the server is killed


@pytest.fixture
def own_server() -> Iterator[ThrowawayPostgres]:
    """A server of this test's own, to be killed."""
    server = ThrowawayPostgres()
    yield server
    server.stop()


def kill(server: ThrowawayPostgres) -> None:
    """Kill the server's first process by SIGKILL, wait until the others noticed, and start it again."""
    with psycopg.connect(server.url("postgres")) as session:
        others = [pid for (pid,) in session.execute("SELECT pid FROM pg_stat_activity").fetchall()]
    server._process.send_signal(signal.SIGKILL)
    server._process.wait(30)
    until = time.monotonic() + PATIENCE_SECONDS
    while any(is_alive(pid) for pid in others):
        assert time.monotonic() < until, "the server's other processes did not end"
        time.sleep(0.05)
    server.start()


def is_alive(pid: int) -> bool:
    return subprocess.run(["ps", "-p", str(pid)], stdout=subprocess.DEVNULL, check=False).returncode == 0


class Writer(threading.Thread):
    """Signs notes and reads one client, and sends each again until it is answered."""

    def __init__(self, clinic: StaffedClinic, client: UUID, done: threading.Event) -> None:
        super().__init__()
        self.acknowledged: list[UUID] = []
        self.shown = 0
        self.client = client
        self._clinic = clinic
        self._done = done

    def run(self) -> None:
        while not self._done.is_set():
            note = uuid4()
            again(lambda note=note: self._sign(note))
            self.acknowledged.append(note)
            again(lambda: self._clinic.see(CLIENT_VIEW, self.client))
            self.shown += 1

    def _sign(self, note: UUID) -> None:
        self._clinic.do(self.client, sign_note, key=str(note), note_id=note, **NOTE)


def test_a_killed_server_loses_nothing_and_nothing_is_written_twice(
    tmp_path: Path, own_server: ThrowawayPostgres
) -> None:
    url = own_server.fresh_database()
    clinic = make_clinic(tmp_path / "clinic", database_url=url)
    done = threading.Event()
    writers = [Writer(clinic, clinic.register(given=f"Nan {n}"), done) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(2):
        before = sum(len(writer.acknowledged) for writer in writers)
        until = time.monotonic() + PATIENCE_SECONDS
        while sum(len(writer.acknowledged) for writer in writers) < before + 5 * WRITERS:
            assert time.monotonic() < until, "nothing was acknowledged"
            time.sleep(0.02)
        kill(own_server)
    done.set()
    for writer in writers:
        writer.join(PATIENCE_SECONDS)
        assert notes(clinic, writer.client) == writer.acknowledged, "each once, in order, and none is lost"
        assert readings(clinic, writer.client) >= writer.shown, "shown without its entry"
    assert clinic.opened.signer is not None
    again(clinic.opened.signer.flush)
    check_store(clinic.store)
    clinic.close()
    assert run("verify", "--data", str(clinic.path), WELLKEPT_DATABASE_URL=url).exit_code == 0
