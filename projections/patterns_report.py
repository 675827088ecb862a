"""The patterns of a period, for the privacy officer: how often each rule found each person, and where to look.

Source: AUDIT (snooping rules, A11); DESIGN (the privacy officer sees the audit, never clinical text).

- Entries are told from sealed events; the clear index only says where they stand.
- It holds ids and names of staff, counts and ledger indexes. It names no client: each entry that is opened by its
  index leaves an entry of its own, and so does this report.
- What the rules know of clients (names, addresses, when treatment ended) comes from the roster, and stays inside.
- At most `LONGEST` at once, since every entry of the period is opened.

It judges nobody: see `projections.patterns`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from projections.audit_index import AuditIndex
from projections.patterns import RULES, Person, Reading, Treated, find_all, reading_of
from projections.roster import Roster
from projections.roster_state import RosterState, search_words
from records.access import AccessRecorded
from records.actors import Relation
from records.errors import InvalidContent
from records.event import Recorded
from records.ledger import to_microseconds
from records.reader import Asked, Built, Reader
from records.sealing import keyed_digest
from records.store import Store

USUAL = timedelta(days=31)
LONGEST = timedelta(days=93)
MOST_INDEXES = 200
_ROWS_AT_ONCE = 2_000
_GAP = 64
"""Entries of other kinds that are read along rather than looked for anew."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found of one person.

    Attributes:
        rule: code of the rule.
        count, refused: readings that it found; how many of them were refused.
        clients: of how many clients.
        by_care_team: how many of the readings were by a member or supervisor of the care team at that moment.
        first_at, last_at: when.
        indexes: where they stand in the ledger, oldest first, at most 200.
        more: how many further ones `indexes` leaves out; ask for a shorter period.
        text: one sentence for people.
    """

    rule: str
    staff: str
    staff_name: str
    role: str
    count: int
    refused: int
    clients: int
    by_care_team: int
    first_at: datetime
    last_at: datetime
    indexes: tuple[int, ...]
    more: int
    text: str


class PatternsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules found in a period, in the order of the rules, then the greatest count first.

    Parameters: `from`, `to` (aware; the last 31 days where they are left out), `staff` (an actor id).

    Attributes:
        position: the ledger index up to which entries were looked at.
        readings: how many readings and attempts the rules looked at.
        gaps: ledger indexes of entries that could not be opened.
    """

    from_at: datetime
    to_at: datetime
    position: int
    readings: int
    items: tuple[Pattern, ...] = ()
    gaps: tuple[int, ...] = ()


class _Opened(NamedTuple):
    readings: list[Reading]
    gaps: list[int]


class PatternsView:
    """The report. Any thread may use it."""

    action = "audit.patterns"

    def __init__(self, store: Store, index: AuditIndex, roster: Roster, address_key: bytes) -> None:
        """Make the view; `address_key` is the service key under which addresses of staff were digested."""
        self._store = store
        self._index = index
        self._roster = roster
        self._address_key = address_key

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the report.

        Cost: catches up first; then opens every access entry of the period.

        Raises:
            InvalidContent: `/to` lies before `/from` or more than `LONGEST` after it.
        """
        to_at: datetime = asked.parameters.get("to") or asked.at
        from_at: datetime = asked.parameters.get("from") or to_at - USUAL
        if not timedelta() < to_at - from_at <= LONGEST:
            raise InvalidContent("/to", f"Is not within {LONGEST.days} days after the beginning.")
        self._index.catch_up()
        opened = _Opened([], [])
        for recorded in self._entries(reader, from_at, to_at, asked.parameters.get("staff")):
            reading = reading_of(recorded)
            if reading is not None:
                opened.readings.append(reading)
            elif not isinstance(recorded.event, AccessRecorded):
                opened.gaps.append(recorded.index)
        directory = reader.directory
        people = {
            str(account.staff_id): Person(account.name, account.client_id, account.address_digest)
            for account in directory.staff.values()
        }
        clients = self._treated({each.client for each in opened.readings})
        found = find_all(opened.readings, people, clients, directory.clinic.policy)
        items = [
            pattern
            for rule, readings in found.items()
            for pattern in sorted(
                (_pattern(rule, of_one, directory.name_of(of_one[0].staff)) for of_one in _by_person(readings)),
                key=lambda each: (-each.count, each.staff),
            )
        ]
        return Built(
            PatternsReport(
                from_at=from_at,
                to_at=to_at,
                position=self._index.position(),
                readings=len(opened.readings),
                items=tuple(items),
                gaps=tuple(opened.gaps),
            )
        )

    def _entries(self, reader: Reader, from_at: datetime, to_at: datetime, staff: str | None) -> Iterator[Recorded]:
        """Give the entries of the period, opened; a row of the index alone counts for nothing."""
        from_us, to_us = to_microseconds(from_at), to_microseconds(to_at)
        after: tuple[int, int] | None = None
        while rows := self._store.audit_rows(
            after=after, limit=_ROWS_AT_ONCE, actor=staff, from_us=from_us, to_us=to_us
        ):
            wanted = {row.position for row in rows}
            for first, last in _spans(sorted(wanted)):
                for recorded in reader.access_entries(first - 1, last - first + 1)[0]:
                    in_period = from_at <= recorded.recorded_at < to_at
                    of_staff = staff in (None, recorded.event.entered_by)
                    unreadable = not isinstance(recorded.event, AccessRecorded)
                    if recorded.index in wanted and (unreadable or (in_period and of_staff)):
                        yield recorded
            after = rows[-1].at_us, rows[-1].position

    def _treated(self, clients: set[UUID]) -> dict[UUID, Treated]:
        def treated(_: UUID, state: RosterState | None) -> Treated:
            if state is None:
                return Treated("", "")
            known = state.address if search_words(state.address or "") else None
            address = None if known is None else address_digest(self._address_key, known)
            return Treated(state.family, state.given, address, tuple(state.episodes.values()))

        if not clients:
            return {}
        page = self._roster.page(clients, treated, limit=len(clients))
        return dict(zip(page.ids, page.items, strict=True))


def address_digest(key: bytes, address: str) -> bytes:
    """Return the keyed digest under which an address of staff is kept; case, accents and commas do not matter."""
    return keyed_digest(key, " ".join(search_words(address)).encode())


def _spans(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give ranges that hold all positions, without reading far between them."""
    first = last = positions[0]
    for position in positions[1:]:
        if position - last > _GAP:
            yield first, last
            first = position
        last = position
    yield first, last


def _by_person(readings: Sequence[Reading]) -> list[list[Reading]]:
    found: dict[str, list[Reading]] = {}
    for each in readings:
        found.setdefault(each.staff, []).append(each)
    return list(found.values())


def _pattern(rule: str, readings: list[Reading], name: str) -> Pattern:
    times, clients = [each.at for each in readings], {each.client for each in readings}
    refused = sum(each.refused is not None for each in readings)
    often = "once" if len(readings) == 1 else f"{len(readings)} times"
    whom = "1 client" if len(clients) == 1 else f"{len(clients)} clients"
    in_vain = f", {refused} of them refused" if refused else ""
    return Pattern(
        rule=rule,
        staff=readings[0].staff,
        staff_name=name,
        role=readings[-1].role,
        count=len(readings),
        refused=refused,
        clients=len(clients),
        by_care_team=sum(each.relation != Relation.NONE for each in readings),
        first_at=min(times),
        last_at=max(times),
        indexes=tuple(each.position for each in readings[:MOST_INDEXES]),
        more=max(len(readings) - MOST_INDEXES, 0),
        text=f"{name} {RULES[rule]}: {often}, {whom}{in_vain}.",
    )
