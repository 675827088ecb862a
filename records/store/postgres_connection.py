"""Connections to PostgreSQL: every one durable, bounded in time, and planned for a log that grows.

Source: PostgreSQL documentation, "Write Ahead Log: Settings", "Client Connection Defaults", "Planner Method
Configuration"; libpq connection strings.

- `synchronous_commit` is at least `on` on each connection, whatever the server or the role says; `fsync` and
  `full_page_writes` belong to the server, and a log is not opened while one is off.
- No wait is without an end: to connect, for a lock, for a statement, on a transaction whose client went silent, and on
  a network that lost its other side. What the URL itself says about connecting is kept.
- Plans always go by an index. A plan that was prepared while a table was small would stay when it is large.
- Every name means `public`, so that a schema that somebody else may write is never asked first.

Sessions are set up once for each connection, so a pooler that shares them by transaction cannot stand between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.generators import send
from psycopg_pool import ConnectionPool, PoolTimeout

from records.errors import NotStored

CONNECT_SECONDS = 5
POOL_SECONDS = 5.0
STATEMENT_MS = 30_000
LOCK_MS = 10_000
SILENT_TRANSACTION_MS = 10_000
"""How long a writer that hangs in a transaction may hold the log from all others."""
OLDEST_SERVER = 130_000

_NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "wellkept",
}

DURABLE = (
    "current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'"
    " AND current_setting('synchronous_commit') IN ('on', 'remote_apply')"
)
"""SQL that is true when a commit is on the disk once it returns."""

_SETTINGS = {
    "search_path": "public",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "statement_timeout": str(STATEMENT_MS),
    "lock_timeout": str(LOCK_MS),
    "idle_in_transaction_session_timeout": str(SILENT_TRANSACTION_MS),
}
_SET = (
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false), "
    + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items())
)

UNREACHED = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
"""What psycopg raises when the server, the network or its state is at fault, never the statement."""

Link = psycopg.Connection[tuple[Any, ...]]


class _Together(psycopg.Pipeline):
    """The library's pipeline, left by a Sync alone.

    The library sends a Flush after its last Sync. A message that asks for nothing still counts as a sign of life, so
    the server would stop its clock for silent transactions, and a writer that hangs could hold the log for ever.
    """

    def _exit_gen(self) -> PQGen[None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
            # What the socket did not take at once must leave too, or both sides would wait for each other.
            yield from send(self.pgconn)
        finally:
            yield from self._fetch_gen(flush=False)


@contextmanager
def together(connection: Link) -> Iterator[None]:
    """Send the statements of the block in one go; all their answers are there when it ends."""
    connection._pipeline = _Together(connection)
    try:
        with connection._pipeline:
            yield
    finally:
        connection._pipeline = None


def connection_string(url: str, *, writes: bool) -> str:
    """Return the URL with the bounds that it does not set itself.

    Args:
        url: a libpq URL or connection string; it may name several hosts.
        writes: whether only a server that takes writes will do.
    """
    ours: dict[str, Any] = {**_NETWORK, "target_session_attrs": "read-write" if writes else "any"}
    said = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in ours.items() if name not in said})


def set_up(connection: Link) -> None:
    """Give a new connection its settings."""
    connection.execute(_SET)


def connect(conninfo: str) -> Link:
    """Open one connection that is set up, outside every pool.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
    """
    connection = psycopg.connect(conninfo, autocommit=True)
    set_up(connection)
    return connection


def check_server(conninfo: str) -> None:
    """Refuse a server that cannot keep the log's promises, or that holds no log.

    Raises:
        NotStored: with the reason.
    """
    try:
        with connect(conninfo) as connection:
            if connection.info.server_version < OLDEST_SERVER:
                raise NotStored("PostgreSQL 13 or newer is needed")
            row = connection.execute(f"SELECT {DURABLE}, to_regclass('ledger_head') IS NOT NULL").fetchone()
    except psycopg.Error as error:
        raise NotStored("the database cannot be reached") from error
    durable, exists = row or (False, False)
    if not durable:
        raise NotStored("the server is not durable: fsync and full_page_writes must be on")
    if not exists:
        raise NotStored("the database holds no log")


def open_pool(conninfo: str, *, size: int, name: str) -> ConnectionPool[Link]:
    """Return an open pool; it connects, and reconnects when the server is back, in the background."""
    return ConnectionPool(
        conninfo,
        kwargs={"autocommit": True},
        min_size=1,
        max_size=size,
        open=True,
        configure=set_up,
        name=name,
        timeout=POOL_SECONDS,
        # Its pauses between attempts grow; given up early, an attempt begins anew with the next request.
        reconnect_timeout=POOL_SECONDS,
        num_workers=1,
    )


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, so that another one may fare better."""
    if isinstance(error, PoolTimeout) or not isinstance(error, UNREACHED):
        return False
    # Class 08 is a lost connection, 57P a server that stops or ended the session, 25006 a former primary.
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P", "25006"))
