"""Planning a batch: what one batch plans is what its units would have written one after another."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from records.errors import LostRace
from records.ledger import NO_LEAF, KeyClass, Kind, decode_entry, entry_hash
from records.store.batch import Plan
from records.store.unit import (
    Append,
    CheckpointRow,
    Committed,
    IdempotencyRow,
    LogHead,
    Reference,
    StreamHead,
    Unit,
)
from tests.units import append, clear, created_key, destroyed_key, put, request, sealed, tile

STREAMS = [UUID(int=number) for number in range(1, 4)]
SEALING = [each for each in KeyClass if each is not KeyClass.CLEAR]
KEYS = [b"%d" % number * 32 for number in range(3)]


def access(stream: UUID) -> Append:
    event = sealed(KeyClass.AUDIT_YEAR, 32)
    return Append(stream, Kind.ACCESS, None, seal=lambda _version, _at: event)


appends = st.one_of(
    st.builds(append, st.sampled_from(STREAMS), st.integers(0, 3), st.integers(1, 2), st.sampled_from(SEALING)),
    st.builds(access, st.sampled_from(STREAMS)),
)
units = st.builds(
    Unit,
    appends=st.lists(appends, max_size=2).map(tuple),
    keys=st.lists(st.builds(created_key, st.sampled_from(STREAMS)), max_size=1).map(tuple),
    puts=st.lists(
        st.builds(put, st.just("view:client"), st.sampled_from(STREAMS), st.just(1), st.just(b"")), max_size=1
    ).map(tuple),
    idempotency=st.none() | st.builds(request, st.sampled_from(KEYS), st.sampled_from(STREAMS), st.just(1)),
    clear=st.lists(st.builds(clear, st.integers(0, 3)), max_size=1).map(tuple),
    tiles=st.lists(st.builds(tile, st.just(0), st.integers(0, 3)), max_size=1).map(tuple),
    checkpoints=st.lists(st.builds(CheckpointRow, st.integers(0, 9), st.just(b"note")), max_size=1).map(tuple),
    dropped_checkpoints=st.lists(st.integers(0, 9), max_size=1).map(tuple),
    destroyed=st.lists(st.builds(destroyed_key, st.sampled_from(STREAMS)), max_size=1).map(tuple),
    fences=st.lists(st.sampled_from(STREAMS), max_size=1).map(tuple),
    scrubs=st.lists(st.sampled_from(STREAMS), max_size=1).map(tuple),
    unmoved=st.lists(st.builds(Reference, st.sampled_from(STREAMS), st.integers(0, 3)), max_size=1).map(tuple),
)


@given(st.lists(units, max_size=8), st.integers(0, 2_000))
def test_one_batch_plans_what_its_units_would_in_turn(batch: list[Unit], now_us: int) -> None:
    together = Plan(LogHead(5, 1_000, 2), {}, {}, now_us)
    for unit in batch:
        together.add(unit)
    head, heads = LogHead(5, 1_000, 2), dict[UUID, StreamHead]()
    known: dict[bytes, IdempotencyRow] = {}
    fenced: set[UUID] = set()
    alone: list[Plan] = []
    for unit in batch:
        plan = Plan(head, dict(heads), dict(known), now_us, set(fenced))
        plan.add(unit)
        alone.append(plan)
        head, heads = plan.head, plan.heads
        known |= {row.key: row for row in plan.idempotency}
        fenced.update(plan.fences)
    assert together.entries == [row for plan in alone for row in plan.entries]
    assert together.events == [row for plan in alone for row in plan.events]
    assert together.bodies == [row for plan in alone for row in plan.bodies]
    assert together.tiles == [row for plan in alone for row in plan.tiles]
    assert together.checkpoints == [row for plan in alone for row in plan.checkpoints]
    assert together.dropped_checkpoints == [row for plan in alone for row in plan.dropped_checkpoints]
    assert together.puts == [row for plan in alone for row in plan.puts]
    assert together.fences == [stream for plan in alone for stream in plan.fences]
    assert together.scrubs == [stream for plan in alone for stream in plan.scrubs]
    assert together.idempotency == [row for plan in alone for row in plan.idempotency]
    assert (together.head, together.heads) == (head, heads)
    assert [repr(outcome) for outcome in together.outcomes] == [repr(plan.outcomes[0]) for plan in alone]


@given(st.lists(units, max_size=8), st.integers(0, 2_000))
def test_a_plan_is_dense_rising_and_chained(batch: list[Unit], now_us: int) -> None:
    plan = Plan(LogHead(5, 1_000, 2), {}, {}, now_us)
    for unit in batch:
        plan.add(unit)
    assert [index for index, _ in plan.entries] == list(range(5, plan.head.next_index))
    times = [decode_entry(entry).logged_at_us for _, entry in plan.entries]
    assert times == [max(now_us, 1_001) + place for place in range(len(times))]
    heads: dict[UUID, StreamHead] = {}
    for _, encoded in plan.entries:
        entry = decode_entry(encoded)
        if entry.kind in (Kind.EVENT, Kind.ACCESS):
            version, leaf = heads.get(entry.stream, StreamHead())
            assert (entry.version, entry.prev_stream_leaf) == (version + 1, leaf)
            heads[entry.stream] = StreamHead(entry.version, entry_hash(encoded))
    assert heads == plan.heads
    clinic = [i for i, entry in plan.entries if entry[88] == KeyClass.CLINIC and entry[7] == Kind.EVENT]
    assert plan.head.clinic_index == (clinic[-1] if clinic else 2)


def test_what_loses_leaves_no_row() -> None:
    plan = Plan(LogHead(), {STREAMS[0]: StreamHead(4, b"l" * 32)}, {}, 7)
    stale = Unit(
        appends=(append(STREAMS[1], 0), append(STREAMS[0], 3)),
        keys=(created_key(STREAMS[1]),),
        puts=(put("view:client", STREAMS[0], 4, b""),),
        idempotency=request(KEYS[0], STREAMS[0], 4),
    )
    plan.add(stale)
    assert isinstance(plan.outcomes[0], LostRace)
    assert not plan.writes
    assert plan.head == LogHead()
    plan.add(stale._replace(appends=(append(STREAMS[0], 4),)))
    assert isinstance(plan.outcomes[1], Committed)
    assert decode_entry(plan.entries[-1][1]).prev_stream_leaf == b"l" * 32


def test_a_created_key_stands_before_the_events_and_outside_the_chains() -> None:
    plan = Plan(LogHead(), {}, {}, 7)
    key = created_key(STREAMS[0])
    plan.add(Unit(appends=(append(STREAMS[0], 0),), keys=(key,)))
    made, event = (decode_entry(entry) for _, entry in plan.entries)
    assert (made.kind, made.stream, made.version, made.key_id) == (Kind.KEY_CREATED, STREAMS[0], 0, key.key_id)
    assert (event.version, event.prev_stream_leaf) == (1, NO_LEAF)
    assert plan.outcomes == [Committed((plan.entries[1],))]
