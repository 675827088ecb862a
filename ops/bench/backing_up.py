"""Backing up while it is written, and restoring with verification.

- The writes of 8 threads beside a backup take turns with the same writes alone: the figure is how much longer the
  slowest hundredth waits. Backups follow each other for as long as the turn lasts.
- The backup is then restored into a new place: its files are read and hashed, its log, tables and keys verified, and it
  is copied durably. Views are folded in a drill only, and are beside.
"""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ops.backups.backup import back_up
from ops.backups.restore import restore
from ops.backups.verifying import Asked
from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.rounds import Turn, middle_p99_ms, run_threads, take_turns

CLIENTS = 800
QUICK_CLIENTS = 16
EVENTS_EACH = 125
THREADS = 8

P99 = Target("writes-beside-a-backup-p99", "x", at_most=3.0)
RESTORED = Target("restore-with-verification", "/s", at_least=25_000.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure both on one clinic."""
    home = bench.room("backup")
    clinic = BenchClinic.found(home / "clinic")
    clinic.add_clients(QUICK_CLIENTS if bench.quick else CLIENTS, EVENTS_EACH)
    yield _beside(bench, clinic, home)
    back_up(clinic.clinic, home / "last", home / "last.keys", _quiet)
    clinic.close()
    yield _restored(bench, home)


def _beside(bench: Bench, clinic: BenchClinic, home: Path) -> Measured:
    seconds: list[float] = []

    def beside() -> Turn:
        return _turn_beside(bench, clinic, home, seconds)

    alone, with_backup = take_turns(
        bench.rounds, lambda: run_threads(clinic.fresh_writers(THREADS), bench.slice_seconds), beside
    )
    ratio = statistics.median(own.p99_ms / other.p99_ms for own, other in zip(with_backup, alone, strict=True))
    numbers = f"{middle_p99_ms(with_backup):.1f} ms; alone {middle_p99_ms(alone):.1f} ms"
    return Measured(P99.name, ratio, f"{numbers}; a backup took {statistics.median(seconds):.1f} s")


def _turn_beside(bench: Bench, clinic: BenchClinic, home: Path, seconds: list[float]) -> Turn:
    """Return a turn of the writers beside backups; `seconds` gets how long each took."""
    end, errors = threading.Event(), list[Exception]()
    writers = clinic.fresh_writers(THREADS)

    def back_up_on() -> None:
        number = 0
        try:
            while not end.is_set():
                began, number = time.perf_counter(), number + 1
                back_up(clinic.clinic, home / f"copy{number}", home / f"copy{number}.keys", _quiet)
                seconds.append(time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - the edge of a thread; it is raised again to whoever measures
            errors.append(error)

    thread = threading.Thread(target=back_up_on)
    thread.start()
    turn = run_threads(writers, bench.slice_seconds)
    end.set()
    thread.join()
    if errors:
        raise errors[0]
    for folder in home.glob("copy*"):
        shutil.rmtree(folder)
    return turn


def _restored(bench: Bench, home: Path) -> Measured:
    asked, rates = Asked(None, (), home / "clinic.keys" / "root.key", None), []
    for number in range(bench.rounds):
        to = home / f"new{number}"
        restored = restore(home / "last", home / "last.keys", to, asked, _quiet)
        rates.append(restored.events_per_second)
        shutil.rmtree(to)
    manifest = restored.backup.manifest
    size = manifest.files["records.db"].bytes >> 20
    return Measured(RESTORED.name, statistics.median(rates), f"{manifest.events:,} events, {size} MiB")


def _quiet(_done: int, _of: int) -> None:
    """Nobody watches a benchmark."""


GROUP = Group("backup", (P99, RESTORED), measure)
