"""Reviews: closed once, with an outcome, by somebody else."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.emergency import approve_emergency_access, grant_emergency_access, open_emergency_access
from records.errors import InvalidContent, NotPermitted, RuleBroken, UnknownItem
from records.reviews import FINDINGS, AccessReviewClosed, close_review
from records.staff import change_role
from tests.given import CLIENT
from tests.person import LEAD, OFFICER, OPERATOR, Person

NAMED = ClinicPolicy(second_reviewer=LEAD.id)
JUSTIFIED = {"outcome": "justified", "finding": "risk"}


def reviewed(person: Person, step: int = 1, approver: Actor | None = None) -> UUID:
    """Return the id of a review of the person's emergency access."""
    access = uuid4()
    person.when(grant_emergency_access, access_id=access, client_id=CLIENT, ground="crisis", step=step)
    if approver is not None:
        person.when(approve_emergency_access, by=approver, access_id=access, client_id=CLIENT)
    person.when(open_emergency_access, access_id=access, client_id=CLIENT)
    return access


def confirmed(person: Person, approver: Actor) -> UUID:
    """Return the id of a review of an access that somebody confirmed."""
    reviewed(person)
    person.wait(days=7)
    return reviewed(person, 2, approver)


@pytest.mark.parametrize(("outcome", "finding"), [(o, f) for o, findings in FINDINGS.items() for f in findings])
def test_the_privacy_officer_closes_it_with_an_outcome_and_its_finding(outcome: str, finding: str) -> None:
    person = Person()
    review = reviewed(person)
    [closed] = person.when(close_review, by=OFFICER, review_id=review, outcome=outcome, finding=finding)

    assert isinstance(closed, AccessReviewClosed)
    state = person.record.reviews[review]
    assert (state.outcome, state.finding, state.closed_by, state.closed_at) == (outcome, finding, OFFICER.id, person.at)


def test_it_is_closed_once() -> None:
    person = Person()
    review = reviewed(person)
    person.when(close_review, by=OFFICER, review_id=review, **JUSTIFIED)
    assert person.when(close_review, by=OFFICER, review_id=review, **JUSTIFIED) == []
    otherwise = {"outcome": "not-justified", "finding": "curiosity"}
    assert person.refused(close_review, RuleBroken, by=OFFICER, review_id=review, **otherwise).rule == "review-closed"


def test_a_finding_belongs_to_its_outcome() -> None:
    person = Person()
    wrong = {"review_id": reviewed(person), "outcome": "justified", "finding": "curiosity"}
    assert person.refused(close_review, InvalidContent, by=OFFICER, **wrong).pointer == "/finding"
    person.refused(close_review, UnknownItem, by=OFFICER, **{**wrong, "review_id": uuid4()})


def test_nobody_closes_a_review_about_themselves_whatever_they_have_become() -> None:
    person = Person(policy=NAMED)
    review = reviewed(person)
    person.when(change_role, by=OPERATOR, role=Role.PRIVACY_OFFICER)
    assert person.refused(close_review, RuleBroken, review_id=review, **JUSTIFIED).rule == "own-review"


def test_whoever_confirmed_an_access_does_not_judge_it() -> None:
    person = Person(policy=NAMED)
    review = confirmed(person, OFFICER)
    assert person.refused(close_review, RuleBroken, by=OFFICER, review_id=review, **JUSTIFIED).rule == "own-review"
    assert person.when(close_review, by=LEAD, review_id=review, **JUSTIFIED)


def test_the_named_second_person_reviews_the_privacy_officer_and_nobody_else() -> None:
    person = Person(policy=NAMED)
    review = reviewed(person)
    refusal = person.refused(close_review, NotPermitted, by=LEAD, review_id=review, **JUSTIFIED)
    assert refusal.reason == "reviewer"
    person.when(change_role, by=OPERATOR, role=Role.PRIVACY_OFFICER)
    stranger = Actor(str(uuid4()), Role.SUPERVISOR)
    person.refused(close_review, NotPermitted, by=stranger, review_id=review, **JUSTIFIED)
    assert person.when(close_review, by=LEAD, review_id=review, **JUSTIFIED)


def test_without_a_named_person_no_supervisor_reviews() -> None:
    person = Person()
    review = reviewed(person)
    person.when(change_role, by=OPERATOR, role=Role.PRIVACY_OFFICER)
    person.refused(close_review, NotPermitted, by=LEAD, review_id=review, **JUSTIFIED)
