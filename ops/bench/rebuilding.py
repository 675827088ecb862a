"""Rebuilding the client views: how many events a second are opened, verified, folded and stored as rows.

- Treatments of 125 events each, as a long course of therapy is; all rows are dropped first.
- On SQLite, and on PostgreSQL where there is one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.postgres_server import databases
from projections.rebuild import rebuild_client_views

CLIENTS = 160
QUICK_CLIENTS = 16
EVENTS_EACH = 125
VIEW = "client_view"

ON_SQLITE = Target("rebuild-client-views-sqlite", "/s", at_least=15_000.0)
ON_POSTGRES = Target("rebuild-client-views-postgres", "/s", at_least=12_000.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Rebuild on both engines."""
    home = bench.room("rebuild")
    yield _rebuild(bench, ON_SQLITE, home / "sqlite", None)
    with databases(bench) as server:
        yield _rebuild(bench, ON_POSTGRES, home / "postgres", server.fresh())


def _rebuild(bench: Bench, target: Target, data: Path, url: str | None) -> Measured:
    clinic = BenchClinic.found(data, url)
    clinic.add_clients(QUICK_CLIENTS if bench.quick else CLIENTS, EVENTS_EACH)
    rates = []
    for _ in range(bench.rounds):
        began = time.perf_counter()
        rebuilt = rebuild_client_views(clinic.service.reader, clinic.clinic.store, (VIEW,))
        rates.append(rebuilt.events / (time.perf_counter() - began))
        if rebuilt.unreadable:
            raise AssertionError("a record of the benchmark could not be rebuilt")
    clinic.close()
    beside = f"{rebuilt.events:,} events of {rebuilt.clients} clients, {rebuilt.rows} rows"
    return Measured(target.name, statistics.median(rates), beside)


GROUP = Group("rebuild", (ON_SQLITE, ON_POSTGRES), measure)
