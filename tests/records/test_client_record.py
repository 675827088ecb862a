"""The rule state: folded in order, copied without sharing, and found by id within one client only."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.bookings import SessionBooked, book_session, cancel_session, record_attendance, reschedule_session
from records.breaches import review_breach
from records.client_record import BreachState, ClientRecord
from records.consent import Form, mark_consent_entered_in_error, record_consent, withdraw_consent
from records.decision import Decision
from records.episodes import change_protocol, close_episode, open_episode, set_phase
from records.errors import InvalidContent, Refused, UnknownItem
from records.event import Event, Recorded
from records.notes import NoteSigned, add_addendum, amend_note, mark_note_entered_in_error, sign_note
from records.payload import from_segments, to_segments
from records.registration import ClientRegistered, Identity, IdentityChanges, change_identity, register_client
from records.sessions import mark_session_entered_in_error, record_session_held
from tests.given import CLIENT, NOW, Case, fold, given, stamp

ITEMS = [UUID(int=number) for number in (61, 62)]
FORM = Form(form_id="f", form_version="1")
DAY = timedelta(days=1)


def note(note_id: UUID) -> Event:
    return NoteSigned(note_id=note_id, kind="progress", format="free", sections={"text": "x"}, **stamp())


def test_a_record_exists_from_its_first_event_on() -> None:
    record = ClientRecord(client_id=CLIENT)
    assert not record.exists
    assert fold([ClientRegistered(identity=Identity(family="F"), **stamp())], record).exists


@pytest.mark.parametrize("version", [0, 1, 3])
def test_events_are_applied_in_their_order_and_once(version: int) -> None:
    record = fold([note(ITEMS[0])])
    with pytest.raises(ValueError, match="order"):
        record.apply(Recorded(note(ITEMS[1]), CLIENT, version, version, NOW))
    assert (record.version, list(record.notes)) == (1, [ITEMS[0]])


def test_an_item_is_found_or_named_by_its_kind_only() -> None:
    record = fold([note(ITEMS[0])])
    assert record.item("note", record.notes, ITEMS[0]).version == 1
    with pytest.raises(UnknownItem) as unknown:
        record.item("note", record.notes, ITEMS[1])
    assert unknown.value.kind == "note"
    assert str(ITEMS[1]) not in str(unknown.value)


def test_a_copy_moves_on_alone() -> None:
    record = fold([note(ITEMS[0])])
    copy = record.copy()
    assert copy == record
    fold([note(ITEMS[1])], copy)
    copy.breaches[ITEMS[0]] = BreachState(missing=("treatment",), entered_by="x")
    copy.birth_date = date(1980, 1, 1)
    assert (record.version, list(record.notes), record.breaches, record.birth_date) == (1, [ITEMS[0]], {}, None)


def test_a_copy_shares_no_container() -> None:
    record = ClientRecord(client_id=CLIENT)
    copy = record.copy()
    for name in record.__struct_fields__:
        value = getattr(record, name)
        assert not isinstance(value, dict | list | set) or getattr(copy, name) is not value, name


@pytest.mark.parametrize(
    ("born", "at", "possible"),
    [
        (date(1980, 5, 6), datetime(1980, 5, 6, tzinfo=NOW.tzinfo), True),
        (date(1980, 5, 6), datetime(1980, 5, 5, 23, 59, tzinfo=NOW.tzinfo), False),
        (None, datetime(1890, 1, 1, tzinfo=NOW.tzinfo), True),
        (None, datetime(1889, 12, 31, tzinfo=NOW.tzinfo), False),
        (None, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), False),
    ],
)
def test_nothing_takes_place_before_a_birth(born: date | None, at: datetime, possible: bool) -> None:
    record = ClientRecord(client_id=CLIENT, birth_date=born)
    if possible:
        record.require_born("/start", at)
        return
    with pytest.raises(InvalidContent) as refused:
        record.require_born("/start", at)
    assert refused.value.pointer == "/start"


def test_the_kind_of_a_session_is_asked_of_its_own_episode_only() -> None:
    mine, other = ITEMS
    booked = SessionBooked(session_id=mine, episode_id=other, kind="assessment", start=NOW, **stamp())
    record = fold([booked])
    assert (record.usual_session_kind(mine), record.usual_session_kind(other)) == ("assessment", "treatment")


# --- laws over every decision of a client's record

IDS = st.sampled_from(ITEMS)
TEXT = st.sampled_from(["", "Some words."])
WHEN = st.sampled_from([None, NOW - DAY, NOW, NOW + DAY])


def call(decision: Decision, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Decision, dict[str, Any]]]:
    return st.tuples(st.just(decision), st.fixed_dictionaries(arguments))


CALLS = st.one_of(
    call(register_client, identity=st.sampled_from([Identity(family="F", birth_date="1980"), Identity(family="G")])),
    call(change_identity, changes=st.sampled_from([IdentityChanges(), IdentityChanges(birth_date="1981", email=None)])),
    call(record_consent, consent_id=IDS, kind=st.sampled_from(["treatment", "touch"]), form=st.just(FORM),
         outcome=st.sampled_from(["offered", "given", "refused"]), occurred_at=WHEN),
    call(withdraw_consent, consent_id=IDS, channel=st.just("email"), occurred_at=WHEN),
    call(mark_consent_entered_in_error, consent_id=IDS, reason=TEXT),
    call(open_episode, episode_id=IDS, format=st.just("individual"), modality=st.just("DIT"),
         protocol=st.sampled_from(["dit-manual", "own"]), planned_sessions=st.sampled_from([None, 0, 6])),
    call(set_phase, episode_id=IDS, phase=st.sampled_from([None, "ending"]), reason=TEXT),
    call(close_episode, episode_id=IDS, reason=st.sampled_from(["46", "1"]), occurred_at=WHEN),
    call(book_session, session_id=IDS, episode_id=IDS, start=st.sampled_from([NOW - DAY, NOW + DAY]),
         mode=st.sampled_from(["01", "11"])),
    call(reschedule_session, session_id=IDS, start=WHEN, room=TEXT),
    call(record_attendance, session_id=IDS, code=st.sampled_from(["5", "3", "2"])),
    call(record_session_held, session_id=IDS, episode_id=st.none() | IDS, started_at=WHEN,
         methods=st.sampled_from([(), ("touch",)]), breach_reason=st.none() | TEXT),
    call(mark_session_entered_in_error, session_id=IDS, reason=TEXT),
    call(review_breach, session_id=IDS, outcome=st.sampled_from(["justified", "x"]), reason=TEXT,
         supervisor_id=st.none() | IDS),
    call(change_protocol, episode_id=IDS, protocol=st.sampled_from(["dit-manual", "own"]), reason=TEXT,
         begins_anew=st.booleans()),
    call(cancel_session, session_id=IDS, by=st.sampled_from(["client", "clinic"])),
    call(sign_note, note_id=IDS, kind=st.just("progress"), format=st.just("free"),
         sections=st.fixed_dictionaries({"text": TEXT}), session_id=st.none() | IDS),
    call(add_addendum, note_id=IDS, addendum_id=IDS, text=TEXT),
    call(amend_note, note_id=IDS, format=st.just("free"), sections=st.fixed_dictionaries({"text": TEXT}), reason=TEXT),
    call(mark_note_entered_in_error, note_id=IDS, reason=TEXT),
)  # fmt: skip


def play(calls: list[tuple[Decision, dict[str, Any]]]) -> Case:
    """Make the decisions one after the other; each sees what those before it left (`when` holds them to purity)."""
    events: list[Event] = []
    for decision, arguments in calls:
        case = given(*events).when(decision, migrated=True, **arguments)
        assert case.error is None or isinstance(case.error, Refused)
        events.extend(case.outcome)
    return given(*events)


@forall(st.lists(CALLS, max_size=25))
def test_whatever_is_asked_in_whatever_order_is_done_or_refused_by_name(
    calls: list[tuple[Decision, dict[str, Any]]],
) -> None:
    record = play(calls).record
    for items in (record.consents, record.episodes, record.sessions, record.notes):
        assert all(1 <= state.version <= record.version for state in items.values())
    for session in record.sessions.values():
        assert session.episode_id in record.episodes
        assert (session.number is not None) == (session.status == "held")
        assert session.status != "held" or session.start <= NOW
        assert session.attendance in (None, "5", "6") or session.status != "held"
    numbers = [(session.episode_id, session.number) for session in record.sessions.values() if session.number]
    assert len(numbers) == len(set(numbers))
    assert all(record.sessions[key].status in ("held", "entered-in-error") for key in record.breaches)
    for key, episode in record.episodes.items():
        assert episode.sessions_held == max((number for of, number in numbers if of == key and number), default=0)


@forall(st.lists(CALLS, max_size=25))
def test_a_record_folded_from_stored_events_is_the_same(calls: list[tuple[Decision, dict[str, Any]]]) -> None:
    case = play(calls)
    stored = [from_segments(to_segments(event), lambda topic, version, document: document) for event in case.events]
    reread = [msgspec.convert(document, type(event)) for event, (_, document) in zip(case.events, stored, strict=True)]
    assert reread == case.events
    assert fold(reread) == case.record


@forall(st.lists(CALLS, max_size=25), st.data())
def test_folding_on_from_any_copy_gives_the_same_record(
    calls: list[tuple[Decision, dict[str, Any]]], data: st.DataObject
) -> None:
    case = play(calls)
    cut = data.draw(st.integers(0, len(case.events)))
    prefix = fold(case.events[:cut])
    before = msgspec.json.encode(prefix)
    assert fold(case.events[cut:], prefix.copy()) == case.record
    assert msgspec.json.encode(prefix) == before
