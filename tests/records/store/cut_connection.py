"""A TCP proxy before PostgreSQL that cuts a connection at its COMMIT, in each of the ways that a network can."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path


class Cut(Enum):
    """What happens to the next COMMIT.

    Attributes:
        BEFORE: it never reaches the server, and the server sees the connection end.
        SILENT: it never reaches the server, and the server does not see that the client is gone.
        LATE: the client is cut off first, and the server hears of the commit a second later.
        AFTER: the server commits, and its answer is lost.
        AFTER_AND_AWAY: the same, and nobody can connect any more.
    """

    BEFORE = 1
    SILENT = 2
    LATE = 3
    AFTER = 4
    AFTER_AND_AWAY = 5


class CutConnection:
    """Forwards connections to a server's socket; `cut` names what to do at the next COMMIT, once."""

    def __init__(self, server: Path) -> None:
        self.cut: Cut | None = None
        self.cuts = 0
        self.away = False
        self._server = server
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def url(self, url: str) -> str:
        """Return a database's URL by way of this proxy."""
        database = url.split("/")[-1] if "?" not in url else url.split("?")[0].split("/")[-1]
        return f"postgresql://wellkept@127.0.0.1:{self.port}/{database}"

    def close(self) -> None:
        """Stop listening and end what is open."""
        self._listener.close()
        for each in self._kept:
            each.close()

    def _run(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server))
            except OSError:
                # The server is away: whoever asks is told so, and may ask again.
                server.close()
                client.close()
                continue
            self._kept += [client, server]
            self._run(self._forward, client, server)
            self._run(self._answer, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        prepared = b""
        while data := _receive(client):
            # psycopg sends a statement without arguments as one Query message; one that it sent often is parsed under
            # a name, and bound by that from then on.
            if parsed := re.match(rb"P....(\w+)\x00COMMIT\x00", data, re.DOTALL):
                prepared = b"\x00" + parsed[1] + b"\x00"
            bound = prepared and data[:1] == b"B" and data[5:].startswith(prepared)
            if self.cut is not None and (bound or data == b"Q\x00\x00\x00\x0bCOMMIT\x00"):
                cut, self.cut = self.cut, None
                self.cuts += 1
                self.away = cut is Cut.AFTER_AND_AWAY
                # From here on nothing goes back to the client; what the server still says is read and dropped.
                _end(client)
                if cut is Cut.LATE:
                    time.sleep(1)
                if cut is Cut.BEFORE:
                    _end(server)
                elif cut is not Cut.SILENT:
                    server.sendall(data)
                return
            try:
                server.sendall(data)
            except OSError:
                # The server ended the session; the client hears of it from the other thread.
                break
        _end(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while data := _receive(server):
            try:
                client.sendall(data)
            except OSError:
                # The client was cut off; the server is still read, so that it never waits.
                continue
        _end(client)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side ended it first.
        return
