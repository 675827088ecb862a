"""The treatment history over HTTP, in pages, as known and as it was at any past time."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.calls import Reading
from api.concept import Concept
from api.door import PageQuery, PastQuery, reads
from api.fields import QueryFlag
from projections.timeline import TIMELINE, TimelinePage


class TimelineQuery(PageQuery, PastQuery):
    """Which page, of which moment."""

    oldest_first = QueryFlag()


blueprint = Concept("timeline", "The treatment history")


@blueprint.route("/clients/<uuid:client_id>/timeline", methods=["GET"])
@reads(TIMELINE, query=TimelineQuery, document=TimelinePage, places=int)
def show_timeline(reading: Reading, client_id: UUID) -> Response:
    """Show a page of the history, newest first."""
    return reading.page(TIMELINE, client_id)
