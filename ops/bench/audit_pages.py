"""A page of the audit at 100,000 and at 1,000,000 readings: 50 rows of one client, one person and one period.

- What is timed is the database's part: the rows of the clear index, through the store that serves a clinic. Opening
  the 50 sealed entries costs the same at either size, and is part of `audit-page-whole`.
- Readings of 1,000 clients by 40 people over two years, in no order of clients, as a clinic makes them.
- The index is filled through the store's own batches, whose rate is printed: catching up must stay cheap.
- On SQLite, and on PostgreSQL where there is one.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.postgres_server import databases
from ops.wiring import now
from projections.audit_index import BATCH
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.ledger import to_microseconds
from records.request import Request
from records.store import Store
from records.store.unit import AuditBatch, AuditRow, Unit

SMALL, LARGE = 100_000, 1_000_000
STAFF = 40
READINGS_EACH = 1_000
"""Readings of each client at the larger size."""
QUICKER = 20
PAGE = 50
READINGS = 60
BEGIN_US = to_microseconds(datetime(2024, 1, 1, tzinfo=UTC))
SPAN_US = 2 * 365 * 86_400 * 1_000_000

PAGES = {where: Target(f"audit-page-{where}", "ms", at_most=30.0) for where in ("sqlite", "postgres")}
GROWTH = {where: Target(f"audit-page-growth-{where}", "x", at_most=1.5) for where in ("sqlite", "postgres")}
CATCH_UP = {where: Target(f"audit-index-rows-{where}", "/s", at_least=10_000.0) for where in ("sqlite", "postgres")}
WHOLE = Target("audit-page-whole", "ms", at_most=50.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure all figures of this file."""
    home = bench.room("audit-pages")
    yield from _measure(bench, home / "sqlite", None, "sqlite")
    yield _whole(bench, home / "whole")
    with databases(bench) as server:
        yield from _measure(bench, home / "postgres", server.fresh(), "postgres")


def _measure(bench: Bench, data: Path, url: str | None, where: str) -> Iterator[Measured]:
    clinic = BenchClinic.found(data, url)
    store, rng = clinic.clinic.store, random.Random(20)  # noqa: S311 - the same clinic in every run, no secret
    small, large = (SMALL // QUICKER, LARGE // QUICKER) if bench.quick else (SMALL, LARGE)
    clients = [UUID(int=rng.getrandbits(128), version=4) for _ in range(large // READINGS_EACH)]
    staff = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(STAFF)]
    rows = _rows(clients, staff, large, rng)
    _fill(store, itertools.islice(rows, small))
    before = _page_ms(store, clients, staff, bench.rounds)
    began = time.perf_counter()
    _fill(store, rows)
    rate = (large - small) / (time.perf_counter() - began)
    after = _page_ms(store, clients, staff, bench.rounds)
    clinic.close()
    yield Measured(
        PAGES[where].name, after, f"{PAGE} rows asked for at {large:,} readings, median of {bench.rounds * 40}"
    )
    yield Measured(GROWTH[where].name, after / before, f"{before:.3f} ms at {small:,}, {after:.3f} ms at {large:,}")
    yield Measured(CATCH_UP[where].name, rate, f"up to {large:,}, durable in batches of {BATCH:,}")


def _rows(clients: list[UUID], staff: list[str], count: int, rng: random.Random) -> Iterator[AuditRow]:
    # A person reads mostly their own clients, so that client and person together find whole pages.
    for index in range(count):
        client = rng.randrange(len(clients))
        who = staff[client % STAFF] if rng.random() < 0.9 else staff[rng.randrange(STAFF)]
        yield AuditRow(index, clients[client], who, "TREAT", BEGIN_US + SPAN_US * index // count)


def _fill(store: Store, rows: Iterator[AuditRow]) -> None:
    while batch := tuple(itertools.islice(rows, BATCH)):
        store.commit(Unit(audit=AuditBatch(batch, batch[-1].position)))


def _page_ms(store: Store, clients: list[UUID], staff: list[str], rounds: int) -> float:
    # A period in the middle: neither the first nor the last rows of anybody.
    from_us, to_us = BEGIN_US + SPAN_US // 100, BEGIN_US + SPAN_US
    taken = []
    for number in range(rounds * 40):
        client = number * 7 % len(clients)
        began = time.perf_counter()
        found = store.audit_rows(
            client_id=clients[client], actor=staff[client % STAFF], from_us=from_us, to_us=to_us, limit=PAGE
        )
        taken.append(time.perf_counter() - began)
        if not found:
            raise AssertionError("a page of the benchmark is empty")
    return statistics.median(taken) * 1000


def _whole(bench: Bench, data: Path) -> Measured:
    """Return how long a page takes through the door: found, opened, told, and its own entry durable."""
    clinic = BenchClinic.found(data)
    (client,) = clinic.add_clients(1, 20)
    for _ in range(READINGS):
        clinic.service.view(CLIENT_VIEW, clinic.request(), Purpose.TREAT, client)
    end = now()
    asked = Request(Actor("operator:bench", Role.OPERATOR), "bench")
    report = clinic.clinic.audit_index.report
    taken = []
    for _ in range(bench.rounds * 4):
        began = time.perf_counter()
        page = clinic.service.view(report, asked, Purpose.HCOMPL, client=client, staff=clinic.therapist.id, to_at=end)
        taken.append(time.perf_counter() - began)
        if len(page.items) != PAGE:
            raise AssertionError("a page of the benchmark is not full")
    clinic.close()
    return Measured(WHOLE.name, statistics.median(taken) * 1000, f"{PAGE} sealed entries opened, and its own durable")


GROUP = Group(
    "audit-pages",
    (
        PAGES["sqlite"],
        GROWTH["sqlite"],
        CATCH_UP["sqlite"],
        WHOLE,
        PAGES["postgres"],
        GROWTH["postgres"],
        CATCH_UP["postgres"],
    ),
    measure,
)
