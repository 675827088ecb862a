"""What a batch keeps on SQLite beside the log: sealed rows of views and drafts, and the audit index. None is evidence.

- A sealed row with `only_forward` replaces only a row of a lower version.
- Both are part of the batch: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import sqlite3

from records.store.batch import Plan

_PUT = (
    "INSERT INTO sealed_rows VALUES (?, ?, ?, ?, ?) ON CONFLICT (place, row_id) DO UPDATE"
    " SET stream_id = excluded.stream_id, version = excluded.version, state = excluded.state"
)
_PUT_FORWARD = _PUT + " WHERE excluded.version > sealed_rows.version"


def write_sealed_rows(writer: sqlite3.Connection, plan: Plan) -> None:
    """Put and delete the sealed rows of a plan."""
    for put in plan.puts:
        writer.execute(
            _PUT_FORWARD if put.only_forward else _PUT,
            (put.place, put.row_id.bytes, put.stream.bytes, put.version, put.state),
        )
    if plan.deletes:
        writer.executemany(
            "DELETE FROM sealed_rows WHERE place = ? AND row_id = ?",
            [(d.place, d.row_id.bytes) for d in plan.deletes],
        )


def write_audits(writer: sqlite3.Connection, plan: Plan) -> None:
    """Bring the audit index on, or begin it anew."""
    for audit in plan.audits:
        if audit.restart:
            writer.execute("DELETE FROM audit_index")
        writer.executemany(
            "INSERT OR IGNORE INTO audit_index VALUES (?, ?, ?, ?, ?)",
            [(r.position, r.client_id.bytes if r.client_id else None, r.actor, r.purpose, r.at_us) for r in audit.rows],
        )
        writer.execute("UPDATE audit_position SET idx = ?", (audit.position,))
