"""Group commit: requests that wait at the same moment share one durable commit.

- Whoever finds nobody writing writes for all that wait, then hands over; there is no thread to wake for a lone writer.
- One light lock for each waiter; no future, no savepoint.
- The batch decides which units win, so one caller's lost race never touches another's unit.
- Only an unexpected error of a batch makes it be written one by one, so that one bad unit fails alone.

Durability is the write function's: when it returns, the units of the batch are durable or carry their error.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from records.errors import OutcomeUnknown, Unavailable, WellkeptError
from records.store.unit import Committed, Unit

LARGEST_BATCH = 256

WriteBatch = Callable[[Sequence[Unit]], Sequence[Committed | WellkeptError]]
"""Write the units in one transaction; return one outcome for each. Raises when nothing of the batch was committed."""


class _Waiter:
    __slots__ = ("leads", "outcome", "unit", "wake")

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.outcome: Committed | Exception | None = None
        self.leads = False
        self.wake = threading.Lock()
        self.wake.acquire()


class _Caught:
    """Keeps the error of a block, to be raised to the callers whose units it ended; an interrupt goes its way."""

    error: Exception | None = None

    def __enter__(self) -> _Caught:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


class GroupCommit:
    """Brings the units of many threads to one writer at a time."""

    def __init__(self, write_batch: WriteBatch) -> None:
        self._write_batch = write_batch
        self._mutex = threading.Lock()
        self._queue: deque[_Waiter] = deque()
        self._writing = False

    def waiting(self) -> int:
        """Return how many units wait, without those that are being written."""
        return len(self._queue)

    def commit(self, unit: Unit) -> Committed:
        """Commit a unit; returns when it is durable.

        Raises:
            LostRace: a stream's version was not the expected one; nothing of the unit is stored.
            NotStored, OutcomeUnknown: see `Store.commit`.
        """
        waiter = _Waiter(unit)
        with self._mutex:
            self._queue.append(waiter)
            waiter.leads = not self._writing
            self._writing = True
        if not waiter.leads:
            waiter.wake.acquire()
        if waiter.leads:
            self._lead()
        outcome = waiter.outcome
        if isinstance(outcome, Committed):
            return outcome
        if outcome is None:
            raise OutcomeUnknown("the thread that wrote the batch was interrupted")
        raise outcome

    def _lead(self) -> None:
        with self._mutex:
            batch = [self._queue.popleft() for _ in range(min(LARGEST_BATCH, len(self._queue)))]
        try:
            self._settle(batch)
        finally:
            with self._mutex:
                successor = self._queue[0] if self._queue else None
                if successor is None:
                    self._writing = False
                else:
                    successor.leads = True
            # The next batch begins before this one's callers go on.
            if successor is not None:
                successor.wake.release()
            for waiter in batch:
                if not waiter.leads:
                    waiter.wake.release()

    def _settle(self, batch: list[_Waiter]) -> None:
        outcomes: Sequence[Committed | WellkeptError] = ()
        with _Caught() as caught:
            outcomes = self._write_batch([waiter.unit for waiter in batch])
        if caught.error is None:
            for waiter, outcome in zip(batch, outcomes, strict=True):
                waiter.outcome = outcome
        elif len(batch) == 1 or isinstance(caught.error, Unavailable):
            for waiter in batch:
                waiter.outcome = caught.error
        else:
            for waiter in batch:
                self._settle([waiter])
