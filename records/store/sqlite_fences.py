"""Closing streams on SQLite: fences that no event passes, and the rows of a client that are deleted.

Source: CRYPTO 7 (steps 2 and 6).

- A fence is an empty row of `sealed_rows`; the one writing process also holds the fences in memory.
- Both are part of a batch: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import sqlite3
from uuid import UUID

from records.store.batch import Plan
from records.store.schema import FENCE_PLACE


def fenced_streams(writer: sqlite3.Connection) -> set[UUID]:
    """Return every stream that an erasure closed."""
    rows = writer.execute("SELECT row_id FROM sealed_rows WHERE place = ?", (FENCE_PLACE,))
    return {UUID(bytes=row_id) for (row_id,) in rows}


def close_streams(writer: sqlite3.Connection, plan: Plan) -> None:
    """Write the fences of a plan, and delete what it scrubs. O(rows kept) for each scrubbed stream."""
    writer.executemany(
        "INSERT OR IGNORE INTO sealed_rows VALUES (?, ?, ?, 0, x'')",
        [(FENCE_PLACE, stream.bytes, stream.bytes) for stream in plan.fences],
    )
    for stream in plan.scrubs:
        writer.execute("DELETE FROM sealed_rows WHERE stream_id = ? AND place <> ?", (stream.bytes, FENCE_PLACE))
        writer.execute("DELETE FROM idempotency WHERE stream_id = ?", (stream.bytes,))
