"""The patterns of a period over a real clinic: what is found, where, for whom to see, and what the asking leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from api.door import Declared
from ops.demo.clinic import make_demo
from ops.wiring import ADDRESS_KEY, now, open_clinic
from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from projections.patterns import SHOWS_MANY
from projections.patterns_report import LONGEST, Pattern, PatternsReport, address_digest
from projections.timeline import TIMELINE
from records.access import AccessRecorded
from records.actors import Purpose, Role
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.errors import InvalidContent, NotPermitted
from records.event import StreamKind
from records.ledger import to_microseconds
from records.request import Request
from records.staff import record_ties
from records.store.unit import AuditBatch, AuditRow, Unit
from tests.api.caller import Served
from tests.clinic import StaffedClinic, make_clinic

ALL_DAY = ClinicPolicy(open_from_hour=0, open_until_hour=24)
OFFICER = Role.PRIVACY_OFFICER


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StaffedClinic]:
    """A clinic that is open all day, on each engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", policy=ALL_DAY, database_url=url)
    yield made
    made.close()


def report(clinic: StaffedClinic, **asked: Any) -> PatternsReport:
    """Ask as the privacy officer."""
    found: PatternsReport = clinic.see(clinic.opened.patterns, by=OFFICER, **asked)
    return found


def by_rule(found: PatternsReport) -> dict[str, Pattern]:
    """Return the findings, one for each rule."""
    assert len({item.rule for item in found.items}) == len(found.items)
    return {item.rule: item for item in found.items}


def test_each_finding_says_who_how_often_and_where(clinic: StaffedClinic) -> None:
    client = clinic.register(family="Marsh", given="Robin")
    clinic.see(CLIENT_VIEW, client)
    stranger, _ = clinic.hire(Role.THERAPIST, "Kim Vale")
    for _ in range(2):
        with pytest.raises(NotPermitted):
            clinic.see(TIMELINE, client, by=stranger)
    found = report(clinic)
    (item,) = found.items
    assert (item.rule, item.staff, item.staff_name) == ("outside-care-team", stranger.id, "Kim Vale")
    assert (item.count, item.refused, item.clients, item.by_care_team, item.more) == (2, 2, 1, 0, 0)
    whose = "the record of a client who was not theirs"
    assert item.text == f"Kim Vale opened, or asked for, {whose}: 2 times, 1 client, 2 of them refused."
    entries = {each.index: each.event for each in clinic.reader.access_entries(-1, 10_000)[0]}
    assert [entries[index].entered_by for index in item.indexes] == [stranger.id] * 2
    assert found.readings == 3


def test_ties_of_staff_are_found_without_their_address_being_kept(clinic: StaffedClinic) -> None:
    key = clinic.service.streams.service_key(ADDRESS_KEY)
    therapist = clinic.staff[Role.THERAPIST]
    neighbour = clinic.register(family="Marsh", given="Robin", address="1 Élm Road,\nTown")
    own = clinic.register(family="Fen", given="Ada")
    told = {"client_id": own, "address_digest": address_digest(key, "1 elm road town")}
    clinic.do(UUID(therapist.id), record_ties, by=OFFICER, **told)
    for client in (neighbour, own):
        clinic.see(CLIENT_VIEW, client)
    found = by_rule(report(clinic))
    assert set(found) == {"same-surname-or-address", "own-record"}
    assert {item.count for item in found.values()} == {1}
    clinic.reopen()
    assert set(by_rule(report(clinic))) == set(found)


def test_bulk_uses_the_limit_of_the_clinic_and_lists_do_not_count(clinic: StaffedClinic) -> None:
    clients = [clinic.register(family=f"Marsh{n}") for n in range(5)]
    clinic.see(clinic.opened.roster.caseload)
    for client in clients:
        clinic.see(CLIENT_VIEW, client)
    assert report(clinic).items == ()
    stream = clinic.service.streams.of(StreamKind.CLINIC, clinic.service.streams.deployment_id)
    policy = msgspec.structs.replace(ALL_DAY, bulk_clients_an_hour=4)
    clinic.do(stream, change_policy, by=Role.OPERATOR, policy=policy)
    item = by_rule(report(clinic))["bulk"]
    assert (item.count, item.clients, item.by_care_team) == (5, 5, 5)


def test_a_period_and_a_person_are_looked_at_alone(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    between = now()
    clinic.see(ACCESS_REPORT, client, by=OFFICER)
    assert report(clinic).readings == 2
    assert report(clinic, to=between).readings == 1
    assert report(clinic, **{"from": between}).readings == 1
    assert report(clinic, staff=clinic.staff[OFFICER].id).readings == 1
    assert report(clinic, staff="nobody").readings == 0


def test_a_row_of_the_index_alone_says_nothing(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    somebody = clinic.staff[Role.SUPERVISOR].id
    report(clinic)
    position = clinic.reader.access_events(client)[-1].index
    row = AuditRow(position, client, somebody, "TREAT", to_microseconds(now()))
    clinic.store.commit(Unit(audit=AuditBatch((), -1, restart=True)))
    clinic.store.commit(Unit(audit=AuditBatch((row,), clinic.reader.position())))
    assert report(clinic, staff=somebody).readings == 0
    assert report(clinic).readings == 1


@pytest.mark.parametrize("length", [timedelta(), timedelta(days=-1), LONGEST + timedelta(seconds=1)])
def test_a_period_that_is_none_or_too_long_is_refused(clinic: StaffedClinic, length: timedelta) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidContent) as refused:
        report(clinic, **{"from": begin, "to": begin + length})
    assert refused.value.pointer == "/to"


def test_the_asking_is_one_entry_and_names_no_client(clinic: StaffedClinic) -> None:
    client = clinic.register(family="Canaryfield", given="Lind")
    stranger, _ = clinic.hire(Role.THERAPIST, "Kim Canaryfield")
    with pytest.raises(NotPermitted):
        clinic.see(CLIENT_VIEW, client, by=stranger)
    stored, of_client = clinic.store.head().next_index, len(clinic.reader.access_events(client))
    found = report(clinic)
    assert {item.rule for item in found.items} == {"outside-care-team", "same-surname-or-address"}
    told = msgspec.json.encode(found).decode()
    assert str(client) not in told
    assert "Lind" not in told
    assert clinic.store.head().next_index == stored + 1
    assert len(clinic.reader.access_events(client)) == of_client
    event = clinic.reader.access_events(None)[-1].event
    assert isinstance(event, AccessRecorded)
    assert (event.action, event.entered_by) == ("audit.patterns", clinic.staff[OFFICER].id)


def test_the_demo_clinic_has_one_colleague_who_stands_out(tmp_path: Path) -> None:
    end = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    made = make_demo(tmp_path / "clinic", end=end)
    clinic = open_clinic(tmp_path / "clinic")
    officer = next(each for each in clinic.service.directory.staff.values() if each.role is OFFICER)
    actor = clinic.service.authenticate(made.tokens["privacy_officer"], "local")
    assert actor is not None
    assert actor.id == str(officer.staff_id)
    found: list[Pattern] = []
    for quarter in range(6):
        to = end - quarter * timedelta(days=91)
        period = {"from": to - timedelta(days=91), "to": to}
        request = Request(actor, str(uuid4()))
        found += clinic.service.view(clinic.patterns, request, Purpose.HCOMPL, **period).items
    clinic.close()
    curious = made.staff[1]["id"]
    assert {item.staff for item in found} == {curious}
    assert {"outside-care-team", "out-of-hours"} <= {item.rule for item in found}
    assert len(found) <= 4


def test_whatever_shows_many_clients_is_no_single_reading(tmp_path: Path) -> None:
    made = make_clinic(tmp_path / "clinic")
    served = Served(made)
    many: set[str] = set()
    for rule in served.app.url_map.iter_rules():
        declared: Declared = served.app.view_functions[rule.endpoint].declared  # type: ignore[attr-defined]  # every route carries it
        if declared.kind == "reading" and "client_id" not in rule.rule and declared.action is not None:
            many.add(declared.action)
    assert many - SHOWS_MANY <= {"audit.patterns", "audit.spot_checks", "log.entries"}, (
        "add it to SHOWS_MANY, or here where it names no client"
    )
    made.close()
