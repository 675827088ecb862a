"""Problems: what a caller is told when a request is not done, one row for each error.

Source: RFC 9457; CONTRACT (HTTP errors).

- Every leaf of `records.errors` and every fault of HTTP itself has one row: name, status, title, and what it means.
- `type` is the address of a page of ours that says what to do. A problem never holds an input value, a name or
  clinical text: pointers stop where the caller's own words would begin.
- Nothing was stored where a problem is answered, except for 503 `outcome-unknown`, which says so.
- An error without a row is a defect: 500, with the request id only.

It does not decide (`records`), and it does not log refusals: the doors record them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from flask import Response
from marshmallow import Schema, fields

from records import errors

RETRY_AFTER_SECONDS = 2
MEDIA_TYPE = "application/problem+json"


class Row(NamedTuple):
    """One kind of problem: its status, its title, and what it means, for people."""

    status: int
    title: str
    meaning: str


ROWS: dict[str, Row] = {
    "malformed": Row(400, "Malformed request", "The address, a header or the JSON itself cannot be read."),
    "purpose-missing": Row(
        400,
        "Purpose of use missing",
        "A reading states why in the header Purpose-Of-Use: TREAT, HQUALIMP, HCOMPL, PATRQT or ETREAT.",
    ),
    "reason-missing": Row(
        400, "Reason missing", "A reading in an emergency (ETREAT) says why in the header Access-Reason."
    ),
    "unauthenticated": Row(401, "Not signed in", "A token is needed, and this is no good one (any longer)."),
    "not-permitted": Row(403, "Not permitted", "Role, relation to the client or purpose does not allow it."),
    "not-found": Row(404, "Not found", "There is nothing at this address."),
    "unknown-client": Row(404, "Unknown client", "There is no such client."),
    "unknown-item": Row(404, "Unknown item", "This record has no such item."),
    "method-not-allowed": Row(405, "Method not allowed", "This address does not take this method; see Allow."),
    "rule-broken": Row(409, "A rule forbids it", "The record does not allow it now; `rule` names the rule."),
    "consent-missing": Row(409, "Consent missing", "A live consent is needed first; `consent` names its kind."),
    "erased": Row(410, "Erased", "The record was erased; nothing can be read or added."),
    "not-acceptable": Row(406, "No such form", "This address answers in other forms; see its Accept."),
    "stale": Row(412, "Moved since it was read", "Read it again, and decide on what it says now."),
    "too-large": Row(413, "Too large", "The body is larger than this address takes."),
    "not-json": Row(415, "Not JSON", "The body must be sent as application/json."),
    "invalid-content": Row(422, "Invalid content", "The content cannot be true, is unknown or is out of range."),
    "idempotency-key-reused": Row(422, "Idempotency-Key reused", "This key was used before for another request."),
    "version-required": Row(428, "Version required", "Send If-Match with the ETag of what you read."),
    "too-many-requests": Row(429, "Too many requests", "Nothing was written; try again after Retry-After seconds."),
    "too-many-attempts": Row(
        429, "Too many attempts", "Too many one-time codes were wrong; none is looked at until Retry-After has passed."
    ),
    "defect": Row(500, "Defect", "This is a defect of the service; the request id finds it in its log."),
    "not-stored": Row(503, "Not stored", "The log could not be written, so nothing was stored and nothing is shown."),
    "outcome-unknown": Row(503, "Outcome unknown", "It may be stored; send it again with the same Idempotency-Key."),
    "key-missing": Row(503, "Key missing", "A key that was never destroyed is not there; the clinic must act."),
    "keys-unreachable": Row(503, "Keys out of reach", "What holds the keys does not answer now; try again later."),
    "locked": Row(503, "Locked", "Another process writes this clinic."),
    "integrity-failure": Row(503, "Integrity failure", "What is stored is not what was written; the clinic must act."),
}
"""Name, which is also the last part of the address of its page → row."""

OF_ERRORS: dict[type[errors.WellkeptError], str] = {
    errors.NotPermitted: "not-permitted",
    errors.UnknownClient: "unknown-client",
    errors.UnknownItem: "unknown-item",
    errors.Erased: "erased",
    errors.RuleBroken: "rule-broken",
    errors.ConsentMissing: "consent-missing",
    errors.StaleRecord: "stale",
    errors.VersionRequired: "version-required",
    errors.ProofFromElsewhere: "stale",
    errors.InvalidContent: "invalid-content",
    errors.IdempotencyKeyReused: "idempotency-key-reused",
    errors.TooManyAttempts: "too-many-attempts",
    errors.NotStored: "not-stored",
    errors.OutcomeUnknown: "outcome-unknown",
    errors.KeyMissing: "key-missing",
    errors.KeyProviderUnreachable: "keys-unreachable",
    errors.ClinicLocked: "locked",
    errors.SealBroken: "integrity-failure",
    errors.LedgerMismatch: "integrity-failure",
    errors.UnknownTopic: "integrity-failure",
    errors.RolledBack: "integrity-failure",
    errors.MalformedNote: "integrity-failure",
    errors.MalformedCheckpoint: "integrity-failure",
    errors.MissingSignature: "integrity-failure",
    errors.BadSignature: "integrity-failure",
    errors.BadProof: "integrity-failure",
    errors.MalformedFrontier: "integrity-failure",
    errors.MalformedTile: "integrity-failure",
    errors.MalformedEpoch: "integrity-failure",
    errors.MalformedRequest: "integrity-failure",
    errors.ForkedLog: "integrity-failure",
    errors.LostRace: "not-stored",
}
"""Error → the name of its row."""

OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "not-json"}
"""Status that the HTTP layer gives by itself → the name of its row; any other is `malformed`."""


class Fault(NamedTuple):
    """One thing that is wrong, and where: a JSON pointer into the body, `/query/<name>` or `/header/<name>`."""

    pointer: str
    detail: str


class Unacceptable(Exception):
    """The request cannot be taken as it was sent.

    Attributes:
        name: the name of its row.
        faults: what is wrong and where.
        retry_after_seconds: when to come back, for 429.
    """

    def __init__(self, name: str, faults: Sequence[Fault] = (), retry_after_seconds: int | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds


class FaultSchema(Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(required=True, metadata={"description": "JSON pointer, /query/<name> or /header/<name>."})
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """What a caller is told when a request is not done (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "Address of the page about it."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    rule = fields.String(metadata={"description": "The rule that was broken."})
    consent = fields.String(metadata={"description": "The kind of consent that is missing."})
    errors = fields.List(fields.Nested(FaultSchema))
    request_id = fields.String(required=True, metadata={"description": "Finds the request in the log."})


def name_of(error: BaseException) -> str | None:
    """Return the name of an error's row, by its class or the nearest class above it; None for a defect."""
    if isinstance(error, Unacceptable):
        return error.name
    if isinstance(error, errors.IntegrityFailure):
        return "integrity-failure"
    return next((OF_ERRORS[above] for above in type(error).__mro__ if above in OF_ERRORS), None)


def problem(name: str, request_id: str, error: BaseException | None = None) -> Response:
    """Return the answer for a row, with what the error itself knows."""
    row = ROWS[name]
    headers = {"Cache-Control": "no-store", "X-Request-Id": request_id}
    if row.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="wellkept"'
    if row.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, Unacceptable | errors.TooManyAttempts) and error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    document = {
        "type": f"/problems/{name}",
        "title": row.title,
        "status": row.status,
        "detail": row.meaning,
        **_facts(error),
        "request_id": request_id,
    }
    return Response(msgspec.json.encode(document), row.status, headers, content_type=MEDIA_TYPE)


def _facts(error: BaseException | None) -> dict[str, object]:
    if isinstance(error, errors.ConsentMissing):
        return {"detail": error.detail, "rule": error.rule, "consent": error.kind}
    if isinstance(error, errors.RuleBroken):
        return {"detail": error.detail, "rule": error.rule}
    if isinstance(error, errors.InvalidContent):
        return {"errors": [{"pointer": error.pointer, "detail": error.detail}]}
    if isinstance(error, Unacceptable) and error.faults:
        return {"errors": [fault._asdict() for fault in error.faults]}
    return {}
