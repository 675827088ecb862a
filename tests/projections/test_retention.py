"""Retention for people, on each engine: deadlines and holds of one client, and the list of who is due."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from ops.wiring import now
from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from projections.retention import CLIENT_RETENTION, ClientRetention, DuePage
from projections.timeline import TIMELINE
from records.actors import Role
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.episodes import close_episode, open_episode
from records.errors import InvalidContent, NotPermitted, UnknownClient
from records.legal_hold import lift_legal_hold, place_legal_hold
from records.registration import mark_death_entered_in_error, record_death
from tests.clinic import StaffedClinic, make_clinic

OFFICER, CLERK, THERAPIST = Role.PRIVACY_OFFICER, Role.RECORDS_CLERK, Role.THERAPIST
FAR = date(2090, 1, 1)
ASKED = {"authority": "court", "requested_by": "County Court", "reference": "2026/118", "reason": "A claim."}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StaffedClinic]:
    """A clinic on each engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", database_url=url)
    yield made
    made.close()


def treated(clinic: StaffedClinic, *, close: bool = True, family: str = "Zacanary") -> UUID:
    """Register a client whose treatment is over, or goes on."""
    client, episode = clinic.register(family=family, birth_date="1980-05-17"), uuid4()
    plan = {"format": "individual", "modality": "DIT", "protocol": "own"}
    clinic.do(client, open_episode, episode_id=episode, **plan)
    if close:
        version = clinic.service.client(client).episodes[episode].version
        clinic.do(client, close_episode, episode_id=episode, reason="46", if_match=version)
    return client


def place(clinic: StaffedClinic, client: UUID) -> UUID:
    """Place a legal hold."""
    hold = uuid4()
    clinic.do(client, place_legal_hold, by=OFFICER, hold_id=hold, **ASKED)
    return hold


def lift(clinic: StaffedClinic, client: UUID, hold: UUID) -> None:
    """Lift it."""
    version = clinic.service.client(client).holds[hold].version
    clinic.do(client, lift_legal_hold, by=OFFICER, hold_id=hold, reason="Settled.", if_match=version)


def due(clinic: StaffedClinic, on: date = FAR, by: Role = OFFICER, **asked: Any) -> DuePage:
    """Return a page of who is due."""
    page: DuePage = clinic.see(clinic.opened.retention, None, by=by, on=on, **asked)
    return page


def kept(clinic: StaffedClinic, client: UUID, by: Role = OFFICER) -> ClientRetention:
    """Return until when a client's record is kept."""
    shown: ClientRetention = clinic.see(CLIENT_RETENTION, client, by=by)
    return shown


def test_the_view_tells_each_deadline_with_its_source(clinic: StaffedClinic) -> None:
    shown = kept(clinic, treated(clinic))
    assert (shown.profile, shown.stopped, shown.elapsed, shown.gaps) == ("uk-mental-health", False, False, ())
    assert [each.ground for each in shown.deadlines] == ["end-of-treatment"]
    assert shown.until == shown.deadlines[0].until
    assert shown.until is not None
    assert shown.until.year == now().year + 20
    assert "Code of Practice" in shown.deadlines[0].source


def test_treatment_that_goes_on_has_no_deadline_and_is_never_due(clinic: StaffedClinic) -> None:
    client = treated(clinic, close=False)
    assert (kept(clinic, client).until, due(clinic).total) == (None, 0)


def test_a_death_brings_its_own_deadline_until_it_turns_out_to_be_an_error(clinic: StaffedClinic) -> None:
    client = treated(clinic, close=False)
    version = clinic.service.client(client).identity_version
    clinic.do(client, record_death, reported_by="relative", if_match=version)
    shown = kept(clinic, client)
    assert [each.ground for each in shown.deadlines] == ["death"]
    assert any("death is not known" in each for each in shown.missing)
    document = clinic.see(CLIENT_VIEW, client)
    assert (document.identity.deceased, document.identity.died_on, document.identity.version) == (True, None, 3)
    clinic.do(client, mark_death_entered_in_error, reason="Her mother.", if_match=3)
    assert kept(clinic, client).until is None
    assert clinic.see(CLIENT_VIEW, client).identity.deceased is False


def test_holds_are_shown_where_somebody_may_see_them_and_stop_the_clock(clinic: StaffedClinic) -> None:
    client = treated(clinic)
    first, second = place(clinic, client), place(clinic, client)
    lift(clinic, client, first)
    for role in (OFFICER, CLERK, THERAPIST):
        shown = kept(clinic, client, role)
        assert [(each.id, each.lifted_reason) for each in shown.legal_holds] == [(second, None), (first, "Settled.")]
        assert shown.stopped
    standing = clinic.see(CLIENT_VIEW, client).legal_holds
    assert [(each.id, each.reference, each.placed_by_name) for each in standing] == [(second, "2026/118", "Pat Oakes")]
    assert not hasattr(clinic.see(CLIENT_VIEW, client, by=Role.FRONT_DESK), "legal_holds")
    topics = [item.topic for item in clinic.see(TIMELINE, client).items]
    assert topics[:3] == ["legal_hold.lifted", "legal_hold.placed", "legal_hold.placed"]
    (item,) = due(clinic).items
    assert (item.id, item.elapsed, item.stopped, [hold.id for hold in item.holds]) == (client, True, True, [second])
    lift(clinic, client, second)
    (item,) = due(clinic).items
    assert (item.stopped, item.holds) == (False, ())
    assert not kept(clinic, client).stopped


def test_who_is_due_is_listed_by_the_longest_passed_with_grounds_and_no_name(clinic: StaffedClinic) -> None:
    known = treated(clinic)
    until = kept(clinic, known).until
    assert until is not None
    treated(clinic, close=False)
    assert due(clinic, until).items == ()
    (item,) = due(clinic, until + timedelta(days=1)).items
    assert (item.id, item.until, item.elapsed) == (known, until, True)
    page = due(clinic, until - timedelta(days=29), within=30)
    assert [(each.id, each.elapsed) for each in page.items] == [(known, False)]
    assert due(clinic, until - timedelta(days=30), within=30).items == ()
    assert b"Zacanary" not in msgspec.json.encode(page)
    assert (page.total, page.unreadable, page.profile) == (1, 0, "uk-mental-health")


def test_a_list_is_an_access_to_each_client_that_it_shows(clinic: StaffedClinic) -> None:
    clients = [treated(clinic) for _ in range(3)]
    before = {client: len(clinic.reader.access_events(client)) for client in clients}
    first = due(clinic, limit=2)
    second = due(clinic, limit=2, after=first.next)
    assert (first.total, len(first.items), len(second.items), second.next) == (3, 2, 1, None)
    assert {each.id for each in (*first.items, *second.items)} == set(clients)
    for client in clients:
        entries = clinic.reader.access_events(client)[before[client] :]
        assert [(each.event.action, each.event.purpose) for each in entries] == [("retention.due", "HCOMPL")]


def test_a_list_of_nobody_leaves_one_entry_of_its_own(clinic: StaffedClinic) -> None:
    before = len(clinic.reader.access_events(None))
    assert due(clinic, now().date()).items == ()
    (entry,) = clinic.reader.access_events(None)[before:]
    assert (entry.event.action, entry.event.client_id) == ("retention.due", None)


def test_what_is_due_changes_nothing_but_the_access_log(clinic: StaffedClinic) -> None:
    client = treated(clinic)
    versions, key = clinic.service.client(client).version, clinic.reader.record_key(client)
    # The first entry of a year makes the year's key, which has an entry of its own.
    assert due(clinic).items[0].elapsed
    entries = clinic.store.head().next_index
    assert due(clinic).items[0].elapsed
    assert clinic.store.head().next_index == entries + 1
    assert clinic.reader.record_key(client) == key
    assert clinic.service.client(client).version == versions
    assert clinic.see(CLIENT_VIEW, client).version == versions


def test_the_clinics_own_profile_counts(clinic: StaffedClinic) -> None:
    client = treated(clinic)
    policy = ClinicPolicy(retention="uk-private")
    clinic.do(clinic.service.streams.clinic, change_policy, by=Role.OPERATOR, policy=policy)
    shown = kept(clinic, client)
    assert shown.profile == "uk-private"
    assert shown.until is not None
    assert shown.until.year == now().year + 7
    with pytest.raises(InvalidContent):
        clinic.do(
            clinic.service.streams.clinic, change_policy, by=Role.OPERATOR, policy=ClinicPolicy(retention="nowhere")
        )


def test_what_cannot_be_asked_is_refused(clinic: StaffedClinic) -> None:
    treated(clinic)
    for asked in ({"within": -1}, {"within": 3661}, {"limit": 51}, {"after": uuid4()}):
        with pytest.raises(InvalidContent):
            due(clinic, **asked)
    with pytest.raises(UnknownClient):
        kept(clinic, uuid4())
    for by in (Role.FRONT_DESK, Role.ADMINISTRATOR, CLERK, THERAPIST, Role.SUPERVISOR):
        with pytest.raises(NotPermitted):
            due(clinic, by=by)


def test_a_hold_stands_in_the_audit_and_in_the_access_report_without_a_word_of_it(clinic: StaffedClinic) -> None:
    client = treated(clinic)
    before = len(clinic.reader.access_events(client))
    hold = place(clinic, client)
    place_again = {"by": OFFICER, "hold_id": hold, **ASKED}
    clinic.do(client, place_legal_hold, **place_again)
    lift(clinic, client, hold)
    placed, lifted = (each.event for each in clinic.reader.access_events(client)[before:])
    officer = clinic.staff[OFFICER].id
    assert [(each.action, each.outcome, each.entered_by, each.resource) for each in (placed, lifted)] == [
        ("legal_hold.place", "permit", officer, hold),
        ("legal_hold.lift", "permit", officer, hold),
    ]
    told = clinic.see(clinic.opened.audit_index.report, None, by=OFFICER, client=client, action="legal_hold.place")
    assert [item.text.partition(" on ")[0] for item in told.items] == [
        "Pat Oakes (privacy officer) placed a legal hold"
    ]
    report = clinic.see(ACCESS_REPORT, client, by=CLERK)
    assert "kept your record from being erased" in str(report)
    for word in ("County Court", "2026/118", "A claim."):
        assert word not in str(told) + str(report)


def test_of_a_record_that_cannot_be_read_nothing_is_told(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    lost, known = treated(clinic), treated(clinic)
    assert due(clinic).total == 2
    keyring = sqlite3.connect(clinic.path.with_name("clinic.keys") / "keyring.db", isolation_level=None)
    clinic.reopen()
    clinic.opened.keyring.forget()
    # Opening a clinic asks for every key, so this one is taken away after it was opened.
    keyring.execute("DELETE FROM data_keys WHERE scope = ?", (lost.bytes,))
    page = due(clinic)
    assert ([item.id for item in page.items], page.total, page.unreadable) == ([known], 1, 1)
    keyring.close()
    clinic.close()


def test_an_entry_that_cannot_be_opened_keeps_every_deadline_untold(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    client = treated(clinic)
    with closing(sqlite3.connect(clinic.path / "records.db", isolation_level=None)) as store:
        store.execute("PRAGMA trusted_schema = ON")
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f"DROP TRIGGER {name}")
        where = "originator_id = ? AND originator_version = 2"
        changed = store.execute(
            f"UPDATE stored_events SET state = zeroblob(length(state)) WHERE {where}", (client.hex,)
        )
        assert changed.rowcount == 1
    shown = kept(clinic, client)
    assert (shown.until, shown.elapsed, shown.deadlines, shown.gaps) == (None, False, (), (2,))
    page = due(clinic)
    assert (page.total, page.unreadable) == (0, 1)
    clinic.close()
