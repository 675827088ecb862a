"""Who looks at the current view, and as of when: what sections need to be shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from records.actors import Role
from records.clinic_policy import ClinicPolicy
from records.event import Recorded

Handler = Callable[[Any, Any, Recorded], None]
"""(state of the section, event, the event as it stands in the log) → the state is moved on."""


class Viewing(NamedTuple):
    """A look at the record.

    Attributes:
        role: the reader's role.
        at: the moment that the view is of: now, or the past moment that was asked about.
        policy: the clinic's rules as they are now: its time zone, and what is due when.
        name_of: staff id → the name to show.
    """

    role: Role
    at: datetime
    policy: ClinicPolicy
    name_of: Callable[[str], str]

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone, for dates."""
        return ZoneInfo(self.policy.timezone)

    @property
    def today(self) -> date:
        """The clinic's day at that moment."""
        return self.date(self.at)

    def date(self, at: datetime) -> date:
        """Return the clinic's day of a moment."""
        return at.astimezone(self.zone).date()

    def day(self, at: datetime) -> str:
        """Return a day for people, such as 2 March 2026."""
        local = at.astimezone(self.zone)
        return f"{local.day} {local:%B %Y}"
