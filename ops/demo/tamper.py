"""Altering a demo clinic on purpose, past its triggers, so that a newcomer sees `wellkept verify` catch it.

- It is done to a demo clinic only, marked as such when it was made, stopped, and in SQLite.
- Each kind is what somebody who has the database file can do; the triggers are put back, so that nothing else is wrong.
- There is no way back: a demo clinic is made anew.

| kind | what is done | what verify says |
|---|---|---|
| edit | one byte of a stored ciphertext is changed | tampered, that entry |
| swap | two ciphertexts change places | tampered, the first of them |
| delete | an event is taken out of the middle with its ledger entry | tampered, that entry |
| truncate | the newest entries are cut off with their events | rolled-back |
| reorder | two ledger entries change places | tampered, the first of them |
| rollback | the whole database is exchanged for an older copy | rolled-back, by what the signer keeps elsewhere |
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from records.errors import ClinicLocked

MARK = "DEMO"
"""A file in the data directory of a demo clinic."""
OLDER = "older-copy.db"
"""The database of a demo clinic before its newest entries were written."""
CUT = 20
"""Entries that `truncate` cuts off below the newest checkpoint, with all that came after it."""


class NotADemo(ValueError):
    """Only a demo clinic of ours may be altered on purpose."""


def tamper(data: Path, kind: str) -> str:
    """Alter a demo clinic; return what was done, in one sentence.

    Raises:
        NotADemo: it is no demo clinic, or not in SQLite.
        ClinicLocked: it is served.
        KeyError: there is no such kind.
    """
    database = data / "records.db"
    if not (data / MARK).exists() or not database.exists():
        raise NotADemo("only a demo clinic in SQLite is altered on purpose")
    change = KINDS[kind]
    with _alone(data):
        if kind == "rollback":
            return _roll_back(data)
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            said = change(connection)
            for _, sql in triggers:
                connection.execute(sql)
            connection.execute("COMMIT")
            return said


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the clinic's writing lock."""
    descriptor = os.open(data / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ClinicLocked("the demo clinic is served; stop it first") from error
    finally:
        os.close(descriptor)


def _events(connection: sqlite3.Connection) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Return two events from the middle of the log, of different streams."""
    (size,) = connection.execute("SELECT count(*) FROM ledger").fetchone()
    rows = connection.execute(
        "SELECT idx, entry FROM ledger WHERE idx > ? AND substr(entry, 8, 1) = x'01' ORDER BY idx LIMIT 200",
        (size // 2,),
    ).fetchall()
    first = rows[0]
    other = next(row for row in rows if row[1][16:32] != first[1][16:32])
    return first, other


def _place(entry: bytes) -> tuple[str, int]:
    return entry[16:32].hex(), int.from_bytes(entry[32:40], "big")


_STATE = "SELECT state FROM stored_events WHERE originator_id = ? AND originator_version = ?"
_PUT = "UPDATE stored_events SET state = ? WHERE originator_id = ? AND originator_version = ?"
_TAKE = "DELETE FROM stored_events WHERE originator_id = ? AND originator_version = ?"


def _edit(connection: sqlite3.Connection) -> str:
    (index, entry), _ = _events(connection)
    (state,) = connection.execute(_STATE, _place(entry)).fetchone()
    connection.execute(_PUT, (state[:-1] + bytes([state[-1] ^ 1]), *_place(entry)))
    return f"One bit of the sealed content of entry {index} was changed."


def _swap(connection: sqlite3.Connection) -> str:
    (index, entry), (other_index, other) = _events(connection)
    (state,) = connection.execute(_STATE, _place(entry)).fetchone()
    (other_state,) = connection.execute(_STATE, _place(other)).fetchone()
    connection.execute(_PUT, (other_state, *_place(entry)))
    connection.execute(_PUT, (state, *_place(other)))
    return f"The sealed contents of entries {index} and {other_index} changed places."


def _delete(connection: sqlite3.Connection) -> str:
    (index, entry), _ = _events(connection)
    connection.execute(_TAKE, _place(entry))
    connection.execute("DELETE FROM ledger WHERE idx = ?", (index,))
    return f"Entry {index} was deleted, and its event with it."


def _truncate(connection: sqlite3.Connection) -> str:
    # What was written just before a crash may not be signed yet, and nobody could miss it: the cut goes below that.
    (signed,) = connection.execute("SELECT max(size) FROM checkpoints").fetchone()
    rows = connection.execute(
        "SELECT idx, entry FROM ledger WHERE idx >= ? ORDER BY idx DESC", (signed - CUT,)
    ).fetchall()
    for index, entry in rows:
        if entry[7] <= 2:
            connection.execute(_TAKE, _place(entry))
        connection.execute("DELETE FROM log_bodies WHERE idx = ?", (index,))
        connection.execute("DELETE FROM ledger WHERE idx = ?", (index,))
    return f"The newest {len(rows)} entries were cut off, from entry {rows[-1][0]} on."


def _reorder(connection: sqlite3.Connection) -> str:
    (index, _), (other, _) = _events(connection)
    for old, new in ((index, -1), (other, index), (-1, other)):
        connection.execute("UPDATE ledger SET idx = ? WHERE idx = ?", (new, old))
    return f"Entries {index} and {other} changed places."


def _roll_back(data: Path) -> str:
    older = data / OLDER
    with closing(sqlite3.connect(data / "records.db")) as current, closing(sqlite3.connect(older)) as copy:
        (size,) = copy.execute("SELECT count(*) FROM ledger").fetchone()
        copy.backup(current)
    return f"The database was exchanged for an older copy, of {size} entries."


KINDS: dict[str, Callable[[sqlite3.Connection], str]] = {
    "edit": _edit,
    "swap": _swap,
    "delete": _delete,
    "truncate": _truncate,
    "reorder": _reorder,
    "rollback": lambda _connection: "",
}


def mark_demo(data: Path) -> None:
    """Mark a demo clinic, and keep its database as it is now for `rollback`, where it is in SQLite."""
    (data / MARK).touch(mode=0o600, exist_ok=False)
    if not (data / "records.db").exists():
        return
    os.close(os.open(data / OLDER, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(data / "records.db")) as current, closing(sqlite3.connect(data / OLDER)) as copy:
        current.backup(copy)
