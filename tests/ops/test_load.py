"""A clinic-year goes in whole: every line accepted, refused by a rule that is named, or skipped by its kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from ops import load_mapping
from ops.invented_names import FAMILY, GIVEN, invented_name, invented_staff_name
from ops.load import LoadReport, Refusal, load_file
from ops.load_data import TYPES
from ops.load_format import UnreadableLine, outline_of
from ops.wiring import Clinic, found, open_clinic
from records.access import AccessRecorded
from records.actors import Actor, Role
from records.assessments import AssessmentRecorded
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.drafts import open_draft
from records.errors import RuleBroken
from records.event import Event, Recorded
from records.goals import GoalAbandoned, GoalRated
from records.ledger import KeyClass, decode_entry
from records.notes import NoteSigned
from records.registration import ClientRegistered
from records.sessions import SessionBreachRecorded, SessionHeld
from tests.check import check_store

ROOT = Path(__file__).parent.parent.parent
YEAR = ROOT / "reference" / "clinic-year.jsonl.gz"
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


class Loaded(NamedTuple):
    """A loaded clinic, what was reported, and every (done, all) that was told meanwhile."""

    clinic: Clinic
    report: LoadReport
    told: list[tuple[int, int]]


def load(folder: Path, file: Path, url: str | None = None) -> Loaded:
    found(folder / "clinic", "Hill Clinic", ClinicPolicy(), database_url=url)
    clinic = open_clinic(folder / "clinic", database_url=url)
    told: list[tuple[int, int]] = []
    try:
        return Loaded(clinic, load_file(clinic, file, lambda *progress: told.append(progress)), told)
    except BaseException:
        clinic.close()
        raise


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The whole year on SQLite."""
    loaded = load(tmp_path_factory.mktemp("year"), YEAR)
    yield loaded
    loaded.clinic.close()


def clients(clinic: Clinic) -> list[UUID]:
    entries = (decode_entry(raw) for _, raw in clinic.store.key_entries())
    return [entry.stream for entry in entries if entry.key_class is KeyClass.RECORD]


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
    assert {(each.missing, each.reason) for each in breaches} == {(("treatment",), load_mapping.BREACH)}


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


# --- small files


class Script:
    """Lines of a small file, in the order in which they are written."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def line(self, t: str, stream: str, type_: str, actor: str, **data: Any) -> Script:
        self.lines.append({"t": f"2021-{t}:00", "stream": stream, "type": type_, "actor": actor, "data": data})
        return self

    def opened(self, *, modality: str = "DIT", episode_format: str = "individual") -> Script:
        self.line("03-01T09:00", "client-1", "client.registered", "admin-0", dob="1981", lang="other")
        facts = {"format": episode_format, "modality": modality, "participants": ["client-1"], "referral": "gp"}
        return self.line("03-01T09:00", "episode-1", "episode.opened", "admin-0", **facts)

    def booked(self, t: str, session: str, start: str) -> Script:
        plan = {"episode": "episode-1", "start": f"2021-{start}:00", "minutes": 50, "mode": "11"}
        return self.line(t, session, "session.booked", "admin-0", **plan)

    def held(self, t: str, session: str, number: int) -> Script:
        self.line(t, session, "session.attendance", "therapist-0", code="5")
        return self.line(t, session, "session.held", "therapist-0", number=number, phase=None, methods=["DIT"])

    def consented(self, t: str = "03-02T10:00") -> Script:
        facts = {"consent": "consent-1", "kind": "treatment", "form": "treatment@3"}
        return self.line(t, "client-1", "consent.given", "therapist-0", **facts)

    def drafted(self, t: str, note: str, session: str, kind: str = "progress", **more: Any) -> Script:
        facts = {"session": session, "kind": kind, "text": "We met.", **more}
        return self.line(t, note, "note.drafted", "therapist-0", **facts)

    def write(self, folder: Path) -> Path:
        file = folder / "small.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return file


@pytest.fixture
def script() -> Script:
    """An empty file."""
    return Script()


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Any]:
    """Load a script into a new clinic; return the clinic, the report and the one client's events."""
    opened: list[Clinic] = []

    def run(script: Script) -> tuple[Clinic, LoadReport, list[Event]]:
        loaded = load(tmp_path, script.write(tmp_path))
        opened.append(loaded.clinic)
        ids = clients(loaded.clinic)
        events = [each.event for each in loaded.clinic.service.reader.events(ids[0])] if ids else []
        check_store(loaded.clinic.store)
        return loaded.clinic, loaded.report, events

    yield run
    for clinic in opened:
        clinic.close()


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_booking_before_the_registration_waits_for_it(loading: Any, script: Script) -> None:
    script.booked("02-27T12:00", "session-1", "03-02T10:00").opened()
    _, report, events = loading(script)
    assert (report.accepted, report.refused) == (3, {})
    assert names(events) == ["ClientRegistered", "EpisodeOpened", "SessionBooked"]
    assert {event.originally_recorded_at for event in events} == {datetime(2021, 3, 1, 9, tzinfo=UTC)}


def test_a_booking_whose_episode_never_opens_is_refused_at_the_end(loading: Any, script: Script) -> None:
    script.booked("02-27T12:00", "session-1", "03-02T10:00")
    _, report, _ = loading(script)
    assert report.refusals == (Refusal(1, "unknown-item", "episode"),)


def test_times_are_the_clinics_and_never_go_back(loading: Any, script: Script) -> None:
    script.opened().consented("07-01T09:00").booked("07-01T09:00", "session-1", "07-08T10:00")
    script.booked("06-01T09:00", "session-2", "07-09T10:00")
    _, _, events = loading(script)
    assert [event.occurred_at.hour for event in events] == [9, 9, 8, 8, 8]
    assert events[-1].occurred_at == datetime(2021, 7, 1, 8, tzinfo=UTC)


def test_a_session_held_after_the_consent_was_withdrawn_is_refused_and_recorded(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    script.line("03-03T09:00", "client-1", "consent.withdrawn", "therapist-0", consent="consent-1")
    script.booked("03-03T10:00", "session-2", "03-09T11:00")
    items = {"session": "session-2", "measure": "GAD-7", "total": 7, "items": [1] * 7}
    script.line("03-09T10:50", "client-1", "measure.recorded", "client-1", **items)
    script.held("03-09T11:00", "session-2", 2)
    script.drafted("03-09T12:00", "note-1", "session-2", format="DAP")
    script.line("03-09T12:05", "note-1", "note.signed", "therapist-0")
    _, report, events = loading(script)
    assert [(each.rule, each.what, each.kept) for each in report.refusals] == [
        ("consent-missing", "treatment", None),
        ("consent-missing", "treatment", "breach"),
    ]
    tail = names(events)[-6:]
    assert tail == [
        "ConsentWithdrawn",
        "AssessmentRecorded",
        "SessionHeld",
        "SessionBreachRecorded",
        "AttendanceRecorded",
        "NoteSigned",
    ]
    held = [event for event in events if isinstance(event, SessionHeld)]
    assert [(each.number, each.mode, each.booked) for each in held] == [(1, "11", True), (2, "11", False)]
    note = events[-1]
    assert isinstance(note, NoteSigned)
    assert (note.format, note.sections, note.late_entry) == ("DAP", {"data": "We met."}, False)


def test_remote_sessions_need_no_consent_of_their_own_and_others_need_theirs(loading: Any, script: Script) -> None:
    clinic, _, _ = loading(script.opened())
    policy = clinic.service.directory.clinic.policy
    assert policy.consents_for("mode.11", "mode.02") == ()
    assert policy.consents_for("session.treatment", "method.EMDR", "method.touch") == ("treatment", "emdr", "touch")


def test_what_a_client_filled_in_is_entered_by_the_therapist(loading: Any, script: Script) -> None:
    script.opened().consented()
    script.line("03-02T11:00", "client-1", "goal.set", "therapist-0", goal="goal-1", text="Sleep through")
    script.line("03-02T11:01", "client-1", "goal.rated", "client-1", goal="goal-1", score=3)
    script.line("03-02T11:02", "client-1", "goal.closed", "therapist-0", goal="goal-1", status="abandoned")
    facts = {"session": "session-9", "measure": "WSAS", "total": 16}
    script.line("03-02T11:03", "client-1", "measure.recorded", "client-1", **facts)
    clinic, report, events = loading(script)
    assert report.refused == {}
    rated, closed, assessed = events[-3:]
    assert isinstance(rated, GoalRated)
    assert isinstance(closed, GoalAbandoned)
    assert isinstance(assessed, AssessmentRecorded)
    assert (rated.rater, closed.reason) == ("client", load_mapping.GOAL_GIVEN_UP)
    assert (assessed.reported_by, assessed.score_only, assessed.session_id) == ("client", True, None)
    by = {clinic.service.directory.staff[UUID(event.entered_by)].role for event in (rated, closed, assessed)}
    assert by == {Role.THERAPIST}


def test_a_flag_must_be_the_answers_own_prompt(loading: Any, script: Script) -> None:
    script.opened().consented()
    for day, item9, flag in (("04", 2, 2), ("05", 2, 1), ("06", 0, 1)):
        facts = {"session": "session-1", "measure": "PHQ-9", "total": item9, "items": [0] * 8 + [item9]}
        script.line(f"03-{day}T10:00", "client-1", "measure.recorded", "client-1", **facts)
        script.line(f"03-{day}T10:00", "client-1", "risk.flag_raised", "system", item9=flag, session="session-1")
        script.line(f"03-{day}T11:00", "client-1", "risk.flag_cleared", "therapist-0")
    _, report, events = loading(script)
    assert report.skipped == {"derived": 1}
    assert report.refused == {"no-risk-prompt": 2, "risk-flag-differs": 1}
    assert names(events).count("RiskPromptCleared") == 2


def test_a_total_that_is_not_the_answers_own_is_refused(loading: Any, script: Script) -> None:
    facts = {"session": "session-1", "measure": "GAD-7", "total": 8, "items": [1] * 7}
    script.opened().consented().line("03-03T10:00", "client-1", "measure.recorded", "client-1", **facts)
    _, report, events = loading(script)
    assert report.refused == {"total-differs": 1}
    assert "AssessmentRecorded" not in names(events)


def test_a_draft_that_was_never_signed_stays_a_draft(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    clinic, report, events = loading(script.drafted("03-02T12:00", "note-1", "session-1"))
    assert report.refused == {}
    assert "NoteSigned" not in names(events)
    rows = clinic.service.reader.sealed_rows("draft")
    author = next(str(key) for key, each in clinic.service.directory.staff.items() if each.role is Role.THERAPIST)
    draft = open_draft(clinic.service.reader, clients(clinic)[0], rows[0].row_id, author)
    assert draft is not None
    assert draft[1].sections == {"text": "We met."}


def test_parts_of_other_concepts_are_skipped_by_their_kind(loading: Any, script: Script) -> None:
    script.opened(modality="group", episode_format="group").booked("03-01T10:00", "session-1", "03-02T11:00")
    script.held("03-02T11:00", "session-1", 1).drafted("03-02T12:00", "note-1", "session-1")
    script.line("03-02T13:00", "episode-1", "letter.given", "therapist-0", text="Goodbye")
    script.line("03-02T14:00", "client-1", "weather.noted", "therapist-0", rain=True)
    script.line("03-02T15:00", "client-1", "record.viewed", "therapist-0", part="dreams", purpose="TREAT")
    _, report, events = loading(script)
    assert report.skipped == {"group": 5, "letter": 1, "unknown": 2}
    assert names(events) == ["ClientRegistered"]


def test_who_has_no_account_or_no_part_is_refused(loading: Any, script: Script) -> None:
    script.opened().consented()
    script.line("03-03T10:00", "client-1", "record.viewed", "visitor-1", part="note", purpose="TREAT")
    script.line("03-03T11:00", "client-1", "record.viewed", "admin-0", part="note", purpose="TREAT")
    script.line("03-03T12:00", "client-1", "record.viewed", "therapist-0", part="note", purpose="HCOMPL")
    clinic, report, _ = loading(script)
    assert [(each.rule, each.what) for each in report.refusals] == [
        ("not-permitted", "actor"),
        ("not-permitted", "role"),
        ("not-permitted", "purpose"),
    ]
    assert clinic.service.reader.access_events(clients(clinic)[0]) == []


def test_a_note_in_error_and_its_addendum_keep_their_words(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    script.drafted("03-05T12:00", "note-1", "session-1", format="SOAP")
    script.line("03-05T12:01", "note-1", "note.signed", "therapist-0")
    script.line("03-06T12:00", "note-1", "note.addendum", "therapist-0", text="She called.")
    script.line("03-07T12:00", "note-1", "note.entered_in_error", "therapist-0", reason="wrong client")
    _, report, events = loading(script)
    assert report.refused == {}
    signed, addendum, error = events[-3:]
    assert isinstance(signed, NoteSigned)
    assert signed.late_entry
    assert (addendum.text, error.reason) == ("She called.", "wrong client")  # type: ignore[attr-defined]


# --- files that are not what they should be


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


def test_an_empty_file_loads_nothing_and_says_so(loading: Any, script: Script) -> None:
    _, report, events = loading(script)
    assert (report.lines, report.accepted, events) == (0, 0, [])


def test_a_clinic_with_clients_refuses_a_second_file(tmp_path: Path, script: Script) -> None:
    clinic, _, _ = load(tmp_path, script.opened().write(tmp_path))
    try:
        with pytest.raises(RuleBroken, match="clinic-not-empty"):
            load_file(clinic, tmp_path / "small.jsonl")
    finally:
        clinic.close()


def test_ids_look_random_and_differ_between_clinics(tmp_path: Path, script: Script) -> None:
    ids = []
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
    told = {f"`{name}`" for name in (*TYPES, *load_mapping.SKIPPED)}
    told |= {f"`{kind}`" for kind in (*load_mapping.SKIPPED.values(), "couple", "group", "unknown", "derived")}
    told |= {f"`{rule}`" for rule in (*REFUSED, "total-differs", "not-permitted", "clinic-not-empty")}
    told |= {load_mapping.BREACH, load_mapping.PROMPT_CLEARED, load_mapping.GOAL_GIVEN_UP}
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
