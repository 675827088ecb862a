"""Measures: how answers become a score, and how two scores become a change. Pure functions over `measures.json`.

Source: DOMAIN 2; each measure's own publication, licence and codes stand beside its numbers in the data. What the data
marks B a clinician of the clinic must confirm.

Rules:
- An answer is stored raw, as it was ticked; items that count backwards (CORE-10 items 2 and 3) are turned here.
- Unanswered (None) is not 0. Up to `missing_max` items may be unanswered: the total is then the mean of the answered
  items times the number of items. Beyond that there is no score, no band and no caseness.
- A risk item is never filled in: where it is unanswered its value stays None and `risk_unanswered` says so.
- A total is kept to two decimals. A band reaches from its `from` up to the `from` of the next one, so that a total
  that was made from a mean has exactly one band.
- Change needs two valid scores, the first and the last in time; amounts equal to the reliable amount count.

It does not choose which scores are first and last, nor which measure is read beside PHQ-9; it holds no item text, and
no octants of IIP-32 (their key is licensed); it never turns a risk item into a level of risk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from records.errors import InvalidContent

SCORER = "wellkept-scorer/1"
"""The scorer's id and version, kept with every score: a change of these rules is a new version."""

Answer = int | float | None
"""One item's answer as ticked; None where it was not answered."""

# --- the data


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """A named part of a measure's range, from `lowest` up to the next band."""

    lowest: int = msgspec.field(name="from")
    highest: int = msgspec.field(name="to")
    label: str


class RiskItem(msgspec.Struct, frozen=True):
    """The item (counted from 1) that opens a risk prompt when it is answered with `at` or more."""

    item: int
    at: int


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One measure as data.

    Attributes:
        name: its key in the data, for example `PHQ-9`.
        version: version of the measure.
        items: number of items.
        item, range: lowest and highest answer, lowest and highest total.
        higher: whether a higher total is `worse` or `better`.
        missing_max: how many items may be unanswered for a total.
        step: the smallest difference between two answers.
        reverse: items, counted from 1, that count backwards.
        bands: parts of the range in rising order; empty where the measure has none.
        caseness: the total from which on (`worse`) or below which (`better`) a person is at caseness.
        item_caseness: the answer below which one item alone counts as caseness.
        reliable: the amount of a reliable change.
        risk: the item that opens a risk prompt.
        clusters: name → first item, last item, how many must be endorsed.
        endorsed_at: the answer from which on an item is endorsed.
        functional: lowest and highest answer to the question that is asked beside the items and never scored (how
            difficult the problems made life); None where the measure has none.
        rated_on: `client` for a questionnaire, `goal` for the scale of one goal.
        max_goals, rho: how many goals may be rated at once; the correlation that the T-score assumes.
        text_allowed: whether its licence lets item text be shipped.
        loinc, snomed: codes for the export.
    """

    name: str = ""
    version: str
    items: int
    item: tuple[int, int]
    range: tuple[int, int]
    higher: Literal["worse", "better"]
    missing_max: int
    bands: tuple[Band, ...]
    caseness: int | None
    reliable: float | None
    licence: str
    text_allowed: bool
    step: float = 1
    reverse: tuple[int, ...] = ()
    item_caseness: int | None = None
    risk: RiskItem | None = None
    clusters: dict[str, tuple[int, int, int]] = msgspec.field(default_factory=dict)
    endorsed_at: int | None = None
    functional: tuple[int, int] | None = None
    rated_on: Literal["client", "goal"] = "client"
    max_goals: int | None = None
    rho: float | None = None
    loinc: dict[str, Any] | None = None
    snomed: dict[str, str] | None = None

    def answer(self, value: Answer, pointer: str) -> Answer:
        """Return one answer as it is stored: a whole number where the step is 1, else rounded to the step.

        Raises:
            InvalidContent: no number, out of range, or between two steps.
        """
        if value is None:
            return None
        lowest, highest = self.item
        if isinstance(value, bool) or not lowest <= value <= highest:
            raise InvalidContent(pointer, "Is out of the item's range.")
        steps = round(value / self.step)
        if abs(value / self.step - steps) > 1e-6:
            raise InvalidContent(pointer, "Is not one of the item's answers.")
        return steps if self.step == 1 else round(steps * self.step, 2)

    def band(self, score: float) -> str | None:
        """Return the label of the band that a total falls into; None where the measure has no bands."""
        reached = [band.label for band in self.bands if score >= band.lowest]
        return reached[-1] if reached else None

    def at_caseness(self, score: float) -> bool | None:
        """Tell whether a total is at caseness; None where the measure has no cut-off."""
        if self.caseness is None:
            return None
        return score >= self.caseness if self.higher == "worse" else score < self.caseness


def _load() -> dict[str, Measure]:
    raw = Path(__file__).with_name("measures.json").read_bytes()
    measures = msgspec.json.decode(raw, type=dict[str, Measure])
    return {name: msgspec.structs.replace(measure, name=name) for name, measure in measures.items()}


MEASURES: dict[str, Measure] = _load()
"""Name → measure, read once."""

# --- scoring


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster of symptoms.

    Attributes:
        score: the sum of its items; None where one is unanswered.
        endorsed: how many items were answered at `endorsed_at` or above.
        met: whether enough are endorsed; None where an unanswered item could still decide it.
    """

    score: float | None
    endorsed: int
    met: bool | None


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers add up to.

    Attributes:
        answers: as they are stored; None where only a total was given.
        score: the total; None where too many items are unanswered.
        mean: the total divided by the number of items, as IIP-32 is reported.
        band, caseness: of the total; None where there is no total or the measure has none.
        answered, missing: numbers of items.
        prorated: the total was made from the mean of the answered items.
        risk_value: the answer to the risk item; None where it is unanswered or the measure has none.
        risk_unanswered: the measure has a risk item and it was left out.
        risk_prompt: the risk item was answered at or above its mark.
        clusters: name → cluster; empty where the measure has none.
    """

    answers: tuple[Answer, ...] | None
    score: float | None
    mean: float | None
    band: str | None
    caseness: bool | None
    answered: int = 0
    missing: int = 0
    prorated: bool = False
    risk_value: int | None = None
    risk_unanswered: bool = False
    risk_prompt: bool = False
    clusters: dict[str, Cluster] = msgspec.field(default_factory=dict)


def score_answers(measure: Measure, answers: Sequence[Answer]) -> Scored:
    """Score raw answers, one per item in the order of the measure.

    Raises:
        InvalidContent: at `/answers` for a wrong number of answers, at `/answers/<index>` for one out of range.
    """
    if len(answers) != measure.items:
        raise InvalidContent("/answers", "Holds another number of answers than the measure has items.")
    stored = [measure.answer(value, f"/answers/{index}") for index, value in enumerate(answers)]
    values = [value for value in _turned(measure, stored) if value is not None]
    missing = measure.items - len(values)
    total = _total(measure, values) if missing <= measure.missing_max else None
    risk = stored[measure.risk.item - 1] if measure.risk else None
    return Scored(
        answers=tuple(stored),
        score=total,
        mean=None if total is None else round(total / measure.items, 4),
        band=None if total is None else measure.band(total),
        caseness=None if total is None else _caseness(measure, total, values),
        answered=len(values),
        missing=missing,
        prorated=total is not None and missing > 0,
        risk_value=None if risk is None else int(risk),
        risk_unanswered=measure.risk is not None and risk is None,
        risk_prompt=measure.risk is not None and risk is not None and risk >= measure.risk.at,
        clusters=_clusters(measure, stored),
    )


def score_total(measure: Measure, total: float) -> Scored:
    """Place a total whose answers are not known, so that nothing is said of any item.

    Raises:
        InvalidContent: at `/score` for a total out of range.
    """
    lowest, highest = measure.range
    if isinstance(total, bool) or not lowest <= total <= highest:
        raise InvalidContent("/score", "Is out of the measure's range.")
    return Scored(
        answers=None,
        score=total,
        mean=round(total / measure.items, 4),
        band=measure.band(total),
        caseness=measure.at_caseness(total),
    )


def _turned(measure: Measure, answers: Sequence[Answer]) -> list[Answer]:
    turn = sum(measure.item)
    return [
        turn - value if value is not None and number in measure.reverse else value
        for number, value in enumerate(answers, start=1)
    ]


def _total(measure: Measure, values: Sequence[float]) -> float:
    return round(sum(values) * measure.items / len(values), 2)


def _caseness(measure: Measure, total: float, values: Sequence[float]) -> bool | None:
    low_item = measure.item_caseness is not None and min(values) < measure.item_caseness
    return True if low_item else measure.at_caseness(total)


def _clusters(measure: Measure, answers: Sequence[Answer]) -> dict[str, Cluster]:
    if measure.endorsed_at is None:
        return {}
    clusters = {}
    for name, (first, last, needed) in measure.clusters.items():
        answered = [value for value in answers[first - 1 : last] if value is not None]
        endorsed = sum(value >= measure.endorsed_at for value in answered)
        unanswered = last - first + 1 - len(answered)
        met = True if endorsed >= needed else None if endorsed + unanswered >= needed else False
        clusters[name] = Cluster(score=None if unanswered else sum(answered), endorsed=endorsed, met=met)
    return clusters


# --- change


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One measure from its first to its last valid score.

    Attributes:
        better_by: by how much it got better; negative where it got worse.
        reliable: `improved`, `deteriorated` or `none`; None where the measure has no reliable amount.
        recovered: at caseness first and not last; None where the measure has no cut-off.
    """

    first: float
    last: float
    better_by: float
    reliable: Literal["improved", "deteriorated", "none"] | None
    recovered: bool | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the measures of one episode say together."""

    reliable_improvement: bool
    reliable_deterioration: bool
    recovery: bool
    reliable_recovery: bool


def change(measure: Measure, scores: Sequence[float | None]) -> Change | None:
    """Compare the first with the last valid score; None with fewer than two.

    Args:
        measure: the measure of all the scores.
        scores: totals in the order of the times they were taken; None where there was no total.
    """
    valid = [total for total in scores if total is not None]
    if len(valid) < 2:
        return None
    first, last = valid[0], valid[-1]
    better_by = round(first - last if measure.higher == "worse" else last - first, 2)
    reliable: Literal["improved", "deteriorated", "none"] | None = None
    if measure.reliable is not None:
        reliable = "none"
        if abs(better_by) >= measure.reliable:
            reliable = "improved" if better_by > 0 else "deteriorated"
    recovered = None
    if measure.caseness is not None:
        recovered = measure.at_caseness(first) is True and measure.at_caseness(last) is False
    return Change(first=first, last=last, better_by=better_by, reliable=reliable, recovered=recovered)


def outcome(courses: Mapping[str, Sequence[float | None]]) -> Outcome | None:
    """Judge the measures of one episode together, PHQ-9 and the anxiety or disorder measure as a rule.

    - Reliable improvement: one improved reliably and none deteriorated reliably; deterioration is the mirror.
    - Recovery: at least one at caseness first, and none at caseness last. Reliable recovery: both.

    Args:
        courses: name of the measure → its totals in the order of time.

    Returns:
        None without a measure, where one has fewer than two valid scores, no cut-off or no reliable amount.
    """
    changes = []
    for name, scores in courses.items():
        measure = MEASURES[name]
        found = change(measure, scores)
        if found is None or found.reliable is None or measure.caseness is None:
            return None
        changes.append((measure, found))
    if not changes:
        return None
    kinds = {found.reliable for _, found in changes}
    improved = "improved" in kinds and "deteriorated" not in kinds
    recovery = any(measure.at_caseness(found.first) for measure, found in changes) and not any(
        measure.at_caseness(found.last) for measure, found in changes
    )
    return Outcome(
        reliable_improvement=improved,
        reliable_deterioration="deteriorated" in kinds and "improved" not in kinds,
        recovery=recovery,
        reliable_recovery=improved and recovery,
    )
