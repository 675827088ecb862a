"""Given events, when a decision is made, then events or an error: without a store or a clock.

Use it in tests of concept files:

    given(registered()).when(record_consent, consent_id=…, kind="treatment", …).then(ConsentGiven)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from records.actors import Actor, Role
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.decision import Context, Decision
from records.errors import WellkeptError
from records.event import Event, Recorded, StreamKind

CLIENT = UUID("00000000-0000-4000-8000-000000000001")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
THERAPIST = Actor(id="00000000-0000-4000-8000-0000000000aa", role=Role.THERAPIST)
COLLEAGUE = Actor(id="00000000-0000-4000-8000-0000000000bb", role=Role.THERAPIST)


def stamp(at: datetime = NOW, by: Actor = THERAPIST) -> dict[str, Any]:
    """Return the common fields of an event that is given."""
    return {"occurred_at": at, "entered_by": by.id, "request_id": "given"}


def fold(events: Sequence[Event], record: ClientRecord | None = None) -> ClientRecord:
    """Fold events into a client's record, in order."""
    record = record or ClientRecord(client_id=CLIENT)
    for event in events:
        if event.stream_kind is not StreamKind.CLIENT:
            continue
        version = record.version + 1
        record.apply(Recorded(event, CLIENT, version, version - 1, NOW + timedelta(microseconds=version)))
    return record


class Case:
    """A record and what was decided on it."""

    def __init__(self, events: Sequence[Event], policy: ClinicPolicy) -> None:
        self.events = list(events)
        self.policy = policy
        self.record = fold(events)
        self.outcome: Sequence[Event] = ()
        self.error: WellkeptError | None = None

    def when(
        self,
        decision: Decision,
        *,
        at: datetime = NOW,
        actor: Actor = THERAPIST,
        if_match: int | None = None,
        migrated: bool = False,
        **arguments: Any,
    ) -> Case:
        """Make a decision and keep what came of it."""
        context = Context(
            actor=actor, at=at, request_id="when", policy=self.policy, if_match=if_match, migrated=migrated
        )
        before = msgspec.json.encode(self.record)
        try:
            self.outcome = decision(self.record, context, **arguments)
        except WellkeptError as error:
            self.error = error
        assert msgspec.json.encode(self.record) == before, "a decision must not change the record"
        return self

    def then(self, *classes: type[Event]) -> Sequence[Event]:
        """Expect exactly events of these classes, apply them, and return them."""
        if self.error is not None:
            raise self.error
        assert [type(event) for event in self.outcome] == list(classes)
        fold(self.outcome, self.record)
        return self.outcome

    def refused(self, error: type[Exception], rule: str | None = None) -> Exception:
        """Expect an error, with this rule where one is named."""
        if self.error is None:
            pytest.fail(f"was not refused: {[type(event).__name__ for event in self.outcome]}")
        assert type(self.error) is error, repr(self.error)
        if rule is not None:
            assert getattr(self.error, "rule", None) == rule
        return self.error


def given(*events: Event, policy: ClinicPolicy | None = None) -> Case:
    """Begin a case with the events that stand already."""
    return Case(events, policy or ClinicPolicy())
