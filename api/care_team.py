"""The care team over HTTP: members treat, supervisors review.

Whoever is added must have an account; a member is taken out as a member, a supervisor as a supervisor. Whoever puts in
themselves under an emergency access that is open joins in an emergency: that is reviewed, and the team is told.
"""

from __future__ import annotations

import uuid
from uuid import UUID

from flask import Response

from api.calls import Change
from api.concept import Concept
from api.door import changes
from records.care_team import Part, join_team, put_member, remove_member
from records.errors import UnknownItem

blueprint = Concept("care-team", "Who treats, and who supervises")


@blueprint.route("/clients/<uuid:client_id>/care-team/members/<uuid:staff_id>", methods=["PUT"])
@changes(put_member, statuses=(200,))
def put_team_member(change: Change, client_id: UUID, staff_id: UUID) -> Response:
    """Make a person a member of the care team."""
    return _put(change, client_id, staff_id, "team")


@blueprint.route("/clients/<uuid:client_id>/care-team/members/<uuid:staff_id>", methods=["DELETE"])
@changes(remove_member, statuses=(200,))
def remove_team_member(change: Change, client_id: UUID, staff_id: UUID) -> Response:
    """Take a member out of the care team."""
    return _remove(change, client_id, staff_id, "team")


@blueprint.route("/clients/<uuid:client_id>/care-team/supervisors/<uuid:staff_id>", methods=["PUT"])
@changes(put_member, statuses=(200,))
def put_supervisor(change: Change, client_id: UUID, staff_id: UUID) -> Response:
    """Make a person a supervisor of this treatment."""
    return _put(change, client_id, staff_id, "supervises")


@blueprint.route("/clients/<uuid:client_id>/care-team/supervisors/<uuid:staff_id>", methods=["DELETE"])
@changes(remove_member, statuses=(200,))
def remove_supervisor(change: Change, client_id: UUID, staff_id: UUID) -> Response:
    """Take a supervisor out of the care team."""
    return _remove(change, client_id, staff_id, "supervises")


def _put(change: Change, client_id: UUID, staff_id: UUID, part: Part) -> Response:
    account = change.service.directory.staff.get(staff_id)
    if account is None or account.disabled:
        change.refuse(client_id, UnknownItem("account"))
    access = change.emergency.own(client_id, change.request.actor)
    if str(staff_id) != change.request.actor.id or access is None:
        return change.write(client_id, client_id, staff_id=str(staff_id), part=part)
    access_id, ground = access
    review_id = uuid.uuid4()
    more = {"access_id": access_id, "ground": ground, "review_id": review_id}
    return change.write(client_id, client_id, decision=join_team, location=None, part=part, **more)


def _remove(change: Change, client_id: UUID, staff_id: UUID, part: Part) -> Response:
    if change.service.directory.team(client_id).parts.get(str(staff_id), part) != part:
        change.refuse(client_id, UnknownItem("member"))
    return change.write(client_id, client_id, staff_id=str(staff_id))
