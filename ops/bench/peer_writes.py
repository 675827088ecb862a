"""Beside the peers: the same note of 1 KiB, kept with its history and with who did it, by what a team would pick.

- django-simple-history, django-auditlog and SQLAlchemy-Continuum, from requirements/peers.txt, in an environment of
  their own that is made once (`peers` in the environment of this interpreter).
- The settings are equally durable, the disk is the same, and everybody takes turns in one run.
- At 8, each peer runs as 8 threads and as 8 processes, and the faster of the two counts.

What the peers leave out is not held against them: sealing, ledger, rules and retry keys are Wellkept's work alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ops.bench.bench_clinic import CLIENTS, BenchClinic
from ops.bench.figure import Bench, Group, Measured, NotMeasured, Target
from ops.bench.rounds import Turn, middle_rate, rate_ratio, run_threads, take_turns
from ops.bench.treatment import NOTE_TEXT
from ops.bench.turn_process import ROOT, TurnProcess, turn_of

PEERS = ("django-simple-history", "django-auditlog", "sqlalchemy-continuum")
WANTED = {1: 2.0, 8: 3.0}
REQUIREMENTS = ROOT / "requirements" / "peers.txt"
ENVIRONMENT = Path(sys.prefix) / "peers"

TARGETS = tuple(
    Target(f"{peer}-{writers}-writers", "x", at_least=ratio) for writers, ratio in WANTED.items() for peer in PEERS
)


def measure(bench: Bench) -> Iterator[Measured]:
    """Measure the service against each peer, at 1 writer and at 8."""
    python = _python(bench)
    home = bench.room("peers")
    clinic = BenchClinic.found(home / "clinic")
    yield from _alone(bench, clinic, {peer: _start(python, peer, home, 1) for peer in PEERS})
    yield from _eight(bench, clinic, {peer: _start(python, peer, home, 8) for peer in PEERS})
    clinic.close()


def _alone(bench: Bench, clinic: BenchClinic, workers: dict[str, list[TurnProcess]]) -> Iterator[Measured]:
    subjects = [_peer_turn(bench, workers[peer], 1) for peer in PEERS]
    own, *others = take_turns(bench.rounds, _own_turn(bench, clinic, 1), *subjects)
    _stop(workers)
    for peer, turns in zip(PEERS, others, strict=True):
        beside = f"{middle_rate(own):,.0f}/s; {peer} {middle_rate(turns):,.0f}/s"
        yield Measured(f"{peer}-1-writers", rate_ratio(own, turns), beside)


def _eight(bench: Bench, clinic: BenchClinic, workers: dict[str, list[TurnProcess]]) -> Iterator[Measured]:
    subjects: list[Callable[[], Turn]] = []
    for peer in PEERS:
        subjects += [_peer_turn(bench, workers[peer][:1], 8), _peer_turn(bench, workers[peer], 1)]
    own, *others = take_turns(bench.rounds, _own_turn(bench, clinic, 8), *subjects)
    _stop(workers)
    for number, peer in enumerate(PEERS):
        threads, processes = others[2 * number], others[2 * number + 1]
        faster = max(threads, processes, key=middle_rate)
        beside = (
            f"{middle_rate(own):,.0f}/s; {peer} {middle_rate(threads):,.0f}/s in 8 threads, "
            f"{middle_rate(processes):,.0f}/s in 8 processes"
        )
        yield Measured(f"{peer}-8-writers", rate_ratio(own, faster), beside)


def _own_turn(bench: Bench, clinic: BenchClinic, threads: int) -> Callable[[], Turn]:
    return lambda: run_threads(clinic.fresh_writers(threads), bench.slice_seconds)


def _peer_turn(bench: Bench, workers: Sequence[TurnProcess], threads: int) -> Callable[[], Turn]:
    return lambda: turn_of(workers, bench.slice_seconds, threads)


def _start(python: Path, peer: str, home: Path, count: int) -> list[TurnProcess]:
    command: list[str | Path] = [
        python,
        "-m",
        "ops.bench.peers.worker",
        peer,
        home / f"{peer}-{count}.db",
        str(CLIENTS),
        NOTE_TEXT,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return [TurnProcess(command, environment) for _ in range(count)]


def _stop(workers: dict[str, list[TurnProcess]]) -> None:
    for group in workers.values():
        for worker in group:
            worker.stop()


def _python(bench: Bench) -> Path:
    """Return the interpreter of the peers' environment; it is made once, except in a quick run."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed"
    if stamp.exists() and stamp.stat().st_mtime >= _changed(REQUIREMENTS):
        return python
    if bench.quick:
        raise NotMeasured("the peers are installed by a full run")
    if not REQUIREMENTS.exists():
        raise NotMeasured("needs requirements/peers.txt, which a checkout has")
    sys.stderr.write("installing the peers\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
    ]
    done = subprocess.run([*install, REQUIREMENTS], stdout=sys.stderr, check=False)
    if done.returncode:
        raise NotMeasured("the peers could not be installed")
    stamp.touch()
    return python


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


GROUP = Group("peers", TARGETS, measure)
