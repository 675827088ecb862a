"""Which of SQLite's errors say that the file is damaged, and not only that it cannot be used now.

Source: the SQLite documentation, "Result and Error Codes", "How To Corrupt An SQLite Database File".

A file that is no database any more, or whose pages contradict each other, is an integrity failure: waiting does not
help, and a backup does.
"""

from __future__ import annotations

import sqlite3

from records.errors import LedgerMismatch, NotStored

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite says that the file is damaged."""
    # An error of the binding itself, such as a closed connection, has no name.
    return getattr(error, "sqlite_errorname", "").startswith(_DAMAGED)


def told(error: sqlite3.Error, sentence: str) -> LedgerMismatch | NotStored:
    """Return what is raised for an error of SQLite; `sentence` says what could not be done."""
    if is_damage(error):
        return LedgerMismatch("the database file is damaged")
    return NotStored(sentence)
