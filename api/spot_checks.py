"""Spot checks over HTTP, for the privacy officer: drawn, listed, drawn again to compare, decided.

The chance of a draw is made here, by the machine; nobody sends it.
"""

from __future__ import annotations

import secrets
from uuid import UUID

from flask import Response

from api.answers import answer
from api.calls import Change, Reading
from api.concept import Concept
from api.door import PageQuery, changes, reads
from api.fields import Body, Code, Id, QueryFlag, Whole
from projections.spot_checks import SPOT_CHECK, SPOT_CHECKS, DrawDocument, SpotCheckList, gather
from records.spot_checks import GROUNDS, OUTCOMES, SEED_BYTES, decide_spot_check, draw_spot_check

LAST_INDEX = 2**53 - 1


class DrawBody(Body):
    """A draw; the clinic's policy says how many readings it takes."""

    id = Id()


class DecisionBody(Body):
    """What was decided on one reading, and why, as codes."""

    index = Whole(0, LAST_INDEX, required=True)
    outcome = Code(OUTCOMES, required=True)
    ground = Code(sorted({ground for grounds in GROUNDS.values() for ground in grounds}), required=True)


class DrawsQuery(PageQuery):
    """Which page, and whether only what is open."""

    open = QueryFlag()


class NoQuery(Body):
    """No parameters."""


blueprint = Concept("spot-checks", "Readings drawn by chance, and what was decided on them")


@blueprint.route("/audit/spot-checks", methods=["POST"])
@changes(draw_spot_check, body=DrawBody, example={}, located=True)
def draw_spot_checks(change: Change) -> Response:
    """Draw readings from the log after the last draw."""
    service = change.service
    # Drawing opens entries, so who may not draw is turned away before.
    service.admit(draw_spot_check.permission, None, change.request)
    draw_id, seed = change.new_id(), secrets.token_bytes(SEED_BYTES)
    clinic = service.directory.clinic
    after, upto = clinic.drawn_upto, service.reader.position()
    gathered = gather(service.reader, seed, after, upto, clinic.policy.spot_check_size)
    return change.write(
        service.streams.clinic,
        draw_id,
        draw_id=draw_id,
        seed=seed,
        after=after,
        upto=upto,
        entries=gathered.entries,
        readers=gathered.readers,
        location=f"/v1/audit/spot-checks/{draw_id}",
    )


@blueprint.route("/audit/spot-checks/<uuid:draw_id>/decisions", methods=["POST"])
@changes(decide_spot_check, body=DecisionBody, example={"index": 4711, "outcome": "in-order", "ground": "care"})
def decide_on_a_spot_check(change: Change, draw_id: UUID) -> Response:
    """Decide on one reading of a draw."""
    return change.write(change.service.streams.clinic, draw_id, draw_id=draw_id)


@blueprint.route("/audit/spot-checks", methods=["GET"])
@reads(SPOT_CHECKS, query=DrawsQuery, document=SpotCheckList, places=int)
def list_spot_checks(reading: Reading) -> Response:
    """Show a page of draws, the newest first, and what is open."""
    return reading.page(SPOT_CHECKS)


@blueprint.route("/audit/spot-checks/<uuid:draw_id>", methods=["GET"])
@reads(SPOT_CHECK, query=NoQuery, document=DrawDocument)
def show_spot_check(reading: Reading, draw_id: UUID) -> Response:
    """Show one draw, and whether its seed draws the same again."""
    return answer(reading.show(SPOT_CHECK, resource=draw_id))
