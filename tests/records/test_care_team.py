"""The care team: one part for each person, given by somebody else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from records.actors import Actor, Role
from records.care_team import CareTeamMemberAdded, CareTeamMemberRemoved, TeamRecord, put_member, remove_member
from records.clinic_policy import ClinicPolicy
from records.decision import Context, Decision
from records.errors import NotPermitted, RuleBroken
from records.event import Event
from tests.doors import Doors
from tests.given import CLIENT, NOW

DESK = Actor("desk", Role.FRONT_DESK)
ANNA, BEN = str(uuid4()), str(uuid4())


def decide(team: TeamRecord, decision: Decision, *, by: Actor = DESK, **arguments: Any) -> list[Event]:
    context = Context(actor=by, at=NOW, request_id="when", policy=ClinicPolicy())
    events = list(decision(team, context, **arguments))
    for event in events:
        event.apply(team, team.version + 1)
    return events


def test_a_person_has_one_part(team: TeamRecord) -> None:
    [added] = decide(team, put_member, staff_id=ANNA, part="team")
    assert isinstance(added, CareTeamMemberAdded)
    assert decide(team, put_member, staff_id=ANNA, part="team") == []
    decide(team, put_member, staff_id=BEN, part="team")
    decide(team, put_member, staff_id=ANNA, part="supervises")

    assert team.parts == {ANNA: "supervises", BEN: "team"}


def test_a_person_leaves_once(team: TeamRecord) -> None:
    decide(team, put_member, staff_id=ANNA, part="team")
    [removed] = decide(team, remove_member, staff_id=ANNA)

    assert isinstance(removed, CareTeamMemberRemoved)
    assert team.parts == {}
    assert decide(team, remove_member, staff_id=ANNA) == []


@pytest.mark.parametrize("part", ["team", "supervises"])
def test_nobody_adds_themselves(team: TeamRecord, part: str) -> None:
    own = Actor(ANNA, Role.THERAPIST)
    with pytest.raises(RuleBroken) as caught:
        decide(team, put_member, by=own, staff_id=ANNA, part=part)

    assert caught.value.rule == "own-membership"
    assert team.parts == {}


def test_nobody_promotes_themselves_to_the_supervision(team: TeamRecord) -> None:
    decide(team, put_member, staff_id=ANNA, part="team")
    with pytest.raises(RuleBroken):
        decide(team, put_member, by=Actor(ANNA, Role.THERAPIST), staff_id=ANNA, part="supervises")


def test_a_stranger_adds_neither_themselves_nor_a_friend(checked: Doors) -> None:
    client = checked.client()
    for staff_id in (checked.stranger.id, ANNA):
        with pytest.raises(NotPermitted):
            checked.service.transact(client, put_member, checked.ask(checked.stranger), staff_id=staff_id, part="team")

    assert [entry.reason for entry in checked.access(client)] == ["relation", "relation"]


@pytest.fixture
def team() -> TeamRecord:
    return TeamRecord(CLIENT)
