"""The audit on both engines: filters, both directions of time, bounded sorting, one entry, and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import now
from projections import audit_page
from projections.access_report import ACCESS_REPORT
from projections.audit_groups import AuditSentences
from projections.audit_page import AUDIT_ENTRY, AuditPage
from projections.audit_question import SORTS
from projections.client_view import CLIENT_VIEW
from projections.note_view import NOTE_VIEW
from projections.timeline import TIMELINE
from records.actors import Actor, Purpose, Role
from records.errors import InvalidContent, NotPermitted, SealBroken, UnknownItem
from records.store.unit import Unit
from tests.clinic import StaffedClinic, make_clinic
from tests.projections.test_sealed_rows import outside

OFFICER = Role.PRIVACY_OFFICER


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StaffedClinic]:
    """A new clinic, on each engine in turn."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", database_url=url)
    yield made
    made.close()


def audit(clinic: StaffedClinic, **asked: Any) -> AuditPage:
    page = clinic.see(clinic.opened.audit_index.report, by=OFFICER, **asked)
    assert isinstance(page, AuditPage)
    return page


def sentences(clinic: StaffedClinic, **asked: Any) -> AuditSentences:
    page = clinic.see(clinic.opened.audit_index.grouped, by=OFFICER, **asked)
    assert isinstance(page, AuditSentences)
    return page


def everything(clinic: StaffedClinic, **asked: Any) -> list[Any]:
    """Return the items of all pages."""
    pages = [audit(clinic, **asked)]
    while pages[-1].next is not None:
        pages.append(audit(clinic, **asked, after=pages[-1].next))
    return [item for page in pages for item in page.items]


def at(clinic: StaffedClinic, client: UUID | None, when: datetime, by: Actor, **facts: Any) -> None:
    """Store a reading as of a past time, as migrated history is."""
    action = facts.pop("action", "client.view")
    request = clinic.request(by)
    log = clinic.service.access_log
    append = log.append(action, client, request, Purpose.TREAT, clinic.clock(), happened_at=when, **facts)
    clinic.store.commit(Unit(appends=(append,)))


MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def test_who_read_this_clients_record_in_march_and_why(either: StaffedClinic) -> None:
    client, other = either.register(), either.register()
    jo, sam = either.staff[Role.THERAPIST], either.staff[Role.SUPERVISOR]
    # History that is learned out of order: the ledger's index is not the order of time.
    for day, who, whose in ((20, jo, client), (5, sam, client), (-3, jo, client), (40, jo, client), (7, jo, other)):
        at(either, whose, MARCH + timedelta(days=day), who)
    found = everything(either, client=client, from_at=MARCH, to_at=MARCH + timedelta(days=31), limit=1)
    assert [(item.at.day, item.actor_name, item.purpose) for item in found] == [
        (6, "Sam Vale", "TREAT"),
        (21, "Jo Lind", "TREAT"),
    ]
    newest = everything(either, client=client, from_at=MARCH, to_at=MARCH + timedelta(days=31), limit=1, sort="-at")
    assert newest == found[::-1]
    with pytest.raises(InvalidContent):
        audit(either, from_at=MARCH, to_at=MARCH - timedelta(days=1))


def test_which_readings_were_outside_the_care_team(either: StaffedClinic) -> None:
    client = either.register()
    snoop, _ = either.hire(Role.THERAPIST, "Max Nosy")
    either.see(CLIENT_VIEW, client)
    either.see(CLIENT_VIEW, client, by=Role.SUPERVISOR)
    either.see(CLIENT_VIEW, client, by=Role.FRONT_DESK)
    with pytest.raises(NotPermitted):
        either.see(CLIENT_VIEW, client, by=snoop)
    with pytest.raises(NotPermitted):
        either.see(either.opened.audit_index.report, by=snoop)
    end = now()
    found = everything(either, outside_team=True, to_at=end, source="all")
    assert [(item.actor_name, item.outcome) for item in found] == [("Dee Frost", "permit"), ("Max Nosy", "deny")]
    assert [item.actor_name for item in everything(either, outside_team=True, role="therapist", to_at=end)] == [
        "Max Nosy"
    ]
    assert [item.action for item in everything(either, outcome="deny", to_at=end)] == ["client.view", "audit.view"]
    assert [item.role for item in everything(either, relation="supervises", to_at=end)] == ["supervisor"]


def test_readings_and_changes_stand_in_one_order(either: StaffedClinic) -> None:
    client = either.register()
    either.see(CLIENT_VIEW, client)
    either.team(client, either.hire(Role.THERAPIST, "Ida Roe")[0], "team")
    either.see(TIMELINE, client)
    end = now()
    asked = {"client": client, "source": "all", "to_at": end, "limit": 1}
    forwards = everything(either, **asked)
    added = "care_team.member_added"
    assert [item.action for item in forwards] == [added, added, "client.view", added, "client.timeline"]
    assert everything(either, **asked, sort="-at") == forwards[::-1]
    assert [item.kind for item in everything(either, **{**asked, "source": "changes"})] == ["change"] * 3


@pytest.mark.parametrize("sort", SORTS)
def test_a_report_is_sorted_by_each_element_either_way(clinic: StaffedClinic, sort: str) -> None:
    clients = [clinic.register(), clinic.register()]
    for client in clients:
        clinic.see(CLIENT_VIEW, client, by=Role.SUPERVISOR)
        clinic.see(TIMELINE, client)
        with pytest.raises(NotPermitted):
            clinic.see(TIMELINE, client, by=Actor(clinic.staff[Role.FRONT_DESK].id, Role.FRONT_DESK, "203.0.113.9"))
    asked = {"to_at": now(), "limit": 2, "source": "all"}
    field = {"client": "client_id", "actor": "actor_name"}.get(sort, sort)
    whole = {item.index for item in everything(clinic, **asked)}
    for sign in ("", "-"):
        found = everything(clinic, **asked, sort=sign + sort)
        assert [item.index for item in found] != []
        assert {item.index for item in found} == whole
        assert len(found) == len(whole)
        known = [value for item in found if (value := getattr(item, field)) is not None]
        assert known == sorted(known, reverse=sign == "-")
        assert [getattr(item, field) for item in found[len(known) :]] == [None] * (len(found) - len(known))


def test_more_than_can_be_sorted_is_refused_and_says_what_to_do(
    clinic: StaffedClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clinic.register()
    for _ in range(3):
        clinic.see(CLIENT_VIEW, client)
    monkeypatch.setattr(audit_page, "SORTED_AT_MOST", 3)
    end = now()
    assert len(audit(clinic, client=client, sort="action", to_at=end).items) == 3
    clinic.see(CLIENT_VIEW, client)
    with pytest.raises(InvalidContent) as refused:
        audit(clinic, client=client, sort="action", to_at=now())
    assert (refused.value.pointer, "shorter" in refused.value.detail) == ("/sort", True)
    assert len(audit(clinic, client=client, sort="-at", to_at=end).items) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "client.veiw"),
        ("for_purpose", "treat"),
        ("outcome", "denied"),
        ("relation", "friend"),
        ("role", "therapists"),
        ("source", "both"),
        ("sort", "text"),
        ("after", "7"),
        ("after", "1.x"),
        ("after", "9999999999999999999.1"),
    ],
)
def test_a_word_that_is_not_known_is_refused_and_never_looks_like_nobody(
    clinic: StaffedClinic, name: str, value: str
) -> None:
    with pytest.raises(InvalidContent):
        audit(clinic, **{name: value})


def test_the_entry_at_a_place_of_the_ledger(either: StaffedClinic) -> None:
    client = either.register()
    either.see(CLIENT_VIEW, client)
    (reading,) = either.reader.access_events(client)
    (told,) = either.see(AUDIT_ENTRY, by=OFFICER, index=reading.index).items
    assert (told.index, told.client_id, told.action, told.actor_name) == (
        reading.index,
        client,
        "client.view",
        "Jo Lind",
    )
    assert [each.event.action for each in either.reader.access_events(client)] == ["client.view", "audit.view"]
    clinical = either.reader.events(client)[0].index
    for index in (clinical, either.reader.position() + 10):
        with pytest.raises(UnknownItem):
            either.see(AUDIT_ENTRY, by=OFFICER, index=index)


def test_an_entry_that_was_altered_is_never_told(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    (reading,) = clinic.reader.access_events(client)
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = 1"
    outside(clinic, update, reading.stream.hex)
    with pytest.raises(SealBroken):
        clinic.see(AUDIT_ENTRY, by=OFFICER, index=reading.index)
    assert sentences(clinic, client=client).gaps == ()
    assert sentences(clinic).gaps == (reading.index,)


def test_equal_readings_are_one_sentence_and_the_counts_add_up(either: StaffedClinic) -> None:
    robin, kim = either.register(), either.register()
    for _ in range(3):
        either.see(CLIENT_VIEW, robin)
        either.see(CLIENT_VIEW, kim)
    end = now()
    page = sentences(either, to_at=end)
    assert [(item.client_id, item.count) for item in page.items] == [(kim, 3), (robin, 3)]
    assert (page.shown, page.next) == (6, None)
    assert " 3 times on " in page.items[0].text
    first = sentences(either, to_at=end, limit=1)
    assert (first.items[0].client_id, first.items[0].count) == (kim, 1)
    pages = [first]
    while pages[-1].next is not None:
        pages.append(sentences(either, to_at=end, limit=1, after=pages[-1].next))
    assert sum(each.shown for each in pages) == 6
    single = either.see(either.opened.audit_index.grouped, by=OFFICER, to_at=end, entries=True)
    assert [item.action for item in single.items] == ["client.view"] * 6


def test_sentences_follow_each_other_by_time_only(clinic: StaffedClinic) -> None:
    with pytest.raises(InvalidContent):
        sentences(clinic, sort="actor")


def test_what_differs_is_never_one_sentence(clinic: StaffedClinic) -> None:
    robin = clinic.register()
    note = clinic.note(robin)
    clinic.see(NOTE_VIEW, robin, resource=note)
    clinic.see(NOTE_VIEW, robin, resource=note, by=Role.SUPERVISOR)
    with pytest.raises(NotPermitted):
        clinic.see(NOTE_VIEW, robin, resource=note, purpose=Purpose.PATRQT)
    clinic.see(TIMELINE, robin)
    assert len(sentences(clinic, client=robin, to_at=now()).items) == 4


def test_a_clinic_of_many_entries_is_looked_through_page_by_page(
    clinic: StaffedClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clinic.register()
    clinic.see(TIMELINE, client)
    for _ in range(12):
        clinic.see(CLIENT_VIEW, client)
    monkeypatch.setattr(audit_page.search, "__defaults__", (5,))
    end = now()
    pages = [audit(clinic, action="client.timeline", to_at=end, sort="-at")]
    while pages[-1].next is not None:
        pages.append(audit(clinic, action="client.timeline", to_at=end, sort="-at", after=pages[-1].next))
    assert [len(page.items) for page in pages] == [0, 0, 1]


def test_the_index_says_who_and_when_and_no_act_and_no_outcome(clinic: StaffedClinic) -> None:
    clinic.see(CLIENT_VIEW, clinic.register())
    audit(clinic)
    (row,) = [row for row in clinic.store.audit_rows() if row.purpose == "TREAT"]
    assert set(row._fields) == {"position", "client_id", "actor", "purpose", "at_us"}


# --- for the client


def test_number_and_place_of_a_report_belong_together(either: StaffedClinic) -> None:
    client = either.register()
    for _ in range(3):
        either.see(CLIENT_VIEW, client)
    before = either.reader.position()
    report = either.see(ACCESS_REPORT, client, by=OFFICER)
    assert (report.entries, report.complete_up_to.index) == (3, before)
    assert report.complete_up_to.log == either.reader.deployment_id
    indexes = [recorded.index for recorded in either.reader.access_events(client)]
    assert sum(index <= report.complete_up_to.index for index in indexes) == report.entries


def test_who_reads_while_the_report_is_made_is_counted_in_the_next(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    honest = clinic.reader.position

    def position_then_readings() -> int:
        found: int = honest()
        clinic.reader.position = honest
        for _ in range(2):
            clinic.see(CLIENT_VIEW, client)
        return found

    clinic.reader.position = position_then_readings
    report = clinic.see(ACCESS_REPORT, client, by=OFFICER)
    indexes = [recorded.index for recorded in clinic.reader.access_events(client)]
    assert (report.entries, len(indexes)) == (1, 4)
    assert sum(index <= report.complete_up_to.index for index in indexes) == 1


def test_a_report_for_the_client_speaks_to_the_client(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(NOTE_VIEW, client, resource=clinic.note(client))
    (item,) = clinic.see(ACCESS_REPORT, client, by=Role.RECORDS_CLERK).items
    assert item.text.startswith("Jo Lind, your therapist, read your session notes on ")
    assert item.text.endswith(" to treat you.")
    page = clinic.see(ACCESS_REPORT, client, by=Role.RECORDS_CLERK, entries=True)
    assert [(entry.action, entry.address) for entry in page.items] == [
        ("client.access_report", None),
        ("note.view", None),
    ]
    officer = clinic.see(ACCESS_REPORT, client, by=OFFICER, entries=True).items[-1]
    assert (officer.address, officer.text.startswith("Jo Lind (therapist, care team) read")) == ("local", True)


def test_where_names_are_given_only_when_essential_none_is(tmp_path: Path) -> None:
    from records.clinic_policy import ClinicPolicy

    clinic = make_clinic(tmp_path / "clinic", policy=ClinicPolicy(jurisdiction="eu", timezone="Europe/Berlin"))
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    told = clinic.see(ACCESS_REPORT, client, by=Role.RECORDS_CLERK)
    single = clinic.see(ACCESS_REPORT, client, by=Role.RECORDS_CLERK, entries=True)
    for secret in ("Jo Lind", "Remy Clark", clinic.staff[Role.THERAPIST].id):
        assert secret not in repr(told)
        assert secret not in repr(single)
    assert told.items[0].text.startswith("Your therapist read the summary of your record on ")
    assert clinic.see(ACCESS_REPORT, client, by=OFFICER).items[-1].actor_name == "Jo Lind"
    clinic.close()


def test_nobody_who_is_not_there_is_asked_about(clinic: StaffedClinic) -> None:
    assert audit(clinic, client=uuid4()).items == ()
