"""Tokens: who is let in, how often, and what is kept of those who are not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from api.rate_limit import FailedSignIns, Rate, RateLimit
from records.actors import Role
from records.errors import NotStored
from records.staff import change_role, disable_account, issue_token, revoke_token
from tests.api.caller import DESK, Served, T
from tests.clinic import make_clinic


class Watch:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Ticks:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[tuple[Served, Watch, Ticks]]:
    """A clinic whose clocks a test moves."""
    watch, ticks = Watch(), Ticks()
    clinic = make_clinic(tmp_path / "clinic", clock=watch)
    yield Served(clinic, monotonic=ticks), watch, ticks
    clinic.close()


def test_a_token_ends(timed: tuple[Served, Watch, Ticks]) -> None:
    served, watch, _ = timed
    assert served.get().status_code == 200
    watch.now += timedelta(days=30)
    answered = served.get()
    assert answered.status_code == 401
    assert answered.headers["WWW-Authenticate"].startswith("Bearer")


def test_revoked_and_disabled_at_the_next_request(served: Served) -> None:
    clinic = served.clinic
    person, token = clinic.hire(DESK)
    second, token_id = f"wk_{uuid4().hex}", uuid4()
    clinic.do(
        UUID(person.id),
        issue_token,
        by=Role.OPERATOR,
        token_id=token_id,
        digest=clinic.service.token_digest(second),
        expires_at=clinic.clock() + timedelta(days=1),
    )
    assert served.get(by=DESK, token=second).status_code == 200
    clinic.do(UUID(person.id), revoke_token, by=Role.OPERATOR, token_id=token_id)
    assert served.get(by=DESK, token=second).status_code == 401
    assert served.get(by=DESK, token=token).status_code == 200
    clinic.do(UUID(person.id), disable_account, by=Role.OPERATOR)
    assert served.get(by=DESK, token=token).status_code == 401


def test_another_role_at_the_next_request(served: Served) -> None:
    person, token = served.clinic.hire(DESK)
    assert served.get(by=DESK, token=token).status_code == 200
    served.clinic.do(UUID(person.id), change_role, by=Role.OPERATOR, role=Role.ADMINISTRATOR)
    assert served.get(by=DESK, token=token).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic d2s6d2s=",
        "Bearer wk_forged",
        f"Bearer {'x' * 300}",
        "Bearer \xe4\xf6",
        "Bearer a b",
    ],
)
def test_what_is_no_token(served: Served, header: str) -> None:
    answered = served.get(by=None, headers={"Authorization": header, "Purpose-Of-Use": "TREAT"})
    assert answered.status_code == 401
    assert served.access() == []


def test_the_scheme_may_be_written_as_one_likes(served: Served) -> None:
    token = served.clinic.tokens[T]
    answered = served.get(by=None, headers={"Authorization": f"bearer {token}", "Purpose-Of-Use": "TREAT"})
    assert answered.status_code == 200


def test_a_token_row_that_was_put_in_by_hand_is_nobody(served: Served) -> None:
    """The rows of somebody's own account, copied to another stream by whoever holds the database, let nobody in."""
    forged = uuid4()
    with closing(sqlite3.connect(served.clinic.opened.paths.database, isolation_level=None)) as database:
        own = UUID(served.clinic.staff[T].id)
        rows = database.execute(
            "SELECT originator_version, topic, state FROM stored_events WHERE originator_id IN (?, ?)",
            (own.hex, str(own)),
        ).fetchall()
        assert rows
        for version, topic, state in rows:
            database.execute(
                "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)",
                (forged.hex, version, topic, state),
            )
    served.restart()
    assert forged not in served.clinic.service.directory.staff
    assert served.get(by=None, headers={"Authorization": f"Bearer wk_{forged.hex}"}).status_code == 401
    assert served.get().status_code == 200


def test_each_token_has_its_limit_and_nothing_is_written(served: Served) -> None:
    ticks = Ticks()
    limited = Served.__new__(Served)
    limited.__dict__.update(served.__dict__)
    limited.settings = {"rate": Rate(burst=3, per_second=0.5), "monotonic": ticks}
    limited.serve(served.clinic.opened)
    assert [limited.get().status_code for _ in range(3)] == [200, 200, 200]
    stored = served.stored()
    answered = limited.get()
    assert answered.status_code == 429
    assert answered.headers["Retry-After"] == "2"
    assert limited.post("/notes", {"canary": 1}).status_code == 429
    assert served.stored() == stored
    assert limited.get(by=DESK).status_code == 200
    ticks.seconds += 2
    assert limited.get().status_code == 200
    assert limited.get().status_code == 429


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    ticks = Ticks()
    limit = RateLimit(Rate(burst=2, per_second=1), ticks)
    assert limit.take(b"a") is None
    ticks.seconds += 1000
    assert [limit.take(b"a") for _ in range(3)] == [None, None, 1]


def test_failed_sign_ins_are_one_entry_a_minute(timed: tuple[Served, Watch, Ticks]) -> None:
    served, _, ticks = timed
    # The first entry of a year makes the year's key, which has an entry of its own.
    assert served.get().status_code == 200
    stored = served.stored()
    for _ in range(5):
        assert served.get(by=None).status_code == 401
    assert served.stored() == stored + 1
    ticks.seconds += 61
    assert served.get().status_code == 200
    entries = served.access(None)
    assert [(entry.action, entry.outcome, entry.count) for entry in entries] == [
        ("sign_in", "deny", 1),
        ("sign_in", "deny", 4),
    ]
    assert served.access()[-1].action == "client.view"


def test_what_is_left_of_a_sum_can_be_told_at_once() -> None:
    told: list[int] = []
    failures = FailedSignIns(told.append, Ticks())
    failures.flush(now=True)
    failures.add()
    failures.add()
    failures.flush()
    assert told == [1]
    failures.flush(now=True)
    assert told == [1, 1]


def test_a_sum_that_cannot_be_told_is_kept() -> None:
    told: list[int] = []
    full = [True]

    def tell(count: int) -> None:
        if full:
            raise NotStored("the disk is full")
        told.append(count)

    ticks = Ticks()
    failures = FailedSignIns(tell, ticks)
    with pytest.raises(NotStored):
        failures.add()
    full.clear()
    ticks.seconds += 61
    failures.add()
    assert told == [2]


def test_public_addresses_need_no_token(served: Served) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/policy", "/problems/not-permitted"):
        assert served.call("GET", path, by=None).status_code == 200
    assert served.call("GET", "/problems/none", by=None).status_code == 404
