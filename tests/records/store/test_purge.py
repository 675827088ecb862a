"""Purging what an erasure left, on both engines: each event keeps its digest and gets its entry; nothing else goes."""

from __future__ import annotations

import hashlib
import sqlite3
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import make_conninfo

from records.errors import LedgerMismatch, LostRace, NotStored, RuleBroken
from records.ledger import Kind, decode_entry
from records.sealing import PURGED, purged_state
from records.store import Store
from records.store.postgres_purge import vacuum
from records.store.unit import Append, Committed, Reference, Unit
from tests.at_once import commits, in_one_batch, together
from tests.check import check_store, tables
from tests.engines import Engine, PostgresEngine, SqliteEngine
from tests.units import access, append, event, sealed
from tests.waiting import until


def closed(store: Store, count: int = 3) -> UUID:
    """Return a closed stream of some events."""
    stream = uuid4()
    store.commit(event(stream, 0, count))
    store.commit(Unit(fences=(stream,)))
    return stream


def sized(stream: UUID, expected: int, size: int) -> Append:
    """Return an append of one event of a size."""
    return Append(stream, Kind.EVENT, expected, (sealed(size=size),))


def found_in_files(engine: SqliteEngine, states: list[bytes]) -> int:
    """Return how many pieces of these states are in the database's files: the first, a middle and the last ones."""
    held = b"".join(path.read_bytes() for path in engine.path.parent.glob(engine.path.name + "*"))
    pieces = [piece for state in states for piece in (state[20:36], state[len(state) // 2 :][:16], state[-16:])]
    return sum(piece in held for piece in pieces)


def purge(stream: UUID, *versions: int) -> Unit:
    return Unit(purges=tuple(Reference(stream, version) for version in versions))


def told(store: Store, stream: UUID) -> list[tuple[int, bytes]]:
    """Return version and digest of each purge that the log tells of."""
    found = [decode_entry(entry) for _, entry in store.entries(-1, 10_000)]
    return [(e.version, e.payload_sha256) for e in found if e.kind is Kind.PAYLOAD_PURGED and e.stream == stream]


def test_each_event_keeps_its_digest_and_gets_its_entry(store: Store) -> None:
    stream, other = closed(store), closed(store)
    before, kept = store.history(stream), store.history(other)
    size = store.head().next_index
    store.commit(purge(stream, 1, 3))
    after = store.history(stream)
    entries = [decode_entry(row.entry) for row in before]
    assert [row.entry for row in after] == [row.entry for row in before]
    assert [row.state[0] == PURGED for row in after] == [True, False, True]
    for place in (0, 2):
        assert after[place].state == purged_state(entries[place].key_id, hashlib.sha256(before[place].state).digest())
    assert after[1] == before[1]
    assert told(store, stream) == [(1, entries[0].payload_sha256), (3, entries[2].payload_sha256)]
    for (_, encoded), of in zip(store.entries(size - 1, 10), (entries[0], entries[2]), strict=True):
        entry = decode_entry(encoded)
        assert (entry.key_id, entry.key_class, entry.payload_len) == (of.key_id, of.key_class, 0)
        assert entry.content_root == entry.prev_stream_leaf == bytes(32)
    assert store.history(other) == kept
    check_store(store)


def test_what_is_purged_already_is_left_alone(store: Store) -> None:
    stream = closed(store)
    store.commit(purge(stream, 1, 2))
    head, before = store.head(), tables(store)
    store.commit(purge(stream, 2, 1))
    assert (store.head(), tables(store)) == (head, before)
    store.commit(purge(stream, 1, 2, 3, 3))
    assert [version for version, _ in told(store, stream)] == [1, 2, 3]
    check_store(store)


def test_of_many_who_purge_at_once_each_event_is_told_once(store: Store) -> None:
    stream = closed(store, 8)
    outcomes = together(commits(store, [purge(stream, *range(1, 9)) for _ in range(6)]))
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    assert [version for version, _ in told(store, stream)] == list(range(1, 9))
    check_store(store)


def test_only_what_an_erasure_closed_is_purged(store: Store) -> None:
    """The event of a living client stays, in whatever company it is asked for."""
    living, gone = uuid4(), closed(store)
    store.commit(event(living, 0, 2))
    head, before = store.head(), tables(store)
    for unit in (
        purge(living, 1),
        Unit(purges=(Reference(gone, 1), Reference(living, 1))),
        # A stream that is only being closed was not erased yet.
        purge(living, 1)._replace(fences=(living,)),
    ):
        with pytest.raises(RuleBroken) as refused:
            store.commit(unit)
        assert refused.value.rule == "not-erased"
    assert (store.head(), tables(store)) == (head, before)
    store.commit(event(living, 2))
    check_store(store)


def test_a_refused_purge_touches_no_other_unit_of_its_batch(store: Store) -> None:
    living, gone, other = uuid4(), closed(store), uuid4()
    store.commit(event(living, 0))
    refused, done, written = in_one_batch(store, [purge(living, 1), purge(gone, 2), event(other, 0)])
    assert isinstance(refused, RuleBroken)
    assert isinstance(done, Committed)
    assert isinstance(written, Committed)
    assert [version for version, _ in told(store, gone)] == [2]
    check_store(store)


def test_a_purge_rides_along_or_not_at_all(store: Store) -> None:
    stream, other = closed(store), uuid4()
    store.commit(event(other, 0))
    before = tables(store)
    with pytest.raises(LostRace):
        store.commit(Unit(appends=(append(other, 5),), purges=(Reference(stream, 1),)))
    assert tables(store) == before
    store.commit(Unit(appends=(append(other, 1),), purges=(Reference(stream, 1),)))
    assert [version for version, _ in told(store, stream)] == [1]
    check_store(store)


def test_a_purge_of_what_is_not_there_is_a_mismatch(store: Store) -> None:
    stream = closed(store, 2)
    before = tables(store)
    for reference in (Reference(stream, 3), Reference(stream, 0)):
        with pytest.raises(LedgerMismatch):
            store.commit(Unit(purges=(reference,)))
    assert tables(store) == before


def test_what_is_not_what_was_logged_is_not_purged(engine: Engine) -> None:
    """A purge would hide that somebody had altered it."""
    store = engine.open()
    stream = closed(store, 2)
    on = {"sqlite": "", "postgres": " ON stored_events"}[engine.name]
    one = {"sqlite": "CAST(state || x'01' AS BLOB)", "postgres": "state || '\\x01'::bytea"}[engine.name]
    engine.outside(
        f"DROP TRIGGER events_stand{on}", f"UPDATE stored_events SET state = {one} WHERE originator_version = 2"
    )
    before = tables(store)
    with pytest.raises(LedgerMismatch, match="not what was logged") as found:
        store.commit(purge(stream, 1, 2))
    assert found.value.index == 1
    assert tables(store) == before
    store.commit(purge(stream, 1))


def test_what_was_purged_past_the_store_gets_no_entry_from_it(engine: Engine) -> None:
    """Else whoever has the database could have any ciphertext taken away and the log would say that it was in order."""
    store = engine.open()
    stream = closed(store, 2)
    entry = decode_entry(store.history(stream)[0].entry)
    form = purged_state(entry.key_id, entry.payload_sha256).hex()
    literal = {"sqlite": f"x'{form}'", "postgres": f"'\\x{form}'"}[engine.name]
    engine.outside(f"UPDATE stored_events SET state = {literal} WHERE originator_version = 1")
    store.commit(purge(stream, 1, 2))
    assert [version for version, _ in told(store, stream)] == [2]


SWALLOW = {
    "sqlite": "CREATE TRIGGER thief BEFORE UPDATE ON stored_events BEGIN SELECT RAISE(IGNORE); END",
    "postgres": "CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER thief BEFORE UPDATE ON stored_events FOR EACH ROW EXECUTE FUNCTION thief()",
}
ALTER = {
    "sqlite": "CREATE TRIGGER thief AFTER UPDATE ON stored_events WHEN substr(NEW.state, 18) <> zeroblob(32) BEGIN"
    " UPDATE stored_events SET state = CAST(substr(state, 1, 17) || zeroblob(32) AS BLOB)"
    " WHERE rowid = NEW.rowid; END",
    "postgres": "CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN NEW.state := set_byte(NEW.state, 20, get_byte(NEW.state, 20) # 1); RETURN NEW; END';"
    "CREATE TRIGGER thief BEFORE UPDATE ON stored_events FOR EACH ROW EXECUTE FUNCTION thief()",
}


@pytest.mark.parametrize("trick", [SWALLOW, ALTER], ids=["swallow", "alter"])
def test_the_read_back_catches_a_trigger(engine: Engine, trick: dict[str, str]) -> None:
    store = engine.open()
    stream = closed(store)
    on = {"sqlite": "", "postgres": " ON stored_events"}[engine.name]
    engine.outside(f"DROP TRIGGER events_stand{on}", trick[engine.name])
    before = tables(store)
    with pytest.raises(LedgerMismatch):
        store.commit(purge(stream, 1, 2))
    assert tables(store) == before
    engine.outside(f"DROP TRIGGER thief{on}")
    store.commit(purge(stream, 1, 2))
    check_store(store)


def test_a_purge_stands_after_the_log_is_opened_again(engine: Engine) -> None:
    store = engine.open()
    stream = closed(store)
    store.commit(purge(stream, 1, 2, 3))
    store.close()
    store = engine.open()
    assert {row.state[0] for row in store.history(stream)} == {PURGED}
    store.commit(access(uuid4()))
    store.commit(event(uuid4(), 0))
    check_store(store)
    store.close()


def test_who_only_reads_purges_and_sweeps_nothing(engine: Engine) -> None:
    stream = closed(engine.open())
    reading = engine.open(read_only=True)
    with pytest.raises(NotStored):
        reading.commit(purge(stream, 1))
    with pytest.raises(NotStored):
        reading.sweep()


def test_a_sweep_may_be_done_again(store: Store) -> None:
    stream = closed(store)
    assert store.sweep()
    store.commit(purge(stream, 1))
    assert store.sweep()
    assert store.sweep()
    store.commit(event(uuid4(), 0))
    check_store(store)


# --- the rows of PostgreSQL


@pytest.mark.postgres
def test_a_sweep_says_so_where_the_role_may_not_vacuum(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    stream = closed(store)
    store.commit(purge(stream, 1, 2, 3))
    role = f"clerk_{uuid4().hex}"
    postgres_engine.outside(f"CREATE ROLE {role} LOGIN")
    try:
        assert not vacuum(make_conninfo(store._conninfo, user=role))
    finally:
        postgres_engine.outside(f"DROP ROLE {role}")
    assert vacuum(store._conninfo)
    with pytest.raises(NotStored):
        vacuum(make_conninfo(store._conninfo, dbname="nowhere"))


@pytest.mark.postgres
def test_a_sweep_leaves_no_old_row(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    stream = closed(store, 50)
    store.commit(purge(stream, *range(1, 51)))
    vacuumed = (
        "SELECT last_vacuum IS NOT NULL AND n_dead_tup = 0 FROM pg_stat_all_tables WHERE relname = 'stored_events'"
    )
    assert postgres_engine.outside(vacuumed) == [(False,)]
    assert store.sweep()
    until(lambda: postgres_engine.outside(vacuumed) == [(True,)])


# --- the files of SQLite


@pytest.mark.parametrize("sizes", [(600,), (600, 3000, 9000), (40, 5000, 700, 70)], ids=str)
def test_the_ciphertext_is_in_no_file_afterwards(sqlite_engine: SqliteEngine, sizes: tuple[int, ...]) -> None:
    """Streams lie mixed in the pages, and pages were split and filled before."""
    store = sqlite_engine.open()
    gone, kept = uuid4(), uuid4()
    for version in range(120):
        size = sizes[version % len(sizes)]
        for stream, expected in ((gone, version), (kept, version), (uuid4(), 0)):
            store.commit(Unit(appends=(sized(stream, expected, size),)))
    store.commit(Unit(fences=(gone,)))
    states = [row.state for row in store.history(gone)]
    living = [row.state for row in store.history(kept)]
    assert found_in_files(sqlite_engine, states) > 0
    for first in range(1, 121, 50):
        store.commit(purge(gone, *range(first, min(first + 50, 121))))
    assert found_in_files(sqlite_engine, states) > 0, "the journal still holds it, or this test cannot fail"
    assert store.sweep()
    assert found_in_files(sqlite_engine, states) == 0
    assert found_in_files(sqlite_engine, living) > 0
    check_store(store)


def test_a_reader_keeps_the_journal_and_the_next_sweep_takes_it(
    sqlite_engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("records.store.sqlite_purge.WAIT_MS", 50)
    store = sqlite_engine.open()
    stream = closed(store)
    reader = sqlite3.connect(sqlite_engine.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM ledger").fetchone() == (3,)
    store.commit(purge(stream, 1, 2, 3))
    assert not store.sweep()
    reader.close()
    assert store.sweep()
    assert sqlite_engine.path.with_name(sqlite_engine.path.name + "-wal").stat().st_size == 0
