"""Limits: how often one token may ask, and how failed sign-ins are counted.

Source: CONTRACT (each token has a rate limit; unauthenticated failures are one summed entry a minute).

- Each token has a bucket that fills at a steady rate. An empty bucket answers 429 before anything is written.
- Buckets are kept in memory, one per token that was good; a process that starts anew starts with full ones.
- Failed sign-ins name nobody, so each process sums them: the first is told at once, those of the next minute together.

It reads no clock of its own: monotonic seconds are handed in.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import NamedTuple

MINUTE_SECONDS = 60.0


class Rate(NamedTuple):
    """How many requests a token may make: so many at once, and so many a second for ever."""

    burst: float = 1000.0
    per_second: float = 300.0


class RateLimit:
    """Buckets of all tokens. Any thread may use it."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def take(self, token: bytes) -> int | None:
        """Take one request from a token's bucket; return None, or after how many whole seconds to come back."""
        burst, per_second = self._rate
        now = self._monotonic()
        with self._lock:
            level, since = self._buckets.get(token, (burst, now))
            level = min(burst, level + (now - since) * per_second)
            granted = level >= 1
            self._buckets[token] = (level - 1 if granted else level, now)
        return None if granted else max(1, math.ceil((1 - level) / per_second))


class FailedSignIns:
    """Sums failed sign-ins into one entry a minute. Any thread may use it."""

    def __init__(self, tell: Callable[[int], None], monotonic: Callable[[], float]) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._count = 0
        self._told_at = -math.inf

    def add(self) -> None:
        """Count one, and tell the sum where a minute has passed."""
        with self._lock:
            self._count += 1
        self.flush()

    def flush(self, *, now: bool = False) -> None:
        """Tell the sum where there is one and a minute has passed, or at once."""
        if not self._count:
            return
        at = self._monotonic()
        with self._lock:
            if not self._count or not (now or at - self._told_at >= MINUTE_SECONDS):
                return
            count, self._count, self._told_at = self._count, 0, at
        try:
            self._tell(count)
        except BaseException:
            # What could not be told is part of the next sum.
            with self._lock:
                self._count += count
            raise
