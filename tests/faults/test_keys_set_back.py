"""Keys that are not those of the log: an older or newer keyring, a row that is gone, another key file.

What is missing and was never destroyed is loss (6, `KeyMissing`), never said to be erased; nothing is written
meanwhile, and with the right keys back everything is there.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.wiring import found, open_clinic
from records.clinic_policy import ClinicPolicy
from records.errors import IntegrityFailure, KeyMissing
from tests.check import check_store
from tests.doors import Doors
from tests.ops.running import run

CANARY = "Fennimarsh"
COMMANDS = (("serve",), ("user", "list"), ("audit",), ("user", "add", "--name", "Ada", "--role", "therapist"))


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path)
    yield made
    made.clinic.abandon()


@pytest.fixture
def client(doors: Doors) -> UUID:
    made = doors.client()
    doors.note(made)
    return made


def files(*folders: Path) -> dict[Path, bytes]:
    """Return every file's bytes; locks and shared memory hold nothing."""
    found_files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: path.read_bytes() for path in found_files if not path.name.endswith(("-shm", ".lock"))}


def require_loss(doors: Doors) -> None:
    """Hold the closed clinic to what is said of lost keys: 6, no word of an erasure, no name, and nothing written."""
    data, keys = doors.data, doors.clinic.paths.keys
    before = files(data, keys)
    for command in COMMANDS:
        result = run(*command, "--data", str(data))
        assert result.exit_code == 6, (command, result.stderr)
        assert "Traceback" not in result.stderr
        assert "erased" not in result.stderr
        assert CANARY not in result.stdout + result.stderr
    with pytest.raises(KeyMissing):
        open_clinic(data)
    assert files(data, keys) == before


def require_back(doors: Doors, *clients: UUID) -> None:
    """Open the clinic: everything is there, and it can be written."""
    doors.open()
    for client in clients:
        assert doors.topics(client)[0] == "ClientRegistered"
        doors.note(client)
    check_store(doors.store)
    doors.close()
    assert run("verify", "--data", str(doors.data)).exit_code == 0
    doors.open()


def test_a_keyring_older_than_the_events_is_loss_and_the_newer_one_brings_everything_back(
    doors: Doors, client: UUID, tmp_path: Path
) -> None:
    keyring = doors.clinic.paths.keyring
    shutil.copy(keyring, tmp_path / "older.db")
    later = doors.client()
    doors.close()
    shutil.copy(keyring, tmp_path / "newer.db")
    shutil.copy(tmp_path / "older.db", keyring)
    require_loss(doors)
    verified = run("verify", "--data", str(doors.data))
    assert verified.exit_code == 3
    assert "lost, not erased" in verified.stdout + verified.stderr

    shutil.copy(tmp_path / "newer.db", keyring)
    require_back(doors, client, later)


def test_a_keyring_newer_than_the_log_and_its_signer_is_no_fault(doors: Doors, client: UUID, tmp_path: Path) -> None:
    doors.close()
    kept = {folder: tmp_path / f"kept-{folder.name}" for folder in (doors.data, doors.clinic.paths.signer)}
    for folder, copy in kept.items():
        shutil.copytree(folder, copy)
    doors.open()
    later = doors.client()
    doors.close()
    for folder, copy in kept.items():
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
    doors.open()
    assert later not in doors.service.reader.clients()
    doors.close()
    require_back(doors, client)


def test_a_log_older_than_its_signer_is_refused_whatever_the_keyring(
    doors: Doors, client: UUID, tmp_path: Path
) -> None:
    doors.close()
    shutil.copytree(doors.data, tmp_path / "kept")
    doors.open()
    doors.client()
    doors.close()
    shutil.rmtree(doors.data)
    shutil.copytree(tmp_path / "kept", doors.data)
    with pytest.raises(IntegrityFailure):
        open_clinic(doors.data)
    assert run("user", "list", "--data", str(doors.data)).exit_code == 3


def change(keyring: Path, statement: str, *arguments: Any) -> None:
    with closing(sqlite3.connect(keyring)) as connection:
        assert connection.execute(statement, arguments).rowcount > 0
        connection.commit()


def test_a_row_that_is_gone_is_loss(doors: Doors, client: UUID, tmp_path: Path) -> None:
    doors.close()
    keyring = doors.clinic.paths.keyring
    shutil.copy(keyring, tmp_path / "whole.db")
    change(keyring, "DELETE FROM data_keys WHERE scope = ?", client.bytes)
    require_loss(doors)
    shutil.copy(tmp_path / "whole.db", keyring)
    require_back(doors, client)


def test_a_row_that_was_altered_is_loss(doors: Doors, client: UUID, tmp_path: Path) -> None:
    doors.close()
    keyring = doors.clinic.paths.keyring
    shutil.copy(keyring, tmp_path / "whole.db")
    change(keyring, "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE scope = ?", client.bytes)
    require_loss(doors)
    shutil.copy(tmp_path / "whole.db", keyring)
    require_back(doors, client)


@pytest.mark.parametrize("torn", ["cut", "zeroed", "no database"])
def test_a_keyring_file_that_is_torn_is_loss(doors: Doors, client: UUID, tmp_path: Path, torn: str) -> None:
    doors.close()
    keyring = doors.clinic.paths.keyring
    whole = keyring.read_bytes()
    half = len(whole) // 2
    keyring.write_bytes(
        {"cut": whole[:half], "zeroed": whole[:half] + bytes(half), "no database": b"x" * len(whole)}[torn]
    )
    require_loss(doors)
    keyring.write_bytes(whole)
    require_back(doors, client)


def test_another_clinic_s_key_file_opens_nothing_and_writes_nothing(doors: Doors, client: UUID, tmp_path: Path) -> None:
    found(tmp_path / "other", "Other", ClinicPolicy())
    doors.close()
    key_file = doors.clinic.paths.key_file
    right = key_file.read_bytes()
    shutil.copy(tmp_path / "other.keys" / "root.key", key_file)
    require_loss(doors)
    key_file.write_bytes(right)
    require_back(doors, client)


def test_a_key_file_that_is_replaced_meanwhile_shows_nothing_and_the_right_one_goes_on(
    doors: Doors, client: UUID, tmp_path: Path
) -> None:
    found(tmp_path / "other", "Other", ClinicPolicy())
    key_file = doors.clinic.paths.key_file
    right = key_file.read_bytes()
    shutil.copy(tmp_path / "other.keys" / "root.key", key_file)
    # What is leased opens for another minute at most; this is that minute's end.
    doors.keyring.forget()
    before, released = doors.stored(), []
    for act in (lambda: released.append(doors.read(client)), lambda: doors.note(client), doors.client):
        with pytest.raises(KeyMissing):
            act()
    assert (released, doors.stored()) == ([], before)
    key_file.write_bytes(right)
    assert len(doors.read(client)) == 2
    doors.note(client)
    check_store(doors.store)
