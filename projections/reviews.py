"""Reviews of emergency access: the list for those who judge them, and one review with what was read.

Source: AUDIT (break-glass: every open review shows on the privacy officer's page; EHDS: emergency access marked).

- Each person sees the reviews that they may judge: the privacy officer those of others, the second person whom the
  clinic's policy names those of the privacy officer and of accesses that were confirmed.
- Lists hold ids, names of staff, codes and times. The reasons in words stand in a single review only, for its reviewer,
  where the clinic's policy lets them; they are opened with the client's key and die with it.
- Each client that is shown gets an access entry.

It closes nothing (`records.reviews`), and it shows nothing of the record itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from projections.pages import last_version, limit_of
from records.access import AccessRecorded
from records.care_team import CareTeamMemberAdded
from records.catalogue import CATALOGUE
from records.emergency import EmergencyAccessApproved, EmergencyAccessGranted, EmergencyAccessOpened
from records.errors import Erased, UnknownItem
from records.event import Event, Recorded
from records.glass import open_reason, reason_key_id
from records.reader import Asked, Built, Reader
from records.reviews import AccessReviewClosed, AccessReviewOpened, may_review
from records.staff_record import Review, StaffRecord

STATES = ("open", "overdue", "closed")
SHOWS: tuple[type[Event], ...] = (
    AccessRecorded,
    AccessReviewOpened,
    AccessReviewClosed,
    EmergencyAccessGranted,
    EmergencyAccessApproved,
    EmergencyAccessOpened,
    CareTeamMemberAdded,
)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls not in SHOWS)
_CHUNK = 100


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """One review.

    Attributes:
        staff_id, staff_name: whom it is about.
        client_id: whose record it was.
        cause: `emergency`, or `own-membership` where they joined the care team by themselves.
        ground: the coded ground that they stated.
        approved_by: who confirmed the access, where that was needed.
        opened_at, due_at: since when it is open, and when it is overdue.
        state: `open`, `overdue` or `closed`.
        outcome, finding, closed_by, closed_at: how it was closed.
    """

    id: UUID
    staff_id: str
    staff_name: str
    client_id: UUID
    cause: str
    ground: str
    approved_by: str | None = None
    opened_at: datetime
    due_at: datetime
    state: str
    outcome: str | None = None
    finding: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of reviews, oldest first.

    Parameters of the view: `state`, `limit` (1 to 50), `after` (as `next` gave it).

    Attributes:
        unclosed: how many reviews are open or overdue, of those that the reader may judge.
        next: where to go on from; None where this is the last page.
    """

    unclosed: int
    items: tuple[ReviewItem, ...] = ()
    next: int | None = None


class ReviewedReading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading under the access: when, what, of which item, and the reason in words that was given for it.

    Attributes:
        reason: the words; None where the policy keeps them from reviewers, or they died with the client's key.
    """

    at: datetime
    action: str
    outcome: str
    resource: UUID | None = None
    address: str
    reason: str | None = None


class ReviewDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A review with the readings under its access, oldest first.

    Attributes:
        gaps: versions of access entries since it was opened that could not be opened.
    """

    review: ReviewItem
    readings: tuple[ReviewedReading, ...] = ()
    gaps: tuple[int, ...] = ()


class ReviewsView:
    """The list."""

    action = "review.list"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Cost: goes through all reviews that there are, in memory.

        Raises:
            InvalidContent: `/limit`.
        """
        limit = limit_of(asked.parameters)
        after = int(asked.parameters.get("after") or 0)
        wanted = asked.parameters.get("state")
        unclosed, last = 0, 0
        items: list[ReviewItem] = []
        following: int | None = None
        for place, review_id in enumerate(reader.directory.reviews(), 1):
            item = _item_for(reader, asked, review_id)
            if item is None:
                continue
            unclosed += item.state != "closed"
            if place <= after or wanted not in (None, item.state):
                continue
            if len(items) == limit:
                following = following or last
                continue
            items.append(item)
            last = place
        shown = tuple(dict.fromkeys(item.client_id for item in items))
        return Built(ReviewPage(unclosed=unclosed, items=tuple(items), next=following), (), shown)


class ReviewView:
    """One review."""

    action = "review.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the review that `asked.resource` names.

        Cost: opens the client's access entries since the review was opened.

        Raises:
            UnknownItem: there is none that the reader may judge.
        """
        item = None if asked.resource is None else _item_for(reader, asked, asked.resource)
        if item is None:
            raise UnknownItem("review")
        readings: list[ReviewedReading] = []
        gaps: list[int] = []
        for recorded in _since(reader, item.client_id, reader.directory.review_index(item.id)):
            entry = recorded.event
            if not isinstance(entry, AccessRecorded):
                gaps.append(recorded.version)
            elif _belongs(item, entry):
                readings.append(_reading(reader, entry, recorded.recorded_at))
        document = ReviewDocument(review=item, readings=tuple(reversed(readings)), gaps=tuple(reversed(gaps)))
        return Built(document, (), (item.client_id,))


def _item_for(reader: Reader, asked: Asked, review_id: UUID) -> ReviewItem | None:
    """Return a review as the reader may see it, or None where they may not judge it."""
    found = reader.directory.review(review_id)
    policy = reader.directory.clinic.policy
    if found is None or not may_review(*found, asked.actor.id, asked.actor.role, policy.second_reviewer):
        return None
    return _item(reader, asked, review_id, *found)


def _item(reader: Reader, asked: Asked, review_id: UUID, person: StaffRecord, review: Review) -> ReviewItem:
    days = reader.directory.clinic.policy.review_days
    state = "overdue" if review.overdue(asked.at, days) else "open"
    return ReviewItem(
        id=review_id,
        staff_id=str(person.staff_id),
        staff_name=person.name,
        client_id=review.client_id,
        cause=review.cause,
        ground=review.ground,
        approved_by=review.approved_by,
        opened_at=review.opened_at,
        due_at=review.opened_at + timedelta(days=days),
        state=state if review.outcome is None else "closed",
        outcome=review.outcome,
        finding=review.finding,
        closed_by=review.closed_by,
        closed_at=review.closed_at,
    )


def _belongs(item: ReviewItem, entry: AccessRecorded) -> bool:
    """Tell whether a reading is what the review is about; for whoever joined the team, all of theirs since then."""
    if item.cause == "own-membership":
        return entry.entered_by == item.staff_id and entry.action != ReviewView.action
    return entry.emergency == item.id


def _since(reader: Reader, client_id: UUID, index: int) -> Iterator[Recorded]:
    """Yield a client's access entries from the newest back to the first after a ledger index."""
    newest = last_version(lambda after, upto: reader.access_events(client_id, after, upto))
    while newest > 0:
        after = max(newest - _CHUNK, 0)
        for recorded in reversed(reader.access_events(client_id, after, newest)):
            if recorded.index < index:
                return
            yield recorded
        newest = after


def _reading(reader: Reader, entry: AccessRecorded, at: datetime) -> ReviewedReading:
    return ReviewedReading(
        at=at,
        action=entry.action,
        outcome=entry.outcome,
        resource=entry.resource,
        address=entry.address,
        reason=_reason(reader, entry),
    )


def _reason(reader: Reader, entry: AccessRecorded) -> str | None:
    if entry.sealed_reason is None or entry.client_id is None:
        return None
    if not reader.directory.clinic.policy.reviewer_sees_reason:
        return None
    try:
        key = reader.record_key(entry.client_id, reason_key_id(entry))
    except Erased:
        return None
    return open_reason(key, reader.deployment_id, entry)


REVIEWS = ReviewsView()
REVIEW = ReviewView()
