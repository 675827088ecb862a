"""Emergency access: one code, one client, once, for a while, and always a review."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.actors import Role
from records.clinic_policy import ClinicPolicy
from records.emergency import (
    GRANT_LIFE,
    EmergencyAccessApproved,
    EmergencyAccessGranted,
    EmergencyAccessOpened,
    approve_emergency_access,
    grant_emergency_access,
    open_emergency_access,
)
from records.errors import NotPermitted, Refused, RuleBroken, TooManyAttempts, UnknownItem
from records.reviews import AccessReviewOpened, close_review
from records.second_factor import SecondFactorUsed, refuse_code
from tests.given import CLIENT
from tests.person import LEAD, OFFICER, Person

OTHER = uuid4()


def granted(person: Person, step: int = 1, client_id: UUID = CLIENT) -> UUID:
    """Return the id of a new grant."""
    access = uuid4()
    person.when(grant_emergency_access, access_id=access, client_id=client_id, ground="crisis", step=step)
    return access


def opened(person: Person, step: int = 1) -> UUID:
    """Return the id of an access that was opened."""
    access = granted(person, step)
    person.when(open_emergency_access, access_id=access, client_id=CLIENT)
    return access


def rule(person: Person, decision: Any, **arguments: Any) -> str:
    return str(person.refused(decision, RuleBroken, **arguments).rule)


def test_a_grant_uses_up_its_code_in_the_same_commit() -> None:
    person, access = Person(), uuid4()
    events = person.when(grant_emergency_access, access_id=access, client_id=CLIENT, ground="crisis", step=7)

    assert [type(event) for event in events] == [EmergencyAccessGranted, SecondFactorUsed]
    again = {"client_id": CLIENT, "ground": "crisis"}
    assert rule(person, grant_emergency_access, access_id=uuid4(), step=7, **again) == "code-used"
    assert rule(person, grant_emergency_access, access_id=access, step=8, **again) == "access-exists"


def test_no_grant_without_a_second_factor_or_after_too_many_wrong_codes() -> None:
    asked = {"access_id": uuid4(), "client_id": CLIENT, "ground": "crisis", "step": 7}
    assert rule(Person(enrolled=False), grant_emergency_access, **asked) == "second-factor-missing"
    person = Person()
    for _ in range(5):
        person.when(refuse_code)
    person.refused(grant_emergency_access, TooManyAttempts, **asked)


def test_opening_opens_the_review_with_it() -> None:
    person = Person()
    access = granted(person)
    opening, review = person.when(open_emergency_access, access_id=access, client_id=CLIENT)

    assert isinstance(opening, EmergencyAccessOpened)
    assert isinstance(review, AccessReviewOpened)
    assert (review.review_id, review.cause, review.ground) == (access, "emergency", "crisis")
    assert person.record.reviews[access].outcome is None
    assert person.record.opened[CLIENT].until == person.wait(hours=3).at


def test_a_grant_opens_once() -> None:
    person = Person()
    access = opened(person)
    assert rule(person, open_emergency_access, access_id=access, client_id=CLIENT) == "grant-used"


def test_a_grant_opens_its_own_client_for_its_own_person() -> None:
    person = Person()
    access = granted(person)
    assert person.refused(open_emergency_access, NotPermitted, access_id=access, client_id=OTHER).reason == "grant"
    assert person.refused(open_emergency_access, NotPermitted, access_id=uuid4(), client_id=CLIENT).reason == "grant"


def test_a_grant_lives_five_minutes() -> None:
    person = Person()
    early, late = granted(person, 1), granted(person, 2)
    person.wait(seconds=GRANT_LIFE.seconds - 1)
    person.when(open_emergency_access, access_id=early, client_id=CLIENT)
    person.wait(seconds=1)
    assert rule(person, open_emergency_access, access_id=late, client_id=CLIENT) == "grant-expired"


def test_the_clinic_says_how_long_it_stays_open() -> None:
    person = Person(policy=ClinicPolicy(emergency_hours=1))
    opened(person)
    assert person.record.opened[CLIENT].until == person.wait(hours=1).at


# --- the second person


def overdue(person: Person) -> UUID:
    """Return a grant that needs a second person."""
    opened(person)
    person.wait(days=7)
    return granted(person, 2)


def test_an_overdue_review_asks_for_a_second_person_and_refuses_nobody() -> None:
    person = Person()
    opened(person)
    person.wait(days=6, hours=23)
    early = granted(person, 2)
    assert not person.record.grants[early].needs_approval
    person.wait(hours=1)
    access = granted(person, 3)

    assert person.record.grants[access].needs_approval
    assert rule(person, open_emergency_access, access_id=access, client_id=CLIENT) == "approval-missing"
    person.wait(minutes=4)
    [approved] = person.when(approve_emergency_access, by=LEAD, access_id=access, client_id=CLIENT)
    assert isinstance(approved, EmergencyAccessApproved)
    person.wait(minutes=4)
    person.when(open_emergency_access, access_id=access, client_id=CLIENT)
    assert person.record.reviews[access].approved_by == LEAD.id


def test_a_closed_review_is_overdue_no_more() -> None:
    person = Person()
    access = opened(person)
    person.wait(days=30).when(close_review, by=OFFICER, review_id=access, outcome="justified", finding="risk")
    following = granted(person, 2)
    assert not person.record.grants[following].needs_approval


def test_nobody_confirms_their_own_access_and_only_a_live_one_is_confirmed() -> None:
    person = Person()
    access = overdue(person)
    asked = {"access_id": access, "client_id": CLIENT}
    assert rule(person, approve_emergency_access, **asked) == "own-approval"
    person.refused(approve_emergency_access, UnknownItem, by=LEAD, access_id=access, client_id=OTHER)
    person.refused(approve_emergency_access, UnknownItem, by=LEAD, access_id=uuid4(), client_id=CLIENT)
    person.wait(minutes=5)
    assert rule(person, approve_emergency_access, by=LEAD, **asked) == "grant-expired"


def test_there_is_nothing_to_confirm_twice_or_where_nobody_is_needed() -> None:
    person = Person()
    free = granted(person, 1)
    assert person.when(approve_emergency_access, by=LEAD, access_id=free, client_id=CLIENT) == []
    person.when(open_emergency_access, access_id=free, client_id=CLIENT)
    person.wait(days=8)
    access = granted(person, 2)
    person.when(approve_emergency_access, by=LEAD, access_id=access, client_id=CLIENT)
    assert person.when(approve_emergency_access, by=OFFICER, access_id=access, client_id=CLIENT) == []


# --- laws

STEPS = st.lists(
    st.tuples(st.sampled_from(["grant", "open", "approve", "close", "wait"]), st.integers(0, 3), st.integers(0, 9)),
    max_size=40,
)


@given(STEPS)
def test_each_opening_has_its_own_grant_and_its_own_review(steps: list[tuple[str, int, int]]) -> None:
    person, accesses, openings = Person(), [uuid4() for _ in range(4)], list[UUID]()
    for number, (what, which, minutes) in enumerate(steps):
        access = accesses[which]
        try:
            match what:
                case "grant":
                    asked = {"client_id": CLIENT, "ground": "crisis", "step": number}
                    person.when(grant_emergency_access, access_id=access, **asked)
                case "open":
                    person.when(open_emergency_access, access_id=access, client_id=CLIENT)
                    openings.append(access)
                case "approve":
                    person.when(approve_emergency_access, by=LEAD, access_id=access, client_id=CLIENT)
                case "close":
                    person.when(close_review, by=OFFICER, review_id=access, outcome="follow-up", finding="talk")
                case "wait":
                    person.wait(minutes=minutes, days=4 if minutes == 9 else 0)
        except Refused:
            continue
    assert len(openings) == len(set(openings))
    assert set(person.record.reviews) == set(openings)
    for access in openings:
        grant = person.record.grants[access]
        assert grant.used
        assert not grant.needs_approval or grant.approved_by == LEAD.id


@pytest.mark.parametrize("role", [Role.THERAPIST, Role.SUPERVISOR])
def test_both_clinical_roles_may_be_granted(role: Role) -> None:
    assert granted(Person(role)) is not None
