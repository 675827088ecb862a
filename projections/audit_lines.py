"""Audit entries as lines: NDJSON for programs, CSV for tables.

Source: RFC 4180 (CSV), the NDJSON convention (one JSON document a line).

- A line is an entry, of whatever struct the page has; a column is a field, in the struct's order.
- A cell that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line break) begins with an
  apostrophe instead: it is data. Every line ends with CRLF, and cells are quoted where RFC 4180 asks for it.
- Several values of one cell (addresses, resources) are joined by a space.

FHIR is made by `projections.audit_fhir`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell of a spreadsheet begins with where it is run instead of shown (OWASP, CSV injection)."""

_ENCODER = msgspec.json.Encoder()


def ndjson_line(item: Any) -> bytes:
    """Return an entry as a line of JSON."""
    return _ENCODER.encode(item) + b"\n"


def csv_header(struct: type[msgspec.Struct]) -> str:
    """Return the line that names the columns."""
    return _line(columns_of(struct))


def csv_line(item: Mapping[str, Any], struct: type[msgspec.Struct]) -> str:
    """Return an entry, as plain data, as a line of cells."""
    return _line([_cell(item.get(column)) for column in columns_of(struct)])


def csv_page(items: Iterable[msgspec.Struct], struct: type[msgspec.Struct]) -> str:
    """Return entries as a whole table with its header."""
    return csv_header(struct) + "".join(csv_line(msgspec.to_builtins(item), struct) for item in items)


def columns_of(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the columns: the struct's fields."""
    return struct.__struct_fields__


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value.startswith(RUN_BY_SPREADSHEETS):
        return f"'{value}"
    return value


def _line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()
