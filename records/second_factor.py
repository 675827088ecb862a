"""The second factor of an account: time-based codes that prove, now, that the person is there.

Source: RFC 6238 (TOTP), RFC 4226 7.3 (limit the tries); AUDIT (break-glass: re-authentication).

Rules:
- The log holds no secret: an enrolment is a random value, from which the service key derives the secret.
- A code is good once: the step of the last one taken is kept, and neither it nor an older one is taken again.
- A refused code is an event. After `MAX_REFUSED` within `WINDOW`, no code is looked at until the window has passed.
- Enrolling anew ends the old secret.

It does not compute codes (`records.one_time_code`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from records.decision import Context, decision
from records.errors import RuleBroken, TooManyAttempts, UnknownItem
from records.event import Event, StreamKind
from records.staff_record import SecondFactor, StaffRecord

MAX_REFUSED = 5
WINDOW = timedelta(minutes=5)
"""Five tries of a million codes, three of which are good at a time: about 1 in 70 000 for each window."""


class SecondFactorEnrolled(Event, frozen=True, kw_only=True, tag="second_factor.enrolled"):
    """A person got a second factor; an older one ended. Since 1.

    Attributes:
        enrolment: 32 random bytes; the secret is derived from them under the service key, and stored nowhere.
    """

    stream_kind = StreamKind.STAFF
    subject = "staff_id"

    staff_id: UUID
    enrolment: bytes

    def apply(self, record: StaffRecord, version: int) -> None:
        """Set the second factor."""
        record.second_factor, record.version = SecondFactor(self.enrolment), version


class SecondFactorUsed(Event, frozen=True, kw_only=True, tag="second_factor.used"):
    """A code was taken; it and older ones are used up. Since 1.

    Attributes:
        step: the code's time step, so many times 30 seconds since 1970.
    """

    stream_kind = StreamKind.STAFF
    subject = "staff_id"
    lifecycle = "access"

    staff_id: UUID
    step: int

    def apply(self, record: StaffRecord, version: int) -> None:
        """Use up the code; tries begin anew."""
        if record.second_factor is not None:
            record.second_factor = msgspec.structs.replace(record.second_factor, last_step=self.step)
        record.refused_codes, record.version = (), version


class SecondFactorRefused(Event, frozen=True, kw_only=True, tag="second_factor.refused"):
    """A code was wrong. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "staff_id"
    lifecycle = "access"

    staff_id: UUID

    def apply(self, record: StaffRecord, version: int) -> None:
        """Count the try."""
        record.refused_codes = (*record.refused_codes[1 - MAX_REFUSED :], self.occurred_at)
        record.version = version


EVENTS = (SecondFactorEnrolled, SecondFactorUsed, SecondFactorRefused)


@decision("second_factor.enrol", on=StreamKind.STAFF)
def enrol_second_factor(record: StaffRecord, context: Context, *, enrolment: bytes) -> Sequence[Event]:
    """Give an account a second factor.

    Raises:
        UnknownItem: no such account.
        RuleBroken: `account-disabled`.
    """
    if not record.version:
        raise UnknownItem("account")
    if record.disabled:
        raise RuleBroken("account-disabled", "A disabled account gets no second factor.")
    return [SecondFactorEnrolled(staff_id=record.staff_id, enrolment=enrolment, **context.stamp())]


@decision("second_factor.use", on=StreamKind.STAFF)
def use_code(record: StaffRecord, context: Context, *, step: int) -> Sequence[Event]:
    """Take a code that is right.

    Raises:
        RuleBroken: `second-factor-missing`, `code-used`.
        TooManyAttempts: too many were wrong a moment ago.
    """
    require_tries(record, context.at)
    factor = record.second_factor
    if factor is None:
        raise RuleBroken("second-factor-missing", "This account has no second factor yet; an administrator enrols it.")
    if step <= factor.last_step:
        raise RuleBroken("code-used", "This code was used before; wait for the next one.")
    return [SecondFactorUsed(staff_id=record.staff_id, step=step, **context.stamp())]


@decision("second_factor.use", on=StreamKind.STAFF)
def refuse_code(record: StaffRecord, context: Context) -> Sequence[Event]:
    """Count a code that is wrong.

    Raises:
        TooManyAttempts: too many were wrong a moment ago.
    """
    require_tries(record, context.at)
    return [SecondFactorRefused(staff_id=record.staff_id, **context.stamp())]


def require_tries(record: StaffRecord, at: datetime) -> None:
    """Hold a person to the limit of tries.

    Raises:
        TooManyAttempts: says after how many seconds the next code is looked at.
    """
    recent = [moment for moment in record.refused_codes if moment > at - WINDOW]
    if len(recent) >= MAX_REFUSED:
        raise TooManyAttempts(max(1, round((recent[0] + WINDOW - at).total_seconds())))
