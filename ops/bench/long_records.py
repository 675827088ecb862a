"""Records of every length: what a long history costs who reads and writes today.

- The current view of 1,500 events beside one of 15: read again and again, and read for the first time after a write.
- A write to a record of 6,000 events beside one of 60, with the rule state in memory, and with nothing in memory.
- The record as it was known at a past date, when it had 100 events.

Readings go through the door, so each includes its own durable access event. SQLite.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.rounds import Act, Turn, take_turns
from ops.wiring import now
from projections.client_view import CLIENT_VIEW
from records.actors import Purpose

LONG_VIEW, SHORT_VIEW = 1_500, 15
LONG_WRITE, SHORT_WRITE = 6_000, 60
KNOWN = 100

AGAIN = Target("view-1500-beside-15-again", "x", at_most=1.5)
AFTER_WRITE = Target("view-1500-beside-15-after-a-write", "x", at_most=1.5)
WARM = Target("write-6000-beside-60-warm", "x", at_most=1.3)
COLD = Target("write-6000-cold", "ms", at_most=200.0)
KNOWN_AT = Target("known-at-100-events", "ms", at_most=3.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure all figures of this file on one clinic."""
    clinic = BenchClinic.found(bench.room("long-records") / "clinic")
    count = 10 if bench.quick else 40
    # Few writes go to each record, so that a short one stays short.
    short, long = clinic.add_clients(count, SHORT_VIEW), clinic.add_clients(4, LONG_VIEW)
    readings = [_read(clinic, each) for each in (long, short)]
    yield _ratio(bench, AGAIN, [_turn_of(act, count) for act in readings])
    first = [_read_after_write(clinic, each) for each in (long, short)]
    yield _ratio(bench, AFTER_WRITE, [_timed_turn_of(read, count) for read in first])
    short, long = clinic.add_clients(count, SHORT_WRITE), clinic.add_clients(2, LONG_WRITE)
    writes = [clinic.sign_notes(each) for each in (long, short)]
    yield _ratio(bench, WARM, [_turn_of(act, count) for act in writes])
    yield _cold(bench, clinic, long)
    yield _known_at(bench, clinic, count)
    clinic.close()


def _ratio(bench: Bench, target: Target, subjects: Sequence[Callable[[], Turn]]) -> Measured:
    long, short = take_turns(bench.rounds, *subjects)
    ratio = statistics.median(a.median_ms / b.median_ms for a, b in zip(long, short, strict=True))
    return Measured(target.name, ratio, f"{_middle(long):.2f} ms and {_middle(short):.2f} ms")


def _cold(bench: Bench, clinic: BenchClinic, clients: Sequence[UUID]) -> Measured:
    write, turn = clinic.sign_notes(clients), itertools.cycle(clients)

    def write_cold() -> float:
        clinic.service.cache.forget(next(turn))
        began = time.perf_counter()
        write()
        return time.perf_counter() - began

    (turns,) = take_turns(bench.rounds, _timed_turn_of(write_cold, 2))
    return Measured(COLD.name, _middle(turns), f"{LONG_WRITE:,} events opened and folded before the write")


def _known_at(bench: Bench, clinic: BenchClinic, count: int) -> Measured:
    (client,) = clinic.add_clients(1, KNOWN)
    time.sleep(0.005)
    then = now()
    clinic.sign_notes([client])()
    act = _read(clinic, [client], then)
    (turns,) = take_turns(bench.rounds, _turn_of(act, count))
    return Measured(KNOWN_AT.name, _middle(turns), f"of a record of {KNOWN + 1}")


def _read(clinic: BenchClinic, clients: Sequence[UUID], known_at: datetime | None = None) -> Act:
    turn = itertools.cycle(clients)

    def act() -> None:
        document = clinic.service.view(CLIENT_VIEW, clinic.request(), Purpose.TREAT, next(turn), known_at=known_at)
        assert document.identity is not None

    return act


def _read_after_write(clinic: BenchClinic, clients: Sequence[UUID]) -> Callable[[], float]:
    """Return what writes to a record and then times its next reading; both go around the same clients."""
    write, read = clinic.sign_notes(clients), _read(clinic, clients)

    def timed() -> float:
        write()
        began = time.perf_counter()
        read()
        return time.perf_counter() - began

    return timed


def _turn_of(act: Act, count: int) -> Callable[[], Turn]:
    def timed() -> float:
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    return _timed_turn_of(timed, count)


def _timed_turn_of(timed: Callable[[], float], count: int) -> Callable[[], Turn]:
    """Return the turn that does something so many times, which tells itself how many seconds it took."""

    def turn() -> Turn:
        taken = sorted(timed() for _ in range(count))
        return Turn(count / sum(taken), taken)

    return turn


def _middle(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.median_ms for turn in turns)


GROUP = Group("long-records", (AGAIN, AFTER_WRITE, WARM, COLD, KNOWN_AT), measure)
