"""Retention over HTTP: until when a record is kept, and whose deadlines have passed. Nothing here erases."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import answer
from api.calls import Reading
from api.concept import Concept
from api.disclosures import NoQuery
from api.door import PageQuery, reads
from api.fields import Day, QueryWhole
from projections.retention import CLIENT_RETENTION, MOST_DAYS, ClientRetention, DuePage


class DueQuery(PageQuery):
    """On which day, and how many days ahead."""

    on = Day()
    within = QueryWhole(0, MOST_DAYS)


blueprint = Concept("retention", "Until when records are kept")


@blueprint.route("/clients/<uuid:client_id>/retention", methods=["GET"])
@reads(CLIENT_RETENTION, query=NoQuery, document=ClientRetention)
def show_retention(reading: Reading, client_id: UUID) -> Response:
    """Show until when the record is kept, on which grounds, and the legal holds on it."""
    return answer(reading.show(CLIENT_RETENTION, client_id))


@blueprint.route("/retention/due", methods=["GET"])
@reads("retention.due", query=DueQuery, document=DuePage, places=UUID)
def list_due(reading: Reading) -> Response:
    """Show a page of clients whose deadlines have passed or pass soon, the longest passed first."""
    return reading.page(reading.clinic.retention)
