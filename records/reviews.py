"""Reviews: somebody else looks at what a person did in an emergency, and says what they found.

Source: AUDIT (break-glass); ISO 27789 (emergency access is reviewed).

Rules:
- A review is opened in the same commit as what it is about, in the stream of the person it is about.
- It is closed once, with an outcome and a coded finding that belongs to it.
- Nobody closes a review about themselves, nor of what they confirmed.
- The privacy officer closes reviews. Where the privacy officer is the one reviewed, or an access was confirmed, the
  second person whom the clinic's policy names may close it too.

It holds codes and ids only; the reason in words is sealed in the readings (`records.access`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from records.actors import Role
from records.decision import Context, decision
from records.errors import InvalidContent, NotPermitted, RuleBroken, UnknownItem
from records.event import Event, StreamKind
from records.staff_record import Cause, Review, ReviewOutcome, StaffRecord

FINDINGS: dict[ReviewOutcome, tuple[str, ...]] = {
    "justified": ("risk", "cover", "care-continued", "client-agreed"),
    "not-justified": ("no-need", "wrong-client", "curiosity", "other-way-open"),
    "follow-up": ("talk", "training", "report", "rules-unclear"),
}
"""Outcome → the coded findings that it may rest on."""


class AccessReviewOpened(Event, frozen=True, kw_only=True, tag="review.opened"):
    """What a person did in an emergency is to be reviewed by somebody else. Since 1.

    Attributes:
        staff_id: whom it is about.
        review_id: its id; for an emergency access, the access's own.
        client_id: whose record it was.
        cause: `emergency`, or `own-membership` where the person joined the care team by themselves.
        ground: the coded ground that the person stated.
        approved_by: who confirmed the access, where that was needed.
    """

    stream_kind = StreamKind.STAFF
    subject = "review_id"

    staff_id: UUID
    review_id: UUID
    client_id: UUID
    cause: Cause
    ground: str
    approved_by: str | None = None

    def apply(self, record: StaffRecord, version: int) -> None:
        """Open the review."""
        review = Review(
            client_id=self.client_id,
            cause=self.cause,
            ground=self.ground,
            opened_at=self.occurred_at,
            approved_by=self.approved_by,
        )
        record.reviews = {**record.reviews, self.review_id: review}
        record.version = version


class AccessReviewClosed(Event, frozen=True, kw_only=True, tag="review.closed"):
    """A review was closed with an outcome and a finding. `entered_by` is the reviewer. Since 1.

    Attributes:
        staff_id: whom it is about.
        outcome: `justified`, `not-justified` or `follow-up`.
        finding: the code that it rests on, one of the outcome's own.
    """

    stream_kind = StreamKind.STAFF
    subject = "review_id"
    lifecycle = "verify"

    staff_id: UUID
    review_id: UUID
    client_id: UUID
    outcome: ReviewOutcome
    finding: str

    def apply(self, record: StaffRecord, version: int) -> None:
        """Close the review."""
        closed = msgspec.structs.replace(
            record.reviews[self.review_id],
            outcome=self.outcome,
            finding=self.finding,
            closed_by=self.entered_by,
            closed_at=self.occurred_at,
        )
        record.reviews = {**record.reviews, self.review_id: closed}
        record.version = version


EVENTS = (AccessReviewOpened, AccessReviewClosed)


@decision("review.close", on=StreamKind.STAFF)
def close_review(
    record: StaffRecord, context: Context, *, review_id: UUID, outcome: ReviewOutcome, finding: str
) -> Sequence[Event]:
    """Close a review; nothing to do where it was closed with the same outcome and finding.

    Raises:
        UnknownItem: there is no such review.
        RuleBroken: `own-review`; `review-closed`: it was closed otherwise.
        NotPermitted: the actor is neither the privacy officer nor the second person named for this one.
        InvalidContent: the finding is none of the outcome's.
    """
    review = record.reviews.get(review_id)
    if review is None:
        raise UnknownItem("review")
    if not may_review(record, review, context.actor.id, context.actor.role, context.policy.second_reviewer):
        if context.actor.id in (str(record.staff_id), review.approved_by):
            raise RuleBroken("own-review", "Somebody else must close the review of what you did or confirmed.")
        raise NotPermitted("reviewer")
    if finding not in FINDINGS[outcome]:
        raise InvalidContent("/finding", "Does not belong to this outcome.")
    if review.outcome is not None:
        if (review.outcome, review.finding) == (outcome, finding):
            return []
        raise RuleBroken("review-closed", "It was closed with another outcome or finding.")
    closed = AccessReviewClosed(
        staff_id=record.staff_id,
        review_id=review_id,
        client_id=review.client_id,
        outcome=outcome,
        finding=finding,
        **context.stamp(),
    )
    return [closed]


def open_review(
    context: Context,
    *,
    staff_id: UUID,
    review_id: UUID,
    client_id: UUID,
    cause: Cause,
    ground: str,
    approved_by: str | None = None,
) -> AccessReviewOpened:
    """Return the opening of a review, for the commit of what it is about."""
    return AccessReviewOpened(
        staff_id=staff_id,
        review_id=review_id,
        client_id=client_id,
        cause=cause,
        ground=ground,
        approved_by=approved_by,
        **context.stamp(),
    )


def may_review(record: StaffRecord, review: Review, actor_id: str, role: Role, second_reviewer: str | None) -> bool:
    """Tell whether a person may judge this review of `record`'s person."""
    if actor_id in (str(record.staff_id), review.approved_by):
        return False
    if role is Role.PRIVACY_OFFICER:
        return True
    concerns_the_officer = record.role is Role.PRIVACY_OFFICER or review.approved_by is not None
    return concerns_the_officer and actor_id == second_reviewer
