"""JSON as it is read from a request: strict, bounded, and without a word of it in any error.

Source: RFC 8259; CRYPTO 4 (JSON hygiene).

- Only `application/json`, valid UTF-8, one object. Duplicate keys, NaN and infinities are refused.
- Nesting deeper than any of our bodies is refused before it is looked at.
- A body is read only after the caller is known, and never beyond its limit.

It does not know fields (`api.fields`).
"""

from __future__ import annotations

import json
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.problems import Fault, Unacceptable

SMALL_BYTES = 64 * 1024
LARGE_BYTES = 1024 * 1024
DEPTH = 16


def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the exact bytes of the body.

    Raises:
        Unacceptable: `too-large`, or `not-json` by its media type.
    """
    if request.mimetype != "application/json":
        raise Unacceptable("not-json")
    # One byte more is read than is taken: a body that does not tell its length is otherwise cut off in silence.
    request.max_content_length = most_bytes + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Unacceptable("too-large") from None
    if len(body) > most_bytes:
        raise Unacceptable("too-large")
    return body


def read_object(body: bytes) -> dict[str, Any]:
    """Return the one object that the body is.

    Raises:
        Unacceptable: `malformed`.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _malformed("Is not UTF-8.") from None
    if _too_deep(text):
        raise _malformed("Is nested too deep.")
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _malformed("Is not JSON, or holds a key twice.") from None
    if not isinstance(found, dict):
        raise _malformed("Is not an object.")
    return found


def _too_deep(text: str) -> bool:
    # Brackets inside strings count too, so only texts with many of them are looked at closely.
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            inside, escaped = (character != '"' or escaped), (character == "\\" and not escaped)
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > DEPTH:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError("not a number of JSON")


def _malformed(detail: str) -> Unacceptable:
    return Unacceptable("malformed", [Fault("", detail)])
