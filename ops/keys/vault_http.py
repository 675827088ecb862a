"""Speaking to a Vault server over HTTP: one question, one answer, and a plain word for everything that may come back.

Source: the HTTP API of HashiCorp Vault and OpenBao (`/v1/…`, `X-Vault-Token`); decision 46.

- The token is read from its file for each question: an agent may renew it there. It is in no log, repr or error.
  A redirect is not followed: the token would go to a server that nobody named.
- TLS is verified, against the system's authorities or those of a file. Clear HTTP is for the loopback address only
  (`ops.settings` refuses the rest).
- Whatever may pass by itself is `KeyProviderUnreachable`: no connection, no answer in time, sealed, standby, too busy,
  a token that is refused or not there, an answer that is not Vault's.
- Connections are kept open and used again; one that the server closed meanwhile is replaced, once.
- OpenBao answers 500 to one of two writes of the same thing at once, and leaves it to the client to ask again: whoever
  writes says that this may be done.

It knows no keys (`ops.keys.vault_provider`), and does not renew the token.
"""

from __future__ import annotations

import random
import ssl
import time
import weakref
from collections import deque
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from records.errors import KeyProviderUnreachable

ANSWER_SECONDS = 5.0
"""Whoever needs a key waits this long at most for each step of an answer; a server nearby takes milliseconds."""
MAX_ANSWER_BYTES = 1 << 20
KEPT_CONNECTIONS = 16
WRITE_TRIES = 12
WRITE_WAIT_SECONDS = 0.02
"""The longest wait before the second try; it doubles until `LONGEST_WRITE_WAIT_SECONDS`. All tries: 5 s at most."""
LONGEST_WRITE_WAIT_SECONDS = 0.6
ANSWERED = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""Vault says of these that the question was understood; everything else may be otherwise a minute later."""


class Answer(NamedTuple):
    """What came back: one of `ANSWERED`, and the body."""

    status: int
    body: bytes

    @property
    def done(self) -> bool:
        """Whether it did what was asked."""
        return self.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT)


class TokenRefused(KeyProviderUnreachable):
    """The token may not do this, or nothing any more."""


class VaultServer:
    """A server at one address. Safe to share between threads; each process has its own."""

    def __init__(
        self, address: str, token_file: Path, ca_file: Path | None = None, namespace: str | None = None
    ) -> None:
        """Remember where it is; nothing is asked yet.

        Args:
            address: `https://host:port`, or `http://` on the loopback address.
            token_file: holds the token.
            ca_file: PEM of the authorities that vouch for the server; the system's by default.
            namespace: of an enterprise server.

        Raises:
            KeyProviderUnreachable: the file of the authorities cannot be read.
        """
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port
        self._token_file = token_file
        self._namespace = namespace
        self._idle: deque[HTTPConnection] = deque()
        # Nobody closes a provider: its connections end with the last who holds it.
        weakref.finalize(self, _close, self._idle)
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                raise KeyProviderUnreachable("the file of Vault's authorities cannot be read") from error

    def __repr__(self) -> str:
        return "VaultServer()"

    def write(self, path: str, body: dict[str, object] | None = None) -> Answer:
        """Ask for a change below `/v1/` that may be made twice, and again while the server answers 500.

        Raises:
            TokenRefused: the token may not do it.
            KeyProviderUnreachable: there is no answer now; the change may have been made or not.
        """
        longest = WRITE_WAIT_SECONDS
        for _ in range(WRITE_TRIES - 1):
            answer = self._asked("POST", path, body)
            if answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                return _answered(answer)
            time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads those who write at once; no secret
            longest = min(2 * longest, LONGEST_WRITE_WAIT_SECONDS)
        return self.ask("POST", path, body)

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """Ask one question below `/v1/`.

        Raises:
            TokenRefused: the token may not ask it.
            KeyProviderUnreachable: there is no answer now, or none that says anything about the question.
        """
        return _answered(self._asked(method, path, body))

    def _asked(self, method: str, path: str, body: dict[str, object] | None) -> Answer:
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true", "Content-Type": "application/json"}
        if self._namespace is not None:
            headers["X-Vault-Namespace"] = self._namespace
        data = None if body is None else msgspec.json.encode(body)
        return self._answer(method, f"/v1/{path}", data, headers)

    def _answer(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            if self._idle:
                try:
                    return self._exchange(self._idle.pop(), method, path, data, headers)
                except (ConnectionError, IndexError):
                    # The server closed it while it was idle, or another thread took it. Asking again may turn a key
                    # twice: one generation more.
                    pass
            return self._exchange(self._connect(), method, path, data, headers)
        except (OSError, HTTPException) as error:
            raise KeyProviderUnreachable(_failed(error)) from error

    def _connect(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)
        return HTTPSConnection(self._host, self._port, timeout=ANSWER_SECONDS, context=self._tls)

    def _exchange(
        self, connection: HTTPConnection, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Answer:
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            body = response.read(MAX_ANSWER_BYTES)
        except BaseException:
            connection.close()
            raise
        if response.isclosed() and not response.will_close and len(self._idle) < KEPT_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(response.status, body)

    def _token(self) -> str:
        try:
            token = self._token_file.read_bytes().strip().decode("ascii")
        except (OSError, ValueError) as error:
            raise KeyProviderUnreachable("the file of Vault's token cannot be read now") from error
        if not token or not token.isprintable():
            raise KeyProviderUnreachable("the file of Vault's token holds none")
        return token


def _close(idle: deque[HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _failed(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "nobody vouches for the certificate of the Vault server"
        case TimeoutError():
            return "the Vault server does not answer in time"
        case _:
            return "the Vault server cannot be reached"


def _answered(answer: Answer) -> Answer:
    match answer.status:
        case HTTPStatus.FORBIDDEN | HTTPStatus.UNAUTHORIZED:
            raise TokenRefused("the Vault server refuses the token")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            raise KeyProviderUnreachable("the Vault server is sealed")
        case status if status not in ANSWERED:
            raise KeyProviderUnreachable(f"the Vault server answers with HTTP {status}")
    return answer
