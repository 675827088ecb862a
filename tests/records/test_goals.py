"""Goals: set, changed and rated by their rules; the T-score gives the published values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from records.client_record import EpisodeState, SessionState
from records.errors import InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from records.event import Event
from records.goals import (
    CHANGES,
    GoalAbandoned,
    GoalAchieved,
    GoalEnteredInError,
    GoalPartlyAchieved,
    GoalPaused,
    GoalRated,
    GoalReopened,
    GoalResumed,
    GoalReworded,
    GoalSet,
    change_goal,
    gas_t_score,
    mark_goal_entered_in_error,
    rate_goal,
    set_goal,
)
from tests.given import NOW, Case, given, stamp

GOAL, OTHER = UUID(int=1), UUID(int=2)
SESSION, EPISODE = UUID(int=11), UUID(int=12)


def a_goal(goal_id: UUID = GOAL, scale: Any = "gbo") -> GoalSet:
    return GoalSet(goal_id=goal_id, text="Sleep through the night", scale=scale, **stamp())


MADE = {
    "active": (),
    "paused": (GoalPaused(goal_id=GOAL, **stamp()),),
    "achieved": (GoalAchieved(goal_id=GOAL, **stamp()),),
    "partly-achieved": (GoalPartlyAchieved(goal_id=GOAL, **stamp()),),
    "abandoned": (GoalAbandoned(goal_id=GOAL, reason="moved away", **stamp()),),
}
"""Status → the events that lead a goal there."""


def standing(status: str, scale: str = "gbo") -> Case:
    case = given(a_goal(scale=scale), *MADE[status])
    assert case.record.goals[GOAL].status == status
    return case


def refused_at(pointer: str, case: Case) -> None:
    error = case.refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == pointer


# --- setting


def setting(case: Case, **arguments: Any) -> Case:
    return case.when(set_goal, **{"goal_id": GOAL, "text": "Sleep through the night", "scale": "gas", **arguments})


def test_a_goal_is_set_with_all_that_was_agreed() -> None:
    agreed = {
        "text": "Speak to my father again",
        "scale": "gas",
        "anchors": {"-2": "not a word", "-1": "a card", "0": "a call", "1": "a visit", "2": "a holiday"},
        "baseline": -2,
        "importance": 3,
        "difficulty": 2,
        "agreed_by": "client",
        "scope": "session",
        "session_id": SESSION,
        "episode_id": EPISODE,
    }
    case = given()
    case.record.sessions[SESSION] = SessionState(version=1, episode_id=EPISODE, kind="treatment", start=NOW, mode="01")
    case.record.episodes[EPISODE] = EpisodeState(
        version=1,
        format="individual",
        modality="dit",
        protocol="dit-manual",
        planned_sessions=16,
        opened_at=NOW,
    )
    (event,) = setting(case, **agreed).then(GoalSet)
    assert {name: getattr(event, name) for name in agreed} == agreed
    assert (case.record.goals[GOAL].status, case.record.goals[GOAL].scale) == ("active", "gas")


def test_a_clients_words_are_segments() -> None:
    assert GoalSet.free_text == ("text", "anchors")
    assert GoalReworded.free_text == ("text", "reason")


@pytest.mark.parametrize(
    ("pointer", "arguments"),
    [
        ("/text", {"text": " "}),
        ("/scale", {"scale": "vas"}),
        ("/anchors", {"anchors": {"3": "more"}}),
        ("/anchors", {"scale": "gbo", "anchors": {"0": "a call"}}),
        ("/baseline", {"baseline": 3}),
        ("/baseline", {"baseline": -3}),
        ("/baseline", {"scale": "gbo", "baseline": -1}),
        ("/baseline", {"scale": "gbo", "baseline": 11}),
        ("/baseline", {"scale": "none", "baseline": 0}),
        ("/importance", {"importance": 0}),
        ("/importance", {"importance": 4}),
        ("/difficulty", {"difficulty": 4}),
        ("/agreed_by", {"agreed_by": "mother"}),
        ("/scope", {"scope": "life"}),
        ("/session_id", {"scope": "session"}),
        ("/occurred_at", {"occurred_at": NOW + timedelta(days=1)}),
    ],
)
def test_a_goal_that_cannot_be_is_refused_where_it_fails(pointer: str, arguments: dict[str, Any]) -> None:
    refused_at(pointer, setting(given(), **arguments))


@pytest.mark.parametrize("where", ["session_id", "episode_id"])
def test_a_goal_belongs_to_this_clients_sessions_and_episodes(where: str) -> None:
    setting(given(), **{where: SESSION}).refused(UnknownItem)


def test_a_goal_is_set_once() -> None:
    setting(given(a_goal())).refused(RuleBroken, "goal-already-set")


def test_at_most_three_goals_are_rated_on_gbo_at_once() -> None:
    three = [a_goal(UUID(int=number)) for number in (2, 3, 4)]
    setting(given(*three[:2]), scale="gbo").then(GoalSet)
    setting(given(*three), scale="gbo").refused(RuleBroken, "too-many-gbo-goals")
    setting(given(*three), scale="gas").then(GoalSet)
    setting(given(*three), scale="none").then(GoalSet)
    setting(given(*(a_goal(UUID(int=number), "gas") for number in (2, 3, 4))), scale="gbo").then(GoalSet)
    setting(given(*three, GoalPaused(goal_id=OTHER, **stamp())), scale="gbo").then(GoalSet)


@pytest.mark.parametrize(("status", "change"), [("paused", "resume"), ("achieved", "reopen")])
def test_taking_up_a_fourth_gbo_goal_is_refused_too(status: str, change: str) -> None:
    three = [a_goal(UUID(int=number)) for number in (2, 3, 4)]
    case = given(a_goal(), *MADE[status], *three)
    case.when(change_goal, if_match=2, goal_id=GOAL, change=change).refused(RuleBroken, "too-many-gbo-goals")
    case = given(a_goal(scale="gas"), *MADE[status], *three)
    case.when(change_goal, if_match=2, goal_id=GOAL, change=change)
    assert case.error is None


# --- changing

EXPECTED: dict[tuple[str, str], type[Event] | str | None] = {
    **{(status, "reword"): GoalReworded for status in ("active", "paused")},
    **{(status, "reword"): "goal-closed" for status in ("achieved", "partly-achieved", "abandoned")},
    ("active", "pause"): GoalPaused,
    ("active", "resume"): None,
    ("active", "achieve"): GoalAchieved,
    ("active", "partly-achieve"): GoalPartlyAchieved,
    ("active", "abandon"): GoalAbandoned,
    ("active", "reopen"): None,
    ("paused", "pause"): None,
    ("paused", "resume"): GoalResumed,
    ("paused", "achieve"): GoalAchieved,
    ("paused", "partly-achieve"): GoalPartlyAchieved,
    ("paused", "abandon"): GoalAbandoned,
    ("paused", "reopen"): "goal-not-closed",
    ("achieved", "pause"): "goal-closed",
    ("achieved", "resume"): "goal-closed",
    ("achieved", "achieve"): None,
    ("achieved", "partly-achieve"): "goal-closed",
    ("achieved", "abandon"): "goal-closed",
    ("achieved", "reopen"): GoalReopened,
    ("partly-achieved", "pause"): "goal-closed",
    ("partly-achieved", "resume"): "goal-closed",
    ("partly-achieved", "achieve"): "goal-closed",
    ("partly-achieved", "partly-achieve"): None,
    ("partly-achieved", "abandon"): "goal-closed",
    ("partly-achieved", "reopen"): GoalReopened,
    ("abandoned", "pause"): "goal-closed",
    ("abandoned", "resume"): "goal-closed",
    ("abandoned", "achieve"): "goal-closed",
    ("abandoned", "partly-achieve"): "goal-closed",
    ("abandoned", "abandon"): None,
    ("abandoned", "reopen"): GoalReopened,
}
"""(Status, change) → the event, the rule that refuses it, or None where there is nothing to do."""

LEADS_TO = {
    GoalReworded: None,
    GoalPaused: "paused",
    GoalResumed: "active",
    GoalReopened: "active",
    GoalAchieved: "achieved",
    GoalPartlyAchieved: "partly-achieved",
    GoalAbandoned: "abandoned",
}


def changing(case: Case, change: str, **arguments: Any) -> Case:
    words = {"text": "Sleep six hours"} if change == "reword" else {}
    version = case.record.goals[GOAL].version
    return case.when(
        change_goal,
        **{"if_match": version, "goal_id": GOAL, "change": change, "reason": "agreed today", **words, **arguments},
    )


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == {(status, change) for status in MADE for change in CHANGES}


@pytest.mark.parametrize(("status", "change"), EXPECTED)
def test_each_change_from_each_status(status: str, change: str) -> None:
    expected = EXPECTED[status, change]
    case = changing(standing(status), change)
    if isinstance(expected, str):
        case.refused(RuleBroken, expected)
        return
    before = case.record.goals[GOAL]
    if expected is None:
        case.then()
        assert case.record.goals[GOAL] == before
        return
    (event,) = case.then(expected)
    assert getattr(event, "reason", None) == "agreed today"
    after = case.record.goals[GOAL]
    assert after.status == (LEADS_TO[expected] or before.status)
    assert after.version == before.version + 1


def test_rewording_keeps_the_words_that_were_said() -> None:
    (event,) = changing(standing("active"), "reword", text="Sleep six hours").then(GoalReworded)
    assert isinstance(event, GoalReworded)
    assert event.text == "Sleep six hours"


@pytest.mark.parametrize(
    ("pointer", "change", "arguments"),
    [
        ("/change", "delete", {}),
        ("/text", "reword", {"text": None}),
        ("/text", "reword", {"text": " "}),
        ("/text", "pause", {"text": "Sleep six hours"}),
        ("/reason", "abandon", {"reason": None}),
        ("/reason", "abandon", {"reason": " "}),
        ("/occurred_at", "achieve", {"occurred_at": NOW + timedelta(days=1)}),
        ("/occurred_at", "achieve", {"occurred_at": NOW - timedelta(days=1)}),
    ],
)
def test_a_change_that_cannot_be_is_refused_where_it_fails(
    pointer: str, change: str, arguments: dict[str, Any]
) -> None:
    refused_at(pointer, changing(standing("active"), change, **arguments))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_builds_on_what_was_read(change: str) -> None:
    status = {"resume": "paused", "reopen": "achieved"}.get(change, "active")
    changing(standing(status), change, if_match=None).refused(VersionRequired)
    changing(standing(status), change, if_match=9).refused(StaleRecord)
    changing(standing(status), change, goal_id=OTHER).refused(UnknownItem)


@for_all(st.lists(st.sampled_from([change for change in CHANGES if change != "reword"]), max_size=8))
def test_doing_the_same_change_twice_is_doing_it_once(changes: list[str]) -> None:
    case = standing("active")
    for change in changes:
        case.error = None
        if changing(case, change).error is not None:
            continue
        case.then(*(type(event) for event in case.outcome))
        changing(case, change).then()


# --- rating


def rating(case: Case, **arguments: Any) -> Case:
    return case.when(rate_goal, **{"goal_id": GOAL, "value": 0, **arguments})


@pytest.mark.parametrize(("scale", "values"), [("gas", range(-2, 3)), ("gbo", range(11))])
def test_every_level_of_a_scale_can_be_rated_without_a_version(scale: str, values: range) -> None:
    for value in values:
        (event,) = rating(standing("active", scale), value=value, rater="both").then(GoalRated)
        assert isinstance(event, GoalRated)
        assert (event.scale, event.value, event.rater) == (scale, value, "both")


@pytest.mark.parametrize(
    ("scale", "value"), [("gas", -3), ("gas", 3), ("gas", 0.5), ("gbo", -1), ("gbo", 11), ("gbo", True), ("gbo", None)]
)
def test_a_level_off_the_scale_is_refused(scale: str, value: Any) -> None:
    refused_at("/value", rating(standing("active", scale), value=value))


def test_a_closed_goal_is_not_rated_and_a_paused_one_is() -> None:
    for status in ("achieved", "partly-achieved", "abandoned"):
        rating(standing(status)).refused(RuleBroken, "goal-closed")
    rating(standing("paused")).then(GoalRated)


def test_a_goal_without_scale_is_not_rated() -> None:
    rating(standing("active", "none")).refused(RuleBroken, "goal-has-no-scale")


def test_a_rating_is_of_this_record_and_after_the_goal_was_set() -> None:
    rating(standing("active"), goal_id=OTHER).refused(UnknownItem)
    rating(standing("active"), session_id=SESSION).refused(UnknownItem)
    refused_at("/rater", rating(standing("active"), rater="mother"))
    refused_at("/occurred_at", rating(standing("active"), occurred_at=NOW - timedelta(seconds=1)))
    refused_at("/occurred_at", rating(standing("active"), occurred_at=NOW + timedelta(seconds=1)))


# --- entered in error


def in_error(case: Case, **arguments: Any) -> Case:
    stands = {"goal_id": GOAL, "reason": "Another client's.", "if_match": case.record.goals[GOAL].version}
    return case.when(mark_goal_entered_in_error, **{**stands, **arguments})


@pytest.mark.parametrize("status", MADE)
def test_a_goal_in_error_is_over_whatever_it_was(status: str) -> None:
    case = in_error(standing(status))
    case.then(GoalEnteredInError)
    assert case.record.goals[GOAL].status == "entered-in-error"
    in_error(case).then()
    version = case.record.goals[GOAL].version
    for change in CHANGES:
        case.error = None
        case.when(change_goal, goal_id=GOAL, change=change, text="x" if change == "reword" else None, if_match=version)
        case.refused(RuleBroken, "goal-entered-in-error")
    case.error = None
    case.when(rate_goal, goal_id=GOAL, value=1).refused(RuleBroken, "goal-entered-in-error")
    case.error = None
    case.when(set_goal, goal_id=GOAL, text="x", scale="gbo").refused(RuleBroken, "goal-already-set")


def test_a_goal_in_error_gives_its_place_on_the_scale_back() -> None:
    ids = [GOAL, *(UUID(int=number) for number in (901, 902))]
    case = given(*(a_goal(goal_id) for goal_id in ids))
    fourth = {"goal_id": UUID(int=903), "text": "Walk.", "scale": "gbo"}
    case.when(set_goal, **fourth).refused(RuleBroken, "too-many-gbo-goals")
    case.error = None
    in_error(case).then(GoalEnteredInError)
    case.when(set_goal, **fourth).then(GoalSet)


def test_marking_a_goal_needs_a_reason_and_the_version_that_was_read() -> None:
    refused_at("/reason", in_error(standing("active"), reason=" "))
    in_error(standing("active"), if_match=None).refused(VersionRequired)
    in_error(standing("active"), if_match=9).refused(StaleRecord)
    in_error(standing("active"), goal_id=UUID(int=404)).refused(UnknownItem)


# --- the T-score


@pytest.mark.parametrize(
    ("goals", "expected"),
    [
        ([(0, 1), (0, 1), (0, 1)], 50.0),
        ([(1, 1), (1, 1), (1, 1)], 63.69),
        ([(-2, 1), (-2, 1), (-2, 1)], 22.61),
        ([(-1, 1), (-1, 1), (-1, 1)], 36.31),
        ([(2, 1)], 70.0),
        ([(1, 3), (0, 2), (-1, 1)], 54.41),
    ],
)
def test_the_t_score_gives_the_published_values(goals: list[tuple[int, float]], expected: float) -> None:
    score = gas_t_score(goals)
    assert score is not None
    assert round(score, 2) == expected


def test_no_goals_have_no_t_score() -> None:
    assert gas_t_score([]) is None


some_goals = st.lists(st.tuples(st.integers(-2, 2), st.sampled_from([1, 2, 3, 4, 6, 9])), min_size=1, max_size=8)


@for_all(some_goals.flatmap(lambda goals: st.tuples(st.just(goals), st.permutations(goals))))
def test_the_order_of_goals_does_not_matter(both: tuple[list[tuple[int, float]], list[tuple[int, float]]]) -> None:
    assert gas_t_score(both[0]) == gas_t_score(both[1])


@for_all(st.lists(st.integers(-2, 2), min_size=1, max_size=8), st.sampled_from([2, 3, 4, 6, 9]))
def test_equal_weights_count_like_one(levels: list[int], weight: int) -> None:
    weighted = gas_t_score([(level, weight) for level in levels])
    assert weighted == pytest.approx(gas_t_score([(level, 1) for level in levels]))


@for_all(some_goals)
def test_turning_every_level_round_mirrors_the_t_score_at_fifty(goals: list[tuple[int, float]]) -> None:
    score, mirrored = gas_t_score(goals), gas_t_score([(-level, weight) for level, weight in goals])
    assert score is not None
    assert mirrored is not None
    assert score + mirrored == pytest.approx(100)


@for_all(some_goals, st.integers(0, 7))
def test_reaching_more_never_lowers_the_t_score(goals: list[tuple[int, float]], which: int) -> None:
    index = which % len(goals)
    level, weight = goals[index]
    better = [*goals[:index], (min(level + 1, 2), weight), *goals[index + 1 :]]
    score, higher = gas_t_score(goals), gas_t_score(better)
    assert score is not None
    assert higher is not None
    assert (higher > score) == (level < 2)
