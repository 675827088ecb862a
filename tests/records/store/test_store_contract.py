"""What every store owes, on SQLite and on PostgreSQL: the same tests over real databases."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from records.errors import LostRace, NotStored
from records.ledger import NO_LEAF, KeyClass, Kind, decode_entry, entry_hash
from records.sealing import SealedEvent
from records.store import Store
from records.store.unit import (
    Append,
    AuditBatch,
    AuditRow,
    Committed,
    LogHead,
    RowDelete,
    RowPut,
    Unit,
)
from tests.at_once import commits, in_one_batch, together
from tests.check import check_store
from tests.engines import Clock, Engine
from tests.units import access, append, created_key, event, put, request, sealed

# --- the log


def test_an_empty_log(store: Store) -> None:
    assert store.head() == LogHead()
    assert store.history(uuid4()) == []
    assert list(store.entries(-1, 10)) == []
    assert store.audit_position() == -1
    check_store(store)


def test_events_lie_beside_their_entries(store: Store) -> None:
    stream = uuid4()
    unit = event(stream, 0, 3)
    committed = store.commit(unit)
    assert [index for index, _ in committed.entries] == [0, 1, 2]
    rows = store.history(stream)
    assert [(row.position, row.version) for row in rows] == [(0, 1), (1, 2), (2, 3)]
    assert [row.state for row in rows] == [each.state for each in unit.appends[0].sealed]
    assert [(row.position, row.entry) for row in rows] == list(committed.entries)
    entry = decode_entry(rows[1].entry)
    assert (entry.kind, entry.stream, entry.version) == (Kind.EVENT, stream, 2)
    assert (entry.payload_sha256, entry.content_root) == unit.appends[0].sealed[1][3:]
    check_store(store)


def test_each_entry_names_the_leaf_before_it(store: Store) -> None:
    stream, other = uuid4(), uuid4()
    store.commit(event(stream, 0, 2))
    store.commit(event(other, 0))
    store.commit(Unit(appends=(append(other, 1), append(stream, 2))))
    leaves = [decode_entry(row.entry).prev_stream_leaf for row in store.history(stream)]
    hashes = [entry_hash(row.entry) for row in store.history(stream)]
    assert leaves == [NO_LEAF, *hashes[:-1]]
    check_store(store)


def test_the_index_is_dense_over_units_that_lose(store: Store) -> None:
    stream = uuid4()
    store.commit(event(stream, 0))
    with pytest.raises(LostRace):
        store.commit(event(stream, 0))
    store.commit(event(stream, 1))
    assert [index for index, _ in store.entries(-1, 10)] == [0, 1]
    check_store(store)


def test_times_rise_when_the_clock_stands_or_steps_back(store: Store, clock: Clock) -> None:
    stream = uuid4()
    for at, expected in ((5_000, 0), (5_000, 2), (4_000, 4), (6_000, 6)):
        clock.us = at
        store.commit(event(stream, expected, 2))
    times = [decode_entry(entry).logged_at_us for _, entry in store.entries(-1, 10)]
    assert times == [5_000, 5_001, 5_002, 5_003, 5_004, 5_005, 6_000, 6_001]
    assert store.head().last_us == 6_001
    check_store(store)


def test_a_history_is_cut_where_it_was_asked(store: Store) -> None:
    stream = uuid4()
    store.commit(event(stream, 0, 5))
    assert [row.version for row in store.history(stream, after=2)] == [3, 4, 5]
    assert [row.version for row in store.history(stream, upto=2)] == [1, 2]
    assert [row.version for row in store.history(stream, after=1, upto=4)] == [2, 3, 4]
    assert store.history(stream, after=5) == []


def test_a_large_unit_is_stored_whole(store: Store) -> None:
    stream = uuid4()
    large = Unit(appends=(Append(stream, Kind.EVENT, 0, tuple(sealed(size=4_000) for _ in range(1_000))),))
    store.commit(large)
    assert [row.state for row in store.history(stream)] == [each.state for each in large.appends[0].sealed]
    check_store(store)


def test_entries_come_in_pages(store: Store) -> None:
    store.commit(event(uuid4(), 0, 7))
    assert [index for index, _ in store.entries(-1, 3)] == [0, 1, 2]
    assert [index for index, _ in store.entries(2, 3)] == [3, 4, 5]
    assert [index for index, _ in store.entries(5, 3)] == [6]


def test_clinic_events_and_keys_are_found_apart(store: Store) -> None:
    clinic, client, key = uuid4(), uuid4(), created_key(uuid4())
    store.commit(Unit(appends=(append(client, 0),), keys=(key,)))
    store.commit(Unit(appends=(append(clinic, 0, key_class=KeyClass.CLINIC),)))
    store.commit(
        Unit(appends=(Append(uuid4(), Kind.ACCESS, None, seal=lambda _version, _at: sealed(KeyClass.CLINIC)),))
    )
    assert [index for index, _ in store.clinic_entries(-1)] == [2]
    assert list(store.clinic_entries(2)) == []
    assert store.head() == LogHead(4, store.head().last_us, 2)
    ((index, entry),) = store.key_entries()
    made = decode_entry(entry)
    assert (index, made.kind, made.stream, made.version) == (0, Kind.KEY_CREATED, key.scope, 0)
    assert (made.key_id, made.key_class) == (key.key_id, key.key_class)
    check_store(store)


def test_reopening_continues_the_chain(engine: Engine) -> None:
    stream = uuid4()
    first = engine.open()
    first.commit(event(stream, 0, 2))
    head = first.head()
    first.close()
    again = engine.open()
    assert again.head() == head
    again.commit(event(stream, 2))
    again.commit(access(stream))
    assert [row.version for row in again.history(stream)] == [1, 2, 3, 4]
    check_store(again)


def test_a_reading_store_sees_what_is_committed_and_commits_nothing(engine: Engine) -> None:
    stream = uuid4()
    writing, reading = engine.open(), engine.open(read_only=True)
    writing.commit(event(stream, 0))
    assert reading.head() == writing.head()
    assert len(reading.history(stream)) == 1
    with pytest.raises(NotStored):
        reading.commit(event(stream, 1))
    check_store(writing)


# --- one unit, all or nothing


def test_a_unit_with_a_stale_part_leaves_nothing(store: Store) -> None:
    moved, fresh, row_id, key = uuid4(), uuid4(), uuid4(), b"k" * 32
    store.commit(event(moved, 0))
    unit = Unit(
        appends=(append(fresh, 0), append(moved, 0)),
        keys=(created_key(fresh),),
        puts=(put("view:client", row_id, 1, b"row"),),
        idempotency=request(key, fresh, 1),
        audit=AuditBatch((AuditRow(0, fresh, "actor", "TREAT", 1),), 0),
    )
    with pytest.raises(LostRace):
        store.commit(unit)
    assert store.head().next_index == 1
    assert store.history(fresh) == []
    assert store.row("view:client", row_id) is None
    assert store.idempotency(key) is None
    assert (store.audit_position(), list(store.audit_rows())) == (-1, [])
    check_store(store)


def test_a_seal_that_fails_leaves_nothing(store: Store) -> None:
    def broken(version: int, at_us: int) -> SealedEvent:
        raise ValueError("no key")

    row_id = uuid4()
    unit = Unit(
        appends=(append(uuid4(), 0), Append(uuid4(), Kind.ACCESS, None, seal=broken)),
        puts=(put("view:client", row_id, 1, b"row"),),
    )
    with pytest.raises(ValueError, match="no key"):
        store.commit(unit)
    assert store.head() == LogHead()
    assert store.row("view:client", row_id) is None
    store.commit(event(uuid4(), 0))
    check_store(store)


# --- many threads


def test_one_that_conflicts_loses_alone_beside_31_that_win(store: Store) -> None:
    moved = uuid4()
    store.commit(event(moved, 0))
    units = [event(uuid4(), 0) for _ in range(31)]
    units.insert(16, event(moved, 0))
    outcomes = in_one_batch(store, units)
    assert isinstance(outcomes.pop(16), LostRace)
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    assert store.head().next_index == 1 + 1 + 31
    assert len(store.history(moved)) == 1
    check_store(store)


def test_one_of_many_writers_of_the_same_version_wins(store: Store) -> None:
    stream = uuid4()
    outcomes = together(commits(store, [event(stream, 0) for _ in range(16)]))
    assert sum(isinstance(outcome, Committed) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, LostRace) for outcome in outcomes) == 15
    check_store(store)


def test_readings_of_one_client_never_conflict_and_are_dense(store: Store) -> None:
    stream = uuid4()

    def many() -> Committed:
        return [store.commit(access(stream)) for _ in range(10)][-1]

    assert all(isinstance(outcome, Committed) for outcome in together([many] * 16))
    assert [row.version for row in store.history(stream)] == list(range(1, 161))
    check_store(store)


def test_the_writer_seals_with_the_version_and_time_of_the_entry(store: Store) -> None:
    stream = uuid4()
    seen: list[tuple[int, int]] = []

    def seal(version: int, at_us: int) -> SealedEvent:
        seen.append((version, at_us))
        return sealed(KeyClass.AUDIT_YEAR)

    unit = Unit(appends=(Append(stream, Kind.ACCESS, None, seal=seal),) * 2)
    together(commits(store, [unit] * 8))
    written = [decode_entry(entry) for _, entry in store.entries(-1, 100)]
    assert [(entry.version, entry.logged_at_us) for entry in written] == seen
    assert [entry.kind for entry in written] == [Kind.ACCESS] * 16
    check_store(store)


def test_reading_goes_on_beside_writing(store: Store) -> None:
    stream = uuid4()
    acknowledged: list[Committed] = []
    done = threading.Event()
    seen: list[int] = []

    def write() -> Committed:
        try:
            for version in range(60):
                acknowledged.append(store.commit(event(stream, version)))
            return acknowledged[-1]
        finally:
            done.set()

    def read() -> Committed:
        while not done.is_set():
            before = len(acknowledged)
            rows = store.history(stream)
            assert len(rows) >= before
            assert [row.version for row in rows] == list(range(1, len(rows) + 1))
            assert store.head().next_index >= before
            seen.append(len(rows))
        return Committed()

    outcomes = together([write, *[read] * 4])
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    assert seen
    assert len(store.history(stream)) == 60
    check_store(store)


# --- idempotency


def test_a_known_key_writes_nothing_and_returns_the_first_row(store: Store) -> None:
    stream, key = uuid4(), b"k" * 32
    first = event(stream, 0, key=key)
    store.commit(first)
    again = store.commit(event(stream, 1, key=key))
    assert again == Committed(replay=first.idempotency)
    assert store.idempotency(key) == first.idempotency
    assert store.idempotency(b"x" * 32) is None
    assert len(store.history(stream)) == 1
    check_store(store)


def test_the_same_key_at_the_same_moment_writes_once(store: Store) -> None:
    stream, key = uuid4(), b"k" * 32
    outcomes = in_one_batch(store, [event(stream, 0, key=key) for _ in range(16)])
    assert isinstance(outcomes[0], Committed)
    assert len(outcomes[0].entries) == 1
    assert outcomes[1:] == [Committed(replay=store.idempotency(key))] * 15
    assert len(store.history(stream)) == 1
    check_store(store)


def test_a_request_without_events_is_kept_too(store: Store) -> None:
    row = request(b"k" * 32, uuid4(), 1)._replace(events=(), status=200)
    store.commit(Unit(idempotency=row))
    assert store.idempotency(row.key) == row
    assert store.commit(Unit(idempotency=row)).replay == row


# --- sealed rows


def test_a_view_row_moves_only_forward(store: Store) -> None:
    row_id = uuid4()
    for version, state in ((2, b"two"), (1, b"one"), (2, b"again"), (3, b"three")):
        store.commit(Unit(puts=(put("view:client", row_id, version, state),)))
    row = store.row("view:client", row_id)
    assert row is not None
    assert (row.version, row.state) == (3, b"three")


def test_a_draft_may_be_replaced_by_any_revision_and_deleted(store: Store) -> None:
    row_id = uuid4()
    for version in (2, 1):
        store.commit(Unit(puts=(put("draft", row_id, version, b"text", only_forward=False),)))
    row = store.row("draft", row_id)
    assert row is not None
    assert row.version == 1
    store.commit(Unit(deletes=(RowDelete("draft", row_id), RowDelete("draft", uuid4()))))
    assert store.row("draft", row_id) is None


@pytest.mark.parametrize(
    ("puts", "expected"),
    [
        ([(1, True), (2, True)], 5),
        ([(6, True), (7, True)], 7),
        ([(7, True), (6, True)], 7),
        ([(3, True), (1, False)], 1),
        ([(1, False), (2, True)], 2),
        ([(2, False), (1, True)], 2),
        ([(1, False), (1, False)], 1),
    ],
)
def test_rows_put_twice_in_one_unit_end_as_if_put_in_turn(
    store: Store, puts: list[tuple[int, bool]], expected: int
) -> None:
    row_id = uuid4()
    store.commit(Unit(puts=(put("view:client", row_id, 5, b"before"),)))
    rows = tuple(
        put("view:client", row_id, version, b"%d" % place, only_forward=f) for place, (version, f) in enumerate(puts)
    )
    store.commit(Unit(puts=rows))
    row = store.row("view:client", row_id)
    assert row is not None
    assert row.version == expected


def test_many_readers_store_the_same_view_at_the_same_moment(store: Store) -> None:
    row_id, stream = uuid4(), uuid4()
    units = [
        access(stream)._replace(puts=(RowPut("view:client", row_id, stream, version, b"%d" % version),))
        for version in range(1, 17)
    ]
    assert all(isinstance(outcome, Committed) for outcome in in_one_batch(store, units))
    row = store.row("view:client", row_id)
    assert row is not None
    assert (row.version, row.state, row.stream) == (16, b"16", stream)
    check_store(store)


def test_dropping_a_view_leaves_other_places(store: Store) -> None:
    ids = [uuid4() for _ in range(1_200)]
    store.commit(Unit(puts=tuple(put("view:client", row_id, 1, b"row") for row_id in ids)))
    store.commit(Unit(puts=(put("roster", ids[0], 1, b"row"),)))
    assert {row.row_id for row in store.rows("view:client")} == set(ids)
    assert store.drop_rows("view:client") == 1_200
    assert store.rows("view:client") == []
    assert store.drop_rows("view:client") == 0
    assert [row.row_id for row in store.rows("roster")] == [ids[0]]
    with pytest.raises(ValueError, match="anew"):
        store.drop_rows("draft")


# --- the audit index


def test_audit_rows_are_found_by_client_actor_and_time(store: Store) -> None:
    anna, ben = uuid4(), uuid4()
    rows = (
        AuditRow(3, anna, "carol", "TREAT", 100),
        AuditRow(5, ben, "carol", None, 200),
        AuditRow(8, anna, "dora", "HQUALIMP", 300),
        AuditRow(9, None, "dora", "TREAT", 400),
    )
    store.commit(Unit(audit=AuditBatch(rows, 9)))
    assert store.audit_position() == 9
    assert list(store.audit_rows()) == list(rows)
    assert [row.position for row in store.audit_rows(client_id=anna)] == [3, 8]
    assert [row.position for row in store.audit_rows(actor="carol")] == [3, 5]
    assert [row.position for row in store.audit_rows(client_id=anna, actor="dora")] == [8]
    assert [row.position for row in store.audit_rows(from_us=200, to_us=400)] == [5, 8]
    assert [row.position for row in store.audit_rows(purpose="TREAT")] == [3, 9]
    assert [row.position for row in store.audit_rows(after=(100, 3), limit=2)] == [5, 8]


def test_audit_rows_follow_each_other_by_time_either_way(store: Store) -> None:
    anna = uuid4()
    # Two of one time, and one that was learned late: the index of the ledger is not always the order of time.
    rows = [AuditRow(index, anna, "carol", None, at_us) for index, at_us in ((3, 200), (5, 300), (6, 300), (9, 100))]
    store.commit(Unit(audit=AuditBatch(tuple(rows), 9)))
    assert [row.position for row in store.audit_rows()] == [9, 3, 5, 6]
    assert [row.position for row in store.audit_rows(newest_first=True)] == [6, 5, 3, 9]
    assert [row.position for row in store.audit_rows(after=(300, 5))] == [6]
    found, after = [], None
    for _ in rows:
        (row,) = store.audit_rows(client_id=anna, actor="carol", after=after, newest_first=True, limit=1)
        found.append(row.position)
        after = (row.at_us, row.position)
    assert found == [6, 5, 3, 9]
    assert list(store.audit_rows(after=after, newest_first=True)) == []


def test_audit_rows_come_once_and_may_begin_anew(store: Store) -> None:
    row = AuditRow(3, uuid4(), "carol", "TREAT", 100)
    store.commit(Unit(audit=AuditBatch((row,), 3)))
    store.commit(Unit(audit=AuditBatch((row,), 4)))
    assert (list(store.audit_rows()), store.audit_position()) == ([row], 4)
    store.commit(Unit(audit=AuditBatch((), -1, restart=True)))
    assert (list(store.audit_rows()), store.audit_position()) == ([], -1)


# --- making one


def test_a_log_is_never_made_over_another(engine: Engine) -> None:
    store = engine.open()
    store.commit(event(uuid4(), 0))
    with pytest.raises(FileExistsError):
        engine.create()
    check_store(store)
