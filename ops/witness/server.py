"""The witness over HTTP: `POST /add-checkpoint`, with the answers of C2SP tlog-witness.

    200 the cosignature line · 400 malformed · 403 not signed by the log · 404 unknown log · 409 another size was last
    signed (the size, as text/x.tlog.size) or a fork · 422 the proof does not hold

- It listens on loopback or on an address of a private network. Requests carry the log's signature and answers the
  witness's, so the line between them is not trusted and needs no TLS.
- A request has a length, a limit and a time; only so many are worked on at once.
- Nothing of a request is logged but the origin of a log that the witness knows, and sizes.
"""

from __future__ import annotations

import ipaddress
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from typing import Any, NamedTuple

from ops.exits import CommandFailed, Exit
from ops.logging import alarm, log
from ops.settings import Bind
from ops.witness.folder import WitnessFolder
from records.checkpoint import parse_signed_checkpoint
from records.errors import (
    BadProof,
    BadSignature,
    ForkedLog,
    LedgerMismatch,
    MissingSignature,
    ProofFromElsewhere,
    UnknownItem,
    VerificationError,
    WellkeptError,
)
from records.witness import encode_answer, parse_request

PATH = "/add-checkpoint"
MAX_BODY_BYTES = 262_144
"""Largest request: a checkpoint with 16 signatures, each nearly 5 kB of base64 (signed-note), and 63 proof lines."""
TIMEOUT_SECONDS = 10
AT_ONCE = 32
"""Connections that are worked on at once; others are closed."""
SIZE_TYPE = "text/x.tlog.size"
"""Media type of the size that a 409 answers (tlog-witness)."""


class Answer(NamedTuple):
    """What is answered: status, media type, body."""

    status: HTTPStatus
    type: str
    body: bytes


def answer(witness: WitnessFolder, data: bytes) -> Answer:
    """Return the answer to a request; what is signed was kept before."""
    try:
        line = witness.add_checkpoint(data)
    except ProofFromElsewhere as error:
        return _refused(HTTPStatus.CONFLICT, error, f"{error.size}\n", SIZE_TYPE)
    except ForkedLog as error:
        checkpoint, _ = parse_signed_checkpoint(parse_request(data).note)
        alarm("witness.forked", {"origin": checkpoint.origin})
        return _refused(HTTPStatus.CONFLICT, error, f"{checkpoint.size}\n", SIZE_TYPE)
    except UnknownItem as error:
        return _refused(HTTPStatus.NOT_FOUND, error)
    except (MissingSignature, BadSignature) as error:
        return _refused(HTTPStatus.FORBIDDEN, error)
    except BadProof as error:
        return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, error)
    except VerificationError as error:
        return _refused(HTTPStatus.BAD_REQUEST, error)
    except (LedgerMismatch, OSError) as error:
        alarm("witness.broken", {"error": type(error).__name__})
        return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, WellkeptError("the witness cannot read or keep its files"))
    checkpoint, _ = parse_signed_checkpoint(parse_request(data).note)
    log("info", "witness.signed", origin=checkpoint.origin, size=checkpoint.size)
    return Answer(HTTPStatus.OK, "text/plain; charset=utf-8", encode_answer([line]))


def _refused(
    status: HTTPStatus, error: Exception, text: str | None = None, kind: str = "text/plain; charset=utf-8"
) -> Answer:
    log("warning", "witness.refused", status=int(status), error=type(error).__name__)
    return Answer(status, kind, (f"{error}\n" if text is None else text).encode())


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness; `serve_forever` until `shutdown`."""

    daemon_threads = True

    def __init__(self, bind: Bind, witness: WitnessFolder) -> None:
        """Listen.

        Raises:
            CommandFailed: the address is open to the world, is taken, or is not this machine's.
        """
        check_near(bind)
        if ":" in bind.host:
            self.address_family = AF_INET6
        self.witness = witness
        self._places = threading.BoundedSemaphore(AT_ONCE)
        try:
            super().__init__((bind.host, bind.port), _Handler)
        except OSError as error:
            raise CommandFailed(Exit.FAILED, f"{bind} cannot be listened on: {error.strerror}") from error

    def process_request(self, request: Any, client_address: Any) -> None:
        """Work on a connection in a thread of its own, where there is a place; else close it."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Work on a connection, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a connection that broke be; whoever asked will ask again."""


def check_near(bind: Bind) -> None:
    """Refuse an address that the whole world could reach.

    Raises:
        CommandFailed: exit 2.
    """
    if bind.is_loopback:
        return
    address = ipaddress.ip_address(bind.host)
    if not address.is_private or address.is_unspecified:
        raise CommandFailed(Exit.USAGE, "a witness listens on loopback or on one address of a private network")


class _Handler(BaseHTTPRequestHandler):
    """One connection, which may carry several requests."""

    protocol_version = "HTTP/1.1"
    server_version = "wellkept-witness"
    sys_version = ""
    timeout = TIMEOUT_SECONDS
    server: WitnessServer
    connection: socket

    def do_POST(self) -> None:
        """Answer a request to sign."""
        if self.path != PATH:
            self._close(HTTPStatus.NOT_FOUND)
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or self.headers.get("Transfer-Encoding"):
            self._close(HTTPStatus.LENGTH_REQUIRED)
            return
        if int(length) > MAX_BODY_BYTES:
            self._close(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self._send(answer(self.server.witness, self.rfile.read(int(length))))

    def do_GET(self) -> None:
        """Say that there is nothing to read here."""
        self._close(HTTPStatus.METHOD_NOT_ALLOWED if self.path == PATH else HTTPStatus.NOT_FOUND)

    def _send(self, given: Answer) -> None:
        self.send_response(given.status)
        self.send_header("Content-Type", given.type)
        self.send_header("Content-Length", str(len(given.body)))
        self.end_headers()
        self.wfile.write(given.body)

    def _close(self, status: HTTPStatus) -> None:
        """Answer without having read the body, so that the connection cannot be used again."""
        self.close_connection = True
        self.send_response(status)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Leave it to the witness's own lines."""
