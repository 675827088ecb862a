"""Keys that are gone, older or newer than the log, or another clinic's: loss is told as loss, and nothing is written.

- At a start, a key that the log names and nobody destroyed must open, else exit 6, and no file is altered.
- While it serves, a record whose key is gone is 503 (`key-missing`), never 410 (`erased`); others are served.
- A keyring may be newer than the log: a key that nothing names harms nobody. A log may not be older than what was
  signed.
- Once what was lost is back, everything acknowledged is there.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.wiring import found
from records.clinic_policy import ClinicPolicy
from tests.api.caller import Served
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import READY_SECONDS, run
from tests.ops.running import Served as Service

TEXT = "Ottoline spoke of the lighthouse."
NOTE = {"kind": "progress", "format": "free", "sections": {"text": TEXT}}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    made = make_clinic(tmp_path / "clinic")
    yield made
    # A test that ends with keys that do not open has nothing to sign.
    made.opened.abandon()


@pytest.fixture
def served(clinic: StaffedClinic) -> Served:
    served = Served(clinic)
    served.note(TEXT)
    return served


def keys_of(clinic: StaffedClinic) -> Path:
    """Return the directory of the keys."""
    folder: Path = clinic.opened.paths.keys
    return folder


def take_key(clinic: StaffedClinic, client: UUID) -> list[tuple[Any, ...]]:
    """Take a client's data key out of the keyring; return its row. No lease of it is left."""
    with closing(sqlite3.connect(clinic.opened.paths.keyring)) as keyring, keyring:
        rows = keyring.execute("SELECT * FROM data_keys WHERE scope = ?", (client.bytes,)).fetchall()
        keyring.execute("DELETE FROM data_keys WHERE scope = ?", (client.bytes,))
    clinic.opened.keyring.forget()
    return rows


def put_key_back(clinic: StaffedClinic, rows: list[tuple[Any, ...]]) -> None:
    """Restore the keyring's rows."""
    with closing(sqlite3.connect(clinic.opened.paths.keyring)) as keyring, keyring:
        keyring.executemany("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", rows)


def copy_database(database: Path, to: Path) -> Path:
    """Copy a database that nobody writes now, with what stands in its journal."""
    with closing(sqlite3.connect(database)) as original, closing(sqlite3.connect(to)) as copy:
        original.backup(copy)
    return to


def put_database(copy: Path, database: Path) -> None:
    """Put a copy in the place of a database that nobody has open."""
    for beside in database.parent.glob(f"{database.name}-*"):
        beside.unlink()
    shutil.copyfile(copy, database)


def contents(*folders: Path) -> dict[str, str]:
    """Return the digest of every file but SQLite's shared memory, which readers write too."""
    files = sorted(
        path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm"
    )
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refuses_to_start(clinic: StaffedClinic) -> None:
    """Check that every command that would write ends with 6, alters no file, and shows no clinical text."""
    before = contents(clinic.path, keys_of(clinic))
    # One that serves after all must not hold the test up for ever.
    service = Service(clinic.path)
    try:
        assert service.process.wait(READY_SECONDS) == 6, service.log.read_text()
    finally:
        service.stop()
    result = run("user", "add", "--data", str(clinic.path), "--name", "Ada", "--role", "therapist")
    assert result.exit_code == 6, result.output
    for said in (service.log.read_text(), result.output):
        assert "Traceback" not in said
        assert TEXT not in said
    assert contents(clinic.path, keys_of(clinic)) == before


def type_of(answer: Any) -> tuple[int, str]:
    """Return the status and the type of a problem, which shows nothing of the record."""
    assert TEXT not in answer.text
    return answer.status_code, answer.json["type"]


def notes_of(clinic: StaffedClinic, client: UUID) -> list[str]:
    """Return the texts of a client's notes."""
    events = [recorded.event for recorded in clinic.reader.events(client)]
    return [event.sections["text"] for event in events if type(event).__name__ == "NoteSigned"]


LOST = (503, "/problems/key-missing")


def test_a_key_that_is_gone_while_serving_is_lost_and_not_erased(served: Served) -> None:
    clinic, client = served.clinic, served.client_id
    other = clinic.register(given="Ben")
    rows = take_key(clinic, client)
    assert len(rows) == 1
    before = served.stored()

    assert type_of(served.get()) == LOST
    assert type_of(served.post("/notes", NOTE, key="again")) == LOST
    assert served.stored() == before, "something was written about what cannot be read"
    assert served.call("GET", served.of(client_id=other)).status_code == 200

    put_key_back(clinic, rows)
    assert served.get().status_code == 200
    assert served.post("/notes", NOTE, key="again").status_code == 201
    assert served.post("/notes", NOTE, key="again").status_code == 201
    assert notes_of(clinic, client) == [TEXT, TEXT]
    check_store(clinic.store)


def test_a_start_without_a_key_that_the_log_names_is_6_and_writes_nothing(served: Served) -> None:
    clinic = served.clinic
    rows = take_key(clinic, served.client_id)
    clinic.close()
    refuses_to_start(clinic)

    put_key_back(clinic, rows)
    served.restart()
    assert notes_of(clinic, served.client_id) == [TEXT]
    assert served.get().status_code == 200
    check_store(clinic.store)


def test_a_keyring_older_than_the_log_is_6_and_the_newer_one_opens_all(served: Served, tmp_path: Path) -> None:
    clinic = served.clinic
    older = copy_database(clinic.opened.paths.keyring, tmp_path / "older.db")
    later = clinic.register(given="Later")
    clinic.note(later, TEXT)
    newer = copy_database(clinic.opened.paths.keyring, tmp_path / "newer.db")
    clinic.close()
    put_database(older, clinic.opened.paths.keyring)
    refuses_to_start(clinic)

    put_database(newer, clinic.opened.paths.keyring)
    served.restart()
    assert notes_of(clinic, later) == notes_of(clinic, served.client_id) == [TEXT]
    check_store(clinic.store)


def test_a_keyring_newer_than_the_log_opens_and_its_spare_keys_harm_nobody(served: Served, tmp_path: Path) -> None:
    """Yesterday's machine under today's keyring: nothing that was written since is there, and nothing is mixed up."""
    clinic = served.clinic
    clinic.close()
    for folder in (clinic.path, keys_of(clinic)):
        shutil.copytree(folder, tmp_path / "yesterday" / folder.name)
    clinic.opened = clinic._open()
    later = clinic.register(given="Later")
    clinic.note(later, TEXT)
    newer = copy_database(clinic.opened.paths.keyring, tmp_path / "newer.db")
    clinic.close()
    for folder in (clinic.path, keys_of(clinic)):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "yesterday" / folder.name, folder)
    put_database(newer, clinic.opened.paths.keyring)

    served.restart()
    assert notes_of(clinic, served.client_id) == [TEXT]
    assert clinic.register(given="Later", client_id=later) == later
    clinic.note(later, TEXT)
    served.restart()
    assert notes_of(clinic, later) == [TEXT]
    check_store(clinic.store)


def test_a_log_older_than_its_keys_and_its_signer_is_3(served: Served, tmp_path: Path) -> None:
    clinic = served.clinic
    clinic.close()
    database = clinic.opened.paths.database
    yesterday = copy_database(database, tmp_path / "yesterday.db")
    served.restart()
    clinic.note(served.client_id, TEXT)
    clinic.close()
    today = copy_database(database, tmp_path / "today.db")
    put_database(yesterday, database)
    result = run("user", "add", "--data", str(clinic.path), "--name", "Ada", "--role", "therapist")
    assert (result.exit_code, "Traceback" in result.output) == (3, False), result.output

    put_database(today, database)
    served.restart()
    assert notes_of(clinic, served.client_id) == [TEXT, TEXT]
    check_store(clinic.store)


@pytest.fixture
def foreign_key_file(tmp_path: Path) -> Path:
    """The key file of another clinic."""
    found(tmp_path / "other", "Dale Clinic", ClinicPolicy())
    return tmp_path / "other.keys" / "root.key"


def test_a_key_file_of_another_clinic_at_a_start_is_6_and_writes_nothing(
    served: Served, foreign_key_file: Path, tmp_path: Path
) -> None:
    clinic = served.clinic
    clinic.close()
    own = clinic.opened.paths.key_file
    shutil.copyfile(own, tmp_path / "own.key")
    shutil.copyfile(foreign_key_file, own)
    refuses_to_start(clinic)

    shutil.copyfile(tmp_path / "own.key", own)
    served.restart()
    assert notes_of(clinic, served.client_id) == [TEXT]
    check_store(clinic.store)
