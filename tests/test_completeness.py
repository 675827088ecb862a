"""The newcomer's guide: add an event, a decision or an error, and what fails here says what is still missing, in order.

1. A golden payload: `python -m tests.test_golden --write-missing`, then commit the two files.
2. The event is shown or ignored by each view: its `SHOWS` or `IGNORED` in `projections/`.
3. A decision makes the event, or it is one that the service makes itself (`MADE_BY_THE_SERVICE`).
4. The decision's permission has a row in the policy table (`records/policy.py`).
5. The decision has a route in `api/`, or it is one for commands only (`COMMANDS_ONLY`) or of a door (`DOORS_OWN`).
6. An error has its problem row (`api/problems.py`).
7. The concept's file has its test file of the same name.
8. The reference names it: `make docs`, then commit `docs/reference/`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import projections
from api.problems import OF_ERRORS, OF_STATUS, ROWS
from records import catalogue, errors
from records.catalogue import CATALOGUE, CONCEPTS
from records.decision import Decision
from records.event import Event
from records.policy import TABLE
from tests.test_golden import FILES, current

ROOT = Path(__file__).parent.parent

MADE_BY_THE_SERVICE = {"access.recorded": "the doors make it for each reading and each refusal"}
"""Topic → who makes it, where no decision does."""

COMMANDS_ONLY = {
    "found_clinic": "wellkept init",
    "change_policy": "wellkept load and wellkept demo; a route of its own comes with the clinic's settings",
    "create_account": "wellkept user add",
    "disable_account": "wellkept user disable",
    "change_role": "no command changes a role yet; the decision is what a later one calls",
    "record_ties": "wellkept user ties",
    "issue_token": "wellkept token issue",
    "revoke_token": "wellkept token revoke",
    "enrol_second_factor": "wellkept user totp",
    "note_purge": "wellkept erase purge",
    "import_record": "wellkept import",
}
"""Decision without a route → the command that makes it."""

DOORS_OWN = {
    "use_code": "`records.emergency_door`, when an access is confirmed, and with each grant",
    "refuse_code": "`records.emergency_door`, when a code is wrong",
    "complete_erasure": "`records.erasing`, when the keys are destroyed",
    "open_emergency_access": "`records.service`, with the first reading under a grant",
}
"""Decision that a route reaches only through a door → that door."""

DECISIONS: dict[str, Decision] = {
    name: value
    for concept in CONCEPTS
    for name, value in vars(concept).items()
    if isinstance(value, Decision) and value.decide.__module__ == concept.__name__
}
LEAVES = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.WellkeptError) and not kind.__subclasses__()
]


def views() -> list[ModuleType]:
    """Return the modules of `projections` that show events."""
    modules = [
        importlib.import_module(f"projections.{found.name}") for found in pkgutil.iter_modules(projections.__path__)
    ]
    return [module for module in modules if hasattr(module, "SHOWS") and hasattr(module, "IGNORED")]


def made_in(concept: ModuleType) -> set[str]:
    """Return the names that the functions of a concept file, and its tables other than `EVENTS`, use."""
    used: set[str] = set()
    for part in ast.parse(inspect.getsource(concept)).body:
        names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        if isinstance(part, ast.FunctionDef) or (
            isinstance(part, ast.Assign | ast.AnnAssign) and not names & {"EVENTS", "Literal"}
        ):
            used |= names
    return used


def used_in_routes() -> set[str]:
    """Return every name that the files of `api` use from elsewhere."""
    found: set[str] = set()
    for path in (ROOT / "api").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_1_an_event_has_a_golden_payload(cls: type[Event]) -> None:
    assert current(cls) in FILES, "run `python -m tests.test_golden --write-missing` and commit what it wrote"


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_2_an_event_is_shown_or_ignored_by_each_view(cls: type[Event]) -> None:
    found = views()
    assert len(found) >= 3, "the views were not found"
    for view in found:
        assert (cls in view.SHOWS) != (cls in view.IGNORED), f"{view.__name__} neither shows it nor ignores it, or both"


@pytest.mark.parametrize(("topic", "cls"), CATALOGUE.items(), ids=CATALOGUE)
def test_3_a_decision_makes_the_event(topic: str, cls: type[Event]) -> None:
    concept = next(concept for concept in CONCEPTS if cls.__module__ == concept.__name__)
    assert (cls.__name__ in made_in(concept)) != (topic in MADE_BY_THE_SERVICE)


@pytest.mark.parametrize("name", DECISIONS)
def test_4_a_decision_has_its_permission_in_the_policy_table(name: str) -> None:
    assert DECISIONS[name].permission in TABLE


@pytest.mark.parametrize("name", DECISIONS)
def test_5_a_decision_has_a_route_or_a_command(name: str) -> None:
    assert [name in used_in_routes(), name in COMMANDS_ONLY, name in DOORS_OWN].count(True) == 1


@pytest.mark.parametrize("leaf", LEAVES)
def test_6_an_error_has_its_problem_row(leaf: type[errors.WellkeptError]) -> None:
    assert leaf in OF_ERRORS, "add a row to api/problems.py"
    assert OF_ERRORS[leaf] in ROWS


@pytest.mark.parametrize("concept", CONCEPTS, ids=[concept.__name__ for concept in CONCEPTS])
def test_7_a_concept_has_its_tests(concept: ModuleType) -> None:
    name = concept.__name__.removeprefix("records.")
    file = {"access": "access_log"}.get(name, name)
    assert (ROOT / "tests" / "records" / f"test_{file}.py").exists()


@pytest.mark.parametrize(
    ("page", "names"), [("events.md", list(CATALOGUE)), ("errors.md", [leaf.__name__ for leaf in LEAVES])]
)
def test_8_the_reference_names_it(page: str, names: list[str]) -> None:
    text = (ROOT / "docs" / "reference" / page).read_text("utf-8")
    internal = {errors.LostRace.__name__}
    assert [name for name in names if f"`{name}`" not in text and name not in internal] == [], "run `make docs`"


def test_the_guide_itself_sees_everything() -> None:
    assert len(DECISIONS) > 30
    assert len(LEAVES) > 12
    assert set(OF_STATUS.values()) <= set(ROWS)
    assert set(COMMANDS_ONLY) | set(DOORS_OWN) <= set(DECISIONS)
    assert set(MADE_BY_THE_SERVICE) <= set(catalogue.CATALOGUE)
