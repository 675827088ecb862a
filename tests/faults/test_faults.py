"""Faults from outside: the documented error, nothing half stored, and recovery by itself once the cause is gone.

A missing key, a broken seal, a locked, a read-only and a full database, a journal that cannot grow, a second process.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from records.errors import ClinicLocked, KeyMissing, LedgerMismatch, NotStored, OutcomeUnknown, Unavailable
from records.store.sqlite import SqliteStore
from tests.check import check_store
from tests.doors import Doors


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(doors: Doors) -> UUID:
    made = doors.client()
    doors.note(made)
    doors.read(made)
    return made


def writer(doors: Doors) -> sqlite3.Connection:
    """Return the store's one writing connection, where the fault is put."""
    assert isinstance(doors.store, SqliteStore)
    assert doors.store._writer is not None
    return doors.store._writer


@contextmanager
def locked(doors: Doors) -> Iterator[None]:
    """Hold the database's lock from outside, as a backup tool gone wrong would."""
    writer(doors).execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(doors.clinic.paths.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def read_only(doors: Doors) -> Iterator[None]:
    """Let the database refuse every change, as a file system that was mounted read-only makes it do."""
    writer(doors).execute("PRAGMA query_only = ON")
    try:
        yield
    finally:
        writer(doors).execute("PRAGMA query_only = OFF")


@contextmanager
def full(doors: Doors) -> Iterator[None]:
    """Leave the database no page to grow by: what SQLite says then is what it says of a full disk."""
    connection = writer(doors)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 4294967294")


@contextmanager
def no_room_for_the_journal(doors: Doors) -> Iterator[None]:
    """Let no file of this process grow beyond what the journal is now, so that COMMIT itself fails to write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = doors.clinic.paths.database.with_name("records.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


LARGE = {"text": "x" * 200_000}
"""More than the free pages that a small database may have left."""

FAULTS = [
    pytest.param(locked, (NotStored,), id="locked"),
    pytest.param(read_only, (NotStored,), id="read-only"),
    pytest.param(full, (NotStored,), id="full"),
    pytest.param(no_room_for_the_journal, (NotStored, OutcomeUnknown), id="no room for the journal"),
]


@pytest.mark.parametrize(("fault", "errors"), FAULTS)
def test_a_change_fails_whole_and_goes_well_when_the_cause_is_gone(
    doors: Doors, client: UUID, fault: Any, errors: tuple[type[Unavailable], ...]
) -> None:
    before = doors.stored()
    note, body = uuid4(), b"the same body"
    with fault(doors), pytest.raises(errors):
        doors.note(client, doors.ask(key="k", body=body), note_id=note, sections=LARGE)

    assert doors.stored() == before
    check_store(doors.store)
    outcome = doors.note(client, doors.ask(key="k", body=body), note_id=note, sections=LARGE)
    assert outcome.subject == note
    assert doors.topics(client) == ["ClientRegistered", "NoteSigned", "NoteSigned"]
    check_store(doors.store)


@pytest.mark.parametrize("fault", [locked, read_only, no_room_for_the_journal])
def test_nothing_is_shown_while_readings_cannot_be_recorded(doors: Doors, client: UUID, fault: Any) -> None:
    released = []
    with fault(doors), pytest.raises(Unavailable):
        released.append(doors.read(client))

    assert released == []
    assert len(doors.access(client)) == 1
    assert len(doors.read(client)) == 2
    assert len(doors.access(client)) == 2
    check_store(doors.store)


@pytest.mark.parametrize(("fault", "errors"), FAULTS)
def test_a_fault_leaves_nothing_that_a_restart_trips_over(
    doors: Doors, client: UUID, fault: Any, errors: tuple[type[Unavailable], ...]
) -> None:
    with fault(doors), pytest.raises(errors):
        doors.note(client, sections=LARGE)
    doors.reopen()

    check_store(doors.store)
    doors.note(client, sections=LARGE)
    check_store(doors.store)


def test_every_waiting_request_is_told_and_all_go_well_afterwards(doors: Doors) -> None:
    import threading

    clients = [doors.client() for _ in range(6)]
    told: list[type[Exception]] = []

    def work(client: UUID) -> None:
        try:
            doors.note(client)
        except Unavailable as error:
            told.append(type(error))

    with locked(doors):
        threads = [threading.Thread(target=work, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == [NotStored] * 6
    for client in clients:
        doors.note(client)
    check_store(doors.store)


# --- keys and seals


def remove_key(doors: Doors, client: UUID) -> list[tuple[Any, ...]]:
    """Take a client's key out of the keyring; return its row."""
    connection = sqlite3.connect(doors.clinic.paths.keyring, isolation_level=None)
    rows = connection.execute("SELECT * FROM data_keys WHERE scope = ?", (client.bytes,)).fetchall()
    connection.execute("DELETE FROM data_keys WHERE scope = ?", (client.bytes,))
    connection.close()
    doors.keyring.forget()
    return rows


def put_key_back(doors: Doors, rows: list[tuple[Any, ...]]) -> None:
    """Restore the keyring's row."""
    connection = sqlite3.connect(doors.clinic.paths.keyring, isolation_level=None)
    connection.executemany("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()


def test_a_lost_key_is_loss_and_not_erasure_and_others_are_served(doors: Doors, client: UUID) -> None:
    other = doors.client()
    before = doors.stored()
    rows = remove_key(doors, client)
    for attempt in (lambda: doors.read(client), lambda: doors.note(client)):
        with pytest.raises(KeyMissing):
            attempt()
    assert doors.stored() == before, "nothing is written about what cannot be read"

    doors.note(other)
    assert len(doors.read(other)) == 2
    put_key_back(doors, rows)
    assert len(doors.read(client)) == 2
    doors.note(client)
    check_store(doors.store)


def test_a_clinic_whose_key_is_lost_does_not_open_and_opens_when_it_is_back(doors: Doors, client: UUID) -> None:
    rows = remove_key(doors, client)
    doors.close()
    with pytest.raises(KeyMissing):
        doors.open()

    put_key_back(doors, rows)
    doors.open()
    assert len(doors.read(client)) == 2


@pytest.mark.parametrize("file", ["root.key", "keyring.db"])
def test_a_clinic_without_its_key_files_does_not_open_and_makes_none(doors: Doors, client: UUID, file: str) -> None:
    doors.close()
    path = doors.clinic.paths.keys / file
    kept = path.rename(path.with_suffix(".kept"))
    with pytest.raises(KeyMissing):
        doors.open()
    assert not path.exists()

    kept.rename(path)
    doors.open()
    assert len(doors.read(client)) == 2


def test_a_broken_seal_is_a_gap_for_readers_an_error_for_writers_and_an_alarm(doors: Doors, client: UUID) -> None:
    where = f"WHERE originator_id = '{client.hex}' AND originator_version = 2"
    altered = "CAST(substr(state, 1, 99) || zeroblob(8) || substr(state, 108) AS BLOB)"
    doors.outside(f"UPDATE stored_events SET state = {altered} {where}")
    doors.reopen()
    before = doors.stored()

    with pytest.raises(LedgerMismatch):
        doors.note(client)
    assert doors.stored() == before
    assert [type(recorded.event).__name__ for recorded in doors.read(client)] == ["ClientRegistered", "Unreadable"]
    assert {code for code, _ in doors.alarms} == {"seal-broken"}
    doors.note(doors.client())


def test_a_second_process_is_told_that_the_clinic_is_held(doors: Doors, client: UUID) -> None:
    with pytest.raises(ClinicLocked):
        open_clinic(doors.data)
    reading = open_clinic(doors.data, read_only=True)
    try:
        assert len(reading.service.reader.events(client)) == 2
        with pytest.raises(NotStored):
            doors.read(client, service=reading.service)
    finally:
        reading.close()
