"""Reviews over HTTP: what was done in emergencies, listed and judged by somebody else."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import answer
from api.calls import Change, Reading
from api.concept import Concept
from api.door import PageQuery, changes, reads
from api.fields import Body, Code
from projections.reviews import REVIEW, REVIEWS, STATES, ReviewDocument, ReviewPage
from records.event import StreamKind
from records.reviews import FINDINGS, close_review


class ReviewsQuery(PageQuery):
    """Which reviews: all, or those of one state."""

    state = Code(STATES)


class NoQuery(Body):
    """Nothing."""


class OutcomeBody(Body):
    """How a review ends: an outcome, and a finding that belongs to it."""

    outcome = Code(tuple(FINDINGS), required=True)
    finding = Code(tuple(dict.fromkeys(code for codes in FINDINGS.values() for code in codes)), required=True)


OUTCOME = {"outcome": "justified", "finding": "risk"}

blueprint = Concept("reviews", "Reviews of emergency access")


@blueprint.route("/audit/reviews", methods=["GET"])
@reads(REVIEWS, query=ReviewsQuery, document=ReviewPage, places=int)
def list_reviews(reading: Reading) -> Response:
    """List the reviews that you may judge, oldest first."""
    return reading.page(REVIEWS)


@blueprint.route("/audit/reviews/<uuid:review_id>", methods=["GET"])
@reads(REVIEW, query=NoQuery, document=ReviewDocument, finds=True)
def show_review(reading: Reading, review_id: UUID) -> Response:
    """Show one review with what was read under the access, and the reasons that were given."""
    return answer(reading.show(REVIEW, resource=review_id))


@blueprint.route("/audit/reviews/<uuid:review_id>/outcome", methods=["POST"])
@changes(close_review.permission, body=OutcomeBody, example=OUTCOME)
def close_a_review(change: Change, review_id: UUID) -> Response:
    """Close a review with an outcome. Nobody closes one about themselves."""
    outcome = change.emergency.close_review(review_id, change.request, **change.body)
    return change.written(outcome, review_id, review_id, kind=StreamKind.STAFF)
