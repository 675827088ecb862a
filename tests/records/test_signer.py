"""The signer: it signs what it followed itself, goes on from any crash, and stops at any difference."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from records.checkpoint import epoch_of
from records.epoch import EpochBody, RestoreBody, decode
from records.errors import IntegrityFailure, KeyMissing, LedgerMismatch, NotStored, OutcomeUnknown
from records.genesis import declare_restore
from records.key_provider import KeyFileProvider
from records.ledger import Kind, decode_entry
from records.merkle import root
from records.scrub import scrub
from records.signer import EPOCH_SECONDS
from records.signer_state import SignerState
from records.store import Store
from records.store.unit import Committed, Unit
from tests.engines import Engine
from tests.signer_log import DEPLOYMENT, SECRET, Log
from tests.units import event


class Broken(Exception):
    """The process ended here."""


class FaultyState:
    """The signer's state that ends the process before a call of one name."""

    def __init__(self, state: SignerState, name: str) -> None:
        self._state, self._name = state, name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise Broken
        return getattr(self._state, name)


class FaultyStore:
    """The store that ends the process, or loses its answer, at a commit that a test picks."""

    def __init__(self, store: Store, picks: Callable[[Unit], bool], *, stored: bool, error: type[Exception]) -> None:
        self._store, self._picks, self._stored, self._error = store, picks, stored, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, unit: Unit) -> Committed:
        if not self._picks(unit):
            return self._store.commit(unit)
        if self._stored:
            self._store.commit(unit)
        raise self._error("here")


def of_leaf(unit: Unit) -> bool:
    return bool(unit.clear)


def of_checkpoint(unit: Unit) -> bool:
    return bool(unit.checkpoints)


@pytest.fixture
def log(engine: Engine, tmp_path: Path) -> Iterator[Log]:
    (tmp_path / "keys").mkdir()
    made = Log(engine, tmp_path / "keys")
    yield made
    made.check()


def test_a_log_begins_with_its_genesis(log: Log) -> None:
    entry = decode_entry(log.entries()[0])
    assert (entry.kind, entry.version, entry.stream) == (Kind.EPOCH, 0, DEPLOYMENT)
    body = decode(log.store.body(0) or b"")
    assert isinstance(body, EpochBody)
    assert body.genesis is not None
    assert [row.size for row in log.store.checkpoints()] == [1]


def test_it_signs_what_is_stored_and_says_how_far_behind_it_is(log: Log) -> None:
    signer = log.signer()
    assert signer.lag() == (0, 0.0)
    log.write(3)
    assert signer.lag() == (7, 0.0)
    log.monotonic = 0.75
    assert signer.lag() == (7, 0.75)
    signer.flush()
    assert signer.lag() == (0, 0.0)
    assert signer.signed() == (8, root(log.entries()))
    signer.flush()
    assert [row.size for row in log.store.checkpoints()] == [1, 8]


def test_full_tiles_are_stored_and_survive_a_start(log: Log) -> None:
    signer = log.signer()
    log.store.commit(event(uuid4(), 0, 200))
    signer.flush()
    assert log.store.tile(0, 0) is None
    log.store.commit(event(uuid4(), 0, 400))
    log.signer().flush()
    assert (log.store.tile(0, 1) is not None, log.store.tile(0, 2)) == (True, None)


def test_only_the_checkpoints_that_are_needed_are_kept(log: Log) -> None:
    signer = log.signer()
    for _ in range(4):
        log.write()
        signer.flush()
    assert [row.size for row in log.store.checkpoints()] == [1, 13]
    signer.turn_epoch()
    for _ in range(3):
        log.write()
        signer.flush()
    assert [row.size for row in log.store.checkpoints()] == [1, 13, 14, 23]


def test_an_epoch_hands_over_to_new_keys_and_destroys_the_old_ones(log: Log) -> None:
    signer = log.signer()
    log.write()
    old = log.state.epoch_keys(0)
    signer.turn_epoch()
    assert log.state.epochs() == [1]
    with pytest.raises(KeyMissing):
        log.state.epoch_keys(0)
    index, data = log.store.bodies()[-1]
    body = decode(data)
    assert (body.epoch, body.size, body.next_keys) == (1, index, log.state.epoch_keys(1).public)
    assert body.next_keys != old.public
    row = log.store.checkpoint()
    assert row is not None
    assert (row.size, epoch_of(row.note)) == (index + 1, 1)


def test_an_epoch_is_due_after_a_day_also_across_starts(log: Log) -> None:
    log.engine.clock.us = 2**51
    signer = log.signer()
    signer.turn_epoch()
    assert not signer.epoch_is_due()
    log.monotonic += EPOCH_SECONDS - 1
    assert not signer.epoch_is_due()
    log.monotonic += 1
    assert signer.epoch_is_due()
    signer.turn_epoch()
    assert not signer.epoch_is_due()
    log.engine.clock.us += (int(EPOCH_SECONDS) + 1) * 1_000_000
    assert log.signer().epoch_is_due()


def test_an_epoch_in_one_batch_with_others_states_exactly_what_stands_below_it(log: Log) -> None:
    signer = log.signer()
    log.write()

    class Crowded:
        """A store at which others write at the very moment of the epoch."""

        def __getattr__(self, name: str) -> Any:
            return getattr(log.store, name)

        def commit(self, unit: Unit) -> Committed:
            if unit.clear:
                log.write()
            return log.store.commit(unit)

    signer._store = Crowded()  # type: ignore[assignment]  # it stands in for the store
    signer.turn_epoch()
    assert log.store.bodies()[-1][0] == 7


# --- a crash at each step of an epoch, and the start after it

STEPS: dict[str, Callable[[Log], tuple[Any, Any]]] = {
    "before the next key is durable": lambda log: (None, FaultyState(log.state, "ensure_epoch")),
    "before the leaf": lambda log: (FaultyStore(log.store, of_leaf, stored=False, error=Broken), None),
    "after the leaf": lambda log: (FaultyStore(log.store, of_leaf, stored=True, error=Broken), None),
    "before the first checkpoint": lambda log: (FaultyStore(log.store, of_new, stored=False, error=Broken), None),
    "after the first checkpoint": lambda log: (FaultyStore(log.store, of_new, stored=True, error=Broken), None),
    "before the old key is destroyed": lambda log: (None, FaultyState(log.state, "destroy_other_epochs")),
    "before the snapshot": lambda log: (None, FaultyState(log.state, "keep_snapshot")),
}
NAMED = {"before the next key is durable": 0, "before the leaf": 0}


def of_new(unit: Unit) -> bool:
    return any(epoch_of(row.note) == 1 for row in unit.checkpoints)


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_of_an_epoch_is_mended_by_the_next_start(log: Log, step: str) -> None:
    log.write()
    log.signer().flush()
    log.write()
    store, state = STEPS[step](log)
    with pytest.raises(Broken):
        log.signer(store, state).turn_epoch()
    again = log.signer()
    named = NAMED.get(step, 1)
    assert log.state.epochs() == [named], "one key, the one that the log names"
    log.write()
    again.flush()
    again.turn_epoch()
    assert log.state.epochs() == [named + 1]
    assert again.lag() == (0, 0.0)
    assert log.alarms == []


@pytest.mark.parametrize("stored", [False, True])
def test_a_leaf_whose_answer_was_lost_is_gone_on_from(log: Log, stored: bool) -> None:
    store = FaultyStore(log.store, of_leaf, stored=stored, error=OutcomeUnknown)
    signer = log.signer(store)
    with pytest.raises(OutcomeUnknown):
        signer.turn_epoch()
    signer._store = log.store
    signer.flush()
    assert log.signer().lag() == (0, 0.0)
    assert log.state.epochs() == [1 if stored else 0]
    signer.turn_epoch()
    assert log.state.epochs() == [2 if stored else 1]


@pytest.mark.parametrize(("stored", "error"), [(False, NotStored), (False, OutcomeUnknown), (True, OutcomeUnknown)])
def test_a_checkpoint_whose_answer_was_lost_is_gone_on_from(log: Log, stored: bool, error: type[Exception]) -> None:
    signer = log.signer(FaultyStore(log.store, of_checkpoint, stored=stored, error=error))
    log.write()
    with pytest.raises(error):
        signer.flush()
    log.write()
    signer._store = log.store
    signer.flush()
    assert signer.lag() == (0, 0.0)
    assert not signer.stopped


def test_a_crash_between_the_checkpoint_and_the_position_is_mended(log: Log) -> None:
    log.write()
    with pytest.raises(Broken):
        log.signer(state=FaultyState(log.state, "keep_position")).flush()
    assert log.state.position().size == 1
    log.signer()
    assert log.state.position().size == 4


def test_the_keys_on_disk_open_nowhere_else(log: Log, tmp_path: Path) -> None:
    other = SignerState(log.folder, uuid4(), KeyFileProvider(tmp_path / "keys" / "root.key"))
    with pytest.raises(KeyMissing):
        other.log_key()
    (log.folder / "epoch-7.key").write_bytes((log.folder / "epoch-0.key").read_bytes())
    with pytest.raises(KeyMissing):
        log.state.epoch_keys(7)
    (log.folder / "epoch-7.key").unlink()
    for file in log.folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert SECRET not in file.read_bytes()


@pytest.mark.parametrize("gone", ["log.key", "epoch-0.key", "frontier", "snapshot"])
def test_without_its_state_it_does_not_start(log: Log, gone: str) -> None:
    (log.folder / gone).unlink()
    with pytest.raises(KeyMissing, match=r"recover-the-signer\.md"):
        log.signer()


# --- it never signs what the database says


def triggers(engine: Engine) -> dict[str, str]:
    return {
        name: {"sqlite": "", "postgres": f" ON {table}"}[engine.name]
        for name, table in (
            ("entries_stand", "ledger"),
            ("entries_are_kept", "ledger"),
            ("bodies_stand", "log_bodies"),
            ("events_stand", "stored_events"),
            ("tiles_stand", "log_tiles"),
        )
    }


FLIPPED = {
    "sqlite": "CAST(substr(entry, 1, 100) || zeroblob(8) || substr(entry, 109) AS BLOB)",
    "postgres": "overlay(entry placing '\\x0000000000000000'::bytea from 101 for 8)",
}
DAMAGE = {
    "an entry that was signed is altered": ("UPDATE ledger SET entry = {flipped} WHERE idx = 2", 1),
    "an entry that was not signed is altered": ("UPDATE ledger SET entry = {flipped} WHERE idx = 6", 1),
    "the newest checkpoint is gone": ("DELETE FROM checkpoints WHERE size > 1", 0),
    "all checkpoints are gone": ("DELETE FROM checkpoints", 0),
    "an older checkpoint stands as the newest": (
        "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 1)",
        0,
    ),
}


@pytest.fixture
def damaged(engine: Engine, tmp_path: Path) -> Log:
    (tmp_path / "keys").mkdir()
    made = Log(engine, tmp_path / "keys")
    made.write()
    made.signer().flush()
    made.store.commit(event(uuid4(), 0, 3))
    return made


@pytest.mark.parametrize("what", DAMAGE)
def test_a_start_refuses_a_log_that_is_not_the_signed_one(damaged: Log, what: str) -> None:
    statement, _ = DAMAGE[what]
    drop = [f"DROP TRIGGER {name}{on}" for name, on in triggers(damaged.engine).items()]
    before = damaged.store.checkpoints()
    damaged.engine.outside(*drop, statement.format(flipped=FLIPPED[damaged.engine.name]))
    with pytest.raises(IntegrityFailure):
        damaged.signer()
    assert len(damaged.store.checkpoints()) <= len(before), "nothing was signed"


@pytest.mark.parametrize("what", [what for what, (_, at_start) in DAMAGE.items() if not at_start])
def test_a_running_signer_stops_at_a_checkpoint_that_is_not_its_own(damaged: Log, what: str) -> None:
    signer = damaged.signer()
    damaged.engine.outside(DAMAGE[what][0])
    for _ in range(2):
        with pytest.raises(IntegrityFailure):
            signer.flush()
    assert signer.stopped
    assert [code for code, _ in damaged.alarms] == ["signer-stopped"]


def test_a_running_signer_stops_at_an_entry_that_does_not_follow(damaged: Log) -> None:
    signer = damaged.signer()
    signer.flush()
    size = signer.signed()[0]
    damaged.write()
    drop = [f"DROP TRIGGER {name}{on}" for name, on in triggers(damaged.engine).items()]
    damaged.engine.outside(*drop, f"UPDATE ledger SET entry = {KIND_9[damaged.engine.name]} WHERE idx = {size + 1}")
    with pytest.raises(LedgerMismatch) as found:
        signer.flush()
    assert found.value.index == size + 1
    assert signer.signed()[0] == size
    assert damaged.alarms == [("signer-stopped", {"index": size + 1, "error": "LedgerMismatch"})]


KIND_9 = {
    "sqlite": "substr(entry, 1, 7) || x'09' || substr(entry, 9)",
    "postgres": "overlay(entry placing '\\x09'::bytea from 8 for 1)",
}


def test_an_event_of_today_that_was_altered_is_found_at_the_start(damaged: Log) -> None:
    on = triggers(damaged.engine)["events_stand"]
    one = {"sqlite": "x'01'", "postgres": "'\\x01'::bytea"}[damaged.engine.name]
    damaged.engine.outside(f"DROP TRIGGER events_stand{on}", f"UPDATE stored_events SET state = {one} || state")
    with pytest.raises(LedgerMismatch, match="not what was logged at index 4"):
        damaged.signer()
    # Those that were signed are broken seals, to be told and shown as gaps.
    assert damaged.alarms[0] == ("seal-broken", {"index": 1, "error": "LedgerMismatch"})


def test_an_event_of_today_that_was_signed_and_altered_is_told_and_hides_nothing_else(damaged: Log) -> None:
    damaged.signer().flush()
    on = triggers(damaged.engine)["events_stand"]
    one = {"sqlite": "x'01'", "postgres": "'\\x01'::bytea"}[damaged.engine.name]
    damaged.engine.outside(f"DROP TRIGGER events_stand{on}", f"UPDATE stored_events SET state = {one} || state")
    signer = damaged.signer()
    assert damaged.alarms == [("seal-broken", {"index": 1, "error": "LedgerMismatch"})]
    damaged.write()
    signer.flush()


def test_the_scrub_finds_what_was_altered_long_ago(damaged: Log) -> None:
    signer = damaged.signer()
    signer.turn_epoch()
    damaged.store.commit(event(uuid4(), 0, 300))
    signer.flush()
    assert list(scrub(damaged.store, signer.signed)) == [256, 308]
    on = triggers(damaged.engine)["tiles_stand"]
    damaged.engine.outside(f"DROP TRIGGER tiles_stand{on}", "UPDATE log_tiles SET level = 5")
    with pytest.raises(LedgerMismatch, match="tile"):
        list(scrub(damaged.store, signer.signed))
    damaged.engine.outside("UPDATE log_tiles SET level = 0")
    on = triggers(damaged.engine)["events_stand"]
    one = {"sqlite": "x'01'", "postgres": "'\\x01'::bytea"}[damaged.engine.name]
    damaged.engine.outside(f"DROP TRIGGER events_stand{on}", f"UPDATE stored_events SET state = {one} || state")
    with pytest.raises(LedgerMismatch) as found:
        list(scrub(damaged.store, signer.signed))
    assert found.value.index == 1


def test_the_scrub_finds_a_log_that_was_written_anew(damaged: Log) -> None:
    signer = damaged.signer()
    signer.flush()
    size, _ = signer.signed()
    with pytest.raises(LedgerMismatch, match="not the one that was signed"):
        list(scrub(damaged.store, lambda: (size, os.urandom(32))))


# --- a restore that is declared


def test_a_declared_restore_begins_again_under_the_recovery_key(log: Log) -> None:
    signer = log.signer()
    log.write()
    signer.turn_epoch()
    for file in log.folder.iterdir():
        file.unlink()
    log.folder.rmdir()
    index = declare_restore(log.store, log.state, DEPLOYMENT, SECRET, 99, log.engine.clock)
    body = decode(log.store.body(index) or b"")
    assert isinstance(body, RestoreBody)
    assert (body.epoch, body.size, body.known_size) == (2, index, 99)
    again = log.signer()
    assert again.restored
    log.write()
    again.flush()
    again.turn_epoch()
    assert log.signer().restored


def test_a_rolled_back_log_is_refused_until_it_is_declared(damaged: Log) -> None:
    damaged.signer().flush()
    rolled_back = SignerState(damaged.folder, DEPLOYMENT, damaged.state._provider)
    position = rolled_back.position()
    rolled_back.keep_position(
        type(position)(size=position.size + 5, root=bytes(32), hashes=(bytes(32),) * 2, epoch=position.epoch)
    )
    with pytest.raises(LedgerMismatch, match="ends before what was signed"):
        damaged.signer()
    declare_restore(damaged.store, damaged.state, DEPLOYMENT, SECRET, position.size + 5, damaged.engine.clock)
    assert damaged.signer().restored
    damaged.check()


def test_nobody_declares_a_restore_without_the_recovery_key(log: Log) -> None:
    log.write()
    before = log.entries()
    with pytest.raises(KeyMissing):
        declare_restore(log.store, log.state, DEPLOYMENT, bytes(32), 0, log.engine.clock)
    assert log.entries() == before
    log.signer().flush()
