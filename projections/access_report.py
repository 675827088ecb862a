"""Who looked at a client's record, when and why, from the client's own access stream.

Source: AUDIT A1–A3, A6, A7, A11; EU C-579/21.

- Each reading and each refusal is an entry of its own, numbered from 1 without gaps: that is the evidence. The report
  says how many there are up to which place of the ledger, and marks those that cannot be opened.
- Equal readings of one person on one day of the clinic are told in one item, with their number. A day is never cut in
  two, so a page may hold more items than were asked for. With `entries`, the same page holds each entry for itself.
- A report at the client's request speaks to the client and holds no network addresses; and no names of staff where the
  clinic does not give them.
- The report's own reading is the next entry.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.access_groups import Group, Key, key_of
from projections.audit_entry import Telling
from projections.audit_page import AuditPage
from projections.pages import last_version, limit_of
from records.access import AccessRecorded
from records.actors import Purpose
from records.catalogue import CATALOGUE
from records.checkpoint import parse_signed_checkpoint
from records.errors import UnknownClient
from records.event import Event, Recorded, StreamKind
from records.reader import Asked, Built, Reader
from records.signed_note import encode_base64


class AccessItem(msgspec.Struct, frozen=True, kw_only=True):
    """Equal readings of one person on one day.

    Attributes:
        first_at, last_at, count: when, and how often.
        first_version, last_version: the range of entries that it stands for; others may lie between.
        actor, actor_name, role, relation: who, in which role and relation to the client at that moment; id and name
            are None where the clinic does not give them to clients.
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
    actor: str | None = None
    actor_name: str | None = None
    role: str
    relation: str
    action: str
    purpose: str | None = None
    outcome: str
    reason: str | None = None
    addresses: tuple[str, ...] = ()
    resources: tuple[UUID, ...] = ()
    text: str


class SignedUpTo(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and how many of the client's entries it covers: `wellkept verify --client --report` checks both.

    Attributes:
        size, root: the tree that was signed; the root is base64.
        entries: how many of the client's entries lie below `size`.
    """

    size: int
    root: str
    entries: int


class CompleteUpTo(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is complete up to: in the log of this deployment, no entry of the client is missing until here.

    Attributes:
        log: the deployment whose log it is.
        index: the place in the ledger; -1 before the first entry.
        checkpoint: the newest signed checkpoint, and what it covers; None where the log is not signed.
    """

    log: UUID
    index: int
    checkpoint: SignedUpTo | None = None


class AccessReport(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the report, newest first.

    Parameters of the view: `limit` (1 to 50 items), `after` (the version to go on from, as `next` gave it), `entries`
    (each for itself, as an `AuditPage`).

    Attributes:
        entries: how many entries there are up to `complete_up_to`: they are numbered from 1, so a gap would show.
        complete_up_to: the place in the ledger that this number holds for.
        shown: how many entries this page stands for; each of its gaps counts.
        gaps: versions of entries that could not be opened.
        next: the version to go on from; None where this is the last page.
    """

    client_id: UUID
    entries: int
    complete_up_to: CompleteUpTo
    shown: int
    items: tuple[AccessItem, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None


SHOWS: tuple[type[Event], ...] = (AccessRecorded,)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.stream_kind is not StreamKind.ACCESS)
"""Events of other streams never stand among the readings."""

_CHUNK = 100


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
        position = reader.position()
        total = _entries_up_to(reader, client_id, position)
        after: int | None = asked.parameters.get("after")
        newest = total if after is None else min(after - 1, total)
        telling = Telling.of(reader.directory, for_client=asked.purpose is Purpose.PATRQT)
        groups, gaps, lowest = _gather(_newest_first(reader, client_id, newest), limit, telling.zone)
        more = lowest if lowest is not None and lowest > 1 else None
        if asked.parameters.get("entries"):
            single = sorted((each for group in groups for each in group.entries), key=lambda each: -each.version)
            return Built(
                AuditPage(
                    log=reader.deployment_id,
                    position=position,
                    items=tuple(map(telling.entry, single)),
                    gaps=gaps,
                    next=None if more is None else str(more),
                )
            )
        items = tuple(_item(group, telling) for group in groups)
        return Built(
            AccessReport(
                client_id=client_id,
                entries=total,
                complete_up_to=CompleteUpTo(
                    log=reader.deployment_id, index=position, checkpoint=_signed_up_to(reader, client_id)
                ),
                shown=sum(item.count for item in items) + len(gaps),
                items=items,
                gaps=gaps,
                next=more,
            )
        )


def _entries_up_to(reader: Reader, client_id: UUID, position: int) -> int:
    """Return how many entries of the client lie at or before a place of the ledger."""
    total = last_version(lambda after, upto: reader.access_events(client_id, after, upto))
    # Whoever read meanwhile is counted in the next report: number and place must belong together.
    return bisect_right(
        range(1, total + 1),
        position,
        key=lambda version: reader.access_events(client_id, version - 1, version)[0].index,
    )


def _signed_up_to(reader: Reader, client_id: UUID) -> SignedUpTo | None:
    newest = reader.checkpoint()
    if newest is None:
        return None
    stated, _ = parse_signed_checkpoint(newest.note)
    covered = _entries_up_to(reader, client_id, stated.size - 1)
    return SignedUpTo(size=stated.size, root=encode_base64(stated.root), entries=covered)


def _newest_first(reader: Reader, client_id: UUID, newest: int) -> Iterator[Recorded]:
    while newest > 0:
        after = max(newest - _CHUNK, 0)
        yield from reversed(reader.access_events(client_id, after, newest))
        newest = after


def _gather(entries: Iterator[Recorded], limit: int, zone: ZoneInfo) -> tuple[list[Group], tuple[int, ...], int | None]:
    """Return groups newest first, versions of gaps, and the lowest version that was taken."""
    groups: dict[Key, Group] = {}
    gaps: list[int] = []
    lowest: int | None = None
    day = None
    for recorded in entries:
        today = recorded.recorded_at.astimezone(zone).date()
        if len(groups) + len(gaps) >= limit and today != day:
            break
        day, lowest = today, recorded.version
        if not isinstance(recorded.event, AccessRecorded):
            gaps.append(recorded.version)
            continue
        groups.setdefault(key_of(recorded, zone), Group(recorded.event)).add(recorded)
    return list(groups.values()), tuple(gaps), lowest


def _item(group: Group, telling: Telling) -> AccessItem:
    first, last, count = group.entries[-1], group.entries[0], len(group.entries)
    entry = telling.entry(last)
    event = last.event
    assert isinstance(event, AccessRecorded), "a group of this report holds readings and refusals only"
    return AccessItem(
        first_at=first.recorded_at,
        last_at=last.recorded_at,
        count=count,
        first_version=first.version,
        last_version=last.version,
        actor=entry.actor,
        actor_name=entry.actor_name,
        role=event.role,
        relation=event.relation,
        action=event.action,
        purpose=event.purpose,
        outcome=event.outcome,
        reason=event.reason,
        addresses=() if telling.for_client else tuple(group.addresses),
        resources=tuple(group.resources),
        text=telling.sentence(event, first.recorded_at, last.recorded_at, count),
    )


ACCESS_REPORT = AccessReportView()
