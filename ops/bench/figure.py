"""What a figure is: a name, a target, and what was measured in this run.

Rules:
- Every figure has its target before it is measured, so that a run names all of them, measured or not.
- A target is a bound on one side (`at_least` or `at_most`); it is never moved to fit a machine.
- Speeds are ratios against something measured in the same run on the same disk, wherever that is possible.

It measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class NotMeasured(Exception):
    """A figure cannot be measured here; the text says what is missing."""


class Target(NamedTuple):
    """A figure to reach.

    Attributes:
        name: its name, unique in the benchmark.
        unit: what its numbers are: `x` for a ratio, `/s`, `ms`, `MiB`.
        at_least: the lowest number that passes, or None.
        at_most: the highest number that passes, or None.
    """

    name: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    def passes(self, value: float) -> bool:
        """Tell whether a measured number reaches the target."""
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most

    def bound(self) -> str:
        """Return the bound as people read it, such as `≥ 0.6 x`."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {self.unit}"
        return f"≤ {self.at_most:g} {self.unit}" if self.at_most is not None else "for comparison"


class Measured(NamedTuple):
    """A number of this run; `beside` names the numbers it was made from."""

    name: str
    value: float
    beside: str = ""


class Bench(NamedTuple):
    """How this run measures.

    Attributes:
        home: an empty directory of this run, on a disk, removed afterwards.
        rounds: how often the subjects of one figure take turns.
        slice_seconds: how long one turn is.
        quick: a run that only shows that everything works; its numbers say little.
        year: the clinic-year file, or None where there is none.
        database_url: an existing, empty PostgreSQL database, or None to start a throw-away server.
    """

    home: Path
    rounds: int = 8
    slice_seconds: float = 1.5
    quick: bool = False
    year: Path | None = None
    database_url: str | None = None

    def room(self, name: str) -> Path:
        """Return a new, empty directory for one part of the run."""
        path = self.home / name
        path.mkdir()
        return path


class Group(NamedTuple):
    """Figures that are measured together.

    Attributes:
        name: what `--only` chooses it by.
        targets: its figures.
        measure: yields what was measured; raises `NotMeasured` where something is missing, for the figures left.
    """

    name: str
    targets: tuple[Target, ...]
    measure: Callable[[Bench], Iterator[Measured]]
