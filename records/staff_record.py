"""The state of one account that rules need: role, tokens, second factor, emergency accesses and their reviews.

Source: CRYPTO 5 (accounts and tokens are folded from sealed events); AUDIT (break-glass).

- It holds codes, ids and times only. Every value is replaced, never changed, since others may hold it.
- It is a person's own stream that decides what that person may do at once: one code, one grant, one opening.

The events that change it belong to their concepts (`records.staff`, `records.second_factor`, `records.emergency`,
`records.reviews`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from records.actors import Role

Cause = Literal["emergency", "own-membership"]
ReviewOutcome = Literal["justified", "not-justified", "follow-up"]


class TokenState(msgspec.Struct, frozen=True):
    """A token that was issued: its keyed digest (32 bytes), its end, and whether it was revoked."""

    digest: bytes
    expires_at: datetime
    revoked: bool = False


class SecondFactor(msgspec.Struct, frozen=True):
    """A second factor: what its secret is derived with, and the last time step whose code was taken."""

    enrolment: bytes
    last_step: int = -1


class EmergencyGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant to open one client once.

    Attributes:
        client_id: whom it opens.
        ground: the coded ground that was stated.
        until: it opens nothing at or after this time.
        needs_approval: a second person must confirm it first.
        approved_by: who confirmed it.
        used: it was used, so it opens nothing any more.
    """

    client_id: UUID
    ground: str
    until: datetime
    needs_approval: bool = False
    approved_by: str | None = None
    used: bool = False


class OpenAccess(msgspec.Struct, frozen=True):
    """A client who is open to this person in an emergency: under which access, and until when."""

    access_id: UUID
    until: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A review of what a person did in an emergency; open while it has no outcome.

    Attributes:
        client_id: whose record it was.
        cause: an emergency access, or that the person joined the care team by themselves.
        ground: the coded ground that the person stated.
        opened_at: when it was opened.
        approved_by: who confirmed the access, where that was needed.
        outcome, finding, closed_by, closed_at: how, on which coded ground, by whom and when it was closed.
    """

    client_id: UUID
    cause: Cause
    ground: str
    opened_at: datetime
    approved_by: str | None = None
    outcome: ReviewOutcome | None = None
    finding: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None

    def overdue(self, at: datetime, review_days: int) -> bool:
        """Tell whether it is still open so many days after it was opened."""
        return self.outcome is None and at >= self.opened_at + timedelta(days=review_days)


class StaffRecord(msgspec.Struct):
    """The state of one account.

    Attributes:
        staff_id: the stream's id.
        version: version of the last event; 0 where there is no account.
        name: the name that reports show.
        refused_codes: when the last codes were refused, oldest first.
        grants: emergency accesses that were granted, by their id.
        opened: client → the emergency access that was opened last.
        reviews: reviews of this person, by their id.
        client_id: the record of this person as a client, where there is one.
        address_digest: keyed digest of the address, where it is known.
    """

    staff_id: UUID
    version: int = 0
    name: str = ""
    role: Role = Role.FRONT_DESK
    disabled: bool = False
    tokens: dict[UUID, TokenState] = msgspec.field(default_factory=dict)
    second_factor: SecondFactor | None = None
    refused_codes: tuple[datetime, ...] = ()
    grants: dict[UUID, EmergencyGrant] = msgspec.field(default_factory=dict)
    opened: dict[UUID, OpenAccess] = msgspec.field(default_factory=dict)
    reviews: dict[UUID, Review] = msgspec.field(default_factory=dict)
    client_id: UUID | None = None
    address_digest: bytes | None = None
