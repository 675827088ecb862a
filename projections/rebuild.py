"""Rebuilding: every view can be dropped and made anew from the events, with the same result.

Source: DESIGN, promise 8.

- Rows are dropped first, then made in batches of many clients with one commit each. A crash leaves fewer rows; readings
  fold what is missing, and a second rebuild is a whole one.
- Each event is opened once and folded into every view that wants it.
- A record with a gap, or whose key is not there, gets no row; it is counted, and its own view says what is wrong.

It needs the writing door's store, so no other process may be writing an embedded clinic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from projections import client_state, roster_state
from projections.sealed_rows import Snapshot
from records.errors import Erased, IntegrityFailure, KeyMissing
from records.reader import Reader
from records.store import Store
from records.store.unit import RowPut, Unit

SNAPSHOTS: dict[str, Snapshot[Any]] = {"client_view": client_state.SNAPSHOT, "roster": roster_state.SNAPSHOT}
"""View → its sealed rows."""

AUDIT_INDEX = "audit_index"
"""It is rebuilt by `AuditIndex.rebuild`."""

VIEWS: tuple[str, ...] = (*SNAPSHOTS, AUDIT_INDEX)
"""The names under which views are rebuilt."""

ROWS_PER_COMMIT = 400

Progress = Callable[[int, int], None]
"""(clients done, clients in all)."""


class Rebuilt(NamedTuple):
    """What a rebuild did.

    Attributes:
        clients: how many records were folded.
        events: how many events were opened for it.
        rows: how many rows were stored.
        unreadable: how many records got no row.
    """

    clients: int
    events: int
    rows: int
    unreadable: int


def rebuild_client_views(
    reader: Reader,
    store: Store,
    views: Sequence[str] = tuple(SNAPSHOTS),
    progress: Progress = lambda done, total: None,
) -> Rebuilt:
    """Drop the rows of views of single clients and fold them anew, each record opened once.

    Args:
        reader: opens the records.
        store: takes the rows.
        views: names of `SNAPSHOTS`.
        progress: told after each client.

    Raises:
        KeyError: a view that is not one of `SNAPSHOTS`.
        NotStored: the rows could not be written; those that were stay.
    """
    snapshots = [SNAPSHOTS[view] for view in views]
    for snapshot in snapshots:
        store.drop_rows(snapshot.place)
    events = rows = unreadable = 0
    puts: list[RowPut] = []
    clients = reader.clients()
    for done, client_id in enumerate(clients, 1):
        try:
            made, opened = _rows_of(reader, client_id, snapshots)
        except (KeyMissing, Erased, IntegrityFailure):
            made, opened = [], 0
        unreadable += not made
        events += opened
        puts += made
        if len(puts) >= ROWS_PER_COMMIT or (puts and done == len(clients)):
            store.commit(Unit(puts=tuple(puts)))
            rows += len(puts)
            puts = []
        progress(done, len(clients))
    return Rebuilt(len(clients), events, rows, unreadable)


def _rows_of(reader: Reader, client_id: UUID, snapshots: Sequence[Snapshot[Any]]) -> tuple[list[RowPut], int]:
    """Return the rows of one client, none where its record has gaps or is empty, and how many events were opened."""
    recorded = reader.events(client_id)
    puts = []
    for snapshot in snapshots:
        state = snapshot.new()
        for each in recorded:
            snapshot.apply(state, each)
        if recorded and not state.gaps:
            puts.append(snapshot.seal(reader, client_id, state, recorded[-1].leaf_hash))
    return puts, len(recorded)
