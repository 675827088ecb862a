"""A commit on PostgreSQL is durable whatever the server, the database or a silent standby makes of it."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from records.errors import NotStored, Unavailable
from records.store.postgres import PostgresStore
from records.store.unit import Committed
from tests.check import check_store
from tests.engines import OURS, PostgresEngine
from tests.throwaway_postgres import ThrowawayPostgres
from tests.units import event
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.postgres


def refusal(store: PostgresStore) -> str:
    """Return why a write is not stored, or nothing when it is."""
    try:
        store.commit(event(uuid4(), 0))
    except NotStored as error:
        return str(error)
    return ""


def test_a_standby_that_does_not_answer_is_waited_for(
    postgres_engine: PostgresEngine, postgres_server: ThrowawayPostgres
) -> None:
    store = postgres_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0))
    outcomes: list[Committed | Unavailable] = []
    enough = threading.Event()
    waiting = f"SELECT pid FROM pg_stat_activity WHERE {OURS} AND wait_event = 'SyncRep'"

    def write() -> None:
        # The server's checkpointer tells its sessions that a standby is wanted, when it comes round to it:
        # until then a commit goes through. So it is written again until one waits.
        while not enough.is_set():
            try:
                outcomes.append(store.commit(event(stream, len(outcomes) + 1)))
            except Unavailable as error:
                outcomes.append(error)
                return

    thread = threading.Thread(target=write)
    postgres_server.settings(synchronous_standby_names="nobody")
    try:
        thread.start()
        until(lambda: postgres_engine.outside(waiting))
        enough.set()
        acknowledged = len(outcomes)
        # An operator gives up the wait: the server answers COMMIT with a warning, and no standby has the batch.
        ((first,),) = postgres_engine.outside(waiting)
        postgres_engine.outside(f"SET synchronous_commit = local; SELECT pg_cancel_backend({first})")
        until(lambda: [pid for (pid,) in postgres_engine.outside(waiting) if pid != first])
        assert len(outcomes) == acknowledged, "a commit was acknowledged that no standby has"
    finally:
        enough.set()
        postgres_server.settings(synchronous_standby_names=None)
    thread.join(PATIENCE_SECONDS)
    assert {type(outcome) for outcome in outcomes} == {Committed}
    assert len(outcomes) == acknowledged + 1
    check_store(store)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_is_not_durable_is_refused_at_once_and_later(
    postgres_engine: PostgresEngine, postgres_server: ThrowawayPostgres, setting: str
) -> None:
    store = postgres_engine.open()
    postgres_server.settings(**{setting: "off"})
    try:
        with pytest.raises(NotStored, match="not durable"):
            postgres_engine.open()
        until(lambda: postgres_engine.outside(f"SHOW {setting}") == [("off",)])
        until(lambda: "not durable" in refusal(store))
    finally:
        postgres_server.settings(**{setting: None})
    until(lambda: refusal(store) == "")
    check_store(store)


@pytest.mark.parametrize(("said", "used"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_is_synchronous_whatever_the_database_says(
    postgres_engine: PostgresEngine, said: str, used: str
) -> None:
    name = postgres_engine.outside("SELECT current_database()")[0][0]
    postgres_engine.outside(f"ALTER DATABASE {name} SET synchronous_commit = {said}")
    store = postgres_engine.open()
    assert store._select("SELECT current_setting('synchronous_commit')", ()) == [(used,)]
    store.commit(event(uuid4(), 0))
