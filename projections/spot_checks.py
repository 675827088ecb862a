"""Spot checks as the privacy officer sees them: what was drawn, what is open, and what a seed gives again.

Source: AUDIT A7. The rules are those of `records.spot_checks`.

- It holds ledger indexes, ids and names of staff, and codes. It names no client: whoever opens an entry by its index
  leaves an entry.
- The list comes from the clinic's own record; one draw by itself is drawn again from the ledger and compared.

It draws nothing that counts: see `records.spot_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from projections.pages import limit_of
from projections.patterns import reading_of
from records.clinic_record import ClinicRecord, DrawState
from records.directory import Directory
from records.errors import UnknownItem
from records.reader import Asked, Built, Reader
from records.spot_checks import FINAL, draw, in_order_of_chance


class CheckItem(msgspec.Struct, frozen=True, kw_only=True):
    """One reading that was drawn.

    Attributes:
        index: its place in the ledger.
        staff, staff_name: who read.
        outcome, ground, decided_by, decided_by_name, decided_at: None while nobody decided.
    """

    index: int
    staff: str
    staff_name: str
    outcome: str | None = None
    ground: str | None = None
    decided_by: str | None = None
    decided_by_name: str | None = None
    decided_at: datetime | None = None


class DrawItem(msgspec.Struct, frozen=True, kw_only=True):
    """One draw; fields as in `records.spot_checks.SpotCheckDrawn`.

    Attributes:
        version: the version of the last event that touched it (the ETag).
        seed: in hexadecimal digits.
        open: how many of its readings are not decided, queries among them.
    """

    id: UUID
    version: int
    drawn_at: datetime
    drawn_by: str
    drawn_by_name: str
    seed: str
    after: int
    upto: int
    size: int
    entries: int
    passed_over: int
    open: int
    checks: tuple[CheckItem, ...]


class SpotCheckList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of draws, the newest first.

    Parameters of the view: `limit` (1 to 50), `after` (a number, as `next` gave it), `open` (only with open ones).

    Attributes:
        open: how many readings of all draws are not decided.
        due_at: when the next draw is due by the clinic's policy; None before the first, which is due now.
        next: the number to go on from; None where this is the last page.
    """

    open: int
    due_at: datetime | None = None
    items: tuple[DrawItem, ...] = ()
    next: int | None = None


class DrawDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One draw, drawn again.

    Attributes:
        as_drawn: the seed gives exactly these readings from the ledger as it is.
    """

    draw: DrawItem
    as_drawn: bool


class Gathered(NamedTuple):
    """What a draw is made from: every access entry of the range, and who opened a record at those looked at."""

    entries: Sequence[int]
    readers: Mapping[int, str | None]


def gather(reader: Reader, seed: bytes, after: int, upto: int, size: int) -> Gathered:
    """Return what a draw from a range of the ledger needs, opening no more entries than it looks at.

    Cost: reads every ledger entry of the range.
    """
    entries = reader.access_indexes(after, upto)
    readers: dict[int, str | None] = {}
    found = 0
    for index in in_order_of_chance(seed, entries):
        if found == size:
            break
        reading = next((reading_of(each) for each in reader.access_entries(index - 1, 1)[0]), None)
        opened = reading is not None and reading.refused is None
        readers[index] = reading.staff if reading is not None and opened else None
        found += opened
    return Gathered(entries, readers)


class SpotChecksView:
    """The list."""

    action = "audit.spot_checks"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Raises:
            InvalidContent: `/limit`.
        """
        limit, clinic = limit_of(asked.parameters), reader.directory.clinic
        numbered = [(number, _item(key, drawn, reader.directory)) for number, (key, drawn) in _newest_first(clinic)]
        after: int | None = asked.parameters.get("after")
        only_open = bool(asked.parameters.get("open", False))
        left = [
            (number, item)
            for number, item in numbered
            if (after is None or number < after) and (item.open or not only_open)
        ]
        last = max((drawn.drawn_at for drawn in clinic.draws.values()), default=None)
        page = SpotCheckList(
            open=sum(item.open for _, item in numbered),
            due_at=None if last is None else last + timedelta(days=clinic.policy.spot_check_days),
            items=tuple(item for _, item in left[:limit]),
            next=left[limit - 1][0] if len(left) > limit else None,
        )
        return Built(page)


class SpotCheckView:
    """One draw."""

    action = "audit.spot_checks"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build it, and draw again. Cost: reads every ledger entry of the draw's range.

        Raises:
            UnknownItem: there is no such draw.
        """
        key = asked.resource
        drawn = None if key is None else reader.directory.clinic.draws.get(key)
        if key is None or drawn is None:
            raise UnknownItem("spot check")
        return Built(DrawDocument(draw=_item(key, drawn, reader.directory), as_drawn=_is_as_drawn(reader, drawn)))


def _is_as_drawn(reader: Reader, drawn: DrawState) -> bool:
    gathered = gather(reader, drawn.seed, drawn.after, drawn.upto, drawn.size)
    again = draw(drawn.seed, gathered.entries, gathered.readers, drawn.size)
    before = [(index, check.staff_id) for index, check in drawn.checks.items()]
    return (
        [(each.index, each.staff_id) for each in again.readings] == before
        and again.passed_over == drawn.passed_over
        and len(gathered.entries) == drawn.entries
    )


def _newest_first(clinic: ClinicRecord) -> list[tuple[int, tuple[UUID, DrawState]]]:
    return list(enumerate(clinic.draws.items(), 1))[::-1]


def _item(key: UUID, drawn: DrawState, directory: Directory) -> DrawItem:
    checks = tuple(
        CheckItem(
            index=index,
            staff=check.staff_id,
            staff_name=directory.name_of(check.staff_id),
            outcome=check.outcome,
            ground=check.ground,
            decided_by=check.decided_by,
            decided_by_name=None if check.decided_by is None else directory.name_of(check.decided_by),
            decided_at=check.decided_at,
        )
        for index, check in drawn.checks.items()
    )
    return DrawItem(
        id=key,
        version=drawn.version,
        drawn_at=drawn.drawn_at,
        drawn_by=drawn.drawn_by,
        drawn_by_name=directory.name_of(drawn.drawn_by),
        seed=drawn.seed.hex(),
        after=drawn.after,
        upto=drawn.upto,
        size=drawn.size,
        entries=drawn.entries,
        passed_over=drawn.passed_over,
        open=sum(check.outcome not in FINAL for check in checks),
        checks=checks,
    )


SPOT_CHECKS = SpotChecksView()
SPOT_CHECK = SpotCheckView()
