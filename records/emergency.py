"""Emergency access: one client is opened to a clinician outside the care team, for a while, and somebody reviews it.

Source: AUDIT (break-glass); HL7 v3 PurposeOfUse ETREAT; EHDS (emergency access is marked).

Rules:
- A grant needs a ground as a code and a one-time code, which it uses up. It opens one client, once, within
  `GRANT_LIFE`.
- The access lasts as long as the clinic's policy says and then ends by itself.
- Opening opens a review, in the same commit.
- While a review of the person is overdue, a second person confirms the grant with their own one-time code. Access is
  never refused for it: whoever may confirm can do so at once, and the grant's time begins anew.

It checks no code (`records.emergency_door`), shows nothing (`records.service`) and judges nobody (`records.reviews`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from records.decision import Context, decision
from records.errors import NotPermitted, RuleBroken, UnknownItem
from records.event import Event, StreamKind
from records.reviews import open_review
from records.second_factor import use_code
from records.staff_record import EmergencyGrant, OpenAccess, StaffRecord

GRANT_LIFE = timedelta(minutes=5)
GROUNDS = ("risk-to-life", "risk-to-others", "crisis", "safeguarding", "clinician-away", "care-to-record")
"""Coded grounds; `care-to-record` is for writing down care that was given in an emergency that is over."""


class EmergencyAccessGranted(Event, frozen=True, kw_only=True, tag="emergency.granted"):
    """A person proved who they are and was granted to open one client once. Since 1.

    Attributes:
        access_id: the id of grant, access and review.
        ground: one of `GROUNDS`.
        until: it must be used before this time.
        needs_approval: a review of the person is overdue, so a second person must confirm it.
    """

    stream_kind = StreamKind.STAFF
    subject = "access_id"

    staff_id: UUID
    access_id: UUID
    client_id: UUID
    ground: str
    until: datetime
    needs_approval: bool = False

    def apply(self, record: StaffRecord, version: int) -> None:
        """Add the grant."""
        grant = EmergencyGrant(
            client_id=self.client_id, ground=self.ground, until=self.until, needs_approval=self.needs_approval
        )
        record.grants = {**record.grants, self.access_id: grant}
        record.version = version


class EmergencyAccessApproved(Event, frozen=True, kw_only=True, tag="emergency.approved"):
    """A second person confirmed a grant; its time begins anew. `entered_by` is who. Since 1.

    Attributes:
        until: it must be used before this time.
    """

    stream_kind = StreamKind.STAFF
    subject = "access_id"
    lifecycle = "attest"

    staff_id: UUID
    access_id: UUID
    until: datetime

    def apply(self, record: StaffRecord, version: int) -> None:
        """Confirm the grant."""
        grant = msgspec.structs.replace(record.grants[self.access_id], approved_by=self.entered_by, until=self.until)
        record.grants = {**record.grants, self.access_id: grant}
        record.version = version


class EmergencyAccessOpened(Event, frozen=True, kw_only=True, tag="emergency.opened"):
    """A client was opened to a person in an emergency, with the first reading; the grant is used up. Since 1.

    Attributes:
        until: the access ends at this time.
    """

    stream_kind = StreamKind.STAFF
    subject = "access_id"
    lifecycle = "access"

    staff_id: UUID
    access_id: UUID
    client_id: UUID
    until: datetime

    def apply(self, record: StaffRecord, version: int) -> None:
        """Open the client."""
        used = msgspec.structs.replace(record.grants[self.access_id], used=True)
        record.grants = {**record.grants, self.access_id: used}
        record.opened = {**record.opened, self.client_id: OpenAccess(self.access_id, self.until)}
        record.version = version


EVENTS = (EmergencyAccessGranted, EmergencyAccessApproved, EmergencyAccessOpened)


@decision("emergency.grant", on=StreamKind.STAFF)
def grant_emergency_access(
    record: StaffRecord, context: Context, *, access_id: UUID, client_id: UUID, ground: str, step: int
) -> Sequence[Event]:
    """Grant a person to open one client once, and use up the code that proved who they are.

    Args:
        record: the person's own state.
        context: who asks, and when.
        access_id: id of grant, access and review.
        client_id: whom it opens.
        ground: one of `GROUNDS`.
        step: the time step of a code that is right.

    Raises:
        RuleBroken: `access-exists`, `second-factor-missing`, `code-used`.
        TooManyAttempts: too many codes were wrong a moment ago.
    """
    if access_id in record.grants:
        raise RuleBroken("access-exists", "There is an emergency access under this id.")
    overdue = any(review.overdue(context.at, context.policy.review_days) for review in record.reviews.values())
    granted = EmergencyAccessGranted(
        staff_id=record.staff_id,
        access_id=access_id,
        client_id=client_id,
        ground=ground,
        until=context.at + GRANT_LIFE,
        needs_approval=overdue,
        **context.stamp(),
    )
    return [granted, *use_code(record, context, step=step)]


@decision("emergency.approve", on=StreamKind.STAFF)
def approve_emergency_access(
    record: StaffRecord, context: Context, *, access_id: UUID, client_id: UUID
) -> Sequence[Event]:
    """Confirm another person's grant; nothing to do where it needs nobody, or somebody did.

    Raises:
        UnknownItem: there is no such grant for this client.
        RuleBroken: `own-approval`; `grant-expired`; `grant-used`.
    """
    grant = record.grants.get(access_id)
    if grant is None or grant.client_id != client_id:
        raise UnknownItem("emergency access")
    if context.actor.id == str(record.staff_id):
        raise RuleBroken("own-approval", "Somebody else must confirm this access.")
    if not grant.needs_approval or grant.approved_by is not None:
        return []
    _require_live(grant, context.at)
    until = context.at + GRANT_LIFE
    return [EmergencyAccessApproved(staff_id=record.staff_id, access_id=access_id, until=until, **context.stamp())]


@decision("emergency.open", on=StreamKind.STAFF)
def open_emergency_access(
    record: StaffRecord, context: Context, *, access_id: UUID, client_id: UUID
) -> Sequence[Event]:
    """Open a client under a grant, and open the review of it.

    Raises:
        NotPermitted: `grant`: the person has no such grant for this client.
        RuleBroken: `grant-used`, `grant-expired`, `approval-missing`.
    """
    grant = record.grants.get(access_id)
    if grant is None or grant.client_id != client_id:
        raise NotPermitted("grant")
    _require_live(grant, context.at)
    if grant.needs_approval and grant.approved_by is None:
        raise RuleBroken("approval-missing", "A review of you is overdue: a second person must confirm this access.")
    opened = EmergencyAccessOpened(
        staff_id=record.staff_id,
        access_id=access_id,
        client_id=client_id,
        until=context.at + timedelta(hours=context.policy.emergency_hours),
        **context.stamp(),
    )
    review = open_review(
        context,
        staff_id=record.staff_id,
        review_id=access_id,
        client_id=client_id,
        cause="emergency",
        ground=grant.ground,
        approved_by=grant.approved_by,
    )
    return [opened, review]


def _require_live(grant: EmergencyGrant, at: datetime) -> None:
    if grant.used:
        raise RuleBroken("grant-used", "This emergency access was opened before; ask for a new one.")
    if at >= grant.until:
        raise RuleBroken("grant-expired", "This grant was not used in time; ask for a new one.")
