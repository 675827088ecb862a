"""The condition of a page of the audit index, as both engines write it.

- Rows follow each other by time and then by ledger index, so that a page begins where the one before ended even where
  many rows have one time (a list shows 50 clients in one commit).
- Values are never joined to the text; each stands as a placeholder.

It runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, LiteralString


def where_audited(
    placeholder: Literal["?", "%s"],
    wanted: Mapping[LiteralString, Any],
    after: tuple[int, int] | None,
    newest_first: bool,
) -> tuple[LiteralString, tuple[Any, ...]]:
    """Return the condition with its order, and the values of its placeholders.

    Args:
        placeholder: how the engine writes a value.
        wanted: column and comparison, such as `at_us >=` → value; None asks for nothing.
        after: time and index of the row to go on from.
        newest_first: the last time comes first.
    """
    number: LiteralString = placeholder if placeholder == "?" else placeholder + "::bigint"
    parts: list[LiteralString] = []
    values: list[Any] = []
    for column, value in wanted.items():
        if value is not None:
            parts.append(column + " " + (number if column.startswith("at_us") else placeholder))
            values.append(value)
    if after is not None:
        comparison: LiteralString = "<" if newest_first else ">"
        parts.append("(at_us, idx) " + comparison + " (" + number + ", " + number + ")")
        values += after
    condition: LiteralString = " WHERE " + " AND ".join(parts) if parts else ""
    direction: LiteralString = " DESC" if newest_first else ""
    return condition + " ORDER BY at_us" + direction + ", idx" + direction, tuple(values)
