"""Consents over HTTP: offered, given or refused; withdrawn; entered in error."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import fields, post_load

from api.calls import Change
from api.concept import Concept
from api.door import changes
from api.fields import CODE_LENGTH, Body, Code, Flag, Id, Instant, Line, Text
from records.consent import (
    CHANNELS,
    GIVEN_BY,
    KINDS,
    METHODS,
    SCOPE,
    Form,
    mark_consent_entered_in_error,
    record_consent,
    withdraw_consent,
)

SCOPE_PATTERN = f"^{SCOPE.pattern}$"
SHA256_PATTERN = "^[0-9a-f]{64}$"


class FormBody(Body):
    """The exact text that was shown."""

    form_id = Line(CODE_LENGTH, required=True)
    form_version = Line(CODE_LENGTH, required=True)
    text_sha256 = Code(allow_none=True, pattern=SHA256_PATTERN)
    language = Line(CODE_LENGTH)

    @post_load
    def form(self, found: dict[str, Any], **_: Any) -> Form:
        """Return the value that decisions take."""
        return Form(**found)


class ConsentBody(Body):
    """A consent that was offered, given or refused."""

    id = Id()
    kind = Code(KINDS, required=True)
    outcome = Code(("offered", "given", "refused"), required=True)
    form = fields.Nested(FormBody, required=True)
    occurred_at = Instant(allow_none=True)
    method = Code(METHODS)
    given_by = Code(GIVEN_BY)
    authority = Line(allow_none=True)
    scope = Code(
        allow_none=True, metadata={"description": "`episode:<id>`, `session:<id>`, `recording:<id>`, `study:<name>`."}
    )
    recipient = Text(allow_none=True)
    interpreter = Flag()
    witnessed_by = Line(allow_none=True)
    capacity_note = Text(allow_none=True)
    restrictions = Text(allow_none=True)
    expires_at = Instant(allow_none=True)


class WithdrawalBody(Body):
    """A consent that is taken back. A reason is never demanded."""

    channel = Code(CHANNELS, required=True)
    occurred_at = Instant(allow_none=True)
    reason = Text(allow_none=True)
    reported_by = Line(CODE_LENGTH, allow_none=True)


class ReasonBody(Body):
    """Why."""

    reason = Text(required=True)


CONSENT = {"kind": "treatment", "outcome": "given", "form": {"form_id": "treatment", "form_version": "3"}}

blueprint = Concept("consents", "What a client agreed to")


@blueprint.route("/clients/<uuid:client_id>/consents", methods=["POST"])
@changes(record_consent, body=ConsentBody, example=CONSENT)
def record_a_consent(change: Change, client_id: UUID) -> Response:
    """Record that a consent was offered, given or refused."""
    consent_id = change.new_id()
    return change.write(client_id, consent_id, consent_id=consent_id)


@blueprint.route("/clients/<uuid:client_id>/consents/<uuid:consent_id>/withdrawal", methods=["POST"])
@changes(withdraw_consent, body=WithdrawalBody, example={"channel": "in-person"}, versioned=True)
def withdraw_a_consent(change: Change, client_id: UUID, consent_id: UUID) -> Response:
    """Withdraw a consent."""
    return change.write(client_id, consent_id, consent_id=consent_id)


@blueprint.route("/clients/<uuid:client_id>/consents/<uuid:consent_id>/error", methods=["POST"])
@changes(
    mark_consent_entered_in_error, body=ReasonBody, example={"reason": "Recorded for another client."}, versioned=True
)
def mark_consent_error(change: Change, client_id: UUID, consent_id: UUID) -> Response:
    """Mark a consent as entered in error."""
    return change.write(client_id, consent_id, consent_id=consent_id)
