"""Closing streams, on both engines: nothing passes a fence, whoever comes at the same moment."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from records.errors import Erased, LostRace
from records.ledger import Kind, decode_entry
from records.store import Store
from records.store.schema import FENCE_PLACE
from records.store.unit import Committed, IdempotencyRow, Reference, RowPut, Unit
from tests.at_once import commits, in_one_batch, together
from tests.check import check_store
from tests.engines import Engine
from tests.units import access, append, created_key, destroyed_key, event, request


def row(place: str, client: UUID) -> RowPut:
    return RowPut(place, client, client, 1, b"sealed")


def fence(*streams: UUID) -> Unit:
    return Unit(fences=streams)


def test_a_fenced_stream_takes_no_event_and_others_do(store: Store) -> None:
    client, other = uuid4(), uuid4()
    store.commit(Unit(appends=(append(client, 0), append(other, 0))))
    store.commit(fence(client))
    with pytest.raises(Erased):
        store.commit(event(client, 1))
    with pytest.raises(Erased):
        store.commit(Unit(appends=(append(other, 1), append(client, 1))))
    store.commit(event(other, 1))
    assert [row.version for row in store.history(client)] == [1]
    check_store(store)


def test_a_fence_that_is_told_twice_is_one(store: Store) -> None:
    client = uuid4()
    store.commit(fence(client))
    store.commit(fence(client, client))
    assert [row.row_id for row in store.rows(FENCE_PLACE)] == [client]


def test_a_fence_stands_after_the_log_is_opened_again(engine: Engine) -> None:
    client = uuid4()
    store = engine.open()
    store.commit(event(client, 0))
    store.commit(fence(client))
    store.close()
    store = engine.open()
    with pytest.raises(Erased):
        store.commit(event(client, 1))
    check_store(store)
    store.close()


def test_of_many_writers_at_the_moment_of_the_fence_none_comes_after_it(store: Store) -> None:
    clients = [uuid4() for _ in range(8)]
    writes = [event(client, 0) for client in clients for _ in range(2)]
    outcomes = together(commits(store, [*writes[:8], fence(*clients), *writes[8:]]))
    assert isinstance(outcomes[8], Committed)
    for unit, outcome in zip(writes, outcomes[:8] + outcomes[9:], strict=True):
        stream = unit.appends[0].stream
        assert isinstance(outcome, Committed | LostRace | Erased)
        assert len(store.history(stream)) <= 1
    for client in clients:
        with pytest.raises(Erased):
            store.commit(event(client, len(store.history(client))))
    check_store(store)


def test_a_fence_holds_inside_the_batch_that_brings_it(store: Store) -> None:
    client = uuid4()
    before, closing, after = in_one_batch(store, [event(client, 0), fence(client), event(client, 1)])
    assert isinstance(before, Committed)
    assert isinstance(closing, Committed)
    assert isinstance(after, Erased)
    assert [row.version for row in store.history(client)] == [1]


def test_a_reading_that_began_before_the_fence_leaves_its_entry_and_no_row(store: Store) -> None:
    client, readings = uuid4(), uuid4()
    store.commit(Unit(fences=(client,)))
    store.commit(access(readings)._replace(puts=(row("view:client", client),)))
    assert len(store.history(readings)) == 1
    assert store.row("view:client", client) is None


def test_a_fenced_client_gets_no_key(store: Store) -> None:
    client, other = uuid4(), uuid4()
    store.commit(fence(client))
    with pytest.raises(Erased):
        store.commit(Unit(keys=(created_key(other), created_key(client))))
    assert store.key_entries() == []
    store.commit(Unit(keys=(created_key(other),)))
    assert len(store.key_entries()) == 1


def test_a_draft_of_a_fenced_stream_is_refused_not_dropped(store: Store) -> None:
    client = uuid4()
    store.commit(fence(client))
    with pytest.raises(Erased):
        store.commit(Unit(puts=(row("draft", client),)))
    assert store.rows("draft") == []


def test_a_scrub_deletes_the_rows_of_one_client_and_leaves_the_fence(store: Store) -> None:
    client, other = uuid4(), uuid4()
    known: list[IdempotencyRow] = []
    for stream in (client, other):
        known.append(request(stream.bytes * 2, stream, 1))
        puts = (row("view:client", stream), row("draft", stream))
        store.commit(Unit(appends=(append(stream, 0),), puts=puts, idempotency=known[-1]))
    store.commit(Unit(fences=(client,), scrubs=(client,)))
    assert store.row("view:client", client) is None
    assert [row.stream for row in store.rows("draft")] == [other]
    assert store.idempotency(known[0].key) is None
    assert store.idempotency(known[1].key) == known[1]
    assert [row.row_id for row in store.rows(FENCE_PLACE)] == [client]
    assert len(store.history(client)) == 1
    check_store(store)


def test_a_destroyed_key_gets_an_entry_outside_the_chains(store: Store) -> None:
    client = uuid4()
    key = created_key(client)
    store.commit(Unit(appends=(append(client, 0),), keys=(key,)))
    store.commit(Unit(destroyed=(destroyed_key(client, key.key_id),)))
    index, raw = store.entries(1, 10)[0]
    entry = decode_entry(raw)
    assert (index, entry.kind, entry.stream, entry.key_id) == (2, Kind.KEY_DESTROYED, client, key.key_id)
    assert [decode_entry(each).kind for _, each in store.key_entries()] == [Kind.KEY_CREATED, Kind.KEY_DESTROYED]
    check_store(store)


def test_what_must_not_have_moved_is_looked_at_in_the_commit(store: Store) -> None:
    client, clinic = uuid4(), uuid4()
    store.commit(event(client, 0, 2))
    with pytest.raises(LostRace):
        store.commit(Unit(appends=(append(clinic, 0),), unmoved=(Reference(client, 1),), fences=(client,)))
    assert store.rows(FENCE_PLACE) == []
    store.commit(Unit(appends=(append(clinic, 0),), unmoved=(Reference(client, 2),), fences=(client,)))
    assert [row.row_id for row in store.rows(FENCE_PLACE)] == [client]
    check_store(store)
