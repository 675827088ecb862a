"""Patterns in who looked, over HTTP, for the privacy officer."""

from __future__ import annotations

from typing import ClassVar

from flask import Response

from api.answers import answer
from api.calls import Reading
from api.concept import Concept
from api.door import reads
from api.fields import CODE_LENGTH, Body, Instant, Line
from projections.patterns_report import PatternsReport


class PatternsQuery(Body):
    """Which period, and of whom."""

    class Meta(Body.Meta):
        """A name of the address that Python keeps for itself."""

        include: ClassVar = {"from": Instant()}

    to = Instant()
    staff = Line(CODE_LENGTH)


blueprint = Concept("patterns", "Patterns in who looked")


@blueprint.route("/audit/patterns", methods=["GET"])
@reads("audit.patterns", query=PatternsQuery, document=PatternsReport)
def show_patterns(reading: Reading) -> Response:
    """Show what the rules found in a period, for each person."""
    return answer(reading.show(reading.clinic.patterns))
