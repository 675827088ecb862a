"""Turns in other processes: a worker says `ready`, then runs a turn for each line that it gets.

- A line is `SECONDS THREADS`; the answer is one line of JSON: rate and latencies. An empty line or the end stops it.
- Several workers that are told at the same moment make one turn together.

It says nothing of what a worker does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.bench.rounds import Act, Turn, run_threads

ROOT = Path(__file__).parent.parent.parent
READY = "ready"
STOP_SECONDS = 30.0


class TurnProcess:
    """A worker that was started and is ready."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it ended before; what it said is on stderr.
        """
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        if self._line() != READY:
            raise RuntimeError("a worker of the benchmark is not ready")

    def tell(self, seconds: float, threads: int) -> None:
        """Begin a turn."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(f"{seconds} {threads}\n")
        stdin.flush()

    def answer(self) -> Turn:
        """Wait for the turn's end; return it."""
        said = json.loads(self._line())
        return Turn(said["rate"], said["latencies"])

    def stop(self) -> None:
        """End the worker."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(STOP_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker of the benchmark ended; what it said is above")
        return line.strip()


def turn_of(workers: Sequence[TurnProcess], seconds: float, threads: int) -> Turn:
    """Let workers make one turn together, each with so many threads."""
    for worker in workers:
        worker.tell(seconds, threads)
    turns = [worker.answer() for worker in workers]
    return Turn(sum(turn.rate for turn in turns), sorted(latency for turn in turns for latency in turn.latencies))


def serve_turns(acts: Callable[[int], Sequence[Act]]) -> None:
    """Be a worker: `acts` returns one act for each of so many threads."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if not line.strip():
            return
        seconds, threads = line.split()
        turn = run_threads(acts(int(threads)), float(seconds))
        sys.stdout.write(json.dumps({"rate": turn.rate, "latencies": list(turn.latencies)}) + "\n")
        sys.stdout.flush()
