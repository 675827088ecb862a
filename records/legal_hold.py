"""Legal holds: nothing of a record is erased while somebody with the right to ask for it says so.

Source: GDPR articles 17(3)(e) and 18(1)(c) (needed for legal claims); ISO 21089 lifecycle events hold and unhold;
AUDIT (a legal hold stops every clock).

Rules:
- A hold names who asked for it, on which authority, under which reference, and why. It stands from the moment it is
  recorded: a hold of yesterday would say that nothing was erased since, which nobody knows.
- More than one may stand at once; each is lifted by itself, with a reason. A hold that was lifted is not placed again
  under its id, and stays in the history.
- A hold has no end by itself: only somebody who lifts it ends it.

It does not erase and refuses nothing but erasure (`records.retention`): treatment goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from records.care_codes import require_known
from records.client_record import ClientRecord, HoldState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

AUTHORITIES: dict[str, str] = {
    "court": "A court",
    "police": "The police or a prosecutor",
    "coroner": "A coroner",
    "regulator": "A regulator or supervisory authority",
    "inquiry": "A public or statutory inquiry",
    "insurer": "The clinic's insurer",
    "client": "The client, or a person who acts for them, with a legal claim",
    "clinic": "The clinic itself, which expects a claim or complaint",
}
"""On whose authority a hold stands → label."""

# --- events


class LegalHoldPlaced(Event, frozen=True, kw_only=True, tag="legal_hold.placed"):
    """Somebody asked that nothing of this record be erased. Since 1.

    Attributes:
        authority: one of `AUTHORITIES`.
        requested_by: who asked (free text).
        reference: a case or file number of theirs (free text).
        reason: why (free text).
    """

    subject = "hold_id"
    free_text = ("requested_by", "reference", "reason")
    lifecycle = "hold"

    hold_id: UUID
    authority: str
    requested_by: str
    reference: str | None = None
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Let it stand."""
        record.holds[self.hold_id] = HoldState(version=version, placed_at=self.occurred_at)


class LegalHoldLifted(Event, frozen=True, kw_only=True, tag="legal_hold.lifted"):
    """Somebody ended a legal hold. Since 1."""

    subject = "hold_id"
    free_text = ("reason",)
    lifecycle = "unhold"

    hold_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """End it."""
        record.holds[self.hold_id] = msgspec.structs.replace(record.holds[self.hold_id], version=version, lifted=True)


EVENTS = (LegalHoldPlaced, LegalHoldLifted)

# --- decisions


@decision("legal_hold.place")
def place_legal_hold(
    record: ClientRecord,
    context: Context,
    *,
    hold_id: UUID,
    authority: str,
    requested_by: str,
    reason: str,
    reference: str | None = None,
) -> Sequence[Event]:
    """Place a hold; nothing to do where one stands under this id.

    Raises:
        RuleBroken: `legal-hold-lifted` where the hold of this id was lifted.
        InvalidContent: an authority that is not known, `/requested_by` or `/reason` without text.
    """
    standing = record.holds.get(hold_id)
    if standing is not None:
        if standing.lifted:
            raise RuleBroken("legal-hold-lifted", "This hold was lifted; place a new one.")
        return []
    require_known("/authority", authority, AUTHORITIES)
    for pointer, text in (("/requested_by", requested_by), ("/reason", reason)):
        if not text.strip():
            raise InvalidContent(pointer, "Is empty.")
    return [
        LegalHoldPlaced(
            hold_id=hold_id,
            authority=authority,
            requested_by=requested_by,
            reference=reference,
            reason=reason,
            **context.stamp(),
        )
    ]


@decision("legal_hold.lift")
def lift_legal_hold(record: ClientRecord, context: Context, *, hold_id: UUID, reason: str) -> Sequence[Event]:
    """Lift a hold, on its version; nothing to do where it is lifted.

    Raises:
        UnknownItem: no such hold on this record.
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    hold = record.item("legal hold", record.holds, hold_id)
    if hold.lifted:
        return []
    context.require_version(hold.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [LegalHoldLifted(hold_id=hold_id, reason=reason, **context.stamp())]
