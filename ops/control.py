"""The control socket: how a command reaches the service that holds the clinic's log.

Source: CONTRACT (command line), DESIGN (one SQLite writer process).

- A file that a duty makes comes in pieces before the result, so that it is in memory nowhere.
- `control.sock` stands in the data directory, 0600, while the service holds the log. One exchange a connection: a line
  of JSON asks, lines of JSON tell progress, the last line is the result or the error.
- Who asks is what the kernel says of the other end; only a good token makes it an account instead.
- A socket that a killed service left is replaced by the next one: whoever holds the writing lock owns the name.
- A command that finds the log locked and no socket that answers fails as locked.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from ops.duties import Progress, Take
from ops.exits import CommandFailed, Exit, exit_code, sentence
from ops.logging import log
from records.errors import ClinicLocked

NAME = "control.sock"
MAX_LINE_BYTES = 1 << 20
ASKING_SECONDS = 10.0
_BACKLOG = 16
_MAX_PATH_BYTES = 103
"""What macOS takes; Linux takes four more."""

PIECE_BYTES = 1 << 20
"""The longest piece of a file in one line."""

Do = Callable[[str, dict[str, Any], str | None, int, Progress, Take], Any]
"""(duty, arguments, token, system user's id, progress, what takes the pieces of a file) → plain data."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    duty: str
    arguments: dict[str, Any]
    token: str | None = None


class _Told(msgspec.Struct, omit_defaults=True):
    progress: tuple[int, int] | None = None
    piece: bytes | None = None
    result: Any = None
    error: str | None = None
    exit: int = 0
    done: bool = False


class ControlServer:
    """Answers commands while the service runs; each connection in a thread of its own."""

    def __init__(self, data: Path, do: Do) -> None:
        """Listen.

        Raises:
            OSError: the path is too long for a socket, or the directory cannot be written.
        """
        self._path = data / NAME
        self._do = do
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short_path(self._path) as address:
            self._listener.bind(address)
        self._path.chmod(0o600)
        self._listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._path.unlink(missing_ok=True)
        # Closing alone does not wake the thread that waits in accept; shutting down does on Linux.
        # macOS refuses that for a socket that listens, and wakes the thread when it is closed.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), name="control-answer", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            connection.settimeout(ASKING_SECONDS)
            try:
                line = stream.readline(MAX_LINE_BYTES)
                if not line:
                    # Somebody only looked whether a service is here.
                    return
                asked = msgspec.json.decode(line, type=_Asked)
                connection.settimeout(None)

                def progress(done: int, of: int) -> None:
                    _tell(stream, _Told(progress=(done, of)))

                def take(piece: bytes) -> None:
                    for at in range(0, len(piece), PIECE_BYTES):
                        _tell(stream, _Told(piece=piece[at : at + PIECE_BYTES]))

                told = self._done(asked, _peer(connection), progress, take)
                _tell(stream, told)
            except (OSError, msgspec.MsgspecError):
                # Whoever asked is gone or does not speak the protocol; what was done stays done and is in the log.
                log("warning", "control.refused", duty=None, error="connection")

    def _done(self, asked: _Asked, user_id: int, progress: Progress, take: Take) -> _Told:
        try:
            result = self._do(asked.duty, asked.arguments, asked.token, user_id, progress, take)
        except Exception as error:  # noqa: BLE001 - the service's edge towards commands, which get sentence and code
            log("warning", "control.refused", duty=asked.duty, error=type(error).__name__)
            return _Told(error=sentence(error), exit=exit_code(error), done=True)
        # A report comes in many pages; each is in the access log, and none needs a line here.
        log("debug" if asked.duty.endswith(".page") else "info", "control.done", duty=asked.duty)
        return _Told(result=result, done=True)


def ask(data: Path, duty: str, arguments: dict[str, Any], token: str | None, progress: Progress, take: Take) -> Any:
    """Ask the running service to do a duty, and return what it returns; `take` gets a file that it makes, in pieces.

    Raises:
        ClinicLocked: no service answers at this data directory.
        CommandFailed: it was not done; with the service's own sentence and exit code.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(data / NAME) as address:
            link.connect(address)
    except OSError as error:
        link.close()
        raise ClinicLocked("another process holds the clinic, and it is no service that answers commands") from error
    with link, link.makefile("rwb") as stream:
        stream.write(msgspec.json.encode(_Asked(duty, arguments, token)) + b"\n")
        stream.flush()
        for line in stream:
            told = msgspec.json.decode(line, type=_Told)
            if told.progress is not None:
                progress(*told.progress)
            elif told.piece is not None:
                take(told.piece)
            elif told.error is not None:
                raise CommandFailed(told.exit, told.error)
            else:
                return told.result
    raise CommandFailed(Exit.FAILED, "the service ended before it answered; look at what was done before trying again")


def answers(data: Path) -> bool:
    """Tell whether a service listens at this data directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            with _short_path(data / NAME) as address:
                link.connect(address)
        except OSError:
            return False
        return True


def _tell(stream: Any, told: _Told) -> None:
    stream.write(msgspec.json.encode(told) + b"\n")
    stream.flush()


@contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """Give a name of the path that fits into a socket's address."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _peer(connection: socket.socket) -> int:
    """Return the id of the system user at the other end, as the kernel says."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        user_id = struct.unpack("3i", credentials)[1]
    else:
        # LOCAL_PEERCRED gives macOS's `struct xucred`: its version, then the user's id.
        user_id = struct.unpack_from("II", connection.getsockopt(0, 1, 76))[1]
    return int(user_id)
