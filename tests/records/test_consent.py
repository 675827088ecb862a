"""Consent: from offer to its end, what it covers and when, and that no later entry changes an earlier one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.client_record import ConsentState
from records.consent import (
    KINDS,
    ConsentEnteredInError,
    ConsentGiven,
    ConsentOffered,
    ConsentRefused,
    ConsentWithdrawn,
    Form,
    mark_consent_entered_in_error,
    record_consent,
    withdraw_consent,
)
from records.decision import Context
from records.errors import ConsentMissing, InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from tests.given import NOW, THERAPIST, Case, given, stamp

FORM = Form(form_id="treatment", form_version="3", text_sha256="ab" * 32)
FIRST, SECOND, THIRD = (UUID(int=number) for number in (11, 12, 13))
DAY = timedelta(days=1)


def offered(consent_id: UUID = FIRST) -> Event:
    return ConsentOffered(consent_id=consent_id, kind="treatment", form=FORM, **stamp(NOW - DAY))


def consented(consent_id: UUID = FIRST, at: datetime = NOW - DAY, kind: str = "treatment", **fields: Any) -> Event:
    return ConsentGiven(consent_id=consent_id, kind=kind, form=FORM, method="signature", **fields, **stamp(at))


def declined(consent_id: UUID = FIRST) -> Event:
    return ConsentRefused(consent_id=consent_id, kind="treatment", form=FORM, **stamp(NOW - DAY))


def withdrawn(consent_id: UUID = FIRST, at: datetime = NOW) -> Event:
    return ConsentWithdrawn(consent_id=consent_id, channel="email", received_by=THERAPIST.id, **stamp(at))


def in_error(consent_id: UUID = FIRST) -> Event:
    return ConsentEnteredInError(consent_id=consent_id, reason="wrong client", **stamp())


def decide(case: Case, outcome: str = "given", consent_id: UUID = FIRST, **arguments: Any) -> Case:
    arguments = {"kind": "treatment", "form": FORM, **arguments}
    return case.when(record_consent, consent_id=consent_id, outcome=outcome, **arguments)


def missing_at(case: Case, at: datetime, *scopes: str) -> tuple[str, ...]:
    return case.record.missing_consents(("treatment",), at, scopes)


OUTCOMES: list[tuple[str, type[Event]]] = [
    ("offered", ConsentOffered),
    ("given", ConsentGiven),
    ("refused", ConsentRefused),
]


@pytest.mark.parametrize(("outcome", "cls"), OUTCOMES)
def test_each_outcome_is_an_event_of_its_own(outcome: str, cls: type[Event]) -> None:
    case = decide(given(), outcome)
    (event,) = case.then(cls)
    assert isinstance(event, ConsentOffered | ConsentGiven | ConsentRefused)
    assert (event.consent_id, event.kind, event.form) == (FIRST, "treatment", FORM)
    assert case.record.consents[FIRST].kind == "treatment"
    assert case.record.consents[FIRST].status == outcome
    assert case.record.consents[FIRST].version == 1


@pytest.mark.parametrize(
    ("stands", "outcome"),
    [(offered(), "offered"), (consented(), "given"), (declined(), "refused")],
)
def test_the_same_outcome_again_is_nothing(stands: Event, outcome: str) -> None:
    decide(given(stands), outcome).then()


@pytest.mark.parametrize(("outcome", "cls"), OUTCOMES[1:])
def test_an_offer_is_given_or_refused_under_its_id(outcome: str, cls: type[Event]) -> None:
    decide(given(offered()), outcome).then(cls)


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([declined()], "given"),
        ([consented()], "refused"),
        ([consented()], "offered"),
        ([consented(), withdrawn()], "given"),
        ([consented(), in_error()], "given"),
    ],
)
def test_what_was_decided_is_not_decided_again_under_the_same_id(before: list[Event], outcome: str) -> None:
    decide(given(*before), outcome).refused(RuleBroken, "consent-already-decided")


def test_an_id_keeps_its_kind() -> None:
    decide(given(offered()), "given", kind="telehealth").refused(RuleBroken, "consent-already-decided")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_recorded(kind: str) -> None:
    case = decide(given(), kind=kind)
    case.then(ConsentGiven)
    assert case.record.missing_consents((kind,), NOW) == ()


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"kind": "levitation"}, "/kind"),
        ({"method": "telepathy"}, "/method"),
        ({"given_by": "neighbour", "authority": "next door"}, "/given_by"),
        ({"given_by": "guardian"}, "/authority"),
        ({"given_by": "attorney", "authority": "  "}, "/authority"),
        ({"scope": "everything"}, "/scope"),
        ({"scope": "episode:"}, "/scope"),
        ({"expires_at": NOW}, "/expires_at"),
        ({"expires_at": NOW - DAY}, "/expires_at"),
        ({"occurred_at": NOW + timedelta(seconds=1)}, "/occurred_at"),
        ({"occurred_at": NOW.replace(year=1889)}, "/occurred_at"),
    ],
)
def test_what_cannot_be_true_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    error = decide(given(), **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


def test_a_guardian_consents_by_an_authority() -> None:
    (event,) = decide(given(), given_by="guardian", authority="parental responsibility").then(ConsentGiven)
    assert isinstance(event, ConsentGiven)
    assert (event.given_by, event.authority) == ("guardian", "parental responsibility")


def test_all_that_was_told_stands_in_the_event() -> None:
    told: dict[str, Any] = {
        "form": FORM,
        "method": "verbal-witnessed",
        "given_by": "attorney",
        "authority": "health and welfare",
        "scope": "episode:a",
        "recipient": "The practice",
        "interpreter": True,
        "witnessed_by": "A colleague",
        "capacity_note": "Understood and repeated it.",
        "restrictions": "Not to the employer.",
        "expires_at": NOW + DAY,
        "occurred_at": NOW - DAY,
    }
    (event,) = decide(given(), kind="information-sharing-gp", **told).then(ConsentGiven)
    assert {name: getattr(event, name) for name in told} == told


# --- how long it lives


def test_a_consent_lives_from_its_giving_as_the_person_tells_it() -> None:
    case = decide(given(), occurred_at=NOW - DAY)
    case.then(ConsentGiven)
    assert missing_at(case, NOW - DAY - timedelta(microseconds=1)) == ("treatment",)
    assert missing_at(case, NOW - DAY) == ()
    assert missing_at(case, NOW + 1000 * DAY) == ()


def test_time_alone_ends_it() -> None:
    case = decide(given(), expires_at=NOW + DAY)
    case.then(ConsentGiven)
    assert missing_at(case, NOW + DAY - timedelta(microseconds=1)) == ()
    assert missing_at(case, NOW + DAY) == ("treatment",)


@pytest.mark.parametrize("event", [offered(), declined()])
def test_what_was_only_offered_or_refused_is_no_consent(event: Event) -> None:
    assert missing_at(given(event), NOW) == ("treatment",)


def test_a_withdrawal_ends_it_from_its_time_on_and_not_before() -> None:
    case = given(consented(at=NOW - 2 * DAY)).when(
        withdraw_consent, consent_id=FIRST, channel="telephone", occurred_at=NOW - DAY, if_match=1
    )
    (event,) = case.then(ConsentWithdrawn)
    assert isinstance(event, ConsentWithdrawn)
    assert (event.received_by, event.reported_by, event.reason) == (THERAPIST.id, "client", None)
    assert missing_at(case, NOW - DAY - timedelta(microseconds=1)) == ()
    assert missing_at(case, NOW - DAY) == ("treatment",)
    assert event.channel == "telephone"
    case.when(withdraw_consent, consent_id=FIRST, channel="telephone").then()


def test_a_reason_may_be_told_and_somebody_else_may_report() -> None:
    case = given(consented()).when(
        withdraw_consent, consent_id=FIRST, channel="letter", reason="Moving.", reported_by="guardian", if_match=1
    )
    (event,) = case.then(ConsentWithdrawn)
    assert isinstance(event, ConsentWithdrawn)
    assert (event.channel, event.reason, event.reported_by) == ("letter", "Moving.", "guardian")


@pytest.mark.parametrize("events", [[offered()], [declined()], [consented(), in_error()]])
def test_only_a_given_consent_is_withdrawn(events: list[Event]) -> None:
    given(*events).when(withdraw_consent, consent_id=FIRST, channel="email", if_match=len(events)).refused(
        RuleBroken, "consent-not-given"
    )


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"occurred_at": NOW - 2 * DAY}, "/occurred_at"),
        ({"occurred_at": NOW + DAY}, "/occurred_at"),
        ({"channel": "pigeon"}, "/channel"),
    ],
)
def test_an_impossible_withdrawal_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    arguments = {"channel": "email", **arguments}
    error = given(consented()).when(withdraw_consent, consent_id=FIRST, if_match=1, **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


def test_a_withdrawal_builds_on_the_consent_that_was_read_and_not_on_others() -> None:
    other = consented(SECOND, kind="telehealth")
    arguments: dict[str, Any] = {"consent_id": FIRST, "channel": "email"}
    given(consented(), other).when(withdraw_consent, **arguments).refused(VersionRequired)
    given(consented(), other).when(withdraw_consent, if_match=2, **arguments).refused(StaleRecord)
    given(consented(), other).when(withdraw_consent, if_match=1, **arguments).then(ConsentWithdrawn)
    given(consented()).when(withdraw_consent, consent_id=SECOND, channel="email").refused(UnknownItem)


# --- superseding and errors


def test_a_new_consent_of_the_same_kind_takes_the_place_of_the_live_one() -> None:
    case = decide(given(consented()), consent_id=SECOND)
    (event,) = case.then(ConsentGiven)
    assert isinstance(event, ConsentGiven)
    assert event.supersedes == FIRST
    assert case.record.consents[FIRST].status == "superseded"
    assert case.record.consents[FIRST].ended_at == NOW
    assert missing_at(case, NOW) == ()
    case.when(withdraw_consent, consent_id=SECOND, channel="email", if_match=2).then(ConsentWithdrawn)
    assert missing_at(case, NOW) == ("treatment",), "the old one does not come back"


@pytest.mark.parametrize(
    ("stands", "arguments"),
    [
        ([consented(recipient="Dr A", kind="information-sharing-gp")],
         {"kind": "information-sharing-gp", "recipient": "Dr B"}),
        ([consented(scope="episode:a")], {"scope": "episode:b"}),
        ([consented(scope="episode:a")], {}),
        ([consented(recipient="Dr A")], {}),
        ([consented(kind="telehealth")], {}),
        ([consented(), withdrawn()], {}),
        ([consented(expires_at=NOW)], {}),
    ],
)  # fmt: skip
def test_consents_of_another_kind_scope_or_recipient_stand_beside_each_other(
    stands: list[Event], arguments: dict[str, Any]
) -> None:
    case = decide(given(*stands), consent_id=SECOND, **arguments)
    before = case.record.consents[FIRST]
    (event,) = case.then(ConsentGiven)
    assert isinstance(event, ConsentGiven)
    assert event.supersedes is None
    assert case.record.consents[FIRST] == before


def test_a_consent_with_a_scope_covers_only_what_lies_in_it() -> None:
    case = given(consented(scope="episode:a"))
    assert missing_at(case, NOW) == ("treatment",)
    assert missing_at(case, NOW, "episode:b") == ("treatment",)
    assert missing_at(case, NOW, "episode:b", "episode:a") == ()


def test_an_entry_in_error_was_never_live_and_stays_in_the_history() -> None:
    case = given(consented()).when(mark_consent_entered_in_error, consent_id=FIRST, reason="wrong client", if_match=1)
    (event,) = case.then(ConsentEnteredInError)
    assert isinstance(event, ConsentEnteredInError)
    assert (event.reason, event.restores) == ("wrong client", None)
    assert missing_at(case, NOW) == ("treatment",)
    assert case.record.consents[FIRST].given_at == NOW - DAY
    case.when(mark_consent_entered_in_error, consent_id=FIRST, reason="again").then()


def test_an_error_ended_nothing_so_the_older_consent_is_in_force_again() -> None:
    case = decide(given(consented()), consent_id=SECOND)
    case.then(ConsentGiven)
    case.when(mark_consent_entered_in_error, consent_id=SECOND, reason="wrong client", if_match=2)
    (event,) = case.then(ConsentEnteredInError)
    assert isinstance(event, ConsentEnteredInError)
    assert event.restores == FIRST
    state = case.record.consents[FIRST]
    assert (state.status, state.ended_at, state.version) == ("given", None, 3)
    assert missing_at(case, NOW + DAY) == ()


def test_an_error_in_between_brings_nothing_back() -> None:
    second = consented(SECOND, NOW, supersedes=FIRST)
    replaced = given(consented(), second, consented(THIRD, NOW, supersedes=SECOND))
    withdrawn_since = given(consented(), second, withdrawn(SECOND))
    for case in (replaced, withdrawn_since):
        version = case.record.consents[SECOND].version
        case.when(mark_consent_entered_in_error, consent_id=SECOND, reason="wrong", if_match=version)
        (event,) = case.then(ConsentEnteredInError)
        assert isinstance(event, ConsentEnteredInError)
        assert event.restores is None
        assert case.record.consents[FIRST].status == "superseded"


def test_an_error_needs_a_reason_the_version_and_a_consent_of_this_client() -> None:
    case = given(consented())
    case.when(mark_consent_entered_in_error, consent_id=FIRST, reason="\n", if_match=1).refused(InvalidContent)
    given(consented()).when(mark_consent_entered_in_error, consent_id=FIRST, reason="x").refused(VersionRequired)
    given(consented()).when(mark_consent_entered_in_error, consent_id=SECOND, reason="x").refused(UnknownItem)


def test_the_missing_kind_is_named_in_the_order_asked_for() -> None:
    record = given(consented(kind="telehealth")).record
    assert record.missing_consents(("emdr", "telehealth", "treatment"), NOW) == ("emdr", "treatment")
    with pytest.raises(ConsentMissing) as refused:
        record.require_consents(("telehealth", "treatment", "emdr"), NOW)
    assert refused.value.kind == "treatment"
    record.require_consents(("telehealth",), NOW)


# --- laws

TIMES = st.integers(-10, 10).map(lambda days: NOW + days * DAY)


@forall(start=TIMES, end=st.none() | TIMES, expiry=st.none() | TIMES, at=TIMES)
def test_a_consent_is_live_in_one_interval_closed_before_and_open_after(
    start: datetime, end: datetime | None, expiry: datetime | None, at: datetime
) -> None:
    state = ConsentState(kind="treatment", status="given", version=1, given_at=start, ended_at=end, expires_at=expiry)
    first_end = min(moment for moment in (end, expiry, datetime.max.replace(tzinfo=NOW.tzinfo)) if moment)
    assert state.live_at(at) == (start <= at < first_end)
    assert not msgspec.structs.replace(state, status="entered-in-error").live_at(at)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["given", "refused", "offered", "withdraw", "error"]),
        st.sampled_from([FIRST, SECOND, THIRD]),
        st.sampled_from([None, "episode:a"]),
    ),
    max_size=12,
)


@forall(STEPS)
def test_after_any_sequence_at_most_one_consent_of_a_kind_and_scope_is_live(
    steps: list[tuple[str, UUID, str | None]],
) -> None:
    events: list[Event] = []
    for number, (act, consent_id, scope) in enumerate(steps):
        case = given(*events)
        at = NOW + number * timedelta(hours=1)
        if act == "withdraw":
            case.when(withdraw_consent, consent_id=consent_id, channel="email", at=at, migrated=True)
        elif act == "error":
            case.when(mark_consent_entered_in_error, consent_id=consent_id, reason="x", at=at, migrated=True)
        else:
            decide(case, act, consent_id, scope=scope, at=at)
        assert case.error is None or isinstance(case.error, RuleBroken | UnknownItem)
        events.extend(case.outcome)
        case = given(*events)
        live = [state.scope for state in case.record.consents.values() if state.live_at(at)]
        assert len(live) == len(set(live))
        assert all(state.status == "given" for state in case.record.consents.values() if state.live_at(at))


def test_migrated_consents_name_no_version() -> None:
    given(consented()).when(withdraw_consent, consent_id=FIRST, channel="email", migrated=True).then(ConsentWithdrawn)
    assert (
        Context(actor=THERAPIST, at=NOW, request_id="r", policy=given().policy, migrated=True).stamp()[
            "originally_recorded_at"
        ]
        == NOW
    )
