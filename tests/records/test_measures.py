"""Measures: every number of the data is what was published, and scoring keeps its laws for any answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import InvalidContent
from records.measures import MEASURES, Answer, Measure, change, outcome, score_answers, score_total

QUESTIONNAIRES = [measure for measure in MEASURES.values() if measure.rated_on == "client"]
PHQ, GAD, CORE, PCL = (MEASURES[name] for name in ("PHQ-9", "GAD-7", "CORE-10", "PCL-5"))


def answers_of(measure: Measure, missing: int = 0) -> st.SearchStrategy[list[Answer]]:
    """Answers of a measure with exactly so many unanswered."""
    steps = round((measure.item[1] - measure.item[0]) / measure.step)
    answer = st.integers(0, steps).map(lambda step: round(measure.item[0] + step * measure.step, 2))
    holes = st.permutations(range(measure.items)).map(lambda order: set(order[:missing]))
    given_answers = st.lists(answer, min_size=measure.items, max_size=measure.items)
    return st.builds(
        lambda values, left: [None if i in left else value for i, value in enumerate(values)], given_answers, holes
    )


some_answers = st.sampled_from(QUESTIONNAIRES).flatmap(
    lambda measure: st.integers(0, measure.items).flatmap(
        lambda missing: st.tuples(st.just(measure), answers_of(measure, missing))
    )
)


def refused_at(pointer: str, measure: Measure, answers: list[Answer]) -> None:
    with pytest.raises(InvalidContent) as caught:
        score_answers(measure, answers)
    assert caught.value.pointer == pointer


# --- the data


@pytest.mark.parametrize(
    ("name", "items", "item", "total", "missing_max", "caseness", "reliable"),
    [
        ("PHQ-9", 9, (0, 3), (0, 27), 2, 10, 6),
        ("GAD-7", 7, (0, 3), (0, 21), 1, 8, 4),
        ("WSAS", 5, (0, 8), (0, 40), 1, None, None),
        ("CORE-10", 10, (0, 4), (0, 40), 1, 11, 6),
        ("PCL-5", 20, (0, 4), (0, 80), 0, 32, 10),
        ("ORS", 4, (0, 10), (0, 40), 0, 25, 5),
        ("SRS", 4, (0, 10), (0, 40), 0, 36, None),
        ("IIP-32", 32, (0, 4), (0, 128), 2, None, None),
        ("GBO", 1, (0, 10), (0, 10), 0, None, 2.45),
        ("GAS", 1, (-2, 2), (-2, 2), 0, None, None),
    ],
)
def test_the_numbers_of_a_measure(
    name: str,
    items: int,
    item: tuple[int, int],
    total: tuple[int, int],
    missing_max: int,
    caseness: int | None,
    reliable: float | None,
) -> None:
    measure = MEASURES[name]
    assert (measure.items, measure.item, measure.range, measure.missing_max) == (items, item, total, missing_max)
    assert (measure.caseness, measure.reliable) == (caseness, reliable)


def test_there_are_no_other_measures() -> None:
    assert set(MEASURES) == {
        "PHQ-9", "GAD-7", "WSAS", "CORE-10", "PCL-5", "ORS", "SRS", "IIP-32", "GBO", "GAS"
    }  # fmt: skip


def test_higher_is_better_only_where_wellbeing_is_measured() -> None:
    assert {name for name, measure in MEASURES.items() if measure.higher == "better"} == {"ORS", "SRS", "GBO", "GAS"}


def test_risk_items_are_item_nine_and_item_six() -> None:
    risky = {name: (m.risk.item, m.risk.at) for name, m in MEASURES.items() if m.risk}
    assert risky == {"PHQ-9": (9, 1), "CORE-10": (6, 1)}


def test_only_free_item_text_may_be_shipped() -> None:
    allowed = {name for name, measure in MEASURES.items() if measure.text_allowed}
    assert allowed == {"PHQ-9", "GAD-7", "PCL-5", "CORE-10", "GAS"}
    assert all(measure.licence for measure in MEASURES.values())


def test_each_item_of_a_coded_questionnaire_has_its_code() -> None:
    for measure in (PHQ, GAD):
        assert measure.loinc is not None
        assert len(set(measure.loinc["items"])) == measure.items
        assert len(measure.loinc["answers"]) == measure.item[1] - measure.item[0] + 1


@pytest.mark.parametrize("measure", QUESTIONNAIRES, ids=lambda measure: measure.name)
def test_the_range_is_what_the_items_can_reach(measure: Measure) -> None:
    assert measure.range == (measure.items * measure.item[0], measure.items * measure.item[1])


@pytest.mark.parametrize("measure", QUESTIONNAIRES, ids=lambda measure: measure.name)
def test_bands_cover_the_range_exactly_once(measure: Measure) -> None:
    if not measure.bands:
        assert measure.name in {"PCL-5", "ORS", "SRS", "IIP-32"}
        return
    covered = [total for band in measure.bands for total in range(band.lowest, band.highest + 1)]
    assert covered == list(range(measure.range[0], measure.range[1] + 1))
    assert len({band.label for band in measure.bands}) == len(measure.bands)


@pytest.mark.parametrize(
    ("name", "total", "label"),
    [
        ("PHQ-9", 4, "minimal"),
        ("PHQ-9", 4.5, "minimal"),
        ("PHQ-9", 5, "mild"),
        ("PHQ-9", 9, "mild"),
        ("PHQ-9", 10, "moderate"),
        ("PHQ-9", 15, "moderately severe"),
        ("PHQ-9", 20, "severe"),
        ("PHQ-9", 27, "severe"),
        ("GAD-7", 14, "moderate"),
        ("GAD-7", 15, "severe"),
        ("WSAS", 9, "subclinical"),
        ("WSAS", 10, "significant impairment"),
        ("WSAS", 21, "moderately severe or worse"),
        ("CORE-10", 5, "healthy"),
        ("CORE-10", 10, "low level"),
        ("CORE-10", 11, "mild"),
        ("CORE-10", 19, "moderate"),
        ("CORE-10", 20, "moderate to severe"),
        ("CORE-10", 25, "severe"),
        ("PCL-5", 40, None),
    ],
)
def test_a_total_has_its_band(name: str, total: float, label: str | None) -> None:
    assert score_total(MEASURES[name], total).band == label


# --- scoring


def test_a_total_is_the_sum() -> None:
    scored = score_answers(PHQ, [2, 1, 2, 1, 3, 2, 2, 1, 2])
    assert (scored.score, scored.band, scored.caseness) == (16, "moderately severe", True)
    assert (scored.answered, scored.missing, scored.prorated) == (9, 0, False)
    assert (scored.risk_value, scored.risk_prompt, scored.risk_unanswered) == (2, True, False)


@given(some_answers)
def test_a_score_stays_in_its_range_and_has_a_band(case: tuple[Measure, list[Answer]]) -> None:
    measure, answers = case
    scored = score_answers(measure, answers)
    missing = answers.count(None)
    assert (scored.answered, scored.missing) == (measure.items - missing, missing)
    assert (scored.score is None) == (missing > measure.missing_max)
    if scored.score is None:
        assert (scored.mean, scored.band, scored.caseness, scored.prorated) == (None, None, None, False)
        return
    assert measure.range[0] <= scored.score <= measure.range[1]
    assert (scored.band is not None) == bool(measure.bands)
    assert (scored.caseness is not None) == (measure.caseness is not None)
    assert scored.prorated == (missing > 0)


@given(some_answers)
def test_answers_are_kept_as_they_were_ticked(case: tuple[Measure, list[Answer]]) -> None:
    measure, answers = case
    assert score_answers(measure, answers).answers == tuple(answers)


@given(st.sampled_from([PHQ, GAD, MEASURES["WSAS"], CORE]).flatmap(lambda m: st.tuples(st.just(m), answers_of(m, 1))))
def test_an_unanswered_item_counts_as_the_mean_of_the_others(case: tuple[Measure, list[Answer]]) -> None:
    measure, answers = case
    turned = [
        4 - value if value is not None and measure is CORE and number in (2, 3) else value
        for number, value in enumerate(answers, start=1)
    ]
    others = [value for value in turned if value is not None]
    expected = sum(others) + sum(others) / len(others)
    assert score_answers(measure, answers).score == pytest.approx(expected, abs=0.0051)


def test_unanswered_is_not_zero() -> None:
    worst: list[Answer] = [3, 3, 3, 3, 3, 3, 3, 3]
    assert score_answers(PHQ, [*worst, None]).score == 27
    assert score_answers(PHQ, [*worst, 0]).score == 24


@pytest.mark.parametrize("measure", QUESTIONNAIRES, ids=lambda measure: measure.name)
def test_one_unanswered_item_too_many_gives_no_score(measure: Measure) -> None:
    high = float(measure.item[1])
    allowed = [None] * measure.missing_max + [high] * (measure.items - measure.missing_max)
    too_many = [None] * (measure.missing_max + 1) + [high] * (measure.items - measure.missing_max - 1)
    assert score_answers(measure, allowed).score is not None
    assert score_answers(measure, too_many).score is None


@given(st.sampled_from([PHQ, CORE]).flatmap(lambda m: st.tuples(st.just(m), answers_of(m))))
def test_a_risk_item_is_never_filled_in(case: tuple[Measure, list[Answer]]) -> None:
    measure, answers = case
    assert measure.risk is not None
    answers[measure.risk.item - 1] = None
    scored = score_answers(measure, answers)
    assert (scored.risk_value, scored.risk_prompt, scored.risk_unanswered) == (None, False, True)
    assert scored.score is not None


@pytest.mark.parametrize(("value", "prompts"), [(0, False), (1, True), (2, True), (3, True)])
def test_every_answer_above_zero_prompts(value: int, prompts: bool) -> None:
    phq = score_answers(PHQ, [0, 0, 0, 0, 0, 0, 0, 0, value])
    core = score_answers(CORE, [0, 0, 0, 0, 0, value, 0, 0, 0, 0])
    assert (phq.risk_value, phq.risk_prompt) == (core.risk_value, core.risk_prompt) == (value, prompts)


def test_items_two_and_three_of_core_count_backwards() -> None:
    assert score_answers(CORE, [0] * 10).score == 8
    assert score_answers(CORE, [0, 4, 4, 0, 0, 0, 0, 0, 0, 0]).score == 0
    assert score_answers(CORE, [4, 0, 0, 4, 4, 4, 4, 4, 4, 4]).score == 40


def test_ors_goes_in_tenths_without_rounding_errors() -> None:
    scored = score_answers(MEASURES["ORS"], [6.1, 6.2, 6.3, 6.4])
    assert (scored.score, scored.caseness) == (25, False)
    assert score_answers(MEASURES["ORS"], [6.1, 6.2, 6.3, 6.3]).caseness is True


def test_whole_answers_are_stored_whole_and_tenths_as_tenths() -> None:
    assert str(score_answers(GAD, [1.0] * 7).answers) == "(1, 1, 1, 1, 1, 1, 1)"
    assert score_answers(MEASURES["ORS"], [0.1 + 0.2, 0.7 + 0.1, 5, 5]).answers == (0.3, 0.8, 5, 5)


def test_a_measure_without_risk_item_has_none_unanswered() -> None:
    assert score_answers(GAD, [None] * 7).risk_unanswered is False


def test_srs_is_looked_at_for_a_low_total_or_one_low_item() -> None:
    assert score_answers(MEASURES["SRS"], [9, 9, 9, 9]).caseness is False
    assert score_answers(MEASURES["SRS"], [9, 9, 9, 8.9]).caseness is True
    assert score_answers(MEASURES["SRS"], [10, 10, 10, 8.9]).caseness is True


def test_iip_is_reported_as_a_mean() -> None:
    assert score_answers(MEASURES["IIP-32"], [2] * 31 + [4]).mean == pytest.approx(66 / 32, abs=1e-4)


@pytest.mark.parametrize(("total", "caseness"), [(9, False), (10, True)])
def test_caseness_begins_at_the_cut_off(total: int, caseness: bool) -> None:
    assert score_total(PHQ, total).caseness is caseness


def test_clusters_of_pcl_need_their_numbers_of_endorsed_items() -> None:
    answers: list[Answer] = [0] * 20
    for item in (1, 6, 8, 9, 15, 20):
        answers[item - 1] = 2
    clusters = score_answers(PCL, answers).clusters
    assert {name: (c.score, c.endorsed, c.met) for name, c in clusters.items()} == {
        "B": (2, 1, True), "C": (2, 1, True), "D": (4, 2, True), "E": (4, 2, True)
    }  # fmt: skip
    answers[19] = 1
    assert score_answers(PCL, answers).clusters["E"].met is False


def test_clusters_of_pcl_cover_its_items_once() -> None:
    items = [item for first, last, _ in PCL.clusters.values() for item in range(first, last + 1)]
    assert items == list(range(1, 21))
    assert [needed for _, _, needed in PCL.clusters.values()] == [1, 1, 2, 2]


def test_an_unanswered_item_leaves_a_cluster_open_only_where_it_could_decide() -> None:
    clusters = score_answers(PCL, [None, 0, 0, 0, 0, None, 2, None, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).clusters
    assert [(c.score, c.met) for c in clusters.values()] == [(None, None), (None, True), (None, False), (0, False)]


# --- what is not an answer


@pytest.mark.parametrize("value", [-1, 4, 1.5, True, float("nan"), float("inf"), 10**400])
def test_an_answer_out_of_range_is_refused_where_it_stands(value: float) -> None:
    refused_at("/answers/3", PHQ, [0, 0, 0, value, 0, 0, 0, 0, 0])


def test_an_answer_between_two_steps_is_refused() -> None:
    refused_at("/answers/1", MEASURES["ORS"], [5, 5.55, 5, 5])


@pytest.mark.parametrize("length", [0, 8, 10])
def test_another_number_of_answers_is_refused(length: int) -> None:
    refused_at("/answers", PHQ, [0] * length)


@pytest.mark.parametrize("total", [-0.5, 27.01, True, float("nan")])
def test_a_total_out_of_range_is_refused(total: float) -> None:
    with pytest.raises(InvalidContent) as caught:
        score_total(PHQ, total)
    assert caught.value.pointer == "/score"


def test_a_total_alone_says_nothing_of_items() -> None:
    scored = score_total(PHQ, 27)
    assert (scored.answers, scored.risk_value, scored.risk_prompt, scored.risk_unanswered) == (None, None, False, False)


# --- change


@pytest.mark.parametrize(
    ("name", "first", "last", "reliable", "recovered"),
    [
        ("PHQ-9", 16, 10, "improved", False),
        ("PHQ-9", 16, 11, "none", False),
        ("PHQ-9", 15, 9, "improved", True),
        ("PHQ-9", 10, 9, "none", True),
        ("PHQ-9", 9, 3, "improved", False),
        ("PHQ-9", 10, 16, "deteriorated", False),
        ("GAD-7", 11, 7, "improved", True),
        ("GAD-7", 11, 8, "none", False),
        ("CORE-10", 16, 10, "improved", True),
        ("CORE-10", 12, 7, "none", True),
        ("PCL-5", 41, 31, "improved", True),
        ("PCL-5", 41, 32, "none", False),
        ("ORS", 20, 25, "improved", True),
        ("ORS", 25, 20, "deteriorated", False),
        ("ORS", 20, 24.9, "none", False),
        ("GBO", 2, 4.45, "improved", None),
        ("GBO", 2, 4, "none", None),
        ("GBO", 5, 2, "deteriorated", None),
        ("WSAS", 30, 0, None, None),
    ],
)
def test_change_of_one_measure(
    name: str, first: float, last: float, reliable: str | None, recovered: bool | None
) -> None:
    found = change(MEASURES[name], [first, last])
    assert found is not None
    assert (found.reliable, found.recovered) == (reliable, recovered)


@pytest.mark.parametrize("scores", [[], [10], [None, 10, None]])
def test_fewer_than_two_valid_scores_are_no_change(scores: list[float | None]) -> None:
    assert change(PHQ, scores) is None
    assert outcome({"PHQ-9": scores}) is None
    assert outcome({"PHQ-9": [20, 2], "GAD-7": scores}) is None


def test_first_and_last_are_the_valid_ones() -> None:
    found = change(PHQ, [None, 20, 3, None, 12, None])
    assert found is not None
    assert (found.first, found.last, found.better_by) == (20, 12, 8)


@pytest.mark.parametrize(
    ("phq", "gad", "improved", "deteriorated", "recovery"),
    [
        ((16, 9), (10, 7), True, False, True),  # both better, both below
        ((16, 9), (7, 7), True, False, True),  # one at caseness first is enough
        ((16, 9), (7, 8), True, False, False),  # the other one is at caseness last
        ((9, 9), (7, 7), False, False, False),  # never at caseness
        ((10, 9), (8, 7), False, False, True),  # recovered, not reliably
        ((16, 10), (10, 13), True, False, False),  # a rise of 3 is not yet reliable
        ((16, 10), (10, 14), False, False, False),  # one each way cancels both
        ((10, 16), (10, 10), False, True, False),
        ((10, 10), (10, 14), False, True, False),
    ],
)
def test_two_measures_are_judged_together(
    phq: tuple[float, float], gad: tuple[float, float], improved: bool, deteriorated: bool, recovery: bool
) -> None:
    found = outcome({"PHQ-9": phq, "GAD-7": gad})
    assert found is not None
    assert (found.reliable_improvement, found.reliable_deterioration) == (improved, deteriorated)
    assert (found.recovery, found.reliable_recovery) == (recovery, recovery and improved)


@given(st.tuples(*[st.integers(0, 21)] * 4))
def test_time_turned_round_turns_improvement_into_deterioration(scores: tuple[int, int, int, int]) -> None:
    phq, gad = scores[:2], scores[2:]
    there = outcome({"PHQ-9": phq, "GAD-7": gad})
    back = outcome({"PHQ-9": phq[::-1], "GAD-7": gad[::-1]})
    assert there is not None
    assert back is not None
    assert there.reliable_improvement == back.reliable_deterioration
    assert there.reliable_deterioration == back.reliable_improvement


@pytest.mark.parametrize("courses", [{}, {"WSAS": [30, 10]}, {"PHQ-9": [20, 2], "WSAS": [30, 10]}])
def test_no_outcome_without_cut_offs_for_all(courses: dict[str, list[float | None]]) -> None:
    assert outcome(courses) is None
