"""Exports over HTTP: a record is released, and its bundle fetched as often as it is needed.

Source: AUDIT E1, E2; the decision on exports.

- The release is made first and answers with its id; the bundle is made anew whenever it is fetched, and only as it was
  released. So nothing waits on the disk, and there is no progress to ask for.
- Preparing and each fetching are readings.
- Where another process signs the log, a bundle can be fetched a moment after its release.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import raw
from api.calls import Change, Reading
from api.concept import Concept
from api.disclosures import GivenBody, NoQuery, require_accounts
from api.door import changes, reads
from api.fields import Flag, Id, Text, Whole
from projections.export.releasing import DESCRIPTION
from projections.export.views import BundleView
from records.actors import Purpose
from records.disclosures import release_export

ZIP = "application/zip"
MAX_INDEX = 999_999_999


class ExportBody(GivenBody):
    """What is given to whom, why, and who answers for it."""

    description = Text(load_default=DESCRIPTION)
    authorised_by = Id(allow_none=True)  # by default whoever asks
    at = Whole(1, MAX_INDEX, allow_none=True, metadata={"description": "Everything lies below this index of the log."})
    pdf = Flag(load_default=False, metadata={"description": "With the record on paper."})


EXPORT = {
    "recipient_kind": "client",
    "recipient": "Robin Marsh",
    "purpose": "The client asked for a copy.",
    "basis": "client-request",
    "pdf": False,
}

blueprint = Concept("exports", "Copies of a record that anyone can check")


@blueprint.route("/clients/<uuid:client_id>/exports", methods=["POST"])
@changes(release_export, body=ExportBody, example=EXPORT, located=True)
def release_an_export(change: Change, client_id: UUID) -> Response:
    """Release a copy of the record: it is recorded as a disclosure, and can be fetched then."""
    require_accounts(change, client_id)
    export_id = change.new_id()
    change.body["authorised_by"] = change.body.get("authorised_by") or change.request.actor.id
    at, pdf = change.body.pop("at", None), change.body.pop("pdf")
    _, outcome = change.releasing.release(
        client_id, change.request, Purpose.PATRQT, at=at, pdf=pdf, disclosure_id=export_id, **change.body
    )
    location = f"/v1/clients/{client_id}/exports/{export_id}"
    return change.written(outcome, client_id, export_id, location)


@blueprint.route("/clients/<uuid:client_id>/exports/<uuid:export_id>", methods=["GET"])
@reads(BundleView.action, query=NoQuery, document={"type": "string", "format": "binary"}, media_types=(ZIP,))
def fetch_an_export(reading: Reading, client_id: UUID, export_id: UUID) -> Response:
    """Fetch the bundle of a release, as a zip."""
    bundle = raw(reading.show(reading.clinic.releasing.exports.bundles, client_id, export_id), ZIP)
    bundle.headers["Content-Disposition"] = 'attachment; filename="record.zip"'
    return bundle
