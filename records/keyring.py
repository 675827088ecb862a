"""The keyring: one data key for each client, year of audit and clinic, wrapped, in a file of its own.

Source: CRYPTO 6.

    root provider → keyring key of generation g → data key per (scope, class, version) → event key

- The file stands outside the data directory, with its own backup. secure_delete is on and the journal is truncated, so
  that a deleted key leaves no copy.
- A new data key is durable here before the batch that uses it is written.
- A wrapped key is bound to deployment, generation, scope, class, version and id: a swapped row does not open.
- A key that is cached is leased for at most 60 s of monotonic time.
- The secrets of the service (idempotency, tokens, access stream ids) are derived from a key of class SERVICE.
- A destroyed key leaves a tombstone. Where a client has one, no key is ever made again, and what is asked for is
  `Erased`; without one a key that is not there is `KeyMissing`: lost. The clinic's own keys die one by one (a year of
  audit), so that theirs tells of that key only.
- New events take the newest version. A version that is being turned to waits (as its negative) until the log names it.
- Whoever wraps a key reads the provider's generation inside the writing transaction: a generation is destroyed inside
  such a transaction too (`records.generations`), so that no key is ever stored under one that is gone.

It does not decide what is destroyed or when a generation turns, and writes nothing to the log.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from records.errors import Erased, KeyMissing, NotStored, WellkeptError
from records.key_provider import KeyProvider
from records.ledger import KeyClass
from records.payload import length_prefixed
from records.sealing import DataKey

LEASE_SECONDS = 60.0
CACHED_KEYS = 20_000
REWRAP_AT_ONCE = 5_000
"""Keys that a rewrap stores in one transaction: about 50 ms, for which other writers wait."""
_OWN_VERSIONS = (KeyClass.AUDIT_YEAR, KeyClass.SERVICE)
"""Classes whose version means something else: the year, and the first key, from which secrets are derived for good."""
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
CREATE TABLE IF NOT EXISTS tombstones (key_id BLOB PRIMARY KEY, scope BLOB NOT NULL, key_class INTEGER NOT NULL, version INTEGER NOT NULL, erasure BLOB NOT NULL, destroyed_us INTEGER NOT NULL) WITHOUT ROWID;
"""  # noqa: E501 - the table's text is what an upgrade compares


Enter = Callable[[Sequence[tuple[UUID, bytes]], bool], None]
"""(scope and id of each key, whether some of them waited before) → their creation is durable in the log when it
returns. Those that waited may be in the log already, and must not be entered twice."""


class HeldKey(NamedTuple):
    """What the keyring holds of one data key, without its secret; a version that waits for the log is negative."""

    key_id: bytes
    scope: UUID
    key_class: int
    version: int
    generation: int


class Tombstone(NamedTuple):
    """That a data key was destroyed on purpose: by which erasure, and when (µs since 1970 UTC)."""

    key_id: bytes
    scope: UUID
    key_class: int
    version: int
    erasure: UUID
    destroyed_us: int


class Keyring:
    """Data keys of one clinic. Safe to share between threads; several processes may open the same file."""

    def __init__(self, path: Path, deployment_id: UUID, provider: KeyProvider, monotonic: Callable[[], float]) -> None:
        """Open the keyring.

        Raises:
            KeyMissing: there is no keyring here that can be read, it is another clinic's, or one of an older version.
        """
        if not path.exists():
            raise KeyMissing("there is no keyring")
        self.deployment_id = deployment_id
        self._head = b"wellkept/dek/1" + length_prefixed(deployment_id.bytes)
        self._provider = provider
        self._monotonic = monotonic
        self._path = path
        self._lock = threading.RLock()
        self._leases: dict[bytes, tuple[DataKey, float]] = {}
        self._current: dict[tuple[UUID, int, int | None], tuple[DataKey, float]] = {}
        try:
            self._connection = _connect(path)
        except sqlite3.Error as error:
            raise KeyMissing("the keyring cannot be read") from error
        if self._select("SELECT deployment_id FROM deployment") != [(deployment_id.bytes,)]:
            raise KeyMissing("the keyring is another clinic's")
        if not self._select("SELECT 1 FROM sqlite_master WHERE name = 'tombstones'"):
            raise KeyMissing("the keyring is of an older version: run `wellkept upgrade`")

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
            Erased: the client's keys were destroyed; none is made.
            NotStored: the keyring cannot be written.
            KeyMissing: the key is there and does not open, or the provider does not answer.
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
            Erased: the keys of one of them were destroyed; none was made.
            NotStored: the keyring cannot be written; none was made.
            KeyMissing: the provider does not answer, or is another clinic's; none was made.
        """
        with self._writing() as connection:
            buried = {scope for (scope,) in self._select("SELECT DISTINCT scope FROM tombstones")}
            for scope in scopes:
                if scope.bytes in buried and self._is_erased(scope, key_class, version):
                    raise Erased("the client's key was destroyed")
            generation = self._own_generation()
            asked = "SELECT 1 FROM data_keys WHERE scope = ? AND key_class = ? AND version = ?"
            for scope in scopes:
                if connection.execute(asked, (scope.bytes, int(key_class), version)).fetchone() is None:
                    self._insert(generation, scope, key_class, version)

    def _own_generation(self) -> int:
        """Return the generation of new keys, once the provider opened the clinic's own key.

        Under another's, which is there by mistake, a new key would be lost as soon as the right one is back.
        """
        generation = self._provider.generations()[-1]
        asked = "SELECT * FROM data_keys WHERE scope = ? AND key_class = ? LIMIT 1"
        for row in self._select(asked, (self.deployment_id.bytes, int(KeyClass.SERVICE))):
            self._open(row)
        return generation

    def _insert(self, generation: int, scope: UUID, key_class: KeyClass, version: int) -> bytes:
        """Store a new key within the transaction that read the generation; return its id."""
        key_id = os.urandom(16)
        context = self._context(generation, _name(scope.bytes, key_class, version, key_id))
        wrapped = self._provider.wrap(context, os.urandom(32), generation)
        row = (key_id, scope.bytes, int(key_class), version, generation, wrapped)
        self._connection.execute("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", row)
        return key_id

    def current(self, scope: UUID, key_class: KeyClass, version: int | None = None) -> DataKey:
        """Return the newest data key of a scope and class, or the one of `version`.

        Raises:
            Erased: it was destroyed.
            KeyMissing: the keyring has none, or it does not open.
        """
        name = (scope, int(key_class), version)
        leased = self._current.get(name)
        if leased is not None and leased[1] > self._monotonic():
            return leased[0]
        where = "scope = ? AND key_class = ? AND version " + ("> 0" if version is None else "= ?")
        arguments = [scope.bytes, int(key_class), *([] if version is None else [version])]
        query = f"SELECT * FROM data_keys WHERE {where} ORDER BY version DESC LIMIT 1"  # noqa: S608 - fixed text
        # One hold for both, so that no key is cached after it was destroyed.
        with self._lock:
            found = self._load(query, arguments)
            if found is None:
                raise self._absent(scope, key_class, version)
            self._current[name] = found
            return found[0]

    def by_id(self, key_id: bytes, scope: UUID, key_class: KeyClass) -> DataKey:
        """Return the data key with this id, which must be of this scope and class.

        Raises:
            Erased: it was destroyed.
            KeyMissing: the keyring has none such, or it does not open.
        """
        leased = self._leases.get(key_id + scope.bytes)
        if leased is not None and leased[1] > self._monotonic() and leased[0].key_class == key_class:
            return leased[0]
        query = "SELECT * FROM data_keys WHERE key_id = ? AND scope = ? AND key_class = ?"
        with self._lock:
            found = self._load(query, [key_id, scope.bytes, int(key_class)])
            if found is None:
                raise self._absent(scope, key_class, None, key_id)
            return found[0]

    def held(self) -> Iterator[HeldKey]:
        """Yield what is held, without secrets, in no order."""
        found = self._select("SELECT key_id, scope, key_class, version, generation FROM data_keys")
        for key_id, scope, key_class, version, generation in found:
            yield HeldKey(key_id, UUID(bytes=scope), key_class, version, generation)

    # --- keys that end

    def destroy(self, scope: UUID, erasure: UUID, destroyed_us: int) -> tuple[Tombstone, ...]:
        """Destroy every data key of a client and leave their tombstones, in one durable commit.

        A crash leaves all keys or all tombstones; called again it destroys what is there again and returns the
        tombstones, those of the first time. Other processes use what they cached until its lease ends.

        Raises:
            ValueError: the scope is the clinic itself; its keys are never destroyed together.
            NotStored: the keyring cannot be written; the keys are still there.
        """
        if scope == self.deployment_id:
            raise ValueError("the clinic's own keys are not a client's")
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO tombstones SELECT key_id, scope, key_class, abs(version), ?, ?"
                " FROM data_keys WHERE scope = ?",
                (erasure.bytes, destroyed_us, scope.bytes),
            )
            connection.execute("DELETE FROM data_keys WHERE scope = ?", (scope.bytes,))
            self._forget_scope(scope)
            found = connection.execute("SELECT * FROM tombstones WHERE scope = ? ORDER BY key_id", (scope.bytes,))
            return tuple(_tombstone(row) for row in found)

    def tombstones(self) -> tuple[Tombstone, ...]:
        """Return every tombstone, in the order of the key ids."""
        return tuple(_tombstone(row) for row in self._select("SELECT * FROM tombstones ORDER BY key_id"))

    def bury(self, tombstones: Iterable[Tombstone]) -> int:
        """Merge tombstones that come from elsewhere, and destroy every key that they name; return how many those were.

        In one durable commit: a crash leaves nothing of it, or all; called again it finds nothing to do.

        Raises:
            NotStored: the keyring cannot be written; nothing was merged.
        """
        with self._writing() as connection:
            buried = 0
            for tombstone in tombstones:
                key_id, scope, key_class, version, erasure, destroyed_us = tombstone
                row = (key_id, scope.bytes, key_class, version, erasure.bytes, destroyed_us)
                connection.execute("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?, ?, ?)", row)
                buried += connection.execute("DELETE FROM data_keys WHERE key_id = ?", (key_id,)).rowcount
            # After the last row: nothing that was destroyed may be served from memory.
            self.forget()
            return buried

    def _absent(self, scope: UUID, key_class: int, version: int | None, key_id: bytes | None = None) -> WellkeptError:
        if self._is_erased(scope, key_class, version, key_id):
            return Erased("the client's key was destroyed")
        return KeyMissing("the keyring has no such key")

    def _is_erased(self, scope: UUID, key_class: int, version: int | None, key_id: bytes | None = None) -> bool:
        if scope != self.deployment_id:
            return bool(self._select("SELECT 1 FROM tombstones WHERE scope = ? LIMIT 1", (scope.bytes,)))
        asked = "SELECT 1 FROM tombstones WHERE scope = ? AND key_class = ? AND (version = ? OR key_id = ?) LIMIT 1"
        return bool(self._select(asked, (scope.bytes, int(key_class), version, key_id)))

    def _forget_scope(self, scope: UUID) -> None:
        for leased in [name for name in self._leases if name[16:] == scope.bytes]:
            del self._leases[leased]
        for current in [name for name in self._current if name[0] == scope]:
            del self._current[current]

    # --- keys that turn

    def turn(self, scope: UUID, key_class: KeyClass, enter: Enter) -> DataKey:
        """Make the next version of one data key; see `turn_all`."""
        return self.by_id(self.turn_all((scope,), key_class, enter)[0], scope, key_class)

    def turn_all(self, scopes: Sequence[UUID], key_class: KeyClass, enter: Enter) -> list[bytes]:
        """Make the next version of data keys and return their ids; new events take them, old ones open as before.

        The keys are durable before `enter` is called, and wait until it returned: so every process that uses one finds
        it in the log. A crash, or an error of `enter`, leaves keys that wait; the next call goes on with the same ones.
        Other processes take the new version when their lease ends.

        Args:
            scopes: whose keys.
            key_class: their class; years of audit turn by themselves.
            enter: puts the keys' creation into the log; see `Enter`.

        Raises:
            ValueError: keys of that class do not turn.
            Erased, KeyMissing: one of them has no key to turn; none was made.
            NotStored, KeyProviderUnreachable: the keys cannot be kept; nothing has changed.
        """
        if key_class in _OWN_VERSIONS:
            raise ValueError("keys of that class do not turn")
        # Whoever finds a key that waits must know that nobody else is entering it, or the log would name it twice.
        with self._turning():
            with self._writing():
                found = [self._next(scope, key_class) for scope in scopes]
            key_ids = [key_id for key_id, _ in found]
            enter(list(zip(scopes, key_ids, strict=True)), any(waited for _, waited in found))
            with self._writing() as connection:
                released = "UPDATE data_keys SET version = abs(version) WHERE key_id = ?"
                connection.executemany(released, [(key_id,) for key_id in key_ids])
                self.forget()
        return key_ids

    def _next(self, scope: UUID, key_class: KeyClass) -> tuple[bytes, bool]:
        """Return the id of the next version, made if there was none, and whether it waited already."""
        asked = "SELECT key_id, version FROM data_keys WHERE scope = ? AND key_class = ? ORDER BY version"
        rows = self._select(asked, (scope.bytes, int(key_class)))
        if not rows:
            raise self._absent(scope, key_class, None)
        if rows[0][1] < 0:
            return rows[0][0], True
        return self._insert(self._own_generation(), scope, key_class, -rows[-1][1] - 1), False

    @contextmanager
    def _turning(self) -> Iterator[None]:
        # A file of its own: closing the keyring's would drop SQLite's locks on it.
        try:
            lock = os.open(self._path.with_name(self._path.name + ".turning"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise NotStored("the keyring cannot be written") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def rewrap(self, to_generation: int | None = None, batch: int = REWRAP_AT_ONCE) -> int:
        """Wrap every data key of an older generation under a newer one; return how many were.

        Short transactions, which take only what they find unaltered: a key that was destroyed or rewrapped meanwhile
        stays as it is. A crash leaves keys of both generations, each of which opens; called again it does the rest.

        Args:
            to_generation: the generation, by default the provider's current one.
            batch: keys in one transaction.

        Raises:
            KeyMissing: a key does not open, or the provider does not answer; those before it are rewrapped.
            NotStored: the keyring cannot be written; those before are rewrapped.
        """
        target = self._provider.generations()[-1] if to_generation is None else to_generation
        asked = "SELECT * FROM data_keys WHERE key_id > ? AND generation < ? ORDER BY key_id LIMIT ?"
        replaced = (
            "UPDATE data_keys SET generation = ?, wrapped = ? WHERE key_id = ? AND scope = ? AND generation = ?"
            " AND wrapped = ?"
        )
        count, after = 0, b""
        while rows := self._select(asked, (after, target, batch)):
            # Outside the transaction, so that nobody waits while keys are opened.
            updates = [self._rewrapped(row, target) for row in rows]
            with self._writing() as connection:
                count += connection.executemany(replaced, updates).rowcount
            after = rows[-1][0]
        return count

    def _rewrapped(self, row: tuple[Any, ...], target: int) -> tuple[Any, ...]:
        key_id, scope, key_class, version, generation, wrapped = row
        name = _name(scope, key_class, version, key_id)
        secret = self._provider.unwrap(generation, self._context(generation, name), wrapped)
        again = self._provider.wrap(self._context(target, name), secret, target)
        return target, again, key_id, scope, generation, wrapped

    def check_opens(self, from_generation: int) -> int:
        """Open every data key of a generation or a newer one, from the disk; return how many those are.

        Raises:
            KeyMissing: one does not open.
        """
        asked = "SELECT * FROM data_keys WHERE key_id > ? AND generation >= ? ORDER BY key_id LIMIT ?"
        count, after = 0, b""
        while rows := self._select(asked, (after, from_generation, REWRAP_AT_ONCE)):
            for row in rows:
                self._open(row)
            count, after = count + len(rows), rows[-1][0]
        return count

    @contextmanager
    def held_still(self) -> Iterator[int | None]:
        """Let no process write the keyring until the block ends; gives the oldest generation of a key, None for none.

        Raises:
            NotStored: another process writes for too long.
        """
        with self._writing() as connection:
            yield connection.execute("SELECT min(generation) FROM data_keys").fetchone()[0]

    # --- the file

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction, which keeps other processes from writing from its beginning; nothing on an error."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise NotStored("the keyring cannot be written") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _select(self, query: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(query, arguments).fetchall()
            except sqlite3.Error as error:
                raise KeyMissing("the keyring cannot be read") from error

    def _load(self, query: str, arguments: list[object]) -> tuple[DataKey, float] | None:
        with self._lock:
            rows = self._select(query, arguments)
            if not rows:
                return None
            try:
                key = self._open(rows[0])
            except KeyMissing:
                # Another process may have rewrapped it between the reading of the row and that of the provider.
                again = self._select(query, arguments)
                if not again:
                    return None
                if again == rows:
                    raise
                key = self._open(again[0])
            until = self._monotonic() + LEASE_SECONDS
            if len(self._leases) >= CACHED_KEYS:
                self.forget()
            self._leases[key.key_id + rows[0][1]] = (key, until)
            return key, until

    def _open(self, row: tuple[Any, ...]) -> DataKey:
        key_id, scope, key_class, version, generation, wrapped = row
        context = self._context(generation, _name(scope, key_class, version, key_id))
        return DataKey(key_id, key_class, self._provider.unwrap(generation, context, wrapped))

    def _context(self, generation: int, name: bytes) -> bytes:
        return self._head + generation.to_bytes(4, "big") + name


def _name(scope: bytes, key_class: int, version: int, key_id: bytes) -> bytes:
    """Return what a wrapped key is bound to beside the clinic and the generation; a version that waits is the same."""
    # A turn names every key of the clinic three times.
    return b"%b\0\x01%c%b%b" % (length_prefixed(scope), key_class, abs(version).to_bytes(8, "big"), key_id)


def _tombstone(row: tuple[Any, ...]) -> Tombstone:
    key_id, scope, key_class, version, erasure, destroyed_us = row
    return Tombstone(key_id, UUID(bytes=scope), key_class, version, UUID(bytes=erasure), destroyed_us)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
