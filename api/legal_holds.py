"""Legal holds over HTTP: placed and lifted by the privacy officer."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.calls import Change
from api.concept import Concept
from api.consents import ReasonBody
from api.door import changes
from api.fields import Body, Code, Id, Line, Text
from records.legal_hold import AUTHORITIES, lift_legal_hold, place_legal_hold


class LegalHoldBody(Body):
    """Who asked that nothing be erased, on which authority, and why."""

    id = Id()
    authority = Code(tuple(AUTHORITIES), required=True)
    requested_by = Line(required=True)
    reference = Line(allow_none=True)
    reason = Text(required=True)


LEGAL_HOLD = {
    "authority": "court",
    "requested_by": "County Court, clerk of list 3",
    "reference": "2026/118",
    "reason": "Disclosure was ordered in a claim.",
}

blueprint = Concept("legal_holds", "Legal holds, which keep a record from being erased")


@blueprint.route("/clients/<uuid:client_id>/legal-holds", methods=["POST"])
@changes(place_legal_hold, body=LegalHoldBody, example=LEGAL_HOLD)
def place_a_legal_hold(change: Change, client_id: UUID) -> Response:
    """Place a legal hold."""
    hold_id = change.new_id()
    return change.write(client_id, hold_id, hold_id=hold_id)


@blueprint.route("/clients/<uuid:client_id>/legal-holds/<uuid:hold_id>/lifting", methods=["POST"])
@changes(lift_legal_hold, body=ReasonBody, example={"reason": "The claim was settled."}, versioned=True)
def lift_a_legal_hold(change: Change, client_id: UUID, hold_id: UUID) -> Response:
    """Lift a legal hold."""
    return change.write(client_id, hold_id, hold_id=hold_id)
