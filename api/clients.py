"""Clients over HTTP: register, find, read the current view, keep identity right, record a death.

A search term is in the address because the contract says so; it is never stored and never logged by us.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.answers import answer, schema_of
from api.calls import Change, Reading
from api.concept import Concept
from api.consents import ReasonBody
from api.door import PageQuery, PastQuery, changes, reads
from api.fields import Body, Flag, Id, Line, QueryFlag, Text
from projections.client_view import CLIENT_VIEW, ClientDocument, DeskDocument
from projections.roster import ClientList
from records.registration import (
    Identity,
    IdentityChanges,
    change_identity,
    mark_death_entered_in_error,
    record_death,
    register_client,
)

BIRTH_DATE = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
CONTACT_LENGTH = 500


class IdentityBody(Body):
    """Who a client is and how to reach them; null empties a field that may be empty."""

    family = Line()
    given = Line()
    preferred_name = Line(allow_none=True)
    birth_date = Line(
        10, allow_none=True, metadata={"pattern": BIRTH_DATE, "description": "YYYY, YYYY-MM or YYYY-MM-DD."}
    )
    pronouns = Line(allow_none=True)
    gender = Line(allow_none=True)
    language = Line(64, allow_none=True, metadata={"description": "BCP 47 tag."})
    interpreter_needed = Flag()
    email = Line(allow_none=True)
    phone = Line(allow_none=True)
    address = Text(CONTACT_LENGTH, allow_none=True)
    emergency_contact = Text(CONTACT_LENGTH, allow_none=True)
    gp = Text(CONTACT_LENGTH, allow_none=True)
    nhs_number = Line(10, allow_none=True, metadata={"pattern": "^[0-9]{10}$"})


class ClientBody(IdentityBody):
    """A client to register. At least one of the names is needed."""

    id = Id()


class DeathBody(Body):
    """That a client died, when as far as it is known, and who said so."""

    died_on = Line(10, allow_none=True, metadata={"pattern": BIRTH_DATE, "description": "YYYY, YYYY-MM or YYYY-MM-DD."})
    reported_by = Line(required=True, metadata={"description": "Such as relative, gp or coroner."})


class ClientsQuery(PageQuery):
    """Which clients: by the beginnings of their names, or one's own."""

    name = Line(100, metadata={"description": "Beginnings of names."})
    mine = QueryFlag()


CLIENT = {"family": "Fennimarsh", "given": "Ottoline", "birth_date": "1981-04", "pronouns": "she/her"}
CURRENT = {"oneOf": [schema_of(ClientDocument), schema_of(DeskDocument)]}

blueprint = Concept("clients", "Clients and who they are")


@blueprint.route("/clients", methods=["POST"])
@changes(register_client, body=ClientBody, example=CLIENT, located=True)
def register(change: Change) -> Response:
    """Register a client."""
    client_id = change.new_id()
    identity = Identity(**change.body)
    change.body = {}
    return change.write(client_id, client_id, location=f"/v1/clients/{client_id}", identity=identity)


@blueprint.route("/clients", methods=["GET"])
@reads("client.list", query=ClientsQuery, document=ClientList, places=UUID)
def list_clients(reading: Reading) -> Response:
    """Search clients by name, or list them; only those that the role may see."""
    return reading.page(reading.clinic.roster.client_list)


@blueprint.route("/clients/<uuid:client_id>", methods=["GET"])
@reads(CLIENT_VIEW, query=PastQuery, document=CURRENT, tagged=True)
def show_client(reading: Reading, client_id: UUID) -> Response:
    """Show the current view: what endangers the client first."""
    document = reading.show(CLIENT_VIEW, client_id)
    return answer(document, version=document.version)


@blueprint.route("/clients/<uuid:client_id>/identity", methods=["PATCH"])
@changes(change_identity, body=IdentityBody, example={"phone": "0131 496 0000"}, versioned=True, statuses=(200,))
def patch_identity(change: Change, client_id: UUID) -> Response:
    """Change some fields of a client's identity; what is not named stays."""
    moved = IdentityChanges(**change.body)
    change.body = {}
    return change.write(client_id, client_id, changes=moved)


@blueprint.route("/clients/<uuid:client_id>/death", methods=["POST"])
@changes(record_death, body=DeathBody, example={"died_on": "2026-01-31", "reported_by": "relative"}, versioned=True)
def record_a_death(change: Change, client_id: UUID) -> Response:
    """Record that the client died; If-Match is the version of the identity."""
    return change.write(client_id, client_id)


@blueprint.route("/clients/<uuid:client_id>/death/error", methods=["POST"])
@changes(
    mark_death_entered_in_error, body=ReasonBody, example={"reason": "It was the client's father."}, versioned=True
)
def mark_death_error(change: Change, client_id: UUID) -> Response:
    """Mark the recorded death as entered in error; If-Match is the version of the identity."""
    return change.write(client_id, client_id)
