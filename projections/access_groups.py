"""Equal entries of one day, told as one: the same person, role, relation, act, purpose and outcome, for one client.

Source: AUDIT A11 (each reading is its own entry, and reports group them).

- A day is the clinic's. What differs in anything that people judge by is never told as one.
- A group only grows while a report is made; the entries stay what they are.
"""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from records.access import AccessRecorded
from records.event import Event, Recorded

Key = tuple[object, ...]


class Group(msgspec.Struct):
    """Equal entries of one day, in the order in which they were found."""

    event: Event
    entries: list[Recorded] = msgspec.field(default_factory=list)
    addresses: dict[str, None] = msgspec.field(default_factory=dict)
    resources: dict[UUID, None] = msgspec.field(default_factory=dict)

    def add(self, recorded: Recorded) -> None:
        """Take one more equal entry."""
        self.entries.append(recorded)
        if isinstance(recorded.event, AccessRecorded):
            self.addresses[recorded.event.address] = None
            if recorded.event.resource is not None:
                self.resources[recorded.event.resource] = None


def key_of(recorded: Recorded, zone: ZoneInfo) -> Key:
    """Return what entries of one group have in common; a change stands for itself."""
    event = recorded.event
    if not isinstance(event, AccessRecorded):
        return (recorded.index,)
    why = (event.purpose, event.outcome, event.reason)
    who = (event.entered_by, event.role, event.relation)
    return (recorded.recorded_at.astimezone(zone).date(), event.client_id, *who, event.action, *why)
