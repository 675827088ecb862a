"""Disclosures: a live consent for that recipient or a coded basis, two people in an emergency, nothing turned away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from records.actors import Actor, Role
from records.consent import ConsentGiven, ConsentWithdrawn, Form
from records.disclosures import (
    BASES,
    RECIPIENTS,
    SHARING,
    DisclosureEnteredInError,
    DisclosureMade,
    mark_disclosure_entered_in_error,
    record_disclosure,
)
from records.errors import ConsentMissing, InvalidContent, StaleRecord, UnknownItem, VersionRequired
from tests.given import NOW, THERAPIST, given, stamp

DISCLOSURE, CONSENT = uuid4(), uuid4()
CLERK = Actor(str(uuid4()), Role.RECORDS_CLERK)
SECOND = str(uuid4())
WEEK = timedelta(days=7)


def facts(**more: Any) -> dict[str, Any]:
    """Return the arguments of a disclosure to the general practitioner under a consent."""
    return {
        "disclosure_id": DISCLOSURE,
        "recipient_kind": "gp",
        "recipient": "Dr  Hazel Moss",
        "description": "A summary of treatment.",
        "purpose": "Further care.",
        "basis": "consent",
        "consent_id": CONSENT,
        "authorised_by": THERAPIST.id,
        **more,
    }


def sharing(kind: str = "information-sharing-gp", **more: Any) -> ConsentGiven:
    """Return a consent to sharing that was given a week ago."""
    form = Form(form_id="sharing", form_version="1")
    given_then = {**stamp(NOW - WEEK), "consent_id": CONSENT, "kind": kind, "form": form, "method": "signature"}
    return ConsentGiven(**{**given_then, **more})


def made(**more: Any) -> DisclosureMade:
    """Return a disclosure that stands."""
    return DisclosureMade(**{**facts(basis="court-order", consent_id=None), **stamp(), **more})


def test_a_disclosure_under_a_live_consent_keeps_all_that_was_said() -> None:
    when = NOW - timedelta(days=2)
    digest = "a" * 64
    case = given(sharing()).when(
        record_disclosure, **facts(recipient_address="1 Road", manifest_sha256=digest, occurred_at=when)
    )
    (event,) = case.then(DisclosureMade)
    assert isinstance(event, DisclosureMade)
    assert (event.occurred_at, event.entered_by, event.consent_id) == (when, THERAPIST.id, CONSENT)
    assert (event.recipient_address, event.manifest_sha256, event.lifecycle) == ("1 Road", digest, "disclose")
    assert case.record.disclosures[DISCLOSURE].status == "made"


@pytest.mark.parametrize("kind", SHARING)
def test_each_kind_of_recipient_needs_its_own_kind_of_consent(kind: str) -> None:
    given(sharing(SHARING[kind])).when(record_disclosure, **facts(recipient_kind=kind)).then(DisclosureMade)
    for other in set(SHARING) - {kind}:
        refused = given(sharing(SHARING[other])).when(record_disclosure, **facts(recipient_kind=kind))
        error = refused.refused(ConsentMissing)
        assert isinstance(error, ConsentMissing)
        assert error.kind == SHARING[kind]


@pytest.mark.parametrize(
    ("named", "covered"),
    [(None, True), ("dr hazel moss", True), ("Dr Hazel Moss ", True), ("Dr Ann Moss", False)],
)
def test_a_consent_that_names_its_recipient_covers_no_other(named: str | None, covered: bool) -> None:
    case = given(sharing(recipient=named)).when(record_disclosure, **facts())
    if covered:
        case.then(DisclosureMade)
    else:
        case.refused(ConsentMissing)


def withdrawn(days: int) -> ConsentWithdrawn:
    """Return the withdrawal of the consent, so many days ago."""
    at = stamp(NOW - timedelta(days=days))
    return ConsentWithdrawn(consent_id=CONSENT, channel="letter", received_by=THERAPIST.id, **at)


@pytest.mark.parametrize(
    ("events", "days_ago", "live"),
    [
        ([sharing()], 0, True),
        ([sharing()], 8, False),
        ([sharing(), withdrawn(3)], 0, False),
        ([sharing(), withdrawn(3)], 4, True),
        ([sharing(expires_at=NOW - timedelta(days=1))], 0, False),
        ([sharing(expires_at=NOW - timedelta(days=1))], 2, True),
    ],
    ids=["live", "before it was given", "withdrawn", "before it was withdrawn", "expired", "before it expired"],
)
def test_the_consent_counts_on_the_day_of_the_disclosure(events: list[Any], days_ago: int, live: bool) -> None:
    case = given(*events).when(record_disclosure, **facts(occurred_at=NOW - timedelta(days=days_ago)))
    if live:
        case.then(DisclosureMade)
    else:
        case.refused(ConsentMissing)


def test_without_any_consent_named_none_is_looked_for() -> None:
    given(sharing()).when(record_disclosure, **facts(consent_id=None)).refused(ConsentMissing)
    given().when(record_disclosure, **facts()).refused(UnknownItem)


@pytest.mark.parametrize("kind", [kind for kind in RECIPIENTS if kind not in SHARING])
def test_no_consent_covers_a_recipient_without_a_kind_of_consent(kind: str) -> None:
    refused = given(sharing()).when(record_disclosure, **facts(recipient_kind=kind)).refused(InvalidContent)
    assert isinstance(refused, InvalidContent)
    assert refused.pointer == "/recipient_kind"


@pytest.mark.parametrize("basis", [basis for basis in BASES if basis not in ("consent", "emergency", "unauthorised")])
def test_a_coded_basis_needs_no_consent_and_takes_none(basis: str) -> None:
    given().when(record_disclosure, **facts(basis=basis, consent_id=None)).then(DisclosureMade)
    given(sharing()).when(record_disclosure, **facts(basis=basis)).refused(InvalidContent)


@pytest.mark.parametrize(
    ("reason", "second", "pointer"),
    [
        ("She was in danger.", SECOND, None),
        (None, SECOND, "/reason"),
        (" ", SECOND, "/reason"),
        ("She was in danger.", None, "/second_person"),
        ("She was in danger.", THERAPIST.id, "/second_person"),
        ("She was in danger.", CLERK.id, "/second_person"),
    ],
    ids=["two people", "no reason", "an empty reason", "one person", "who authorised it", "who records it"],
)
def test_an_emergency_needs_a_reason_and_a_second_person(reason: str, second: str | None, pointer: str | None) -> None:
    told = facts(basis="emergency", consent_id=None, reason=reason, second_person=second)
    case = given().when(record_disclosure, actor=CLERK, **told)
    if pointer is None:
        case.then(DisclosureMade)
    else:
        error = case.refused(InvalidContent)
        assert isinstance(error, InvalidContent)
        assert error.pointer == pointer


def test_what_left_without_a_basis_is_recorded_with_its_reason() -> None:
    told = facts(basis="unauthorised", consent_id=None)
    given().when(record_disclosure, **told).refused(InvalidContent)
    given().when(record_disclosure, **told, reason="Sent to the wrong address.").then(DisclosureMade)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"recipient": " "}, "/recipient"),
        ({"description": ""}, "/description"),
        ({"purpose": "\n"}, "/purpose"),
        ({"recipient_kind": "press"}, "/recipient_kind"),
        ({"basis": "gossip"}, "/basis"),
        ({"manifest_sha256": "A" * 64}, "/manifest_sha256"),
        ({"occurred_at": NOW + timedelta(seconds=1)}, "/occurred_at"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], pointer: str) -> None:
    error = given(sharing()).when(record_disclosure, **facts(**wrong)).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


def test_the_same_disclosure_again_changes_nothing() -> None:
    given(sharing(), made()).when(record_disclosure, **facts()).then()


def test_an_entry_in_error_is_marked_once_by_its_version() -> None:
    told = {"disclosure_id": DISCLOSURE, "reason": "Was not sent."}
    case = given(made()).when(mark_disclosure_entered_in_error, if_match=1, **told)
    case.then(DisclosureEnteredInError)
    assert case.record.disclosures[DISCLOSURE].status == "entered-in-error"
    given(*[made(), *case.outcome]).when(mark_disclosure_entered_in_error, if_match=2, **told).then()
    given(made()).when(mark_disclosure_entered_in_error, **told).refused(VersionRequired)
    given(made()).when(mark_disclosure_entered_in_error, if_match=2, **told).refused(StaleRecord)
    given().when(mark_disclosure_entered_in_error, if_match=1, **told).refused(UnknownItem)
    empty = {**told, "reason": " "}
    given(made()).when(mark_disclosure_entered_in_error, if_match=1, **empty).refused(InvalidContent)
