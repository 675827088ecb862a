"""Health: whether the process is alive, and whether it can keep records.

- `/healthz` answers while the process runs; it asks nothing of the log.
- `/readyz` answers 200 only when the log answers and whoever serves it knows of no fault.
"""

from __future__ import annotations

from flask import Response, current_app
from marshmallow import Schema, fields, validate

from api.answers import answer
from api.calls import EXTENSION, the_door
from api.concept import Concept
from api.door import public
from records.errors import WellkeptError

READY_CHECK = f"{EXTENSION}-ready"


class AliveSchema(Schema):
    """The process runs."""

    status = fields.String(required=True, validate=validate.Equal("alive"))


class ReadySchema(Schema):
    """Whether records can be kept; `faults` holds codes."""

    status = fields.String(required=True, validate=validate.OneOf(("ready", "not-ready")))
    faults = fields.List(fields.String(), required=True)


blueprint = Concept("health", "Alive and ready", "/")


@blueprint.route("/healthz", methods=["GET"])
@public("application/json", AliveSchema)
def show_alive() -> Response:
    """Tell that the process runs."""
    return answer({"status": "alive"})


@blueprint.route("/readyz", methods=["GET"])
@public("application/json", ReadySchema, (200, 503))
def show_ready() -> Response:
    """Tell whether records can be kept."""
    found: list[str] = list(current_app.extensions[READY_CHECK]())
    try:
        the_door().service.follow()
    except WellkeptError:
        found.append("log")
    return answer({"status": "not-ready" if found else "ready", "faults": found}, 503 if found else 200)
