"""Durable writes through the door on PostgreSQL, from one process and from four.

- One write is what it is on SQLite; the log's head row gives all processes one order.
- Beside it: single autocommit inserts of a row of the same size, one connection, the same server and disk.
- The targets are rates, as the machine that set them gave 2,650 single inserts a second; the ratio is printed.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from ops.bench.bench_clinic import CLIENTS, EVENTS_EACH, BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.postgres_server import Databases, databases
from ops.bench.rounds import middle_p99_ms, middle_rate, rate_ratio, run_threads, take_turns
from ops.bench.turn_process import TurnProcess, serve_turns, turn_of
from ops.wiring import open_clinic
from records.actors import Actor, Role

WANTED = {8: 1_000.0, 32: 2_000.0}
PROCESSES = 4
AS_A_WORKER = "from ops.bench.postgres_writes import serve; serve()"
CLIENTS_VARIABLE = "BENCH_CLIENTS"

TARGETS = tuple(
    Target(f"postgres-writes-{threads}-threads-{where}", "/s", at_least=rate)
    for threads, rate in WANTED.items()
    for where in ("one-process", "four-processes")
)


class BareInserts:
    """Single autocommit inserts on one connection."""

    def __init__(self, url: str, row_bytes: int) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(
            "CREATE TABLE rows (originator_id uuid, originator_version bigint, state bytea,"
            " PRIMARY KEY (originator_id, originator_version))"
        )
        streams = [uuid4() for _ in range(CLIENTS)]
        self._places = ((stream, version) for version in itertools.count(1) for stream in streams)
        self._state = os.urandom(row_bytes)

    def insert_one(self) -> None:
        """Insert one row; it is durable when this returns."""
        self._connection.execute("INSERT INTO rows VALUES (%s, %s, %s)", (*next(self._places), self._state))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure all figures of this file on one server."""
    with databases(bench) as server:
        yield from _measure(bench, server)


def _measure(bench: Bench, server: Databases) -> Iterator[Measured]:
    home = bench.room("postgres-writes")
    url = server.fresh()
    clinic = BenchClinic.found(home / "clinic", url)
    clinic.clients = clinic.add_clients(CLIENTS, EVENTS_EACH)
    bare = BareInserts(server.fresh(), clinic.sealed_note_bytes())
    workers = _workers(clinic, home / "clinic", url)
    for threads in WANTED:
        writers = clinic.writers(threads)
        inserts, one, four = take_turns(
            bench.rounds,
            lambda: run_threads([bare.insert_one], bench.slice_seconds),
            partial(run_threads, writers, bench.slice_seconds),
            partial(turn_of, workers, bench.slice_seconds, threads // PROCESSES),
        )
        for where, turns in (("one-process", one), ("four-processes", four)):
            beside = (
                f"{rate_ratio(turns, inserts):.2f} x single inserts at {middle_rate(inserts):,.0f}/s, "
                f"p99 {middle_p99_ms(turns):.1f} ms, half within {statistics.median(t.median_ms for t in turns):.1f} ms"
            )
            yield Measured(f"postgres-writes-{threads}-threads-{where}", middle_rate(turns), beside)
    for worker in workers:
        worker.stop()
    bare.close()
    clinic.close()


def _workers(clinic: BenchClinic, data: Path, url: str) -> list[TurnProcess]:
    """Start the processes; each gets its share of the clients, as a balancer that keeps to them would give."""
    command: list[str | Path] = [sys.executable, "-c", AS_A_WORKER, data, url, clinic.therapist.id]
    clients = clinic.add_clients(CLIENTS, EVENTS_EACH)
    shares = [" ".join(map(str, clients[number::PROCESSES])) for number in range(PROCESSES)]
    return [TurnProcess(command, {**os.environ, CLIENTS_VARIABLE: share}) for share in shares]


def serve() -> None:
    """Be one of the processes."""
    data, url, therapist = sys.argv[1:]
    opened = open_clinic(Path(data), database_url=url)
    clients = [UUID(text) for text in os.environ[CLIENTS_VARIABLE].split()]
    clinic = BenchClinic(opened, Actor(therapist, Role.THERAPIST), clients)
    serve_turns(clinic.writers)
    clinic.close()


GROUP = Group("postgres-writes", TARGETS, measure)
