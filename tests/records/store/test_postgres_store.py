"""What only PostgreSQL owes: many processes in one order, and the truth about a commit whose connection was lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from records.errors import LedgerMismatch, LostRace, NotStored, OutcomeUnknown, Unavailable, WellkeptError
from records.ledger import Kind, decode_entry
from records.store.postgres import PostgresStore
from records.store.postgres_batch import _ENDS, _KNOWN, _READ_BACK
from records.store.postgres_connection import connect
from records.store.unit import Committed, LogHead, RowDelete, Unit
from tests.check import check_store
from tests.engines import OURS, Clock, PostgresEngine
from tests.records.store.cut_connection import Cut, CutConnection
from tests.throwaway_postgres import ThrowawayPostgres
from tests.units import access, event, put
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[3]


@pytest.fixture
def proxy(postgres_server: ThrowawayPostgres) -> Iterator[CutConnection]:
    """A way to the server that can be cut."""
    proxy = CutConnection(postgres_server.socket)
    yield proxy
    proxy.close()


TERMINATE = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {OURS}"


# --- many processes

WRITE = """
import sys
from uuid import UUID, uuid4
from records.errors import LostRace
from records.store.postgres import PostgresStore
from tests.engines import Clock
from tests.units import access, event
store = PostgresStore(sys.argv[1], Clock())
shared, contested, own, won = UUID(int=1), UUID(int=2), uuid4(), 0
print("ready", flush=True)
sys.stdin.readline()
for version in range(60):
    store.commit(event(own, version))
    store.commit(access(shared))
    try:
        store.commit(event(contested, len(store.history(contested))))
        won += 1
    except LostRace:
        pass
print(own, won)
store.close()
"""


def test_processes_interleave_in_one_dense_order(postgres_engine: PostgresEngine) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, postgres_engine.url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        said.append(process.communicate(timeout=60)[0].split())
        assert process.returncode == 0
    store = postgres_engine.open()
    check_store(store)
    assert len(store.history(UUID(int=1))) == 3 * 60
    assert len(store.history(UUID(int=2))) == sum(int(won) for _, won in said)
    places = [store.history(UUID(own))[-1].position for own, _ in said]
    first = min(store.history(UUID(own))[-1].position for own, _ in said)
    assert all(store.history(UUID(own))[0].position < first for own, _ in said), f"no interleaving: {places}"


def test_two_stores_of_one_log_see_each_others_writes_at_once(postgres_engine: PostgresEngine) -> None:
    one, other = postgres_engine.open(), postgres_engine.open()
    stream = uuid4()
    one.commit(event(stream, 0, key=b"k" * 32))
    assert other.head() == one.head()
    other.commit(event(stream, 1))
    with pytest.raises(LostRace):
        one.commit(event(stream, 1))
    replay = other.commit(event(stream, 2, key=b"k" * 32)).replay
    assert replay == one.idempotency(b"k" * 32)
    check_store(one)


def test_times_rise_across_processes_with_clocks_apart(postgres_engine: PostgresEngine) -> None:
    behind = Clock()
    behind.us = 1_000
    one, other = postgres_engine.open(), PostgresStore(postgres_engine.url, behind)
    for expected in range(0, 6, 2):
        one.commit(event(UUID(int=1), expected))
        other.commit(event(UUID(int=1), expected + 1))
    other.close()
    times = [decode_entry(entry).logged_at_us for _, entry in one.entries(-1, 10)]
    assert [later - earlier for earlier, later in zip(times[::2], times[1::2], strict=True)] == [1, 1, 1]
    check_store(one)


# --- a connection that is lost


def test_connections_that_ended_while_idle_are_replaced_unseen(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0))
    for version in range(1, 4):
        postgres_engine.outside(TERMINATE)
        store.commit(event(stream, version))
        postgres_engine.outside(TERMINATE)
        assert len(store.history(stream)) == version + 1
    check_store(store)


def test_a_session_that_is_ended_within_its_batch_stores_nothing(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    stream, other = uuid4(), uuid4()
    store.commit(event(stream, 0))
    postgres_engine.outside(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END'",
        "CREATE TRIGGER dawdle BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION dawdle()",
    )
    errors: list[Unavailable] = []

    def write() -> None:
        try:
            store.commit(event(stream, 1, key=b"k" * 32))
        except Unavailable as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    sleeping = f"SELECT pid FROM pg_stat_activity WHERE {OURS} AND wait_event = 'PgSleep'"
    until(lambda: postgres_engine.outside(sleeping))
    postgres_engine.outside(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS} AND wait_event = 'PgSleep'"
    )
    thread.join(PATIENCE_SECONDS)
    assert [type(error) for error in errors] == [NotStored]
    postgres_engine.outside("DROP TRIGGER dawdle ON ledger")
    check_store(store)
    assert store.head().next_index == 1
    assert isinstance(store.commit(event(stream, 1, key=b"k" * 32)), Committed)
    store.commit(event(other, 0))
    check_store(store)


@pytest.mark.parametrize("crash", [False, True], ids=["sessions-ended", "server-crash"])
def test_under_load_nothing_acknowledged_is_lost(
    postgres_engine: PostgresEngine, postgres_server: ThrowawayPostgres, crash: bool
) -> None:
    store = postgres_engine.open()
    acknowledged: list[tuple[int, bytes]] = []
    refused: list[bytes] = []
    errors: list[WellkeptError] = []
    done = threading.Event()

    def write(number: int) -> None:
        stream, version = UUID(int=number), 0
        while not done.is_set():
            key = b"%32d" % (number * 100_000 + version)
            try:
                committed = store.commit(event(stream, version, key=key))
            except (NotStored, OutcomeUnknown):
                # The same request again: were it stored after all, it would not be written twice.
                refused.append(key)
                continue
            except WellkeptError as error:
                errors.append(error)
                return
            if committed.replay is None:
                acknowledged.extend(committed.entries)
            version += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for _ in range(2 if crash else 8):
        before = len(acknowledged)
        until(lambda before=before: len(acknowledged) > before + 100)
        if crash:
            postgres_server.halt(crash=True)
            postgres_server.start()
        else:
            postgres_engine.outside(TERMINATE)
    before = len(acknowledged)
    until(lambda: len(acknowledged) > before + 100)
    done.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert errors == []
    ledger = dict(store.entries(-1, 1_000_000))
    assert all(ledger[index] == entry for index, entry in acknowledged)
    assert postgres_engine.outside("SELECT count(*) FROM idempotency") == [(len(ledger),)]
    check_store(store)


def test_a_server_that_is_away_is_not_stored_and_is_found_again(
    postgres_engine: PostgresEngine, postgres_server: ThrowawayPostgres
) -> None:
    store = postgres_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0))
    postgres_server.halt()
    try:
        with pytest.raises(NotStored):
            store.commit(event(stream, 1))
        with pytest.raises(NotStored):
            store.head()
        with pytest.raises(NotStored):
            postgres_engine.open()
    finally:
        postgres_server.start()
    store.commit(event(stream, 1))
    assert len(store.history(stream)) == 2
    check_store(store)


def test_a_commit_that_never_arrived_is_not_stored(proxy: CutConnection, postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open(url=proxy.url(postgres_engine.url))
    stream, key = uuid4(), b"k" * 32
    store.commit(event(stream, 0))
    proxy.cut = Cut.BEFORE
    with pytest.raises(NotStored):
        store.commit(event(stream, 1, key=key))
    assert proxy.cuts == 1
    assert len(store.history(stream)) == 1
    assert store.commit(event(stream, 1, key=key)).replay is None
    check_store(store)


@pytest.mark.parametrize("cut", [Cut.LATE, Cut.AFTER])
def test_a_commit_whose_answer_was_lost_is_found_and_is_written_once(
    proxy: CutConnection, postgres_engine: PostgresEngine, cut: Cut
) -> None:
    store = postgres_engine.open(url=proxy.url(postgres_engine.url))
    stream, key = uuid4(), b"k" * 32
    store.commit(event(stream, 0))
    proxy.cut = cut
    committed = store.commit(event(stream, 1, key=key))
    assert proxy.cuts == 1
    assert [index for index, _ in committed.entries] == [1]
    assert store.commit(event(stream, 2, key=key)).replay == store.idempotency(key)
    assert [row.entry for row in store.history(stream)][1:] == [committed.entries[0][1]]
    check_store(store)


def test_when_it_cannot_be_found_out_it_is_unknown_and_a_retry_tells(
    proxy: CutConnection, postgres_engine: PostgresEngine
) -> None:
    store = postgres_engine.open(url=proxy.url(postgres_engine.url))
    stream, key = uuid4(), b"k" * 32
    proxy.cut = Cut.AFTER_AND_AWAY
    with pytest.raises(OutcomeUnknown):
        store.commit(event(stream, 0, key=key))
    proxy.away = False
    assert store.commit(event(stream, 0, key=key)).replay == store.idempotency(key)
    assert len(store.history(stream)) == 1
    check_store(store)


@pytest.mark.slow
def test_a_server_that_does_not_see_the_cut_lets_go_in_time(
    proxy: CutConnection, postgres_engine: PostgresEngine
) -> None:
    store, other = postgres_engine.open(url=proxy.url(postgres_engine.url)), postgres_engine.open()
    stream, key = uuid4(), b"k" * 32
    proxy.cut = Cut.SILENT
    with pytest.raises(NotStored):
        store.commit(event(stream, 0, key=key))
    other.commit(event(uuid4(), 0))
    assert store.commit(event(stream, 0, key=key)).replay is None
    check_store(store)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_lost_commit_without_entries_is_told_by_its_transaction(
    proxy: CutConnection, postgres_engine: PostgresEngine, cut: Cut
) -> None:
    store = postgres_engine.open(url=proxy.url(postgres_engine.url))
    row_id = uuid4()
    store.commit(Unit(puts=(put("view:client", row_id, 1, b"row"),)))
    proxy.cut = cut
    drop = Unit(deletes=(RowDelete("view:client", row_id),))
    if cut is Cut.BEFORE:
        with pytest.raises(NotStored):
            store.commit(drop)
        assert store.row("view:client", row_id) is not None
    else:
        store.commit(drop)
        assert store.row("view:client", row_id) is None
    assert proxy.cuts == 1


# --- what is refused


def test_a_database_without_a_log_is_refused(postgres_url: str) -> None:
    with pytest.raises(NotStored, match="holds no log"):
        PostgresStore(postgres_url, Clock())


def test_an_address_without_a_server_is_refused_without_naming_it() -> None:
    url = "postgresql://somebody:secret@127.0.0.1:1/clinic"
    for attempt in (lambda: PostgresStore(url, Clock()), lambda: PostgresStore.create(url)):
        with pytest.raises(NotStored) as refused:
            attempt()
        assert "secret" not in repr(refused.value) + repr(refused.value.__cause__)
        assert "127.0.0.1" not in str(refused.value)


def test_making_a_log_leaves_all_or_nothing(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE audit_position (other text)")
        with pytest.raises(NotStored):
            PostgresStore.create(postgres_url)
        owner.execute("DROP TABLE audit_position")
        assert owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    PostgresStore.create(postgres_url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_head SET next_index = next_index + 1",
        "UPDATE ledger_head SET next_index = next_index - 1",
        "UPDATE ledger_head SET last_us = last_us - 1",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_head",
    ],
)
def test_a_head_that_was_moved_stops_writing(postgres_engine: PostgresEngine, statement: str) -> None:
    store = postgres_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0, 2))
    postgres_engine.outside(statement)
    with pytest.raises(LedgerMismatch):
        store.commit(event(stream, 2))
    assert len(store.history(stream)) == 2


def test_truncating_is_refused_too(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    store.commit(event(uuid4(), 0))
    for table in ("stored_events", "ledger"):
        with pytest.raises(psycopg.IntegrityError, match="append-only"):
            postgres_engine.outside(f"TRUNCATE {table}")
    check_store(store)


def test_a_purge_keeps_the_digest_of_what_stood_there(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    store.commit(event(uuid4(), 0))
    wrong = "'\\x00'::bytea || substring(state from 5 for 16) || sha256(state || '\\x00')"
    with pytest.raises(psycopg.IntegrityError, match="append-only"):
        postgres_engine.outside(f"UPDATE stored_events SET state = {wrong}")
    check_store(store)


# --- speed that lasts


def test_every_question_of_a_batch_is_answered_by_an_index(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0, 40))
    store.commit(access(stream))
    asked = [
        (_ENDS, ("{" + str(stream) + "}",)),
        (_KNOWN, ([b"k" * 32],)),
        (_READ_BACK, (3,)),
    ]
    with connect(store._conninfo) as connection:
        for question, arguments in asked:
            plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + question, arguments))
            for line in plan.splitlines():
                assert "Seq Scan" not in line
                assert not line.strip().startswith(("Hash Join", "Merge Join", "Sort")) or "unnest" in line
            assert "Index Cond" in plan


def test_the_log_knows_its_kinds(postgres_engine: PostgresEngine) -> None:
    store = postgres_engine.open()
    store.commit(access(uuid4()))
    assert store.head() == LogHead(1, store.head().last_us, -1)
    assert decode_entry(store.entries(-1, 1)[0][1]).kind is Kind.ACCESS
