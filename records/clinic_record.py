"""The small state of the clinic that rules need: its policy, and which readings were drawn to be looked at.

Rules:
- Events of the clinic's own stream change it through `apply`; nothing else does.
- Items are frozen and replaced, and so is each mapping, since decisions and other threads may hold them.

It does not decide: see `records.clinic` and `records.spot_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from records.clinic_policy import ClinicPolicy


class CheckState(msgspec.Struct, frozen=True, kw_only=True):
    """One reading that was drawn.

    Attributes:
        staff_id: who read.
        outcome, ground, decided_by, decided_at: what was decided last; None while nobody did.
    """

    staff_id: str
    outcome: str | None = None
    ground: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None


class DrawState(msgspec.Struct, frozen=True, kw_only=True):
    """One draw; fields as in `records.spot_checks.SpotCheckDrawn`.

    Attributes:
        checks: ledger index → what became of it.
    """

    version: int
    drawn_at: datetime
    drawn_by: str
    seed: bytes
    after: int
    upto: int
    size: int
    entries: int
    passed_over: int
    checks: Mapping[int, CheckState]


class ClinicRecord(msgspec.Struct):
    """The state of the clinic.

    Attributes:
        draws: every draw of spot checks by its id, in the order in which they were made.
    """

    version: int = 0
    name: str = ""
    policy: ClinicPolicy = msgspec.field(default_factory=ClinicPolicy)
    draws: Mapping[UUID, DrawState] = msgspec.field(default_factory=dict)

    @property
    def drawn_upto(self) -> int:
        """The ledger index that draws have come to; -1 before the first."""
        return max((draw.upto for draw in self.draws.values()), default=-1)
