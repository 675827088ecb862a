"""The two engines as tests use them: make a log, open it, and change its tables behind its back.

`outside` is what somebody with the database's own tools can do; statements are written once where both engines read
them alike.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Protocol

import psycopg

from records.store import Store
from records.store.postgres import PostgresStore
from records.store.sqlite import SqliteStore

OURS = "application_name = 'wellkept' AND datname = current_database()"
"""SQL that is true of the store's own sessions in `pg_stat_activity`."""


class Clock:
    """Microseconds since 1970; it runs with the machine until a test sets it."""

    def __init__(self) -> None:
        self.us: int | None = None

    def __call__(self) -> int:
        """Return the time."""
        return time.time_ns() // 1000 if self.us is None else self.us


class Engine(Protocol):
    """A log and how to reach it."""

    name: str
    clock: Clock

    def create(self) -> None:
        """Make the log; an engine does so when it is made."""

    def open(self, *, read_only: bool = False) -> Store:
        """Open the log once more; `close` closes it, too."""

    def outside(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the database's owner, past the store; return the last one's rows."""

    def close(self) -> None:
        """Close every store that was opened."""


class SqliteEngine:
    """A log in a file."""

    name = "sqlite"

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self._stores: list[Store] = []
        self.create()

    def create(self) -> None:
        """Make the log."""
        SqliteStore.create(self.path)

    def open(self, *, read_only: bool = False) -> SqliteStore:
        """Open the log."""
        store = SqliteStore(self.path, self.clock, read_only=read_only)
        self._stores.append(store)
        return store

    def outside(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on a connection of its own."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            return rows
        finally:
            connection.close()

    def close(self) -> None:
        """Close every store that was opened."""
        for store in self._stores:
            store.close()


class PostgresEngine:
    """A log in a database."""

    name = "postgres"

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self._stores: list[Store] = []
        self.create()

    def create(self) -> None:
        """Make the log."""
        PostgresStore.create(self.url)

    def open(self, *, read_only: bool = False, url: str | None = None) -> PostgresStore:
        """Open the log, by another way where a URL is given."""
        store = PostgresStore(url or self.url, self.clock, read_only=read_only)
        self._stores.append(store)
        return store

    def outside(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on a connection of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def close(self) -> None:
        """Close every store that was opened."""
        for store in self._stores:
            store.close()
