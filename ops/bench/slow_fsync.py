"""The same writes on a slow disk: each fdatasync and fsync takes 2 ms longer.

- A small library (slow_fsync.c) is compiled and loaded before the C library, in a process of its own.
- Yardstick and service both run there, so both wait; only group commit can win.
- Linux with a C compiler only; elsewhere the figure is named and not measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.bench.bench_clinic import BenchClinic
from ops.bench.figure import Bench, Group, Measured, NotMeasured, Target
from ops.bench.rounds import middle_rate, rate_ratio
from ops.bench.service_writes import compare_with_yardstick
from ops.bench.yardstick import Yardstick

THREADS = 32
SOURCE = Path(__file__).with_name("slow_fsync.c")

IN_A_PROCESS = "from ops.bench.slow_fsync import answer; answer()"

TARGET = Target("writes-32-threads-slow-disk", "x", at_least=4.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Compile the library and measure in a process that has it loaded."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        raise NotMeasured("needs Linux and a C compiler")
    home = bench.room("slow-fsync")
    library = home / "slow_fsync.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    said = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, home, str(bench.rounds), str(bench.slice_seconds)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    numbers = json.loads(said.stdout)
    beside = f"{numbers['served']:,.0f}/s; yardstick {numbers['bare']:,.0f}/s with 2 ms for each sync"
    yield Measured(TARGET.name, numbers["ratio"], beside)


def measure_here(home: Path, rounds: int, slice_seconds: float) -> dict[str, float]:
    """Measure in this process, whatever its disk is like."""
    bench = Bench(home, rounds, slice_seconds)
    clinic = BenchClinic.found(home / "clinic")
    yardstick = Yardstick(home / "yardstick.db", clinic.sealed_note_bytes())
    bare, served = compare_with_yardstick(bench, clinic, yardstick, THREADS)
    yardstick.close()
    clinic.close()
    return {"ratio": rate_ratio(served, bare), "served": middle_rate(served), "bare": middle_rate(bare)}


def answer() -> None:
    """Measure as the arguments say (home, rounds, seconds) and print the numbers as JSON."""
    home, rounds, seconds = sys.argv[1:]
    sys.stdout.write(json.dumps(measure_here(Path(home), int(rounds), float(seconds))))


GROUP = Group("slow-fsync", (TARGET,), measure)
