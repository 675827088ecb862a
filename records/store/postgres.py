"""The store for more than one machine: PostgreSQL, any number of writing processes, one order.

Source: DESIGN (Store); the PostgreSQL documentation on row locks, read committed isolation and asynchronous commit.

- Each batch is one transaction. It begins by locking the one row of `ledger_head`: whoever holds it gives index, time
  and versions, and what it reads next is what the writer before it committed. Nothing is remembered between batches.
- The head is compared with the last ledger entry each time, and the server's durability is asked each time.
- Three round trips: lock and read; write and read back; commit.
- A crash or a lost connection before COMMIT was sent leaves nothing: the server rolls back. One after it leaves the
  whole batch or nothing, and the ledger is asked which (`records.store.postgres_outcome`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from records.errors import LedgerMismatch, NotStored, WellkeptError
from records.ledger import chain_key
from records.store import Store
from records.store.audit_where import where_audited
from records.store.chain import join_rows
from records.store.group_commit import GroupCommit
from records.store.postgres_batch import insert, known_row, plan_batch, read_back
from records.store.postgres_connection import (
    UNREACHED,
    Link,
    check_server,
    connection_string,
    is_lost,
    open_pool,
    together,
)
from records.store.postgres_lead import SigningLead
from records.store.postgres_outcome import commit
from records.store.postgres_purge import vacuum
from records.store.postgres_tables import create_tables
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
    Tally,
    Unit,
)

READERS = 8
_LAST_VERSION = 2**63 - 1
_Answer = TypeVar("_Answer")


class PostgresStore(Store):
    """A store in one PostgreSQL database; see the duties in `records.store`."""

    def __init__(self, url: str, now_us: Callable[[], int], *, read_only: bool = False) -> None:
        """Open an existing store.

        Args:
            url: the database, as libpq names it.
            now_us: the clock, in microseconds since 1970 UTC.
            read_only: refuse to commit; a standby will do.

        Raises:
            NotStored: the server cannot be reached, is not durable, or holds no log.
        """
        self._now_us = now_us
        self._conninfo = connection_string(url, writes=not read_only)
        check_server(self._conninfo)
        self._readers = open_pool(self._conninfo, size=READERS, name="readers")
        self._writers = None if read_only else open_pool(self._conninfo, size=1, name="writer")
        self._lead = None if read_only else SigningLead(self._conninfo)
        self._group = GroupCommit(self._write_batch)

    @staticmethod
    def create(url: str) -> None:
        """Make the tables of a new store in an existing, empty database, all or none.

        Raises:
            FileExistsError: the database holds a log already.
            NotStored: the server cannot be reached.
        """
        create_tables(connection_string(url, writes=True))

    def close(self) -> None:
        """Close all connections."""
        if self._lead is not None:
            self._lead.close()
        self._readers.close()
        if self._writers is not None:
            self._writers.close()

    # --- writing

    def commit(self, unit: Unit) -> Committed:
        """Commit a unit; see `Store.commit`."""
        if self._writers is None:
            raise NotStored("this store was opened for reading")
        return self._group.commit(unit)

    def sweep(self) -> bool:
        """Vacuum the events; see `Store.sweep`."""
        if self._writers is None:
            raise NotStored("this store was opened for reading")
        return vacuum(self._conninfo)

    def _write_batch(self, units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        try:
            return self._write(units)
        except _LostBeforeWriting:
            # A connection that lay idle while the server restarted says so when it is used: a new one is tried, once.
            try:
                return self._write(units)
            except _LostBeforeWriting as error:
                raise NotStored("the log could not be written") from error

    def _write(self, units: Sequence[Unit]) -> Sequence[Committed | WellkeptError]:
        with self._writer() as connection:
            try:
                plan = plan_batch(connection, units, self._now_us)
            except psycopg.Error as error:
                if is_lost(error):
                    connection.close()
                    raise _LostBeforeWriting from error
                raise NotStored("the log could not be written") from error
            if not plan.writes:
                return plan.outcomes
            try:
                stored = insert(connection, plan)
            except psycopg.IntegrityError as error:
                raise LedgerMismatch("the tables hold what the ledger does not name", plan.first_index) from error
            except psycopg.DataError:
                raise
            except psycopg.Error as error:
                raise NotStored("the log could not be written") from error
            read_back(stored, plan)
            # A crash before this line leaves nothing of the batch; one after it leaves all of it.
            commit(connection, self._conninfo, stored.transaction, plan)
            return plan.outcomes

    @contextmanager
    def _writer(self) -> Iterator[Link]:
        if self._writers is None:
            raise NotStored("this store was opened for reading")
        try:
            connection = self._writers.getconn()
        except psycopg.Error as error:
            raise NotStored("the database cannot be reached") from error
        try:
            yield connection
        finally:
            _roll_back(connection)
            self._writers.putconn(connection)

    # --- reading

    def waiting(self) -> int:
        """Return how many units wait; see `Store.waiting`."""
        return self._group.waiting()

    def head(self) -> LogHead:
        """Return where the log stands, as the database says now."""
        rows = self._select("SELECT next_index, last_us, clinic_index FROM ledger_head", ())
        if not rows:
            raise LedgerMismatch("the head of the log is gone")
        return LogHead(*rows[0])

    def history(self, stream: UUID, after: int = 0, upto: int | None = None) -> list[StoredRow]:
        """Return a stream's rows beside their entries; see `Store.history`."""
        last = _LAST_VERSION if upto is None else upto

        def both(connection: Link) -> tuple[list[Any], list[Any]]:
            with together(connection):
                chain = connection.execute(
                    "SELECT idx, entry FROM ledger WHERE substring(entry from 8 for 1) <= '\\x02'"
                    " AND substring(entry from 17 for 24) > %s AND substring(entry from 17 for 24) <= %s"
                    " ORDER BY substring(entry from 17 for 24)",
                    (chain_key(stream.bytes, after), chain_key(stream.bytes, last)),
                    prepare=True,
                    binary=True,
                )
                states = connection.execute(
                    "SELECT originator_version, state FROM stored_events WHERE originator_id = %s"
                    " AND originator_version > %s::bigint AND originator_version <= %s::bigint"
                    " ORDER BY originator_version",
                    (stream, after, last),
                    prepare=True,
                    binary=True,
                )
            return chain.fetchall(), states.fetchall()

        # The events are read after the ledger, so they may already hold more than it named; what is newer is left out.
        chain, states = self._read(both)
        return join_rows(chain, states[: len(chain)], after)

    def entries(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return entries after an index, in order."""
        return self._select(
            "SELECT idx, entry FROM ledger WHERE idx > %s::bigint ORDER BY idx LIMIT %s", (after, limit)
        )

    def clinic_entries(self, after: int) -> list[tuple[int, bytes]]:
        """Return the clinic-class event entries after an index, in order."""
        return self._select(
            "SELECT idx, entry FROM ledger WHERE substring(entry from 89 for 1) = '\\x05'"
            " AND substring(entry from 8 for 1) = '\\x01' AND idx > %s::bigint ORDER BY idx",
            (after,),
        )

    def key_entries(self) -> list[tuple[int, bytes]]:
        """Return the entries of keys created or destroyed, in order."""
        return self._select(
            "SELECT idx, entry FROM ledger WHERE substring(entry from 8 for 1) IN ('\\x03', '\\x04') ORDER BY idx", ()
        )

    def body(self, index: int) -> bytes | None:
        """Return the clear body of an entry, or None."""
        found = self._select("SELECT body FROM log_bodies WHERE idx = %s::bigint", (index,))
        return found[0][0] if found else None

    def bodies(self, after: int = -1) -> list[tuple[int, bytes]]:
        """Return the clear bodies after an index, in order."""
        return self._select("SELECT idx, body FROM log_bodies WHERE idx > %s::bigint ORDER BY idx", (after,))

    def tile(self, level: int, n: int) -> bytes | None:
        """Return a full hash tile, or None."""
        found = self._select("SELECT hashes FROM log_tiles WHERE level = %s::bigint AND n = %s::bigint", (level, n))
        return found[0][0] if found else None

    def checkpoint(self) -> CheckpointRow | None:
        """Return the newest checkpoint, or None."""
        found = self._select("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1", ())
        return CheckpointRow(*found[0]) if found else None

    def checkpoints(self) -> list[CheckpointRow]:
        """Return the checkpoints that are kept, in order of size."""
        return [CheckpointRow(*row) for row in self._select("SELECT size, note FROM checkpoints ORDER BY size", ())]

    def leads_signing(self) -> bool:
        """Hold the advisory lock on a session of its own; a lost session loses the lead."""
        return self._lead is not None and self._lead.held()

    def tally(self) -> Tally:
        """Count what is stored."""
        found = self._select(
            "SELECT (SELECT count(*) FROM ledger), (SELECT coalesce(max(idx), -1) FROM ledger),"
            " (SELECT count(*) FROM ledger WHERE substring(entry from 8 for 1) <= '\\x02'),"
            " (SELECT count(*) FROM stored_events),"
            " (SELECT count(*) FROM ledger WHERE substring(entry from 89 for 1) = '\\x00'),"
            " (SELECT count(*) FROM log_bodies)",
            (),
        )
        return Tally(*found[0])

    def row(self, place: str, row_id: UUID) -> SealedRow | None:
        """Return a sealed row, or None."""
        found = self._select(
            "SELECT row_id, stream_id, version, state FROM sealed_rows WHERE place = %s AND row_id = %s",
            (place, row_id),
        )
        return SealedRow(*found[0]) if found else None

    def rows(self, place: str) -> list[SealedRow]:
        """Return all sealed rows of a place."""
        found = self._select("SELECT row_id, stream_id, version, state FROM sealed_rows WHERE place = %s", (place,))
        return [SealedRow(*row) for row in found]

    def drop_rows(self, place: str) -> int:
        """Delete all sealed rows of a view; see `Store.drop_rows`."""
        if place in KEPT_PLACES:
            raise ValueError("nothing makes these rows anew")
        found = self._select("SELECT row_id FROM sealed_rows WHERE place = %s", (place,))
        for start in range(0, len(found), 1000):
            self.commit(Unit(deletes=tuple(RowDelete(place, row[0]) for row in found[start : start + 1000])))
        return len(found)

    def idempotency(self, key: bytes) -> IdempotencyRow | None:
        """Return what is kept of a request, or None."""
        found = self._select(
            "SELECT key_digest, body_digest, stream_id, status, events FROM idempotency WHERE key_digest = %s", (key,)
        )
        return known_row(found[0]) if found else None

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
            "%s",
            {
                "client_id =": client_id,
                "actor =": actor,
                "purpose =": purpose,
                "at_us >=": from_us,
                "at_us <": to_us,
            },
            after,
            newest_first,
        )
        rows = self._select(
            # What is joined is text of ours; the values stay arguments.
            "SELECT idx, client_id, actor, purpose, at_us FROM audit_index" + where + " LIMIT %s",  # noqa: S608
            (*values, limit),
        )
        return [AuditRow(*row) for row in rows]

    def _select(self, query: LiteralString, arguments: tuple[Any, ...]) -> list[Any]:
        return self._read(lambda link: link.execute(query, arguments, prepare=True, binary=True).fetchall())

    def _read(self, question: Callable[[Link], _Answer]) -> _Answer:
        try:
            return self._ask(question)
        except UNREACHED as error:
            if not is_lost(error):
                raise NotStored("the log cannot be read") from error
        # Connections that lay idle while the server restarted are sorted out; reading again alters nothing.
        try:
            self._readers.check()
            return self._ask(question)
        except psycopg.Error as error:
            raise NotStored("the log cannot be read") from error

    def _ask(self, question: Callable[[Link], _Answer]) -> _Answer:
        with self._readers.connection() as connection:
            return question(connection)


class _LostBeforeWriting(Exception):
    """The connection was gone before anything was written."""


def _roll_back(connection: Link) -> None:
    if connection.closed or connection.info.transaction_status is TransactionStatus.IDLE:
        return
    try:
        connection.rollback()
    except psycopg.Error:
        # The server rolls back what a closed connection left; the pool replaces it.
        connection.close()
