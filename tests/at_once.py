"""Calls on many threads at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from records.errors import WellkeptError
from records.store import Store
from records.store.unit import Committed, Unit


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
    return [lambda unit=unit: store.commit(unit) for unit in units]  # type: ignore[misc]
