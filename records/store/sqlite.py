"""The embedded store: SQLite in WAL mode, one writing connection, a few readers.

Source: DESIGN (Store); the SQLite documentation on WAL and on transactions.

- All writing and checkpointing is done on one connection of ours; readers are read-only connections.
- The ledger index is the position that everything follows; rowids prove nothing and are used only for the read-back.
- An advisory lock on the data directory keeps a second writing process out.
- A crash before COMMIT returns leaves nothing or the whole batch: SQLite's own recovery decides, and it never leaves a
  part. A failed COMMIT may turn out either way after a crash, so it is said to be unknown.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor, SQLiteDatastore

from records.errors import ClinicLocked, LedgerMismatch, NotStored, OutcomeUnknown, WellkeptError
from records.ledger import chain_key, decode_entry, entry_hash
from records.store import Store
from records.store.audit_where import where_audited
from records.store.batch import Plan, named_purges, named_streams
from records.store.chain import join_rows
from records.store.group_commit import GroupCommit
from records.store.schema import SEALED_TOPIC, SQLITE_STATEMENTS
from records.store.sqlite_damage import told
from records.store.sqlite_fences import close_streams, fenced_streams
from records.store.sqlite_kept_rows import write_audits, write_sealed_rows
from records.store.sqlite_proofs import insert_bodies, read_back, write_proofs
from records.store.sqlite_purge import standing_rows, truncate_journal, write_purges
from records.store.sqlite_rows import CACHED_STATEMENTS, insert_rows, select_in
from records.store.stream_ends import StreamEnds
from records.store.unit import (
    KEPT_PLACES,
    AuditRow,
    CheckpointRow,
    Committed,
    IdempotencyRow,
    LogHead,
    RowDelete,
    SealedRow,
    StoredRow,
    StreamHead,
    Tally,
    Unit,
    decode_references,
    encode_references,
)

READERS = 8
BUSY_TIMEOUT_SECONDS = 5.0
_LAST_VERSION = 2**63 - 1
_KNOWN = "SELECT key_digest, body_digest, stream_id, status, events FROM idempotency WHERE key_digest"


class LedgeredRecorder(SQLiteApplicationRecorder):
    """The library's recorder with our tables and triggers beside its own."""

    def construct_create_table_statements(self) -> list[str]:
        """Return the library's table, then ours."""
        return [*super().construct_create_table_statements(), *SQLITE_STATEMENTS]

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        rows = [(e.originator_id.hex, e.originator_version, e.topic, e.state) for e in stored_events]  # type: ignore[union-attr]  # ids of ours are UUIDs
        insert_rows(c.sqlite_cursor, self.events_table_name, rows)
        return None


class SqliteStore(Store):
    """A store in one SQLite file; see the duties in `records.store`."""

    def __init__(self, path: Path, now_us: Callable[[], int], *, read_only: bool = False, still: bool = False) -> None:
        """Open an existing store.

        Args:
            path: the database file; it must exist (see `create`).
            now_us: the clock, in microseconds since 1970 UTC.
            read_only: do not take the writing lock, and refuse to commit.
            still: nobody writes this file, and nothing may be made beside it; only with `read_only`.

        Raises:
            ClinicLocked: another process writes this clinic.
            NotStored: the file is missing or cannot be opened.
            LedgerMismatch: the file is damaged.
        """
        if not path.exists():
            raise NotStored("there is no database")
        self._path, self._still, self._now_us = path, still, now_us
        self._lock_file = None if read_only else _take_lock(path.with_name("writer.lock"))
        self._recorder = LedgeredRecorder(SQLiteDatastore(str(path)))
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Semaphore(READERS)
        self._ends = StreamEnds()
        self._writer: sqlite3.Connection | None = None
        self._group = GroupCommit(self._write_batch)
        # None where a commit failed half way: then the database is asked before the next batch.
        self._committed: LogHead | None = None
        self._fenced: set[UUID] = set()
        self._swept = False
        if not read_only:
            self._open_writer()

    def _open_writer(self) -> None:
        try:
            self._writer = _connect_writer(self._path)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute("PRAGMA temp_store = MEMORY")
            self._committed, self._fenced = self._stored_head(), fenced_streams(self._writer)
        except sqlite3.Error as error:
            self.close()
            raise told(error, "the log cannot be opened") from error
        except WellkeptError:
            self.close()
            raise

    @staticmethod
    def create(path: Path) -> None:
        """Make the tables of a new store, in a new file.

        Raises:
            FileExistsError: there is a file already.
        """
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        datastore = SQLiteDatastore(str(path))
        LedgeredRecorder(datastore).create_table()
        datastore.close()

    def close(self) -> None:
        """Close all connections and give back the lock."""
        if self._writer is not None:
            self._writer.close()
        while self._readers:
            self._readers.pop().close()
        self._recorder.datastore.close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    # --- writing

    def commit(self, unit: Unit) -> Committed:
        """Commit a unit; see `Store.commit`."""
        if self._writer is None:
            raise NotStored("this store was opened for reading")
        return self._group.commit(unit)

    def sweep(self) -> bool:
        """Truncate the journal; see `Store.sweep`."""
        if self._writer is None:
            raise NotStored("this store was opened for reading")
        self._group.commit(Unit(sweep=True))
        return self._swept

    def _write_batch(self, units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        writer = self._writer
        if writer is None:
            raise NotStored("this store was opened for reading")
        try:
            writer.execute("BEGIN IMMEDIATE")
            plan = self._plan(writer, units)
            if plan.writes:
                self._insert(writer, plan)
        except sqlite3.IntegrityError as error:
            _roll_back(writer)
            raise LedgerMismatch("the tables hold what the ledger does not name") from error
        except sqlite3.Error as error:
            _roll_back(writer)
            raise told(error, "the log could not be written") from error
        except BaseException:
            _roll_back(writer)
            raise
        # A crash before this line leaves nothing of the batch; one after it leaves all of it.
        try:
            _commit(writer)
        except OutcomeUnknown:
            self._committed = None
            self._ends.forget()
            raise
        self._ends.move(plan.heads)
        self._fenced.update(plan.fences)
        self._committed = plan.head
        if any(unit.sweep for unit in units):
            self._swept = truncate_journal(writer)
        return plan.outcomes

    def _plan(self, writer: sqlite3.Connection, units: Sequence[Unit]) -> Plan:
        heads: dict[UUID, StreamHead] = {}
        if self._committed is None:
            self._committed, self._fenced = self._stored_head(), fenced_streams(writer)
        for stream in named_streams(units):
            heads[stream] = self._ends.get(stream) or _stream_head(writer, stream)
        keys = [unit.idempotency.key for unit in units if unit.idempotency is not None]
        known = {row[0]: _idempotency_row(row) for row in select_in(writer, f"{_KNOWN} IN", keys)}
        standing = standing_rows(writer, named_purges(units))
        plan = Plan(self._committed, heads, known, self._now_us(), self._fenced, standing)
        for unit in units:
            plan.add(unit)
        return plan

    def _insert(self, writer: sqlite3.Connection, plan: Plan) -> None:
        changes = writer.total_changes
        if plan.events:
            events = [StoredEvent(stream, version, SEALED_TOPIC, state) for stream, version, state in plan.events]
            self._recorder._insert_events(SQLiteCursor(writer.cursor()), events)
        if plan.entries:
            insert_rows(writer, "ledger", plan.entries)
            insert_bodies(writer, plan)
        if plan.idempotency:
            insert_rows(
                writer,
                "idempotency",
                [(r.key, r.body, r.stream.bytes, r.status, encode_references(r.events)) for r in plan.idempotency],
            )
        read_back(writer, plan, writer.total_changes - changes)
        write_proofs(writer, plan)
        write_sealed_rows(writer, plan)
        close_streams(writer, plan)
        write_purges(writer, plan)
        write_audits(writer, plan)

    def _stored_head(self) -> LogHead:
        with self._reader() as reader:
            last = reader.execute("SELECT idx, entry FROM ledger ORDER BY idx DESC LIMIT 1").fetchone()
            clinic = reader.execute(
                "SELECT MAX(idx) FROM ledger WHERE substr(entry, 89, 1) = x'05' AND substr(entry, 8, 1) = x'01'"
            ).fetchone()[0]
        if last is None:
            return LogHead()
        return LogHead(last[0] + 1, decode_entry(last[1]).logged_at_us, -1 if clinic is None else clinic)

    # --- reading

    def waiting(self) -> int:
        """Return how many units wait; see `Store.waiting`."""
        return self._group.waiting()

    def head(self) -> LogHead:
        """Return where the log stands; a writing process knows it, a reading one asks."""
        return self._committed or self._stored_head()

    def history(self, stream: UUID, after: int = 0, upto: int | None = None) -> list[StoredRow]:
        """Return a stream's rows beside their entries; see `Store.history`.

        Cost: nothing where this process wrote or read the stream's last event and nothing newer is asked for.
        """
        known = self._ends.get(stream)
        if known is not None and after >= known.version:
            return []
        mark = self._ends.mark()
        name = stream.bytes
        with self._reader() as reader:
            chain = reader.execute(
                "SELECT idx, entry FROM ledger WHERE substr(entry, 8, 1) <= x'02'"
                " AND substr(entry, 17, 24) > ? AND substr(entry, 17, 24) <= ? ORDER BY substr(entry, 17, 24)",
                (chain_key(name, after), chain_key(name, _LAST_VERSION if upto is None else upto)),
            ).fetchall()
            if not chain:
                return []
            states = reader.execute(
                "SELECT originator_version, state FROM stored_events"
                " WHERE originator_id = ? AND originator_version > ? AND originator_version <= ?"
                " ORDER BY originator_version",
                (stream.hex, after, after + len(chain)),
            ).fetchall()
        rows = join_rows(chain, states, after)
        if self._writer is not None and upto is None and known is None:
            self._ends.learn(stream, StreamHead(rows[-1].version, entry_hash(rows[-1].entry)), mark)
        return rows

    def entries(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return entries after an index, in order."""
        return self._select("SELECT idx, entry FROM ledger WHERE idx > ? ORDER BY idx LIMIT ?", (after, limit))

    def clinic_entries(self, after: int) -> list[tuple[int, bytes]]:
        """Return the clinic-class event entries after an index, in order."""
        return self._select(
            "SELECT idx, entry FROM ledger WHERE substr(entry, 89, 1) = x'05' AND substr(entry, 8, 1) = x'01'"
            " AND idx > ? ORDER BY idx",
            (after,),
        )

    def key_entries(self) -> list[tuple[int, bytes]]:
        """Return the entries of keys created or destroyed, in order."""
        return self._select(
            "SELECT idx, entry FROM ledger WHERE substr(entry, 8, 1) IN (x'03', x'04') ORDER BY idx", ()
        )

    def body(self, index: int) -> bytes | None:
        """Return the clear body of an entry, or None."""
        found = self._select("SELECT body FROM log_bodies WHERE idx = ?", (index,))
        return found[0][0] if found else None

    def bodies(self, after: int = -1) -> list[tuple[int, bytes]]:
        """Return the clear bodies after an index, in order."""
        return self._select("SELECT idx, body FROM log_bodies WHERE idx > ? ORDER BY idx", (after,))

    def tile(self, level: int, n: int) -> bytes | None:
        """Return a full hash tile, or None."""
        found = self._select("SELECT hashes FROM log_tiles WHERE level = ? AND n = ?", (level, n))
        return found[0][0] if found else None

    def checkpoint(self) -> CheckpointRow | None:
        """Return the newest checkpoint, or None."""
        found = self._select("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1", ())
        return CheckpointRow(*found[0]) if found else None

    def checkpoints(self) -> list[CheckpointRow]:
        """Return the checkpoints that are kept, in order of size."""
        return [CheckpointRow(*row) for row in self._select("SELECT size, note FROM checkpoints ORDER BY size", ())]

    def leads_signing(self) -> bool:
        """Whoever holds the writing lock leads."""
        return self._writer is not None

    def tally(self) -> Tally:
        """Count what is stored."""
        found = self._select(
            "SELECT (SELECT count(*) FROM ledger), (SELECT coalesce(max(idx), -1) FROM ledger),"
            " (SELECT count(*) FROM ledger WHERE substr(entry, 8, 1) <= x'02'), (SELECT count(*) FROM stored_events),"
            " (SELECT count(*) FROM ledger WHERE substr(entry, 89, 1) = x'00'), (SELECT count(*) FROM log_bodies)",
            (),
        )
        return Tally(*found[0])

    def row(self, place: str, row_id: UUID) -> SealedRow | None:
        """Return a sealed row, or None."""
        found = self._select(
            "SELECT row_id, stream_id, version, state FROM sealed_rows WHERE place = ? AND row_id = ?",
            (place, row_id.bytes),
        )
        return _sealed_row(found[0]) if found else None

    def rows(self, place: str) -> list[SealedRow]:
        """Return all sealed rows of a place."""
        found = self._select("SELECT row_id, stream_id, version, state FROM sealed_rows WHERE place = ?", (place,))
        return [_sealed_row(row) for row in found]

    def drop_rows(self, place: str) -> int:
        """Delete all sealed rows of a view; see `Store.drop_rows`."""
        if place in KEPT_PLACES:
            raise ValueError("nothing makes these rows anew")
        rows = self.rows(place)
        for start in range(0, len(rows), 1000):
            self.commit(Unit(deletes=tuple(RowDelete(place, row.row_id) for row in rows[start : start + 1000])))
        return len(rows)

    def idempotency(self, key: bytes) -> IdempotencyRow | None:
        """Return what is kept of a request, or None."""
        found = self._select(f"{_KNOWN} = ?", (key,))
        return _idempotency_row(found[0]) if found else None

    def audit_position(self) -> int:
        """Return the ledger index that the audit index includes."""
        position: int = self._select("SELECT idx FROM audit_position", ())[0][0]
        return position

    def audit_rows(
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
        """Return rows of the audit index; see `Store.audit_rows`."""
        where, values = where_audited(
            "?",
            {
                "client_id =": client_id.bytes if client_id else None,
                "actor =": actor,
                "purpose =": purpose,
                "at_us >=": from_us,
                "at_us <": to_us,
            },
            after,
            newest_first,
        )
        rows = self._select(
            f"SELECT idx, client_id, actor, purpose, at_us FROM audit_index{where} LIMIT ?",  # noqa: S608 - fixed text
            (*values, limit),
        )
        return [
            AuditRow(position, UUID(bytes=client) if client else None, who.decode(), why and why.decode(), at_us)
            for position, client, who, why, at_us in rows
        ]

    def _select(self, query: str, arguments: tuple[Any, ...]) -> list[Any]:
        with self._reader() as reader:
            return reader.execute(query, arguments).fetchall()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._readers_lock:
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = _connect_reader(self._path, self._still)
            try:
                yield reader
            except sqlite3.Error as error:
                reader.close()
                raise told(error, "the log cannot be read") from error
            self._readers.append(reader)


def _stream_head(connection: sqlite3.Connection, stream: UUID) -> StreamHead:
    name = stream.bytes
    row = connection.execute(
        "SELECT entry FROM ledger WHERE substr(entry, 8, 1) <= x'02'"
        " AND substr(entry, 17, 24) > ? AND substr(entry, 17, 24) <= ? ORDER BY substr(entry, 17, 24) DESC LIMIT 1",
        (chain_key(name, 0), chain_key(name, _LAST_VERSION)),
    ).fetchone()
    return StreamHead() if row is None else StreamHead(int.from_bytes(row[0][32:40], "big"), entry_hash(row[0]))


def _idempotency_row(row: tuple[bytes, bytes, bytes, int, bytes]) -> IdempotencyRow:
    key, body, stream, status, events = row
    return IdempotencyRow(key, body, UUID(bytes=stream), status, decode_references(events))


def _sealed_row(row: tuple[bytes, bytes, int, bytes]) -> SealedRow:
    return SealedRow(UUID(bytes=row[0]), UUID(bytes=row[1]), row[2], row[3])


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ClinicLocked("another process writes this clinic") from error
    return descriptor


def _connect_writer(path: Path) -> sqlite3.Connection:
    writer = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_SECONDS,
        cached_statements=CACHED_STATEMENTS,
    )
    writer.text_factory = bytes
    return writer


def _connect_reader(path: Path, still: bool) -> sqlite3.Connection:
    reader = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if still else ""),
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_SECONDS,
        cached_statements=CACHED_STATEMENTS,
    )
    # A ciphertext that somebody stored as text is still read, and then found out by its digest.
    reader.text_factory = bytes
    reader.execute("PRAGMA temp_store = MEMORY")
    return reader


def _commit(writer: sqlite3.Connection) -> None:
    try:
        writer.execute("COMMIT")
    except sqlite3.Error as error:
        failed_before_the_log = writer.in_transaction and error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_FULL")
        _roll_back(writer)
        if failed_before_the_log:
            raise NotStored("the log could not be written") from error
        raise OutcomeUnknown("the commit failed half way") from error


def _roll_back(writer: sqlite3.Connection) -> None:
    if writer.in_transaction:
        writer.execute("ROLLBACK")
