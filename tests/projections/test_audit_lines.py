"""Lines: one entry each; a cell is data and never a formula."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from projections.audit_lines import RUN_BY_SPREADSHEETS, csv_page, ndjson_line


class Row(msgspec.Struct, frozen=True):
    name: str | None = None
    count: int = 1
    several: tuple[str, ...] = ()


def cells(page: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(page, newline="")))


@given(st.text())
def test_what_a_cell_holds_comes_back_and_is_never_run(text: str) -> None:
    ((row,), page) = (cells(made := csv_page([Row(text)], Row)), made)
    run = text.startswith(RUN_BY_SPREADSHEETS)
    assert row["name"] == (f"'{text}" if run else text)
    assert not row["name"].startswith(RUN_BY_SPREADSHEETS)
    assert page.endswith("\r\n")


def test_every_way_to_begin_a_formula_is_defused() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"):
        (row,) = cells(csv_page([Row(text)], Row))
        assert row["name"] == f"'{text}"
    (row,) = cells(csv_page([Row("Jo", 2, ("=cmd", "b"))], Row))
    assert (row["count"], row["several"]) == ("2", "'=cmd b")


def test_a_table_has_its_header_crlf_and_quotes_where_they_are_needed() -> None:
    page = csv_page([Row('Lind, "Jo"'), Row(None)], Row)
    assert page == 'name,count,several\r\n"Lind, ""Jo""",1,\r\n,1,\r\n'
    assert csv_page([], Row) == "name,count,several\r\n"


def test_a_line_of_json_is_one_line_whatever_it_holds() -> None:
    line = ndjson_line(Row("two\nlines\u2028and more"))
    assert line.count(b"\n") == 1
    assert json.loads(line)["name"] == "two\nlines\u2028and more"
