"""The yardstick: what this machine's disk and SQLite give for one bare durable commit after the other.

- The same settings as the log: WAL, synchronous=FULL; a file on the same disk.
- One row of the size of a sealed note, under the same key as the log's events (stream and version), in one commit.
- One thread, no sealing, no permission, no ledger: nothing can be durable and do less.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from pathlib import Path
from uuid import uuid4

STREAMS = 320


class Yardstick:
    """A file of bare rows."""

    def __init__(self, path: Path, row_bytes: int) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.execute(
            "CREATE TABLE rows (originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,"
            " PRIMARY KEY (originator_id, originator_version))"
        )
        streams = [uuid4().hex for _ in range(STREAMS)]
        self._places = ((stream, version) for version in itertools.count(1) for stream in streams)
        self._state = os.urandom(row_bytes)

    def commit_one(self) -> None:
        """Commit one row; it is durable when this returns."""
        stream, version = next(self._places)
        self._connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", (stream, version, "sealed", self._state))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
