"""Cursors: they lead from page to page of one list, and a forged or foreign one leads nowhere."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import Cursors
from api.problems import Unacceptable
from tests.api.caller import DESK, S, Served

CURSORS = Cursors(bytes(range(32)))


@given(place=st.from_regex(r"[0-9a-f-]{1,36}", fullmatch=True), scope=st.lists(st.text(max_size=20), max_size=4))
def test_a_cursor_opens_to_its_place(place: str, scope: list[str]) -> None:
    assert CURSORS.open(CURSORS.make(place, *scope), *scope) == place


@given(flipped=st.integers(0, 20), by=st.integers(1, 255))
def test_a_changed_cursor_does_not_open(flipped: int, by: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSORS.make("12345", "a") + "=="))
    raw[flipped] ^= by
    with pytest.raises(Unacceptable):
        CURSORS.open(base64.urlsafe_b64encode(raw).decode(), "a")


@given(text=st.text(max_size=60))
def test_what_was_not_made_here_does_not_open(text: str) -> None:
    with pytest.raises(Unacceptable):
        CURSORS.open(text, "a")


def test_scopes_are_not_run_together() -> None:
    with pytest.raises(Unacceptable):
        CURSORS.open(CURSORS.make("1", "ab", "c"), "a", "bc")
    with pytest.raises(Unacceptable):
        Cursors(bytes(32)).open(CURSORS.make("1", "a"), "a")


def test_pages_lead_through_the_whole_history(served: Served) -> None:
    for n in range(5):
        served.note(str(n))
    versions: list[int] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = served.get("/timeline", query_string=query).json
        assert page is not None
        assert len(page["items"]) <= 2
        versions += [item["version"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert versions == [6, 5, 4, 3, 2, 1]


def test_a_cursor_of_another_reader_client_or_question_is_refused(served: Served) -> None:
    for n in range(3):
        served.note(str(n))
    other = served.clinic.register(family="Quillfeather")
    page = served.get("/timeline", query_string={"limit": "1"}).json
    assert page is not None
    cursor = page["next"]
    assert served.get("/timeline", query_string={"limit": "3", "cursor": cursor}).status_code == 200
    refused = [
        served.get("/timeline", query_string={"cursor": cursor}, by=S),
        served.get("/timeline", query_string={"cursor": cursor, "oldest_first": "true"}),
        served.get("/access-report", query_string={"cursor": cursor}),
        served.call("GET", served.of("/timeline", other), query_string={"cursor": cursor}),
    ]
    assert [answered.status_code for answered in refused] == [400] * 4
    assert served.access(other)[-1].reason == "malformed"


def test_lists_are_paged_without_names_in_cursors(served: Served) -> None:
    for n in range(3):
        served.clinic.register(family=f"Quillfeather{n}", client_id=uuid4())
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2", "name": "quill"}
    while True:
        page = served.call("GET", "/v1/clients", by=DESK, query_string=query).json
        assert page is not None
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        assert b"uill" not in base64.urlsafe_b64decode(page["next"] + "==")
        query["cursor"] = page["next"]
    assert len(seen) == len(set(seen)) == 3
