"""Caseload and client list: who may see whom, found by name, always at the newest, never more than a page."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import now
from projections.roster import Roster
from projections.roster_state import search_words
from records.actors import Actor, Role
from records.assessments import record_assessment
from records.bookings import book_session, cancel_session
from records.care_team import remove_member
from records.episodes import close_episode, open_episode
from records.errors import InvalidContent, NotPermitted
from records.registration import IdentityChanges, change_identity
from records.risk import assess_risk
from records.sessions import mark_session_entered_in_error, record_session_held
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside


def listed(clinic: StaffedClinic, by: Role | Actor = Role.FRONT_DESK, **asked: Any) -> list[str | None]:
    return [item.name for item in clinic.see(clinic.opened.roster.client_list, by=by, **asked).items]


def caseload(clinic: StaffedClinic, by: Role | Actor = Role.THERAPIST, **asked: Any) -> Any:
    return clinic.see(clinic.opened.roster.caseload, by=by, **asked)


def prompted(clinic: StaffedClinic, client: UUID, days_ago: int) -> None:
    clinic.do(
        client,
        record_assessment,
        assessment_id=uuid4(),
        measure="PHQ-9",
        answers=[0] * 8 + [2],
        occurred_at=now() - timedelta(days=days_ago),
    )


# --- who sees whom


def test_each_role_sees_its_own(clinic: StaffedClinic) -> None:
    colleague, _ = clinic.hire(Role.THERAPIST, "Lee Park")
    clinic.register(family="Ash", given="Ann")
    clinic.register(family="Birch", given="Bo", supervised=False)
    clinic.register(family="Cedar", given="Cy", therapist=colleague)
    assert listed(clinic, Role.FRONT_DESK) == ["Ann Ash", "Bo Birch", "Cy Cedar"]
    assert listed(clinic, Role.RECORDS_CLERK) == ["Ann Ash", "Bo Birch", "Cy Cedar"]
    assert listed(clinic, Role.THERAPIST) == ["Ann Ash", "Bo Birch"]
    assert listed(clinic, colleague) == ["Cy Cedar"]
    assert listed(clinic, Role.SUPERVISOR) == ["Ann Ash", "Cy Cedar"]
    assert [item.name for item in caseload(clinic).items] == ["Ann Ash", "Bo Birch"]
    assert [item.name for item in caseload(clinic, Role.SUPERVISOR).items] == ["Ann Ash", "Cy Cedar"]
    assert listed(clinic, Role.FRONT_DESK, mine=True) == []
    for role in (Role.PRIVACY_OFFICER, Role.ADMINISTRATOR):
        with pytest.raises(NotPermitted):
            listed(clinic, role)


def test_everybody_who_may_list_clients_can_tell_two_of_one_name_apart(clinic: StaffedClinic) -> None:
    for year in ("1981", "1994-02-03"):
        clinic.register(birth_date=year, preferred_name="Rob")
    roster = clinic.opened.roster
    for role in (Role.FRONT_DESK, Role.RECORDS_CLERK, Role.THERAPIST, Role.SUPERVISOR):
        items = clinic.see(roster.client_list, by=role).items
        assert {(item.name, item.preferred_name) for item in items} == {("Robin Marsh", "Rob")}
        assert sorted(item.birth_date for item in items) == ["1981", "1994-02-03"], role


def test_a_session_in_error_is_not_the_last_one(clinic: StaffedClinic) -> None:
    client, episode = clinic.register(), uuid4()
    content = {"format": "individual", "modality": "DIT", "protocol": "own"}
    clinic.do(client, open_episode, episode_id=episode, **content)
    began = [now() - timedelta(days=days) for days in (3, 1)]
    sessions = [uuid4(), uuid4()]
    for session, at in zip(sessions, began, strict=True):
        held = {"session_id": session, "episode_id": episode, "started_at": at, "kind": "assessment"}
        clinic.do(client, record_session_held, **held)
    assert caseload(clinic).items[0].last_session == began[1]
    version = clinic.service.client(client).sessions[sessions[1]].version
    clinic.do(client, mark_session_entered_in_error, session_id=sessions[1], reason="a slip", if_match=version)
    assert caseload(clinic).items[0].last_session == began[0]


def test_a_change_of_the_care_team_counts_at_the_next_reading(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assert listed(clinic, Role.THERAPIST) == ["Robin Marsh"]
    clinic.do(client, remove_member, by=Role.OPERATOR, staff_id=clinic.staff[Role.THERAPIST].id)
    assert listed(clinic, Role.THERAPIST) == []
    assert caseload(clinic).items == ()


def test_each_client_that_is_shown_gets_an_entry_and_nobody_else(clinic: StaffedClinic) -> None:
    shown, other = clinic.register(family="Ash"), clinic.register(family="Birch")
    listed(clinic, Role.FRONT_DESK, name="ash")
    assert [each.event.action for each in clinic.reader.access_events(shown)] == ["client.list"]
    assert clinic.reader.access_events(other) == []
    caseload(clinic, limit=1)
    assert [each.event.action for each in clinic.reader.access_events(shown)] == ["client.list", "caseload.view"]
    assert clinic.reader.access_events(other) == []
    before = len(clinic.reader.access_events(None))
    assert listed(clinic, Role.FRONT_DESK, name="nobody") == []
    assert len(clinic.reader.access_events(None)) == before + 1


# --- finding


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("zo", True),
        ("ZOË", True),
        ("alund", True),
        ("Ålund-B", True),
        ("bergman zoe", True),
        ("minnie", True),
        ("lund", False),
        ("zoe marsh", False),
    ],
)
def test_a_name_is_found_by_the_beginnings_of_its_words(clinic: StaffedClinic, words: str, found: bool) -> None:
    clinic.register(family="Ålund-Bergman", given="Zoë", preferred_name="Minnie")
    assert (listed(clinic, name=words) == ["Zoë Ålund-Bergman"]) is found


def test_a_search_without_words_is_refused(clinic: StaffedClinic) -> None:
    for name in ("", "  ", "-"):
        with pytest.raises(InvalidContent):
            listed(clinic, name=name)


def test_search_words_are_plain() -> None:
    assert search_words("Ólafur  O'Neil-STRASSE") == ("olafur", "o", "neil", "strasse")


def test_neither_names_nor_search_words_are_on_disk(clinic: StaffedClinic, tmp_path: Path) -> None:
    clinic.register(family="Kanarienvogel")
    listed(clinic, name="kanarienv")
    listed(clinic, name="Suchwort")
    clinic.reopen()
    for path in [*tmp_path.rglob("*")]:
        if path.is_file():
            content = path.read_bytes().lower()
            assert b"kanarienv" not in content, path
            assert b"suchwort" not in content, path


def test_a_changed_name_is_found_and_the_old_one_is_not(clinic: StaffedClinic) -> None:
    client = clinic.register(family="Marsh")
    clinic.register(family="Nash")
    assert listed(clinic) == ["Robin Marsh", "Robin Nash"]
    clinic.do(client, change_identity, changes=IdentityChanges(family="Zander"), if_match=1)
    assert listed(clinic) == ["Robin Nash", "Robin Zander"]
    assert listed(clinic, name="marsh") == []


# --- pages


def test_pages_follow_each_other(clinic: StaffedClinic) -> None:
    for number in range(5):
        clinic.register(family=f"Name{number}")
    roster, found, after = clinic.opened.roster, [], None
    for _ in range(3):
        page = clinic.see(roster.client_list, by=Role.FRONT_DESK, limit=2, after=after)
        found += [item.name for item in page.items]
        after = page.next
    assert found == [f"Robin Name{number}" for number in range(5)]
    assert after is None
    first = caseload(clinic, limit=2)
    assert (first.total, len(first.items)) == (5, 2)
    assert first.next == first.items[-1].id
    rest = caseload(clinic, limit=50, after=first.next)
    assert {item.id for item in rest.items}.isdisjoint({item.id for item in first.items})
    assert (len(rest.items), rest.next) == (3, None)


def test_a_page_holds_fifty_at_most_and_goes_on_from_its_own_list_only(clinic: StaffedClinic) -> None:
    colleague, _ = clinic.hire(Role.THERAPIST, "Lee Park")
    foreign = clinic.register(therapist=colleague)
    clinic.register()
    for asked in ({"limit": 51}, {"limit": 0}, {"after": foreign}, {"after": uuid4()}):
        with pytest.raises(InvalidContent):
            listed(clinic, Role.THERAPIST, **asked)
        with pytest.raises(InvalidContent):
            caseload(clinic, **asked)


# --- what a caseload tells


def test_open_prompts_come_first_the_longest_open_on_top(clinic: StaffedClinic) -> None:
    calm, old, new = (clinic.register(family=name) for name in ("Ash", "Birch", "Cedar"))
    prompted(clinic, new, days_ago=1)
    prompted(clinic, old, days_ago=3)
    prompted(clinic, old, days_ago=2)
    page = caseload(clinic)
    assert [item.id for item in page.items] == [old, new, calm]
    assert [item.open_prompts for item in page.items] == [2, 1, 0]
    assert page.items[0].oldest_prompt < page.items[1].oldest_prompt
    clinic.do(old, assess_risk, risk_id=uuid4(), level="low", formulation="Talked it through.")
    assert [item.id for item in caseload(clinic).items] == [new, calm, old]


def test_a_caseload_tells_episode_next_booking_and_last_session(clinic: StaffedClinic) -> None:
    client = clinic.register()
    (item,) = caseload(clinic).items
    assert (item.episode, item.next_booking, item.last_session) == (None, None, None)
    episode, session = uuid4(), uuid4()
    opened = {"format": "individual", "modality": "psychodynamic", "protocol": "dit-manual"}
    opening = clinic.do(client, open_episode, episode_id=episode, **opened)
    start, began = now() + timedelta(days=2), now() - timedelta(hours=2)
    booking = clinic.do(client, book_session, session_id=session, episode_id=episode, start=start, kind="assessment")
    clinic.do(client, record_session_held, session_id=uuid4(), episode_id=episode, started_at=began, kind="assessment")
    (item,) = caseload(clinic).items
    assert (item.episode, item.next_booking, item.last_session) == ("open", start, began)
    request = clinic.request(Role.THERAPIST, booking.version)
    clinic.service.transact(client, cancel_session, request, session_id=session, by="client")
    clinic.do(client, close_episode, episode_id=episode, reason="46", if_match=opening.version)
    (item,) = caseload(clinic).items
    assert (item.episode, item.next_booking) == ("closed", None)


# --- following and storing


def test_the_roster_is_the_same_after_a_restart_from_rows_or_without(clinic: StaffedClinic) -> None:
    clients = [clinic.register(family=f"Name{number}") for number in range(4)]
    prompted(clinic, clients[2], days_ago=1)
    before = caseload(clinic)
    assert len(clinic.store.rows("roster")) == 4
    clinic.reopen()
    assert caseload(clinic) == before
    clinic.note(clients[0])
    outside(clinic, "DELETE FROM sealed_rows WHERE place = 'roster' AND row_id = ?", clients[1].bytes)
    outside(clinic, "UPDATE sealed_rows SET state = zeroblob(200) WHERE row_id = ?", clients[3].bytes)
    clinic.reopen()
    assert caseload(clinic) == before
    rows = {row.row_id: row.version for row in clinic.store.rows("roster")}
    assert rows == {clients[0]: 2, clients[1]: 1, clients[2]: 2, clients[3]: 1}
    clinic.reopen()
    assert caseload(clinic) == before


def test_two_processes_follow_each_other(clinic: StaffedClinic) -> None:
    other = Roster(clinic.reader)
    clinic.register(family="Ash")
    assert listed(clinic) == ["Robin Ash"]
    assert [item.name for item in clinic.see(other.client_list, by=Role.FRONT_DESK).items] == ["Robin Ash"]
    clinic.register(family="Birch")
    assert [item.name for item in clinic.see(other.client_list, by=Role.FRONT_DESK).items] == [
        "Robin Ash",
        "Robin Birch",
    ]
    assert listed(clinic) == ["Robin Ash", "Robin Birch"]


def test_a_client_whose_key_is_lost_is_listed_by_id_only_until_it_is_back(clinic: StaffedClinic) -> None:
    lost, kept = clinic.register(family="Lost"), clinic.register(family="Kept")
    assert listed(clinic) == ["Robin Kept", "Robin Lost"]
    keyring = sqlite3.connect(clinic.path.with_name("clinic.keys") / "keyring.db", isolation_level=None)
    row = keyring.execute("SELECT * FROM data_keys WHERE scope = ?", (lost.bytes,)).fetchone()
    clinic.close()
    keyring.execute("DELETE FROM data_keys WHERE scope = ?", (lost.bytes,))
    # Opening a clinic asks for every key, so the keys are held back after it was opened.
    keyring.execute("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", row)
    clinic.opened = clinic._open()
    clinic.opened.keyring.forget()
    keyring.execute("DELETE FROM data_keys WHERE scope = ?", (lost.bytes,))
    page = clinic.see(clinic.opened.roster.client_list, by=Role.FRONT_DESK)
    assert [(item.id, item.name) for item in page.items] == [(kept, "Robin Kept"), (lost, None)]
    assert caseload(clinic).items[-1].id == lost
    keyring.execute("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, ?)", row)
    keyring.close()
    listed(clinic)
    assert listed(clinic) == ["Robin Kept", "Robin Lost"]


def test_many_threads_read_while_clients_are_registered(clinic: StaffedClinic) -> None:
    clinic.register(family="Name0")
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(15):
                names = listed(clinic)
                assert names == sorted(names, key=lambda name: int(str(name)[10:]))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 10):
        clinic.register(family=f"Name{number}")
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(listed(clinic)) == 10
