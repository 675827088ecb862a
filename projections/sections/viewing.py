"""Who looks at the current view, and as of when: what sections need to be shown.

- A section never sees the moment itself: it asks whether another one has passed, or which day it is. So a look knows by
  itself until when what it shows stays true, and what was rendered can be shown again until then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from records.actors import Role
from records.clinic_policy import ClinicPolicy
from records.event import Recorded

Handler = Callable[[Any, Any, Recorded], None]
"""(state of the section, event, the event as it stands in the log) → the state is moved on."""


class Viewing:
    """A look at the record.

    Attributes:
        role: the reader's role.
        policy: the clinic's rules as they are now: its time zone, and what is due when.
        name_of: staff id → the name to show.
        stays_until: what was asked so far has the same answers before this moment; None where it has them for ever.
    """

    __slots__ = ("_at", "name_of", "policy", "role", "stays_until")

    def __init__(self, role: Role, at: datetime, policy: ClinicPolicy, name_of: Callable[[str], str]) -> None:
        """Look as of `at`: now, or the past moment that was asked about."""
        self.role = role
        self.policy = policy
        self.name_of = name_of
        self.stays_until: datetime | None = None
        self._at = at

    def reached(self, moment: datetime) -> bool:
        """Tell whether a moment has come."""
        return moment <= self._at or self._not_before(moment)

    def passed(self, moment: datetime) -> bool:
        """Tell whether a moment is over."""
        return moment < self._at or self._not_before(moment)

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone, for dates."""
        return ZoneInfo(self.policy.timezone)

    @property
    def today(self) -> date:
        """The clinic's day at that moment."""
        day = self.date(self._at)
        self._not_before(datetime.combine(day + timedelta(days=1), time(), self.zone))
        return day

    def date(self, at: datetime) -> date:
        """Return the clinic's day of a moment."""
        return at.astimezone(self.zone).date()

    def day(self, at: datetime) -> str:
        """Return a day for people, such as 2 March 2026."""
        local = at.astimezone(self.zone)
        return f"{local.day} {local:%B %Y}"

    def _not_before(self, moment: datetime) -> bool:
        if self.stays_until is None or moment < self.stays_until:
            self.stays_until = moment
        return False
