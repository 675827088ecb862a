"""A live clinic's log as the verifier reads it: the tables themselves, in one snapshot, while the clinic is served.

- Nothing is asked of the store or the service: each table is read as it lies there, by statements of our own.
- One read-only transaction sees one moment, so that writers neither wait nor disturb.
- A value of another type than it must have is read as no bytes at all, and is then found out like any other.

It opens no seal and judges nothing: see `ops.verify` for the entries and `ops.live.tables` for what stands beside them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ops.settings import Settings
from ops.verify import Checkpoint, MalformedCheckpoint, VerificationError, parse_checkpoint
from ops.wiring import Paths
from records.errors import NotStored
from records.store.sqlite_damage import is_damage

ROWS_AT_ONCE = 500
_LAST = (1 << 63) - 1
_EVENTS_AFTER = (
    "SELECT rowid, originator_id, originator_version, state FROM stored_events WHERE rowid > ? ORDER BY rowid"
)
_EVENT = (
    "SELECT rowid, originator_id, originator_version, state FROM stored_events"
    " WHERE originator_id = ? AND originator_version = ?"
)


class DamagedDatabase(VerificationError):
    """The file is no database any more, or a part of it cannot be read."""


class Tables(Protocol):
    """The tables of one engine at one moment."""

    engine: str

    def rows(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield index, entry and stored state of every entry, in order; the state is None where none is stored."""

    def select(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query that both engines read alike; `?` stands for an argument."""


class SqliteTables:
    """The tables in a SQLite file."""

    engine = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.text_factory = bytes
        connection.execute("BEGIN")

    def rows(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the entries with their states.

        Events lie in the order of their entries unless somebody moved them, so both tables are read from one end to the
        other; an event that is not next is looked up, and reading goes on behind it.
        """
        after = self._connection.execute(_EVENTS_AFTER, (-(1 << 63),))
        following = after.fetchone()
        for index, entry in self._connection.execute("SELECT idx, entry FROM ledger ORDER BY idx"):
            if not isinstance(entry, bytes) or entry[7:8] > b"\x02":
                yield index, entry, None
                continue
            name, version = entry[16:32].hex().encode(), int.from_bytes(entry[32:40], "big")
            if following is not None and following[1] == name and following[2] == version:
                found, following = following, after.fetchone()
            else:
                found = self._connection.execute(_EVENT, (name.decode(), min(version, _LAST))).fetchone()
                if found is not None and (following is None or found[0] > following[0]):
                    after = self._connection.execute(_EVENTS_AFTER, (found[0],))
                    following = after.fetchone()
            yield index, entry, None if found is None else found[3]

    def select(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return rows."""
        return self._connection.execute(query, arguments).fetchall()


class PostgresTables:
    """The tables in a PostgreSQL database."""

    engine = "postgres"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the entries with their states."""
        with self._connection.cursor("wellkept_verify") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(
                "SELECT l.idx, l.entry, e.state FROM ledger l LEFT JOIN stored_events e"
                " ON substring(l.entry from 8 for 1) <= '\\x02'"
                " AND e.originator_id = encode(substring(l.entry from 17 for 16), 'hex')::uuid"
                " AND e.originator_version = ('x' || encode(substring(l.entry from 33 for 8), 'hex'))::bit(64)::bigint"
                " ORDER BY l.idx",
                binary=True,
            )
            yield from cursor

    def select(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return rows."""
        found: list[tuple[Any, ...]] = self._connection.execute(query.replace("?", "%s"), arguments).fetchall()
        return found


@contextmanager
def open_tables(settings: Settings) -> Iterator[Tables]:
    """Give the tables of the clinic that the settings name, for reading only.

    Raises:
        NotStored: the database cannot be read.
    """
    if settings.database_url is None:
        with sqlite_tables(Paths(settings.data).database) as tables:
            yield tables
    else:
        with postgres_tables(settings.database_url) as tables:
            yield tables


@contextmanager
def sqlite_tables(path: Path, *, still: bool = False) -> Iterator[Tables]:
    """Give the tables in a SQLite file; see `open_tables`. Nothing is made beside one that is `still`.

    Raises:
        DamagedDatabase: the file is damaged.
        NotStored: it cannot be opened or read.
    """
    address = f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if still else "")
    try:
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise NotStored("the database cannot be opened") from error
    try:
        yield SqliteTables(connection)
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedDatabase("The database file is damaged: its pages contradict each other.") from error
        raise NotStored("the database cannot be read") from error
    finally:
        connection.close()


@contextmanager
def postgres_tables(url: str) -> Iterator[Tables]:
    """Give the tables in a PostgreSQL database; see `open_tables`."""
    import psycopg

    # Every name means `public`; a sort of all payloads is never the way to read them in order.
    options = "-c search_path=public -c statement_timeout=0 -c enable_hashjoin=off -c enable_mergejoin=off"
    try:
        with psycopg.connect(url, options=options, connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield PostgresTables(connection)
    except psycopg.Error as error:
        raise NotStored("the database cannot be read") from error


class LiveLog:
    """A live clinic's tables as a source of `ops.verify`."""

    whole = True
    disclosed: frozenset[int] = frozenset()

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def checkpoints(self) -> list[Checkpoint]:
        """Return every stored checkpoint, the newest first."""
        found = []
        for size, note in self._tables.select("SELECT size, note FROM checkpoints ORDER BY size DESC"):
            checkpoint = parse_checkpoint(as_bytes(note), f"The stored checkpoint of size {size}")
            if checkpoint.size != size:
                raise MalformedCheckpoint(f"{checkpoint.source} states another size.")
            found.append(checkpoint)
        return found

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Yield the rows of the ledger with their states."""
        for index, entry, state in self._tables.rows():
            yield index, as_bytes(entry), None if state is None else as_bytes(state)

    def body(self, index: int) -> bytes | None:
        """Return a body, or None."""
        found = self._tables.select("SELECT body FROM log_bodies WHERE idx = ?", index)
        return as_bytes(found[0][0]) if found else None

    def leaf_hashes(self, tile: int) -> bytes | None:
        """Return a stored tile of level 0, or None where it is not full yet."""
        return self.tile(0, tile)

    def tile(self, level: int, number: int) -> bytes | None:
        """Return a stored tile, or None."""
        found = self._tables.select("SELECT hashes FROM log_tiles WHERE level = ? AND n = ?", level, number)
        return as_bytes(found[0][0]) if found else None

    def event_key(self, index: int) -> bytes:
        """Refuse: a clinic discloses no keys to its own verification."""
        raise LookupError(index)


def as_bytes(value: Any) -> bytes:
    """Return stored bytes as they are, and nothing for a value of another type."""
    return value if isinstance(value, bytes) else b""
