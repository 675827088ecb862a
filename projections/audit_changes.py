"""Changes of accounts, tokens, care teams and the clinic, found by who, about whom and when.

Source: AUDIT A5 (role changes are logged), A11.

- They are few beside readings: each is kept in memory as a row like one of the audit index, and followed by ledger
  index. Nothing of it is on disk.
- A row only finds; what is told is the sealed event.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from uuid import UUID

from records.ledger import to_microseconds
from records.reader import Reader
from records.store.unit import AuditRow

_LAST = 2**63


def order(row: AuditRow) -> tuple[int, int]:
    """Return a row's place among the others: time, then ledger index."""
    return row.at_us, row.position


class Changes:
    """Every change of staff, teams and clinic. Any thread may use it."""

    def __init__(self, reader: Reader) -> None:
        """Know nothing yet; the first question reads them all."""
        self._reader = reader
        self._lock = threading.Lock()
        self._position = -1
        self._rows: list[AuditRow] = []

    def rows(
        self,
        *,
        client_id: UUID | None = None,
        actor: str | None = None,
        purpose: str | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
        after: tuple[int, int] | None = None,
        newest_first: bool = False,
        limit: int = 50,
    ) -> Sequence[AuditRow]:
        """Return rows as `Store.audit_rows` does. A change states no purpose, so none is found by one.

        Cost: the first time one look-up for each account and team; then what is new, and the rows of the period.
        """
        if purpose is not None:
            return []
        rows = self._followed()
        first = bisect_left(rows, from_us if from_us is not None else -1, key=lambda row: row.at_us)
        last = bisect_left(rows, to_us if to_us is not None else _LAST, key=lambda row: row.at_us)
        if after is not None and newest_first:
            last = min(last, bisect_left(rows, after, key=order))
        elif after is not None:
            first = max(first, bisect_right(rows, after, key=order))
        found: list[AuditRow] = []
        places = range(first, last)
        for place in reversed(places) if newest_first else places:
            row = rows[place]
            if client_id in (None, row.client_id) and actor in (None, row.actor):
                found.append(row)
                if len(found) == limit:
                    break
        return found

    def _followed(self) -> list[AuditRow]:
        with self._lock:
            new = self._reader.clinic_events(self._position)
            if new:
                rows = [
                    AuditRow(
                        recorded.index,
                        getattr(recorded.event, "client_id", None),
                        recorded.event.entered_by,
                        None,
                        to_microseconds(recorded.recorded_at),
                    )
                    for recorded in new
                ]
                # A new list: other threads may be reading the old one.
                self._rows = sorted([*self._rows, *rows], key=order)
                self._position = new[-1].index
            return self._rows
