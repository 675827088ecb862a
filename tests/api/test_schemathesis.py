"""No undocumented answer, no 500, nothing that breaks the document accepted: found by Schemathesis, as every role.

The short form asks each operation in turn as whoever may do most and as everybody else. The long form asks all of it
again as each role, with longer texts and more chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from records.actors import Role
from tests.api.caller import Served
from tests.api.right_requests import RECIPES
from tests.api.schemathesis_asking import Answer, Campaign
from tests.clinic import ROLES, make_clinic

EVERYONE: tuple[Role | None, ...] = (*ROLES, None)
LEAST_REACHED = 0.9
LONG_TEXT = 20_000


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Answer]]:
    """The short form, asked once."""
    in_turn = [asking for role in EVERYONE for asking in (Role.THERAPIST, role)]
    clinic = make_clinic(tmp_path_factory.mktemp("schemathesis") / "clinic")
    yield ask(Served(clinic), in_turn, chances=3, longest_text=LONG_TEXT)
    clinic.close()


def ask(served: Served, roles: list[Role | None], chances: int, longest_text: int | None = None) -> list[Answer]:
    """Run a campaign."""
    campaign = Campaign(served, roles, chances, longest_text)
    campaign.run()
    return campaign.answers


def faults(answers: list[Answer]) -> list[str]:
    """Return what was found wrong, one text for each; a 500 is documented, and a fault all the same."""
    told = ((answer, "Is a defect." if answer.status == 500 else answer.fault) for answer in answers)
    return [f"{answer.operation} as {answer.role}: {fault}" for answer, fault in told if fault]


def test_every_answer_is_as_the_document_says(answers: list[Answer]) -> None:
    assert faults(answers) == []
    assert {answer.status for answer in answers} >= {200, 201, 400, 401, 403, 404, 405, 415, 422, 428}


def test_nine_of_ten_operations_are_reached(answers: list[Answer]) -> None:
    every = {answer.operation for answer in answers}
    reached = {answer.operation for answer in answers if answer.status < 300}
    assert set(RECIPES) < every
    assert len(reached) >= LEAST_REACHED * len(every), every - reached


def test_everybody_asks_everything(answers: list[Answer]) -> None:
    asked = {(answer.operation, answer.role) for answer in answers}
    assert {(operation, role) for operation in RECIPES for role in EVERYONE} <= asked


@pytest.mark.slow
@pytest.mark.parametrize("role", EVERYONE)
def test_every_answer_to_one_role_is_as_the_document_says(tmp_path: Path, role: Role | None) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    assert faults(ask(Served(clinic), [role], chances=25)) == []
    clinic.close()
