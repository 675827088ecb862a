"""Who looked: every entry counted, equal ones told once, in sentences for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from projections.access_report import ACCESS_REPORT, AccessReport
from projections.access_sentences import ACTIONS, PURPOSES, sentence
from projections.client_view import CLIENT_VIEW
from projections.note_view import NOTE_VIEW
from projections.pages import last_version
from projections.timeline import TIMELINE
from records.access import AccessRecorded
from records.actors import Actor, Purpose, Role
from records.errors import LedgerMismatch, NotPermitted, UnknownClient, UnknownItem
from records.policy import TABLE
from records.store.unit import Unit
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside


def report(clinic: StaffedClinic, client: UUID, by: Role = Role.PRIVACY_OFFICER, **asked: Any) -> AccessReport:
    document = clinic.see(ACCESS_REPORT, client, by=by, **asked)
    assert isinstance(document, AccessReport)
    return document


def test_equal_readings_of_one_day_are_one_item(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(3):
        clinic.see(CLIENT_VIEW, client)
    clinic.see(TIMELINE, client)
    clinic.see(CLIENT_VIEW, client)
    clinic.see(CLIENT_VIEW, client, by=Role.SUPERVISOR)
    document = report(clinic, client)
    assert [(item.action, item.actor_name, item.count) for item in document.items] == [
        ("client.view", "Sam Vale", 1),
        ("client.view", "Jo Lind", 4),
        ("client.timeline", "Jo Lind", 1),
    ]
    assert (document.entries, document.shown, document.next) == (6, 6, None)
    readings = document.items[1]
    assert (readings.first_version, readings.last_version) == (1, 5)
    assert readings.first_at < readings.last_at


def test_the_report_counts_its_own_reading_the_next_time(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assert report(clinic, client).entries == 0
    assert [item.action for item in report(clinic, client).items] == ["client.access_report"]


def test_a_refusal_is_told_with_its_reason(clinic: StaffedClinic) -> None:
    client = clinic.register()
    snoop, _ = clinic.hire(Role.THERAPIST, "Max Nosy")
    with pytest.raises(NotPermitted):
        clinic.see(CLIENT_VIEW, client, by=snoop)
    with pytest.raises(UnknownItem):
        clinic.see(NOTE_VIEW, client, resource=uuid4())
    missing, refused = report(clinic, client).items
    assert (refused.outcome, refused.reason, refused.relation) == ("deny", "relation", "none")
    assert refused.text.startswith("Max Nosy (therapist) asked to read the current view and was refused on ")
    assert refused.text.endswith(" to treat the client: not in the care team.")
    assert (missing.outcome, missing.reason, len(missing.resources)) == ("deny", "unknown-item", 1)


def test_what_differs_is_never_told_as_one(clinic: StaffedClinic) -> None:
    client = clinic.register()
    notes = [clinic.note(client) for _ in range(2)]
    for note in notes:
        clinic.see(NOTE_VIEW, client, resource=note)
    clinic.see(CLIENT_VIEW, client, by=Role.FRONT_DESK)
    with pytest.raises(NotPermitted):
        clinic.see(CLIENT_VIEW, client, purpose=Purpose.PATRQT)
    clinic.see(CLIENT_VIEW, client)
    found = report(clinic, client).items
    assert [(item.action, item.role, item.purpose, item.outcome) for item in found] == [
        ("client.view", "therapist", "TREAT", "permit"),
        ("client.view", "therapist", "PATRQT", "deny"),
        ("client.view", "front_desk", "TREAT", "permit"),
        ("note.view", "therapist", "TREAT", "permit"),
    ]
    assert set(found[-1].resources) == set(notes)


def test_a_report_for_the_client_holds_no_addresses(clinic: StaffedClinic) -> None:
    client = clinic.register()
    away = Actor(clinic.staff[Role.THERAPIST].id, Role.THERAPIST, "203.0.113.9")
    clinic.see(CLIENT_VIEW, client, by=away)
    assert report(clinic, client).items[0].addresses == ("203.0.113.9",)
    assert report(clinic, client, by=Role.RECORDS_CLERK).items[-1].addresses == ()


def test_pages_follow_each_other_without_a_day_cut_in_two(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(4):
        clinic.see(CLIENT_VIEW, client)
        clinic.see(TIMELINE, client)
    page = report(clinic, client, limit=1)
    assert ([item.count for item in page.items], page.shown, page.next) == ([4, 4], 8, None)
    assert report(clinic, client, after=3).shown == 2


def test_days_are_told_apart_in_the_clinics_time_and_paged(clinic: StaffedClinic) -> None:
    client = clinic.register()
    request = clinic.request(Role.THERAPIST)
    # London is an hour ahead in July: 23:30 UTC is half past midnight of the next day there.
    times = [datetime(2025, 7, day, hour, 30, tzinfo=UTC) for day in (1, 2, 3) for hour in (9, 22, 23)]
    for at in times:
        append = clinic.service.access_log.append(
            "client.view", client, request, Purpose.TREAT, clinic.clock(), happened_at=at
        )
        clinic.store.commit(Unit(appends=(append,)))
    days = [(4, 1), (3, 3), (2, 3), (1, 2)]
    document = report(clinic, client)
    assert [(item.last_at.astimezone(LONDON).day, item.count) for item in document.items] == days
    pages = [report(clinic, client, limit=1, after=10)]
    while pages[-1].next is not None:
        pages.append(report(clinic, client, limit=1, after=pages[-1].next))
    assert [(page.items[0].last_at.astimezone(LONDON).day, page.shown) for page in pages] == days


def test_a_lost_entry_shows_as_a_gap(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(3):
        clinic.see(CLIENT_VIEW, client)
    stream = clinic.service.streams.access(client)
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = 2"
    outside(clinic, update, stream.hex)
    document = report(clinic, client)
    assert (document.entries, document.shown, document.gaps) == (3, 3, (2,))
    assert [item.count for item in document.items] == [2]


def test_an_entry_that_was_deleted_stops_the_report(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(5):
        clinic.see(CLIENT_VIEW, client)
    stream = clinic.service.streams.access(client)
    outside(clinic, "DROP TRIGGER events_are_kept")
    outside(clinic, "DELETE FROM stored_events WHERE originator_id = ? AND originator_version = 3", stream.hex)
    with pytest.raises(LedgerMismatch):
        report(clinic, client)


def test_nobody_looked_at_a_client_who_is_not_there(clinic: StaffedClinic) -> None:
    with pytest.raises(UnknownClient):
        report(clinic, uuid4())


def test_clinicians_see_who_looked_at_their_own_client(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client, by=Role.FRONT_DESK)
    assert [item.actor_name for item in report(clinic, client, by=Role.THERAPIST).items] == ["Dee Frost"]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 8, 9, 100])
def test_the_last_version_is_found_by_asking(length: int) -> None:
    asked = []

    def rows(after: int, upto: int | None) -> list[int]:
        asked.append(after)
        return list(range(after + 1, min(length, upto or length) + 1))

    assert last_version(rows) == length
    assert len(asked) <= 2 * (length.bit_length() + 1) + 1


def test_a_version_missing_where_the_end_seems_to_be_is_found() -> None:
    stored = [1, 2, 3, 5, 6, 7]
    with pytest.raises(LedgerMismatch):
        last_version(lambda after, upto: [each for each in stored if after < each <= (upto or 99)])


# --- sentences


def entry(**fields: Any) -> AccessRecorded:
    content = {"action": "client.view", "outcome": "permit", "role": "therapist", "relation": "team"}
    known = {"client_id": uuid4(), "purpose": "TREAT", "occurred_at": AT, "entered_by": "jo", "request_id": "r"}
    return AccessRecorded(**content | known | fields)


AT = datetime(2026, 7, 12, 13, 3, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")


def test_a_sentence_tells_who_what_when_and_what_for() -> None:
    told = sentence(entry(), {"jo": "Jo Lind"}.__getitem__, LONDON, AT, AT)
    assert told == "Jo Lind (therapist, care team) read the current view on 12 July 2026 at 14:03 to treat the client."
    later = AT.replace(hour=15)
    told = sentence(entry(), {"jo": "Jo Lind"}.__getitem__, LONDON, AT, later, 3)
    assert "read the current view 3 times on 12 July 2026, between 14:03 and 16:03, to treat the client." in told


@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("outcome", ["permit", "deny"])
def test_every_act_of_the_policy_has_its_words(action: str, outcome: str) -> None:
    told = sentence(entry(action=action, outcome=outcome), lambda who: who, LONDON, AT, AT)
    assert action not in told
    assert set(ACTIONS) == set(TABLE)


def test_every_purpose_has_its_words() -> None:
    assert set(PURPOSES) == {purpose.value for purpose in Purpose}
