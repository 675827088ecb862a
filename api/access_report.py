"""Who looked at a client's record, when and why, over HTTP."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import JSON
from api.calls import Reading
from api.concept import Concept
from api.door import PageQuery, reads
from projections.access_report import ACCESS_REPORT, AccessReport
from projections.audit_entry import AuditEntry

blueprint = Concept("access", "Who looked, when and why")


@blueprint.route("/clients/<uuid:client_id>/access-report", methods=["GET"])
@reads(ACCESS_REPORT, query=PageQuery, document=AccessReport, places=int, forms=AuditEntry)
def show_access_report(reading: Reading, client_id: UUID) -> Response:
    """Show a page of the access report, newest first: equal readings told once in JSON, else one by one."""
    reading.query = {**reading.query, "entries": reading.form != JSON}
    return reading.page(ACCESS_REPORT, client_id)
