"""The clear index of the audit: finds readings of many clients by client, person, purpose and time.

Source: DESIGN (Views); AUDIT A6, A11; CONTRACT (`wellkept audit`).

- The index holds ids, staff, purpose codes and times in clear; catching up reads the log in batches, each with its
  position in one transaction. A crash leaves a whole batch or none; a batch that is read twice changes nothing.
- It is never evidence: reports open each sealed entry and ask it again whether it is one of those that were asked for
  (`projections.audit_page`).
- Changes of staff, teams and clinic are found beside it, in memory (`projections.audit_changes`).

It tells nothing by itself, and it does not prove that no row is missing (the dense access streams do).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from heapq import merge
from itertools import islice

from projections.audit_changes import Changes, order
from projections.audit_groups import GroupedAudit
from projections.audit_page import AuditReport
from projections.audit_question import Question
from records.access import AccessRecorded
from records.event import Recorded
from records.ledger import to_microseconds
from records.reader import Reader
from records.store import Store
from records.store.unit import AuditBatch, AuditRow, Unit

BATCH = 2_000


class AuditIndex:
    """The index and its reports. Any thread may use it."""

    def __init__(self, reader: Reader, store: Store) -> None:
        self._reader = reader
        self._store = store
        self._lock = threading.Lock()
        self._changes = Changes(reader)
        self.report = AuditReport(self)
        self.grouped = GroupedAudit(self)

    def catch_up(self, limit: int = BATCH) -> int:
        """Index entries that are not indexed yet, durable in batches of `limit`; return how many were found."""
        found = 0
        with self._lock:
            position = self._store.audit_position()
            while position < self._reader.position():
                opened, read = self._reader.access_entries(position, limit)
                if read == position:
                    break
                self._store.commit(Unit(audit=AuditBatch(tuple(map(_row, opened)), read)))
                position = read
                found += len(opened)
        return found

    def rebuild(self, limit: int = BATCH) -> int:
        """Drop the index and make it anew; return how many entries it holds.

        A crash leaves an index that ends early; the next catching up goes on from there.
        """
        with self._lock:
            self._store.commit(Unit(audit=AuditBatch((), -1, restart=True)))
        return self.catch_up(limit)

    def rows(self, question: Question, after: tuple[int, int] | None, limit: int) -> Sequence[AuditRow]:
        """Return clear rows of readings, changes or both by time, from a place on."""
        asked = {**question.indexed, "after": after, "newest_first": question.newest_first, "limit": limit}
        if question.source == "access":
            return self._store.audit_rows(**asked)
        changes = self._changes.rows(**asked)
        if question.source == "changes":
            return changes
        both = merge(self._store.audit_rows(**asked), changes, key=order, reverse=question.newest_first)
        return list(islice(both, limit))

    def position(self) -> int:
        """Return the ledger index that the index includes."""
        return self._store.audit_position()


def _row(recorded: Recorded) -> AuditRow:
    event, at_us = recorded.event, to_microseconds(recorded.recorded_at)
    if not isinstance(event, AccessRecorded):
        return AuditRow(recorded.index, None, "", None, at_us)
    return AuditRow(recorded.index, event.client_id, event.entered_by, event.purpose, at_us)
