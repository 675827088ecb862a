"""Problems: every error has its row and its page, and an unforeseen one tells nothing but its request id."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.problems import OF_ERRORS, ROWS, name_of
from records import errors
from records.errors import IntegrityFailure, WellkeptError
from records.policy import TABLE
from records.service import Service
from tests.api.caller import Served
from tests.doors import FaultyStore


def leaves(above: type[WellkeptError]) -> Iterator[type[WellkeptError]]:
    """Return the errors of the tree that are raised."""
    below = [each for each in above.__subclasses__() if each.__module__ == errors.__name__]
    if not below or above in (errors.RuleBroken, errors.KeyMissing):
        yield above
    for each in below:
        yield from leaves(each)


def test_every_error_has_a_row() -> None:
    found = set(leaves(WellkeptError))
    assert len(found) >= 18
    assert found == set(OF_ERRORS)
    assert set(OF_ERRORS.values()) <= set(ROWS)


def test_what_is_no_error_of_the_record_is_a_defect() -> None:
    assert name_of(KeyError("canary")) is None
    assert name_of(IntegrityFailure("x")) == "integrity-failure"


def test_every_problem_has_a_page(served: Served) -> None:
    for name, row in ROWS.items():
        page = served.call("GET", f"/problems/{name}", by=None)
        assert page.status_code == 200
        assert row.title in page.text


def test_pages_ask_nothing_of_others(served: Served) -> None:
    for path in ("/docs", "/policy", "/problems/stale"):
        page = served.call("GET", path, by=None).text
        assert "src=" not in page
        assert "http" not in page


def test_the_policy_page_shows_the_whole_table(served: Served) -> None:
    page = served.call("GET", "/policy", by=None).text
    assert all(f"<td>{action}</td>" in page for action in TABLE)
    assert "supervises (HQUALIMP)" in page


def test_an_unforeseen_error_tells_nothing(served: Served) -> None:
    def broken() -> Iterator[str]:
        raise ValueError("canary-5150")

    served.settings["ready"] = broken
    served.serve(served.clinic.opened)
    answered = served.http.get("/readyz")
    assert answered.status_code == 500
    assert answered.json == {
        "type": "/problems/defect",
        "title": "Defect",
        "status": 500,
        "detail": ROWS["defect"].meaning,
        "request_id": answered.headers["X-Request-Id"],
    }
    (code, facts), *_ = served.alarms
    assert code == "http.defect"
    assert facts["error"] == "ValueError"
    assert "canary" not in str(facts)


def test_not_ready_names_its_faults(served: Served) -> None:
    served.settings["ready"] = lambda: ["seal"]
    served.serve(served.clinic.opened)
    answered = served.call("GET", "/readyz", by=None)
    assert answered.status_code == 503
    assert answered.json == {"status": "not-ready", "faults": ["seal"]}
    assert served.call("GET", "/healthz", by=None).status_code == 200


@pytest.mark.parametrize(
    ("error", "name", "alarmed"),
    [
        (errors.NotStored, "not-stored", False),
        (errors.OutcomeUnknown, "outcome-unknown", False),
        (errors.ClinicLocked, "locked", False),
        (errors.LostRace, "not-stored", False),
        (errors.KeyMissing, "key-missing", True),
        (errors.KeyProviderUnreachable, "keys-unreachable", False),
        (errors.LedgerMismatch, "integrity-failure", True),
        (errors.SealBroken, "integrity-failure", True),
    ],
)
def test_faults_of_the_log_are_told_as_such(
    served: Served, error: type[WellkeptError], name: str, alarmed: bool
) -> None:
    opened = served.clinic.opened
    store = FaultyStore(served.clinic.store)
    service = Service(store, opened.keyring, served.clinic.clock, lambda *told: None)  # type: ignore[arg-type]  # a store
    served.serve(opened._replace(service=service))
    store.fails = error  # type: ignore[assignment]  # any error of the log
    answered = served.get()
    assert answered.status_code == 503
    assert answered.headers["Retry-After"]
    assert answered.json is not None
    assert answered.json["type"] == f"/problems/{name}"
    assert [code for code, _ in served.alarms] == ["http.integrity"] * alarmed
    store.fails = None
    assert served.get().status_code == 200
