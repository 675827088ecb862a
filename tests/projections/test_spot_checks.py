"""Spot checks over a real clinic on each engine: drawn over HTTP, listed, drawn again, decided, found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from projections.client_view import CLIENT_VIEW
from projections.spot_checks import SPOT_CHECKS, SpotCheckList
from records.access import AccessRecorded
from records.actors import Role
from records.spot_checks import draw_spot_check
from tests.api.caller import ADMIN, OFFICER, Served, T
from tests.clinic import make_clinic

PATH = "/v1/audit/spot-checks"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A clinic on each engine, behind its app, in which a record was opened twelve times and listed often."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = Served(make_clinic(tmp_path / "clinic", database_url=url))
    for _ in range(12):
        made.clinic.see(CLIENT_VIEW, made.client_id)
        made.clinic.see(made.clinic.opened.roster.caseload)
    yield made
    made.clinic.close()


def drawn(served: Served, **rest: Any) -> dict[str, Any]:
    """Draw, and return the draw as it is listed."""
    made = served.call("POST", PATH, {}, by=OFFICER, **rest)
    assert made.status_code == 201, made.json
    shown = served.call("GET", made.headers["Location"], by=OFFICER)
    assert shown.status_code == 200
    assert shown.json is not None
    assert shown.json["as_drawn"] is True
    found: dict[str, Any] = shown.json["draw"]
    return found


def decide(served: Served, draw: dict[str, Any], place: int, outcome: str, ground: str, **rest: Any) -> Any:
    """Decide on one reading of a draw."""
    body = {"index": draw["checks"][place]["index"], "outcome": outcome, "ground": ground}
    return served.call("POST", f"{PATH}/{draw['id']}/decisions", body, **{"by": OFFICER, **rest})


def test_a_draw_takes_openings_of_records_only(served: Served) -> None:
    draw = drawn(served)
    assert len(draw["checks"]) == draw["size"] == draw["open"] == 10
    entries = {each.index: each.event for each in served.clinic.reader.access_entries(-1, 10_000)[0]}
    for check in draw["checks"]:
        event = entries[check["index"]]
        assert isinstance(event, AccessRecorded)
        assert (event.action, event.outcome, event.entered_by) == ("client.view", "permit", check["staff"])
        assert check["staff_name"] == "Jo Lind"
    assert draw["passed_over"] > 0
    assert draw["entries"] == len([index for index in entries if index <= draw["upto"]])


def test_each_reading_is_in_one_draw(served: Served) -> None:
    first = drawn(served)
    nothing = served.call("POST", PATH, {}, by=OFFICER)
    assert nothing.status_code == 409
    assert nothing.json is not None
    assert nothing.json["rule"] == "nothing-to-check"
    served.clinic.see(CLIENT_VIEW, served.client_id)
    second = drawn(served)
    assert (first["after"], second["after"]) == (-1, first["upto"])
    assert len(second["checks"]) == 1
    assert first["seed"] != second["seed"]


def test_a_draw_sent_again_is_the_same_draw(served: Served) -> None:
    first = served.call("POST", PATH, {}, by=OFFICER, key="one")
    again = served.call("POST", PATH, {}, by=OFFICER, key="one")
    assert (again.status_code, again.json) == (201, first.json)
    assert len(served.clinic.service.directory.clinic.draws) == 1


def test_what_was_decided_stands_after_a_restart_and_the_open_ones_are_counted(served: Served) -> None:
    draw = drawn(served)
    assert decide(served, draw, 0, "in-order", "care").status_code == 201
    assert decide(served, draw, 1, "query", "asked-reader").status_code == 201
    assert decide(served, draw, 2, "breach", "no-need").status_code == 201
    again = decide(served, draw, 2, "breach", "no-need")
    assert again.status_code == 200
    refused = decide(served, draw, 2, "in-order", "care")
    assert refused.status_code == 409
    served.restart()
    listed = served.call("GET", PATH, by=OFFICER).json
    assert listed is not None
    assert listed["open"] == listed["items"][0]["open"] == 8
    outcomes = [(check["outcome"], check["decided_by_name"]) for check in listed["items"][0]["checks"][:4]]
    assert outcomes == [("in-order", "Pat Oakes"), ("query", "Pat Oakes"), ("breach", "Pat Oakes"), (None, None)]
    assert listed["items"][0]["version"] == again.json["version"]


def test_only_a_second_officer_decides_on_what_an_officer_read(served: Served) -> None:
    drawn(served)
    assert served.get("/access-report", by=OFFICER).status_code == 200
    draw = drawn(served)
    (check,) = draw["checks"]
    assert check["staff"] == served.clinic.staff[OFFICER].id
    own = decide(served, draw, 0, "in-order", "oversight")
    assert own.status_code == 409
    assert own.json["rule"] == "own-reading"
    _, deputy = served.clinic.hire(OFFICER, "Lee Ash")
    assert decide(served, draw, 0, "in-order", "oversight", by=None, token=deputy).status_code == 201


def test_pages_and_only_what_is_open(served: Served) -> None:
    draws = [drawn(served)]
    for _ in range(2):
        served.clinic.see(CLIENT_VIEW, served.client_id)
        draws.append(drawn(served))
    decide(served, draws[1], 0, "in-order", "care")
    newest = served.call("GET", f"{PATH}?limit=2", by=OFFICER).json
    assert newest is not None
    assert [item["id"] for item in newest["items"]] == [draws[2]["id"], draws[1]["id"]]
    rest = served.call("GET", f"{PATH}?limit=2&cursor={newest['next']}", by=OFFICER).json
    assert rest is not None
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([draws[0]["id"]], None)
    still = served.call("GET", f"{PATH}?open=true", by=OFFICER).json
    assert still is not None
    assert [item["id"] for item in still["items"]] == [draws[2]["id"], draws[0]["id"]]
    assert newest["due_at"] > draws[2]["drawn_at"]


def test_the_list_names_no_client_and_is_one_entry(served: Served) -> None:
    drawn(served)
    stored, of_client = served.stored(), len(served.access())
    listed: SpotCheckList = served.clinic.see(SPOT_CHECKS, by=OFFICER)
    assert str(served.client_id) not in msgspec.json.encode(listed).decode()
    assert (served.stored(), len(served.access())) == (stored + 1, of_client)


def test_a_draw_by_hand_shows(served: Served) -> None:
    readers = {each.index: each.event.entered_by for each in served.clinic.reader.access_events(served.client_id)}
    chosen = sorted(readers)[:1]
    served.clinic.do(
        served.clinic.service.streams.clinic,
        draw_spot_check,
        by=OFFICER,
        draw_id=served.client_id,
        seed=bytes(32),
        after=-1,
        upto=served.clinic.reader.position(),
        entries=chosen,
        readers=readers,
    )
    shown = served.call("GET", f"{PATH}/{served.client_id}", by=OFFICER).json
    assert shown is not None
    assert shown["as_drawn"] is False


def test_whoever_may_not_draw_is_told_nothing(served: Served) -> None:
    for role in (T, ADMIN, Role.SUPERVISOR):
        assert served.call("POST", PATH, {}, by=role).status_code == 403
        assert served.call("GET", PATH, by=role).status_code == 403
    assert served.call("GET", f"{PATH}/{served.client_id}", by=OFFICER).status_code == 404
