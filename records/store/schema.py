"""The tables beside the library's `stored_events`, and the triggers that keep events and ledger append-only.

- `ledger(idx, entry)`: one entry of 157 bytes for each index, dense from 0. An index over its bytes 16..39 (stream and
  version) finds a stream's chain; two partial ones find the few clinic and key entries.
- Events and entries are only ever added. The one change allowed is the purge of a payload (CRYPTO 1): version byte 0,
  the key's id, the digest of what stood there.
- `log_bodies(idx, body)` and `log_tiles(level, n, hashes)` are only ever added to. `checkpoints(size, note)` may
  change: a checkpoint proves itself.
- `sealed_rows`, `idempotency` and the audit index may change: none of them is evidence.
- The audit index is read by time, for everybody, a client, a person, or both: one index each, so that a page costs the
  same however much there is.
- A row of `sealed_rows` at the place `fence` closes a stream: each writing transaction looks for it.
- The stored topic is one constant; the real one is inside the seal.
- PostgreSQL adds `ledger_head`, one row whose lock gives every writer of every process its index, time and order. A
  state is stored as it is (ciphertext does not compress), a purge is also held to the digest of what stood there, and
  TRUNCATE is refused too.

Positions are 1-based in SQL: byte 8 is the kind, 17–40 stream and version, 89 the key class.
"""

from __future__ import annotations

from typing import LiteralString

SEALED_TOPIC = "sealed"
FENCE_PLACE = "fence"
"""The place of rows that close a stream: they are empty, and name a random id only."""

SQLITE_STATEMENTS = [
    "CREATE TABLE IF NOT EXISTS ledger (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS ledger_chain ON ledger (substr(entry, 17, 24))"
    " WHERE substr(entry, 8, 1) <= x'02'",
    "CREATE INDEX IF NOT EXISTS ledger_clinic ON ledger (idx)"
    " WHERE substr(entry, 89, 1) = x'05' AND substr(entry, 8, 1) = x'01'",
    "CREATE INDEX IF NOT EXISTS ledger_keys ON ledger (idx) WHERE substr(entry, 8, 1) IN (x'03', x'04')",
    "CREATE INDEX IF NOT EXISTS ledger_clear ON ledger (idx) WHERE substr(entry, 89, 1) = x'00'",
    "CREATE TABLE IF NOT EXISTS log_bodies (idx INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS log_tiles (level INTEGER NOT NULL, n INTEGER NOT NULL, hashes BLOB NOT NULL,"
    " PRIMARY KEY (level, n))",
    "CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sealed_rows (place TEXT NOT NULL, row_id BLOB NOT NULL, stream_id BLOB NOT NULL,"
    " version INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (place, row_id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idempotency (key_digest BLOB PRIMARY KEY, body_digest BLOB NOT NULL,"
    " stream_id BLOB NOT NULL, status INTEGER NOT NULL, events BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS audit_index (idx INTEGER PRIMARY KEY, client_id BLOB, actor TEXT NOT NULL,"
    " purpose TEXT, at_us INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_time ON audit_index (at_us, idx)",
    "CREATE INDEX IF NOT EXISTS audit_client ON audit_index (client_id, at_us, idx)",
    "CREATE INDEX IF NOT EXISTS audit_actor ON audit_index (actor, at_us, idx)",
    "CREATE INDEX IF NOT EXISTS audit_both ON audit_index (client_id, actor, at_us, idx)",
    "CREATE TABLE IF NOT EXISTS audit_position (idx INTEGER NOT NULL)",
    "INSERT INTO audit_position SELECT -1 WHERE NOT EXISTS (SELECT 1 FROM audit_position)",
    "CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON stored_events"
    " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS events_stand BEFORE UPDATE ON stored_events WHEN ("
    " NEW.originator_id = OLD.originator_id AND NEW.originator_version = OLD.originator_version"
    " AND NEW.topic = OLD.topic AND substr(OLD.state, 1, 1) = x'01' AND substr(NEW.state, 1, 1) = x'00'"
    " AND length(NEW.state) = 49 AND substr(NEW.state, 2, 16) = substr(OLD.state, 5, 16))"
    " IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_are_kept BEFORE DELETE ON ledger"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_stand BEFORE UPDATE ON ledger"
    " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS bodies_are_kept BEFORE DELETE ON log_bodies"
    " BEGIN SELECT RAISE(ABORT, 'bodies are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS bodies_stand BEFORE UPDATE ON log_bodies"
    " BEGIN SELECT RAISE(ABORT, 'bodies are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS tiles_are_kept BEFORE DELETE ON log_tiles"
    " BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS tiles_stand BEFORE UPDATE ON log_tiles"
    " BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END",
]

POSTGRES_STATEMENTS: list[LiteralString] = [
    "ALTER TABLE stored_events ALTER COLUMN state SET STORAGE EXTERNAL",
    "CREATE TABLE ledger (idx bigint PRIMARY KEY, entry bytea NOT NULL)",
    "CREATE UNIQUE INDEX ledger_chain ON ledger (substring(entry from 17 for 24))"
    " WHERE substring(entry from 8 for 1) <= '\\x02'",
    "CREATE INDEX ledger_clinic ON ledger (idx)"
    " WHERE substring(entry from 89 for 1) = '\\x05' AND substring(entry from 8 for 1) = '\\x01'",
    "CREATE INDEX ledger_keys ON ledger (idx) WHERE substring(entry from 8 for 1) IN ('\\x03', '\\x04')",
    "CREATE INDEX ledger_clear ON ledger (idx) WHERE substring(entry from 89 for 1) = '\\x00'",
    "CREATE TABLE log_bodies (idx bigint PRIMARY KEY, body bytea NOT NULL)",
    "CREATE TABLE log_tiles (level bigint NOT NULL, n bigint NOT NULL, hashes bytea NOT NULL, PRIMARY KEY (level, n))",
    "ALTER TABLE log_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL",
    "CREATE TABLE checkpoints (size bigint PRIMARY KEY, note bytea NOT NULL)",
    # Room on the one page lets each commit replace the row without touching an index.
    "CREATE TABLE ledger_head (one boolean PRIMARY KEY DEFAULT true CHECK (one), next_index bigint NOT NULL,"
    " last_us bigint NOT NULL, clinic_index bigint NOT NULL) WITH (fillfactor = 10)",
    "INSERT INTO ledger_head (next_index, last_us, clinic_index) VALUES (0, 0, -1)",
    "CREATE TABLE sealed_rows (place text NOT NULL, row_id uuid NOT NULL, stream_id uuid NOT NULL,"
    " version bigint NOT NULL, state bytea NOT NULL, PRIMARY KEY (place, row_id))",
    "ALTER TABLE sealed_rows ALTER COLUMN state SET STORAGE EXTERNAL",
    "CREATE TABLE idempotency (key_digest bytea PRIMARY KEY, body_digest bytea NOT NULL, stream_id uuid NOT NULL,"
    " status bigint NOT NULL, events bytea NOT NULL)",
    "CREATE TABLE audit_index (idx bigint PRIMARY KEY, client_id uuid, actor text NOT NULL, purpose text,"
    " at_us bigint NOT NULL)",
    "CREATE INDEX audit_time ON audit_index (at_us, idx)",
    "CREATE INDEX audit_client ON audit_index (client_id, at_us, idx)",
    "CREATE INDEX audit_actor ON audit_index (actor, at_us, idx)",
    "CREATE INDEX audit_both ON audit_index (client_id, actor, at_us, idx)",
    "CREATE TABLE audit_position (idx bigint NOT NULL)",
    "INSERT INTO audit_position VALUES (-1)",
    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE TRIGGER events_are_kept BEFORE DELETE ON stored_events FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER events_remain BEFORE TRUNCATE ON stored_events EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER events_stand BEFORE UPDATE ON stored_events FOR EACH ROW WHEN (("
    "NEW.originator_id = OLD.originator_id AND NEW.originator_version = OLD.originator_version"
    " AND NEW.topic = OLD.topic AND NEW.notification_id = OLD.notification_id"
    " AND substring(OLD.state from 1 for 1) = '\\x01'"
    " AND NEW.state = '\\x00' || substring(OLD.state from 5 for 16) || sha256(OLD.state)) IS NOT TRUE)"
    " EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_are_kept BEFORE DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_remain BEFORE TRUNCATE ON ledger EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_stand BEFORE UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER bodies_are_kept BEFORE DELETE ON log_bodies FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER bodies_remain BEFORE TRUNCATE ON log_bodies EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER bodies_stand BEFORE UPDATE ON log_bodies FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER tiles_are_kept BEFORE DELETE ON log_tiles FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER tiles_remain BEFORE TRUNCATE ON log_tiles EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER tiles_stand BEFORE UPDATE ON log_tiles FOR EACH ROW EXECUTE FUNCTION refuse_change()",
]
