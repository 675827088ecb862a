"""How keys end and turn: what is destroyed stays destroyed, what turns is in the log first, a rewrap loses nothing."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from records.errors import Erased, KeyMissing, KeyProviderUnreachable, NotStored
from records.key_provider import KeyFileProvider
from records.keyring import LEASE_SECONDS, Keyring, Tombstone
from records.ledger import KeyClass
from tests.keyring_case import ANNA, BEN, CLINIC, Case


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    for keyring in made.opened:
        keyring.close()


# --- keys that end


def wrapped_of(case: Case, scope: UUID) -> list[bytes]:
    return [wrapped for wrapped, whose in all_wrapped(case) if whose == scope.bytes]


def all_wrapped(case: Case) -> list[tuple[bytes, bytes]]:
    """Return what is wrapped and whose it is, as the file holds it."""
    found = case.outside("SELECT wrapped, scope FROM data_keys")
    return [(wrapped, scope) for wrapped, scope in found if isinstance(wrapped, bytes) and isinstance(scope, bytes)]


def test_destroyed_keys_leave_tombstones_and_no_copy(case: Case) -> None:
    keyring, erasure = case.open(), uuid4()
    record, process = keyring.ensure(ANNA, KeyClass.RECORD), keyring.ensure(ANNA, KeyClass.PROCESS)
    ben = keyring.ensure(BEN, KeyClass.RECORD)
    wrapped = wrapped_of(case, ANNA)

    destroyed = keyring.destroy(ANNA, erasure, 17)
    assert sorted(destroyed) == sorted(
        Tombstone(key.key_id, ANNA, key.key_class, 1, erasure, 17) for key in (record, process)
    )
    assert keyring.tombstones() == destroyed
    assert keyring.destroy(ANNA, uuid4(), 99) == destroyed == case.open().tombstones()
    assert len(wrapped) == 2
    for file in case.path.parent.iterdir():
        assert not any(secret in file.read_bytes() for secret in wrapped), file
    assert keyring.current(BEN, KeyClass.RECORD) == ben
    assert keyring.destroy(uuid4(), erasure, 1) == ()


def test_what_was_destroyed_is_erased_at_once_and_is_never_made_again(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    keyring.destroy(ANNA, uuid4(), 17)

    attempts: list[Callable[[Keyring], object]] = [
        lambda opened: opened.current(ANNA, KeyClass.RECORD),
        lambda opened: opened.current(ANNA, KeyClass.RECORD, 1),
        lambda opened: opened.by_id(key.key_id, ANNA, KeyClass.RECORD),
        lambda opened: opened.ensure(ANNA, KeyClass.RECORD),
        lambda opened: opened.ensure(ANNA, KeyClass.PROCESS, 2),
        lambda opened: opened.ensure_all([BEN, ANNA], KeyClass.RECORD),
        lambda opened: opened.turn(ANNA, KeyClass.RECORD, lambda *_: None),
    ]
    for opened in (keyring, case.open()):
        for attempt in attempts:
            with pytest.raises(Erased):
                attempt(opened)
    assert list(keyring.held()) == []


def test_another_process_learns_of_a_destruction_when_its_lease_ends(case: Case) -> None:
    keyring, other = case.open(), case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    assert other.current(ANNA, KeyClass.RECORD) == key
    keyring.destroy(ANNA, uuid4(), 17)

    case.clock.seconds += LEASE_SECONDS
    with pytest.raises(Erased):
        other.current(ANNA, KeyClass.RECORD)


def test_a_key_that_is_lost_is_missing_and_not_erased(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(BEN, KeyClass.RECORD)
    keyring.ensure(ANNA, KeyClass.RECORD)
    keyring.destroy(ANNA, uuid4(), 17)
    case.outside("DELETE FROM data_keys")
    keyring.forget()

    with pytest.raises(KeyMissing):
        keyring.by_id(key.key_id, BEN, KeyClass.RECORD)


def test_destruction_is_all_or_nothing(case: Case) -> None:
    keyring = case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    case.outside("CREATE TRIGGER no_end BEFORE DELETE ON data_keys BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(NotStored):
        keyring.destroy(ANNA, uuid4(), 17)
    assert keyring.tombstones() == ()
    assert case.open().current(ANNA, KeyClass.RECORD) == key


def test_the_clinics_own_keys_are_never_destroyed_together(case: Case) -> None:
    keyring = case.open()
    keyring.ensure(CLINIC, KeyClass.SERVICE)
    with pytest.raises(ValueError, match="clinic"):
        keyring.destroy(CLINIC, uuid4(), 17)
    assert len(list(keyring.held())) == 1


def test_tombstones_from_elsewhere_destroy_what_they_name_and_nothing_else(case: Case) -> None:
    keyring = case.open()
    anna, ben = keyring.ensure(ANNA, KeyClass.RECORD), keyring.ensure(BEN, KeyClass.RECORD)
    shutil.copy(case.path, case.path.with_name("yesterday.db"))
    keyring.destroy(ANNA, uuid4(), 17)
    kept = keyring.tombstones()

    case.path = case.path.with_name("yesterday.db")
    restored = case.open()
    assert restored.current(ANNA, KeyClass.RECORD) == anna
    assert restored.bury(iter(kept)) == 1
    assert restored.bury(kept) == 0
    assert restored.tombstones() == kept
    with pytest.raises(Erased):
        restored.ensure(ANNA, KeyClass.RECORD)
    assert restored.ensure(BEN, KeyClass.RECORD) == ben


def test_a_year_of_audit_is_buried_without_the_other_years(case: Case) -> None:
    keyring = case.open()
    keys = {year: keyring.ensure(CLINIC, KeyClass.AUDIT_YEAR, year) for year in (2025, 2026)}
    assert keyring.bury([Tombstone(keys[2025].key_id, CLINIC, KeyClass.AUDIT_YEAR, 2025, uuid4(), 17)]) == 1

    assert keyring.ensure(CLINIC, KeyClass.AUDIT_YEAR, 2026) == keys[2026]
    keyring.ensure(CLINIC, KeyClass.AUDIT_YEAR, 2027)
    for attempt in (
        lambda: keyring.ensure(CLINIC, KeyClass.AUDIT_YEAR, 2025),
        lambda: keyring.by_id(keys[2025].key_id, CLINIC, KeyClass.AUDIT_YEAR),
    ):
        with pytest.raises(Erased):
            attempt()


def test_a_keyring_of_an_older_version_says_what_to_run(case: Case) -> None:
    case.outside("DROP TABLE tombstones")
    with pytest.raises(KeyMissing, match="wellkept upgrade"):
        case.open()


# --- keys that turn


def test_a_turned_key_waits_until_the_log_names_it(case: Case) -> None:
    keyring, other = case.open(), case.open()
    old = keyring.ensure(ANNA, KeyClass.RECORD)
    entered: list[tuple[UUID, bytes]] = []

    def enter(keys: Sequence[tuple[UUID, bytes]], waited: bool) -> None:
        [(scope, key_id)] = keys
        assert not waited
        assert case.open().by_id(key_id, ANNA, KeyClass.RECORD).key_id == key_id, "durable before the log names it"
        assert case.open().current(ANNA, KeyClass.RECORD) == old, "not used before the log names it"
        entered.append((scope, key_id))

    new = keyring.turn(ANNA, KeyClass.RECORD, enter)
    assert entered == [(ANNA, new.key_id)]
    assert new.secret != old.secret
    assert keyring.current(ANNA, KeyClass.RECORD) == new == keyring.current(ANNA, KeyClass.RECORD, 2)
    assert keyring.by_id(old.key_id, ANNA, KeyClass.RECORD) == old == keyring.ensure(ANNA, KeyClass.RECORD)
    case.clock.seconds += LEASE_SECONDS
    assert other.current(ANNA, KeyClass.RECORD) == new


def test_a_turn_that_stops_goes_on_with_the_same_key(case: Case) -> None:
    keyring = case.open()
    old = keyring.ensure(ANNA, KeyClass.RECORD)
    entered: list[tuple[bytes, bool]] = []

    def enter(keys: Sequence[tuple[UUID, bytes]], waited: bool) -> None:
        entered.append((keys[0][1], waited))

    def stop(keys: Sequence[tuple[UUID, bytes]], waited: bool) -> None:
        enter(keys, waited)
        raise NotStored("the log is full")

    for _ in range(2):
        with pytest.raises(NotStored):
            keyring.turn(ANNA, KeyClass.RECORD, stop)
        assert keyring.current(ANNA, KeyClass.RECORD) == old
    new = case.open().turn(ANNA, KeyClass.RECORD, enter)
    assert entered == [(new.key_id, False), (new.key_id, True), (new.key_id, True)]
    assert sorted(held.version for held in keyring.held()) == [1, 2]


def test_keys_whose_version_means_something_else_do_not_turn(case: Case) -> None:
    keyring = case.open()
    for key_class in (KeyClass.AUDIT_YEAR, KeyClass.SERVICE):
        keyring.ensure(CLINIC, key_class)
        with pytest.raises(ValueError, match="do not turn"):
            keyring.turn(CLINIC, key_class, lambda *_: None)
    with pytest.raises(KeyMissing):
        keyring.turn(ANNA, KeyClass.RECORD, lambda *_: None)
    assert {held.version for held in keyring.held()} == {1}


def test_a_key_that_waits_is_destroyed_with_the_others(case: Case) -> None:
    keyring = case.open()
    keyring.ensure(ANNA, KeyClass.RECORD)

    def erase(*_: object) -> None:
        case.open().destroy(ANNA, uuid4(), 17)

    with pytest.raises(Erased):
        keyring.turn(ANNA, KeyClass.RECORD, erase)
    assert sorted(tombstone.version for tombstone in keyring.tombstones()) == [1, 2]


def test_many_keys_turn_together_or_not_at_all(case: Case) -> None:
    keyring, scopes = case.open(), [uuid4() for _ in range(5)]
    keyring.ensure_all(scopes, KeyClass.RECORD)
    with pytest.raises(KeyMissing):
        keyring.turn_all([*scopes, ANNA], KeyClass.RECORD, lambda *_: None)
    assert {held.version for held in keyring.held()} == {1}

    key_ids = keyring.turn_all(scopes, KeyClass.RECORD, lambda *_: None)
    assert [keyring.current(scope, KeyClass.RECORD).key_id for scope in scopes] == key_ids


def test_two_who_turn_the_same_key_never_enter_it_twice(case: Case) -> None:
    case.open().ensure(ANNA, KeyClass.RECORD)
    entered: list[bytes] = []

    def enter(keys: Sequence[tuple[UUID, bytes]], waited: bool) -> None:
        assert not waited
        time.sleep(0.02)
        entered.append(keys[0][1])

    threads = [threading.Thread(target=case.open().turn, args=(ANNA, KeyClass.RECORD, enter)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(entered)) == len(entered) == 4
    assert sorted(held.version for held in case.open().held()) == [1, 2, 3, 4, 5]


# --- the keyring key's generation


def test_a_rewrap_keeps_every_key_and_leaves_no_old_copy(case: Case) -> None:
    keyring = case.open()
    scopes = [uuid4() for _ in range(400)]
    for scope in scopes:
        keyring.ensure(scope, KeyClass.RECORD)
    keyring.turn(scopes[0], KeyClass.RECORD, lambda *_: None)
    keys = [keyring.current(scope, KeyClass.RECORD) for scope in scopes]
    old = [wrapped for wrapped, _ in all_wrapped(case)]
    provider = KeyFileProvider(case.root)
    provider.begin_generation()

    assert keyring.rewrap(batch=64) == 401
    assert keyring.rewrap() == 0
    assert {held.generation for held in keyring.held()} == {2}
    assert keyring.check_opens(2) == 401
    left = b"".join(file.read_bytes() for file in case.path.parent.iterdir())
    assert not any(wrapped[:16] in left or wrapped[44:60] in left or wrapped[-16:] in left for wrapped in old)
    provider.destroy_generations_below(2)
    reopened = case.open()
    assert [reopened.current(scope, KeyClass.RECORD) for scope in scopes] == keys


def test_a_rewrap_brings_no_destroyed_key_back(case: Case) -> None:
    keyring, other = case.open(), case.open()
    for scope in (ANNA, BEN):
        keyring.ensure(scope, KeyClass.RECORD)
    KeyFileProvider(case.root).begin_generation()
    unwrap, calls = keyring._provider.unwrap, 0

    def slow(generation: int, context: bytes, wrapped: bytes) -> bytes:
        nonlocal calls
        calls += 1
        other.destroy(ANNA, uuid4(), 17)
        return unwrap(generation, context, wrapped)

    keyring._provider.unwrap = slow  # type: ignore[method-assign]  # this one object stops or waits
    assert keyring.rewrap() == 1
    assert calls == 2, "both were opened before one was destroyed"
    assert [held.scope for held in keyring.held()] == [BEN]


def test_a_new_key_takes_the_generation_that_another_process_began(case: Case) -> None:
    keyring = case.open()
    KeyFileProvider(case.root).begin_generation()
    keyring.ensure(ANNA, KeyClass.RECORD)
    assert [held.generation for held in keyring.held()] == [2]


def test_a_key_that_is_rewrapped_while_it_is_read_opens(case: Case) -> None:
    keyring, other = case.open(), case.open()
    key = keyring.ensure(ANNA, KeyClass.RECORD)
    keyring.forget()
    unwrap, turned = keyring._provider.unwrap, False

    def late(generation: int, context: bytes, wrapped: bytes) -> bytes:
        nonlocal turned
        if not turned:
            turned = True
            provider = KeyFileProvider(case.root)
            provider.begin_generation()
            other.rewrap()
            provider.destroy_generations_below(2)
        return unwrap(generation, context, wrapped)

    keyring._provider.unwrap = late  # type: ignore[method-assign]  # this one object stops or waits
    assert keyring.current(ANNA, KeyClass.RECORD) == key
    assert turned


def test_no_key_is_made_while_the_provider_is_out_of_reach(case: Case) -> None:
    keyring = case.open()
    ben = keyring.ensure(BEN, KeyClass.RECORD)
    away = case.root.with_name("away")
    case.root.rename(away)
    keyring.forget()

    with pytest.raises(KeyProviderUnreachable):
        keyring.ensure(ANNA, KeyClass.RECORD)
    assert keyring.ensure(BEN, KeyClass.RECORD) == ben
    away.rename(case.root)
    keyring.ensure(ANNA, KeyClass.RECORD)


def test_while_the_keyring_is_held_still_nobody_else_writes_it(case: Case) -> None:
    keyring, other = case.open(), case.open()
    other._connection.execute("PRAGMA busy_timeout = 50")
    keyring.ensure(BEN, KeyClass.RECORD)
    with keyring.held_still() as oldest:
        assert oldest == 1
        with pytest.raises(NotStored):
            other.ensure(ANNA, KeyClass.RECORD)
    other.ensure(ANNA, KeyClass.RECORD)
