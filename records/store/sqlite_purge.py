"""Purging on SQLite: the ciphertext of erased events goes, out of the pages and out of the journal.

Source: CRYPTO 7 (step 7); the SQLite documentation on secure_delete and on checkpoints.

- The update names the bytes that must stand there; what it wrote is read back before the commit.
- Freed bytes are overwritten with zeros in the same transaction, by secure_delete, which is on for the update alone.
- The journal still holds the pages as they were, until it is truncated. That waits for readers; it may be done again.
- A crash before the commit leaves nothing of it; one before the truncation leaves old pages in the journal, which the
  next truncation removes.

It does not reach blocks that the file system or the disk kept elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from records.errors import LedgerMismatch
from records.ledger import chain_key
from records.store.batch import Plan
from records.store.schema import SEALED_TOPIC
from records.store.sqlite_rows import count_present
from records.store.unit import Reference, StoredRow

_STANDING = (
    "SELECT l.idx, l.entry, e.originator_version, e.state FROM ledger l JOIN stored_events e"
    " ON e.originator_id = ? AND e.originator_version = ?"
    " WHERE substr(l.entry, 8, 1) <= x'02' AND substr(l.entry, 17, 24) = ?"
)
WAIT_MS = 500
_PURGE = "UPDATE stored_events SET state = ? WHERE originator_id = ? AND originator_version = ? AND state = ?"


def standing_rows(writer: sqlite3.Connection, wanted: Sequence[Reference]) -> dict[Reference, StoredRow]:
    """Return what is stored of some events, beside their entries; what is not there is left out."""
    found: dict[Reference, StoredRow] = {}
    for reference in wanted:
        stream, version = reference
        row = writer.execute(_STANDING, (stream.hex, version, chain_key(stream.bytes, version))).fetchone()
        if row is not None:
            found[reference] = StoredRow(*row)
    return found


def write_purges(writer: sqlite3.Connection, plan: Plan) -> None:
    """Put the purged forms of a plan in place of the ciphertexts, and read them back.

    Raises:
        LedgerMismatch: a row was not changed, or not to what was written.
    """
    if not plan.purges:
        return
    before = writer.execute("PRAGMA secure_delete").fetchone()[0]
    writer.execute("PRAGMA secure_delete = ON")
    for stream, version, state, purged in plan.purges:
        if writer.execute(_PURGE, (purged, stream.hex, version, state)).rowcount != 1:
            raise LedgerMismatch("an event was not purged as written", plan.first_index)
    writer.execute(f"PRAGMA secure_delete = {int(before)}")
    stand = [(stream.hex, version, SEALED_TOPIC, purged) for stream, version, _, purged in plan.purges]
    columns = ("originator_id", "originator_version", "topic", "state")
    if count_present(writer, "stored_events", columns, stand) != len(stand):
        raise LedgerMismatch("an event was not purged as written", plan.first_index)


def truncate_journal(writer: sqlite3.Connection) -> bool:
    """Move the journal into the database and cut it to nothing; return False where something kept it.

    It is done on the one connection that writes, between two batches: a checkpoint on another one races with its writes
    in SQLite before 3.51.3. Writers wait meanwhile, so it waits for readers no longer than `WAIT_MS`.
    """
    (before,) = writer.execute("PRAGMA busy_timeout").fetchone()
    writer.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
    try:
        busy: int = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error:
        # What was committed stands; whoever asked is told that the journal does, too.
        return False
    finally:
        writer.execute(f"PRAGMA busy_timeout = {int(before)}")
    return not busy
