"""Emergency access over HTTP: a grant for a one-time code, and the confirmation by a second person.

The grant opens nothing by itself. The first reading does, with `Purpose-Of-Use: ETREAT`, `Access-Reason` and the id of
the grant in `Emergency-Access`; while the client is open, further readings need no id.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from flask import Response

from api.answers import answer
from api.calls import Change
from api.concept import Concept
from api.door import changes
from api.fields import Body, Code, Id
from records.emergency import GROUNDS, approve_emergency_access, grant_emergency_access
from records.event import StreamKind

CODE_DIGITS = r"^[0-9]{6}$"


class CodeBody(Body):
    """A one-time code of one's own second factor."""

    code = Code(pattern=CODE_DIGITS, required=True)


class GrantBody(CodeBody):
    """Why a client must be opened, as a code, and a one-time code."""

    id = Id()
    ground = Code(GROUNDS, required=True)


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency access that was granted.

    Attributes:
        id: what `Emergency-Access` names.
        version: the version of the last event that touched it, its ETag.
        recorded_at: when the log took it.
        until: it must be used before this time.
        needs_approval: a second person must confirm it first, since a review is overdue.
    """

    id: UUID
    version: int
    recorded_at: datetime | None
    until: datetime
    needs_approval: bool


blueprint = Concept("emergency", "Emergency access")


@blueprint.route("/clients/<uuid:client_id>/emergency-access", methods=["POST"])
@changes(
    grant_emergency_access.permission,
    body=GrantBody,
    example={"ground": "crisis", "code": "492039"},
    statuses=(201,),
    document=Granted,
    further=(429,),
)
def grant_access(change: Change, client_id: UUID) -> Response:
    """Prove who you are with a one-time code, and be granted to open this client once, within five minutes."""
    access_id = change.new_id()
    outcome = change.emergency.grant(client_id, access_id, change.body["ground"], change.body["code"], change.request)
    change.service.follow()
    granted = outcome.subject or access_id
    account = change.service.directory.account(change.request.actor.id)
    grant = None if account is None else account.grants.get(granted)
    if grant is None or outcome.version is None:
        raise LookupError("a grant that was written is not there")
    document = Granted(
        id=granted,
        version=outcome.version,
        recorded_at=outcome.recorded_at,
        until=grant.until,
        needs_approval=grant.needs_approval,
    )
    return answer(document, 201, outcome.version)


@blueprint.route("/clients/<uuid:client_id>/emergency-access/<uuid:access_id>/approval", methods=["POST"])
@changes(approve_emergency_access.permission, body=CodeBody, example={"code": "492039"})
def approve_access(change: Change, client_id: UUID, access_id: UUID) -> Response:
    """Confirm a colleague's emergency access with your own one-time code."""
    outcome = change.emergency.approve(client_id, access_id, change.body["code"], change.request)
    return change.written(outcome, client_id, access_id, kind=StreamKind.STAFF)
