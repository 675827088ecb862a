"""Retention: until when a record is kept, on which ground, and when it may go; every date of a rule counted by hand."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from records.client_record import ClientRecord, HoldState
from records.clinic_policy import ClinicPolicy
from records.errors import InvalidContent, UnknownClient
from records.retention import (
    BASES,
    CONTENT,
    MISSING,
    Facts,
    Permission,
    Retention,
    age_on,
    birthday,
    facts_of,
    first_free_day,
    may_be_erased,
    retention_by,
    retention_of,
    years_after,
)
from records.retention_profiles import DEFAULTS, PROFILES, RetentionProfile, RetentionRule, profile_of
from tests.given import CLIENT, fold
from tests.retention_cases import assessed, closed, died, held, note_in_error, noted, opened, registered

ROOT = Path(__file__).parents[2]
D = date.fromisoformat
UK, PRIVATE, US, EU, GERMANY = (PROFILES[name] for name in ("uk-mental-health", "uk-private", "us", "eu", "eu-germany"))
ADULT = D("1980-05-17")
HOLD = HoldState(version=9, placed_at=datetime(2030, 1, 2, 9, tzinfo=UTC))


def facts(ended: str = "2004-03-10", born: str | None = "1980-05-17", **more: Any) -> Facts:
    """Facts of somebody whose treatment is over; who says nothing of the birth was grown up."""
    day = D(ended)
    known = {} if born is None else {"born_earliest": D(born), "born_latest": D(born)}
    return Facts(**{"first_contact": day, "last_contact": day, "treated": True, **known, **more})


def until(profile: RetentionProfile, told: Facts) -> dict[str, date | None]:
    return {each.ground: each.until for each in retention_by(told, profile, D("2026-03-02")).deadlines}


# --- the calendar


@pytest.mark.parametrize(
    ("day", "years", "last"),
    [
        ("2004-03-10", 20, "2024-03-10"),
        ("2004-12-31", 20, "2024-12-31"),
        ("2004-01-31", 7, "2011-01-31"),
        ("2004-02-28", 20, "2024-02-28"),
        # Corresponding date rule: a period that began on a day which the last year has not ends with that month.
        ("2004-02-29", 7, "2011-02-28"),
        ("2004-02-29", 10, "2014-02-28"),
        ("2004-02-29", 20, "2024-02-29"),
        ("2080-02-29", 20, "2100-02-28"),
        ("2003-03-01", 1, "2004-03-01"),
    ],
)
def test_a_period_of_years_ends_on_the_same_day_of_the_year(day: str, years: int, last: str) -> None:
    assert years_after(D(day), years) == D(last)


@pytest.mark.parametrize(
    ("born", "age", "on"),
    [
        ("2000-06-15", 25, "2025-06-15"),
        # In a year without 29 February the birthday is 1 March, as English law counts ages.
        ("2000-02-29", 25, "2025-03-01"),
        ("2000-02-29", 24, "2024-02-29"),
        ("2008-02-29", 18, "2026-03-01"),
        ("2000-12-31", 26, "2026-12-31"),
    ],
)
def test_a_birthday_is_the_day_on_which_an_age_is_reached(born: str, age: int, on: str) -> None:
    assert birthday(D(born), age) == D(on)
    assert age_on(D(born), D(on)) == age
    assert age_on(D(born), D(on) - timedelta(days=1)) == age - 1


@for_all(st.dates(D("1890-01-01"), D("2100-12-31")), st.integers(0, 60))
def test_ages_and_birthdays_agree(born: date, age: int) -> None:
    on = birthday(born, age)
    assert age_on(born, on) == age
    assert age_on(born, on - timedelta(days=1)) == age - 1
    assert 0 <= (on - years_after(born, age)).days <= 1


# --- the rules, each with its source in the profile


@pytest.mark.parametrize(
    ("profile", "told", "ends"),
    [
        # NHS: 20 years after the end of treatment.
        (UK, facts("2004-03-10"), {"end-of-treatment": "2024-03-10"}),
        (UK, facts("2004-02-29"), {"end-of-treatment": "2024-02-29"}),
        # NHS: 10 years after death, in place of the 20.
        (UK, facts("2004-03-10", died=D("2006-01-31")), {"death": "2016-01-31"}),
        (UK, facts("2004-03-10", died=D("2008-02-29")), {"death": "2018-02-28"}),
        # NHS: a child until the 25th birthday, the 26th for who was 17 at the end; the later day counts.
        (UK, facts("2020-03-10", "2003-05-17"), {"end-of-treatment": "2040-03-10", "minor": "2028-05-17"}),
        (UK, facts("2020-05-16", "2003-05-17"), {"end-of-treatment": "2040-05-16", "minor": "2028-05-17"}),
        (UK, facts("2020-05-17", "2003-05-17"), {"end-of-treatment": "2040-05-17", "minor": "2029-05-17"}),
        (UK, facts("2021-05-16", "2003-05-17"), {"end-of-treatment": "2041-05-16", "minor": "2029-05-17"}),
        (UK, facts("2021-05-17", "2003-05-17"), {"end-of-treatment": "2041-05-17"}),
        # A child of three is kept beyond the 20 years by the birthday.
        (UK, facts("2020-03-10", "2016-05-17"), {"end-of-treatment": "2040-03-10", "minor": "2041-05-17"}),
        (UK, facts("2020-03-10", "2016-02-29"), {"end-of-treatment": "2040-03-10", "minor": "2041-03-01"}),
        # A death ends the 20 years, not what a child is kept for.
        (UK, facts("2020-03-10", "2005-05-17", died=D("2019-03-10")), {"death": "2029-03-10", "minor": "2030-05-17"}),
        # Private practice: 7 years, children as above; no rule for a death.
        (PRIVATE, facts("2004-02-29"), {"end-of-treatment": "2011-02-28"}),
        (PRIVATE, facts("2020-05-17", "2003-05-17"), {"end-of-treatment": "2027-05-17", "minor": "2029-05-17"}),
        (PRIVATE, facts("2004-03-10", died=D("2004-01-01")), {"end-of-treatment": "2011-03-10"}),
        # US: 7 years after discharge, 7 years after the 18th birthday for a minor.
        (US, facts("2004-03-10"), {"end-of-treatment": "2011-03-10"}),
        (US, facts("2020-05-17", "2003-05-17"), {"end-of-treatment": "2027-05-17", "minor": "2028-05-17"}),
        (US, facts("2021-05-16", "2003-05-17"), {"end-of-treatment": "2028-05-16", "minor": "2028-05-17"}),
        (US, facts("2021-05-17", "2003-05-17"), {"end-of-treatment": "2028-05-17"}),
        # EU: 20 years (Netherlands), or the clinic's own law, here Germany's 10.
        (EU, facts("2004-03-10"), {"end-of-treatment": "2024-03-10"}),
        (GERMANY, facts("2004-02-29"), {"end-of-treatment": "2014-02-28"}),
    ],
)
def test_each_ground_has_its_own_deadline(profile: RetentionProfile, told: Facts, ends: dict[str, str]) -> None:
    assert until(profile, told) == {ground: D(day) for ground, day in ends.items()}


def test_the_last_day_still_counts_and_the_record_may_go_on_the_next() -> None:
    def on(day: str) -> Retention:
        return retention_by(facts("2004-03-10"), UK, D(day))

    assert (on("2024-03-10").elapsed, on("2024-03-11").elapsed) == (False, True)
    assert first_free_day(on("2004-03-11")) == D("2024-03-11")


def test_the_latest_deadline_decides() -> None:
    told = retention_by(facts("2020-03-10", "2016-05-17"), UK, D("2040-12-01"))
    assert (told.until, told.elapsed) == (D("2041-05-17"), False)


def test_there_is_no_deadline_while_treatment_is_under_way() -> None:
    told = retention_by(facts("2004-03-10", treatment_open=True), UK, D("2050-01-01"))
    assert (told.until, told.elapsed, first_free_day(told)) == (None, False, None)
    assert [(each.ground, each.counted_from) for each in told.deadlines] == [("end-of-treatment", None)]
    assert "under way" in told.deadlines[0].text


def test_a_death_ends_a_treatment_that_nobody_closed() -> None:
    told = facts("2004-03-10", treatment_open=True, died=D("2005-06-30"))
    assert until(UK, told) == {"death": D("2015-06-30")}
    assert until(US, told) == {"end-of-treatment": D("2012-06-30")}


def test_every_deadline_says_in_words_what_it_is_and_who_says_so() -> None:
    told = retention_by(facts("2020-05-17", "2003-05-17"), UK, D("2026-03-02"))
    assert [each.text for each in told.deadlines] == [
        "Treatment ended on 17 May 2020; the record is kept for 20 years, until 17 May 2040.",
        "The client was a minor when treatment ended; the record is kept until the 26th birthday, 17 May 2029.",
    ]
    assert all("Records Management Code of Practice" in each.source for each in told.deadlines)
    assert [each.counted_from for each in told.deadlines] == [D("2020-05-17"), D("2003-05-17")]


# --- what is not known


def test_without_a_birth_date_the_client_may_have_been_a_child_from_the_first_contact() -> None:
    told = retention_by(facts("2022-03-10", None, first_contact=D("2020-02-29")), UK, D("2026-03-02"))
    ends = [each.until for each in told.deadlines if each.ground == "minor"]
    # Born on the first day of contact at the latest; or 17 when treatment ended.
    assert ends == [D("2045-03-01"), D("2031-03-10")]
    assert (told.until, told.missing) == (D("2045-03-01"), ("birth-date",))


def test_a_birth_date_known_to_the_year_is_taken_for_the_day_that_keeps_longest() -> None:
    year = {"born_earliest": D("2003-01-01"), "born_latest": D("2003-12-31")}
    told = retention_by(facts("2020-05-17", None, **year), PRIVATE, D("2026-03-02"))
    assert (told.until, told.missing) == (D("2029-05-17"), ("birth-date",))
    grown = {"born_earliest": D("1980-01-01"), "born_latest": D("1980-12-31")}
    assert retention_by(facts("2020-05-17", None, **grown), PRIVATE, D("2026-03-02")).missing == ()


@for_all(st.dates(D("1930-01-01"), D("2019-12-31")), st.dates(D("2000-01-01"), D("2030-12-31")))
def test_no_record_is_kept_shorter_for_what_is_not_known(born: date, ended: date) -> None:
    first = max(born, D("2000-01-01"))
    ended = max(first, ended)
    known = Facts(first_contact=first, last_contact=ended, treated=True, born_earliest=born, born_latest=born)
    year = {"born_earliest": born.replace(month=1, day=1), "born_latest": min(born.replace(month=12, day=31), first)}
    for profile in PROFILES.values():
        exact = retention_by(known, profile, ended).until
        for less in (year, {"born_earliest": None, "born_latest": None}):
            careful = retention_by(msgspec.structs.replace(known, **less), profile, ended).until
            assert exact is not None
            assert careful is not None
            assert careful >= exact


def test_a_death_of_which_the_day_is_not_known_is_named() -> None:
    told = retention_by(facts("2004-03-10", died=D("2006-12-31"), died_exactly=False), UK, D("2026-03-02"))
    assert (told.until, told.missing) == (D("2016-12-31"), ("date-of-death",))
    assert set(told.missing) < set(MISSING)


@pytest.mark.parametrize("reason", ["17", "49"])
def test_an_episode_closed_by_death_without_a_recorded_death_is_named(reason: str) -> None:
    ended = (registered(), opened(1), closed(1, "2004-03-10", reason=reason))
    told = retention_of(fold([*ended]), UK, D("2026-03-02"))
    assert (told.until, told.missing) == (D("2024-03-10"), ("death",))
    recorded = retention_of(fold([*ended, died("2004-03-09")]), UK, D("2026-03-02"))
    assert (recorded.until, recorded.missing) == (D("2014-03-09"), ())


# --- from a record


def test_the_end_of_treatment_is_the_last_episode_that_was_closed() -> None:
    record = fold([registered(), opened(1), opened(2), closed(1, "2004-03-10"), closed(2, "2006-07-01")])
    assert facts_of(record).last_contact == D("2006-07-01")
    reopened = fold([registered(), opened(1), closed(1, "2004-03-10"), opened(2)])
    assert facts_of(reopened).treatment_open
    assert retention_of(reopened, UK, D("2090-01-01")).until is None


def test_a_session_held_after_the_end_moves_the_end() -> None:
    record = fold([registered(), opened(1), closed(1, "2004-03-10"), held(1, "2004-05-01")])
    assert facts_of(record).last_contact == D("2004-05-01")


def test_a_client_without_a_course_of_treatment_is_counted_from_the_last_contact() -> None:
    record = fold([registered()])
    told = retention_of(record, UK, D("2026-03-02"))
    assert (told.until, told.missing) == (D("2022-01-07"), ("end-of-treatment",))
    for later in (noted("2005-01-01"), assessed("2005-01-01")):
        assert facts_of(fold([registered(), later])).last_contact == D("2005-01-01")


def test_days_are_the_clinics() -> None:
    record = fold([registered(), opened(1), closed(1, "2004-06-30", hour=23)])
    assert facts_of(record).last_contact == D("2004-06-30")
    assert facts_of(record, ZoneInfo("Europe/London")).last_contact == D("2004-07-01")


def test_the_birth_and_the_death_come_from_the_registration() -> None:
    told = facts_of(fold([registered("1981-04"), died("2006-02")]))
    assert (told.born_earliest, told.born_latest) == (D("1981-04-01"), D("1981-04-30"))
    assert (told.died, told.died_exactly) == (D("2006-02-28"), False)


def test_nobody_has_no_retention() -> None:
    with pytest.raises(UnknownClient):
        retention_of(ClientRecord(client_id=CLIENT), UK, D("2026-03-02"))
    with pytest.raises(UnknownClient):
        may_be_erased(ClientRecord(client_id=CLIENT), UK, (), D("2026-03-02"), "entered-in-error")


# --- may it be erased


def asked(record: ClientRecord, basis: str, today: str, *holds: HoldState) -> Permission:
    return may_be_erased(record, UK, holds, D(today), basis)


TREATED = fold([registered(), opened(1), held(1, "2004-03-01"), closed(1, "2004-03-10")])


@pytest.mark.parametrize("basis", ["retention-elapsed", "client-request"])
def test_nothing_is_erased_while_a_period_runs_whoever_asks(basis: str) -> None:
    refused = asked(TREATED, basis, "2024-03-10")
    assert not refused.allowed
    assert [(each.ground, each.until) for each in refused.grounds] == [("end-of-treatment", D("2024-03-10"))]
    assert refused.grounds[0].text == (
        "Treatment ended on 10 March 2004; the record is kept for 20 years, until 10 March 2024."
    )
    assert "Code of Practice" in refused.grounds[0].source
    assert asked(TREATED, basis, "2024-03-11") == Permission(basis=basis, allowed=True)


def test_a_refusal_names_every_ground_that_still_runs_and_none_that_passed() -> None:
    child = fold([registered("2016-05-17"), opened(1, "2020-01-08"), closed(1, "2020-03-10")])
    assert [each.ground for each in asked(child, "client-request", "2040-03-10").grounds] == [
        "end-of-treatment",
        "minor",
    ]
    assert [each.ground for each in asked(child, "client-request", "2040-03-11").grounds] == ["minor"]


def test_a_treatment_under_way_refuses_without_a_day() -> None:
    refused = asked(fold([registered(), opened(1)]), "client-request", "2090-01-01")
    assert (refused.allowed, [each.until for each in refused.grounds]) == (False, [None])


def test_a_missing_birth_date_is_named_in_the_refusal() -> None:
    unknown = fold([registered(None), opened(1), closed(1, "2004-03-10")])
    refused = asked(unknown, "retention-elapsed", "2024-04-01")
    assert (refused.allowed, refused.missing) == (False, ("birth-date",))
    assert [(each.ground, each.until) for each in refused.grounds] == [("minor", D("2027-01-07"))]


@pytest.mark.parametrize("basis", BASES)
def test_a_legal_hold_refuses_every_basis_and_one_that_was_lifted_none(basis: str) -> None:
    empty = fold([registered()])
    refused = asked(empty, basis, "2090-01-01", HOLD)
    assert not refused.allowed
    assert [(each.ground, each.until) for each in refused.grounds] == [("legal-hold", None)]
    assert "since 2 January 2030" in refused.grounds[0].text
    assert asked(empty, basis, "2090-01-01", msgspec.structs.replace(HOLD, lifted=True)).allowed


def test_each_standing_hold_is_a_ground_of_its_own() -> None:
    lifted = msgspec.structs.replace(HOLD, lifted=True)
    refused = asked(TREATED, "court-order", "2024-03-11", HOLD, lifted, HOLD)
    assert [each.ground for each in refused.grounds] == ["legal-hold", "legal-hold"]


def test_a_record_opened_in_error_goes_only_while_nothing_is_in_it() -> None:
    assert asked(fold([registered()]), "entered-in-error", "2002-01-08").allowed
    refused = asked(TREATED, "entered-in-error", "2090-01-01")
    assert [(each.ground, each.until) for each in refused.grounds] == [("clinical-content", None)]
    assert refused.grounds[0].text == "More is in the record than who the client is: a course of treatment, a session."


def test_what_was_itself_marked_as_an_error_keeps_a_record_too() -> None:
    record = fold([registered(), noted("2002-01-09"), note_in_error("2002-01-10")])
    refused = asked(record, "entered-in-error", "2002-01-11")
    assert refused.grounds[0].text == "More is in the record than who the client is: a note."


@pytest.mark.parametrize("field", CONTENT)
def test_whatever_is_in_a_record_keeps_it_from_being_an_error(field: str) -> None:
    record = fold([registered()])
    getattr(record, field)[UUID(int=1)] = None
    assert not may_be_erased(record, UK, (), D("2090-01-01"), "entered-in-error").allowed


def test_every_collection_of_a_record_counts_as_content_or_is_no_content() -> None:
    collections = {
        name
        for name in ClientRecord.__struct_fields__
        if isinstance(getattr(ClientRecord(client_id=CLIENT), name), dict)
    }
    assert collections - set(CONTENT) == {"holds"}


def test_an_order_goes_before_a_period() -> None:
    assert asked(TREATED, "court-order", "2005-01-01").allowed


def test_another_basis_is_none() -> None:
    with pytest.raises(InvalidContent):
        asked(TREATED, "because", "2090-01-01")
    assert all(basis.label and basis.source for basis in BASES.values())


# --- profiles


def test_every_jurisdiction_has_its_default_and_every_rule_its_source() -> None:
    assert {jurisdiction: profile_of(jurisdiction, None).name for jurisdiction in ("uk", "us", "eu")} == DEFAULTS
    for profile in PROFILES.values():
        assert profile_of("uk", profile) is profile
        assert all(len(rule.source) > 20 for rule in profile.rules)


def test_a_clinic_chooses_a_profile_by_name_or_makes_its_own() -> None:
    assert ClinicPolicy(jurisdiction="us").retention_profile is US
    assert ClinicPolicy(retention="uk-private").retention_profile is PRIVATE
    rule = RetentionRule(ground="end-of-treatment", years=30, source="Our own law, article 1.")
    own = RetentionProfile(name="own", label="Ours", jurisdiction="eu", rules=(rule,))
    policy = ClinicPolicy(jurisdiction="eu", retention=own)
    assert until(policy.retention_profile, facts("2004-03-10")) == {"end-of-treatment": D("2034-03-10")}
    assert msgspec.json.decode(msgspec.json.encode(policy), type=ClinicPolicy) == policy


SOUND = RetentionRule(ground="end-of-treatment", years=7, source="Somebody's law.")
CHILD = RetentionRule(ground="minor", until_age=25, source="Somebody's law.")


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (CHILD,),
        (SOUND, SOUND),
        (msgspec.structs.replace(SOUND, years=None),),
        (msgspec.structs.replace(SOUND, years=0),),
        (msgspec.structs.replace(SOUND, years=151),),
        (msgspec.structs.replace(SOUND, source=" "),),
        (msgspec.structs.replace(SOUND, replaces=("end-of-treatment",)),),
        (SOUND, msgspec.structs.replace(CHILD, until_age=None)),
        (SOUND, msgspec.structs.replace(CHILD, until_age=17)),
        (SOUND, msgspec.structs.replace(CHILD, from_age=18)),
        (SOUND, msgspec.structs.replace(CHILD, from_age=-1)),
    ],
)
def test_a_profile_that_cannot_be_counted_with_is_refused(rules: tuple[RetentionRule, ...]) -> None:
    with pytest.raises(InvalidContent):
        profile_of("uk", RetentionProfile(name="own", label="Ours", jurisdiction="uk", rules=rules))


def test_a_profile_that_nobody_knows_is_refused() -> None:
    for jurisdiction, chosen in (("uk", "nowhere"), ("nowhere", None)):
        with pytest.raises(InvalidContent):
            profile_of(jurisdiction, chosen)


# --- nothing happens by itself


OF_RETENTION = (
    "records/retention.py",
    "records/retention_profiles.py",
    "records/legal_hold.py",
    "projections/retention.py",
    "projections/sections/retention.py",
    "projections/sections/legal_holds.py",
    "api/retention.py",
    "api/legal_holds.py",
    "ops/commands/retention.py",
)
FORBIDDEN = re.compile(r"eras|destroy|delet|purg|forget|unlink|rmtree|thread|timer|sched|sleep")
HARMLESS = {"may_be_erased", "erased"}
"""What asks whether a record may be erased, and what says which were, so that those are not listed as due."""


@pytest.mark.parametrize("name", OF_RETENTION)
def test_no_code_leads_from_a_deadline_to_an_erasure(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            used |= {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
    assert {each for each in used - HARMLESS if FORBIDDEN.search(each.lower())} == set()


def test_the_duties_that_ask_for_retention_only_read_or_set_the_profile() -> None:
    tree = ast.parse((ROOT / "ops" / "duties.py").read_text("utf-8"))
    duties = {part.name: ast.unparse(part) for part in tree.body if isinstance(part, ast.FunctionDef)}
    told = duties["_due"] + duties["_retention_profile"]
    assert told.count("service.view(") == 1
    assert re.findall(r"service\.transact\(.*?(\w+), request", told) == ["change_policy"]
