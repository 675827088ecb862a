"""Taking turns: subjects of one figure alternate in short slices, and medians over the rounds are compared.

- What disturbs the machine disturbs neighbours in time alike: each ratio is made within one round, and the median of
  the rounds' ratios is the figure.
- The first turn of each subject warms up and is not counted.
- A turn of several threads starts them together and counts what all of them finished.

It knows nothing of what is measured.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ops.serving.one_core import settle_thread

Act = Callable[[], object]
"""One operation."""


class Turn(NamedTuple):
    """What one turn gave: operations a second, and the seconds that each took, in rising order."""

    rate: float
    latencies: Sequence[float] = ()

    @property
    def p99_ms(self) -> float:
        """The latency that 99 % of the operations stayed under, in milliseconds."""
        return self.latencies[int(len(self.latencies) * 0.99)] * 1000 if self.latencies else 0.0

    @property
    def median_ms(self) -> float:
        """The middle latency, in milliseconds."""
        return statistics.median(self.latencies) * 1000 if self.latencies else 0.0


def run_threads(acts: Sequence[Act], seconds: float, others: Sequence[Act] = (), *, one_core: bool = True) -> Turn:
    """Run each act in a loop of its own thread for some seconds; `others` run beside them and are not counted.

    Raises:
        Exception: the first error of a thread; a figure with errors in it is none.
    """
    taken: list[list[float]] = [[] for _ in acts]
    errors: list[Exception] = []
    start = threading.Barrier(len(acts) + len(others) + 1)
    ends = [0.0]

    def loop(act: Act, mine: list[float]) -> None:
        if one_core:
            # As the threads of a clinic that one process serves do.
            settle_thread()
        start.wait()
        began = time.perf_counter()
        end = began + seconds
        try:
            while began < end:
                act()
                now = time.perf_counter()
                mine.append(now - began)
                began = now
        except Exception as error:  # noqa: BLE001 - the edge of a thread; it is raised again to whoever measures
            errors.append(error)
        ends.append(began)

    threads = [threading.Thread(target=loop, args=(act, mine)) for act, mine in zip(acts, taken, strict=True)]
    threads += [threading.Thread(target=loop, args=(act, [])) for act in others]
    # What earlier figures left behind must not be collected on the time of this one.
    gc.collect()
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    latencies = sorted(latency for mine in taken for latency in mine)
    return Turn(len(latencies) / (max(ends) - began), latencies)


def take_turns(rounds: int, *subjects: Callable[[], Turn]) -> list[list[Turn]]:
    """Let subjects alternate; return each subject's turns, one a round, after a first that is not counted."""
    turns: list[list[Turn]] = [[] for _ in subjects]
    for number in range(rounds + 1):
        for subject, own in zip(subjects, turns, strict=True):
            turn = subject()
            if number:
                own.append(turn)
    return turns


def rate_ratio(subject: Sequence[Turn], yardstick: Sequence[Turn]) -> float:
    """Return the median over the rounds of the subject's rate against the yardstick's."""
    return statistics.median(own.rate / other.rate for own, other in zip(subject, yardstick, strict=True))


def middle_rate(turns: Sequence[Turn]) -> float:
    """Return the median rate."""
    return statistics.median(turn.rate for turn in turns)


def middle_p99_ms(turns: Sequence[Turn]) -> float:
    """Return the median over the rounds of the 99th percentile."""
    return statistics.median(turn.p99_ms for turn in turns)
