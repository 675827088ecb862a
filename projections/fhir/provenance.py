"""Who wrote what when: one Provenance for each event that opens, about the resources that it touched.

Source: FHIR R4 Provenance; ISO 21089 life-cycle codes (`Event.lifecycle`).

- `entity.what.identifier` names the event in the clinic's log: its version in the record, its index, and the RFC 6962
  hash of its entry in hex, as `VERSION/INDEX/HASH` in the system that is the log's URN.
- A reason of an event is the Provenance's reason. Any other text that no resource shows any more, such as the old
  words of a goal, stands here in an extension, so that no text is lost.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cache
from typing import NamedTuple

import msgspec

from projections.fhir.draft import Draft, Told, reference
from projections.fhir.elements import Json, instant, term
from projections.fhir.texts import LOCAL, SEGMENT, words
from records.event import Event
from records.merkle import leaf_hash

ROLES = {"attest": "verifier"}
"""Life-cycle code → part of who entered it; for any other it is `author`, or `enterer` where somebody else said it."""
_AGENT = "provenance-participant-type"
_MARKED = re.compile(rb'"url":"%s","valueString":("(?:[^"\\]|\\.)*")' % re.escape(SEGMENT.encode()))
"""The marker as `projections.fhir.texts` makes it."""
_ENCODER = msgspec.json.Encoder()
_STRING = msgspec.json.Decoder(str)


class Written(NamedTuple):
    """A resource in its last state.

    Attributes:
        data: its JSON.
        segments: the name of each segment that stands in it.
    """

    data: bytes
    segments: tuple[str, ...]


def written(resource: Json) -> Written:
    """Return a resource as it is written."""
    data = _ENCODER.encode(resource)
    # In JSON no text can look like the marker, since its own quotation marks are escaped there; and looking for bytes
    # takes a tenth of the time of walking the part.
    return Written(data, tuple(_STRING.decode(found) for found in _MARKED.findall(data)))


def write(draft: Draft) -> dict[str, Written]:
    """Add the Provenances, when everything else is in its last state; return every resource by its address."""
    done = {address: written(resource) for address, resource in draft.resources.items()}
    provenances = _Provenances(draft, {segment for each in done.values() for segment in each.segments})
    for told, targets in draft.touched:
        provenances.add(told, targets)
    # What was written is not touched any more: only Provenances are new, and people whom nothing else named.
    return {address: done.get(address) or written(resource) for address, resource in draft.resources.items()}


class _Provenances:
    """Adds the Provenances of a document.

    Args:
        draft: the document.
        standing: the names of the segments that stand in other resources.
    """

    def __init__(self, draft: Draft, standing: Set[str]) -> None:
        self._draft = draft
        self._standing = standing
        self._log = draft.record.deployment_id.urn
        self._agents: dict[tuple[str, str, str | None], list[Json]] = {}

    def add(self, told: Told, targets: list[Json]) -> None:
        event, recorded = told.exported.recorded.event, told.exported.recorded
        left = [path for path in told.texts if told.segment(path) not in self._standing]
        name = f"{told.version}/{recorded.index}/{leaf_hash(told.exported.entry).hex()}"
        self._draft.add(
            "Provenance",
            told.version,
            None,
            extension=[
                each
                for path in left
                if path != "reason"
                for each in told.extension(
                    f"{LOCAL}StructureDefinition/{path.partition('/')[0].replace('_', '-')}", path
                )
            ],
            target=[reference(each) for each in targets],
            occurredDateTime=instant(told.at),
            recorded=instant(recorded.recorded_at),
            reason=[told.string("text", "reason")] if "reason" in left else None,
            activity=_activity(event.lifecycle),
            agent=self._agents_of(event),
            entity=[{"role": "source", "what": {"identifier": {"system": self._log, "value": name}}}],
        )

    def _agents_of(self, event: Event) -> list[Json]:
        role = ROLES.get(event.lifecycle, "author" if event.reported_by is None else "enterer")
        key = (role, event.entered_by, event.reported_by)
        agents = self._agents.get(key)
        if agents is None:
            agents = [{"type": term(_AGENT, role), "who": self._draft.staff(event.entered_by)}]
            if event.reported_by is not None:
                agents.append({"type": term(_AGENT, "informant"), "who": _informant(self._draft, event.reported_by)})
            self._agents[key] = agents
        return agents


@cache
def _activity(lifecycle: str) -> Json:
    """Return a code of `Event.lifecycle`, of which there are few."""
    return term("iso-21089-lifecycle", lifecycle)


def _informant(draft: Draft, reported_by: str) -> Json:
    if reported_by == "client":
        return reference(draft.patient)
    if reported_by in draft.record.staff:
        return draft.staff(reported_by)
    return draft.ref("RelatedPerson", reported_by) or {"display": words(reported_by) or "unknown"}
