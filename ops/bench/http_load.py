"""The other end of HTTP: many connections of one process that cost little, so that the service is what is measured.

- Plain sockets and one loop; each connection is kept and has one request under way. Requests are bytes made before.
- A request may have a gap for a retry key, which is filled anew each time.
- An answer other than 2xx ends the turn with an error: a figure with errors in it is none.

It runs in a process of its own: `PORT CONNECTIONS PLAN`, the plan a JSON file of name → list of [head, tail or null].
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from ops.bench.rounds import Turn
from ops.bench.turn_process import serve_lines

Piece = tuple[bytes, bytes | None]
"""A request: whole, or its parts before and after the retry key."""

ANSWER_BYTES = 1 << 18
ANSWER_SECONDS = 30.0


class Connection:
    """One kept connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""
        self._began = 0.0

    def send(self, piece: Piece) -> None:
        """Send a request."""
        head, tail = piece
        self._got = b""
        self._began = time.perf_counter()
        self.socket.sendall(head if tail is None else head + uuid4().hex.encode() + tail)

    def receive(self) -> float | None:
        """Take what has come; return how many seconds the answer took when it is whole.

        Raises:
            RuntimeError: the answer is not 2xx, or the service closed the connection.
        """
        data = self.socket.recv(ANSWER_BYTES)
        if not data:
            raise RuntimeError("the service closed a connection")
        self._got = self._got + data if self._got else data
        end = self._got.find(b"\r\n\r\n")
        if end < 0 or len(self._got) < end + 4 + _length(self._got[:end]):
            return None
        if self._got[9:10] != b"2":
            raise RuntimeError(f"the service answered {self._got[9:12].decode('ascii', 'replace')}")
        return time.perf_counter() - self._began


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        raise RuntimeError("an answer does not say how long it is")
    end = lowered.find(b"\r\n", at + 2)
    return int(lowered[at + 17 : end if end > 0 else None])


class Load:
    """Connections to a service, and the requests that they make."""

    def __init__(self, port: int, connections: int, plan: Mapping[str, Sequence[Piece]]) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = [Connection(port) for _ in range(connections)]
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._plan: dict[str, Iterator[Piece]] = {name: itertools.cycle(pieces) for name, pieces in plan.items()}

    def turn(self, name: str, *, seconds: float | None = None, count: int | None = None) -> Turn:
        """Make requests of one name for some seconds, or so many."""
        pieces, taken = self._plan[name], []
        left = count if count is not None else sys.maxsize
        began = time.perf_counter()
        end = began + seconds if seconds is not None else float("inf")
        under_way = 0
        for connection in self._connections[:left]:
            connection.send(next(pieces))
            under_way += 1
        left -= under_way
        while under_way:
            ready = self._selector.select(ANSWER_SECONDS)
            if not ready:
                raise RuntimeError("the service does not answer")
            for key, _ in ready:
                took = key.data.receive()
                if took is None:
                    continue
                taken.append(took)
                if left > 0 and time.perf_counter() < end:
                    key.data.send(next(pieces))
                    left -= 1
                else:
                    under_way -= 1
        return Turn(len(taken) / (time.perf_counter() - began), sorted(taken))


def read_plan(path: Path) -> dict[str, list[Piece]]:
    """Return the requests of a plan."""
    return {
        name: [(head.encode(), None if tail is None else tail.encode()) for head, tail in pieces]
        for name, pieces in json.loads(path.read_text()).items()
    }


def serve() -> None:
    """Be the process: each line is `NAME seconds N` or `NAME count N`."""
    port, connections, plan = sys.argv[1:]
    load = Load(int(port), int(connections), read_plan(Path(plan)))

    def turn(words: Sequence[str]) -> Turn:
        name, unit, number = words
        return load.turn(name, seconds=float(number)) if unit == "seconds" else load.turn(name, count=int(number))

    serve_lines(turn)
