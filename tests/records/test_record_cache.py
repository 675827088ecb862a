"""The cache holds the newest that it was given, within its limit, and never more of a client than asked."""

from __future__ import annotations

from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from records.client_record import ClientRecord
from records.record_cache import RecordCache


def record(client: UUID, version: int) -> ClientRecord:
    return ClientRecord(client_id=client, version=version)


def test_what_was_kept_is_given_back_and_an_older_state_never_replaces_it() -> None:
    cache, client = RecordCache(), uuid4()
    newest = record(client, 5)
    assert cache.get(client) is None
    cache.keep(record(client, 3))
    cache.keep(newest)
    cache.keep(record(client, 4))
    cache.keep(record(client, 5))

    assert cache.get(client) is newest


def test_a_forgotten_record_is_gone_and_may_come_again() -> None:
    cache, client = RecordCache(), uuid4()
    cache.keep(record(client, 5))
    cache.forget(client)
    cache.forget(client)
    assert cache.get(client) is None

    older = record(client, 2)
    cache.keep(older)
    assert cache.get(client) is older


def test_what_was_used_longest_ago_goes_first() -> None:
    cache, (anna, ben, cleo) = RecordCache(10), [uuid4() for _ in range(3)]
    for client in (anna, ben):
        cache.keep(record(client, 5))
    cache.get(anna)
    cache.keep(record(cleo, 5))

    assert [cache.get(client) is not None for client in (anna, ben, cleo)] == [True, False, True]


def test_a_record_larger_than_the_limit_is_still_held_alone() -> None:
    cache, (small, large) = RecordCache(10), [uuid4() for _ in range(2)]
    cache.keep(record(small, 2))
    cache.keep(record(large, 50))

    assert cache.get(small) is None
    assert cache.get(large) is not None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9), st.booleans()), max_size=60))
def test_the_weight_is_always_the_sum_of_what_is_held(steps: list[tuple[int, int, bool]]) -> None:
    cache = RecordCache(20)
    for client, version, forget in steps:
        if forget:
            cache.forget(UUID(int=client))
        else:
            cache.keep(record(UUID(int=client), version))
        held = [kept.version for n in range(6) if (kept := cache.get(UUID(int=n))) is not None]
        assert cache._weight == sum(held)
        assert sum(held) <= 20 or len(held) == 1
