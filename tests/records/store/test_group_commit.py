"""Group commit: who shares a batch, who writes it, and that one caller's trouble stays that caller's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from records.errors import LostRace, NotStored, OutcomeUnknown, WellkeptError
from records.store.group_commit import LARGEST_BATCH, GroupCommit
from records.store.unit import Committed, Unit

PATIENCE_SECONDS = 10


def unit(name: int) -> Unit:
    """Return a unit that can be told from others."""
    return Unit(appends=(name,))  # type: ignore[arg-type]  # group commit never looks into a unit


def name_of(each: Unit) -> int:
    return each.appends[0]  # type: ignore[return-value]  # what `unit` put there


def done(each: Unit) -> Committed:
    return Committed(((name_of(each), b""),))


class Callers:
    """Threads that each commit one unit; the first batch is held until all the others wait."""

    def __init__(self, write: Callable[[Sequence[Unit]], Sequence[Committed | WellkeptError]]) -> None:
        self.batches: list[list[int]] = []
        self.outcomes: dict[int, Committed | BaseException] = {}
        self._write = write
        self._entered = threading.Event()
        self._go = threading.Event()
        self.group = GroupCommit(self._write_batch)

    def _write_batch(self, units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        self.batches.append([name_of(each) for each in units])
        self._entered.set()
        assert self._go.wait(PATIENCE_SECONDS)
        return self._write(units)

    def _call(self, name: int) -> None:
        try:
            self.outcomes[name] = self.group.commit(unit(name))
        except (WellkeptError, ValueError, KeyboardInterrupt) as error:
            self.outcomes[name] = error

    def run(self, count: int) -> None:
        """Commit units 0 to `count - 1`; unit 0 leads the first batch, the others arrive in order while it writes."""
        threads = [threading.Thread(target=self._call, args=(name,)) for name in range(count)]
        threads[0].start()
        assert self._entered.wait(PATIENCE_SECONDS)
        for place, thread in enumerate(threads[1:], 1):
            thread.start()
            while len(self.group._queue) < place:
                time.sleep(0.001)
        self._go.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert len(self.outcomes) == count


def test_who_waits_while_one_writes_shares_the_next_batch_in_order() -> None:
    callers = Callers(lambda units: [done(each) for each in units])
    callers.run(9)
    assert callers.batches == [[0], list(range(1, 9))]
    assert callers.outcomes == {name: done(unit(name)) for name in range(9)}


def test_a_batch_has_a_largest_size() -> None:
    callers = Callers(lambda units: [done(each) for each in units])
    callers.run(LARGEST_BATCH + 2)
    assert [len(batch) for batch in callers.batches] == [1, LARGEST_BATCH, 1]


def test_an_outcome_goes_to_its_own_caller() -> None:
    callers = Callers(lambda units: [LostRace() if name_of(each) == 3 else done(each) for each in units])
    callers.run(6)
    assert len(callers.batches) == 2
    assert isinstance(callers.outcomes.pop(3), LostRace)
    assert all(isinstance(outcome, Committed) for outcome in callers.outcomes.values())


def test_what_is_unavailable_is_so_for_all_and_is_not_tried_again() -> None:
    def write(units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        if len(units) > 1:
            raise NotStored("the disk is full")
        return [done(each) for each in units]

    callers = Callers(write)
    callers.run(4)
    assert callers.batches == [[0], [1, 2, 3]]
    assert isinstance(callers.outcomes.pop(0), Committed)
    assert all(isinstance(outcome, NotStored) for outcome in callers.outcomes.values())


def test_one_bad_unit_fails_alone() -> None:
    def write(units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        if any(name_of(each) == 2 for each in units):
            raise ValueError("a bad unit")
        return [done(each) for each in units]

    callers = Callers(write)
    callers.run(5)
    assert callers.batches == [[0], [1, 2, 3, 4], [1], [2], [3], [4]]
    assert isinstance(callers.outcomes.pop(2), ValueError)
    assert all(isinstance(outcome, Committed) for outcome in callers.outcomes.values())


def test_an_interrupted_writer_leaves_the_others_unknown_and_the_next_can_write() -> None:
    def write(units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        if len(units) > 1:
            raise KeyboardInterrupt
        return [done(each) for each in units]

    callers = Callers(write)
    callers.run(4)
    assert isinstance(callers.outcomes[0], Committed)
    assert isinstance(callers.outcomes[1], KeyboardInterrupt)
    assert isinstance(callers.outcomes[2], OutcomeUnknown)
    assert isinstance(callers.outcomes[3], OutcomeUnknown)
    assert callers.group.commit(unit(7)) == done(unit(7))


def test_an_error_of_a_lone_writer_is_its_own() -> None:
    def write(units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        raise ValueError("a bad unit")

    group = GroupCommit(write)
    with pytest.raises(ValueError, match="a bad unit"):
        group.commit(unit(1))
    with pytest.raises(ValueError, match="a bad unit"):
        group.commit(unit(2))
