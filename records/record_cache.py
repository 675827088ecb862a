"""The small rule state of the records in use, kept in memory and moved forward.

- It holds `ClientRecord`s: ids, statuses and dates, never text. It dies with the process and is dropped on erasure.
- It is bounded by the number of events folded, least recently used first.
- What it returns may be behind the log: whoever decides appends with the expected version, or moves it forward first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from records.client_record import ClientRecord

HELD_EVENTS = 60_000


class RecordCache:
    """Client records by id. The records it holds are never changed, only replaced."""

    def __init__(self, held_events: int = HELD_EVENTS) -> None:
        self._limit = held_events
        self._weight = 0
        self._records: OrderedDict[UUID, ClientRecord] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, client_id: UUID) -> ClientRecord | None:
        """Return the record as last kept, or None."""
        with self._lock:
            record = self._records.get(client_id)
            if record is not None:
                self._records.move_to_end(client_id)
            return record

    def keep(self, record: ClientRecord) -> None:
        """Keep a record, unless a newer one is held."""
        with self._lock:
            held = self._records.get(record.client_id)
            if held is not None and held.version >= record.version:
                return
            self._weight += record.version - (held.version if held is not None else 0)
            self._records[record.client_id] = record
            self._records.move_to_end(record.client_id)
            while self._weight > self._limit and len(self._records) > 1:
                _, dropped = self._records.popitem(last=False)
                self._weight -= dropped.version

    def forget(self, client_id: UUID) -> None:
        """Drop a record."""
        with self._lock:
            dropped = self._records.pop(client_id, None)
            if dropped is not None:
                self._weight -= dropped.version
