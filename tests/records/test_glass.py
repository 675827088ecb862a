"""Breaking the glass at the doors: opening, review and first reading are one; the reason dies with the client's key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from records.access import AccessRecorded
from records.actors import Purpose, Relation, Role
from records.care_team import join_team
from records.emergency_door import EmergencyDoor
from records.errors import KeyMissing, NotPermitted, NotStored, OutcomeUnknown, RuleBroken, SealBroken, UnknownItem
from records.glass import open_reason, reason_key_id
from records.one_time_code import code_at, secret_of
from records.request import Plea, Request
from tests.doors import TIMELINE, Doors, TimelineView

REASON = "CANARY-reason: a crisis call at night."


def grant(doors: Doors, client: UUID) -> UUID:
    """Return an emergency access that was granted to the stranger."""
    door, access, enrolment = EmergencyDoor(doors.service), uuid4(), uuid4().bytes
    staff_id = UUID(doors.stranger.id)
    door.enrol(staff_id, enrolment, doors.operator)
    secret = secret_of(doors.service.streams.service_key("second-factor"), staff_id, enrolment)
    door.grant(client, access, "crisis", code_at(secret, doors.watch()), doors.ask(doors.stranger))
    return access


def pleads(doors: Doors, access: UUID | None = None) -> Request:
    return doors.ask(doors.stranger)._replace(plea=Plea(REASON, access))


def read(doors: Doors, client: UUID, access: UUID | None = None, view: Any = TIMELINE, **facts: Any) -> Any:
    """Read in an emergency, as the stranger."""
    service = facts.pop("service", doors.service)
    return service.view(view, pleads(doors, access), Purpose.ETREAT, client, **facts)


def reviews(doors: Doors) -> tuple[UUID, ...]:
    doors.service.follow()
    return doors.service.directory.reviews()


def emergencies(doors: Doors, client: UUID) -> list[AccessRecorded]:
    return [entry for entry in doors.access(client) if entry.emergency is not None]


def test_opening_review_and_reading_are_one_commit(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    service, store = checked.faulty()
    units = []
    store.before = units.append
    assert read(checked, client, access, service=service)

    # The first entry of a year makes the year's key, in a commit of its own.
    (unit,) = [unit for unit in units if unit.appends]
    staff, reading = unit.appends
    assert (staff.stream, len(staff.sealed)) == (UUID(checked.stranger.id), 2)
    assert reading.stream == checked.service.streams.access(client)
    assert reviews(checked) == (access,)
    [entry] = emergencies(checked, client)
    assert (entry.relation, entry.purpose, entry.emergency) == ("emergency", "ETREAT", access)


@pytest.mark.parametrize("fails", [NotStored, OutcomeUnknown])
def test_what_cannot_be_recorded_opens_nothing_and_shows_nothing(checked: Doors, fails: type[NotStored]) -> None:
    client = checked.client()
    access = grant(checked, client)
    service, store = checked.faulty()
    store.fails = fails
    with pytest.raises(fails):
        read(checked, client, access, service=service)
    assert reviews(checked) == ()
    assert read(checked, client, access)
    assert reviews(checked) == (access,)


class NotThere(TimelineView):
    """A reading of what is not there."""

    def build(self, reader: Any, asked: Any) -> Any:
        raise UnknownItem("note")


def test_a_first_reading_that_finds_nothing_opens_nothing(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    with pytest.raises(UnknownItem):
        read(checked, client, access, NotThere())
    assert reviews(checked) == ()
    [refused] = checked.access(client)
    assert (refused.outcome, refused.relation, refused.reason) == ("deny", "emergency", "unknown-item")


def test_first_readings_at_the_same_moment_open_once(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: len(read(checked, client, access)), range(16)))

    assert set(shown) == {1}
    assert reviews(checked) == (access,)
    assert len(emergencies(checked, client)) == 16


def test_two_processes_use_a_grant_once(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    other = checked.second()
    read(checked, client, access)
    read(checked, client, access, service=other)
    checked.watch.ahead += timedelta(hours=4)
    with pytest.raises(RuleBroken) as caught:
        read(checked, client, access, service=other)
    assert caught.value.rule == "grant-used"
    assert reviews(checked) == (access,)


def test_it_survives_a_restart_and_ends_all_the_same(checked: Doors) -> None:
    client = checked.client()
    read(checked, client, grant(checked, client))
    checked.reopen()
    assert read(checked, client)
    checked.watch.ahead += timedelta(hours=3)
    with pytest.raises(NotPermitted):
        read(checked, client)


def test_without_a_reason_nothing_is_read(checked: Doors) -> None:
    client = checked.client()
    read(checked, client, grant(checked, client))
    with pytest.raises(NotPermitted) as caught:
        checked.service.view(TIMELINE, checked.ask(checked.stranger), Purpose.ETREAT, client)
    assert caught.value.reason == "reason"
    assert checked.access(client)[-1].reason == "reason"


def test_the_care_team_reads_as_ever_and_says_no_emergency(checked: Doors) -> None:
    client = checked.client()
    with pytest.raises(NotPermitted) as caught:
        checked.service.view(TIMELINE, checked.ask()._replace(plea=Plea(REASON)), Purpose.ETREAT, client)
    assert caught.value.reason == "purpose"
    assert checked.read(client)
    assert checked.access(client)[-1].relation == Relation.TEAM


def test_other_roles_are_refused_with_any_grant(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    for role in (Role.FRONT_DESK, Role.PRIVACY_OFFICER, Role.RECORDS_CLERK, Role.ADMINISTRATOR):
        asked = checked.ask(checked.hire(role, "Somebody"))._replace(plea=Plea(REASON, access))
        with pytest.raises(NotPermitted):
            checked.service.view(TIMELINE, asked, Purpose.ETREAT, client)
    assert reviews(checked) == ()


# --- the reason


def test_the_reason_opens_with_the_clients_key_only_and_in_its_own_entry_only(checked: Doors) -> None:
    client, other = checked.client(), checked.client()
    read(checked, client, grant(checked, client))
    read(checked, client)
    one, two = emergencies(checked, client)
    reader = checked.service.reader
    key = reader.record_key(client, reason_key_id(one))

    assert open_reason(key, reader.deployment_id, one) == REASON
    assert b"CANARY" not in msgspec.json.encode(one)
    with pytest.raises(SealBroken):
        open_reason(key, reader.deployment_id, msgspec.structs.replace(two, sealed_reason=one.sealed_reason))
    with pytest.raises(SealBroken):
        open_reason(reader.record_key(other), reader.deployment_id, one)
    with pytest.raises(KeyMissing):
        reader.record_key(other, reason_key_id(one))


# --- joining the team


def test_joining_puts_the_review_into_the_persons_own_stream_in_the_same_commit(checked: Doors) -> None:
    client = checked.client()
    access = grant(checked, client)
    joining = {"part": "team", "access_id": access, "ground": "crisis"}
    with pytest.raises(NotPermitted):
        checked.service.transact(client, join_team, checked.ask(checked.stranger), review_id=uuid4(), **joining)
    read(checked, client, access)
    review = uuid4()
    outcome = checked.service.transact(client, join_team, checked.ask(checked.stranger), review_id=review, **joining)

    assert {stream for stream, _ in outcome.events} == {
        checked.service.streams.team(client),
        UUID(checked.stranger.id),
    }
    assert reviews(checked) == (access, review)
    assert checked.service.directory.relation(checked.stranger.id, client) is Relation.TEAM
