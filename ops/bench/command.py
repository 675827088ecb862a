"""`wellkept bench`: measures the figures that the project set itself, and prints them beside their targets.

- Every figure is named in every run; what cannot be measured here says why.
- The exit code tells whether the run worked, never whether a figure was reached: benchmarks are not tests.
- Everything is made in a new directory on a disk and removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from ops.bench import (
    attached_files,
    audit_pages,
    backing_up,
    clinic_year,
    erasing_clients,
    exporting_records,
    http_figures,
    key_turns,
    leaving_year,
    long_records,
    peer_writes,
    postgres_writes,
    rebuilding,
    served_year,
    service_writes,
    signing_cost,
    slow_fsync,
    verifying,
)
from ops.bench.figure import Bench, Group, NotMeasured
from ops.bench.report import Result, heading, machine, summary
from ops.bench.turn_process import ROOT

GROUPS: tuple[Group, ...] = (
    service_writes.GROUP,
    slow_fsync.GROUP,
    signing_cost.GROUP,
    verifying.GROUP,
    key_turns.GROUP,
    erasing_clients.GROUP,
    exporting_records.GROUP,
    attached_files.GROUP,
    http_figures.GROUP,
    long_records.GROUP,
    rebuilding.GROUP,
    audit_pages.GROUP,
    backing_up.GROUP,
    clinic_year.GROUP,
    leaving_year.GROUP,
    served_year.GROUP,
    postgres_writes.GROUP,
    peer_writes.GROUP,
)

FAILED = "failed"
QUICK_ROUNDS = 2
QUICK_SECONDS = 0.3
YEAR = ROOT / "reference" / "clinic-year.jsonl.gz"
KEPT_ON_DISK = Path("/var/tmp")  # noqa: S108 - a new private directory is made in it; /tmp is memory on many machines


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0, 1 where a measurement failed, or 2 where `--only` names nothing."""
    options = _parser().parse_args(argv)
    wanted = [group for group in GROUPS if not options.only or _chosen(group, options.only)]
    if not wanted:
        sys.stderr.write("no figure has that name; `wellkept bench --list` names them\n")
        return 2
    if options.list:
        for group in wanted:
            sys.stdout.writelines(f"{group.name:<20} {t.name:<38} {t.bound()}\n" for t in group.targets)
        return 0
    home = Path(tempfile.mkdtemp(prefix="wellkept-bench-", dir=options.dir or _disk()))
    try:
        results = _run(wanted, _bench(home, options), as_json=options.json)
    finally:
        shutil.rmtree(home)
    return int(any(result.reason.startswith(FAILED) for result in results))


def results_of(group: Group, bench: Bench) -> Iterator[Result]:
    """Yield one result for each target of a group, measured ones as they come."""
    waiting = {target.name: target for target in group.targets}
    reason = "the measurement did not reach it"
    try:
        for measured in group.measure(bench):
            yield Result(waiting.pop(measured.name), measured)
    except NotMeasured as missing:
        reason = str(missing)
    except Exception as error:  # noqa: BLE001 - the outermost edge: what failed is said, and the other groups go on
        traceback.print_exc()
        reason = f"{FAILED} with {type(error).__name__}"
    for target in waiting.values():
        yield Result(target, None, reason)


def _run(groups: Sequence[Group], bench: Bench, *, as_json: bool) -> list[Result]:
    facts = machine(os.cpu_count() or 0)
    results: list[Result] = []
    if not as_json:
        sys.stdout.writelines(line + "\n" for line in heading(facts))
    for group in groups:
        sys.stderr.write(f"measuring {group.name}\n")
        for result in results_of(group, bench):
            results.append(result)
            if not as_json:
                sys.stdout.write(result.line() + "\n")
                sys.stdout.flush()
    if as_json:
        figures = [result.document() for result in results]
        sys.stdout.write(json.dumps({"machine": facts, "quick": bench.quick, "figures": figures}, indent=2) + "\n")
    else:
        sys.stdout.write(summary(results) + "\n")
    return results


def _bench(home: Path, options: argparse.Namespace) -> Bench:
    return Bench(
        home=home,
        rounds=QUICK_ROUNDS if options.quick else options.rounds,
        slice_seconds=QUICK_SECONDS if options.quick else options.seconds,
        quick=options.quick,
        year=options.year,
        database_url=os.environ.get("WELLKEPT_BENCH_DATABASE_URL"),
    )


def _chosen(group: Group, name: str) -> bool:
    return name in group.name or any(name in target.name for target in group.targets)


def _disk() -> str | None:
    return str(KEPT_ON_DISK) if os.access(KEPT_ON_DISK, os.W_OK) else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wellkept bench", description="Measure the figures beside their targets.")
    parser.add_argument("--quick", action="store_true", help="short turns: shows that it works, the numbers say little")
    parser.add_argument("--only", metavar="NAME", help="only groups whose own or whose figures' names contain NAME")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--list", action="store_true", help="name the figures and their targets")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each subject (8)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a turn (1.5)")
    parser.add_argument("--dir", type=Path, help="a directory on the disk to measure (/var/tmp)")
    parser.add_argument("--year", type=Path, default=YEAR, help="the clinic-year file")
    return parser
