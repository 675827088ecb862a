"""Filling the tables of a new clinic from a file, on either engine: the log, its tiles, and the rows that go with it.

Source: decision 54; `records.store.schema` for the tables.

- The tables are made by the store itself, so that they are what any new clinic's are, triggers and all.
- Rows go in as they are: what the file holds was verified before, and the tables are verified after
  (`ops.moving.moving_in`).
- Hash tiles above the lowest level are computed; views and the index of the audit are left empty, to be folded anew.
- SQLite: without a journal, one transaction, synced at its end. A crash leaves a file that no FORMAT names.
- PostgreSQL: the tables in one transaction, the rows in another. A crash leaves empty tables, which nothing opens and
  the next move refuses: drop that database and name a new one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ops.moving.clinic_file import ClinicFile, KeptRequest, KeptRow, numbered
from ops.verify import ENTRIES_A_TILE, HASH_BYTES, tree_root
from records.errors import NotStored
from records.ledger import KeyClass, Kind
from records.store.schema import SEALED_TOPIC

ROWS_AT_ONCE = 2_048
Event = tuple[bytes, int, bytes]
"""Stream, version and state."""


class Filling(Protocol):
    """The empty tables of one engine."""

    def put(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows that have a value for each column, none of them an id."""

    def put_events(self, events: Sequence[Event]) -> None:
        """Insert events, in the order of their entries."""

    def put_rows(self, rows: Sequence[KeptRow]) -> None:
        """Insert sealed rows."""

    def put_requests(self, rows: Sequence[KeptRequest]) -> None:
        """Insert the answers of requests."""

    def end_at(self, next_index: int, last_us: int, clinic_index: int) -> None:
        """Say where the log ends."""


class _SqliteFilling:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - names of ours

    def put_events(self, events: Sequence[Event]) -> None:
        self.put("stored_events", [(stream.hex(), version, SEALED_TOPIC, state) for stream, version, state in events])

    def put_rows(self, rows: Sequence[KeptRow]) -> None:
        self.put("sealed_rows", [(row.place, row.row_id, row.stream_id, row.version, row.state) for row in rows])

    def put_requests(self, rows: Sequence[KeptRequest]) -> None:
        self.put(
            "idempotency", [(row.key_digest, row.body_digest, row.stream_id, row.status, row.events) for row in rows]
        )

    def end_at(self, next_index: int, last_us: int, clinic_index: int) -> None:
        """Nothing: on SQLite the log ends where its entries do."""


class _PostgresFilling:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def put(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._copy(f"COPY {table} FROM STDIN", rows)

    def put_events(self, events: Sequence[Event]) -> None:
        self._copy(
            "COPY stored_events (originator_id, originator_version, topic, state) FROM STDIN",
            [(UUID(bytes=stream), version, SEALED_TOPIC, state) for stream, version, state in events],
        )

    def put_rows(self, rows: Sequence[KeptRow]) -> None:
        self._copy(
            "COPY sealed_rows (place, row_id, stream_id, version, state) FROM STDIN",
            [(row.place, UUID(bytes=row.row_id), UUID(bytes=row.stream_id), row.version, row.state) for row in rows],
        )

    def put_requests(self, rows: Sequence[KeptRequest]) -> None:
        self._copy(
            "COPY idempotency (key_digest, body_digest, stream_id, status, events) FROM STDIN",
            [(row.key_digest, row.body_digest, UUID(bytes=row.stream_id), row.status, row.events) for row in rows],
        )

    def end_at(self, next_index: int, last_us: int, clinic_index: int) -> None:
        self._connection.execute(
            "UPDATE ledger_head SET next_index = %s, last_us = %s, clinic_index = %s",
            (next_index, last_us, clinic_index),
        )

    def _copy(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def fill_tables(source: ClinicFile, database: Path, database_url: str | None, progress: Callable[[int], None]) -> None:
    """Make the tables and fill them from a verified file; durable when it returns. See the module for crashes.

    Args:
        source: the file.
        database: the SQLite file, which is not there yet; not used with a URL.
        database_url: an empty PostgreSQL database, or None for SQLite.
        progress: told the entries written.

    Raises:
        FileExistsError: there is a log already.
        NotStored: it cannot be written.
    """
    with _sqlite(database) if database_url is None else _postgres(database_url) as filling:
        _fill(filling, source, progress)


@contextmanager
def _sqlite(database: Path) -> Iterator[Filling]:
    from records.store.sqlite import SqliteStore

    SqliteStore.create(database)
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            yield _SqliteFilling(connection)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise NotStored("the log could not be written: its place is full or failing") from error
    descriptor = os.open(database, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _postgres(url: str) -> Iterator[Filling]:
    import psycopg

    from records.store.postgres import PostgresStore
    from records.store.postgres_connection import connect, connection_string

    PostgresStore.create(url)
    try:
        with connect(connection_string(url, writes=True)) as connection, connection.transaction():
            yield _PostgresFilling(connection)
    except psycopg.Error as error:
        raise NotStored("the log could not be written") from error


class _Ends(NamedTuple):
    """Where a log ends, as PostgreSQL keeps it beside the ledger."""

    next_index: int
    last_us: int
    clinic_index: int


def _fill(filling: Filling, source: ClinicFile, progress: Callable[[int], None]) -> None:
    ends = _fill_log(filling, source, progress)
    for level, tiles in enumerate(_levels(source)):
        filling.put("log_tiles", [(level, number, hashes) for number, hashes in enumerate(tiles)])
    names = numbered(source.names, "bodies")
    filling.put("log_bodies", [(int(name.rpartition("/")[2]), source.read(name)) for name in names])
    newest = [(source.size, source.read("checkpoint"))]
    older = [(int(name.rpartition("/")[2]), source.read(name)) for name in numbered(source.names, "checkpoints")]
    filling.put("checkpoints", older + newest)
    for rows in source.kept_rows():
        filling.put_rows(rows)
    for requests in source.kept_requests():
        filling.put_requests(requests)
    filling.end_at(*ends)


def _fill_log(filling: Filling, source: ClinicFile, progress: Callable[[int], None]) -> _Ends:
    entries: list[tuple[int, bytes]] = []
    events: list[Event] = []
    last_us, clinic_index = 0, -1
    for index, entry, state in source.rows():
        kind, last_us = entry[7], int.from_bytes(entry[8:16], "big")
        if kind == Kind.EVENT and entry[88] == KeyClass.CLINIC:
            clinic_index = index
        entries.append((index, entry))
        if state is not None:
            events.append((entry[16:32], int.from_bytes(entry[32:40], "big"), state))
        if len(entries) == ROWS_AT_ONCE or index == source.size - 1:
            filling.put("ledger", entries)
            filling.put_events(events)
            entries, events = [], []
            progress(index + 1)
    return _Ends(source.size, last_us, clinic_index)


def _levels(source: ClinicFile) -> Iterator[list[bytes]]:
    """Yield the full hash tiles of each level, the lowest first."""
    tiles = [source.leaf_hashes(number) or b"" for number in range(source.size // ENTRIES_A_TILE)]
    while tiles:
        yield tiles
        roots = [tree_root([tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]) for tile in tiles]
        full = len(roots) - len(roots) % ENTRIES_A_TILE
        tiles = [b"".join(roots[at : at + ENTRIES_A_TILE]) for at in range(0, full, ENTRIES_A_TILE)]
