"""History goes in by the same rules as everything else: line after line, each with its own time, whole commits only."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from records.actors import Actor, Purpose, Role
from records.bookings import book_session
from records.care_team import put_member
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.consent import record_consent, withdraw_consent
from records.episodes import open_episode
from records.errors import (
    ConsentMissing,
    NotPermitted,
    NotStored,
    OutcomeUnknown,
    RuleBroken,
    StaleRecord,
    UnknownClient,
)
from records.ledger import KeyClass, decode_entry
from records.migration import Migration
from records.notes import amend_note, sign_note
from records.policy import TABLE, denial
from records.registration import Identity, register_client
from records.request import Request
from records.staff import create_account
from tests.check import check_store
from tests.doors import FORM, Doors

THEN = datetime(2019, 5, 6, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
DESK = Actor("desk", Role.FRONT_DESK)
WHO = Identity(family="Quillowby", given="Isolde")


def begin(doors: Doors, **facts: Any) -> Migration:
    return Migration(doors.service, facts.pop("store", doors.store), doors.keyring, doors.watch, **facts)


def registered(doors: Doors, migration: Migration, at: datetime = THEN) -> UUID:
    client = uuid4()
    migration.transact(client, register_client, Request(DESK, "line-1"), at, identity=WHO)
    migration.transact(client, put_member, doors.operator, at, staff_id=doors.therapist.id, part="team")
    return client


def by(doors: Doors) -> Request:
    return Request(doors.therapist, "line-2")


def sign(doors: Doors, migration: Migration, client: UUID, at: datetime, note_id: UUID | None = None) -> UUID:
    note = note_id or uuid4()
    text = {"kind": "progress", "format": "free", "sections": {"text": "We met."}}
    migration.transact(client, sign_note, by(doors), at, note_id=note, **text)
    return note


def test_each_event_carries_the_time_of_its_line_and_the_ledger_the_time_of_loading(checked: Doors) -> None:
    before = checked.watch()
    with begin(checked) as migration:
        client = registered(checked, migration)
        sign(checked, migration, client, THEN + DAY)
    events = checked.service.reader.events(client)
    assert [each.recorded_at for each in events] == [THEN, THEN + DAY]
    assert [each.event.occurred_at for each in events] == [THEN, THEN + DAY]
    assert all(each.logged_at >= before for each in events)


def test_a_line_is_decided_on_what_no_commit_has_made_durable_yet(checked: Doors) -> None:
    with begin(checked) as migration:
        entries = checked.stored()
        client = registered(checked, migration)
        episode, consent = uuid4(), uuid4()
        migration.transact(
            client,
            open_episode,
            by(checked),
            THEN,
            episode_id=episode,
            format="individual",
            modality="DIT",
            protocol="x",
        )

        def book(at: datetime) -> Any:
            plan = {"session_id": uuid4(), "episode_id": episode, "kind": "treatment", "start": at + DAY}
            return migration.transact(client, book_session, by(checked), at, **plan)

        with pytest.raises(ConsentMissing):
            book(THEN)
        form = {"kind": "treatment", "outcome": "given", "form": FORM}
        migration.transact(client, record_consent, by(checked), THEN, consent_id=consent, **form)
        assert len(book(THEN + DAY)) == 1
        migration.transact(client, withdraw_consent, by(checked), THEN + 2 * DAY, consent_id=consent, channel="letter")
        with pytest.raises(ConsentMissing):
            book(THEN + 2 * DAY)
        assert checked.stored() == entries
    assert checked.topics(client) == [
        "ClientRegistered",
        "EpisodeOpened",
        "ConsentGiven",
        "SessionBooked",
        "ConsentWithdrawn",
    ]


def test_what_was_loaded_goes_on_as_any_record(checked: Doors) -> None:
    with begin(checked) as migration:
        client = registered(checked, migration)
        note = sign(checked, migration, client, THEN)
    checked.reopen()
    text: dict[str, Any] = {"format": "free", "sections": {"text": "We met at ten."}, "reason": "The hour was missing."}
    with pytest.raises(StaleRecord):
        checked.service.transact(client, amend_note, checked.ask(if_match=1), note_id=note, **text)
    checked.service.transact(client, amend_note, checked.ask(if_match=2), note_id=note, **text)
    assert checked.topics(client) == ["ClientRegistered", "NoteSigned", "NoteAmended"]


def test_the_service_that_is_running_sees_what_was_committed(checked: Doors) -> None:
    with begin(checked) as migration:
        client = registered(checked, migration)
        assert checked.service.directory.relation(checked.therapist.id, client).value == "none"
    assert checked.service.directory.relation(checked.therapist.id, client).value == "team"
    checked.note(client)
    assert checked.topics(client) == ["ClientRegistered", "NoteSigned"]


def test_staff_and_policy_count_from_their_line_on(checked: Doors) -> None:
    newcomer = uuid4()
    clinic = checked.clinic_stream()
    with begin(checked) as migration:
        client = registered(checked, migration)
        migration.transact(newcomer, create_account, checked.operator, THEN, name="Lou Marsh", role=Role.THERAPIST)
        migration.transact(client, put_member, checked.operator, THEN, staff_id=str(newcomer), part="team")
        actor = Actor(str(newcomer), Role.THERAPIST)
        text = {"kind": "progress", "format": "free", "sections": {"text": "We met."}}
        migration.transact(client, sign_note, Request(actor, "line-3"), THEN, note_id=uuid4(), **text)
        policy = ClinicPolicy(late_entry_hours=1)
        migration.transact(clinic, change_policy, checked.operator, THEN, policy=policy)
        with pytest.raises(RuleBroken):
            migration.transact(newcomer, create_account, checked.operator, THEN, name="Lou", role=Role.THERAPIST)
    checked.reopen()
    assert checked.service.directory.clinic.policy == policy
    assert checked.service.directory.name_of(str(newcomer)) == "Lou Marsh"


def test_readings_are_held_to_the_same_table_as_at_the_door(checked: Doors) -> None:
    expected = []
    with begin(checked) as migration:
        client = registered(checked, migration)
        for action, role in itertools.product(TABLE, Role):
            actor = Actor(checked.therapist.id if role is Role.THERAPIST else "somebody", role)
            reason = denial(action, role, migration.directory.relation(actor.id, client), Purpose.TREAT)
            if reason is None:
                migration.read(action, Request(actor, "line-2"), Purpose.TREAT, client, THEN)
                expected.append((action, role.value))
            else:
                with pytest.raises(NotPermitted, match="not permitted") as refused:
                    migration.read(action, Request(actor, "line-2"), Purpose.TREAT, client, THEN)
                assert refused.value.reason == reason
    assert ("client.timeline", "therapist") in expected
    assert ("client.timeline", "front_desk") not in expected
    assert [(each.action, each.role) for each in checked.access(client)] == expected


def test_a_reading_keeps_who_why_and_when(checked: Doors) -> None:
    resource = uuid4()
    with begin(checked) as migration:
        client = registered(checked, migration)
        migration.read("note.view", by(checked), Purpose.TREAT, client, THEN, resource)
        migration.refuse("note.view", Request(checked.stranger, "line-3"), Purpose.TREAT, client, THEN, "relation")
    read, refused = checked.access(client)
    assert (read.entered_by, read.purpose, read.resource, read.relation) == (
        checked.therapist.id,
        "TREAT",
        resource,
        "team",
    )
    assert (refused.entered_by, refused.outcome, refused.reason, refused.relation) == (
        checked.stranger.id,
        "deny",
        "relation",
        "none",
    )
    assert {read.occurred_at, read.originally_recorded_at, refused.originally_recorded_at} == {THEN}


def test_keys_that_were_made_ahead_are_the_clients_own(checked: Doors) -> None:
    client = uuid4()
    with begin(checked) as migration:
        migration.make_keys([client, uuid4()])
        made = checked.keyring.current(client, KeyClass.RECORD)
        migration.transact(client, register_client, Request(DESK, "line-1"), THEN, identity=WHO)
    named = [decode_entry(raw) for _, raw in checked.store.key_entries()]
    assert [entry.key_id for entry in named if entry.key_class is KeyClass.RECORD] == [made.key_id]
    checked.reopen()
    assert checked.topics(client) == ["ClientRegistered"]


def test_a_refused_line_leaves_nothing_behind(checked: Doors) -> None:
    with begin(checked) as migration:
        client = registered(checked, migration)
        with pytest.raises(NotPermitted):
            migration.transact(
                client,
                sign_note,
                Request(checked.stranger, "line-2"),
                THEN,
                note_id=uuid4(),
                kind="progress",
                format="free",
                sections={"text": "x"},
            )
        with pytest.raises(UnknownClient):
            migration.transact(uuid4(), put_member, checked.operator, THEN, staff_id="somebody", part="team")
    assert checked.topics(client) == ["ClientRegistered"]
    assert checked.access(client) == []


def test_a_clinic_with_clients_takes_no_history(checked: Doors) -> None:
    checked.client()
    with pytest.raises(RuleBroken, match="clinic-not-empty"):
        begin(checked)


def test_what_an_error_interrupts_is_not_committed(checked: Doors) -> None:
    client = uuid4()

    def broken_off() -> None:
        with begin(checked) as migration:
            migration.transact(client, register_client, Request(DESK, "line-1"), THEN, identity=WHO)
            raise RuntimeError("the file cannot be read")

    with pytest.raises(RuntimeError):
        broken_off()
    checked.reopen()
    with pytest.raises(UnknownClient):
        checked.service.client(client)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_lines_share_commits_and_every_commit_holds_whole_lines(doors: Doors, size: int) -> None:
    service, store = doors.faulty()
    migration = Migration(service, store, doors.keyring, doors.watch, events_per_commit=size)  # type: ignore[arg-type]  # it wraps a Store
    client = registered(doors, migration)
    migration.commit()
    already = store.commits
    notes = [sign(doors, migration, client, THEN + n * DAY) for n in range(14)]
    assert store.commits - already == -(-14 // size) - 1
    store.fails = NotStored
    with pytest.raises(NotStored):
        migration.commit()
    doors.reopen()
    check_store(doors.store)
    stored = [each.event.subject_id for each in doors.service.reader.events(client)][1:]
    assert stored == notes[: 14 - size]


def test_a_lost_answer_is_told_and_the_commit_stands_whole(doors: Doors) -> None:
    service, store = doors.faulty()
    migration = Migration(service, store, doors.keyring, doors.watch)  # type: ignore[arg-type]  # it wraps a Store
    client = registered(doors, migration)
    store.fails, store.stored = OutcomeUnknown, True
    with pytest.raises(OutcomeUnknown):
        migration.commit()
    doors.reopen()
    check_store(doors.store)
    assert doors.topics(client) == ["ClientRegistered"]


def test_somebody_elses_write_to_the_same_record_stops_the_migration(checked: Doors) -> None:
    migration = begin(checked)
    client = registered(checked, migration)
    migration.commit()
    sign(checked, migration, client, THEN)
    checked.note(client)
    with pytest.raises(NotStored):
        migration.commit()
    assert checked.topics(client) == ["ClientRegistered", "NoteSigned"]


def test_the_cache_never_shows_what_is_not_committed(checked: Doors) -> None:
    migration = begin(checked)
    client = registered(checked, migration)
    migration.commit()
    held = checked.service.cache.get(client)
    assert held is not None
    note = sign(checked, migration, client, THEN)
    assert note in migration.record(client).notes
    assert note not in held.notes
    assert checked.service.client(client).notes == {}
