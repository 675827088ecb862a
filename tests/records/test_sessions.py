"""Sessions: what took place is recorded, and where a rule forbade it, with its breach in the same decision."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.bookings import AttendanceRecorded, SessionBooked, SessionCancelled, record_attendance
from records.care_codes import MODES, PHASES, SESSION_KINDS, SETTINGS
from records.client_record import BreachState
from records.clinic_policy import METHODS, ClinicPolicy
from records.consent import ConsentGiven, ConsentWithdrawn, Form
from records.episodes import EpisodeClosed, EpisodeOpened, EpisodePhaseSet, phase_of, phases_of
from records.errors import ConsentMissing, InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.notes import sign_note
from records.registration import ClientRegistered, Identity
from records.sessions import (
    SessionBreachRecorded,
    SessionEnteredInError,
    SessionHeld,
    mark_session_entered_in_error,
    record_session_held,
)
from tests.given import NOW, THERAPIST, Case, given, stamp

EPISODE, OTHER_EPISODE, SESSION, CONSENT, OTHER_CONSENT = (UUID(int=number) for number in range(51, 56))
FORM = Form(form_id="f", form_version="1")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEGAN = NOW - HOUR


def episode(episode_id: UUID = EPISODE, protocol: str = "dit-manual", setting: str = "clinic") -> Event:
    return EpisodeOpened(
        episode_id=episode_id,
        format="individual",
        modality="DIT",
        protocol=protocol,
        phases=phases_of(protocol, 16),
        setting=setting,
        **stamp(NOW - 90 * DAY),
    )


def consent(kind: str = "treatment", at: datetime = NOW - DAY, consent_id: UUID = CONSENT, **fields: Any) -> Event:
    return ConsentGiven(consent_id=consent_id, kind=kind, form=FORM, method="signature", **fields, **stamp(at))


def withdrawn(at: datetime) -> Event:
    return ConsentWithdrawn(consent_id=CONSENT, channel="email", received_by=THERAPIST.id, **stamp(at))


def booked(kind: str = "treatment", **fields: Any) -> Event:
    return SessionBooked(session_id=SESSION, episode_id=EPISODE, kind=kind, start=BEGAN, **fields, **stamp(NOW - DAY))


def closed(at: datetime) -> Event:
    return EpisodeClosed(episode_id=EPISODE, reason="46", **stamp(at))


def held(number: int, episode_id: UUID = EPISODE) -> Event:
    return SessionHeld(
        session_id=UUID(int=1000 + number),
        episode_id=episode_id,
        kind="treatment",
        number=number,
        started_at=NOW - 30 * DAY,
        mode="01",
        setting="clinic",
        **stamp(NOW - 30 * DAY),
    )


def hold(case: Case, **arguments: Any) -> Case:
    """Hold the booked session of the case, on the version that stands."""
    state = case.record.sessions.get(SESSION)
    chosen = {"session_id": SESSION, "if_match": state.version if state else None}
    return case.when(record_session_held, **{**chosen, **arguments})


def walk_in(case: Case, **arguments: Any) -> Case:
    return hold(case, **{"episode_id": EPISODE, "started_at": BEGAN, **arguments})


def the_session(case: Case) -> SessionHeld:
    (event,) = case.then(SessionHeld)
    assert isinstance(event, SessionHeld)
    return event


def the_breach(case: Case) -> SessionBreachRecorded:
    _, breach = case.then(SessionHeld, SessionBreachRecorded)
    assert isinstance(breach, SessionBreachRecorded)
    return breach


def pointer_of(case: Case) -> str:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    return error.pointer


# --- what was held


def test_a_booked_session_is_held_as_it_was_booked() -> None:
    case = hold(given(episode(), consent(), consent("telehealth", consent_id=OTHER_CONSENT), booked(mode="11")))
    event = the_session(case)
    assert (event.kind, event.mode, event.setting, event.booked) == ("treatment", "11", "clinic", True)
    assert (event.number, event.phase, event.started_at, event.occurred_at) == (1, "initial", BEGAN, BEGAN)
    state = case.record.sessions[SESSION]
    assert (state.status, state.number, state.start, state.version) == ("held", 1, BEGAN, 5)
    assert case.record.episodes[EPISODE].sessions_held == 1
    assert case.record.breaches == {}


def test_a_session_is_held_otherwise_than_booked() -> None:
    case = hold(
        given(episode(), consent(), booked(minutes=75)),
        kind="review",
        mode="98",
        setting="hospital",
        started_at=BEGAN - HOUR,
        ended_at=BEGAN,
        methods=["writing", "artwork", "writing"],
    )
    event = the_session(case)
    assert (event.kind, event.mode, event.setting, event.methods) == (
        "review",
        "98",
        "hospital",
        ("writing", "artwork"),
    )
    assert (event.started_at, event.ended_at) == (BEGAN - HOUR, BEGAN)
    state = case.record.sessions[SESSION]
    assert (state.kind, state.start, state.minutes) == ("review", BEGAN - HOUR, 75)


def test_a_session_that_nobody_booked_is_held_in_an_episode() -> None:
    case = walk_in(given(episode(setting="prison")))
    event = the_session(case)
    assert (event.kind, event.mode, event.setting, event.booked) == ("assessment", "01", "prison", False)
    assert case.record.sessions[SESSION].status == "held"
    (second,) = walk_in(given(episode(), consent(), held(1)), session_id=UUID(int=99)).then(SessionHeld)
    assert isinstance(second, SessionHeld)
    assert (second.kind, second.number) == ("treatment", 2)


def test_without_a_booking_the_episode_and_the_beginning_must_be_named() -> None:
    assert hold(given(episode())).refused(UnknownItem).__dict__["kind"] == "session"
    assert walk_in(given()).refused(UnknownItem).__dict__["kind"] == "episode"
    assert pointer_of(hold(given(episode()), episode_id=EPISODE)) == "/started_at"


def test_a_booked_session_stays_in_its_episode() -> None:
    stands = [episode(), episode(OTHER_EPISODE), consent(), booked()]
    assert pointer_of(hold(given(*stands), episode_id=OTHER_EPISODE)) == "/episode_id"
    hold(given(*stands), episode_id=EPISODE).then(SessionHeld)


def test_a_session_is_held_once() -> None:
    case = hold(given(episode(), consent(), booked()))
    case.then(SessionHeld)
    hold(case).refused(RuleBroken, "session-already-held")


@pytest.mark.parametrize(
    "event",
    [
        AttendanceRecorded(session_id=SESSION, code="3", **stamp()),
        AttendanceRecorded(session_id=SESSION, code="7", **stamp()),
        SessionCancelled(session_id=SESSION, by="clinic", code="4", **stamp()),
    ],
    ids=["missed", "too late", "cancelled"],
)
def test_what_counts_as_not_attended_is_held_once_the_attendance_is_put_right(event: Event) -> None:
    hold(given(episode(), consent(), booked(), event)).refused(RuleBroken, "session-not-attended")
    case = given(episode(), consent(), booked(), event)
    case.when(record_attendance, session_id=SESSION, code="6", if_match=4).then(AttendanceRecorded)
    hold(case).then(SessionHeld)
    assert case.record.sessions[SESSION].attendance == "6"


def test_holding_builds_on_the_booking_that_was_read() -> None:
    hold(given(episode(), consent(), booked()), if_match=None).refused(VersionRequired)
    hold(given(episode(), consent(), booked()), if_match=2).refused(StaleRecord)
    hold(given(episode(), consent(), booked()), if_match=None, migrated=True).then(SessionHeld)


# --- what cannot be true


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"started_at": NOW + timedelta(seconds=1)}, "/started_at"),
        ({"started_at": datetime(1979, 12, 31, tzinfo=NOW.tzinfo)}, "/started_at"),
        ({"started_at": datetime.min.replace(tzinfo=NOW.tzinfo)}, "/started_at"),
        ({"ended_at": BEGAN}, "/ended_at"),
        ({"ended_at": BEGAN - HOUR}, "/ended_at"),
        ({"ended_at": NOW + timedelta(seconds=1)}, "/ended_at"),
        ({"started_at": NOW - 11 * HOUR, "ended_at": NOW}, "/ended_at"),
        ({"kind": "seance"}, "/kind"),
        ({"kind": ""}, "/kind"),
        ({"mode": "99"}, "/mode"),
        ({"mode": ""}, "/mode"),
        ({"setting": "moon"}, "/setting"),
        ({"methods": ["writing", "hypnosis"]}, "/methods/1"),
        ({"phase": "climax", "phase_reason": "x"}, "/phase"),
        ({"number": 7}, "/number"),
        ({"breach_reason": "none"}, "/breach_reason"),
    ],
)
def test_what_cannot_be_true_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    born = ClientRegistered(identity=Identity(family="F", birth_date="1980"), **stamp())
    long_agreed = consent(at=NOW - 30 * DAY)
    assert pointer_of(hold(given(born, episode(), long_agreed, booked()), **arguments)) == pointer


def test_a_booking_in_the_future_was_not_held_yet() -> None:
    later = SessionBooked(session_id=SESSION, episode_id=EPISODE, kind="assessment", start=NOW + HOUR, **stamp())
    assert pointer_of(hold(given(episode(), later))) == "/started_at"
    hold(given(episode(), later), started_at=NOW).then(SessionHeld)


def test_ten_hours_are_possible() -> None:
    walk_in(given(episode()), started_at=NOW - 10 * HOUR, ended_at=NOW).then(SessionHeld)


@pytest.mark.parametrize(("field", "codes"), [("kind", SESSION_KINDS), ("mode", [*MODES]), ("setting", SETTINGS)])
def test_every_code_is_taken(field: str, codes: list[str]) -> None:
    consents = consent(), consent("telehealth", consent_id=OTHER_CONSENT)
    for code in codes:
        walk_in(given(episode(), *consents), **{field: code}).then(SessionHeld)


# --- numbers and phases


@forall(st.lists(st.booleans(), max_size=20))
def test_each_episode_numbers_its_sessions_from_one_and_the_plan_gives_the_phase(own: list[bool]) -> None:
    case = given(episode(), episode(OTHER_EPISODE, protocol="dit-guide"))
    counts = {EPISODE: 0, OTHER_EPISODE: 0}
    for place, mine in enumerate(own):
        chosen = EPISODE if mine else OTHER_EPISODE
        counts[chosen] += 1
        event = the_session(walk_in(case, session_id=UUID(int=500 + place), episode_id=chosen, kind="assessment"))
        assert event.number == counts[chosen]
        assert event.phase == phase_of("dit-manual" if mine else "dit-guide", event.number, 16)
    assert {key: state.sessions_held for key, state in case.record.episodes.items()} == counts


def test_migrated_history_brings_its_numbers() -> None:
    event = the_session(walk_in(given(episode()), number=7, migrated=True))
    assert (event.number, event.phase, event.originally_recorded_at) == (7, "middle", NOW)
    out_of_order = walk_in(given(episode(), held(7)), number=3, migrated=True, kind="review")
    the_session(out_of_order)
    assert out_of_order.record.episodes[EPISODE].sessions_held == 7
    walk_in(given(episode()), number=1, migrated=True).then(SessionHeld)
    for number in (0, -1, 7):
        assert pointer_of(walk_in(given(episode(), held(7)), number=number, migrated=True)) == "/number"
    elsewhere = walk_in(given(episode(), episode(OTHER_EPISODE), held(7, OTHER_EPISODE)), number=7, migrated=True)
    elsewhere.then(SessionHeld)


def test_a_phase_other_than_the_plans_needs_a_reason() -> None:
    assert pointer_of(walk_in(given(episode()), phase="ending")) == "/phase_reason"
    assert pointer_of(walk_in(given(episode()), phase="ending", phase_reason=" ")) == "/phase_reason"
    event = the_session(walk_in(given(episode()), phase="ending", phase_reason="Moves away."))
    assert (event.phase, event.phase_reason) == ("ending", "Moves away.")


def test_the_plans_phase_needs_none() -> None:
    assert the_session(walk_in(given(episode()), phase="initial")).phase == "initial"
    assert pointer_of(walk_in(given(episode()), phase="initial", phase_reason="x")) == "/phase_reason"


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_set_for_the_episode_is_its_plan(phase: str) -> None:
    by_hand = EpisodePhaseSet(episode_id=EPISODE, phase=phase, reason="x", **stamp(NOW - DAY))
    assert the_session(walk_in(given(episode(), by_hand))).phase == phase


# --- breaches


@pytest.mark.parametrize(
    "consents",
    [
        [],
        [consent(at=BEGAN + timedelta(seconds=1))],
        [consent(), withdrawn(BEGAN)],
        [consent(expires_at=BEGAN)],
        [consent(scope=f"episode:{OTHER_EPISODE}")],
    ],
    ids=["none", "given after it began", "withdrawn as it began", "expired as it began", "of another episode"],
)
def test_treatment_without_a_live_consent_is_a_breach_with_a_reason(consents: list[Event]) -> None:
    error = hold(given(episode(), *consents, booked())).refused(ConsentMissing)
    assert isinstance(error, ConsentMissing)
    assert error.kind == "treatment"
    assert pointer_of(hold(given(episode(), *consents, booked()), breach_reason=" ")) == "/breach_reason"
    case = hold(given(episode(), *consents, booked()), breach_reason="Crisis at the door.")
    breach = the_breach(case)
    assert (breach.missing, breach.reason, breach.occurred_at) == (("treatment",), "Crisis at the door.", BEGAN)
    assert case.record.breaches == {SESSION: BreachState(missing=("treatment",), entered_by=THERAPIST.id)}
    assert case.record.sessions[SESSION].status == "held"
    assert case.record.sessions[SESSION].version == case.record.version


@pytest.mark.parametrize(
    "consents",
    [
        [consent(at=BEGAN)],
        [consent(), withdrawn(BEGAN + timedelta(seconds=1))],
        [consent(scope=f"session:{SESSION}")],
    ],
    ids=["given as it began", "withdrawn during it", "for this session"],
)
def test_a_consent_that_was_live_when_it_began_is_enough(consents: list[Event]) -> None:
    hold(given(episode(), *consents, booked())).then(SessionHeld)


def test_a_withdrawal_learned_later_makes_an_earlier_session_no_breach() -> None:
    case = hold(given(episode(), consent(at=NOW - 3 * DAY), withdrawn(NOW - 2 * DAY)),
                episode_id=EPISODE, started_at=NOW - 2 * DAY - HOUR, kind="treatment")  # fmt: skip
    case.then(SessionHeld)


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"mode": "11"}, ("treatment", "telehealth")),
        ({"methods": ["EMDR"]}, ("treatment", "emdr")),
        ({"methods": ["case-study", "recording"]}, ("treatment", "case-study", "recording")),
        ({"mode": "02", "methods": ["EMDR"], "kind": "assessment"}, ("telehealth", "emdr")),
        ({"methods": ["touch"], "kind": "assessment"}, ("touch", "method-disabled:touch")),
    ],
)
def test_all_that_was_missing_is_named_and_the_first_refuses(
    arguments: dict[str, Any], missing: tuple[str, ...]
) -> None:
    error = hold(given(episode(), booked()), **arguments).refused(ConsentMissing)
    assert isinstance(error, ConsentMissing)
    assert error.kind == missing[0]
    assert the_breach(hold(given(episode(), booked()), breach_reason="x", **arguments)).missing == missing


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("touch",)])
def test_a_method_with_its_consent_is_used_without_breach(method: str) -> None:
    needed = ClinicPolicy().consents_for(f"method.{method}")
    consents = [consent(kind, consent_id=UUID(int=600 + place)) for place, kind in enumerate(needed)]
    walk_in(given(episode(), *consents), methods=[method]).then(SessionHeld)


def test_touch_is_asked_again_each_session() -> None:
    allowed = ClinicPolicy(disabled_methods=())
    earlier = consent("touch"), consent("touch", consent_id=OTHER_CONSENT, scope=f"session:{EPISODE}")
    refused = walk_in(given(episode(), *earlier, policy=allowed), methods=["touch"]).refused(ConsentMissing)
    assert isinstance(refused, ConsentMissing)
    assert refused.kind == "touch"
    asked = consent("touch", scope=f"session:{SESSION}")
    walk_in(given(episode(), asked, policy=allowed), methods=["touch"]).then(SessionHeld)
    over = walk_in(given(episode(), asked, withdrawn(BEGAN), policy=allowed), methods=["touch"])
    over.refused(ConsentMissing)


def test_a_method_that_is_switched_off_is_a_breach() -> None:
    policy = ClinicPolicy(disabled_methods=("writing",))
    walk_in(given(episode(), policy=policy), methods=["artwork", "writing"]).refused(RuleBroken, "method-disabled")
    case = walk_in(given(episode(), policy=policy), methods=["artwork", "writing"], breach_reason="Habit.")
    assert the_breach(case).missing == ("method-disabled:writing",)


def test_what_was_held_after_the_episode_was_closed_is_a_breach() -> None:
    walk_in(given(episode(), closed(BEGAN))).refused(RuleBroken, "episode-closed")
    assert the_breach(walk_in(given(episode(), closed(BEGAN)), breach_reason="x")).missing == ("episode-closed",)
    walk_in(given(episode(), closed(BEGAN + timedelta(seconds=1)))).then(SessionHeld)


def test_which_consents_are_required_is_the_clinics_policy() -> None:
    policy = ClinicPolicy(required_consents={"session.review": ("supervision",)})
    hold(given(episode(), booked(), policy=policy)).then(SessionHeld)
    error = hold(given(episode(), booked(), policy=policy), kind="review").refused(ConsentMissing)
    assert isinstance(error, ConsentMissing)
    assert error.kind == "supervision"


METHOD_LISTS = st.lists(st.sampled_from(METHODS), max_size=4)


@forall(
    kind=st.sampled_from(SESSION_KINDS),
    mode=st.sampled_from(sorted(MODES)),
    methods=METHOD_LISTS,
    kinds=st.sets(st.sampled_from(["treatment", "telehealth", "emdr", "touch", "recording", "case-study"])),
    ended=st.booleans(),
)
def test_evidence_is_never_turned_away(kind: str, mode: str, methods: list[str], kinds: set[str], ended: bool) -> None:
    """Whatever was missing: with a reason it is recorded, without one it is refused, and nothing in between."""
    events = [episode()]
    for place, given_kind in enumerate(sorted(kinds)):
        events.append(consent(given_kind, consent_id=UUID(int=700 + place)))
    events.extend([closed(NOW - 2 * HOUR)] if ended else [])
    arguments: dict[str, Any] = {"kind": kind, "mode": mode, "methods": methods}
    plain = walk_in(given(*events), **arguments)
    explained = walk_in(given(*events), breach_reason="As it was.", **arguments)
    if plain.error is None:
        the_session(plain)
        assert pointer_of(explained) == "/breach_reason"
    else:
        assert isinstance(plain.error, RuleBroken)
        breach = the_breach(explained)
        assert breach.missing
        assert msgspec.json.decode(msgspec.json.encode(breach), type=SessionBreachRecorded) == breach


# --- entered in error


def in_error(case: Case, session_id: UUID, **arguments: Any) -> Case:
    state = case.record.sessions.get(session_id)
    stands = {"if_match": state.version if state else None, "reason": "Another client's."}
    return case.when(mark_session_entered_in_error, session_id=session_id, **{**stands, **arguments})


def numbers(case: Case, episode_id: UUID = EPISODE) -> list[int | None]:
    return [state.number for state in case.record.sessions.values() if state.episode_id == episode_id]


def test_a_session_in_error_gives_its_number_back() -> None:
    case = given(episode(), consent(), episode(OTHER_EPISODE), *(held(n) for n in range(1, 6)), held(9, OTHER_EPISODE))
    (event,) = in_error(case, UUID(int=1002)).then(SessionEnteredInError)
    assert isinstance(event, SessionEnteredInError)
    assert (event.number, event.sessions_held, event.episode_id) == (2, 4, EPISODE)
    state = case.record.sessions[UUID(int=1002)]
    assert (state.status, state.number, state.version) == ("entered-in-error", None, case.record.version)
    assert numbers(case) == [1, None, 2, 3, 4]
    assert (numbers(case, OTHER_EPISODE), case.record.episodes[EPISODE].sessions_held) == ([9], 4)
    # The fifth session that really was is the first of the middle.
    next_one = the_session(walk_in(case))
    assert (next_one.number, next_one.phase) == (5, "middle")


def test_the_last_session_in_error_is_held_anew_with_its_number_and_phase() -> None:
    case = given(episode(), consent(), *(held(n) for n in range(1, 6)))
    in_error(case, UUID(int=1005)).then(SessionEnteredInError)
    event = the_session(walk_in(case))
    assert (event.number, event.phase) == (5, "middle")


@forall(st.lists(st.integers(0, 7), max_size=12))
def test_sessions_that_stand_are_numbered_without_gaps_whatever_was_an_error(chosen: list[int]) -> None:
    case = given(episode())
    for step, number in enumerate(chosen):
        standing = [key for key, state in case.record.sessions.items() if state.status == "held"]
        if number % 2 and standing:
            in_error(case, standing[number % len(standing)]).then(SessionEnteredInError)
        else:
            the_session(walk_in(case, session_id=UUID(int=700 + step), kind="assessment"))
        left = [number for number in numbers(case) if number is not None]
        assert left == list(range(1, len(left) + 1))
        assert case.record.episodes[EPISODE].sessions_held == len(left)


def test_an_error_is_marked_once_with_a_reason_and_on_the_version_that_was_read() -> None:
    stands = (episode(), consent(), held(1), booked())
    target = UUID(int=1001)
    assert pointer_of(in_error(given(*stands), target, reason=" ")) == "/reason"
    in_error(given(*stands), target, if_match=None).refused(VersionRequired)
    in_error(given(*stands), target, if_match=1).refused(StaleRecord)
    in_error(given(*stands), UUID(int=404)).refused(UnknownItem)
    in_error(given(*stands), SESSION).refused(RuleBroken, "session-not-held")
    case = given(*stands)
    in_error(case, target).then(SessionEnteredInError)
    in_error(case, target).then()


def test_nothing_new_names_a_session_in_error() -> None:
    target = UUID(int=1001)
    case = given(episode(), consent(), held(1))
    in_error(case, target).then(SessionEnteredInError)
    version = case.record.sessions[target].version
    text = {"kind": "progress", "format": "free", "sections": {"text": "x"}}
    case.when(sign_note, note_id=UUID(int=5), session_id=target, **text).refused(RuleBroken, "session-entered-in-error")
    case.error = None
    case.when(record_attendance, session_id=target, code="5", if_match=version)
    case.refused(RuleBroken, "session-entered-in-error")
    case.error = None
    hold(case, session_id=target, if_match=version).refused(RuleBroken, "session-entered-in-error")
