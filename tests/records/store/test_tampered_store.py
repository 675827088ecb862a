"""What is done behind a store's back is refused, or found out before it is believed: on both engines."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from records.errors import LedgerMismatch
from records.store.unit import Committed, Unit
from tests.at_once import commits, together
from tests.check import check_store, tables
from tests.engines import Engine
from tests.units import clear, event, tile

PURGED_FORM = {
    "sqlite": "x'00' || substr(state, 5, 16) || zeroblob(32)",
    "postgres": "'\\x00'::bytea || substring(state from 5 for 16) || sha256(state)",
}
REFUSED = [
    "DELETE FROM stored_events",
    "DELETE FROM ledger",
    "UPDATE ledger SET idx = idx + 100",
    "UPDATE ledger SET entry = entry",
    "UPDATE stored_events SET originator_version = originator_version + 100",
    "UPDATE stored_events SET topic = 'other'",
    "UPDATE stored_events SET state = NULL",
    "UPDATE stored_events SET topic = NULL, state = {purged}",
    "UPDATE stored_events SET originator_version = 100, state = {purged}",
    "UPDATE stored_events SET state = {purged} || {one}",
    "UPDATE stored_events SET state = {one} || state",
    "DELETE FROM log_bodies",
    "UPDATE log_bodies SET body = {one} || body",
    "UPDATE log_bodies SET idx = idx + 100",
    "DELETE FROM log_tiles",
    "UPDATE log_tiles SET hashes = hashes",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_triggers_refuse_a_change(engine: Engine, statement: str) -> None:
    store = engine.open()
    store.commit(event(uuid4(), 0))
    store.commit(Unit(clear=(clear(1),), tiles=(tile(0, 0),)))
    purged, one = PURGED_FORM[engine.name], {"sqlite": "x'01'", "postgres": "'\\x01'::bytea"}[engine.name]
    with pytest.raises(Exception, match="append-only") as refused:
        engine.outside(statement.format(purged=purged, one=one))
    assert type(refused.value).__name__.startswith("Integrity")
    check_store(store)


def test_triggers_allow_exactly_the_purge(engine: Engine) -> None:
    store = engine.open()
    stream = uuid4()
    unit = event(stream, 0)
    store.commit(unit)
    of = unit.appends[0].sealed[0]
    form = "00" + of.key_id.hex() + of.payload_sha256.hex()
    literal = {"sqlite": f"x'{form}'", "postgres": f"'\\x{form}'"}[engine.name]
    engine.outside(f"UPDATE stored_events SET state = {literal}")
    assert store.history(stream)[0].state == bytes.fromhex(form)
    with pytest.raises(Exception, match="append-only"):
        engine.outside(f"UPDATE stored_events SET state = {literal}")
    check_store(store)


def test_an_event_that_was_deleted_is_missed(engine: Engine) -> None:
    store = engine.open()
    stream = uuid4()
    store.commit(event(uuid4(), 0, 4))
    store.commit(event(stream, 0, 3))
    on = {"sqlite": "", "postgres": " ON stored_events"}[engine.name]
    engine.outside(f"DROP TRIGGER events_are_kept{on}", "DELETE FROM stored_events WHERE originator_version = 2")
    with pytest.raises(LedgerMismatch) as missed:
        store.history(stream)
    assert missed.value.index == 5
    assert len(store.history(stream, after=2)) == 1


def test_an_entry_that_was_deleted_is_missed(engine: Engine) -> None:
    store = engine.open()
    stream = uuid4()
    store.commit(event(stream, 0, 3))
    on = {"sqlite": "", "postgres": " ON ledger"}[engine.name]
    engine.outside(f"DROP TRIGGER entries_are_kept{on}", "DELETE FROM ledger WHERE idx = 1")
    with pytest.raises(LedgerMismatch) as missed:
        store.history(stream)
    assert missed.value.index == 2


def test_an_event_that_the_ledger_does_not_name_stops_only_its_own_stream(engine: Engine) -> None:
    store = engine.open()
    forged = UUID(int=7)
    state = {"sqlite": "x'01'", "postgres": "'\\x01'"}[engine.name]
    name = {"sqlite": forged.hex, "postgres": str(forged)}[engine.name]
    engine.outside(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{name}', 1, 'sealed', {state})"
    )
    assert store.history(forged) == []
    units = [event(uuid4(), 0) for _ in range(7)]
    outcomes = together(commits(store, [*units, event(forged, 0)]))
    assert isinstance(outcomes.pop(), LedgerMismatch)
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    assert store.head().next_index == 7
    with pytest.raises(AssertionError, match="does not name"):
        check_store(store)


SWALLOW = {
    "sqlite": "CREATE TRIGGER thief BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END",
    "postgres": "CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER thief BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION thief()",
}
ALTER = {
    "sqlite": "CREATE TRIGGER thief AFTER INSERT ON {table} BEGIN"
    " UPDATE {table} SET {column} = CAST(substr({column}, 1, 100) || zeroblob(8) || substr({column}, 109) AS BLOB)"
    " WHERE rowid = NEW.rowid; END",
    "postgres": "CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN NEW.{column} := set_byte(NEW.{column}, 120, get_byte(NEW.{column}, 120) # 1); RETURN NEW; END';"
    "CREATE TRIGGER thief BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION thief()",
}
STANDS = {"stored_events": "events_stand", "ledger": "entries_stand"}


@pytest.mark.parametrize(("table", "column"), [("stored_events", "state"), ("ledger", "entry")])
@pytest.mark.parametrize("trick", [SWALLOW, ALTER], ids=["swallow", "alter"])
def test_the_read_back_catches_a_trigger(engine: Engine, trick: dict[str, str], table: str, column: str) -> None:
    store = engine.open()
    stream = uuid4()
    store.commit(event(stream, 0))
    on = {"sqlite": "", "postgres": f" ON {table}"}[engine.name]
    engine.outside(f"DROP TRIGGER {STANDS[table]}{on}", trick[engine.name].format(table=table, column=column))
    head, before = store.head(), tables(store)
    with pytest.raises(LedgerMismatch):
        store.commit(event(stream, 1, key=b"k" * 32))
    assert store.head() == head
    assert tables(store) == before
    assert store.idempotency(b"k" * 32) is None
    engine.outside(f"DROP TRIGGER thief{on}")
    store.commit(event(stream, 1, key=b"k" * 32))
    check_store(store)
