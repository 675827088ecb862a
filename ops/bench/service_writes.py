"""Durable writes through the door against the machine's own durable commits, on SQLite.

- One write is everything that a request is: permission, decision, seal, event, ledger entry, retry key, read-back.
- The yardstick (`ops.bench.yardstick`) takes turns with 1, 8 and 32 threads of the service.
- One caller that always loses its race must not cost the others their group commit: 31 writers beside one such.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.rounds import Act, Turn, middle_p99_ms, middle_rate, rate_ratio, run_threads, take_turns
from ops.bench.treatment import Treatment
from ops.bench.yardstick import Yardstick
from ops.wiring import now
from records.errors import LostRace
from records.event import StreamKind
from records.store.unit import Unit

WANTED = {1: 0.6, 8: 1.3, 32: 1.8}
P99_MS = 25.0

CONFLICT = Target("writes-beside-a-conflict", "x", at_least=0.8)

TARGETS = (
    *(Target(f"writes-{threads}-threads", "x", at_least=ratio) for threads, ratio in WANTED.items()),
    *(Target(f"writes-{threads}-threads-p99", "ms", at_most=P99_MS) for threads in WANTED),
    CONFLICT,
)


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure all figures of this file on one clinic."""
    home = bench.room("service-writes")
    clinic = BenchClinic.found(home / "clinic")
    row_bytes = clinic.sealed_note_bytes()
    yardstick = Yardstick(home / "yardstick.db", row_bytes)
    for threads in WANTED:
        yield from _beside_yardstick(bench, clinic, yardstick, threads, row_bytes)
    yield _beside_a_conflict(bench, clinic)
    yardstick.close()
    clinic.close()


def _beside_yardstick(
    bench: Bench, clinic: BenchClinic, yardstick: Yardstick, threads: int, row_bytes: int
) -> Iterator[Measured]:
    bare, served = compare_with_yardstick(bench, clinic, yardstick, threads)
    beside = f"{middle_rate(served):,.0f}/s; yardstick {middle_rate(bare):,.0f}/s, rows of {row_bytes} B"
    yield Measured(f"writes-{threads}-threads", rate_ratio(served, bare), beside)
    typical = statistics.median(turn.median_ms for turn in served)
    yield Measured(f"writes-{threads}-threads-p99", middle_p99_ms(served), f"half within {typical:.2f} ms")


def compare_with_yardstick(
    bench: Bench, clinic: BenchClinic, yardstick: Yardstick, threads: int
) -> tuple[list[Turn], list[Turn]]:
    """Let the yardstick and so many threads of the service alternate; return the turns of both."""
    bare, served = take_turns(
        bench.rounds,
        lambda: run_threads([yardstick.commit_one], bench.slice_seconds),
        lambda: run_threads(clinic.fresh_writers(threads), bench.slice_seconds),
    )
    return bare, served


def _beside_a_conflict(bench: Bench, clinic: BenchClinic) -> Measured:
    loser = _always_loses(clinic)
    alone, beside = take_turns(
        bench.rounds,
        lambda: run_threads(clinic.fresh_writers(32), bench.slice_seconds),
        lambda: run_threads(clinic.fresh_writers(32)[:31], bench.slice_seconds, [loser]),
    )
    numbers = f"31 writers {middle_rate(beside):,.0f}/s; 32 without it {middle_rate(alone):,.0f}/s"
    return Measured(CONFLICT.name, rate_ratio(beside, alone), numbers)


def _always_loses(clinic: BenchClinic) -> Act:
    """Return the act that appends again and again after a version that has long passed."""
    (client,) = clinic.add_clients(1, 2)
    events = Treatment(client, clinic.therapist, now()).events(1)
    stale = Unit((clinic.service.mapper.append(StreamKind.CLIENT, client, 0, events),))

    def act() -> None:
        try:
            clinic.clinic.store.commit(stale)
        except LostRace:
            return
        raise AssertionError("an append after a version that has passed was stored")

    return act


GROUP = Group("service-writes", TARGETS, measure)
