"""What an event is: an immutable, past-tense fact with an explicit topic, and the envelope it is read in.

Rules:
- A class names its topic as its msgspec tag (`tag="note.signed"`). The topic *is* the storage format: never rename it.
- Fields may be added with a default under the same payload version; any other change needs a new payload version
  and an upcaster in `records.catalogue`.
- `free_text` names the fields that are segments of their own in the ledger's content root (text that may one day be
  shown or withheld apart). Each is `str | None` or `dict[str, str]`.
- `occurred_at` is when it happened, as a person says; when we learned it (`recorded_at`) is given by the writer.
- `apply` changes only the small state that rules need; views fold events for themselves.

It does not encode, seal or store: see `records.payload`, `records.sealing`, `records.store`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import msgspec


class StreamKind(StrEnum):
    """Which of a client's or the clinic's streams an event belongs to."""

    CLIENT = "client"
    ACCESS = "access"
    TEAM = "team"
    STAFF = "staff"
    CLINIC = "clinic"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="topic", tag="event"):
    """The fields that every event has.

    Attributes:
        occurred_at: when it happened, aware, given by the person who reports it.
        entered_by: id of the actor who entered it.
        request_id: id of the request that caused it.
        reported_by: who said so, when that is not the actor (`client`, `guardian`, a staff id).
        originally_recorded_at: when another system learned it, for history that was migrated in; `known_at` prefers it.
    """

    stream_kind: ClassVar[StreamKind] = StreamKind.CLIENT
    payload_version: ClassVar[int] = 1
    free_text: ClassVar[tuple[str, ...]] = ()
    lifecycle: ClassVar[str] = "originate"
    """ISO 21089 lifecycle code of this kind of event (originate, amend, attest, deprecate, access, …)."""
    subject: ClassVar[str] = ""
    """Name of the field that holds the id of the resource the event is about; its version becomes the ETag."""

    occurred_at: datetime
    entered_by: str
    request_id: str
    reported_by: str | None = None
    originally_recorded_at: datetime | None = None

    def apply(self, record: Any, version: int) -> None:
        """Change the small rule state of the stream's record; the default changes nothing.

        Args:
            record: the mutable state of this event's stream (`ClientRecord` for client events).
            version: the event's version within its stream.
        """

    @property
    def subject_id(self) -> UUID | None:
        """The id of the resource that the event is about, or None for events about the whole stream."""
        return getattr(self, self.subject) if self.subject else None


def topic_of(event: type[Event] | Event) -> str:
    """Return the topic of an event or event class."""
    tag = event.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError("an event class needs a topic as its tag")
    return tag


class Recorded(msgspec.Struct, frozen=True):
    """An event as it stands in the log.

    Attributes:
        event: the opened event.
        stream: the stream's id.
        version: its number within the stream, dense from 1.
        index: its place in the ledger, dense from 0 over everything.
        logged_at: when the writer put it into the ledger, aware, UTC.
        leaf_hash: RFC 6962 hash of its ledger entry, 32 bytes.
    """

    event: Event
    stream: UUID
    version: int
    index: int
    logged_at: datetime
    leaf_hash: bytes = b""

    @property
    def recorded_at(self) -> datetime:
        """When it was first recorded: the original time of migrated history, else `logged_at`."""
        return self.event.originally_recorded_at or self.logged_at
