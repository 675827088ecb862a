"""The catalogue: which topics exist, which class each one is, and how old payloads become today's.

- A topic maps to exactly one class; an unknown topic or payload version is an error, never a dynamic import.
- An upcaster turns the document of one payload version into the next; the chain ends at the class's own version.
- Adding an event: list it in its concept's `EVENTS`, commit a golden payload, show or ignore it in each view.

It does not know how bytes are laid out (`records.payload`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from records import (
    access,
    assessments,
    attachments,
    bookings,
    breaches,
    care_team,
    clinic,
    consent,
    disclosures,
    emergency,
    episodes,
    erasure,
    goals,
    imports,
    legal_hold,
    notes,
    registration,
    reviews,
    risk,
    second_factor,
    sessions,
    spot_checks,
    staff,
)
from records.errors import UnknownTopic
from records.event import Event, topic_of
from records.payload import Segment, from_segments

CONCEPTS = (
    registration,
    consent,
    episodes,
    bookings,
    sessions,
    breaches,
    assessments,
    risk,
    goals,
    notes,
    attachments,
    disclosures,
    legal_hold,
    imports,
    access,
    care_team,
    staff,
    second_factor,
    emergency,
    erasure,
    reviews,
    clinic,
    spot_checks,
)

CATALOGUE: dict[str, type[Event]] = {topic_of(cls): cls for concept in CONCEPTS for cls in concept.EVENTS}
"""Topic → class."""

# The library works out how to read a class when it is first read, and crashes the process where two threads do that at
# once (msgspec 0.22). So it is done here, by the one thread that imports this.
_WORKED_OUT = tuple(msgspec.json.Decoder(cls) for cls in CATALOGUE.values())

UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(topic, payload version) → function to the next version's document."""


def upcast(topic: str, version: int, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document in the payload version that the topic's class has today.

    Raises:
        UnknownTopic: no such topic, or no way from that version.
    """
    cls = CATALOGUE.get(topic)
    if cls is None or version > cls.payload_version:
        raise UnknownTopic("a topic or payload version that is not in the catalogue")
    while version < cls.payload_version:
        step = UPCASTERS.get((topic, version))
        if step is None:
            raise UnknownTopic("a payload version without an upcaster")
        document, version = step(document), version + 1
    return document


def to_event(topic: str, segments: tuple[Segment, ...]) -> Event:
    """Return the event that opened segments hold.

    Args:
        topic: the topic as sealed; it must be the one in the header.
        segments: header first.

    Raises:
        UnknownTopic: not in the catalogue, or a payload that does not fit its class.
    """
    named, document = from_segments(segments, upcast)
    if named != topic:
        raise UnknownTopic("a header of another topic")
    try:
        return msgspec.convert(document, CATALOGUE[topic])
    except msgspec.ValidationError as error:
        raise UnknownTopic("a payload that does not fit its class") from error
