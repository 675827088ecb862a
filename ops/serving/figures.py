"""Figures of a serving process: each a function that is called when somebody wants the number now.

Source: CRYPTO 3 (checkpoint lag, anchors); DESIGN (group commit).

- A figure that this process cannot take is None here, and then neither metric nor alarm speaks of it: no number is made
  up. A function answers None where there is no number yet, such as the age of an anchor before the first.
- Figures hold no ids, no names, and nothing about clients.

The figures of checkpoints and anchors belong to whoever signs:

    figures_of(clinic)._replace(checkpoint_lag_seconds=…, checkpoint_lag_entries=…, anchor_age_seconds=…)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ops.wiring import Clinic

Figure = Callable[[], float | None]


class Figures(NamedTuple):
    """What can be asked of this process.

    Attributes:
        writer_queue: changes and readings that wait for their commit.
        ledger_entries: entries of the ledger, as committed.
        checkpoint_lag_seconds: how long the oldest entry that no checkpoint covers has waited.
        checkpoint_lag_entries: entries that no checkpoint covers.
        anchor_age_seconds: how old the newest checkpoint is that is known to be kept elsewhere.
    """

    writer_queue: Figure
    ledger_entries: Figure
    checkpoint_lag_seconds: Figure | None = None
    checkpoint_lag_entries: Figure | None = None
    anchor_age_seconds: Figure | None = None


MEANINGS = {
    "writer_queue": "Changes and readings that wait for their commit.",
    "ledger_entries": "Entries of the ledger.",
    "checkpoint_lag_seconds": "How long the oldest entry that no checkpoint covers has waited.",
    "checkpoint_lag_entries": "Entries that no checkpoint covers.",
    "anchor_age_seconds": "Age of the newest checkpoint that is known to be kept elsewhere.",
}
"""Figure → what it is, for people."""


def figures_of(clinic: Clinic) -> Figures:
    """Return the figures that an opened clinic gives by itself."""
    return Figures(writer_queue=clinic.store.waiting, ledger_entries=lambda: clinic.store.head().next_index)
