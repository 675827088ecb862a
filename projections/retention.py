"""Retention for people: until when a record is kept and which holds stand, and the list of those that are due.

Source: AUDIT (retention defaults; A11: a list is an access, one entry for each client that it shows, 50 a page).

- Deadlines are counted when they are looked at, by the clinic's profile of now, from the days that folds keep
  (`projections.sections.retention`); no deadline is stored.
- The list names clients by their id, with grounds and days and no name: whoever looks after retention needs no more. A
  client with a legal hold is listed with it, marked as stopped: nothing of it is erased.
- Of a record with entries that cannot be opened nothing is told: what is missing might keep it longer. Such records are
  counted beside the list.

It erases nothing and tells nobody to: what is due is for people to decide on.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.client_state import SNAPSHOT
from projections.pages import limit_of
from projections.roster import Roster
from projections.roster_state import RosterState
from projections.sections import legal_holds
from projections.sections.legal_holds import LegalHoldItem
from projections.sections.retention import facts
from projections.sections.viewing import Viewing
from records.errors import InvalidContent, UnknownClient
from records.reader import Asked, Built, Reader
from records.retention import MISSING, Deadline, Retention, retention_by

MOST_DAYS = 3660
"""The furthest ahead that a list may look."""
_EVERYBODY = 10**9


class ClientRetention(msgspec.Struct, frozen=True, kw_only=True):
    """Until when one record is kept, and the legal holds on it.

    Attributes:
        client_id, version: the client, and the version of the record's last event.
        today: the clinic's day that it was counted for.
        profile, profile_label: by which profile.
        until: the last day on which any ground keeps the record; None where one has no end yet, or nothing can be told.
        elapsed: that day has passed; a hold may stand all the same.
        deadlines: one for each ground.
        missing: what is not known, and what was done without it, in sentences.
        legal_holds: every hold, the newest first, those that were lifted too.
        stopped: a hold stands, so nothing is erased whatever has passed.
        gaps: versions of events that cannot be opened; where there are any, no deadline is told.
    """

    client_id: UUID
    version: int
    today: date
    profile: str
    profile_label: str
    until: date | None = None
    elapsed: bool = False
    deadlines: tuple[Deadline, ...] = ()
    missing: tuple[str, ...] = ()
    legal_holds: tuple[LegalHoldItem, ...] = ()
    stopped: bool = False
    gaps: tuple[int, ...] = ()


class StandingHold(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold in a list: which one, and since when; the rest is in the client's own view."""

    id: UUID
    since: datetime


class DueItem(msgspec.Struct, frozen=True, kw_only=True):
    """One client whose deadlines have passed, or pass soon.

    Attributes:
        id: the client.
        until: the last day on which any ground keeps the record.
        elapsed: that day has passed.
        stopped: a legal hold stands, so the clock is stopped.
        deadlines, missing: as in `ClientRetention`.
        holds: those that stand.
    """

    id: UUID
    until: date
    elapsed: bool
    stopped: bool
    deadlines: tuple[Deadline, ...]
    missing: tuple[str, ...] = ()
    holds: tuple[StandingHold, ...] = ()


class DuePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of clients whose deadlines have passed or pass soon, the longest passed first.

    Parameters: `on` (a day; today where it is left out), `within` (days after it, 0 to 3660), `limit` (1 to 50),
    `after` (an id, as `next` gave it).

    Attributes:
        on, within: what was asked.
        profile: name of the profile that was counted by.
        total: how many clients there are on all pages.
        unreadable: records of which nothing can be told, since entries in them cannot be opened.
    """

    on: date
    within: int
    profile: str
    total: int
    unreadable: int
    items: tuple[DueItem, ...] = ()
    next: UUID | None = None


class ClientRetentionView:
    """Retention of one client."""

    action = "client.retention"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Count from the fold of the current view. Cost: as for the current view.

        Raises:
            UnknownClient: there is no such client.
        """
        client_id = asked.client_id
        if client_id is None:
            raise UnknownClient("retention is of one client")
        found = SNAPSHOT.read_through(reader, client_id)
        state = found.state
        if state.version == 0:
            raise UnknownClient("no such client")
        directory = reader.directory
        policy = directory.clinic.policy
        viewing = Viewing(role=asked.actor.role, at=asked.at, policy=policy, name_of=directory.name_of)
        known = None if state.gaps else facts(state.retention, viewing.zone)
        counted = None if known is None else retention_by(known, policy.retention_profile, viewing.today)
        document = ClientRetention(
            client_id=client_id,
            version=state.version,
            today=viewing.today,
            profile=policy.retention_profile.name,
            profile_label=policy.retention_profile.label,
            legal_holds=legal_holds.render(state.legal_holds, viewing, lifted=True),
            stopped=bool(state.retention.holds),
            gaps=tuple(state.gaps),
        )
        if counted is not None:
            document = msgspec.structs.replace(
                document,
                until=counted.until,
                elapsed=counted.elapsed,
                deadlines=counted.deadlines,
                missing=_words(counted),
            )
        return Built(document, found.puts)


class _Counted(NamedTuple):
    client_id: UUID
    state: RosterState
    retention: Retention
    until: date


class RetentionDueView:
    """Clients whose deadlines have passed or pass soon. Any thread may use it."""

    action = "retention.due"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page. Cost: counts for every client of the roster, in memory.

        Raises:
            InvalidContent: `/limit`, `/within`, or `/after` that is no client of this list.
        """
        policy, within = reader.directory.clinic.policy, int(asked.parameters.get("within") or 0)
        if not 0 <= within <= MOST_DAYS:
            raise InvalidContent("/within", f"Is not between 0 and {MOST_DAYS}.")
        zone = ZoneInfo(policy.timezone)
        on: date = asked.parameters.get("on") or asked.at.astimezone(zone).date()
        limit, profile = limit_of(asked.parameters), policy.retention_profile

        def count(client_id: UUID, state: RosterState | None) -> _Counted | UUID | None:
            if client_id in reader.directory.clinic.erased:
                return None
            known = None if state is None or state.gaps else facts(state.retention, zone)
            if state is None or known is None:
                return client_id
            counted = retention_by(known, profile, on)
            if counted.until is None or counted.until >= on + timedelta(days=within):
                return None
            return _Counted(client_id, state, counted, counted.until)

        every = self._roster.page(None, count, limit=_EVERYBODY).items
        due = sorted(
            (each for each in every if isinstance(each, _Counted)), key=lambda each: (each.until, each.client_id)
        )
        begin, after = 0, asked.parameters.get("after")
        if after is not None:
            places = [place for place, each in enumerate(due) if each.client_id == after]
            if not places:
                raise InvalidContent("/after", "Is not the end of a page of this list.")
            begin = places[0] + 1
        shown = due[begin : begin + limit]
        page = DuePage(
            on=on,
            within=within,
            profile=profile.name,
            total=len(due),
            unreadable=sum(isinstance(each, UUID) for each in every),
            items=tuple(_item(each) for each in shown),
            next=shown[-1].client_id if begin + limit < len(due) else None,
        )
        return Built(page, self._roster.puts(), tuple(each.client_id for each in shown))


def _item(counted: _Counted) -> DueItem:
    holds = counted.state.retention.holds
    return DueItem(
        id=counted.client_id,
        until=counted.until,
        elapsed=counted.retention.elapsed,
        stopped=bool(holds),
        deadlines=counted.retention.deadlines,
        missing=_words(counted.retention),
        holds=tuple(StandingHold(id=key, since=since) for key, since in holds.items()),
    )


def _words(retention: Retention) -> tuple[str, ...]:
    return tuple(MISSING[each] for each in retention.missing)


CLIENT_RETENTION = ClientRetentionView()
