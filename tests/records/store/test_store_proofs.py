"""What signs the log lies in the store: clear bodies, hash tiles and checkpoints, on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest

from records.errors import LedgerMismatch
from records.ledger import NO_LEAF, KeyClass, Kind, decode_entry, entry_hash
from records.store import Store
from records.store.unit import Append, CheckpointRow, Committed, LogHead, Tally, Unit
from tests.at_once import in_one_batch
from tests.check import check_store
from tests.engines import Clock, Engine
from tests.units import DEPLOYMENT, clear, created_key, event, sealed, tile


def test_an_empty_log_has_none(store: Store) -> None:
    assert (store.body(0), store.bodies(), store.tile(0, 0), store.checkpoint(), store.checkpoints()) == (
        None,
        [],
        None,
        None,
        [],
    )
    assert store.tally() == Tally(0, -1, 0, 0, 0, 0)


def test_a_clear_entry_stands_first_in_its_unit_and_names_its_body(store: Store) -> None:
    stream = uuid4()
    unit = event(stream, 0)._replace(clear=(clear(0),), keys=(created_key(stream),))
    committed = store.commit(unit)
    assert [index for index, _ in committed.entries] == [0, 2]
    entry = decode_entry(committed.entries[0][1])
    assert (entry.kind, entry.key_class, entry.stream, entry.version) == (Kind.EPOCH, KeyClass.CLEAR, DEPLOYMENT, 0)
    assert (entry.prev_stream_leaf, entry.key_id, entry.content_root) == (NO_LEAF, bytes(16), bytes(32))
    assert (store.body(0), store.body(1), store.bodies()) == (b"0", None, [(0, b"0")])
    assert store.tally() == Tally(3, 2, 1, 1, 1, 1)
    check_store(store)


def test_the_maker_is_told_index_time_and_what_stands_before_it_in_the_batch(store: Store, clock: Clock) -> None:
    store.commit(event(uuid4(), 0, 2))
    clock.us = 2**50
    told: list[tuple[int, int, Sequence[tuple[int, bytes]]]] = []

    def compose(index: int, at_us: int, before: Sequence[tuple[int, bytes]]) -> bytes:
        told.append((index, at_us, before))
        return b"body"

    units = [event(uuid4(), 0), Unit(clear=(clear(1, compose=compose),)), event(uuid4(), 0)]
    outcomes = in_one_batch(store, units)
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    entries = store.entries(-1, 10)
    ((index, at_us, before),) = told
    assert before == tuple(entries[3:4])
    assert (index, at_us) == (4, decode_entry(entries[4][1]).logged_at_us)
    assert (store.bodies(3), store.bodies(4)) == ([(4, b"body")], [])
    check_store(store)


def test_a_maker_that_fails_leaves_nothing_of_its_unit_and_all_of_the_others(store: Store) -> None:
    def compose(_index: int, _at: int, _before: object) -> bytes:
        raise LedgerMismatch("another log")

    failing = event(uuid4(), 0)._replace(clear=(clear(0, compose=compose),), tiles=(tile(0, 0),))
    outcomes = in_one_batch(store, [event(uuid4(), 0), failing, event(uuid4(), 0)])
    assert [type(outcome) for outcome in outcomes] == [Committed, LedgerMismatch, Committed]
    assert (store.bodies(), store.tile(0, 0), store.head().next_index) == ([], None, 3)
    check_store(store)


def test_each_epoch_names_the_one_before_it(store: Store) -> None:
    store.commit(Unit(clear=(clear(0),)))
    store.commit(event(uuid4(), 0))
    first = store.entries(-1, 1)[0][1]
    store.commit(Unit(clear=(clear(1, entry_hash(first)),)))
    assert [index for index, _ in store.bodies()] == [0, 2]
    assert store.head() == LogHead(3, store.head().last_us, -1)
    check_store(store)


def test_tiles_are_kept_and_made_again_only_alike(store: Store) -> None:
    many = tuple(tile(0, n) for n in range(70))
    store.commit(Unit(tiles=many))
    store.commit(Unit(tiles=(many[3], tile(1, 0))))
    assert (store.tile(0, 69), store.tile(1, 0), store.tile(2, 0)) == (many[69].hashes, tile(1, 0).hashes, None)
    with pytest.raises(LedgerMismatch):
        store.commit(Unit(tiles=(tile(1, 1), many[3]._replace(hashes=bytes(8192)))))
    assert (store.tile(0, 3), store.tile(1, 1)) == (many[3].hashes, None)


def test_checkpoints_come_and_go(store: Store) -> None:
    store.commit(Unit(checkpoints=(CheckpointRow(3, b"three"), CheckpointRow(5, b"five"))))
    assert store.checkpoint() == CheckpointRow(5, b"five")
    store.commit(Unit(checkpoints=(CheckpointRow(9, b"nine"),), dropped_checkpoints=(5, 77)))
    store.commit(Unit(checkpoints=(CheckpointRow(9, b"nine, co-signed"),)))
    assert store.checkpoints() == [CheckpointRow(3, b"three"), CheckpointRow(9, b"nine, co-signed")]
    store.commit(Unit(dropped_checkpoints=(9,)))
    assert store.checkpoint() == CheckpointRow(3, b"three")


def test_a_checkpoint_put_twice_in_a_batch_is_the_later_one(store: Store) -> None:
    in_one_batch(store, [Unit(checkpoints=(CheckpointRow(3, word),)) for word in (b"first", b"second", b"third")])
    assert store.checkpoints() == [CheckpointRow(3, b"third")]


@pytest.mark.parametrize("table", ["log_bodies", "log_tiles", "checkpoints"])
def test_a_swallowed_row_is_missed_before_the_commit(engine: Engine, table: str) -> None:
    store = engine.open()
    if engine.name == "sqlite":
        engine.outside(f"CREATE TRIGGER swallow BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END")
    else:
        engine.outside(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
            f"CREATE TRIGGER swallow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION swallow()",
        )
    unit = {
        "log_bodies": Unit(clear=(clear(0),)),
        "log_tiles": Unit(tiles=(tile(0, 0),)),
        "checkpoints": Unit(checkpoints=(CheckpointRow(1, b"note"),)),
    }[table]
    with pytest.raises(LedgerMismatch):
        store.commit(unit)
    assert store.head() == LogHead()
    check_store(store)


def test_the_tally_sees_a_body_that_is_gone(engine: Engine) -> None:
    store = engine.open()
    store.commit(Unit(clear=(clear(0),), appends=(Append(uuid4(), Kind.EVENT, 0, (sealed(),)),)))
    on = {"sqlite": "", "postgres": " ON log_bodies"}[engine.name]
    engine.outside(f"DROP TRIGGER bodies_are_kept{on}", "DELETE FROM log_bodies")
    assert store.tally() == Tally(2, 1, 1, 1, 1, 0)
