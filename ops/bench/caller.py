"""Somebody who calls a service of the benchmark with a token."""

from __future__ import annotations

import http.client
import json
from uuid import uuid4


class Caller:
    """Somebody who calls a service with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._token = token

    def call(self, method: str, path: str, body: object = None, purpose: str = "TREAT") -> bytes:
        """Send a request, and return the content of the answer, which must be good."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is None:
            headers["Purpose-Of-Use"] = purpose
        else:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            raise AssertionError(f"{method} {path} was answered {answer.status}: {content.decode()}")
        return content
