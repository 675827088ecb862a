"""Erasure: two people, a ground, nothing that forbids it; and a request is one of three things, once and for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context, Decision
from records.erasure import (
    WITHDRAWN_FOR,
    ErasureApproved,
    ErasureCompleted,
    ErasurePurged,
    ErasureRequested,
    ErasureWithdrawn,
    approve_erasure,
    complete_erasure,
    note_purge,
    request_erasure,
    withdraw_erasure,
)
from records.errors import InvalidContent, RuleBroken, UnknownItem, WellkeptError
from records.event import Event
from records.retention import BASES
from tests.given import NOW

CLERK, OFFICER, SUPERVISOR = (
    Actor(str(uuid4()), role) for role in (Role.RECORDS_CLERK, Role.PRIVACY_OFFICER, Role.SUPERVISOR)
)
CLIENT, ERASURE = uuid4(), uuid4()
HELD = ("A court asked that nothing be erased.",)


class Clinic:
    """The clinic's record and what is decided on it."""

    def __init__(self) -> None:
        self.record = ClinicRecord(policy=ClinicPolicy())

    def when(self, decision: Decision, *, by: Actor = CLERK, **arguments: Any) -> list[Event]:
        context = Context(actor=by, at=NOW, request_id="when", policy=self.record.policy)
        events = list(decision(self.record, context, **arguments))
        for event in events:
            event.apply(self.record, self.record.version + 1)
        return events

    def refused(self, decision: Decision, error: type[WellkeptError], **arguments: Any) -> Any:
        before = repr(self.record)
        with pytest.raises(error) as caught:
            self.when(decision, **arguments)
        assert repr(self.record) == before
        return caught.value

    def request(self, **facts: Any) -> list[Event]:
        told = {"erasure_id": ERASURE, "client_id": CLIENT, "basis": "client-request", "forbidden": ()}
        return self.when(request_erasure, **{**told, **facts})

    def approve(self, **facts: Any) -> list[Event]:
        told = {"by": OFFICER, "erasure_id": ERASURE, "forbidden": (), "disclosures": 2}
        return self.when(approve_erasure, **{**told, **facts})

    def complete(self, **facts: Any) -> list[Event]:
        told = {
            "erasure_id": ERASURE,
            "client_id": CLIENT,
            "key_ids": (b"k" * 16,),
            "generation": 2,
            "cached_until": NOW + timedelta(seconds=61),
        }
        return self.when(complete_erasure, **{**told, **facts})


@pytest.fixture
def requested() -> Clinic:
    """A clinic with one request."""
    clinic = Clinic()
    clinic.request()
    return clinic


@pytest.fixture
def approved(requested: Clinic) -> Clinic:
    """A clinic with one request that was approved."""
    requested.approve()
    return requested


# --- the request


@pytest.mark.parametrize("basis", BASES)
def test_it_is_requested_on_a_ground(basis: str) -> None:
    clinic = Clinic()
    (event,) = clinic.request(basis=basis)
    assert isinstance(event, ErasureRequested)
    assert (event.client_id, event.basis, event.entered_by) == (CLIENT, basis, CLERK.id)
    assert clinic.record.erasures[ERASURE].open
    assert clinic.record.erased == {}


def test_no_other_ground_is_taken() -> None:
    told = {"erasure_id": ERASURE, "client_id": CLIENT, "forbidden": ()}
    fault = Clinic().refused(request_erasure, InvalidContent, basis="because", **told)
    assert fault.pointer == "/basis"


def test_what_forbids_it_is_said_in_words() -> None:
    told = {"erasure_id": ERASURE, "client_id": CLIENT, "basis": "client-request"}
    fault = Clinic().refused(request_erasure, RuleBroken, forbidden=HELD, **told)
    assert (fault.rule, fault.detail) == ("retention", HELD[0])


def test_the_same_request_again_is_nothing_to_do(requested: Clinic) -> None:
    assert requested.request() == []


def test_a_second_request_waits_for_the_first(requested: Clinic) -> None:
    told = {"client_id": CLIENT, "basis": "client-request", "forbidden": ()}
    assert requested.refused(request_erasure, RuleBroken, erasure_id=uuid4(), **told).rule == "erasure-open"
    assert requested.refused(request_erasure, RuleBroken, by=OFFICER, erasure_id=ERASURE, **told).rule == (
        "erasure-exists"
    )
    requested.request(erasure_id=uuid4(), client_id=uuid4())


# --- the approval


def test_another_person_approves_and_the_record_is_closed(requested: Clinic) -> None:
    (event,) = requested.approve()
    assert isinstance(event, ErasureApproved)
    assert (event.client_id, event.disclosures) == (CLIENT, 2)
    state = requested.record.erasures[ERASURE]
    assert (state.requested_by, state.approved_by) == (CLERK.id, OFFICER.id)
    assert requested.record.erased == {CLIENT: ERASURE}
    assert requested.approve() == []


def test_whoever_asked_does_not_approve() -> None:
    clinic = Clinic()
    clinic.request(by=OFFICER)
    told = {"erasure_id": ERASURE, "forbidden": (), "disclosures": 0}
    assert clinic.refused(approve_erasure, RuleBroken, by=OFFICER, **told).rule == "own-approval"
    assert clinic.approve(by=SUPERVISOR) != []


def test_what_forbids_it_meanwhile_stops_the_approval(requested: Clinic) -> None:
    told = {"by": OFFICER, "erasure_id": ERASURE, "disclosures": 0}
    assert requested.refused(approve_erasure, RuleBroken, forbidden=HELD, **told).rule == "retention"


def test_a_request_that_is_not_there_is_not_approved() -> None:
    told = {"by": OFFICER, "erasure_id": ERASURE, "forbidden": (), "disclosures": 0}
    Clinic().refused(approve_erasure, UnknownItem, **told)


# --- withdrawing


@pytest.mark.parametrize("ground", WITHDRAWN_FOR)
def test_a_request_is_withdrawn_and_another_may_come(requested: Clinic, ground: str) -> None:
    (event,) = requested.when(withdraw_erasure, by=OFFICER, erasure_id=ERASURE, ground=ground)
    assert isinstance(event, ErasureWithdrawn)
    assert not requested.record.erasures[ERASURE].open
    assert requested.when(withdraw_erasure, by=OFFICER, erasure_id=ERASURE, ground=ground) == []
    told = {"by": OFFICER, "erasure_id": ERASURE, "forbidden": (), "disclosures": 0}
    assert requested.refused(approve_erasure, RuleBroken, **told).rule == "erasure-withdrawn"
    assert requested.request(erasure_id=uuid4()) != []


def test_what_was_approved_is_not_taken_back(approved: Clinic) -> None:
    told = {"by": OFFICER, "erasure_id": ERASURE}
    assert approved.refused(withdraw_erasure, RuleBroken, ground="ground-not-met", **told).rule == "erasure-approved"
    assert approved.refused(withdraw_erasure, InvalidContent, ground="sorry", **told).pointer == "/ground"


# --- completion


def test_it_is_done_once(approved: Clinic) -> None:
    (event,) = approved.complete()
    assert isinstance(event, ErasureCompleted)
    state = approved.record.erasures[ERASURE]
    assert (state.completed_at, state.generation, state.key_ids) == (NOW, 2, (b"k" * 16,))
    assert (state.approved_by, state.reapplied) == (OFFICER.id, False)
    assert approved.complete() == []


def test_nothing_is_done_that_nobody_approved(requested: Clinic) -> None:
    told = {"erasure_id": ERASURE, "client_id": CLIENT, "key_ids": (), "generation": 2, "cached_until": NOW}
    assert requested.refused(complete_erasure, RuleBroken, **told).rule == "erasure-open"


def test_a_log_from_before_it_learns_of_it_by_its_end_alone() -> None:
    clinic = Clinic()
    (event,) = clinic.complete()
    assert isinstance(event, ErasureCompleted)
    assert event.reapplied
    state = clinic.record.erasures[ERASURE]
    assert (state.client_id, state.basis, state.requested_by, state.reapplied) == (CLIENT, None, None, True)
    assert clinic.record.erased == {CLIENT: ERASURE}


# --- the purge


def test_a_purge_is_told_of_a_completed_erasure_once_for_each_count(approved: Clinic) -> None:
    assert approved.refused(note_purge, RuleBroken, erasure_id=ERASURE, count=3).rule == "erasure-open"
    approved.complete()
    assert approved.record.erasures[ERASURE].purged is None
    (event,) = approved.when(note_purge, by=OFFICER, erasure_id=ERASURE, count=3)
    assert isinstance(event, ErasurePurged)
    assert approved.record.erasures[ERASURE].purged == 3
    assert approved.when(note_purge, by=OFFICER, erasure_id=ERASURE, count=3) == []
    assert approved.record.erased == {CLIENT: ERASURE}


def test_no_purge_of_what_was_not_requested_or_was_withdrawn(requested: Clinic) -> None:
    requested.refused(note_purge, UnknownItem, erasure_id=uuid4(), count=1)
    requested.when(withdraw_erasure, by=OFFICER, erasure_id=ERASURE, ground="entered-in-error")
    assert requested.refused(note_purge, RuleBroken, erasure_id=ERASURE, count=1).rule == "erasure-open"


# --- side by side


def test_other_clients_are_not_touched(approved: Clinic) -> None:
    other: UUID = uuid4()
    approved.request(erasure_id=uuid4(), client_id=other)
    assert other not in approved.record.erased
