"""Who signs, where many processes write one log on PostgreSQL: whoever holds one advisory lock.

Source: the PostgreSQL documentation on advisory locks.

- The lock is a session's, on a connection of its own: it is gone when the process ends or its session is lost, and
  then another process may take it.
- A session that was lost is noticed the next time the lead is asked for. Whoever takes the lead reads the signer's
  state anew, and the stored checkpoint must be the one that this state names: that is the fence.
"""

from __future__ import annotations

import threading

import psycopg

from records.store.postgres_connection import Link, connect

LOCK = 0x77656C6C6B657074
"""One lock in each database: `wellkept` in ASCII."""


class SigningLead:
    """The lead in signing, as one process may hold it."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._session: Link | None = None
        self._mutex = threading.Lock()

    def held(self) -> bool:
        """Take the lock where it is free; say whether this process holds it."""
        with self._mutex:
            try:
                if self._session is not None:
                    self._session.execute("SELECT 1")
                    return True
                return self._take()
            except psycopg.Error:
                self._give_back()
                return False

    def close(self) -> None:
        """Give the lock back."""
        with self._mutex:
            self._give_back()

    def _take(self) -> bool:
        session = connect(self._conninfo)
        try:
            row = session.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        except psycopg.Error:
            session.close()
            raise
        if row != (True,):
            session.close()
            return False
        self._session = session
        return True

    def _give_back(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
