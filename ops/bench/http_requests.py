"""Requests as bytes, and plans of them for `ops.bench.http_load`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.bench.treatment import NOTE_TEXT

Request = tuple[str, str | None]
"""A request: whole, or its parts before and after the retry key."""

_NOTE = json.dumps({"kind": "progress", "format": "free", "sections": {"text": NOTE_TEXT}})


def reading(path: str, token: str, purpose: str = "TREAT") -> Request:
    """Return a GET of a clinical reading."""
    return f"GET {path} HTTP/1.1\r\n{_headers(token)}Purpose-Of-Use: {purpose}\r\n\r\n", None


def signing(client: object, token: str) -> Request:
    """Return the POST that signs a note of 1 KiB, its retry key left open."""
    length = len(_NOTE.encode())
    return (
        f"POST /v1/clients/{client}/notes HTTP/1.1\r\n{_headers(token)}Content-Type: application/json\r\n"
        f"Content-Length: {length}\r\nIdempotency-Key: ",
        f"\r\n\r\n{_NOTE}",
    )


def write_plan(path: Path, plan: Mapping[str, Sequence[Request]]) -> None:
    """Write a plan: name → requests in their order."""
    path.write_text(json.dumps(plan))


def _headers(token: str) -> str:
    return f"Host: 127.0.0.1\r\nAccept: application/json\r\nAuthorization: Bearer {token}\r\n"
