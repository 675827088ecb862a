"""The small rule state of the records in use, kept in memory and moved forward.

- It holds `ClientRecord`s: ids, statuses and dates, never text. It dies with the process and is dropped on erasure.
- It is bounded by the number of events folded, least recently used first.
- A record is moved forward in place, and only by the thread that has hold of it; so nobody decides on half a state,
  and a long record costs no copy. Threads that change the same client wait for each other here instead of at the log.
- What it returns may be behind the log: whoever decides appends with the expected version, or moves it forward first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from records.client_record import ClientRecord

HELD_EVENTS = 60_000


class _Hold:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = 0


class RecordCache:
    """Client records by id."""

    def __init__(self, held_events: int = HELD_EVENTS) -> None:
        self._limit = held_events
        self._weight = 0
        self._records: OrderedDict[UUID, tuple[ClientRecord, int]] = OrderedDict()
        self._holds: dict[UUID, _Hold] = {}
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, client_id: UUID) -> Iterator[None]:
        """Have the client's record to oneself; only then may it be moved forward."""
        with self._lock:
            hold = self._holds.setdefault(client_id, _Hold())
            hold.users += 1
        try:
            with hold.lock:
                yield
        finally:
            with self._lock:
                hold.users -= 1
                if not hold.users:
                    del self._holds[client_id]

    def get(self, client_id: UUID) -> ClientRecord | None:
        """Return the record as last kept, or None."""
        with self._lock:
            kept = self._records.get(client_id)
            if kept is None:
                return None
            self._records.move_to_end(client_id)
            return kept[0]

    def keep(self, record: ClientRecord) -> None:
        """Keep a record, or take note that the kept one was moved; an older state never replaces a newer one."""
        with self._lock:
            kept = self._records.get(record.client_id)
            if kept is not None and kept[1] >= record.version:
                return
            self._weight += record.version - (kept[1] if kept is not None else 0)
            self._records[record.client_id] = (record, record.version)
            self._records.move_to_end(record.client_id)
            while self._weight > self._limit and len(self._records) > 1:
                _, (_, version) = self._records.popitem(last=False)
                self._weight -= version

    def forget(self, client_id: UUID) -> None:
        """Drop a record."""
        with self._lock:
            dropped = self._records.pop(client_id, None)
            if dropped is not None:
                self._weight -= dropped[1]
