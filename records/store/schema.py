"""The tables beside the library's `stored_events`, and the triggers that keep events and ledger append-only.

- `ledger(idx, entry)`: one entry of 157 bytes for each index, dense from 0. An index over its bytes 16..39 (stream and
  version) finds a stream's chain; two partial ones find the few clinic and key entries.
- Events and entries are only ever added. The one change allowed is the purge of a payload (CRYPTO 1): version byte 0,
  the key's id, the digest of what stood there.
- `sealed_rows`, `idempotency` and the audit index may change: none of them is evidence.
- The stored topic is one constant; the real one is inside the seal.

Positions are 1-based in SQL: byte 8 is the kind, 17–40 stream and version, 89 the key class.
"""

from __future__ import annotations

SEALED_TOPIC = "sealed"

SQLITE_STATEMENTS = [
    "CREATE TABLE IF NOT EXISTS ledger (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS ledger_chain ON ledger (substr(entry, 17, 24))"
    " WHERE substr(entry, 8, 1) <= x'02'",
    "CREATE INDEX IF NOT EXISTS ledger_clinic ON ledger (idx)"
    " WHERE substr(entry, 89, 1) = x'05' AND substr(entry, 8, 1) = x'01'",
    "CREATE INDEX IF NOT EXISTS ledger_keys ON ledger (idx) WHERE substr(entry, 8, 1) IN (x'03', x'04')",
    "CREATE TABLE IF NOT EXISTS sealed_rows (place TEXT NOT NULL, row_id BLOB NOT NULL, stream_id BLOB NOT NULL,"
    " version INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (place, row_id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idempotency (key_digest BLOB PRIMARY KEY, body_digest BLOB NOT NULL,"
    " stream_id BLOB NOT NULL, status INTEGER NOT NULL, events BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS audit_index (idx INTEGER PRIMARY KEY, client_id BLOB, actor TEXT NOT NULL,"
    " purpose TEXT, at_us INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_client ON audit_index (client_id, idx)",
    "CREATE INDEX IF NOT EXISTS audit_actor ON audit_index (actor, idx)",
    "CREATE TABLE IF NOT EXISTS audit_position (idx INTEGER NOT NULL)",
    "INSERT INTO audit_position SELECT -1 WHERE NOT EXISTS (SELECT 1 FROM audit_position)",
    "CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON stored_events"
    " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS events_stand BEFORE UPDATE ON stored_events WHEN NOT ("
    " NEW.originator_id = OLD.originator_id AND NEW.originator_version = OLD.originator_version"
    " AND NEW.topic = OLD.topic AND substr(OLD.state, 1, 1) = x'01' AND substr(NEW.state, 1, 1) = x'00'"
    " AND length(NEW.state) = 49 AND substr(NEW.state, 2, 16) = substr(OLD.state, 5, 16))"
    " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_are_kept BEFORE DELETE ON ledger"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_stand BEFORE UPDATE ON ledger"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
]
