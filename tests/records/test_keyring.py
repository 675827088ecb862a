"""The keyring: a key opens where it belongs, is durable before it is used, and leaves no copy and no trace."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from records.errors import KeyMissing, NotStored
from records.keyring import LEASE_SECONDS, Keyring
from records.ledger import KeyClass
from tests.keyring_case import ANNA, BEN, CLINIC, Case


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    for keyring in made.opened:
        keyring.close()


def test_a_key_is_made_once_and_is_durable_when_it_is_returned(case: Case) -> None:
    key = case.open().ensure(ANNA, KeyClass.RECORD)

    shutil.copy(case.path, case.path.with_name("copy.db"))
    case.path = case.path.with_name("copy.db")
    assert case.open().current(ANNA, KeyClass.RECORD) == key
    assert case.open().ensure(ANNA, KeyClass.RECORD) == key
    assert case.open().by_id(key.key_id, ANNA, KeyClass.RECORD) == key
    assert (len(key.secret), len(key.key_id), key.key_class) == (32, 16, KeyClass.RECORD)


def test_many_keys_are_made_at_once_and_those_that_are_there_stay(case: Case) -> None:
    keyring = case.open()
    anna = keyring.ensure(ANNA, KeyClass.RECORD)
    keyring.ensure_all([ANNA, BEN], KeyClass.RECORD)
    assert keyring.current(ANNA, KeyClass.RECORD) == anna
    ben = keyring.current(BEN, KeyClass.RECORD)
    assert case.open().current(BEN, KeyClass.RECORD) == ben == keyring.ensure(BEN, KeyClass.RECORD)


def test_many_keys_are_made_all_or_none(case: Case) -> None:
    keyring = case.open()
    refusal = "SELECT RAISE(ABORT, 'no')"
    case.outside(f"CREATE TRIGGER no_ben BEFORE INSERT ON data_keys WHEN NEW.scope = x'{BEN.hex}' BEGIN {refusal}; END")
    with pytest.raises(NotStored):
        keyring.ensure_all([ANNA, BEN], KeyClass.RECORD)
    with pytest.raises(KeyMissing):
        keyring.current(ANNA, KeyClass.RECORD)
    assert keyring.ensure(ANNA, KeyClass.RECORD).key_class == KeyClass.RECORD


def test_every_scope_class_and_version_has_a_key_of_its_own(case: Case) -> None:
    keyring = case.open()
    keys = {
        keyring.ensure(scope, key_class, version).secret
        for scope in (ANNA, BEN)
        for key_class in (KeyClass.RECORD, KeyClass.PROCESS)
        for version in (1, 2)
    }

    assert len(keys) == 8
    assert keyring.current(ANNA, KeyClass.RECORD) == keyring.ensure(ANNA, KeyClass.RECORD, 2)
    assert keyring.current(ANNA, KeyClass.RECORD, 1) == keyring.ensure(ANNA, KeyClass.RECORD, 1)
    assert len(list(keyring.held())) == 8


def test_a_newer_key_is_the_current_one_at_once(case: Case) -> None:
    keyring = case.open()
    old = keyring.ensure(ANNA, KeyClass.RECORD)
    assert keyring.current(ANNA, KeyClass.RECORD) == old

    case.open().ensure(ANNA, KeyClass.RECORD, 2)
    case.clock.seconds += LEASE_SECONDS
    assert keyring.current(ANNA, KeyClass.RECORD) != old


def test_a_key_is_given_for_its_own_scope_and_class_only(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    keyring.by_id(key.key_id, ANNA, KeyClass.RECORD)

    for scope, key_class in ((BEN, KeyClass.RECORD), (ANNA, KeyClass.PROCESS)):
        with pytest.raises(KeyMissing):
            keyring.by_id(key.key_id, scope, key_class)
        with pytest.raises(KeyMissing):
            keyring.current(scope, key_class)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE data_keys SET scope = (SELECT scope FROM data_keys WHERE scope <> :a), version = 2 WHERE scope = :a",
        "UPDATE data_keys SET key_class = 2 WHERE scope = :a",
        "UPDATE data_keys SET version = 9 WHERE scope = :a",
        "UPDATE data_keys SET generation = 2 WHERE scope = :a",
        "UPDATE data_keys SET key_id = x'00112233445566778899aabbccddeeff' WHERE scope = :a",
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE scope <> :a) WHERE scope = :a",
        "UPDATE data_keys SET wrapped = wrapped || x'00' WHERE scope = :a",
    ],
    ids=["scope", "class", "version", "generation", "id", "wrapped", "longer"],
)
def test_a_row_that_was_swapped_or_edited_does_not_open(case: Case, edit: str) -> None:
    keyring = case.open()
    for scope in (ANNA, BEN):
        keyring.ensure(scope, KeyClass.RECORD)
    connection = sqlite3.connect(case.path, isolation_level=None)
    changed = connection.execute(edit, {"a": ANNA.bytes}).rowcount
    connection.close()
    assert changed == 1

    reopened = case.open()
    outcomes = []
    for held in list(reopened.held()):
        try:
            reopened.by_id(held.key_id, held.scope, KeyClass(held.key_class))
            outcomes.append("opens")
        except KeyMissing:
            outcomes.append("does not")
    assert sorted(outcomes) == ["does not", "opens"]


def test_a_row_of_another_clinic_does_not_open(case: Case, tmp_path: Path) -> None:
    key = case.open().ensure(ANNA, KeyClass.RECORD)
    other = uuid4()
    case.outside("UPDATE deployment SET deployment_id = ?", other.bytes)

    with pytest.raises(KeyMissing):
        case.open()
    with pytest.raises(KeyMissing):
        case.open(other).by_id(key.key_id, ANNA, KeyClass.RECORD)


def test_a_lease_ends_by_the_monotonic_clock_and_not_before(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    assert keyring.current(ANNA, KeyClass.RECORD) == keyring.by_id(key.key_id, ANNA, KeyClass.RECORD)
    case.outside("DELETE FROM data_keys WHERE scope = ?", ANNA.bytes)

    case.clock.seconds += LEASE_SECONDS - 1
    assert keyring.current(ANNA, KeyClass.RECORD) == key
    assert keyring.by_id(key.key_id, ANNA, KeyClass.RECORD) == key
    case.clock.seconds += 1
    with pytest.raises(KeyMissing):
        keyring.by_id(key.key_id, ANNA, KeyClass.RECORD)
    with pytest.raises(KeyMissing):
        keyring.current(ANNA, KeyClass.RECORD)


def test_a_forgotten_key_is_read_again(case: Case) -> None:
    keyring = case.open()
    keyring.ensure(ANNA, KeyClass.RECORD)
    case.outside("DELETE FROM data_keys")
    keyring.forget()

    with pytest.raises(KeyMissing):
        keyring.current(ANNA, KeyClass.RECORD)


def test_threads_that_need_the_same_new_key_get_one(case: Case) -> None:
    keyring, second, found = case.open(), case.open(), []
    start = threading.Barrier(8)

    def work(of: Keyring) -> None:
        start.wait()
        found.append(of.ensure(ANNA, KeyClass.RECORD))

    threads = [threading.Thread(target=work, args=(of,)) for of in (keyring, second) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({key.secret for key in found}) == 1


def test_a_deleted_key_leaves_no_copy_on_disk(case: Case) -> None:
    case.open().ensure(ANNA, KeyClass.RECORD)
    [(wrapped,)] = case.outside("SELECT wrapped FROM data_keys")
    assert isinstance(wrapped, bytes)
    keyring = case.open()
    assert keyring._connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    keyring._connection.execute("DELETE FROM data_keys")

    left = [file for file in case.path.parent.iterdir() if wrapped in file.read_bytes()]
    assert left == []


def test_neither_the_disk_nor_an_error_shows_a_secret(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    case.outside("UPDATE data_keys SET version = 2")
    keyring.forget()
    with pytest.raises(KeyMissing) as caught:
        keyring.current(ANNA, KeyClass.RECORD)

    shown = "".join(traceback.format_exception(caught.value)) + repr(key) + repr(keyring) + repr(list(keyring.held()))
    assert key.secret.hex() not in shown
    assert repr(key.secret) not in shown
    assert all(key.secret not in file.read_bytes() for file in case.path.parent.iterdir())


def test_a_keyring_that_cannot_be_written_makes_no_key(case: Case) -> None:
    keyring = case.open()
    keyring._connection.execute("PRAGMA query_only = ON")

    with pytest.raises(NotStored):
        keyring.ensure(ANNA, KeyClass.RECORD)
    assert list(keyring.held()) == []
    keyring._connection.execute("PRAGMA query_only = OFF")
    assert keyring.ensure(ANNA, KeyClass.RECORD) == case.open().current(ANNA, KeyClass.RECORD)


def test_the_file_is_its_owners_and_is_never_made_twice_or_by_opening(case: Case) -> None:
    assert stat.S_IMODE(case.path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        Keyring.create(case.path, CLINIC)
    case.path.unlink()
    with pytest.raises(KeyMissing):
        case.open()
    assert not case.path.exists()
