"""The audit over many clients, entry by entry, and the one entry at a place of the ledger.

Source: AUDIT A6, A8, A11; CONTRACT (`/v1/audit`, `/v1/audit/{n}`, `wellkept audit`).

- Entries are found through clear rows and told from the sealed events only; each is asked again whether it is one of
  those that were asked for, so a row that was altered cannot say what did not happen.
- By time, a page costs the same however much there is: the clear index has that order. By anything else all entries of
  the client, person, purpose and period must be opened first; above `SORTED_AT_MOST` of them that is refused.
- A query is a reading like any other: each client that it shows gets an entry of its own.

It does not prove that no row is missing (the dense access streams do), and it counts no suspicions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from projections.audit_entry import CHANGED, AuditEntry, Telling
from projections.audit_question import BY_TIME, Question, write_place
from records.access import AccessRecorded
from records.catalogue import CATALOGUE
from records.errors import InvalidContent, SealBroken, UnknownItem
from records.event import Event, Recorded
from records.reader import Asked, Built, Reader
from records.store.mapper import Unreadable
from records.store.unit import AuditRow

LOOKED_AT = 1_000
"""Entries that one page opens at most: a rare action is found in several pages, not in one long one."""

SORTED_AT_MOST = 5_000
"""Entries that are opened to sort them by something that the clear index does not hold: about a second's work."""

SHOWS: tuple[type[Event], ...] = (AccessRecorded, *CHANGED)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls not in SHOWS)
"""What happened in a client's record is no access to it."""


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit.

    Parameters: those of `projections.audit_question.Question`; `limit` (1 to 50), `after` (as `next` gave it).

    Attributes:
        log: the deployment whose log it is.
        position: the ledger index up to which entries were looked for.
        gaps: ledger indexes of entries that could not be opened.
        next: where to go on from; None where this is the last page.
    """

    log: UUID
    position: int
    items: tuple[AuditEntry, ...] = ()
    gaps: tuple[int, ...] = ()
    next: str | None = None


class Rows(Protocol):
    """Finds entries: brings the index up to date, and gives clear rows in the order of a question."""

    def catch_up(self) -> int:
        """Index what is new."""

    def position(self) -> int:
        """Return the ledger index that is included."""

    def rows(self, question: Question, after: tuple[int, int] | None, limit: int) -> Sequence[AuditRow]:
        """Return rows by time, from a place on."""


class Found(NamedTuple):
    """What a search found: entries and gaps, and the place to go on from where there may be more."""

    entries: list[Recorded]
    gaps: list[int]
    next: str | None


def search(
    rows: Rows, reader: Reader, question: Question, full: Callable[[Recorded], bool], most: int = LOOKED_AT
) -> Found:
    """Open entries by time until the page is full.

    Args:
        rows: finds them.
        reader: opens them.
        question: which, and from which place on.
        full: is told each entry that matches, and answers whether the page has no room for it.
        most: how many are opened at most.
    """
    found: list[Recorded] = []
    gaps: list[int] = []
    after, looked_at, more = question.after, 0, True
    while more and looked_at < most:
        page = rows.rows(question, after, min(question.limit, most - looked_at))
        more = len(page) == min(question.limit, most - looked_at)
        told = reader.told_entries([row.position for row in page])
        for row in page:
            recorded = told.get(row.position)
            if recorded is None or isinstance(recorded.event, Unreadable):
                gaps.append(row.position)
            elif question.matches(recorded):
                if full(recorded):
                    return Found(found, gaps, None if after is None else write_place(*after))
                found.append(recorded)
            looked_at += 1
            after = (row.at_us, row.position)
            if len(gaps) >= question.limit:
                return Found(found, gaps, write_place(*after))
    return Found(found, gaps, write_place(*after) if more and after is not None else None)


class AuditReport:
    """Who looked at which records, and who changed accounts, care teams and the clinic."""

    action = "audit.view"

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Cost: catches up first; then opens at most `LOOKED_AT` entries, or `SORTED_AT_MOST` to sort them.

        Raises:
            InvalidContent: `/limit`, a code that is not known, or more entries than are sorted.
        """
        self._rows.catch_up()
        question = Question.of(asked.parameters)
        telling = Telling.of(reader.directory)
        if question.sort in BY_TIME:
            found = self._by_time(reader, question)
            items = tuple(map(telling.entry, found.entries))
        else:
            found, items = self._sorted(reader, question, telling)
        page = AuditPage(
            log=reader.deployment_id,
            position=self._rows.position(),
            items=items,
            gaps=tuple(found.gaps),
            next=found.next,
        )
        return Built(page, (), clients_of(items))

    def _by_time(self, reader: Reader, question: Question) -> Found:
        taken = 0

        def full(_: Recorded) -> bool:
            nonlocal taken
            taken += 1
            return taken > question.limit

        return search(self._rows, reader, question, full)

    def _sorted(self, reader: Reader, question: Question, telling: Telling) -> tuple[Found, tuple[AuditEntry, ...]]:
        rows = self._rows.rows(question, None, SORTED_AT_MOST + 1)
        if len(rows) > SORTED_AT_MOST:
            raise InvalidContent(
                "/sort",
                f"More than {SORTED_AT_MOST} entries lie in this period: choose a shorter one, or sort by time.",
            )
        told = reader.told_entries([row.position for row in rows])
        opened = [(row.position, told.get(row.position)) for row in rows]
        gaps = [index for index, recorded in opened if recorded is None or isinstance(recorded.event, Unreadable)]
        lost = set(gaps)
        matching = [
            telling.entry(recorded)
            for index, recorded in opened
            if index not in lost and recorded is not None and question.matches(recorded)
        ]
        entries = question.in_order(matching)
        begin = 0
        if question.after is not None:
            places = [entry.index for entry in entries]
            if question.after[1] not in places:
                raise InvalidContent("/after", "Is not the end of a page of this report.")
            begin = places.index(question.after[1]) + 1
        items = tuple(entries[begin : begin + question.limit])
        more = begin + question.limit < len(entries)
        # The index alone finds the place again, whatever the order is.
        return Found([], gaps if begin == 0 else [], write_place(0, items[-1].index) if more else None), items


class AuditEntryView:
    """The one entry at a place of the ledger."""

    action = "audit.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build it. Parameter: `index`.

        Raises:
            UnknownItem: neither a reading, a refusal nor a change of staff, care team or clinic stands there.
            SealBroken: what stands there does not open.
        """
        index: int = asked.parameters["index"]
        recorded = reader.told_entry(index)
        if recorded is None:
            raise UnknownItem("entry")
        if isinstance(recorded.event, Unreadable):
            raise SealBroken("an entry of the audit does not open")
        entry = Telling.of(reader.directory).entry(recorded)
        page = AuditPage(log=reader.deployment_id, position=reader.position(), items=(entry,))
        return Built(page, (), clients_of(page.items))


def clients_of(items: Sequence[AuditEntry]) -> tuple[UUID, ...]:
    """Return the clients that entries name, each once."""
    return tuple(dict.fromkeys(item.client_id for item in items if item.client_id is not None))


AUDIT_ENTRY = AuditEntryView()
