"""The small state of the clinic that rules need: its policy, the readings that were drawn, the erasures of clients.

Rules:
- Events of the clinic's own stream change it through `apply`; nothing else does.
- Items are frozen and replaced, and so is each mapping, since decisions and other threads may hold them.

It does not decide: see `records.clinic`, `records.spot_checks` and `records.erasure`.
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


class ErasureState(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure, from its request on. Ids and codes only.

    Attributes:
        client_id: whose record.
        basis, requested_by, requested_at: None where only its end is known, in a log that was restored from before it.
        withdrawn: the code of why it was withdrawn.
        approved_by, approved_at: from then on the record is closed.
        disclosures: how many disclosures stood when it was approved.
        completed_at, key_ids, generation, cached_until: as in `records.erasure.ErasureCompleted`.
        reapplied: it was done again after a restore.
        purged: how many events' ciphertext was purged since, None where it was not.
    """

    version: int
    client_id: UUID
    basis: str | None = None
    requested_by: str | None = None
    requested_at: datetime | None = None
    withdrawn: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    disclosures: int = 0
    completed_at: datetime | None = None
    key_ids: tuple[bytes, ...] = ()
    generation: int | None = None
    cached_until: datetime | None = None
    reapplied: bool = False
    purged: int | None = None

    @property
    def open(self) -> bool:
        """Whether it waits for approval."""
        return self.withdrawn is None and self.approved_at is None and self.completed_at is None


class ClinicRecord(msgspec.Struct):
    """The state of the clinic.

    Attributes:
        draws: every draw of spot checks by its id, in the order in which they were made.
        erasures: every erasure by its id, in the order in which they were requested.
        erased: client → the erasure that closed the record, from its approval on.
        former_staff: id → name of people of other clinics, whose entries came with imported records.
    """

    version: int = 0
    name: str = ""
    policy: ClinicPolicy = msgspec.field(default_factory=ClinicPolicy)
    draws: Mapping[UUID, DrawState] = msgspec.field(default_factory=dict)
    erasures: Mapping[UUID, ErasureState] = msgspec.field(default_factory=dict)
    erased: Mapping[UUID, UUID] = msgspec.field(default_factory=dict)
    former_staff: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def drawn_upto(self) -> int:
        """The ledger index that draws have come to; -1 before the first."""
        return max((draw.upto for draw in self.draws.values()), default=-1)
