"""The rules that find readings to look at: each alone, with what it finds and what it leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from projections.patterns import (
    RULES,
    SHOWS_MANY,
    Person,
    Reading,
    Treated,
    after_episode_closed,
    bulk,
    colleague_as_client,
    find_all,
    out_of_hours,
    outside_care_team,
    own_record,
    reading_of,
    same_surname_or_address,
)
from records.access import AccessRecorded
from records.clinic_policy import ClinicPolicy
from records.event import Recorded
from records.policy import TOLD_WHEN_DONE

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
EVERY_DAY = range(7)
CLIENT, OTHER = UUID(int=1), UUID(int=2)
PEOPLE = {"jo": Person("Jo Lind"), "kim": Person("Kim van Dyke"), "sam": Person("Sam Vale")}


def reading(position: int = 0, **facts: object) -> Reading:
    """Return a reading by a member of the care team at noon, but for the facts given."""
    usual: dict[str, object] = {
        "at": NOON + timedelta(seconds=position),
        "staff": "jo",
        "role": "therapist",
        "relation": "team",
        "client": CLIENT,
        "action": "client.view",
    }
    return Reading(position, **{**usual, **facts})  # type: ignore[arg-type]  # facts of a test


def entry(**facts: object) -> Recorded:
    """Return an access entry in the log."""
    usual: dict[str, object] = {
        "occurred_at": NOON,
        "entered_by": "jo",
        "request_id": "r",
        "action": "client.view",
        "outcome": "permit",
        "role": "therapist",
        "relation": "team",
        "client_id": CLIENT,
    }
    return Recorded(AccessRecorded(**{**usual, **facts}), CLIENT, 1, 7, NOON)  # type: ignore[arg-type]  # facts of a test


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        ({}, True),
        ({"outcome": "deny", "reason": "relation"}, True),
        ({"outcome": "deny", "reason": "role", "action": "note.sign"}, True),
        ({"outcome": "deny", "reason": "purpose"}, False),
        ({"outcome": "deny", "reason": "consent-missing", "action": "session.book"}, False),
        ({"client_id": None}, False),
        *(({"action": action}, False) for action in sorted(SHOWS_MANY)),
        *(({"action": action}, False) for action in sorted(TOLD_WHEN_DONE)),
        ({"action": "legal_hold.place", "outcome": "deny", "reason": "role"}, True),
    ],
)
def test_what_opens_one_record_is_a_reading(facts: dict[str, object], counts: bool) -> None:
    assert (reading_of(entry(**facts)) is not None) == counts


def test_outside_the_care_team_are_attempts_and_those_whose_client_it_was_not() -> None:
    stranger, refused = reading(1, relation="none"), reading(2, relation="none", role="front_desk", refused="role")
    usual = [reading(3), reading(4, role="supervisor", relation="supervises")]
    desk = [reading(5, role=role, relation="none") for role in ("front_desk", "privacy_officer", "records_clerk")]
    assert outside_care_team([stranger, refused, *usual, *desk]) == [stranger, refused]


@pytest.mark.parametrize(
    ("staff", "client", "found"),
    [
        ("jo", Treated("LIND", "Ann"), True),
        ("kim", Treated("Van Dyké", "Ann"), True),
        ("kim", Treated("Dyke", "Ann"), True),
        ("jo", Treated("Linder", "Ann"), False),
        ("jo", Treated("", "Ann"), False),
        ("jo", Treated("Lind", "Jo"), False),
        ("nobody", Treated("Lind", "Ann"), False),
    ],
)
def test_the_same_surname(staff: str, client: Treated, found: bool) -> None:
    readings = [reading(staff=staff)]
    assert same_surname_or_address(readings, PEOPLE, {CLIENT: client}) == (readings if found else [])


def test_the_same_address() -> None:
    people = {"jo": Person("Jo Lind", address=b"here"), "sam": Person("Sam Vale")}
    clients = {CLIENT: Treated("Marsh", "Robin", b"here"), OTHER: Treated("Fen", "Ada", b"there")}
    mine, theirs = reading(1), reading(2, client=OTHER)
    unknown = reading(3, staff="sam", client=UUID(int=3))
    assert same_surname_or_address([mine, theirs, unknown], people, clients) == [mine]
    assert same_surname_or_address([unknown], people, {UUID(int=3): Treated("Fen", "Ada")}) == []


def test_a_colleague_as_client_by_name_or_by_link_and_never_oneself() -> None:
    clients = {CLIENT: Treated("Vale", "Sam"), OTHER: Treated("Marsh", "Robin")}
    linked = {**PEOPLE, "kim": Person("Kim van Dyke", client=OTHER)}
    by_name, by_link, own = reading(1), reading(2, client=OTHER), reading(3, staff="kim", client=OTHER)
    assert colleague_as_client([by_name, by_link, own], linked, clients) == [by_name, by_link]
    assert colleague_as_client([by_link], PEOPLE, clients) == []


@pytest.mark.parametrize(
    ("episodes", "found"),
    [
        ((), False),
        (((0, None),), False),
        (((0, 60),), True),
        (((0, 71),), False),
        (((0, 60), (80, None)), False),
        (((0, 60), (101, None)), True),
        (((0, 60), (65, 80)), False),
    ],
)
def test_after_the_last_episode_was_closed(episodes: tuple[tuple[int, int | None], ...], found: bool) -> None:
    begin = NOON - timedelta(days=100)
    spans = tuple(
        (begin + timedelta(days=first), None if last is None else begin + timedelta(days=last))
        for first, last in episodes
    )
    clients = {CLIENT: Treated("Marsh", "Robin", None, spans)}
    readings = [reading()]
    assert after_episode_closed(readings, clients, 30) == (readings if found else [])
    assert after_episode_closed([reading(relation="none")], clients, 30) == []


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-03-02T07:00:00+00:00", False),
        ("2026-03-02T06:59:59+00:00", True),
        ("2026-03-02T20:59:59+00:00", False),
        ("2026-03-02T21:00:00+00:00", True),
        ("2026-07-06T06:30:00+00:00", False),
        ("2026-07-06T20:30:00+00:00", True),
    ],
    ids=["opens", "before", "last", "closed", "summer morning", "summer evening"],
)
def test_out_of_hours_is_by_the_clock_of_the_clinic(at: str, found: bool) -> None:
    readings = [reading(at=datetime.fromisoformat(at))]
    assert out_of_hours(readings, LONDON, 7, 21, EVERY_DAY) == (readings if found else [])


def test_out_of_hours_is_also_by_the_day() -> None:
    monday, sunday = reading(1), reading(2, at=NOON + timedelta(days=6))
    assert out_of_hours([monday, sunday], LONDON, 0, 24, range(6)) == [sunday]


def test_bulk_is_more_clients_within_an_hour_than_the_clinic_says() -> None:
    many = [reading(n, at=NOON + timedelta(minutes=10 * n), client=UUID(int=n)) for n in range(8)]
    assert bulk(many, 6) == []
    assert bulk(many, 5) == many
    assert bulk([each._replace(client=CLIENT) for each in many], 1) == []
    assert bulk([each._replace(staff=str(each.position)) for each in many], 1) == []
    late = reading(9, at=NOON + timedelta(hours=9), client=UUID(int=99))
    assert bulk([*many, late], 5) == many


def test_ones_own_record_by_link_or_by_full_name() -> None:
    clients = {CLIENT: Treated("Lind", "Jo"), OTHER: Treated("Marsh", "Robin")}
    named, other = reading(1), reading(2, client=OTHER)
    assert own_record([named, other], PEOPLE, clients) == [named]
    linked = {**PEOPLE, "jo": Person("Jo Lind", client=OTHER)}
    assert own_record([named, other], linked, clients) == [other]
    assert own_record([reading(3, client=UUID(int=3))], linked, {}) == []


@over(st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(sorted(PEOPLE)), st.integers(1, 9)), max_size=60))
def test_rules_are_deterministic_and_only_ever_find_what_was_read(seeds: list[tuple[int, str, int]]) -> None:
    readings = [
        reading(n, at=NOON + timedelta(minutes=minutes), staff=staff, client=UUID(int=client))
        for n, (minutes, staff, client) in enumerate(seeds)
    ]
    clients = {UUID(int=n): Treated("Vale", "Sam") for n in range(1, 5)}
    found = find_all(readings, PEOPLE, clients, ClinicPolicy(bulk_clients_an_hour=2))
    assert found == find_all(readings, PEOPLE, clients, ClinicPolicy(bulk_clients_an_hour=2))
    assert list(found) == list(RULES)
    for of_rule in found.values():
        assert set(of_rule) <= set(readings)
        assert [each.position for each in of_rule] == sorted({each.position for each in of_rule})
