"""Answers to questionnaires for the demo clinic: as severe as a course of treatment is at that moment.

- A course has a severity between 0 and 1 at each session; it falls, stays or rises as the course goes.
- Answers scatter around it within the measure's own range; items that count backwards are turned.
- The item about not wanting to live is only ever what the storyline says.
"""

from __future__ import annotations

import random

from records.measures import Measure

COURSES: dict[str, float] = {"responder": -0.34, "partial": -0.16, "none": -0.02, "worse": 0.22}
"""Kind of course → how much severity changes from the first session to the last."""


def severity_at(start: float, course: str, done: float, rng: random.Random) -> float:
    """Return the severity when a share `done` (0 to 1) of the treatment is behind."""
    return min(0.95, max(0.03, start + COURSES[course] * done + rng.uniform(-0.05, 0.05)))


def answers_for(measure: Measure, severity: float, rng: random.Random, risk: int = 0) -> list[int]:
    """Return answers to each item; the risk item, where there is one, is answered with `risk`."""
    lowest, highest = measure.item
    span = highest - lowest
    spoken_of = measure.risk.item - 1 if measure.risk is not None else None
    free = [place for place in range(measure.items) if place != spoken_of]
    worse = dict.fromkeys(range(measure.items), 0)
    for _ in range(min(round(severity * measure.items * span), span * len(free))):
        worse[rng.choice([place for place in free if worse[place] < span])] += 1
    if spoken_of is not None:
        worse[spoken_of] = risk
    return [
        lowest + (span - amount if measure.higher == "better" or place + 1 in measure.reverse else amount)
        for place, amount in worse.items()
    ]
