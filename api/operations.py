"""Operations: what the OpenAPI document says of each route, from the same declaration that the door acts on.

Source: OpenAPI 3.1; RFC 9457.

- Each operation has an id, its security, its parameters, its body with an example, and every answer that it can give.
- Problems are described once for each status, as `application/problem+json`.

It does not serve the document: see `api.documents`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from marshmallow import Schema

from api.answers import JSON
from api.fields import UUID_PATTERN
from api.forms import DESCRIBED, LINK
from api.headers import ETAG_PATTERN, KEY_PATTERN, REASON_LENGTH, REASON_PATTERN
from api.problems import MEDIA_TYPE, ROWS, ProblemSchema
from records.actors import Purpose

SECURITY = "token"
READ_PROBLEMS = (400, 401, 403, 422, 429, 500, 503)
CHANGE_PROBLEMS = (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 503)

ETAG: dict[str, Any] = {
    "description": "Version of the last event that touched the resource, for If-Match.",
    "schema": {"type": "string", "pattern": ETAG_PATTERN},
}
LOCATION: dict[str, Any] = {
    "description": "Where it can be read.",
    "schema": {"type": "string", "format": "uri-reference"},
}
_RETRY: dict[str, Any] = {
    "description": "Seconds to wait before the next try.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_PROBLEM_HEADERS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {"description": "How to sign in.", "required": True, "schema": {"type": "string"}},
    },
    429: {"Retry-After": _RETRY},
    503: {"Retry-After": _RETRY},
}

PURPOSE: dict[str, Any] = {
    "in": "header",
    "name": "Purpose-Of-Use",
    "required": True,
    "description": "Why the record is read: a code of HL7 PurposeOfUse that your role and relation may state.",
    "schema": {"type": "string", "enum": [purpose.value for purpose in Purpose]},
}
REASON: dict[str, Any] = {
    "in": "header",
    "name": "Access-Reason",
    "required": False,
    "description": "With ETREAT: why the record must be read now. Characters beyond ASCII are percent-encoded UTF-8.",
    "schema": {"type": "string", "pattern": REASON_PATTERN, "minLength": 1, "maxLength": REASON_LENGTH},
    "example": "Crisis call, the treating therapist cannot be reached.",
}
EMERGENCY_ACCESS: dict[str, Any] = {
    "in": "header",
    "name": "Emergency-Access",
    "required": False,
    "description": "With ETREAT, for the first reading: the id of the emergency access that was granted.",
    "schema": {"type": "string", "format": "uuid", "pattern": UUID_PATTERN},
}
IF_MATCH: dict[str, Any] = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The ETag of what was read. Without it: 428 where the change builds on something that is there.",
    "schema": {"type": "string", "pattern": ETAG_PATTERN},
    "example": '"7"',
}


def _key(required: bool) -> dict[str, Any]:
    return {
        "in": "header",
        "name": "Idempotency-Key",
        "required": required,
        "description": "Made by the caller, new for each new request. Sent again, it gives the first answer again.",
        "schema": {"type": "string", "pattern": KEY_PATTERN, "minLength": 1, "maxLength": 128},
        "example": "b3b2b0f6-6f0e-4c58-9d0b-3a2f0a4a6a10",
    }


def add_components(spec: APISpec) -> None:
    """Add the security scheme, and one described answer for each status of a problem."""
    spec.components.security_scheme(
        SECURITY, {"type": "http", "scheme": "bearer", "description": "A token of an account; it expires."}
    )
    for status in sorted({row.status for row in ROWS.values()}):
        rows = {name: row for name, row in ROWS.items() if row.status == status}
        described: dict[str, Any] = {
            "description": " ".join(f"`{name}`: {row.meaning}" for name, row in rows.items()),
            "content": {MEDIA_TYPE: {"schema": ProblemSchema}},
        }
        if status in _PROBLEM_HEADERS:
            described["headers"] = _PROBLEM_HEADERS[status]
        spec.components.response(_component(status), described)


def describe_reading(
    function: Callable[..., Any],
    query: type[Schema],
    document: Any,
    *,
    names: bool,
    tagged: bool,
    forms: bool = False,
    media_types: Sequence[str] = (JSON,),
    path: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return the operation of a reading.

    Args:
        function: the route, whose name becomes the operation's id.
        query: schema of the address's parameters.
        document: schema of the answer.
        names: whether the address names a client, an item or an entry, and so may not find one.
        tagged: whether the answer has an ETag.
        forms: whether it can be had in forms other than JSON.
        media_types: those that the answer may be of.
        path: parts of the address that need describing, for which nothing may be found.
    """
    parameters: list[Any] = [PURPOSE, REASON, EMERGENCY_ACCESS, *path, {"in": "query", "schema": query}]
    problems = (*READ_PROBLEMS, 404, 409, 410) if names else (*READ_PROBLEMS, *((404,) if path else ()))
    headers = {"ETag": {**ETAG, "required": True}} if tagged else {}
    if forms:
        problems, headers = (*problems, 406), {**headers, "Link": LINK}
    success = _success(200, document, headers, *media_types)
    if forms:
        success["content"].update(DESCRIBED)
    return {
        "operationId": function.__name__,
        "security": [{SECURITY: []}],
        "parameters": parameters,
        "responses": {200: success, **_problems(problems)},
    }


def describe_proof(
    function: Callable[..., Any], query: type[Schema], media_type: str, schema: Any, path: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the operation of a question about the log's own proofs.

    Args:
        function: the route, whose name becomes the operation's id.
        query: schema of the address's parameters.
        media_type: of the answer.
        schema: of the answer.
        path: parts of the address that need describing.
    """
    return {
        "operationId": function.__name__,
        "security": [{SECURITY: []}],
        "parameters": [*path, {"in": "query", "schema": query}],
        "responses": {200: _success(200, schema, {}, media_type), **_problems((*READ_PROBLEMS, 404))},
    }


def describe_change(
    function: Callable[..., Any],
    body: type[Schema] | None,
    document: Any,
    *,
    example: Mapping[str, Any] | None,
    statuses: Sequence[int],
    keyed: bool,
    versioned: bool,
    located: bool,
    further: Sequence[int],
) -> dict[str, Any]:
    """Return the operation of a change.

    Args:
        function: the route, whose name becomes the operation's id.
        body: schema of what is sent.
        document: schema of the answer.
        example: a body that is right.
        statuses: how it answers when it is done.
        keyed: whether a retry key is needed.
        versioned: whether it builds on what was read.
        located: whether what it makes can be read at an address of its own.
        further: statuses of problems that only this one has.
    """
    problems = CHANGE_PROBLEMS if body is not None else tuple(s for s in CHANGE_PROBLEMS if s not in (413, 415))
    headers = {"ETag": {**ETAG, "required": True}}
    operation: dict[str, Any] = {
        "operationId": function.__name__,
        "security": [{SECURITY: []}],
        "parameters": [_key(keyed), *([IF_MATCH] if versioned else [])],
        "responses": {
            **{
                status: _success(
                    status, document, {**headers, "Location": LOCATION} if located and status == 201 else headers
                )
                for status in statuses
            },
            **_problems((*problems, *further, *((412, 428) if versioned else ()))),
        },
    }
    if body is not None:
        content: dict[str, Any] = {"schema": body}
        if example is not None:
            content["examples"] = {"example": {"value": dict(example)}}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def describe_public(
    function: Callable[..., Any], media_type: str, schema: Any, statuses: Sequence[int]
) -> dict[str, Any]:
    """Return the operation of a page or state that anyone may read."""
    return {
        "operationId": function.__name__,
        "security": [],
        "responses": {
            status: {"description": HTTPStatus(status).phrase, "content": {media_type: {"schema": schema}}}
            if status < 400 or (media_type == "application/json" and status == 503)
            else _component(status)
            for status in statuses
        },
    }


def _success(status: int, document: Any, headers: dict[str, Any], *media_types: str) -> dict[str, Any]:
    content = {each: {"schema": document} for each in media_types or (JSON,)}
    described = {"description": HTTPStatus(status).phrase, "content": content}
    return {**described, "headers": headers} if headers else described


def _problems(statuses: Sequence[int]) -> dict[int, str]:
    return {status: _component(status) for status in sorted(statuses)}


def _component(status: int) -> str:
    return f"Problem{status}"
