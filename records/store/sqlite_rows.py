"""Many rows in one statement on SQLite.

Each step of a statement gives the interpreter's lock away and has to win it back, which under many threads costs more
than the step itself. So rows are written, looked up and compared by the dozen: one statement, one step.

- Statements come in few sizes (powers of two), so that the connection's statement cache holds them all.
- What is joined into a statement is this module's own text; values are always arguments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

LARGEST = 64
CACHED_STATEMENTS = 256


def insert_rows(connection: sqlite3.Connection | sqlite3.Cursor, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows into a table; each row has a value for each column."""
    for chunk in _chunks(rows):
        text = f"INSERT INTO {table} VALUES {_places(len(chunk[0]), len(chunk))}"  # noqa: S608 - see the module
        connection.execute(text, [value for row in chunk for value in row])


def count_present(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Return how many of `rows` the table holds with exactly these values in these columns; the first ones find it."""
    found = 0
    for chunk in _chunks(rows):
        same = " AND ".join(f"t.{column} = v.column{place}" for place, column in enumerate(columns, 1))
        values = _places(len(columns), len(chunk))
        text = f"SELECT count(*) FROM (VALUES {values}) AS v JOIN {table} AS t ON {same}"  # noqa: S608 - see the module
        found += connection.execute(text, [value for row in chunk for value in row]).fetchone()[0]
    return found


def select_in(connection: sqlite3.Connection, query: str, keys: Sequence[bytes]) -> list[Any]:
    """Return the rows of a query that ends in `IN`, for these keys."""
    found: list[Any] = []
    for chunk in _chunks(keys):
        found += connection.execute(f"{query} {_places(len(chunk), 1)}", chunk).fetchall()
    return found


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    while start < len(rows):
        size = min(LARGEST, 1 << ((len(rows) - start).bit_length() - 1))
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=CACHED_STATEMENTS)
def _places(width: int, height: int) -> str:
    row = "(" + ", ".join("?" * width) + ")"
    return ", ".join([row] * height)
