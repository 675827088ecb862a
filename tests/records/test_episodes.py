"""Episodes: opened by a protocol, phases by plan or by hand, closed with a code."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from records.care_codes import DISCHARGES, FORMATS, PHASES, REFERRALS, SETTINGS
from records.episodes import (
    PROTOCOLS,
    ConcurrentTherapy,
    EpisodeClosed,
    EpisodeOpened,
    EpisodePhaseSet,
    EpisodeProtocolChanged,
    change_protocol,
    close_episode,
    open_episode,
    phase_of,
    phases_of,
    set_phase,
)
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.registration import ClientRegistered, Identity
from records.sessions import SessionHeld
from tests.given import NOW, Case, given, stamp

EPISODE, OTHER = UUID(int=31), UUID(int=32)
DAY = timedelta(days=1)


def opened(episode_id: UUID = EPISODE, protocol: str = "dit-manual", at: datetime = NOW - DAY) -> Event:
    return EpisodeOpened(
        episode_id=episode_id,
        format="individual",
        modality="DIT",
        protocol=protocol,
        phases=phases_of(protocol, 16),
        **stamp(at),
    )


def closed() -> Event:
    return EpisodeClosed(episode_id=EPISODE, reason="46", **stamp())


def open_(case: Case, **arguments: Any) -> Case:
    chosen = {"episode_id": EPISODE, "format": "individual", "modality": "DIT", "protocol": "dit-manual"}
    return case.when(open_episode, **{**chosen, **arguments})


def test_an_episode_opens_with_the_plan_of_its_protocol() -> None:
    case = open_(given())
    (event,) = case.then(EpisodeOpened)
    assert isinstance(event, EpisodeOpened)
    assert (event.planned_sessions, event.protocol_version) == (16, PROTOCOLS["dit-manual"].version)
    assert event.phases == {"initial": 1, "middle": 5, "ending": 13}
    assert (event.format, event.modality, event.protocol) == ("individual", "DIT", "dit-manual")
    state = case.record.episodes[EPISODE]
    assert (state.format, state.modality, state.protocol, state.planned_sessions) == (
        event.format, event.modality, event.protocol, 16,
    )  # fmt: skip
    assert (state.opened_at, state.closed_at, state.sessions_held, state.version) == (NOW, None, 0, 1)
    assert [state.phase_at(number) for number in (1, 4, 5, 12, 13, 16, 20)] == [
        "initial", "initial", "middle", "middle", "ending", "ending", "ending",
    ]  # fmt: skip


def test_a_protocol_of_the_clinic_has_no_phases_until_somebody_sets_one() -> None:
    case = open_(given(), protocol="cbt-low-intensity", protocol_version="4", modality="CBT")
    (event,) = case.then(EpisodeOpened)
    assert isinstance(event, EpisodeOpened)
    assert (event.phases, event.protocol_version, event.planned_sessions) == ({}, "4", 16)
    assert case.record.episodes[EPISODE].phase_at(3) is None
    case.when(set_phase, episode_id=EPISODE, phase="middle", reason="agreed", if_match=1).then(EpisodePhaseSet)
    assert case.record.episodes[EPISODE].phase_at(3) == "middle"


def test_the_guide_has_no_phases_either() -> None:
    assert phases_of("dit-guide", 16) == {}
    open_(given(), protocol="dit-guide", format="couple").then(EpisodeOpened)


def test_all_that_was_told_stands_in_the_event() -> None:
    therapy = ConcurrentTherapy(modality="CBT", provider="Elsewhere", started=date(2025, 11, 1))
    told = {
        "problem": "Afraid of lifts.",
        "referral": "gp",
        "setting": "prison",
        "concurrent_therapies": [therapy],
        "modality_label": "Dynamic interpersonal therapy",
        "planned_sessions": 20,
        "occurred_at": NOW - DAY,
    }
    case = open_(given(), **told)
    (event,) = case.then(EpisodeOpened)
    assert {name: getattr(event, name) for name in told} == told | {"concurrent_therapies": (therapy,)}
    assert case.record.episodes[EPISODE].setting == "prison"
    assert case.record.episodes[EPISODE].opened_at == NOW - DAY


def test_the_limits_themselves_are_taken() -> None:
    for planned_sessions in (1, 500):
        open_(given(), planned_sessions=planned_sessions).then(EpisodeOpened)
    one_day = ConcurrentTherapy(modality="CBT", started=date(2025, 2, 1), ended=date(2025, 2, 1))
    open_(given(), concurrent_therapies=[one_day]).then(EpisodeOpened)
    given(opened(at=NOW)).when(close_episode, episode_id=EPISODE, reason="50", if_match=1).then(EpisodeClosed)


def test_an_episode_opens_once() -> None:
    open_(given(opened())).refused(RuleBroken, "episode-already-opened")
    open_(given(opened(), closed())).refused(RuleBroken, "episode-already-opened")
    open_(given(opened()), episode_id=OTHER).then(EpisodeOpened)


@pytest.mark.parametrize(
    ("field", "codes"), [("format", FORMATS), ("setting", SETTINGS), ("referral", REFERRALS), ("protocol", PROTOCOLS)]
)
def test_every_code_is_taken(field: str, codes: dict[str, Any] | tuple[str, ...]) -> None:
    for code in codes:
        open_(given(), **{field: code}).then(EpisodeOpened)


BACKWARDS = ConcurrentTherapy(modality="CBT", started=date(2025, 2, 2), ended=date(2025, 2, 1))


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"format": "crowd"}, "/format"),
        ({"format": ""}, "/format"),
        ({"setting": "moon"}, "/setting"),
        ({"referral": "rumour"}, "/referral"),
        ({"modality": ""}, "/modality"),
        ({"modality": "two words"}, "/modality"),
        ({"modality": "x" * 65}, "/modality"),
        ({"protocol": "-dit"}, "/protocol"),
        ({"protocol": "dit\n"}, "/protocol"),
        ({"planned_sessions": 0}, "/planned_sessions"),
        ({"planned_sessions": -1}, "/planned_sessions"),
        ({"planned_sessions": 501}, "/planned_sessions"),
        ({"occurred_at": NOW + DAY}, "/occurred_at"),
        ({"occurred_at": datetime(1979, 12, 31, tzinfo=NOW.tzinfo)}, "/occurred_at"),
        ({"concurrent_therapies": [ConcurrentTherapy(modality="PST"), BACKWARDS]}, "/concurrent_therapies/1/ended"),
    ],
)
def test_what_cannot_be_true_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    born = ClientRegistered(identity=Identity(family="F", birth_date="1980"), **stamp())
    error = open_(given(born), **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- phases


@pytest.mark.parametrize(
    ("planned", "phases"),
    [
        (16, {"initial": 1, "middle": 5, "ending": 13}),
        (20, {"initial": 1, "middle": 5, "ending": 17}),
        (9, {"initial": 1, "middle": 5, "ending": 6}),
        (8, {"initial": 1, "ending": 5}),
        (6, {"initial": 1, "ending": 5}),
        (5, {"initial": 1, "ending": 5}),
        (4, {"initial": 1}),
        (1, {"initial": 1}),
    ],
)
def test_a_longer_plan_has_a_longer_middle_and_a_short_one_loses_it(planned: int, phases: dict[str, int]) -> None:
    assert phases_of("dit-manual", planned) == phases


@forall(st.integers(1, 500), st.integers(1, 600))
def test_phases_follow_each_other_and_every_session_has_one(planned: int, number: int) -> None:
    order = list(PHASES)
    here, after = (phase_of("dit-manual", session, planned) for session in (number, number + 1))
    assert here is not None
    assert after is not None
    assert order.index(here) <= order.index(after)
    starts = list(phases_of("dit-manual", planned).values())
    assert starts[0] == 1
    assert all(first < second <= planned for first, second in pairwise(starts))


@forall(st.sampled_from(sorted(PROTOCOLS)), st.integers(1, 60), st.integers(1, 80))
def test_an_open_episode_derives_the_same_phase_as_the_pure_function(protocol: str, planned: int, number: int) -> None:
    case = open_(given(), protocol=protocol, planned_sessions=planned)
    case.then(EpisodeOpened)
    assert case.record.episodes[EPISODE].phase_at(number) == phase_of(protocol, number, planned)


def test_a_phase_set_by_hand_holds_until_it_is_given_back() -> None:
    case = given(opened()).when(set_phase, episode_id=EPISODE, phase="ending", reason="Moving away.", if_match=1)
    (event,) = case.then(EpisodePhaseSet)
    assert isinstance(event, EpisodePhaseSet)
    assert event.reason == "Moving away."
    state = case.record.episodes[EPISODE]
    assert (state.phase_at(1), state.version) == ("ending", 2)
    case.when(set_phase, episode_id=EPISODE, phase="ending", reason="x").then()
    case.when(set_phase, episode_id=EPISODE, phase=None, reason="Stays.", if_match=2).then(EpisodePhaseSet)
    assert case.record.episodes[EPISODE].phase_at(1) == "initial"


@pytest.mark.parametrize(("phase", "reason", "pointer"), [("climax", "x", "/phase"), ("ending", " ", "/reason")])
def test_a_phase_is_known_and_explained(phase: str, reason: str, pointer: str) -> None:
    case = given(opened()).when(set_phase, episode_id=EPISODE, phase=phase, reason=reason, if_match=1)
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- closing


@pytest.mark.parametrize("reason", DISCHARGES)
def test_an_episode_closes_with_each_discharge_code(reason: str) -> None:
    case = given(opened()).when(close_episode, episode_id=EPISODE, reason=reason, note="Done.", if_match=1)
    (event,) = case.then(EpisodeClosed)
    assert isinstance(event, EpisodeClosed)
    assert (event.reason, event.note) == (reason, "Done.")
    assert case.record.episodes[EPISODE].closed_at == NOW


def test_a_closed_episode_stays_as_it_is() -> None:
    case = given(opened(), closed())
    case.when(close_episode, episode_id=EPISODE, reason="46", if_match=2).refused(RuleBroken, "episode-closed")
    case = given(opened(), closed())
    case.when(set_phase, episode_id=EPISODE, phase="ending", reason="x", if_match=2)
    case.refused(RuleBroken, "episode-closed")


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"reason": "15"}, "/reason"),
        ({"reason": "46", "occurred_at": NOW + DAY}, "/occurred_at"),
        ({"reason": "46", "occurred_at": NOW - 2 * DAY}, "/occurred_at"),
    ],
)
def test_an_impossible_end_is_refused(arguments: dict[str, Any], pointer: str) -> None:
    error = given(opened()).when(close_episode, episode_id=EPISODE, if_match=1, **arguments).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


@pytest.mark.parametrize(
    ("decision", "arguments"), [(set_phase, {"phase": "ending", "reason": "x"}), (close_episode, {"reason": "46"})]
)
def test_every_change_builds_on_the_episode_that_was_read(decision: Any, arguments: dict[str, Any]) -> None:
    given().when(decision, episode_id=EPISODE, if_match=1, **arguments).refused(UnknownItem)
    given(opened()).when(decision, episode_id=EPISODE, **arguments).refused(VersionRequired)
    given(opened()).when(decision, episode_id=EPISODE, if_match=2, **arguments).refused(StaleRecord)
    beside = given(opened(), opened(OTHER)).when(decision, episode_id=EPISODE, if_match=1, **arguments)
    assert beside.error is None, "another episode does not make this one stale"
    migrated = given(opened()).when(decision, episode_id=EPISODE, migrated=True, **arguments)
    assert migrated.error is None, "migrated history names no version"


# --- another protocol


def held(number: int, phase: str | None = None) -> Event:
    return SessionHeld(
        session_id=UUID(int=300 + number),
        episode_id=EPISODE,
        kind="assessment",
        number=number,
        started_at=NOW,
        mode="01",
        setting="clinic",
        phase=phase,
        **stamp(),
    )


def changing(case: Case, **arguments: Any) -> Case:
    state = case.record.episodes.get(EPISODE)
    chosen = {"protocol": "dit-manual", "reason": "He comes alone now.", "if_match": state.version if state else None}
    return case.when(change_protocol, episode_id=EPISODE, **{**chosen, **arguments})


def test_phases_follow_the_new_plan_from_then_on() -> None:
    case = changing(given(opened(protocol="dit-guide"), *(held(n) for n in range(1, 7))))
    (event,) = case.then(EpisodeProtocolChanged)
    assert isinstance(event, EpisodeProtocolChanged)
    assert (event.protocol, event.protocol_version, event.planned_sessions) == ("dit-manual", "2011", 16)
    assert (event.phases, event.reason) == ({"initial": 1, "middle": 5, "ending": 13}, "He comes alone now.")
    state = case.record.episodes[EPISODE]
    assert (state.protocol, state.phase_at(7), state.version) == ("dit-manual", "middle", case.record.version)


def test_a_plan_may_begin_anew_with_the_next_session() -> None:
    case = changing(given(opened(protocol="dit-guide"), *(held(n) for n in range(1, 7))), begins_anew=True)
    (event,) = case.then(EpisodeProtocolChanged)
    assert isinstance(event, EpisodeProtocolChanged)
    assert (event.planned_sessions, event.phases) == (22, {"initial": 7, "middle": 11, "ending": 19})
    state = case.record.episodes[EPISODE]
    assert [state.phase_at(number) for number in (6, 7, 11, 22)] == [None, "initial", "middle", "ending"]


def test_a_phase_set_by_hand_ends_with_the_plan_it_was_set_against() -> None:
    by_hand = EpisodePhaseSet(episode_id=EPISODE, phase="ending", reason="x", **stamp())
    case = changing(given(opened(), by_hand), protocol="own")
    case.then(EpisodeProtocolChanged)
    state = case.record.episodes[EPISODE]
    assert (state.phase_override, state.phases, state.phase_at(1), state.protocol_version) == (None, {}, None, None)


def test_the_same_plan_is_nothing_to_do_and_another_number_of_sessions_is() -> None:
    (event,) = changing(given(opened(protocol="dit-guide"))).then(EpisodeProtocolChanged)
    case = given(opened(protocol="dit-guide"), event)
    changing(case, reason=" ").then()
    changing(case, planned_sessions=24).then(EpisodeProtocolChanged)


def test_a_change_of_protocol_that_cannot_be_is_refused() -> None:
    for pointer, arguments in (
        ("/reason", {"reason": " ", "protocol": "own"}),
        ("/protocol", {"protocol": "no code!"}),
        ("/planned_sessions", {"planned_sessions": 0}),
        ("/planned_sessions", {"planned_sessions": 501}),
    ):
        error = changing(given(opened()), **arguments).refused(InvalidContent)
        assert isinstance(error, InvalidContent)
        assert error.pointer == pointer
    changing(given(opened(), closed())).refused(RuleBroken, "episode-closed")
    changing(given(opened()), if_match=None).refused(VersionRequired)
    changing(given(opened()), if_match=9).refused(StaleRecord)
    changing(given()).refused(UnknownItem)
