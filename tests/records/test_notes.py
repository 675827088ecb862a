"""Notes: signed once, never changed, corrected beside themselves; late by computation."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.bookings import SessionBooked
from records.clinic_policy import ClinicPolicy
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.notes import (
    FORMATS,
    NoteAddendumSigned,
    NoteAmended,
    NoteEnteredInError,
    NoteSigned,
    add_addendum,
    amend_note,
    mark_note_entered_in_error,
    sign_note,
    text_digest,
)
from records.payload import encode_payload, from_segments, to_segments
from tests.given import COLLEAGUE, NOW, Case, given, stamp

NOTE, OTHER_NOTE, SESSION, ADDENDUM = (UUID(int=number) for number in (21, 22, 23, 24))
TEXT = {"subjective": "Slept badly.", "plan": "Next week."}


def signed(note_id: UUID = NOTE) -> Event:
    return NoteSigned(note_id=note_id, kind="progress", format="SOAP", sections=TEXT, **stamp())


def in_error() -> Event:
    return NoteEnteredInError(note_id=NOTE, reason="wrong client", **stamp())


def session(hours_ago: float) -> Event:
    start = NOW - timedelta(hours=hours_ago)
    return SessionBooked(session_id=SESSION, episode_id=SESSION, kind="treatment", start=start, **stamp(start))


def sign(case: Case, **arguments: Any) -> Case:
    return case.when(
        sign_note, **{"note_id": NOTE, "kind": "progress", "format": "SOAP", "sections": TEXT, **arguments}
    )


def amend(case: Case, **arguments: Any) -> Case:
    changed = {"note_id": NOTE, "format": "SOAP", "sections": {"plan": "In two weeks."}, "reason": "wrong date"}
    return case.when(amend_note, **{"if_match": 1, **changed, **arguments})


def test_signing_puts_the_exact_text_into_the_event() -> None:
    case = sign(given())
    (event,) = case.then(NoteSigned)
    assert isinstance(event, NoteSigned)
    assert event.sections == TEXT
    state = case.record.notes[NOTE]
    assert (state.status, state.author, state.signed_at, state.text_version) == ("signed", event.entered_by, NOW, 1)
    assert (event.kind, event.format, state.kind, state.session_id) == ("progress", "SOAP", "progress", None)


def test_a_note_is_signed_once() -> None:
    sign(given(signed())).refused(RuleBroken, "note-already-signed")
    sign(given(signed(), in_error())).refused(RuleBroken, "note-already-signed")
    sign(given(signed(OTHER_NOTE))).then(NoteSigned)


@pytest.mark.parametrize(("format", "section"), [(name, section) for name, all_ in FORMATS.items() for section in all_])
def test_every_section_of_every_format_can_be_written(format: str, section: str) -> None:
    sign(given(), format=format, sections={section: "x"}).then(NoteSigned)


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"kind": "process"}, "/kind"),
        ({"format": "POEM"}, "/format"),
        ({"format": "DAP"}, "/sections"),
        ({"sections": {"plan": "x", "gossip": "y"}}, "/sections"),
        ({"sections": {}}, "/sections"),
        ({"sections": {"plan": " \n\t", "subjective": ""}}, "/sections"),
    ],
)
def test_a_text_that_its_format_does_not_have_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    error = sign(given(), **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


def test_a_note_is_about_a_session_of_this_client_or_about_none() -> None:
    sign(given(), session_id=SESSION).refused(UnknownItem)
    case = sign(given(session(1)), session_id=SESSION)
    (event,) = case.then(NoteSigned)
    assert case.record.notes[NOTE].session_id == SESSION
    assert isinstance(event, NoteSigned)
    assert (event.session_id, event.about) == (SESSION, NOW - timedelta(hours=1))
    (alone,) = sign(given()).then(NoteSigned)
    assert isinstance(alone, NoteSigned)
    assert (alone.session_id, alone.about, alone.late_entry) == (None, None, False)


@pytest.mark.parametrize(
    ("hours_ago", "limit", "late"), [(24, 24, False), (24.001, 24, True), (30, 48, False), (49, 48, True)]
)
def test_a_note_is_late_when_it_is_signed_after_the_clinics_limit(hours_ago: float, limit: int, late: bool) -> None:
    case = given(session(hours_ago), policy=ClinicPolicy(late_entry_hours=limit))
    (event,) = sign(case, session_id=SESSION).then(NoteSigned)
    assert isinstance(event, NoteSigned)
    assert event.late_entry is late


# --- addenda


def test_anyone_who_may_adds_information_and_the_text_stays() -> None:
    case = given(signed()).when(
        add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text="She called.", if_match=1, actor=COLLEAGUE
    )
    (event,) = case.then(NoteAddendumSigned)
    assert isinstance(event, NoteAddendumSigned)
    assert (event.addendum_id, event.text, event.entered_by) == (ADDENDUM, "She called.", COLLEAGUE.id)
    state = case.record.notes[NOTE]
    assert (state.version, state.text_version, state.addenda) == (2, 1, (ADDENDUM,))


def test_an_addendum_is_signed_once() -> None:
    first = NoteAddendumSigned(note_id=NOTE, addendum_id=ADDENDUM, text="x", **stamp())
    case = given(signed(), first)
    case.when(add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text="y", if_match=2)
    case.refused(RuleBroken, "addendum-already-signed")


def test_an_addendum_says_something() -> None:
    given(signed()).when(add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text=" ", if_match=1).refused(InvalidContent)


# --- amendments


def test_an_amendment_is_a_new_text_with_a_reason() -> None:
    case = amend(given(signed()))
    (event,) = case.then(NoteAmended)
    assert isinstance(event, NoteAmended)
    assert (event.text_version, event.format, event.sections) == (2, "SOAP", {"plan": "In two weeks."})
    assert event.reason == "wrong date"
    assert case.record.notes[NOTE].text_version == 2
    (again,) = amend(case, if_match=2, format="free", sections={"text": "All anew."}).then(NoteAmended)
    assert isinstance(again, NoteAmended)
    assert (again.text_version, again.format) == (3, "free")


def test_only_the_author_amends() -> None:
    amend(given(signed()), actor=COLLEAGUE).refused(RuleBroken, "not-the-author")


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"reason": " "}, "/reason"),
        ({"sections": {}}, "/sections"),
        ({"format": "DAP", "sections": {"subjective": "x"}}, "/sections"),
        ({"format": "POEM"}, "/format"),
    ],
)
def test_an_amendment_without_reason_or_text_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    error = amend(given(signed()), **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- entered in error


def test_an_entry_in_error_is_hidden_with_a_reason_and_takes_nothing_more() -> None:
    case = given(signed()).when(mark_note_entered_in_error, note_id=NOTE, reason="wrong client", if_match=1)
    (event,) = case.then(NoteEnteredInError)
    assert isinstance(event, NoteEnteredInError)
    assert event.reason == "wrong client"
    assert case.record.notes[NOTE].status == "entered-in-error"
    case.when(mark_note_entered_in_error, note_id=NOTE, reason="again").then()
    amend(given(signed(), in_error()), if_match=2).refused(RuleBroken, "note-entered-in-error")
    given(signed(), in_error()).when(add_addendum, note_id=NOTE, addendum_id=ADDENDUM, text="x", if_match=2).refused(
        RuleBroken, "note-entered-in-error"
    )


def test_an_error_needs_a_reason() -> None:
    given(signed()).when(mark_note_entered_in_error, note_id=NOTE, reason="", if_match=1).refused(InvalidContent)


CHANGES: list[tuple[Any, dict[str, Any]]] = [
    (add_addendum, {"addendum_id": ADDENDUM, "text": "x"}),
    (amend_note, {"format": "SOAP", "sections": {"plan": "x"}, "reason": "x"}),
    (mark_note_entered_in_error, {"reason": "x"}),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES)
def test_every_change_builds_on_the_note_that_was_read(decision: Any, arguments: dict[str, Any]) -> None:
    given().when(decision, note_id=NOTE, if_match=1, **arguments).refused(UnknownItem)
    given(signed()).when(decision, note_id=NOTE, **arguments).refused(VersionRequired)
    given(signed()).when(decision, note_id=NOTE, if_match=2, **arguments).refused(StaleRecord)
    beside = given(signed(), signed(OTHER_NOTE)).when(decision, note_id=NOTE, if_match=1, **arguments)
    assert beside.error is None, "another note does not make this one stale"


# --- laws

SECTIONS = st.dictionaries(
    st.sampled_from(FORMATS["SOAP"]), st.text(st.characters(codec="utf-8"), max_size=40), min_size=1
).filter(lambda sections: any(text.strip() for text in sections.values()))


@forall(SECTIONS, st.lists(SECTIONS, max_size=4))
def test_signed_bytes_never_alter_whatever_follows(first: dict[str, str], later: list[dict[str, str]]) -> None:
    case = sign(given(), sections=first)
    (event,) = case.then(NoteSigned)
    before = encode_payload(to_segments(event))
    for number, sections in enumerate(later):
        amend(case, sections=sections, if_match=number + 1).then(NoteAmended)
    assert encode_payload(to_segments(event)) == before
    _, document = from_segments(to_segments(event), lambda topic, version, document: document)
    assert msgspec.convert(document, NoteSigned).sections == first
    assert case.record.notes[NOTE].text_version == 1 + len(later)


def test_the_event_does_not_share_its_text_with_the_caller() -> None:
    sections = dict(TEXT)
    (event,) = sign(given(), sections=sections).then(NoteSigned)
    sections["plan"] = "Something else."
    assert isinstance(event, NoteSigned)
    assert event.sections == TEXT


@forall(SECTIONS, SECTIONS)
def test_a_digest_stands_for_one_text_in_any_order(first: dict[str, str], second: dict[str, str]) -> None:
    assert text_digest(dict(reversed(first.items()))) == text_digest(first)
    if all("\0" not in text for text in (*first.values(), *second.values())):
        assert (text_digest(first) == text_digest(second)) == (first == second)


def test_the_digest_is_the_documented_one() -> None:
    assert text_digest({"plan": "b", "data": "a"}) == hashlib.sha256(b"data\na\0plan\nb\0").hexdigest()
