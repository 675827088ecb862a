"""The audit over HTTP: who read what, for whom, when and why, over all clients or one.

Each query is a reading: every client that it shows gets an entry. Purpose and period of the entries are parameters;
why *this* is read stands in the header, as always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from flask import Response

from api.calls import Reading
from api.concept import Concept
from api.door import PageQuery, reads
from api.fields import Body, Code, Id, Instant, QueryFlag
from api.forms import FHIR
from projections.audit_entry import AuditEntry
from projections.audit_groups import AuditSentence, AuditSentences
from projections.audit_page import AUDIT_ENTRY, AuditPage
from projections.audit_question import OUTCOMES, SORTS, SOURCES
from records.actors import Purpose, Relation, Role

LAST_INDEX = 2**62


class AuditQueryBase(PageQuery):
    """Which entries."""

    client = Id()
    actor = Code(attribute="staff", metadata={"description": "An account's id, or `operator:NAME`."})
    action = Code(metadata={"description": "An action of the policy table, `sign_in`, or the topic of a change."})
    purpose = Code([purpose.value for purpose in Purpose], attribute="for_purpose")
    outcome = Code(OUTCOMES)
    relation = Code([relation.value for relation in Relation])
    role = Code(["none", *(role.value for role in Role)])
    outside_team = QueryFlag(
        metadata={"description": "Only those in no relation to the client: neither treating nor supervising."}
    )
    source = Code(SOURCES, metadata={"description": "Readings and refusals, changes of staff and teams, or all."})
    to = Instant(attribute="to_at")


# `from` is a word of Python, so it cannot be named in a class.
def _query(name: str, sorts: Sequence[str], description: str) -> type[Body]:
    sort = Code(sorts, metadata={"description": description})
    made = AuditQueryBase.from_dict({"from": Instant(attribute="from_at"), "sort": sort}, name=name)
    return cast(type[Body], made)


SentencesQuery = _query("SentencesQuery", ("at", "-at"), "`-at` (newest first) unless told.")
AuditQuery = _query(
    "AuditQuery",
    [f"{sign}{name}" for name in SORTS for sign in ("", "-")],
    "`-at` (newest first) unless told. Time needs no bound; anything else sorts the entries of a bounded period.",
)


class NothingQuery(Body):
    """No parameters."""


blueprint = Concept("audit", "Who read what, for whom, when and why")


@blueprint.route("/audit", methods=["GET"])
@reads("audit.view", query=AuditQuery, document=AuditPage, places=str, forms=AuditEntry)
def show_audit(reading: Reading) -> Response:
    """Show a page of entries, newest first unless told otherwise."""
    reading.query = {"source": "all", "sort": "-at", **reading.query}
    return reading.page(reading.clinic.audit_index.report)


@blueprint.route("/audit/report", methods=["GET"])
@reads("audit.view", query=SentencesQuery, document=AuditSentences, places=str, forms=AuditSentence)
def show_audit_report(reading: Reading) -> Response:
    """Show a page of sentences, equal readings of one day told once."""
    reading.query = {"source": "all", **reading.query, "entries": reading.form == FHIR}
    return reading.page(reading.clinic.audit_index.grouped)


@blueprint.route(f"/audit/<int(max={LAST_INDEX}):index>", methods=["GET"])
@reads(AUDIT_ENTRY, query=NothingQuery, document=AuditPage, places=str, forms=AuditEntry)
def show_audit_entry(reading: Reading, index: int) -> Response:
    """Show the one entry at a place of the ledger."""
    reading.query = {"index": index}
    return reading.page(AUDIT_ENTRY)
