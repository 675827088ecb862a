"""Erasure over HTTP: requested on a ground, approved by another person, and what became of it.

The approval closes the record at once: from then on every other address of this client answers 410. What is shown here
stays, since it holds ids and codes only.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import answer
from api.calls import Change, Reading
from api.concept import Concept
from api.door import changes, reads
from api.fields import Body, Code, Id
from projections.erasure_certificate import CERTIFICATE, ErasureCertificate
from projections.erasures import CLIENT_ERASURES, Erasures
from records.erasing import Waiting
from records.erasure import WITHDRAWN_FOR, approve_erasure, request_erasure, withdraw_erasure
from records.event import StreamKind
from records.retention import BASES


class ErasureRequestBody(Body):
    """On which ground the record is to be erased."""

    id = Id()
    basis = Code(tuple(BASES), required=True)


class ErasureApprovalBody(Body):
    """Nothing: who approves is who sends it."""


class ErasureWithdrawalBody(Body):
    """Why the request is withdrawn."""

    ground = Code(tuple(WITHDRAWN_FOR), required=True)


class NoQuery(Body):
    """No parameters."""


blueprint = Concept("erasure", "Erasure of a client")


@blueprint.route("/clients/<uuid:client_id>/erasure", methods=["POST"])
@changes(request_erasure.permission, body=ErasureRequestBody, example={"basis": "retention-elapsed"}, located=True)
def ask_for_erasure(change: Change, client_id: UUID) -> Response:
    """Request that a client be erased; refused with its ground while retention or a legal hold runs."""
    erasure_id = change.new_id()
    outcome = change.erasure.request(client_id, erasure_id, change.body["basis"], change.request)
    location = f"/v1/clients/{client_id}/erasure"
    return change.written(outcome, change.service.streams.clinic, erasure_id, location, StreamKind.CLINIC)


@blueprint.route("/clients/<uuid:client_id>/erasure/<uuid:erasure_id>/approval", methods=["POST"])
@changes(approve_erasure.permission, body=ErasureApprovalBody, example={})
def approve_an_erasure(change: Change, client_id: UUID, erasure_id: UUID) -> Response:
    """Approve somebody else's request: the record is closed, and its keys are destroyed for good."""
    outcome = change.erasure.approve(client_id, erasure_id, change.request)
    # Where a step cannot be taken now, the approval stands and the record is closed all the same.
    change.erasing.attempt(Waiting(erasure_id, client_id))
    return change.written(outcome, change.service.streams.clinic, erasure_id, kind=StreamKind.CLINIC)


@blueprint.route("/clients/<uuid:client_id>/erasure/<uuid:erasure_id>/withdrawal", methods=["POST"])
@changes(withdraw_erasure.permission, body=ErasureWithdrawalBody, example={"ground": "request-withdrawn"})
def withdraw_an_erasure(change: Change, client_id: UUID, erasure_id: UUID) -> Response:
    """Withdraw a request that nobody approved."""
    outcome = change.erasure.withdraw(client_id, erasure_id, change.body["ground"], change.request)
    return change.written(outcome, change.service.streams.clinic, erasure_id, kind=StreamKind.CLINIC)


@blueprint.route("/clients/<uuid:client_id>/erasure", methods=["GET"])
@reads(CLIENT_ERASURES, query=NoQuery, document=Erasures)
def show_erasures(reading: Reading, client_id: UUID) -> Response:
    """Show what was requested, approved and done; it stays when the record is gone."""
    return answer(reading.show(CLIENT_ERASURES, client_id))


@blueprint.route("/clients/<uuid:client_id>/erasure/<uuid:erasure_id>/certificate", methods=["GET"])
@reads(CERTIFICATE, query=NoQuery, document=ErasureCertificate)
def show_certificate(reading: Reading, client_id: UUID, erasure_id: UUID) -> Response:
    """Give the certificate: which keys were destroyed, and the proof that the log says so."""
    return answer(reading.show(CERTIFICATE, client_id, erasure_id))
