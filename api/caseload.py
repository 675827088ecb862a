"""The caseload over HTTP: one's own or supervised clients, open risk prompts first."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.calls import Reading
from api.concept import Concept
from api.door import PageQuery, reads
from projections.roster import CaseloadPage

blueprint = Concept("caseload", "One's own clients")


@blueprint.route("/caseload", methods=["GET"])
@reads("caseload.view", query=PageQuery, document=CaseloadPage, places=UUID)
def show_caseload(reading: Reading) -> Response:
    """Show a page of the caseload."""
    return reading.page(reading.clinic.roster.caseload)
