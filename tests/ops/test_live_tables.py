"""The tables of a live log, altered by somebody who has the database: both engines, each with its own answer.

The log is the one written by hand, laid into the product's own tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
import pytest

from ops import verify
from ops.live.log import LiveLog, Tables, postgres_tables, sqlite_tables
from ops.live.schema import AlteredSchema, check_schema
from ops.live.tables import StrayRows, check_tables
from ops.verify import Policy, Verifier
from tests.engines import Engine, PostgresEngine, SqliteEngine
from tests.ops.written_log import SmallClinic, sha, tree


@pytest.fixture(scope="module")
def log() -> SmallClinic:
    """A log of one full tile and some more."""
    log = SmallClinic()
    while len(log.entries) < 300:
        log.note("again")
        log.reading()
    log.keep()
    log.turn()
    log.reading()
    return log


def fill(engine: Engine, log: SmallClinic) -> None:
    """Lay a written log into the tables of an engine."""
    leaves = log.leaves()
    sealed = [(index, log.entries[index], state) for index, state in log.states.items()]
    name = (lambda stream: stream.hex()) if isinstance(engine, SqliteEngine) else _uuid
    rows = {
        "ledger (idx, entry)": list(enumerate(log.entries)),
        "stored_events (originator_id, originator_version, topic, state)": [
            (name(entry[16:32]), int.from_bytes(entry[32:40], "big"), "sealed", state) for _, entry, state in sealed
        ],
        "log_bodies (idx, body)": list(log.bodies.items()),
        "log_tiles (level, n, hashes)": [
            (0, number, b"".join(leaves[256 * number : 256 * number + 256])) for number in range(len(leaves) // 256)
        ],
        "checkpoints (size, note)": [*log.kept.items(), (len(leaves), log.checkpoint())],
    }
    mark = "?" if isinstance(engine, SqliteEngine) else "%s"
    for table, values in rows.items():
        statement = f"INSERT INTO {table} VALUES ({', '.join([mark] * len(values[0]))})"
        if isinstance(engine, SqliteEngine):
            with sqlite3.connect(engine.path) as connection:
                connection.executemany(statement, values)
            connection.close()
        else:
            assert isinstance(engine, PostgresEngine)
            with psycopg.connect(engine.url) as session, session.cursor() as cursor:
                cursor.executemany(statement, values)


def _uuid(stream: bytes) -> str:
    return str(verify.UUID(bytes=stream))


def opened(engine: Engine) -> AbstractContextManager[Tables]:
    if isinstance(engine, SqliteEngine):
        return sqlite_tables(engine.path)
    assert isinstance(engine, PostgresEngine)
    return postgres_tables(engine.url)


def verified(engine: Engine, log: SmallClinic) -> Verifier:
    """Verify the tables; return the run, or raise what ended it."""
    with opened(engine) as tables:
        run = Verifier(LiveLog(tables), Policy(log.fingerprint, now=log.at_us // 1_000_000 + 100))
        run.run()
        events = sum(version for version, _, _ in run.heads.values())
        check_tables(tables, events=events, bodies=run.bodies, signed=run.signed_size, size=run.size)
        check_schema(tables)
        return run


def ends(engine: Engine, log: SmallClinic) -> tuple[str, str, int | None]:
    """What verification ends with: leaf, status, first bad index."""
    with pytest.raises(verify.VerificationError) as raised:
        verified(engine, log)
    return type(raised.value).__name__, raised.value.status, raised.value.index


def test_a_log_in_its_tables_is_whole(engine: Engine, log: SmallClinic) -> None:
    fill(engine, log)
    run = verified(engine, log)
    report = run.report(None)
    assert (report.status, report.exit, report.counts["purged"]) == ("unanchored", 0, 1)
    assert (run.size, run.signed_size, run.bodies) == (len(log.entries), len(log.entries), 3)


def blob(engine: Engine, data: bytes) -> str:
    return f"x'{data.hex()}'" if engine.name == "sqlite" else f"'\\x{data.hex()}'"


def drop(engine: Engine, trigger: str, table: str) -> None:
    engine.outside(f"DROP TRIGGER {trigger}" + ("" if engine.name == "sqlite" else f" ON {table}"))


def version_of(log: SmallClinic, index: int) -> int:
    return int.from_bytes(log.entries[index][32:40], "big")


def where(engine: Engine, log: SmallClinic, index: int) -> str:
    stream = log.entries[index][16:32]
    name = stream.hex() if engine.name == "sqlite" else _uuid(stream)
    return f"originator_id = '{name}' AND originator_version = {version_of(log, index)}"


Attack = Callable[[Engine, SmallClinic], None]
ATTACKS: list[tuple[Attack, tuple[str, str, int | None]]] = []


def attack(leaf: str, status: str, index: int | None) -> Callable[[Attack], Attack]:
    def add(make: Attack) -> Attack:
        ATTACKS.append((make, (leaf, status, index)))
        return make

    return add


@attack("AlteredPayload", "tampered", 100)
def edit(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "events_stand", "stored_events")
    state = log.states[100][:-1] + bytes([log.states[100][-1] ^ 1])
    engine.outside(f"UPDATE stored_events SET state = {blob(engine, state)} WHERE {where(engine, log, 100)}")


@attack("AlteredPayload", "tampered", 100)
def swap_within_a_stream(engine: Engine, log: SmallClinic) -> None:
    swap(engine, log, 100, 102)


@attack("AlteredPayload", "tampered", 100)
def swap_across_streams(engine: Engine, log: SmallClinic) -> None:
    swap(engine, log, 100, 101)


def swap(engine: Engine, log: SmallClinic, one: int, other: int) -> None:
    drop(engine, "events_stand", "stored_events")
    for place, state in ((one, log.states[other]), (other, log.states[one])):
        engine.outside(f"UPDATE stored_events SET state = {blob(engine, state)} WHERE {where(engine, log, place)}")


@attack("AlteredPayload", "tampered", 100)
def older_version_again(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "events_stand", "stored_events")
    state = blob(engine, log.states[98])
    engine.outside(f"UPDATE stored_events SET state = {state} WHERE {where(engine, log, 100)}")


@attack("PurgeUnsaid", "tampered", 100)
def purge_that_no_entry_tells_of(engine: Engine, log: SmallClinic) -> None:
    state = b"\0" + log.entries[100][72:88] + log.entries[100][93:125]
    engine.outside(f"UPDATE stored_events SET state = {blob(engine, state)} WHERE {where(engine, log, 100)}")


@attack("PayloadLost", "tampered", 100)
def delete_an_event(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "events_are_kept", "stored_events")
    engine.outside(f"DELETE FROM stored_events WHERE {where(engine, log, 100)}")


@attack("NotDense", "tampered", 100)
def delete_an_event_with_its_entry(engine: Engine, log: SmallClinic) -> None:
    delete_an_event(engine, log)
    drop(engine, "entries_are_kept", "ledger")
    engine.outside("DELETE FROM ledger WHERE idx = 100")


@attack("AlteredEntry", "tampered", 100)
def delete_and_close_the_gap(engine: Engine, log: SmallClinic) -> None:
    delete_an_event_with_its_entry(engine, log)
    drop(engine, "entries_stand", "ledger")
    move = "UPDATE ledger SET idx = {} WHERE idx {}"
    engine.outside(move.format("-idx", "> 100"), move.format("-idx - 1", "< 0"))


@attack("RolledBack", "rolled-back", 300)
def delete_the_tail(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "entries_are_kept", "ledger")
    drop(engine, "events_are_kept", "stored_events")
    for index in range(300, len(log.entries)):
        if index in log.states:
            engine.outside(f"DELETE FROM stored_events WHERE {where(engine, log, index)}")
    engine.outside("DELETE FROM ledger WHERE idx >= 300", "VACUUM")


@attack("AlteredEntry", "tampered", 100)
def delete_the_middle_and_use_its_rowid_again(engine: Engine, log: SmallClinic) -> None:
    delete_an_event_with_its_entry(engine, log)
    engine.outside("VACUUM")
    entry = log.entries[100][:93] + sha(b"another") + log.entries[100][125:]
    engine.outside(f"INSERT INTO ledger (idx, entry) VALUES (100, {blob(engine, entry)})")


@attack("AlteredEntry", "tampered", 100)
def edit_an_entry(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "entries_stand", "ledger")
    entry = bytearray(log.entries[100])
    entry[130] ^= 1
    engine.outside(f"UPDATE ledger SET entry = {blob(engine, bytes(entry))} WHERE idx = 100")


@attack("AlteredEntry", "tampered", 100)
def edit_an_event_with_its_entry(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "entries_stand", "ledger")
    edit(engine, log)
    state = log.states[100][:-1] + bytes([log.states[100][-1] ^ 1])
    entry = log.entries[100][:93] + sha(state) + log.entries[100][125:]
    engine.outside(f"UPDATE ledger SET entry = {blob(engine, entry)} WHERE idx = 100")


@attack("AlteredEntry", "tampered", 100)
def reorder(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "entries_stand", "ledger")
    engine.outside(
        "UPDATE ledger SET idx = -1 WHERE idx = 100",
        "UPDATE ledger SET idx = 100 WHERE idx = 103",
        "UPDATE ledger SET idx = 103 WHERE idx = -1",
    )


@attack("AlteredEntry", "tampered", 100)
def insert(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "entries_stand", "ledger")
    move = "UPDATE ledger SET idx = {} WHERE idx {}"
    engine.outside(move.format("-idx", ">= 100"), move.format("-idx + 1", "< 0"))
    entry = log.entries[100]
    forged = blob(engine, entry[:16] + bytes(16) + (1).to_bytes(8, "big") + bytes(32) + entry[72:])
    engine.outside(f"INSERT INTO ledger (idx, entry) VALUES (100, {forged})")


@attack("StrayRows", "tampered", None)
def insert_an_event_alone(engine: Engine, log: SmallClinic) -> None:
    name = bytes(16).hex() if engine.name == "sqlite" else _uuid(bytes(16))
    engine.outside(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{name}', 1, 'sealed', {blob(engine, log.states[100])})"
    )


@attack("StrayRows", "tampered", None)
def name_an_event_in_clear(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "events_stand", "stored_events")
    engine.outside(f"UPDATE stored_events SET topic = 'risk.assessed' WHERE {where(engine, log, 100)}")


@attack("StrayRows", "tampered", None)
def put_a_body_in(engine: Engine, log: SmallClinic) -> None:
    engine.outside(f"INSERT INTO log_bodies (idx, body) VALUES (100, {blob(engine, b'body')})")


@attack("MalformedBody", "tampered", 11)
def edit_a_body(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "bodies_stand", "log_bodies")
    engine.outside(f"UPDATE log_bodies SET body = {blob(engine, log.bodies[11][:-1] + b'x')} WHERE idx = 11")


@attack("Incomplete", "incomplete", 11)
def delete_a_body(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "bodies_are_kept", "log_bodies")
    engine.outside("DELETE FROM log_bodies WHERE idx = 11")


@attack("AlteredTile", "tampered", 30)
def edit_a_hash_tile(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "tiles_stand", "log_tiles")
    hashes = b"".join(log.leaves()[:30]) + bytes(32) + b"".join(log.leaves()[31:256])
    engine.outside(f"UPDATE log_tiles SET hashes = {blob(engine, hashes)} WHERE level = 0 AND n = 0")


@attack("AlteredTile", "tampered", None)
def delete_a_hash_tile(engine: Engine, log: SmallClinic) -> None:
    drop(engine, "tiles_are_kept", "log_tiles")
    engine.outside("DELETE FROM log_tiles WHERE n = 0")


@attack("AlteredTile", "tampered", 256)
def put_a_hash_tile_in(engine: Engine, log: SmallClinic) -> None:
    engine.outside(f"INSERT INTO log_tiles (level, n, hashes) VALUES (0, 1, {blob(engine, bytes(8192))})")


@attack("AlteredTile", "tampered", 302)
def put_a_hash_tile_of_no_level_in(engine: Engine, log: SmallClinic) -> None:
    engine.outside(f"INSERT INTO log_tiles (level, n, hashes) VALUES (1, 0, {blob(engine, bytes(8192))})")


@attack("NotSigned", "incomplete", 300)
def delete_the_newest_checkpoint(engine: Engine, log: SmallClinic) -> None:
    # Whoever does so hopes to rewrite what it covered.
    engine.outside("DELETE FROM checkpoints WHERE size > 300")


@attack("NotSigned", "incomplete", 0)
def delete_every_checkpoint(engine: Engine, log: SmallClinic) -> None:
    engine.outside("DELETE FROM checkpoints")


@attack("SignatureMissing", "tampered", None)
def strip_a_signature(engine: Engine, log: SmallClinic) -> None:
    lines = log.checkpoint().split(b"\n")
    put_checkpoint(engine, log, b"\n".join([*lines[:6], b""]))


@attack("MalformedCheckpoint", "tampered", None)
def put_a_checkpoint_under_another_size(engine: Engine, log: SmallClinic) -> None:
    put_checkpoint(engine, log, log.checkpoint(290))


@attack("WrongRoot", "tampered", 300)
def put_another_root_in_a_checkpoint(engine: Engine, log: SmallClinic) -> None:
    put_checkpoint(engine, log, log.checkpoint(root=tree([bytes(32)])))


@attack("BadSignature", "tampered", None)
def put_the_signature_of_another_checkpoint(engine: Engine, log: SmallClinic) -> None:
    lines, other = log.checkpoint().split(b"\n"), log.checkpoint(301).split(b"\n")
    put_checkpoint(engine, log, b"\n".join([*lines[:6], other[6], b""]))


def put_checkpoint(engine: Engine, log: SmallClinic, note: bytes) -> None:
    engine.outside(f"UPDATE checkpoints SET note = {blob(engine, note)} WHERE size = {len(log.entries)}")


@pytest.mark.parametrize(("make", "answer"), ATTACKS, ids=[make.__name__ for make, _ in ATTACKS])
def test_an_attack_is_named(
    engine: Engine, log: SmallClinic, make: Attack, answer: tuple[str, str, int | None]
) -> None:
    fill(engine, log)
    make(engine, log)
    assert ends(engine, log) == answer


SCHEMA_TRICKS = {
    "a trigger is gone": {
        "sqlite": "DROP TRIGGER entries_stand",
        "postgres": "DROP TRIGGER entries_stand ON ledger",
    },
    "a trigger is off": {
        "sqlite": "DROP TRIGGER events_stand",
        "postgres": "ALTER TABLE stored_events DISABLE TRIGGER events_stand",
    },
    "a trigger swallows readings": {
        "sqlite": "CREATE TRIGGER thief BEFORE INSERT ON ledger BEGIN SELECT RAISE(IGNORE)\0 END",
        "postgres": "CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER thief BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION thief()",
    },
    "a trigger allows more": {
        "sqlite": "DROP TRIGGER events_stand;"
        "CREATE TRIGGER events_stand BEFORE UPDATE ON stored_events WHEN 0 BEGIN SELECT 1\0 END",
        "postgres": "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NEW; END'",
    },
    "an index is gone": {"sqlite": "DROP INDEX ledger_chain", "postgres": "DROP INDEX ledger_chain"},
    "an index finds less": {
        "sqlite": "DROP INDEX ledger_keys;"
        "CREATE INDEX ledger_keys ON ledger (idx) WHERE substr(entry, 8, 1) IN (x'03')",
        "postgres": "DROP INDEX ledger_keys;"
        "CREATE INDEX ledger_keys ON ledger (idx) WHERE substring(entry from 8 for 1) IN ('\\x03')",
    },
    "a column was added": {
        "sqlite": "ALTER TABLE ledger ADD COLUMN more TEXT",
        "postgres": "ALTER TABLE ledger ADD COLUMN more text",
    },
    "a rule stands in the way": {
        "sqlite": "CREATE VIEW other AS SELECT * FROM ledger",
        "postgres": "CREATE RULE thief AS ON INSERT TO audit_index DO INSTEAD NOTHING",
    },
    "rows are hidden": {
        "sqlite": "CREATE TABLE hidden (idx INTEGER)",
        "postgres": "ALTER TABLE ledger ENABLE ROW LEVEL SECURITY",
    },
}


@pytest.mark.parametrize("trick", SCHEMA_TRICKS)
def test_a_schema_that_was_touched_is_not_ours(engine: Engine, trick: str) -> None:
    with opened(engine) as tables:
        check_schema(tables)
    statements = SCHEMA_TRICKS[trick][engine.name]
    if engine.name == "sqlite":  # which takes one statement at a time; NUL stands for a semicolon within one
        engine.outside(*(each.replace("\0", ";") for each in statements.split(";")))
    else:
        engine.outside(statements)
    with opened(engine) as tables, pytest.raises(AlteredSchema):
        check_schema(tables)


def test_what_others_keep_beside_us_is_theirs(postgres_engine: PostgresEngine) -> None:
    postgres_engine.outside("CREATE TABLE theirs (id int)", "CREATE VIEW our_count AS SELECT count(*) FROM ledger")
    with opened(postgres_engine) as tables:
        check_schema(tables)


def test_a_value_of_another_type_is_a_defect_and_no_traceback(sqlite_engine: SqliteEngine, log: SmallClinic) -> None:
    fill(sqlite_engine, log)
    drop(sqlite_engine, "entries_stand", "ledger")
    sqlite_engine.outside("UPDATE ledger SET entry = 7 WHERE idx = 100")
    assert ends(sqlite_engine, log) == ("MalformedEntry", "tampered", 100)


def test_a_writer_does_not_disturb(engine: Engine, log: SmallClinic) -> None:
    """The snapshot is of one moment: what is written while it is read is not seen."""
    fill(engine, log)
    with opened(engine) as tables:
        source = LiveLog(tables)
        before = source.checkpoints()
        engine.outside(f"INSERT INTO ledger (idx, entry) VALUES ({len(log.entries)}, {blob(engine, b'x')})")
        assert sum(1 for _ in source.rows()) == before[0].size


def test_the_leaf_of_strays_is_one_of_the_verifier_s() -> None:
    assert issubclass(StrayRows, verify.VerificationError)
