"""Purging an erased client: only then, all of it, wherever it was stopped; and everybody else reads the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from projections.client_view import CLIENT_VIEW
from projections.erasures import CLIENT_ERASURES
from records.actors import Actor, Role
from records.errors import Erased, NotPermitted, RuleBroken, UnknownItem
from records.followed_log import FollowedLog
from records.ledger import Kind, decode_entry
from records.purging import Purged, purge
from records.scrub import check_payloads
from records.sealing import PURGED
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic

CANARY = "canary-77f0"


class Killed(BaseException):
    """What a process that is killed does not catch either."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StaffedClinic]:
    """A clinic on each engine in turn; when the test is done, its log must hold every invariant."""
    monkeypatch.setattr("records.purging.AT_ONCE", 2)
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", database_url=url)
    yield made
    check_store(made.store)
    made.close()


def told(clinic: StaffedClinic, family: str = CANARY) -> UUID:
    """Register a client with a few notes."""
    client = clinic.register(family=family)
    for number in range(5):
        clinic.note(client, f"{family} came for the {number}th time.")
    clinic.see(CLIENT_VIEW, client)
    return client


def purge_it(
    clinic: StaffedClinic,
    erasure: UUID,
    by: Role | Actor = Role.PRIVACY_OFFICER,
    progress: Any = lambda _done, _of: None,
) -> Purged:
    return purge(clinic.service, clinic.store, erasure, clinic.request(by), progress)


def states(clinic: StaffedClinic, client: UUID) -> list[int]:
    """Return the first byte of each stored event of a client."""
    return [row.state[0] for row in clinic.store.history(client)]


def purges(clinic: StaffedClinic) -> list[tuple[UUID, int]]:
    """Return which events the log says are purged."""
    entries = [decode_entry(raw) for _, raw in clinic.store.entries(-1, 10_000)]
    return [(entry.stream, entry.version) for entry in entries if entry.kind is Kind.PAYLOAD_PURGED]


def require_purged(clinic: StaffedClinic, client: UUID) -> None:
    """Hold a clinic to what a purge promises."""
    left = states(clinic, client)
    assert set(left) == {PURGED}
    assert purges(clinic) == [(client, version) for version in range(1, len(left) + 1)]
    entries = clinic.store.entries(-1, 10_000)
    check_payloads(clinic.store, entries)
    FollowedLog().follow(entries, clinic.store.body)
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    (item,) = clinic.see(CLIENT_ERASURES, client, by=Role.PRIVACY_OFFICER).items
    assert item.state == "completed"


def test_all_that_the_client_left_goes_and_nothing_else(clinic: StaffedClinic) -> None:
    client, other = told(clinic), told(clinic, "Quillfeather")
    before = clinic.see(CLIENT_VIEW, other)
    erasure, _ = clinic.erase(client)
    count, kept = len(states(clinic, client)), states(clinic, other)
    readings = clinic.store.history(clinic.service.streams.access(client))
    reported: list[tuple[int, int]] = []
    done = purge_it(clinic, erasure, progress=lambda *at: reported.append(at))
    assert done == Purged(client, count, count, swept=True)
    assert [at for at, _ in reported] == [*range(2, count, 2), count]
    require_purged(clinic, client)
    assert states(clinic, other) == kept
    assert clinic.see(CLIENT_VIEW, other) == before
    # Who read the record stays on record.
    assert clinic.store.history(clinic.service.streams.access(client))[: len(readings)] == readings
    state = clinic.service.directory.clinic.erasures[erasure]
    assert (state.purged, state.completed_at is not None) == (count, True)
    clinic.reopen()
    assert clinic.service.directory.clinic.erasures[erasure].purged == count
    assert clinic.see(CLIENT_VIEW, other) == before


def test_again_it_does_nothing_and_says_so(clinic: StaffedClinic) -> None:
    client = told(clinic)
    erasure, _ = clinic.erase(client)
    first = purge_it(clinic, erasure)
    size = clinic.store.head().next_index
    again = purge_it(clinic, erasure, by=Role.OPERATOR)
    assert again == first._replace(now=0)
    assert clinic.store.head().next_index == size
    require_purged(clinic, client)


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_killed_anywhere_the_same_call_does_the_rest(clinic: StaffedClinic, commits: int) -> None:
    client = told(clinic)
    erasure, _ = clinic.erase(client)
    count = len(states(clinic, client))
    left = commits

    def progress(_done: int, _of: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        purge_it(clinic, erasure, progress=progress)
    assert states(clinic, client).count(PURGED) == min(2 * commits, count)
    check_store(clinic.store)
    clinic.reopen()
    assert clinic.service.directory.clinic.erasures[erasure].purged is None
    done = purge_it(clinic, erasure)
    assert (done.now, done.total) == (count - min(2 * commits, count), count)
    require_purged(clinic, client)


@pytest.mark.parametrize("stage", ["requested", "approved", "withdrawn"])
def test_what_is_not_erased_is_not_purged(clinic: StaffedClinic, stage: str) -> None:
    client, erasure = told(clinic), uuid4()
    if stage == "approved":
        erasure, _ = clinic.approve_erasure(client)
    else:
        clinic.opened.erasure.request(client, erasure, "court-order", clinic.request(Role.RECORDS_CLERK))
    if stage == "withdrawn":
        clinic.opened.erasure.withdraw(client, erasure, "ground-not-met", clinic.request(Role.PRIVACY_OFFICER))
    kept = clinic.store.history(client)
    # An approved record is closed to everything but what the erasure itself asks.
    with pytest.raises(RuleBroken) as refused:
        purge_it(clinic, erasure)
    assert refused.value.rule == "erasure-open"
    assert clinic.store.history(client) == kept
    assert purges(clinic) == []
    last = clinic.reader.access_events(client)[-1].event
    assert (last.action, last.outcome, last.resource) == ("erasure.purge", "deny", erasure)


@pytest.mark.parametrize("by", [Role.THERAPIST, Role.SUPERVISOR, Role.RECORDS_CLERK, Role.FRONT_DESK])
def test_nobody_else_may(clinic: StaffedClinic, by: Role) -> None:
    client = told(clinic)
    erasure, _ = clinic.erase(client)
    with pytest.raises(NotPermitted):
        purge_it(clinic, erasure, by=by)
    with pytest.raises(NotPermitted):
        purge_it(clinic, uuid4(), by=by)
    assert PURGED not in states(clinic, client)
    assert clinic.reader.access_events(client)[-1].event.action == "erasure.purge"


def test_there_is_no_such_erasure(clinic: StaffedClinic) -> None:
    with pytest.raises(UnknownItem):
        purge_it(clinic, uuid4())
