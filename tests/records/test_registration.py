"""Registration: a client is registered once, identity changes by named fields, and impossible data are refused."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.actors import Actor, Role
from records.bookings import SessionBooked
from records.care_team import CareTeamMemberAdded
from records.errors import InvalidContent, RuleBroken, StaleRecord, VersionRequired
from records.payload import from_segments, to_segments
from records.registration import (
    ClientIdentityChanged,
    ClientRegistered,
    Identity,
    IdentityChanges,
    change_identity,
    earliest_birth_date,
    register_client,
)
from tests.given import CLIENT, NOW, THERAPIST, given, stamp

WHO = Identity(family="Quillfeather", given="Maro", birth_date="1981")


DESK = Actor(id="00000000-0000-4000-8000-0000000000dd", role=Role.FRONT_DESK)


def registered(identity: Identity = WHO) -> ClientRegistered:
    return ClientRegistered(identity=identity, **stamp())


def test_a_registration_begins_the_record() -> None:
    case = given().when(register_client, actor=DESK, identity=WHO)
    (event,) = case.then(ClientRegistered)
    assert event == msgspec.structs.replace(registered(), request_id="when", entered_by=DESK.id)
    assert case.record.exists
    assert case.record.registered_at == NOW
    assert case.record.identity_version == 1


def test_the_same_registration_again_changes_nothing_and_another_is_refused() -> None:
    given(registered()).when(register_client, actor=DESK, identity=WHO).then()
    other = msgspec.structs.replace(WHO, given="Other")
    given(registered()).when(register_client, actor=DESK, identity=other).refused(
        RuleBroken, "client-already-registered"
    )


@pytest.mark.parametrize(
    ("birth_date", "earliest"),
    [("1981", date(1981, 1, 1)), ("1981-04", date(1981, 4, 1)), ("1981-04-02", date(1981, 4, 2))],
)
def test_rules_use_the_earliest_day_that_a_birth_date_can_be(birth_date: str, earliest: date) -> None:
    case = given().when(register_client, actor=DESK, identity=msgspec.structs.replace(WHO, birth_date=birth_date))
    case.then(ClientRegistered)
    assert case.record.birth_date == earliest


def test_an_unknown_birth_date_stays_unknown() -> None:
    case = given().when(register_client, actor=DESK, identity=msgspec.structs.replace(WHO, birth_date=None))
    case.then(ClientRegistered)
    assert case.record.birth_date is None


@pytest.mark.parametrize("birth_date", ["1890", "1890-01-01", "2026", "2026-03", "2026-03-02"])
def test_the_first_and_the_last_possible_birth_are_taken(birth_date: str) -> None:
    given().when(register_client, actor=DESK, identity=msgspec.structs.replace(WHO, birth_date=birth_date)).then(
        ClientRegistered
    )


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("birth_date", "1889-12-31", "/birth_date"),
        ("birth_date", "2026-03-03", "/birth_date"),
        ("birth_date", "2027", "/birth_date"),
        ("birth_date", "1981-02-29", "/birth_date"),
        ("birth_date", "1981-13", "/birth_date"),
        ("birth_date", "0000", "/birth_date"),
        ("birth_date", "81", "/birth_date"),
        ("birth_date", "1981-4-2", "/birth_date"),
        ("birth_date", "1981-04-02T00:00:00Z", "/birth_date"),
        ("birth_date", "1981\n", "/birth_date"),
        ("birth_date", "١٩٨١", "/birth_date"),
        ("birth_date", "", "/birth_date"),
        ("language", "not a tag", "/language"),
        ("language", "", "/language"),
        ("nhs_number", "9434765918", "/nhs_number"),
        ("nhs_number", "943476591", "/nhs_number"),
        ("nhs_number", "94347659190", "/nhs_number"),
        ("nhs_number", "943 476 5919", "/nhs_number"),
        ("nhs_number", "", "/nhs_number"),
    ],
)
def test_what_cannot_be_true_is_refused_at_registration_and_at_a_change(field: str, value: str, pointer: str) -> None:
    wrong: dict[str, Any] = {field: value}
    at_registration = given().when(register_client, actor=DESK, identity=msgspec.structs.replace(WHO, **wrong))
    at_change = given(registered()).when(change_identity, changes=IdentityChanges(**wrong), if_match=1)
    for case in (at_registration, at_change):
        error = case.refused(InvalidContent)
        assert isinstance(error, InvalidContent)
        assert error.pointer == pointer
        assert not value or value not in str(error) + error.detail


@pytest.mark.parametrize("nhs_number", ["9434765919", "9876543210", "4010232137"])
def test_nhs_numbers_with_a_right_check_digit_are_taken(nhs_number: str) -> None:
    given().when(register_client, actor=DESK, identity=msgspec.structs.replace(WHO, nhs_number=nhs_number)).then(
        ClientRegistered
    )


@forall(st.integers(0, 999_999_999))
def test_at_most_one_check_digit_fits_each_nine_digits(nine: int) -> None:
    taken = []
    for digit in range(10):
        case = given().when(register_client, actor=DESK, identity=Identity(family="F", nhs_number=f"{nine:09}{digit}"))
        if case.error is None:
            taken.append(digit)
    assert len(taken) <= 1


def test_one_name_is_enough_and_none_is_not() -> None:
    given().when(register_client, actor=DESK, identity=Identity(given="Maro")).then(ClientRegistered)
    given().when(register_client, actor=DESK, identity=Identity(family="Quillfeather")).then(ClientRegistered)
    given().when(register_client, actor=DESK, identity=Identity(family=" ", given="\t")).refused(InvalidContent)


def test_a_change_names_only_what_changes() -> None:
    case = given(registered()).when(change_identity, changes=IdentityChanges(email="m@example.org"), if_match=1)
    (event,) = case.then(ClientIdentityChanged)
    assert isinstance(event, ClientIdentityChanged)
    assert event.changes.applied_to(WHO) == msgspec.structs.replace(WHO, email="m@example.org")
    assert case.record.identity_version == 2
    assert case.record.birth_date == date(1981, 1, 1)


def test_a_change_can_empty_a_field_and_correct_the_birth_date() -> None:
    changes = IdentityChanges(email=None, birth_date="1979-05-06")
    case = given(registered()).when(change_identity, changes=changes, if_match=1)
    case.then(ClientIdentityChanged)
    assert case.record.birth_date == date(1979, 5, 6)
    assert changes.applied_to(Identity(family="F", email="m@example.org")).email is None
    emptied = given(registered()).when(change_identity, changes=IdentityChanges(birth_date=None), if_match=1)
    emptied.then(ClientIdentityChanged)
    assert emptied.record.birth_date is None


def test_a_change_of_nothing_is_nothing() -> None:
    given(registered()).when(change_identity, changes=IdentityChanges()).then()


def test_a_change_needs_the_version_of_the_identity_that_was_read() -> None:
    changes = IdentityChanges(phone="01632 960001")
    given(registered()).when(change_identity, changes=changes).refused(VersionRequired)
    moved = ClientIdentityChanged(changes=IdentityChanges(phone="01632 960002"), **stamp())
    given(registered(), moved).when(change_identity, changes=changes, if_match=1).refused(StaleRecord)
    given(registered(), moved).when(change_identity, changes=changes, if_match=2).then(ClientIdentityChanged)


def test_the_last_name_is_not_emptied() -> None:
    given(registered()).when(change_identity, changes=IdentityChanges(given=""), if_match=1).refused(InvalidContent)
    both = IdentityChanges(family="Quill", given="")
    given(registered()).when(change_identity, changes=both, if_match=1).then(ClientIdentityChanged)


def test_nobody_is_born_after_a_session() -> None:
    booked = SessionBooked(
        session_id=CLIENT, episode_id=CLIENT, kind="assessment", start=NOW - timedelta(days=40), **stamp()
    )
    changes = IdentityChanges(birth_date="2026-02-01")
    given(registered(), booked).when(change_identity, changes=changes, if_match=1).refused(InvalidContent)
    given(registered()).when(change_identity, changes=changes, if_match=1).then(ClientIdentityChanged)
    that_day = IdentityChanges(birth_date=(NOW - timedelta(days=40)).date().isoformat())
    given(registered(), booked).when(change_identity, changes=that_day, if_match=1).then(ClientIdentityChanged)


def test_migrated_registration_keeps_its_original_time() -> None:
    (event,) = given().when(register_client, actor=DESK, identity=WHO, migrated=True).then(ClientRegistered)
    assert event.originally_recorded_at == NOW


@forall(st.dates(date(1890, 1, 1), date(2026, 3, 2)))
def test_every_day_since_1890_is_read_in_all_three_precisions(day: date) -> None:
    assert earliest_birth_date(day.isoformat()) == day
    assert earliest_birth_date(day.isoformat()[:7]) == day.replace(day=1)
    assert earliest_birth_date(day.isoformat()[:4]) == day.replace(month=1, day=1)


CHANGES: st.SearchStrategy[IdentityChanges] = st.builds(
    lambda fields: IdentityChanges(**fields),
    st.fixed_dictionaries(
        {},
        optional={
            "given": st.text(max_size=5),
            "email": st.none() | st.text(max_size=5),
            "birth_date": st.none() | st.just("1990"),
            "interpreter_needed": st.booleans(),
        },
    ),
)


@forall(CHANGES)
def test_what_is_not_named_what_is_emptied_and_what_is_set_stay_apart_in_storage(changes: IdentityChanges) -> None:
    event = ClientIdentityChanged(changes=changes, **stamp())
    _, document = from_segments(to_segments(event), lambda topic, version, document: document)
    assert msgspec.convert(document, ClientIdentityChanged) == event


@forall(CHANGES, CHANGES)
def test_changes_are_idempotent_and_the_later_one_wins(first: IdentityChanges, second: IdentityChanges) -> None:
    once = second.applied_to(first.applied_to(WHO))
    assert second.applied_to(once) == once
    for name in second.__struct_fields__:
        value = getattr(second, name)
        if value is not msgspec.UNSET:
            assert getattr(once, name) == value


def test_a_therapist_who_registers_a_client_is_the_first_member_of_the_care_team() -> None:
    _, own = given().when(register_client, identity=WHO).then(ClientRegistered, CareTeamMemberAdded)
    assert isinstance(own, CareTeamMemberAdded)
    assert (own.client_id, own.staff_id, own.part) == (CLIENT, THERAPIST.id, "team")


def test_others_who_register_a_client_join_no_care_team() -> None:
    given().when(register_client, actor=DESK, identity=WHO).then(ClientRegistered)
