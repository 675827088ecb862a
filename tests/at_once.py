"""Calls on many threads at the same moment, and units that share one batch for certain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from uuid import uuid4

from records.errors import WellkeptError
from records.ledger import Kind
from records.sealing import SealedEvent
from records.store import Store
from records.store.unit import Append, Committed, Unit
from tests.units import sealed


def together(calls: Sequence[Callable[[], Committed]]) -> list[Committed | WellkeptError]:
    """Run calls on as many threads at the same moment; return each one's result or error, in order."""
    outcomes: list[Committed | WellkeptError | None] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int) -> None:
        start.wait()
        try:
            outcomes[place] = calls[place]()
        except WellkeptError as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in outcomes
    return [outcome for outcome in outcomes if outcome is not None]


def commits(store: Store, units: Sequence[Unit]) -> list[Callable[[], Committed]]:
    """Return one call for each unit that commits it."""
    return [partial(store.commit, unit) for unit in units]


def in_one_batch(store: Store, units: Sequence[Unit]) -> list[Committed | WellkeptError]:
    """Commit units in one batch, in their order; return their outcomes.

    A reading is written before them, and its seal is held until all of them wait.
    """
    queue = store._group._queue  # type: ignore[attr-defined]  # both stores have one
    holding, full = threading.Event(), threading.Event()

    def hold(_version: int, _at_us: int) -> SealedEvent:
        holding.set()
        assert full.wait(10)
        return sealed()

    first = Unit(appends=(Append(uuid4(), Kind.ACCESS, None, seal=hold),))

    def in_turn(place: int, call: Callable[[], Committed]) -> Committed:
        while not holding.is_set() or len(queue) < place:
            time.sleep(0.001)
        return call()

    def release() -> Committed:
        while len(queue) < len(units):
            time.sleep(0.001)
        full.set()
        return Committed()

    waiting = [partial(in_turn, place, call) for place, call in enumerate(commits(store, units))]
    return together([lambda: store.commit(first), release, *waiting])[2:]
