"""What a decision is: a pure function from a record, arguments, actor and time to new events.

Rules:
- A decision reads the record and its arguments, and returns events or raises a `Refused` leaf. No clock, no ids made
  here, no I/O. No events means that there is nothing to do, which makes it idempotent.
- It names the permission it needs; the door checks that before the decision is called.
- `If-Match` is checked by the decision, against the resource that it names (`Context.require_version`).
- A decision made while history is migrated (`Context.migrated`) stamps its events with the original time.

It does not load, seal or append: see `records.service`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from records.actors import Actor
from records.clinic_policy import ClinicPolicy
from records.errors import InvalidContent, StaleRecord, VersionRequired
from records.event import Event, StreamKind


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides, when, under which clinic policy, and on which version.

    Attributes:
        actor: the authenticated actor.
        at: the time of the request, aware, UTC (the file's time while history is migrated).
        request_id: id of the request.
        policy: the clinic's policy in force.
        if_match: the version that the caller read, or None.
        migrated: True while history of another system is loaded.
    """

    actor: Actor
    at: datetime
    request_id: str
    policy: ClinicPolicy
    if_match: int | None = None
    migrated: bool = False

    def stamp(self, occurred_at: datetime | None = None, reported_by: str | None = None) -> dict[str, Any]:
        """Return the common fields of an event; `occurred_at` defaults to now.

        Raises:
            InvalidContent: something is said to have happened in the future.
        """
        if occurred_at is not None and occurred_at > self.at:
            raise InvalidContent("/occurred_at", "Lies in the future.")
        return {
            "occurred_at": occurred_at or self.at,
            "entered_by": self.actor.id,
            "request_id": self.request_id,
            "reported_by": reported_by,
            "originally_recorded_at": self.at if self.migrated else None,
        }

    def require_version(self, version: int) -> None:
        """Hold the caller to the version of the resource that it read.

        Raises:
            VersionRequired: the caller named none (migrated history never does and is let through).
            StaleRecord: the resource moved since.
        """
        if self.if_match is None:
            if self.migrated:
                return
            raise VersionRequired("If-Match is required")
        if self.if_match != version:
            raise StaleRecord("the resource moved since it was read")


class Decision(msgspec.Struct, frozen=True):
    """A decision with the permission it needs.

    Attributes:
        permission: the action in the policy table, for example `note.sign`.
        on: the kind of stream whose record it reads.
        decide: the pure function `(record, context, **arguments) -> events`.
        creates_stream: True where the stream must not exist yet.
    """

    permission: str
    on: StreamKind
    decide: Callable[..., Sequence[Event]]
    creates_stream: bool = False

    @property
    def name(self) -> str:
        """The imperative name, for documents and traces."""
        return self.decide.__name__

    def __call__(self, record: Any, context: Context, **arguments: Any) -> Sequence[Event]:
        """Decide: see the wrapped function."""
        return self.decide(record, context, **arguments)


def decision(
    permission: str, *, on: StreamKind = StreamKind.CLIENT, creates_stream: bool = False
) -> Callable[[Callable[..., Sequence[Event]]], Decision]:
    """Mark a pure function as a decision that needs `permission`."""

    def wrap(decide: Callable[..., Sequence[Event]]) -> Decision:
        return Decision(permission, on, decide, creates_stream)

    return wrap
