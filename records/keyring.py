"""The keyring: one data key for each client, year of audit and clinic, wrapped, in a file of its own.

Source: CRYPTO 6.

    root provider → keyring key of generation g → data key per (scope, class, version) → event key

- The file stands outside the data directory, with its own backup. secure_delete is on and the journal is truncated, so
  that a deleted key leaves no copy.
- A new data key is durable here before the batch that uses it is written.
- A wrapped key is bound to deployment, generation, scope, class, version and id: a swapped row does not open.
- A key that is cached is leased for at most 60 s of monotonic time.
- The secrets of the service (idempotency, tokens, access stream ids) are derived from a key of class SERVICE.

It does not destroy keys or turn generations, and it never says "erased": only the log knows that.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from records.errors import KeyMissing, NotStored
from records.key_provider import KeyProvider
from records.ledger import KeyClass
from records.payload import length_prefixed
from records.sealing import DataKey

LEASE_SECONDS = 60.0
CACHED_KEYS = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployment (deployment_id BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS data_keys (
    key_id BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    key_class INTEGER NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    UNIQUE (scope, key_class, version)
) WITHOUT ROWID;
"""


class HeldKey(NamedTuple):
    """What the keyring holds of one data key, without its secret."""

    key_id: bytes
    scope: UUID
    key_class: int
    version: int
    generation: int


class Keyring:
    """Data keys of one clinic. Safe to share between threads; several processes may open the same file."""

    def __init__(self, path: Path, deployment_id: UUID, provider: KeyProvider, monotonic: Callable[[], float]) -> None:
        """Open the keyring.

        Raises:
            KeyMissing: there is no keyring here, or it is another clinic's.
        """
        if not path.exists():
            raise KeyMissing("there is no keyring")
        self.deployment_id = deployment_id
        self._provider = provider
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._leases: dict[bytes, tuple[DataKey, float]] = {}
        self._current: dict[tuple[UUID, int, int | None], tuple[DataKey, float]] = {}
        self._connection = _connect(path)
        row = self._connection.execute("SELECT deployment_id FROM deployment").fetchone()
        if row is None or row[0] != deployment_id.bytes:
            raise KeyMissing("the keyring is another clinic's")

    @staticmethod
    def create(path: Path, deployment_id: UUID) -> None:
        """Make an empty keyring for a new clinic, 0600.

        Raises:
            FileExistsError: there is one already.
        """
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(_connect(path)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO deployment VALUES (?)", (deployment_id.bytes,))

    def close(self) -> None:
        """Forget the cached keys and close the file."""
        with self._lock:
            self.forget()
            self._connection.close()

    def forget(self) -> None:
        """Drop every cached key; the next use reads the file again."""
        with self._lock:
            self._leases.clear()
            self._current.clear()

    def ensure(self, scope: UUID, key_class: KeyClass, version: int = 1) -> DataKey:
        """Return the data key of this scope, class and version, made and durable if there was none.

        A crash after this and before the batch that uses it leaves a key that nothing names; the next call finds it.

        Raises:
            NotStored: the keyring cannot be written.
        """
        with self._lock:
            try:
                return self.current(scope, key_class, version)
            except KeyMissing:
                self.ensure_all((scope,), key_class, version)
                return self.current(scope, key_class, version)

    def ensure_all(self, scopes: Sequence[UUID], key_class: KeyClass, version: int = 1) -> None:
        """Make the data keys that are missing, all in one durable commit; those that are there stay.

        A crash leaves all of them or none; `ensure` finds them.

        Raises:
            NotStored: the keyring cannot be written; none was made.
        """
        with self._lock:
            rows = [self._new_row(scope, key_class, version) for scope in scopes]
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany("INSERT OR IGNORE INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise NotStored("the keyring cannot be written") from error

    def _new_row(self, scope: UUID, key_class: KeyClass, version: int) -> tuple[bytes, bytes, int, int, int, bytes]:
        key_id, generation = os.urandom(16), self._provider.generation
        wrapped = self._provider.wrap(self._context(generation, scope, key_class, version, key_id), os.urandom(32))
        return key_id, scope.bytes, int(key_class), version, generation, wrapped

    def current(self, scope: UUID, key_class: KeyClass, version: int | None = None) -> DataKey:
        """Return the newest data key of a scope and class, or the one of `version`.

        Raises:
            KeyMissing: the keyring has none, or it does not open.
        """
        name = (scope, int(key_class), version)
        leased = self._current.get(name)
        if leased is not None and leased[1] > self._monotonic():
            return leased[0]
        where = "scope = ? AND key_class = ?" + ("" if version is None else " AND version = ?")
        arguments = [scope.bytes, int(key_class), *([] if version is None else [version])]
        key, until = self._load(f"SELECT * FROM data_keys WHERE {where} ORDER BY version DESC LIMIT 1", arguments)  # noqa: S608 - fixed text
        with self._lock:
            self._current[name] = (key, until)
        return key

    def by_id(self, key_id: bytes, scope: UUID, key_class: KeyClass) -> DataKey:
        """Return the data key with this id, which must be of this scope and class.

        Raises:
            KeyMissing: the keyring has none such, or it does not open.
        """
        leased = self._leases.get(key_id + scope.bytes)
        if leased is not None and leased[1] > self._monotonic() and leased[0].key_class == key_class:
            return leased[0]
        query = "SELECT * FROM data_keys WHERE key_id = ? AND scope = ? AND key_class = ?"
        return self._load(query, [key_id, scope.bytes, int(key_class)])[0]

    def held(self) -> Iterator[HeldKey]:
        """Yield what is held, without secrets, in no order."""
        with self._lock:
            rows = self._connection.execute("SELECT key_id, scope, key_class, version, generation FROM data_keys")
            found = rows.fetchall()
        for key_id, scope, key_class, version, generation in found:
            yield HeldKey(key_id, UUID(bytes=scope), key_class, version, generation)

    def _load(self, query: str, arguments: list[object]) -> tuple[DataKey, float]:
        with self._lock:
            try:
                row = self._connection.execute(query, arguments).fetchone()
            except sqlite3.Error as error:
                raise KeyMissing("the keyring cannot be read") from error
            if row is None:
                raise KeyMissing("the keyring has no such key")
            key_id, scope, key_class, version, generation, wrapped = row
            context = self._context(generation, UUID(bytes=scope), key_class, version, key_id)
            key = DataKey(key_id, key_class, self._provider.unwrap(generation, context, wrapped))
            until = self._monotonic() + LEASE_SECONDS
            if len(self._leases) >= CACHED_KEYS:
                self.forget()
            self._leases[key_id + scope] = (key, until)
            return key, until

    def _context(self, generation: int, scope: UUID, key_class: int, version: int, key_id: bytes) -> bytes:
        return b"".join(
            (
                b"wellkept/dek/1",
                length_prefixed(self.deployment_id.bytes),
                generation.to_bytes(4, "big"),
                length_prefixed(scope.bytes),
                length_prefixed(bytes([key_class])),
                version.to_bytes(8, "big"),
                key_id,
            )
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
