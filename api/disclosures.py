"""Disclosures over HTTP: recorded, listed, marked as entered in error; and the accounting letter.

Who authorised a disclosure, and the second person of an emergency, must have an account.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import answer
from api.calls import Change, Reading
from api.concept import Concept
from api.consents import SHA256_PATTERN, ReasonBody
from api.door import PageQuery, changes, reads
from api.fields import Body, Code, Id, Instant, Line, Text
from projections.disclosures import ACCOUNTING, DISCLOSURES, AccountingLetter, DisclosurePage
from records.disclosures import BASES, RECIPIENTS, mark_disclosure_entered_in_error, record_disclosure
from records.errors import InvalidContent


class GivenBody(Body):
    """To whom it is given, why, and who answers for it."""

    id = Id()
    recipient_kind = Code(RECIPIENTS, required=True)
    recipient = Line(required=True)
    recipient_address = Text(allow_none=True)
    purpose = Text(required=True)
    basis = Code(tuple(BASES), required=True)
    consent_id = Id(allow_none=True)
    authorised_by = Id(required=True)
    reason = Text(allow_none=True)
    second_person = Id(allow_none=True)


class DisclosureBody(GivenBody):
    """What was given to whom, why, and who answers for it."""

    occurred_at = Instant(allow_none=True)
    description = Text(required=True)
    manifest_sha256 = Code(allow_none=True, pattern=SHA256_PATTERN)


class NoQuery(Body):
    """No parameters."""


DISCLOSURE = {
    "recipient_kind": "court",
    "recipient": "County Court",
    "recipient_address": "1 Court Street",
    "description": "A letter on the dates of attendance.",
    "purpose": "Evidence in a hearing.",
    "basis": "court-order",
    "authorised_by": "3f0f5b8e-6d52-4f5e-9d0b-3a2f0a4a6a10",
}

blueprint = Concept("disclosures", "What left the clinic, and the account of it")


def require_accounts(change: Change, client_id: UUID) -> None:
    """See to it that whoever answers for a disclosure has an account, and name them as events do.

    Raises:
        NotPermitted, InvalidContent: and the refusal is recorded.
    """
    for name in ("authorised_by", "second_person"):
        staff_id: UUID | None = change.body.get(name)
        if staff_id is None:
            continue
        if staff_id not in change.service.directory.staff:
            change.refuse(client_id, InvalidContent(f"/{name}", "Is nobody with an account."))
        change.body[name] = str(staff_id)


@blueprint.route("/clients/<uuid:client_id>/disclosures", methods=["POST"])
@changes(record_disclosure, body=DisclosureBody, example=DISCLOSURE)
def record_a_disclosure(change: Change, client_id: UUID) -> Response:
    """Record a disclosure that was made."""
    require_accounts(change, client_id)
    disclosure_id = change.new_id()
    return change.write(client_id, disclosure_id, disclosure_id=disclosure_id)


@blueprint.route("/clients/<uuid:client_id>/disclosures/<uuid:disclosure_id>/error", methods=["POST"])
@changes(
    mark_disclosure_entered_in_error, body=ReasonBody, example={"reason": "Was not sent after all."}, versioned=True
)
def mark_disclosure_error(change: Change, client_id: UUID, disclosure_id: UUID) -> Response:
    """Mark a disclosure as entered in error."""
    return change.write(client_id, disclosure_id, disclosure_id=disclosure_id)


@blueprint.route("/clients/<uuid:client_id>/disclosures", methods=["GET"])
@reads(DISCLOSURES, query=PageQuery, document=DisclosurePage, places=int)
def list_disclosures(reading: Reading, client_id: UUID) -> Response:
    """Show a page of disclosures, the newest first."""
    return reading.page(DISCLOSURES, client_id)


@blueprint.route("/clients/<uuid:client_id>/disclosures/letter", methods=["GET"])
@reads(ACCOUNTING, query=NoQuery, document=AccountingLetter)
def show_accounting_letter(reading: Reading, client_id: UUID) -> Response:
    """Write the accounting of disclosures for the client, as text and as HTML."""
    return answer(reading.show(ACCOUNTING, client_id))
