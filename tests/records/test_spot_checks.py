"""Spot checks: the draw is its seed's and nobody's else, each entry is in one draw, and nobody decides on their own."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context, Decision
from records.errors import InvalidContent, RuleBroken, UnknownItem, WellkeptError
from records.event import Event
from records.spot_checks import (
    FINAL,
    GROUNDS,
    SpotCheckDecided,
    SpotCheckDrawn,
    decide_spot_check,
    draw,
    draw_spot_check,
    in_order_of_chance,
)
from tests.given import NOW

OFFICER, DEPUTY = (Actor(str(uuid4()), Role.PRIVACY_OFFICER) for _ in range(2))
DRAW = uuid4()
SEED = bytes(range(32))
ENTRIES = list(range(10, 60))
READERS: dict[int, str | None] = {index: None if index % 3 == 0 else f"staff-{index % 5}" for index in ENTRIES}


class Clinic:
    """The clinic's record and what is decided on it."""

    def __init__(self, size: int = 4) -> None:
        self.record = ClinicRecord(policy=ClinicPolicy(spot_check_size=size))

    def when(self, decision: Decision, *, by: Actor = OFFICER, **arguments: Any) -> list[Event]:
        context = Context(actor=by, at=NOW, request_id="when", policy=self.record.policy)
        events = list(decision(self.record, context, **arguments))
        for event in events:
            event.apply(self.record, self.record.version + 1)
        return events

    def refused(self, decision: Decision, error: type[WellkeptError], **arguments: Any) -> Any:
        before = repr(self.record)
        with pytest.raises(error) as caught:
            self.when(decision, **arguments)
        assert type(caught.value) is error
        assert repr(self.record) == before
        return caught.value

    def draw(self, **facts: Any) -> SpotCheckDrawn:
        told = {"draw_id": DRAW, "seed": SEED, "after": -1, "upto": 60, "entries": ENTRIES, "readers": READERS}
        (event,) = self.when(draw_spot_check, **{**told, **facts})
        assert isinstance(event, SpotCheckDrawn)
        return event


@pytest.fixture
def drawn() -> Clinic:
    """A clinic with one draw."""
    clinic = Clinic()
    clinic.draw()
    return clinic


def first(clinic: Clinic) -> int:
    """Return a reading of the draw."""
    return next(iter(clinic.record.draws[DRAW].checks))


# --- the draw


def test_the_order_is_that_of_the_digests_of_seed_and_index() -> None:
    def digest(index: int) -> bytes:
        return hashlib.sha256(SEED + index.to_bytes(8, "big")).digest()

    order = in_order_of_chance(SEED, ENTRIES)
    assert [digest(index) for index in order] == sorted(digest(index) for index in ENTRIES)
    assert order != in_order_of_chance(bytes(32), ENTRIES)


def test_a_known_draw_is_drawn_for_ever() -> None:
    assert in_order_of_chance(bytes(32), range(8)) == [1, 6, 3, 0, 7, 4, 2, 5]


@over(
    seed=st.binary(min_size=32, max_size=32), entries=st.sets(st.integers(0, 500), max_size=80), size=st.integers(0, 9)
)
def test_a_draw_is_a_function_of_seed_and_range(seed: bytes, entries: set[int], size: int) -> None:
    readers = {index: f"staff-{index}" if index % 2 else None for index in entries}
    taken = draw(seed, sorted(entries), readers, size)
    assert taken == draw(seed, sorted(entries, reverse=True), readers, size)
    indexes = [each.index for each in taken.readings]
    assert len(set(indexes)) == len(indexes) == min(size, sum(index % 2 for index in entries))
    looked_at = in_order_of_chance(seed, list(entries))[: taken.passed_over + len(indexes)]
    assert [index for index in looked_at if index % 2] == indexes
    assert all(each.staff_id == readers[each.index] for each in taken.readings)


def test_chance_takes_every_entry_alike() -> None:
    readers = dict.fromkeys(ENTRIES, "staff")
    taken = dict.fromkeys(ENTRIES, 0)
    for number in range(1000):
        for each in draw(number.to_bytes(32, "big"), ENTRIES, readers, 5).readings:
            taken[each.index] += 1
    assert min(taken.values()) > 60
    assert max(taken.values()) < 145


def test_the_event_holds_what_it_takes_to_draw_again() -> None:
    event = Clinic().draw()
    again = draw(event.seed, ENTRIES, READERS, event.size)
    assert (again.readings, again.passed_over) == (event.readings, event.passed_over)
    assert (event.after, event.upto, event.entries, event.size) == (-1, 60, len(ENTRIES), 4)
    other = Clinic().draw(seed=bytes(32))
    assert other.readings != event.readings


def test_draws_follow_one_another_without_a_gap(drawn: Clinic) -> None:
    assert drawn.record.drawn_upto == 60
    told = {"draw_id": uuid4(), "seed": SEED, "upto": 90, "entries": [70], "readers": {70: "staff"}}
    for after in (-1, 59, 61):
        error = drawn.refused(draw_spot_check, RuleBroken, after=after, **told)
        assert error.rule == "spot-check-overtaken"
    (event,) = drawn.when(draw_spot_check, after=60, **told)
    assert isinstance(event, SpotCheckDrawn)
    assert drawn.record.drawn_upto == 90


def test_the_same_draw_again_changes_nothing_and_an_empty_range_draws_nothing(drawn: Clinic) -> None:
    told = {"seed": bytes(32), "after": 60, "upto": 70, "entries": [61], "readers": {61: None}}
    assert drawn.when(draw_spot_check, draw_id=DRAW, **told) == []
    assert drawn.refused(draw_spot_check, RuleBroken, draw_id=uuid4(), **told).rule == "nothing-to-check"
    unseen = {**told, "readers": {}}
    assert drawn.refused(draw_spot_check, RuleBroken, draw_id=uuid4(), **unseen).rule == "spot-check-overtaken"


# --- what is decided


@pytest.mark.parametrize("outcome", GROUNDS)
def test_each_outcome_takes_its_own_grounds_only(outcome: str) -> None:
    for ground in GROUNDS[outcome]:
        clinic = Clinic()
        clinic.draw()
        index = first(clinic)
        (event,) = clinic.when(decide_spot_check, draw_id=DRAW, index=index, outcome=outcome, ground=ground)
        assert isinstance(event, SpotCheckDecided)
        check = clinic.record.draws[DRAW].checks[index]
        assert (check.outcome, check.ground, check.decided_by) == (outcome, ground, OFFICER.id)
    clinic = Clinic()
    clinic.draw()
    for other in set(GROUNDS) - {outcome}:
        told = {"draw_id": DRAW, "index": first(clinic), "outcome": outcome, "ground": next(iter(GROUNDS[other]))}
        assert clinic.refused(decide_spot_check, InvalidContent, **told).pointer == "/ground"


def test_a_query_stays_open_and_the_rest_is_final(drawn: Clinic) -> None:
    told = {"draw_id": DRAW, "index": first(drawn)}
    for ground in ("asked-reader", "asked-supervisor"):
        drawn.when(decide_spot_check, outcome="query", ground=ground, **told)
    drawn.when(decide_spot_check, outcome="breach", ground="no-need", **told)
    assert drawn.when(decide_spot_check, outcome="breach", ground="no-need", **told) == []
    for outcome, ground in (("in-order", "care"), ("query", "asked-reader"), ("breach", "beyond-need")):
        error = drawn.refused(decide_spot_check, RuleBroken, outcome=outcome, ground=ground, **told)
        assert error.rule == "spot-check-decided"
    assert set(FINAL) < set(GROUNDS)


def test_nobody_decides_on_a_reading_of_their_own() -> None:
    clinic = Clinic()
    clinic.draw(entries=[1], readers={1: OFFICER.id})
    told = {"draw_id": DRAW, "index": 1, "outcome": "in-order", "ground": "oversight"}
    assert clinic.refused(decide_spot_check, RuleBroken, **told).rule == "own-reading"
    clinic.when(decide_spot_check, by=DEPUTY, **told)
    assert clinic.record.draws[DRAW].checks[1].decided_by == DEPUTY.id


@pytest.mark.parametrize("wrong", ["draw", "index"])
def test_what_was_not_drawn_cannot_be_decided_on(drawn: Clinic, wrong: str) -> None:
    key: UUID = uuid4() if wrong == "draw" else DRAW
    index = first(drawn) if wrong == "draw" else 9999
    drawn.refused(decide_spot_check, UnknownItem, draw_id=key, index=index, outcome="in-order", ground="care")
    told = {"draw_id": DRAW, "index": first(drawn), "outcome": "fine", "ground": "care"}
    assert drawn.refused(decide_spot_check, InvalidContent, **told).pointer == "/outcome"
