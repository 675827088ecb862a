"""Attachments over HTTP: added with their bytes, opened, given back, marked as entered in error.

- A file is sent as base64 in JSON, as FHIR's Attachment holds it; what it is, is told by its own first bytes.
- A file is always offered for saving under its id, never run or shown as a page of ours.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import raw
from api.calls import Change, Reading
from api.concept import Concept
from api.consents import ReasonBody
from api.disclosures import NoQuery
from api.door import changes, reads
from api.fields import Base64, Body, Code, Id, Instant, Line, Text
from projections.attachment_view import ATTACHMENT_VIEW
from records.attachments import (
    KINDS,
    MAKERS,
    MAX_BYTES,
    add_attachment,
    mark_attachment_entered_in_error,
    return_attachment,
)
from records.media_files import EXTENSIONS, TEXT, extension_of

MOST_BYTES = 4 * (MAX_BYTES // 3 + 1) + 64 * 1024
"""A file in base64, and what is told of it."""
_CONTENT_TYPES = {TEXT: "text/plain; charset=utf-8"}


class AttachmentBody(Body):
    """What is added: the file, and what it is."""

    id = Id()
    kind = Code(tuple(KINDS), required=True)
    made_by = Code(tuple(MAKERS), required=True)
    title = Line(required=True)
    alternative_text = Text(allow_none=True, metadata={"description": "Words that stand for a picture."})
    medium = Line(allow_none=True)
    session_id = Id(allow_none=True)
    occurred_at = Instant(allow_none=True)  # when it was made or received
    content = Base64(MAX_BYTES, required=True)


class ReturnBody(Body):
    """When the original was given back; now, where nothing is said."""

    occurred_at = Instant(allow_none=True)


ATTACHMENT = {
    "kind": "letter",
    "made_by": "third-party",
    "title": "Referral letter",
    "content": "RGVhciBjb2xsZWFndWUsIHRoYW5rIHlvdSBmb3Igc2VlaW5nIGhlci4K",
}

blueprint = Concept("attachments", "Files that belong to a record")


@blueprint.route("/clients/<uuid:client_id>/attachments", methods=["POST"])
@changes(add_attachment, body=AttachmentBody, example=ATTACHMENT, located=True, most_bytes=MOST_BYTES)
def add_an_attachment(change: Change, client_id: UUID) -> Response:
    """Add a file to the record."""
    attachment_id = change.new_id()
    content = change.body.pop("content")
    outcome = change.attachments.add(client_id, attachment_id, content, change.request, **change.body)
    return change.written(outcome, client_id, attachment_id, f"/v1/clients/{client_id}/attachments/{attachment_id}")


@blueprint.route("/clients/<uuid:client_id>/attachments/<uuid:attachment_id>", methods=["GET"])
@reads(ATTACHMENT_VIEW, query=NoQuery, document={"type": "string", "format": "binary"}, media_types=tuple(EXTENSIONS))
def open_an_attachment(reading: Reading, client_id: UUID, attachment_id: UUID) -> Response:
    """Open a file, in the media type that it was added as."""
    found = reading.show(ATTACHMENT_VIEW, client_id, attachment_id)
    file = raw(found.content, _CONTENT_TYPES.get(found.media_type, found.media_type))
    file.headers["Content-Disposition"] = f'attachment; filename="{attachment_id}.{extension_of(found.media_type)}"'
    file.headers["X-Content-Type-Options"] = "nosniff"
    return file


@blueprint.route("/clients/<uuid:client_id>/attachments/<uuid:attachment_id>/return", methods=["POST"])
@changes(return_attachment, body=ReturnBody, example={"occurred_at": "2026-03-02T10:00:00Z"}, versioned=True)
def give_an_original_back(change: Change, client_id: UUID, attachment_id: UUID) -> Response:
    """Record that the original was given back to the client."""
    return change.write(client_id, attachment_id, attachment_id=attachment_id)


@blueprint.route("/clients/<uuid:client_id>/attachments/<uuid:attachment_id>/error", methods=["POST"])
@changes(
    mark_attachment_entered_in_error, body=ReasonBody, example={"reason": "Another client's letter."}, versioned=True
)
def mark_attachment_error(change: Change, client_id: UUID, attachment_id: UUID) -> Response:
    """Take a file out of the ordinary view; it stays for audit."""
    return change.write(client_id, attachment_id, attachment_id=attachment_id)
