"""What the tamper-evident log costs: its row inside the write, and signing, tiles and scrub beside it.

- The row: a write is measured against the same write whose unit carries one more ledger entry and whose text is bound
  by one more content root. What the second ones cost, the first ones cost too.
- The lag: 32 writers at full load with the signing thread beside them; the oldest entry that was not signed yet, as
  the signer tells it, looked at every hundredth of a second.
- The throughput: turns with the signing thread and without it alternate.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.postgres_server import databases
from ops.bench.rounds import Turn, middle_rate, rate_ratio, run_threads, take_turns
from ops.serving.signing import Signing
from records.ledger import KeyClass
from records.payload import Segment
from records.sealing import content_root
from records.signer import Signer
from records.store import Store
from records.store.unit import Committed, CreatedKey, Unit

ROW = {("sqlite", 1): 0.25, ("sqlite", 32): 0.15, ("postgres", 1): 0.35, ("postgres", 32): 0.15}
LAG_SECONDS = 1.0
LOOK_SECONDS = 0.01
LEFT = 0.9
"""Of the throughput without signing; at most 10 % may go."""
THREADS = 32

LAG = Target("checkpoint-lag", "s", at_most=LAG_SECONDS)
BESIDE = Target("writes-beside-signing", "x", at_least=LEFT)
TARGETS = (
    *(Target(f"ledger-row-{engine}-{threads}-threads", "x", at_most=part) for (engine, threads), part in ROW.items()),
    LAG,
    BESIDE,
)


class _Twice:
    """A store that enters one more row into the ledger, and binds one more text, with each commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._segments = (Segment("header", os.urandom(200)), Segment("text", os.urandom(1_024)))

    def __getattr__(self, name: str) -> Any:
        """Everything else is the store's."""
        return getattr(self._store, name)

    def commit(self, unit: Unit) -> Committed:
        """Commit with the second row."""
        content_root(os.urandom(32), self._segments)
        return self._store.commit(unit._replace(keys=(*unit.keys, CreatedKey(uuid4(), bytes(16), KeyClass.RECORD))))


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure on SQLite, then on PostgreSQL where there is one."""
    clinic = BenchClinic.found(bench.room("signing-cost") / "clinic")
    yield from _rows(bench, clinic, "sqlite")
    yield from _signing(bench, clinic)
    clinic.close()
    with databases(bench) as server:
        clinic = BenchClinic.found(bench.room("signing-cost-postgres") / "clinic", server.fresh())
        yield from _rows(bench, clinic, "postgres")
        clinic.close()


def _rows(bench: Bench, clinic: BenchClinic, engine: str) -> Iterator[Measured]:
    store = clinic.clinic.store
    twice = _Twice(store)
    for threads in (1, THREADS):

        def turn(through: Any, threads: int = threads) -> Turn:
            clinic.service._store = through
            try:
                return run_threads(clinic.fresh_writers(threads), bench.slice_seconds)
            finally:
                clinic.service._store = store

        once, doubled = take_turns(bench.rounds, lambda turn=turn: turn(store), lambda turn=turn: turn(twice))  # type: ignore[misc]  # the lambdas bind their turn by default
        more = statistics.median(b.median_ms / a.median_ms for a, b in zip(once, doubled, strict=True)) - 1
        beside = f"half of the writes within {statistics.median(one.median_ms for one in once):.2f} ms"
        yield Measured(f"ledger-row-{engine}-{threads}-threads", more, beside)


def _signing(bench: Bench, clinic: BenchClinic) -> Iterator[Measured]:
    signer = clinic.clinic.signer
    assert signer is not None, "the bench clinic was opened for writing"
    lags: list[float] = []
    alone, beside = take_turns(
        bench.rounds,
        lambda: run_threads(clinic.fresh_writers(THREADS), bench.slice_seconds),
        lambda: _beside_signing(bench, clinic, signer, lags),
    )
    yield Measured(LAG.name, max(lags), f"half of the looks at {statistics.median(lags):.3f} s or less")
    numbers = f"{middle_rate(beside):,.0f}/s; without signing {middle_rate(alone):,.0f}/s"
    yield Measured(BESIDE.name, rate_ratio(beside, alone), numbers)


def _beside_signing(bench: Bench, clinic: BenchClinic, signer: Signer, lags: list[float]) -> Turn:
    writers = clinic.fresh_writers(THREADS)
    # What the turn without signing left is signed before the clock runs.
    signer.flush()
    signing, ended = Signing(signer, clinic.clinic.store), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            lags.append(signer.lag()[1])

    looking = threading.Thread(target=look, daemon=True)
    signing.start()
    looking.start()
    try:
        return run_threads(writers, bench.slice_seconds)
    finally:
        ended.set()
        looking.join()
        signing.stop()


GROUP = Group("signing-cost", TARGETS, measure)
