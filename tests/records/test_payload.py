"""A payload says one thing: what is encoded comes back, nothing else is taken, no two inputs share their bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.catalogue import CATALOGUE, to_event, upcast
from records.consent import ConsentGiven, Form
from records.errors import UnknownTopic
from records.event import topic_of
from records.notes import NoteAmended
from records.payload import Segment, decode_payload, encode_payload, from_segments, length_prefixed, to_segments

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SEGMENTS = st.lists(st.builds(Segment, TEXT, st.binary(max_size=60)), min_size=1, max_size=6).map(tuple)
AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
STAMP: dict[str, Any] = {"occurred_at": AT, "entered_by": "someone", "request_id": "r"}


def amended(sections: dict[str, str], reason: str) -> NoteAmended:
    return NoteAmended(note_id=UUID(int=1), format="free", sections=sections, reason=reason, text_version=2, **STAMP)


@settings(deadline=None)
@given(SEGMENTS)
def test_what_is_encoded_is_what_is_decoded(segments: tuple[Segment, ...]) -> None:
    assert decode_payload(encode_payload(segments)) == segments


@settings(deadline=None)
@given(SEGMENTS, SEGMENTS)
def test_no_two_payloads_share_their_bytes(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> None:
    assert (encode_payload(one) == encode_payload(other)) == (one == other)


@settings(deadline=None)
@given(SEGMENTS, st.data())
def test_a_payload_that_is_cut_or_longer_is_refused(segments: tuple[Segment, ...], data: st.DataObject) -> None:
    payload = encode_payload(segments)
    cut = data.draw(st.integers(0, len(payload) - 1))

    for wrong in (payload[:cut], payload + data.draw(st.binary(min_size=1, max_size=4))):
        with pytest.raises(UnknownTopic):
            decode_payload(wrong)


def test_the_layout_is_the_published_one() -> None:
    assert encode_payload([Segment("v1", b"{}"), Segment("text", b"abc")]).hex() == (
        "0002" + "0002" + b"v1".hex() + "00000002" + b"{}".hex() + "0004" + b"text".hex() + "00000003" + b"abc".hex()
    )
    assert length_prefixed(b"ab") == b"\x00\x02ab"


@settings(deadline=None)
@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=4), TEXT)
def test_an_event_comes_back_from_its_segments_with_every_text_apart(sections: dict[str, str], reason: str) -> None:
    event = amended(sections, reason)
    segments = to_segments(event)

    assert to_event(topic_of(event), decode_payload(encode_payload(segments))) == event
    texts = {segment.path: segment.content.decode() for segment in segments[1:]}
    assert texts == {**{f"sections/{name}": text for name, text in sections.items()}, "reason": reason}


def test_the_header_holds_no_free_text() -> None:
    header, *texts = to_segments(amended({"text": "the exact words"}, "a slip of the pen"))

    assert header.path == "v1"
    assert b"exact words" not in header.content
    assert b"slip" not in header.content
    assert [segment.path for segment in texts] == ["sections/text", "reason"]


def test_a_free_text_that_is_not_given_is_no_segment() -> None:
    given_bare = ConsentGiven(
        consent_id=UUID(int=2), kind="touch", form=Form(form_id="f", form_version="1"), method="typed", **STAMP
    )

    segments = to_segments(given_bare)

    assert [segment.path for segment in segments] == ["v1"]
    assert to_event("consent.given", segments) == given_bare


@pytest.mark.parametrize(
    "segments",
    [
        (Segment("text", b"words"),),
        (Segment("v", b"{}"),),
        (Segment("vx", b"{}"),),
        (Segment("v1", b"not json"),),
        (Segment("v1", b"[]"),),
        (Segment("v1", b"{}"),),
        (Segment("v1", b'{"topic":7}'),),
        (Segment("v1", b'{"topic":"note.amended"}'), Segment("reason", b"\xff")),
        (Segment("v1", b'{"topic":"note.amended","sections":[]}'), Segment("sections/text", b"words")),
    ],
    ids=["no header", "no version", "bad version", "no json", "list", "no topic", "topic", "utf-8", "field twice"],
)
def test_segments_without_a_proper_header_are_refused(segments: tuple[Segment, ...]) -> None:
    with pytest.raises(UnknownTopic):
        from_segments(segments, upcast)


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_free_text_fields_are_fields_that_can_stand_apart(cls: type) -> None:
    hints = {field.name: field.type for field in msgspec.structs.fields(cls)}
    for name in cls.free_text:  # type: ignore[attr-defined]  # every class of the catalogue is an Event
        assert hints[name] in (str, str | None, dict[str, str], dict[str, str] | None), name
