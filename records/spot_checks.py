"""Spot checks: readings are drawn by chance, and a privacy officer decides on each whether it was right.

Source: Sweden HSLF-FS 2016:40 (systematic, recurring checks of the logs, documented); AUDIT A7.

Rules:
- Draws follow one another without a gap: each takes the access entries of the log after those of the draw before, so
  every reading is in exactly one draw, and nobody draws again until they like the result.
- The draw is a pure function of a seed and of the ledger indexes of the range. The seed is made by the machine and kept
  in the event, so anybody who has the ledger can draw again and compare.
- Entries are taken in the order of SHA-256(seed ‖ index); those that opened no record are passed over, and counted.
- What is decided is a code with a coded ground: in order, a query to somebody, or a breach. A query stays open until it
  is decided; the other two are final.
- Nobody decides on a reading of their own: a second privacy officer does.

It says nothing about clients: whoever decides opens the entry, and leaves an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from records.clinic_record import CheckState, ClinicRecord, DrawState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken, UnknownItem
from records.event import Event, StreamKind

# --- value types

GROUNDS: dict[str, dict[str, str]] = {
    "in-order": {
        "care": "the reader treated or supervised the client",
        "cover": "the reader stood in for a colleague",
        "administration": "bookings, contact or accounts needed it",
        "client-request": "the client had asked for something",
        "emergency": "an emergency, reviewed as such",
        "oversight": "an audit, a complaint or a request of the law",
    },
    "query": {
        "asked-reader": "the reader was asked",
        "asked-supervisor": "the reader's supervisor was asked",
        "asked-administration": "rosters or accounts are being looked at",
    },
    "breach": {
        "no-need": "there was no need to read it",
        "beyond-need": "more was read than was needed",
        "shared-sign-in": "somebody else read under this account",
        "passed-on": "what was read was passed on",
    },
}
"""Outcome → ground → what it means."""

OUTCOMES = tuple(GROUNDS)
FINAL = ("in-order", "breach")
SEED_BYTES = 32


class DrawnReading(msgspec.Struct, frozen=True):
    """A reading that was drawn: its ledger index, and who read."""

    index: int
    staff_id: str


class Draw(NamedTuple):
    """What a draw takes: readings in the order of chance, and how many entries it passed over."""

    readings: tuple[DrawnReading, ...]
    passed_over: int


def in_order_of_chance(seed: bytes, entries: Sequence[int]) -> list[int]:
    """Return ledger indexes in the order that the seed gives them. O(n log n)."""
    return sorted(entries, key=lambda index: hashlib.sha256(seed + index.to_bytes(8, "big")).digest())


def draw(seed: bytes, entries: Sequence[int], readers: Mapping[int, str | None], size: int) -> Draw:
    """Return what the seed draws from the access entries of a range.

    Args:
        seed: 32 bytes.
        entries: the ledger indexes of every access entry of the range.
        readers: index → who opened a record there, None where the entry is no opening; at least those looked at.
        size: how many are wanted.

    Raises:
        KeyError: an entry whose turn it is was not looked at.
    """
    taken: list[DrawnReading] = []
    looked_at = 0
    for index in in_order_of_chance(seed, entries):
        if len(taken) == size:
            break
        looked_at += 1
        reader = readers[index]
        if reader is not None:
            taken.append(DrawnReading(index, reader))
    return Draw(tuple(taken), looked_at - len(taken))


# --- events


class SpotCheckDrawn(Event, frozen=True, kw_only=True, tag="spot_check.drawn"):
    """Readings were drawn to be looked at. Since 1.

    Attributes:
        seed: 32 bytes of chance, made by the machine.
        after, upto: the range of the ledger, `after < index <= upto`.
        size: how many were wanted.
        entries: how many access entries the range has.
        passed_over: how many of those that were drawn opened no record.
        readings: what was drawn, in the order of chance.
    """

    stream_kind = StreamKind.CLINIC
    subject = "draw_id"

    draw_id: UUID
    seed: bytes
    after: int
    upto: int
    size: int
    entries: int
    passed_over: int
    readings: tuple[DrawnReading, ...]

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Open a check for each."""
        drawn = DrawState(
            version=version,
            drawn_at=self.occurred_at,
            drawn_by=self.entered_by,
            seed=self.seed,
            after=self.after,
            upto=self.upto,
            size=self.size,
            entries=self.entries,
            passed_over=self.passed_over,
            checks={each.index: CheckState(staff_id=each.staff_id) for each in self.readings},
        )
        record.draws = {**record.draws, self.draw_id: drawn}
        record.version = version


class SpotCheckDecided(Event, frozen=True, kw_only=True, tag="spot_check.decided"):
    """A privacy officer decided on a reading that was drawn. Since 1.

    Attributes:
        index: ledger index of the reading.
        outcome: in-order, query or breach.
        ground: a code of `GROUNDS`.
    """

    stream_kind = StreamKind.CLINIC
    subject = "draw_id"
    lifecycle = "attest"

    draw_id: UUID
    index: int
    outcome: str
    ground: str

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Keep what was decided."""
        drawn = record.draws[self.draw_id]
        decided = msgspec.structs.replace(
            drawn.checks[self.index],
            outcome=self.outcome,
            ground=self.ground,
            decided_by=self.entered_by,
            decided_at=self.occurred_at,
        )
        moved = msgspec.structs.replace(drawn, version=version, checks={**drawn.checks, self.index: decided})
        record.draws = {**record.draws, self.draw_id: moved}
        record.version = version


EVENTS = (SpotCheckDrawn, SpotCheckDecided)

# --- decisions


@decision("spot_check.draw", on=StreamKind.CLINIC)
def draw_spot_check(
    record: ClinicRecord,
    context: Context,
    *,
    draw_id: UUID,
    seed: bytes,
    after: int,
    upto: int,
    entries: Sequence[int],
    readers: Mapping[int, str | None],
) -> Sequence[Event]:
    """Draw readings from the log after the last draw; nothing to do where this draw was made.

    Args:
        record: the clinic.
        context: who draws.
        draw_id: id of the draw.
        seed: 32 bytes, made by the machine for this draw.
        after: where the last draw ended.
        upto: the index up to which readings are drawn.
        entries: the ledger indexes of every access entry of the range.
        readers: see `draw`.

    Raises:
        RuleBroken: `spot-check-overtaken`, `nothing-to-check`.
    """
    if draw_id in record.draws:
        return []
    if after != record.drawn_upto:
        raise RuleBroken("spot-check-overtaken", "Another draw was made meanwhile; look at that one first.")
    size = context.policy.spot_check_size
    try:
        drawn = draw(seed, entries, readers, size)
    except KeyError:
        # The clinic set another size while entries were looked at.
        raise RuleBroken("spot-check-overtaken", "The clinic's policy changed meanwhile; draw again.") from None
    if not drawn.readings:
        raise RuleBroken("nothing-to-check", "No record was opened since the last draw.")
    return [
        SpotCheckDrawn(
            draw_id=draw_id,
            seed=seed,
            after=after,
            upto=upto,
            size=size,
            entries=len(entries),
            passed_over=drawn.passed_over,
            readings=drawn.readings,
            **context.stamp(),
        )
    ]


@decision("spot_check.decide", on=StreamKind.CLINIC)
def decide_spot_check(
    record: ClinicRecord, context: Context, *, draw_id: UUID, index: int, outcome: str, ground: str
) -> Sequence[Event]:
    """Decide on a reading that was drawn; nothing to do where the same was decided.

    Raises:
        UnknownItem: no such draw, or the reading is not part of it.
        RuleBroken: `own-reading`, `spot-check-decided`.
        InvalidContent: an unknown outcome, or a ground that does not belong to it.
    """
    drawn = record.draws.get(draw_id)
    if drawn is None or index not in drawn.checks:
        raise UnknownItem("spot check")
    check = drawn.checks[index]
    if check.staff_id == context.actor.id:
        raise RuleBroken("own-reading", "Somebody else must decide on this reading.")
    if outcome not in GROUNDS:
        raise InvalidContent("/outcome", "Is not a known outcome.")
    if ground not in GROUNDS[outcome]:
        raise InvalidContent("/ground", "Is not a ground of this outcome.")
    if (check.outcome, check.ground) == (outcome, ground):
        return []
    if check.outcome in FINAL:
        raise RuleBroken("spot-check-decided", "This reading was decided on before.")
    return [SpotCheckDecided(draw_id=draw_id, index=index, outcome=outcome, ground=ground, **context.stamp())]
