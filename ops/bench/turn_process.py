"""Turns in other processes: a worker says `ready`, then runs a turn for each line that it gets.

- The words of a line say what turn it is; most workers take `SECONDS THREADS`. The answer is one line of JSON: rate and
  latencies. The end of the lines stops it.
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

    def tell(self, *words: object) -> None:
        """Begin a turn."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(" ".join(map(str, words)) + "\n")
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


def turn_of(workers: Sequence[TurnProcess], *words: object) -> Turn:
    """Let workers make one turn together."""
    for worker in workers:
        worker.tell(*words)
    turns = [worker.answer() for worker in workers]
    return Turn(sum(turn.rate for turn in turns), sorted(latency for turn in turns for latency in turn.latencies))


def serve_turns(acts: Callable[[int], Sequence[Act]]) -> None:
    """Be a worker whose lines are `SECONDS THREADS`: `acts` returns one act for each of so many threads."""

    def turn(words: Sequence[str]) -> Turn:
        seconds, threads = words
        return run_threads(acts(int(threads)), float(seconds), one_core=False)

    serve_lines(turn)


def serve_lines(turn_of_words: Callable[[Sequence[str]], Turn]) -> None:
    """Be a worker: make the turn that each line says, until there are no more."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        turn = turn_of_words(line.split())
        sys.stdout.write(json.dumps({"rate": turn.rate, "latencies": list(turn.latencies)}) + "\n")
        sys.stdout.flush()
