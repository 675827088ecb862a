"""Invented names: for people whose history came without names, and for the clinic that shows what the product does.

- A given name is rare, a family name is made up: nobody can be taken for a person who lives.
- The n-th name is always the same, and no pair comes twice before every other pair came (Chinese remainder theorem).
- Staff take theirs from the far end, so that they share no name with a client of a clinic of ordinary size.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

_WORDS: dict[str, list[str]] = msgspec.json.decode(
    (Path(__file__).parent / "texts" / "names.json").read_bytes(), type=dict[str, list[str]]
)
GIVEN = tuple(_WORDS["given"])
FAMILY = tuple(_WORDS["family"])
"""64 given and 61 family names: numbers without a common factor."""

_STAFF_FROM = len(GIVEN) * len(FAMILY) - 1


class InventedName(NamedTuple):
    """A given and a family name."""

    given: str
    family: str

    @property
    def full(self) -> str:
        """Both, as they are spoken."""
        return f"{self.given} {self.family}"


def invented_name(number: int) -> InventedName:
    """Return the name of the n-th client, from 0."""
    return InventedName(GIVEN[number % len(GIVEN)], FAMILY[number % len(FAMILY)])


def invented_staff_name(number: int) -> InventedName:
    """Return the name of the n-th member of staff, from 0."""
    return invented_name(_STAFF_FROM - number)
