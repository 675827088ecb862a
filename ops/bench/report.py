"""What a run says: one line for each figure, or one JSON document.

- `pass` or `below`, never rounded in the figure's favour: the comparison is made before the number is shortened.
- A figure that was not measured is named with the reason.
"""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ops.bench.figure import Measured, Target


class Result(NamedTuple):
    """A figure's target with what was measured, or why it was not."""

    target: Target
    measured: Measured | None
    reason: str = ""

    @property
    def mark(self) -> str:
        """`pass`, `below`, `shown` for a number without a bound, or `not measured`."""
        if self.measured is None:
            return "not measured"
        if self.target.at_least is None and self.target.at_most is None:
            return "shown"
        return "pass" if self.target.passes(self.measured.value) else "below"

    def line(self) -> str:
        """Return the figure as a line of the table."""
        if self.measured is None:
            number, beside = "–", self.reason
        else:
            number, beside = shortened(self.measured.value, self.target.unit), self.measured.beside
        return f"{self.mark:<12} {self.target.name:<38} {number:>12}   {self.target.bound():<16} {beside}".rstrip()

    def document(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        return {
            "name": self.target.name,
            "unit": self.target.unit,
            "at_least": self.target.at_least,
            "at_most": self.target.at_most,
            "measured": self.measured.value if self.measured else None,
            "beside": self.measured.beside if self.measured else self.reason,
            "mark": self.mark,
        }


def shortened(value: float, unit: str) -> str:
    """Return a number as people read it: whole from 100 on, else three digits."""
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def machine(processors: int) -> dict[str, Any]:
    """Return what the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
        "processors": processors,
    }


def heading(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines above the table."""
    yield ", ".join(f"{name} {fact}" for name, fact in facts.items())
    yield f"{'':<12} {'figure':<38} {'measured':>12}   {'target':<16} beside"


def summary(results: Sequence[Result]) -> str:
    """Return the line below the table."""
    marks = [result.mark for result in results]
    names = ("pass", "below", "shown", "not measured")
    return ", ".join(f"{marks.count(name)} {name}" for name in names if name in marks)
