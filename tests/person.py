"""A member of staff's state, and what is decided on it: given, when, then, without a store or a clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.decision import Context, Decision
from records.errors import WellkeptError
from records.event import Event
from records.second_factor import enrol_second_factor
from records.staff import create_account
from records.staff_record import StaffRecord
from tests.given import NOW

KIM = UUID("00000000-0000-4000-8000-0000000000c1")
OPERATOR = Actor("operator:root", Role.OPERATOR)
OFFICER = Actor("00000000-0000-4000-8000-0000000000c2", Role.PRIVACY_OFFICER)
LEAD = Actor("00000000-0000-4000-8000-0000000000c3", Role.SUPERVISOR)


class Person:
    """An account with a second factor, and a clock that tests move: `at` is when the next decision is made."""

    def __init__(
        self, role: Role = Role.THERAPIST, policy: ClinicPolicy | None = None, *, enrolled: bool = True
    ) -> None:
        self.record = StaffRecord(KIM)
        self.policy = policy or ClinicPolicy()
        self.at: datetime = NOW
        self.when(create_account, by=OPERATOR, name="Kim Vale", role=role)
        if enrolled:
            self.when(enrol_second_factor, by=OPERATOR, enrolment=b"e" * 32)

    @property
    def actor(self) -> Actor:
        """The person."""
        return Actor(str(KIM), self.record.role)

    def wait(self, **by: float) -> Person:
        """Let time pass."""
        self.at += timedelta(**by)
        return self

    def when(self, decision: Decision, *, by: Actor | None = None, **arguments: Any) -> list[Event]:
        """Decide and apply; return the events."""
        context = Context(actor=by or self.actor, at=self.at, request_id="when", policy=self.policy)
        events = list(decision(self.record, context, **arguments))
        for event in events:
            event.apply(self.record, self.record.version + 1)
        return events

    def refused(self, decision: Decision, error: type[WellkeptError], **arguments: Any) -> Any:
        """Decide and be refused; nothing changes. Return the error."""
        before = repr(self.record)
        with pytest.raises(error) as caught:
            self.when(decision, **arguments)
        assert type(caught.value) is error
        assert repr(self.record) == before
        return caught.value
