"""Where streams end, as the one process that writes them committed or read it: what is known is not asked for again.

- A batch moves the ends that it wrote, once it is durable; a commit whose outcome is unknown makes all of them unknown.
- A reading may tell an end, but only if no batch was committed since it began: it would not have seen that batch.
- It is bounded, and knowing nothing is always right: then the database is asked.

Only a process that holds the writing lock may keep one; any other would miss what is written elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from uuid import UUID

from records.store.unit import StreamHead

KNOWN_STREAMS = 50_000


class StreamEnds:
    """The ends that are known. Any thread may use it; it is read without waiting."""

    def __init__(self, most: int = KNOWN_STREAMS) -> None:
        self._most = most
        self._known: dict[UUID, StreamHead] = {}
        self._lock = threading.Lock()
        self._batches = 0

    def get(self, stream: UUID) -> StreamHead | None:
        """Return where a stream ends, or None where that is not known."""
        return self._known.get(stream)

    def mark(self) -> int:
        """Return a mark of now, to be taken before a reading that may tell an end."""
        return self._batches

    def learn(self, stream: UUID, head: StreamHead, mark: int) -> None:
        """Take what a reading saw, unless a batch was committed since its mark."""
        with self._lock:
            if mark == self._batches and len(self._known) < self._most:
                self._known[stream] = head

    def move(self, heads: Mapping[UUID, StreamHead]) -> None:
        """Take the ends of a batch that is durable."""
        with self._lock:
            self._batches += 1
            if len(self._known) > self._most:
                self._known.clear()
            self._known.update(heads)

    def forget(self) -> None:
        """Know nothing from now on, as after a commit whose outcome is unknown."""
        with self._lock:
            self._batches += 1
            self._known.clear()
