"""A clinic-year goes in whole: every line accepted, refused by a rule that is named, or skipped by its kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.demo.invented_names import FAMILY, GIVEN, invented_name, invented_staff_name
from ops.loading import mapping
from ops.loading.line_data import TYPES
from ops.loading.load import load_file
from ops.loading.year_format import UnreadableLine, outline_of
from ops.wiring import Clinic, found, open_clinic
from records.access import AccessRecorded
from records.actors import Actor, Role
from records.assessments import AssessmentRecorded
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.errors import RuleBroken
from records.event import Recorded
from records.registration import ClientRegistered
from records.sessions import SessionBreachRecorded
from tests.check import check_store
from tests.ops.clinic_year import ROOT, YEAR, Loaded, Script, clients, load

DOCUMENT = ROOT / "docs" / "how-to" / "load-a-clinic-year.md"

LINES = 46_996
ACCEPTED = 41_959
REFUSED = {"consent-missing": 26, "no-risk-prompt": 4, "risk-flag-differs": 40, "unknown-item": 2}
SKIPPED = {
    "attachment": 81,
    "cosign": 300,
    "couple": 1400,
    "derived": 613,
    "export": 5,
    "group": 1648,
    "ipaf": 75,
    "letter": 111,
    "process-note": 614,
    "safety-plan": 118,
}


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The whole year on SQLite."""
    loaded = load(tmp_path_factory.mktemp("year"), YEAR)
    yield loaded
    loaded.clinic.close()


def everything(clinic: Clinic) -> Iterator[tuple[UUID, list[Recorded]]]:
    for client_id in clients(clinic):
        yield client_id, clinic.service.reader.events(client_id)


# --- the whole year


def test_the_table_of_the_year_is_exact(year: Loaded) -> None:
    report = year.report
    assert (report.lines, report.accepted, report.refused, report.skipped) == (LINES, ACCEPTED, REFUSED, SKIPPED)
    assert report.accepted + sum(report.refused.values()) + sum(report.skipped.values()) == report.lines
    assert year.told[-1] == (LINES, LINES)
    assert [done for done, _ in year.told] == sorted(done for done, _ in year.told)


@pytest.mark.postgres
def test_the_table_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str, year: Loaded) -> None:
    clinic, report, _ = load(tmp_path, YEAR, postgres_url)
    try:
        assert (report.accepted, report.refused, report.skipped) == (ACCEPTED, REFUSED, SKIPPED)
        assert report.refusals == year.report.refusals
        assert report.events == year.report.events
        assert len(clients(clinic)) == 317
    finally:
        clinic.close()


def test_every_refusal_is_listed_in_order_with_what_the_rule_named(year: Loaded) -> None:
    listed = year.report.refusals
    assert [refusal.line for refusal in listed] == sorted({refusal.line for refusal in listed})
    assert len(listed) == sum(REFUSED.values())
    missing = [refusal for refusal in listed if refusal.rule == "consent-missing"]
    assert {refusal.what for refusal in missing} == {"treatment"}
    assert sum(refusal.kept == "breach" for refusal in missing) == 12


def test_what_was_held_without_consent_is_in_the_record_with_its_breach(year: Loaded) -> None:
    breaches = [
        each.event
        for _, events in everything(year.clinic)
        for each in events
        if isinstance(each.event, SessionBreachRecorded)
    ]
    assert len(breaches) == 12
    assert {(each.missing, each.reason) for each in breaches} == {(("treatment",), mapping.BREACH)}


def test_the_log_holds_every_invariant_after_the_year(year: Loaded) -> None:
    check_store(year.clinic.store)
    assert year.clinic.store.head().next_index >= year.report.events


def test_every_record_opens_and_folds_and_its_time_never_goes_back(year: Loaded) -> None:
    count = 0
    for client_id, events in everything(year.clinic):
        record = ClientRecord(client_id=client_id)
        times = [each.recorded_at for each in events]
        assert times == sorted(times)
        for each in events:
            record.apply(each)
        assert record.registered_at == events[0].recorded_at
        count += 1
    assert count == 317


def test_readings_are_access_events_of_those_who_read(year: Loaded) -> None:
    readings = [each for client in clients(year.clinic) for each in year.clinic.service.reader.access_events(client)]
    assert len(readings) == 19_546
    roles: dict[str, set[Any]] = {}
    for each in readings:
        event = each.event
        assert isinstance(event, AccessRecorded)
        assert event.occurred_at == event.originally_recorded_at
        assert event.outcome == "permit"
        roles.setdefault(event.role, set()).add((event.purpose, event.relation))
    assert roles == {
        "therapist": {("TREAT", "team")},
        "supervisor": {("HQUALIMP", "supervises")},
        "front_desk": {("TREAT", "none")},
    }


def test_the_years_sums_are_those_of_the_file(year: Loaded) -> None:
    kinds: dict[str, int] = {}
    prompts = totals = 0
    for _, events in everything(year.clinic):
        for each in events:
            name = type(each.event).__name__
            kinds[name] = kinds.get(name, 0) + 1
            if isinstance(each.event, AssessmentRecorded):
                prompts += each.event.risk_prompt is not None
                totals += each.event.score_only
    assert kinds["ClientRegistered"] == 317
    assert kinds["AssessmentRecorded"] == 5647
    assert (prompts, totals) == (659, 717)
    assert kinds["GoalRated"] == 2531
    assert kinds["RiskAssessed"] == 471
    assert kinds["ConsentWithdrawn"] == 21


# --- files that are not what they should be


@pytest.fixture
def script() -> Script:
    """An empty file."""
    return Script()


BAD_LINES = {
    "no json": b"{",
    "another shape": b'{"t": "2021-03-01T09:00:00", "stream": "client-1"}\n',
    "an unknown field": b'{"t":"2021-03-01T09:00:00","stream":"c","type":"x","actor":"a","data":{},"more":1}\n',
    "a zone": b'{"t":"2021-03-01T09:00:00Z","stream":"c","type":"x","actor":"a","data":{}}\n',
    "no time": b'{"t":"yesterday","stream":"c","type":"x","actor":"a","data":{}}\n',
    "data of another shape": b'{"t":"2021-03-01T09:00:00","stream":"c","type":"goal.set","actor":"a","data":{}}\n',
    "no utf-8": b'{"t":"2021-03-01T09:00:00","stream":"\xff","type":"x","actor":"a","data":{}}\n',
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_cannot_be_read_loads_nothing(tmp_path: Path, script: Script, bad: bytes) -> None:
    file = script.opened().write(tmp_path)
    file.write_bytes(file.read_bytes() + bad)
    found(tmp_path / "clinic", "Hill Clinic", ClinicPolicy())
    clinic = open_clinic(tmp_path / "clinic")
    try:
        entries = clinic.store.head().next_index
        with pytest.raises(UnreadableLine, match="line 3 ") as error:
            load_file(clinic, file)
        assert error.value.number == 3
        assert clinic.store.head().next_index == entries
    finally:
        clinic.close()


def test_a_compressed_file_that_is_cut_or_damaged_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(YEAR.read_bytes()[:100_000])
    with pytest.raises(UnreadableLine):
        outline_of(file)
    damaged = bytearray(YEAR.read_bytes())
    damaged[50_000:50_100] = bytes(100)
    file.write_bytes(damaged)
    with pytest.raises(UnreadableLine):
        outline_of(file)
    file.write_bytes(b"no gzip at all")
    with pytest.raises(UnreadableLine, match="line 1 "):
        outline_of(file)


def test_a_clinic_with_clients_refuses_a_second_file(tmp_path: Path, script: Script) -> None:
    clinic, _, _ = load(tmp_path, script.opened().write(tmp_path))
    try:
        with pytest.raises(RuleBroken, match="clinic-not-empty"):
            load_file(clinic, tmp_path / "small.jsonl")
    finally:
        clinic.close()


def test_ids_look_random_and_differ_between_clinics(tmp_path: Path, script: Script) -> None:
    ids: list[UUID] = []
    for place in ("one", "two"):
        folder = tmp_path / place
        folder.mkdir()
        clinic, _, _ = load(folder, script.write(folder) if ids else script.opened().write(folder))
        ids += clients(clinic)
        clinic.close()
    assert len(set(ids)) == 2
    assert {each.version for each in ids} == {4}


def test_nothing_of_the_file_is_in_clear_on_the_disk(tmp_path: Path, script: Script) -> None:
    script.opened().consented()
    script.line("03-02T11:00", "client-1", "goal.set", "therapist-0", goal="goal-1", text="Canary-in-the-goal")
    clinic, _, _ = load(tmp_path, script.write(tmp_path))
    canaries = (b"Canary-in-the-goal", b"goal.set", b"client-1", b"therapist-0", invented_name(0).family.encode())
    clinic.close()
    (tmp_path / "small.jsonl").unlink()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 3
    for file in files:
        content = file.read_bytes()
        assert not [canary for canary in canaries if canary in content], file.name


# --- the mapping and its page


def test_invented_names_are_distinct_and_clients_share_none_with_staff() -> None:
    assert (len(set(GIVEN)), len(set(FAMILY))) == (64, 61)
    people = [invented_name(number).full for number in range(2000)]
    staff = [invented_staff_name(number).full for number in range(200)]
    assert len({*people, *staff}) == 2200


def test_the_page_tells_every_type_kind_and_filling(year: Loaded) -> None:
    page = DOCUMENT.read_text()
    told = {f"`{name}`" for name in (*TYPES, *mapping.SKIPPED)}
    told |= {f"`{kind}`" for kind in (*mapping.SKIPPED.values(), "couple", "group", "unknown", "derived")}
    told |= {f"`{rule}`" for rule in (*REFUSED, "total-differs", "not-permitted", "clinic-not-empty")}
    told |= {mapping.BREACH, mapping.PROMPT_CLEARED, mapping.GOAL_GIVEN_UP}
    assert not sorted(words for words in told if words not in page)
    numbers = [f"| {count:,} |" for count in (LINES, ACCEPTED, *SKIPPED.values(), *REFUSED.values())]
    assert not [number for number in numbers if number not in page]


def test_staff_have_accounts_with_their_roles(year: Loaded) -> None:
    roles = sorted(each.role.value for each in year.clinic.service.directory.staff.values())
    assert roles == ["front_desk", "supervisor", "therapist", "therapist", "therapist"]
    for client in clients(year.clinic):
        parts = sorted(year.clinic.service.directory.team(client).parts.values())
        assert parts in (["supervises"], ["supervises", "team"])


def test_a_registration_names_an_invented_person(year: Loaded) -> None:
    events = year.clinic.service.reader.events(clients(year.clinic)[0], upto=1)
    registered = events[0].event
    assert isinstance(registered, ClientRegistered)
    assert registered.identity.family in FAMILY
    assert registered.identity.birth_date == "1981"
    assert isinstance(Actor(registered.entered_by, Role.FRONT_DESK), Actor)
