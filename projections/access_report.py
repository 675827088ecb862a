"""Who looked at a client's record, when and why, from the client's own access stream.

Source: AUDIT A1–A3, A6, A7, A11; EU C-579/21.

- Each reading and each refusal is an entry of its own, numbered from 1 without gaps: that is the evidence. The report
  says how many there are, and marks those that cannot be opened.
- Equal readings of one person on one day of the clinic are told in one item, with their number. A day is never cut in
  two, so a page may hold more items than were asked for.
- A report at the client's request holds no network addresses.
- The report's own reading is the next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.access_sentences import sentence
from projections.pages import last_version, limit_of
from records.access import AccessRecorded
from records.actors import Purpose
from records.catalogue import CATALOGUE
from records.errors import UnknownClient
from records.event import Event, Recorded, StreamKind
from records.reader import Asked, Built, Reader


class AccessItem(msgspec.Struct, frozen=True, kw_only=True):
    """Equal readings of one person on one day.

    Attributes:
        first_at, last_at, count: when, and how often.
        first_version, last_version: the range of entries that it stands for; others may lie between.
        actor, actor_name, role, relation: who, in which role and relation to the client at that moment.
        action, purpose: what was done and for which purpose (a code of HL7 PurposeOfUse).
        outcome, reason: permit or deny, and why it was denied.
        addresses: network addresses; empty in a report that is made for the client.
        resources: ids of the single items that were read.
        text: one sentence for people.
    """

    first_at: datetime
    last_at: datetime
    count: int
    first_version: int
    last_version: int
    actor: str
    actor_name: str
    role: str
    relation: str
    action: str
    purpose: str | None = None
    outcome: str
    reason: str | None = None
    addresses: tuple[str, ...] = ()
    resources: tuple[UUID, ...] = ()
    text: str


class AccessReport(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the report, newest first.

    Parameters of the view: `limit` (1 to 50 items), `after` (the version to go on from, as `next` gave it).

    Attributes:
        entries: how many entries there are in all: they are numbered from 1, so a gap would show.
        shown: how many entries this page stands for; each of its gaps counts.
        gaps: versions of entries that could not be opened.
        next: the version to go on from; None where this is the last page.
    """

    client_id: UUID
    entries: int
    shown: int
    items: tuple[AccessItem, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None


SHOWS: tuple[type[Event], ...] = (AccessRecorded,)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.stream_kind is not StreamKind.ACCESS)
"""Events of other streams never stand among the readings."""

_CHUNK = 100


class _Group(msgspec.Struct):
    """Equal entries of one day, newest first."""

    event: AccessRecorded
    entries: list[Recorded]
    addresses: dict[str, None]
    resources: dict[UUID, None]


class AccessReportView:
    """Who looked."""

    action = "client.access_report"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Cost: opens the page's entries, and finding the newest costs a look-up for each doubling of their number.

        Raises:
            UnknownClient: there is no such client.
            InvalidContent: `/limit`.
        """
        client_id = asked.client_id
        if client_id is None or not reader.rows(client_id, 0, 1):
            raise UnknownClient("no such client")
        limit = limit_of(asked.parameters)
        total = last_version(lambda after, upto: reader.access_events(client_id, after, upto))
        after: int | None = asked.parameters.get("after")
        newest = total if after is None else min(after - 1, total)
        zone = ZoneInfo(reader.directory.clinic.policy.timezone)
        groups, gaps, lowest = _gather(_newest_first(reader, client_id, newest), limit, zone)
        for_client = asked.purpose is Purpose.PATRQT
        items = tuple(_item(group, reader.directory.name_of, zone, for_client=for_client) for group in groups)
        return Built(
            AccessReport(
                client_id=client_id,
                entries=total,
                shown=sum(item.count for item in items) + len(gaps),
                items=items,
                gaps=gaps,
                next=lowest if lowest is not None and lowest > 1 else None,
            )
        )


def _newest_first(reader: Reader, client_id: UUID, newest: int) -> Iterator[Recorded]:
    while newest > 0:
        after = max(newest - _CHUNK, 0)
        yield from reversed(reader.access_events(client_id, after, newest))
        newest = after


def _gather(
    entries: Iterator[Recorded], limit: int, zone: ZoneInfo
) -> tuple[list[_Group], tuple[int, ...], int | None]:
    """Return groups newest first, versions of gaps, and the lowest version that was taken."""
    groups: dict[tuple[object, ...], _Group] = {}
    gaps: list[int] = []
    lowest: int | None = None
    day = None
    for recorded in entries:
        today = recorded.recorded_at.astimezone(zone).date()
        if len(groups) + len(gaps) >= limit and today != day:
            break
        day, lowest = today, recorded.version
        event = recorded.event
        if not isinstance(event, AccessRecorded):
            gaps.append(recorded.version)
            continue
        why = (event.purpose, event.outcome, event.reason)
        key = (today, event.entered_by, event.role, event.relation, event.action, *why)
        group = groups.setdefault(key, _Group(event, [], {}, {}))
        group.entries.append(recorded)
        group.addresses[event.address] = None
        if event.resource is not None:
            group.resources[event.resource] = None
    return list(groups.values()), tuple(gaps), lowest


def _item(group: _Group, name_of: Callable[[str], str], zone: ZoneInfo, *, for_client: bool) -> AccessItem:
    event, first, last, count = group.event, group.entries[-1], group.entries[0], len(group.entries)
    return AccessItem(
        first_at=first.recorded_at,
        last_at=last.recorded_at,
        count=count,
        first_version=first.version,
        last_version=last.version,
        actor=event.entered_by,
        actor_name=name_of(event.entered_by),
        role=event.role,
        relation=event.relation,
        action=event.action,
        purpose=event.purpose,
        outcome=event.outcome,
        reason=event.reason,
        addresses=() if for_client else tuple(group.addresses),
        resources=tuple(group.resources),
        text=sentence(event, name_of, zone, first.recorded_at, last.recorded_at, count),
    )


ACCESS_REPORT = AccessReportView()
