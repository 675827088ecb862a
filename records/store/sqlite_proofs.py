"""What proves the log, on SQLite: clear bodies, full hash tiles and checkpoints, written inside a batch's transaction.

- The rows of a batch are read back and counted before its commit.
- A body is written with its entry and read back with it.
- A tile that is there already must hold the same bytes: whoever makes it again after a crash finds it, and a row that
  somebody put in its place is found out.
- A checkpoint is read back too, so that a trigger cannot swallow the signer's word.
"""

from __future__ import annotations

import sqlite3

from records.errors import LedgerMismatch
from records.store.batch import Plan
from records.store.schema import SEALED_TOPIC
from records.store.sqlite_rows import count_present, insert_rows


def write_proofs(writer: sqlite3.Connection, plan: Plan) -> None:
    """Write the tiles and checkpoints of a plan, and read back all that signs the log.

    Raises:
        LedgerMismatch: a row was swallowed or altered, or a tile of another content stands in its place.
    """
    if plan.bodies and count_present(writer, "log_bodies", ("idx", "body"), plan.bodies) != len(plan.bodies):
        raise LedgerMismatch("a body was not stored as written", plan.bodies[0][0])
    if plan.tiles:
        writer.executemany("INSERT OR IGNORE INTO log_tiles VALUES (?, ?, ?)", plan.tiles)
        if count_present(writer, "log_tiles", ("level", "n", "hashes"), plan.tiles) != len(plan.tiles):
            raise LedgerMismatch("a hash tile is not what the log says")
    if plan.dropped_checkpoints:
        writer.executemany("DELETE FROM checkpoints WHERE size = ?", [(size,) for size in plan.dropped_checkpoints])
    if plan.checkpoints:
        writer.executemany("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", plan.checkpoints)
        # Of two of one size in a batch, the later one stands.
        stand = list({row.size: row for row in plan.checkpoints}.values())
        if count_present(writer, "checkpoints", ("size", "note"), stand) != len(stand):
            raise LedgerMismatch("a checkpoint was not stored as written")


def insert_bodies(writer: sqlite3.Connection, plan: Plan) -> None:
    """Write the clear bodies of a plan; they are counted with the entries that name them."""
    if plan.bodies:
        insert_rows(writer, "log_bodies", plan.bodies)


def read_back(writer: sqlite3.Connection, plan: Plan, changes: int) -> None:
    """Compare what the database holds with what was to be written; `changes` counts the rows that were written.

    Raises:
        LedgerMismatch: a row was swallowed or altered on its way.
    """
    if not plan.entries:
        return
    if changes != len(plan.events) + len(plan.entries) + len(plan.bodies) + len(plan.idempotency):
        raise LedgerMismatch("more or fewer rows were stored than were written", plan.first_index)
    if count_present(writer, "ledger", ("idx", "entry"), plan.entries) != len(plan.entries):
        raise LedgerMismatch("a ledger entry was not stored as written", plan.first_index)
    events = [(stream.hex, version, SEALED_TOPIC, state) for stream, version, state in plan.events]
    columns = ("originator_id", "originator_version", "topic", "state")
    if count_present(writer, "stored_events", columns, events) != len(events):
        raise LedgerMismatch("an event was not stored as written", plan.first_index)
