"""The plan of an episode as sections need it: which phase a session number belongs to."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Plan(msgspec.Struct, kw_only=True):
    """Phases of one episode, as they were planned and set by hand.

    Attributes:
        phases: phase → number of its first session.
        override: the phase that was set by hand, None where the plan decides.
        held: the highest number of a session that was held.
    """

    opened_at: datetime
    closed_at: datetime | None = None
    phases: dict[str, int] = msgspec.field(default_factory=dict)
    override: str | None = None
    held: int = 0

    def phase(self, number: int) -> str | None:
        """Return the phase of a session by its number."""
        if self.override is not None or not self.phases:
            return self.override
        begun = [(first, phase) for phase, first in self.phases.items() if first <= number]
        return max(begun)[1] if begun else None

    def next_phase(self) -> str | None:
        """Return the phase of the next session, or of the last one where the episode is closed."""
        return self.phase(self.held + 1 if self.closed_at is None else max(self.held, 1))
