"""Bookings: what is planned needs its consents; it moves, is called off, and attendance can be put right."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.bookings import (
    AttendanceRecorded,
    SessionBooked,
    SessionCancelled,
    SessionRescheduled,
    book_session,
    cancel_session,
    record_attendance,
    reschedule_session,
    status_after,
)
from records.care_codes import ATTENDANCE, MODES, SESSION_KINDS, SETTINGS
from records.clinic_policy import ClinicPolicy
from records.consent import ConsentGiven, ConsentRefused, ConsentWithdrawn, Form
from records.episodes import EpisodeClosed, EpisodeOpened
from records.errors import ConsentMissing, InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.registration import ClientRegistered, Identity
from records.sessions import SessionHeld
from tests.given import NOW, THERAPIST, Case, given, stamp

EPISODE, SESSION, NEXT, CONSENT = (UUID(int=number) for number in (41, 42, 43, 44))
FORM = Form(form_id="f", form_version="1")
DAY = timedelta(days=1)
SOON = NOW + 7 * DAY


def episode(setting: str = "clinic") -> Event:
    return EpisodeOpened(
        episode_id=EPISODE, format="individual", modality="DIT", protocol="dit-guide", setting=setting, **stamp()
    )


def closed() -> Event:
    return EpisodeClosed(episode_id=EPISODE, reason="46", **stamp())


def consent(kind: str = "treatment", **fields: Any) -> Event:
    return ConsentGiven(consent_id=CONSENT, kind=kind, form=FORM, method="signature", **fields, **stamp(NOW - DAY))


def booked(start: datetime = SOON, kind: str = "assessment", **fields: Any) -> Event:
    return SessionBooked(session_id=SESSION, episode_id=EPISODE, kind=kind, start=start, **fields, **stamp())


def held() -> Event:
    return SessionHeld(
        session_id=SESSION,
        episode_id=EPISODE,
        kind="assessment",
        number=1,
        started_at=NOW - DAY,
        mode="01",
        setting="clinic",
        **stamp(NOW - DAY),
    )


def attended(code: str) -> Event:
    return AttendanceRecorded(session_id=SESSION, code=code, **stamp())


def book(case: Case, **arguments: Any) -> Case:
    return case.when(book_session, **{"session_id": SESSION, "episode_id": EPISODE, "start": SOON, **arguments})


def pointer_of(case: Case) -> str:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    return error.pointer


def missing_kind(case: Case) -> str:
    error = case.refused(ConsentMissing, "consent-missing")
    assert isinstance(error, ConsentMissing)
    return error.kind


# --- booking and consent


def test_the_first_session_is_an_assessment_and_needs_no_consent() -> None:
    case = book(given(episode(setting="school")))
    (event,) = case.then(SessionBooked)
    assert isinstance(event, SessionBooked)
    assert (event.kind, event.minutes, event.mode, event.setting) == ("assessment", 50, "01", "school")
    state = case.record.sessions[SESSION]
    assert (state.status, state.start, state.number, state.attendance, state.version) == ("booked", SOON, None, None, 2)


def test_the_session_after_one_that_is_booked_or_was_held_is_treatment() -> None:
    for events in ([episode(), booked()], [episode(), held()]):
        assert missing_kind(book(given(*events), session_id=NEXT)) == "treatment"
        (event,) = book(given(*events, consent()), session_id=NEXT).then(SessionBooked)
        assert isinstance(event, SessionBooked)
        assert event.kind == "treatment"


def test_after_a_first_session_that_did_not_take_place_the_next_is_an_assessment_again() -> None:
    cancelled = SessionCancelled(session_id=SESSION, by="client", code="2", **stamp())
    for event in (attended("3"), attended("7"), cancelled):
        (again,) = book(given(episode(), booked(), event), session_id=NEXT).then(SessionBooked)
        assert isinstance(again, SessionBooked)
        assert again.kind == "assessment"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [ConsentRefused(consent_id=CONSENT, kind="treatment", form=FORM, **stamp())],
        [consent(), ConsentWithdrawn(consent_id=CONSENT, channel="email", received_by=THERAPIST.id, **stamp())],
        [consent(expires_at=SOON)],
        [consent(scope=f"episode:{NEXT}")],
        [consent(kind="telehealth")],
    ],
    ids=["none", "refused", "withdrawn", "expired by then", "of another episode", "of another kind"],
)
def test_treatment_is_not_booked_without_a_consent_that_is_live_at_its_start(events: list[Event]) -> None:
    assert missing_kind(book(given(episode(), *events), kind="treatment")) == "treatment"


@pytest.mark.parametrize(
    "event",
    [consent(), consent(expires_at=SOON + DAY), consent(scope=f"episode:{EPISODE}")],
    ids=["for ever", "until later", "of this episode"],
)
def test_treatment_is_booked_with_a_live_consent(event: Event) -> None:
    book(given(episode(), event), kind="treatment").then(SessionBooked)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", SESSION_KINDS)
def test_remote_modes_need_their_own_consent_for_every_kind_of_session(mode: str, kind: str) -> None:
    case = book(given(episode(), consent()), mode=mode, kind=kind)
    if mode in ("02", "11"):
        assert missing_kind(case) == "telehealth"
    else:
        case.then(SessionBooked)


def test_what_is_required_is_the_clinics_policy() -> None:
    strict = ClinicPolicy(required_consents={"session.assessment": ("privacy-notice",)})
    assert missing_kind(book(given(episode(), policy=strict))) == "privacy-notice"
    book(given(episode(), policy=strict), kind="treatment", mode="11").then(SessionBooked)


# --- what cannot be booked


def test_the_same_booking_again_is_nothing_and_another_under_its_id_is_refused() -> None:
    book(given(episode(), booked())).then()
    book(given(episode(), booked()), start=SOON + DAY).refused(RuleBroken, "session-already-booked")
    book(given(episode(), booked()), room="2").refused(RuleBroken, "session-already-booked")
    book(given(episode(), booked(), attended("2"))).refused(RuleBroken, "session-already-booked")


def test_only_an_open_episode_of_this_client_is_booked_into() -> None:
    book(given()).refused(UnknownItem)
    book(given(episode(), closed())).refused(RuleBroken, "episode-closed")


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"kind": "seance"}, "/kind"),
        ({"kind": ""}, "/kind"),
        ({"mode": "99"}, "/mode"),
        ({"mode": ""}, "/mode"),
        ({"setting": "moon"}, "/setting"),
        ({"setting": ""}, "/setting"),
        ({"minutes": 0}, "/minutes"),
        ({"minutes": -50}, "/minutes"),
        ({"minutes": 601}, "/minutes"),
        ({"start": datetime(1979, 12, 31, 23, tzinfo=NOW.tzinfo)}, "/start"),
        ({"start": NOW + 366 * DAY + timedelta(seconds=1)}, "/start"),
        ({"start": datetime.max.replace(tzinfo=NOW.tzinfo)}, "/start"),
        ({"start": datetime.min.replace(tzinfo=NOW.tzinfo)}, "/start"),
    ],
)
def test_what_cannot_be_true_is_refused_in_a_booking_and_in_a_move(arguments: dict[str, Any], pointer: str) -> None:
    born = ClientRegistered(identity=Identity(family="F", birth_date="1980"), **stamp())
    assert pointer_of(book(given(born, episode()), **arguments)) == pointer
    if "kind" not in arguments:
        case = given(born, episode(), booked()).when(reschedule_session, session_id=SESSION, if_match=3, **arguments)
        assert pointer_of(case) == pointer


def test_the_limits_themselves_are_taken() -> None:
    for arguments in ({"minutes": 1}, {"minutes": 600}, {"start": NOW + 366 * DAY}, {"start": NOW - 30 * DAY}):
        book(given(episode()), **arguments).then(SessionBooked)


def test_before_1890_nobody_is_booked_where_the_birth_is_unknown() -> None:
    assert pointer_of(book(given(episode()), start=datetime(1889, 12, 31, tzinfo=NOW.tzinfo))) == "/start"


@pytest.mark.parametrize(("field", "codes"), [("setting", SETTINGS), ("kind", SESSION_KINDS)])
def test_every_code_is_taken(field: str, codes: tuple[str, ...]) -> None:
    for code in codes:
        book(given(episode(), consent()), **{field: code}).then(SessionBooked)


# --- moving


def test_a_move_changes_only_what_it_names() -> None:
    case = given(episode(), booked(minutes=75, room="2"))
    case.when(reschedule_session, session_id=SESSION, start=SOON + DAY, reason="Ill.", if_match=2)
    (event,) = case.then(SessionRescheduled)
    assert isinstance(event, SessionRescheduled)
    assert (event.start, event.minutes, event.mode, event.room) == (SOON + DAY, 75, "01", "2")
    assert event.reason == "Ill."
    state = case.record.sessions[SESSION]
    assert (state.start, state.minutes, state.room, state.version) == (SOON + DAY, 75, "2", 3)


def test_a_move_to_where_it_is_is_nothing() -> None:
    given(episode(), booked()).when(reschedule_session, session_id=SESSION, start=SOON, if_match=2).then()


def test_a_move_needs_the_consents_of_what_it_becomes() -> None:
    remote = given(episode(), booked()).when(reschedule_session, session_id=SESSION, mode="11", if_match=2)
    assert missing_kind(remote) == "telehealth"
    later = given(episode(), consent(expires_at=SOON + DAY), booked(kind="treatment"))
    later.when(reschedule_session, session_id=SESSION, start=SOON + DAY, if_match=3)
    assert missing_kind(later) == "treatment"


@pytest.mark.parametrize("event", [attended("3"), attended("4"), held()])
def test_only_what_is_still_booked_is_moved_or_called_off(event: Event) -> None:
    for decision, arguments in ((reschedule_session, {"start": SOON + DAY}), (cancel_session, {"by": "client"})):
        case = given(episode(), booked(), event).when(decision, session_id=SESSION, if_match=3, **arguments)
        case.refused(RuleBroken, "session-not-booked")


def test_nothing_moves_within_a_closed_episode() -> None:
    case = given(episode(), booked(), closed())
    case.when(reschedule_session, session_id=SESSION, start=SOON + DAY, if_match=2)
    case.refused(RuleBroken, "episode-closed")


# --- calling off


@pytest.mark.parametrize(("by", "code"), [("client", "2"), ("clinic", "4")])
def test_who_calls_off_decides_the_code(by: str, code: str) -> None:
    case = given(episode(), booked()).when(cancel_session, session_id=SESSION, by=by, reason="Snow.", if_match=2)
    (event,) = case.then(SessionCancelled)
    assert isinstance(event, SessionCancelled)
    assert (event.by, event.code, event.reason) == (by, code, "Snow.")
    state = case.record.sessions[SESSION]
    assert (state.status, state.attendance, state.version) == ("cancelled", code, 3)
    case.when(cancel_session, session_id=SESSION, by=by).then()


def test_a_session_is_called_off_by_one_of_two_parties() -> None:
    case = given(episode(), booked()).when(cancel_session, session_id=SESSION, by="weather", if_match=2)
    assert pointer_of(case) == "/by"


def test_a_session_of_a_closed_episode_can_still_be_called_off() -> None:
    case = given(episode(), booked(), closed()).when(cancel_session, session_id=SESSION, by="clinic", if_match=2)
    case.then(SessionCancelled)


# --- attendance


@pytest.mark.parametrize(
    ("code", "status"),
    [("5", "booked"), ("6", "booked"), ("7", "missed"), ("3", "missed"), ("2", "cancelled"), ("4", "cancelled")],
)
def test_each_attendance_code_gives_its_status(code: str, status: str) -> None:
    case = given(episode(), booked(NOW)).when(record_attendance, session_id=SESSION, code=code, if_match=2)
    (event,) = case.then(AttendanceRecorded)
    assert isinstance(event, AttendanceRecorded)
    assert (event.person, event.code) == ("client", code)
    state = case.record.sessions[SESSION]
    assert (state.status, state.attendance, state.version) == (status, code, 3)
    case.when(record_attendance, session_id=SESSION, code=code).then()


@forall(st.lists(st.sampled_from(sorted(ATTENDANCE)), min_size=1))
def test_attendance_can_be_put_right_again_and_again_and_the_last_word_counts(codes: list[str]) -> None:
    case = given(episode(), booked(NOW))
    for code in codes:
        case.when(record_attendance, session_id=SESSION, code=code, if_match=case.record.sessions[SESSION].version)
        case.then(*(type(event) for event in case.outcome))
    state = case.record.sessions[SESSION]
    assert (state.attendance, state.status) == (codes[-1], status_after(codes[-1]))


@pytest.mark.parametrize("code", ["3", "7", "2", "4"])
def test_a_held_session_does_not_become_an_unattended_one(code: str) -> None:
    case = given(episode(), held()).when(record_attendance, session_id=SESSION, code=code, if_match=2)
    case.refused(RuleBroken, "session-held")


def test_a_held_session_can_turn_out_to_have_begun_late() -> None:
    case = given(episode(), held()).when(record_attendance, session_id=SESSION, code="6", if_match=2)
    case.then(AttendanceRecorded)
    assert case.record.sessions[SESSION].status == "held"
    assert case.record.sessions[SESSION].attendance == "6"


@pytest.mark.parametrize("code", ["5", "6", "7", "3"])
def test_nobody_knows_who_came_long_before_the_start(code: str) -> None:
    early = given(episode(), booked(NOW + timedelta(hours=1, seconds=1)))
    assert pointer_of(early.when(record_attendance, session_id=SESSION, code=code, if_match=2)) == "/code"
    at_the_door = given(episode(), booked(NOW + timedelta(hours=1)))
    at_the_door.when(record_attendance, session_id=SESSION, code=code, if_match=2).then(AttendanceRecorded)


@pytest.mark.parametrize("code", ["2", "4"])
def test_a_cancellation_is_known_at_any_time(code: str) -> None:
    case = given(episode(), booked()).when(record_attendance, session_id=SESSION, code=code, if_match=2)
    case.then(AttendanceRecorded)


@pytest.mark.parametrize(
    ("arguments", "pointer"), [({"code": "1"}, "/code"), ({"code": "5", "person": "dog"}, "/person")]
)
def test_unknown_codes_and_people_are_refused(arguments: dict[str, Any], pointer: str) -> None:
    case = given(episode(), booked(NOW)).when(record_attendance, session_id=SESSION, if_match=2, **arguments)
    assert pointer_of(case) == pointer


@pytest.mark.parametrize(
    ("decision", "arguments"),
    [
        (reschedule_session, {"start": SOON + DAY}),
        (record_attendance, {"code": "2"}),
        (cancel_session, {"by": "client"}),
    ],
)
def test_every_change_builds_on_the_session_that_was_read(decision: Any, arguments: dict[str, Any]) -> None:
    given(episode()).when(decision, session_id=SESSION, if_match=2, **arguments).refused(UnknownItem)
    given(episode(), booked()).when(decision, session_id=SESSION, **arguments).refused(VersionRequired)
    given(episode(), booked()).when(decision, session_id=SESSION, if_match=1, **arguments).refused(StaleRecord)
    beside = given(episode(), booked(), consent()).when(decision, session_id=SESSION, if_match=2, **arguments)
    assert beside.error is None, "a consent does not make a session stale"
    migrated = given(episode(), booked()).when(decision, session_id=SESSION, migrated=True, **arguments)
    assert migrated.error is None, "migrated history names no version"
