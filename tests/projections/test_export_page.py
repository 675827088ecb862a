"""The page of an export: it holds the record to the letter, whatever the letters are, and asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from projections.export.material import ExportedRecord, Shown
from projections.export.page import to_html, visible
from projections.export.presenting import present
from records.notes import NoteSigned
from tests.projections.exported import NOTE, ExportedLog, every_topic, stamp, story, story_log
from tests.projections.page_read import ReadPage

HOSTILE = (
    "<script>alert(1)</script>",
    "\" onmouseover='alert(1)' x=\"&quot;&amp;",
    "</script><!-- <!--><script>",
    "</bdi></dd></dl></article><h1>Another client</h1>",
    "]]><![CDATA[",
    "\u202etxet desrever\u2066\u2069\u2069 then \u200f",
    "\U0001f33b \U0001f468‍\U0001f469‍\U0001f467",
    "a\x00b\x1bc\x0bd\x0ce\x7ff\x85g\ufffeh",
    "a\rb\r\nc\n\rd",
    "\n\nbegins with lines",
    "   spaces   and\ttabs   ",
    "&lt;&#0;&#x80;&notanentity;",
    "\ufeffmark of order",
    '\\u0041 \\" {"a": 1}',
    "x" * 10_000,
    "",
)


def page_of(record: ExportedRecord) -> bytes:
    return to_html(present(record), record)


def with_text(text: str) -> ExportedRecord:
    log = ExportedLog()
    log.add(story()[0])
    log.add(NoteSigned(note_id=NOTE, kind="progress", format="free", sections={"text": text}, **stamp(1)))
    return log.record(clinic=f"Clinic {text}"[:300])


def stored(record: ExportedRecord) -> dict[tuple[int, str], str]:
    """Each segment that is shown, by version and path."""
    return {
        (event.recorded.version, part.path): part.content.decode()
        for event in record.events
        for part in event.segments
        if isinstance(part, Shown)
    }


def assert_holds(page: bytes, record: ExportedRecord) -> None:
    contents = ReadPage(page).contents()
    assert {key: found for key, found in contents.items() if not key[1].startswith("/")} == {
        key: {content} for key, content in stored(record).items()
    }
    for (version, place), found in contents.items():
        if place.startswith("/"):
            (path,) = [path for at, path in stored(record) if at == version and re.fullmatch("v[0-9]+", path)]
            value: Any = json.loads(stored(record)[version, path])
            for part in place.split("/")[1:]:
                value = value[int(part) if isinstance(value, list) else part.replace("~1", "/").replace("~0", "~")]
            plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            assert found == {value if isinstance(value, str) else plain}


@pytest.mark.parametrize("log", [story_log(), every_topic()], ids=["story", "every topic"])
def test_a_page_holds_every_content_exactly(log: ExportedLog) -> None:
    record = log.record()

    assert_holds(page_of(record), record)


BENIGN = ReadPage(page_of(with_text("plain"))).shape


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.sampled_from(HOSTILE))
@example("".join(HOSTILE))
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    record = with_text(text)
    page = page_of(record)

    assert_holds(page, record)
    assert ReadPage(page).shape == BENIGN


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_changes_what_the_page_is_made_of(text: str) -> None:
    record = with_text(text)
    page = page_of(record)

    assert_holds(page, record)
    assert ReadPage(page).shape == BENIGN
    assert not re.search(rb"[\x00\r\x1b]", page)


def test_a_text_that_no_parser_keeps_is_held_beside_what_is_shown() -> None:
    (found,) = [
        each
        for each in ReadPage(page_of(with_text("a\x00b\r\nc"))).elements
        if each["place"] == "sections/text" and each["exact"]
    ][:1]

    assert found["text"] == "a\ufffdb\nc" == visible("a\x00b\r\nc")
    assert json.loads(found["exact"]) == "a\x00b\r\nc"


def test_a_plain_text_is_held_once_as_it_is_read() -> None:
    assert all(
        each["exact"] is None
        for each in ReadPage(page_of(with_text("Slept <badly>.\n\n\u202eok"))).elements
        if each["place"] == "sections/text"
    )


def test_the_policy_allows_the_pages_own_style_and_script_only() -> None:
    read = ReadPage(page_of(story_log().record()))
    (policy,) = [facts["content"] for _, facts in read.tags if facts.get("http-equiv") == "Content-Security-Policy"]
    style, _, script = read.texts
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (style, script)]

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_page_names_nothing_outside_itself() -> None:
    read = ReadPage(page_of(story_log().record()))

    for _, facts in read.tags:
        assert not facts.keys() & {"src", "srcset", "action", "style", "onclick", "background", "poster", "data"}
        assert (facts.get("href") or "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|eval\(|innerHTML", "".join(read.texts))


def test_people_who_use_a_screen_reader_find_their_way() -> None:
    read = ReadPage(page_of(story_log().record()))
    names = [tag for tag, _ in read.tags]
    ids = [facts["id"] for _, facts in read.tags if "id" in facts]
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]

    assert len(ids) == len(set(ids))
    assert [each[1:] for _, facts in read.tags if (each := facts.get("href"))] == [
        each for each in ("content", *(f"part-{number}" for number in range(1, 12)), "check") if each in ids
    ]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert [names.count(each) for each in ("main", "nav", "header", "title")] == [1, 1, 1, 1]
    labelled = {facts["for"] for tag, facts in read.tags if tag == "label"}
    assert {facts["id"] for tag, facts in read.tags if tag == "input"} == labelled
    assert ("html", {"lang": "en"}) in read.tags


def test_the_page_carries_no_text_a_second_time() -> None:
    record = with_text("Only on the page itself.")
    held = ReadPage(page_of(record)).held

    assert "Only on the page itself." not in json.dumps(held)
    assert [each["version"] for each in held["events"]] == [1, 2]
    assert base64.b64decode(held["events"][1]["entry"]) == record.events[1].entry


def test_what_is_withheld_stands_on_the_page_as_a_digest_only() -> None:
    log = story_log()
    secret = msgspec.structs.replace(story()[6], sections={"text": "What Ben said."}, note_id=story()[9].risk_id)
    made = log.add(secret, "entered-in-error")
    bare = msgspec.structs.replace(secret, sections={})
    log.events[-1] = msgspec.structs.replace(made, recorded=msgspec.structs.replace(made.recorded, event=bare))
    page = page_of(log.record())

    assert b"Ben said" not in page
    assert [set(part) for part in ReadPage(page).held["events"][-1]["segments"]] == [{"digest"}, {"digest"}]


def test_the_same_record_gives_the_same_bytes() -> None:
    record = story_log().record()

    assert page_of(record) == page_of(record)
