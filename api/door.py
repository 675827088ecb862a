"""The door of HTTP: every route says what it is, and is let in by one and the same way.

Source: DESIGN (the two doors); CONTRACT (HTTP).

- A route is declared by `reads` (an action and its purpose), `changes` (a decision), `proves` (hashes of the log) or
  `public`; else it is not served.
- The answer is decided in this order: who asks, how often, permission, form of the request, version, rule. A form that
  is wrong is told only to those who were permitted, and leaves an access entry where a client was named.
- A POST needs a retry key; its address is part of what it says.

It decides nothing and stores nothing: `records.service` does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from flask import Response, request
from marshmallow import Schema, ValidationError

from api import headers
from api.answers import JSON, Written, schema_of
from api.calls import Change, Proving, Reading, the_door
from api.cursors import MAX_LENGTH
from api.fields import Body, Instant, Line, QueryWhole, faults
from api.forms import accepted
from api.json_body import SMALL_BYTES, read_body, read_object
from api.operations import describe_change, describe_proof, describe_public, describe_reading
from api.problems import Fault, Unacceptable
from records.actors import Purpose
from records.decision import Decision
from records.reader import View
from records.request import IdempotencyKey, Request

Place = type[int] | type[UUID] | type[str]


class Declared(NamedTuple):
    """What a route is: `reading`, `change`, `proof`, `constant` or `public`; and its action in the policy table."""

    kind: str
    action: str | None = None


class PageQuery(Body):
    """Which page of a list."""

    cursor = Line(MAX_LENGTH, metadata={"description": "`next` of the page before."})
    limit = QueryWhole(1, 50)


class PastQuery(Body):
    """As it was known, and as it was, at past moments."""

    known_at = Instant()
    valid_at = Instant()


def reads(
    view: View | str,
    *,
    query: type[Body],
    document: type[msgspec.Struct] | Any,
    places: Place | None = None,
    tagged: bool = False,
    forms: type[msgspec.Struct] | None = None,
    finds: bool = False,
    media_types: Sequence[str] = (JSON,),
    path: Sequence[dict[str, Any]] = (),
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Declare a route as a clinical reading.

    Args:
        view: the view, or its action where the view belongs to the opened clinic.
        query: schema of the address's parameters; `known_at` and `valid_at` go to the view as they are.
        document: what is sent: a Struct, or a schema.
        places: of what type the cursor's place is, for pages.
        tagged: whether the answer has an ETag.
        forms: what the page's items are, where it can be had as NDJSON, CSV and FHIR too.
        finds: whether it may not find what the address names, though that is no client.
        media_types: those that the answer may be of.
        path: parts of the address that need describing.
    """
    action = view if isinstance(view, str) else view.action
    schema = query()

    def wrap(function: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(function)
        def route(**places_named: Any) -> Response:
            door = the_door()
            asked = door.enter()
            client_id: UUID | None = places_named.get("client_id")
            purpose, form = None, JSON
            try:
                purpose = headers.purpose_of_use(request)
                form = JSON if forms is None else accepted(request)
                asked = _with_plea(asked, purpose)
                parameters = read_query(schema)
                scope = _scope(action, client_id, asked, parameters)
                if "cursor" in parameters and places is not None:
                    parameters["after"] = places(door.cursors.open(parameters.pop("cursor"), *scope))
            except Unacceptable as fault:
                door.turn_away(action, client_id, asked, fault, purpose)
            return function(Reading(door, asked, purpose, parameters, scope, form, forms), **places_named)

        operation = describe_reading(
            function,
            query,
            _described(document, paged=places is not None),
            names=finds or bool(set(function.__annotations__) - {"reading", "return"}),
            tagged=tagged,
            forms=forms is not None,
            media_types=media_types,
            path=path,
        )
        return _declare(route, Declared("reading", action), operation)

    return wrap


def changes(
    decision: Decision | str,
    *,
    body: type[Body] | None = None,
    example: Mapping[str, Any] | None = None,
    versioned: bool = False,
    located: bool = False,
    statuses: Sequence[int] = (201, 200),
    document: type[msgspec.Struct] = Written,
    most_bytes: int = SMALL_BYTES,
    further: Sequence[int] = (),
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Declare a route as a change.

    Args:
        decision: what is decided, or its action where a door of its own does it.
        body: schema of what is sent; None where nothing is.
        example: a body that is right, for the document.
        versioned: whether it builds on what was read (If-Match).
        located: whether what it makes has an address of its own.
        statuses: how it answers when it is done.
        document: what is sent back.
        most_bytes: how large the body may be.
        further: statuses of problems that only this route has.
    """
    action = decision if isinstance(decision, str) else decision.permission
    schema = None if body is None else body()

    def wrap(function: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(function)
        def route(**path: UUID) -> Response:
            door = the_door()
            asked = door.enter()
            try:
                asked, content = _understand(asked, schema, most_bytes)
            except Unacceptable as fault:
                door.turn_away(action, path.get("client_id"), asked, fault)
            decided = decision if isinstance(decision, Decision) else None
            return function(Change(door, asked, decided, content), **path)

        operation = describe_change(
            function,
            body,
            schema_of(document),
            example=example,
            statuses=statuses,
            keyed=201 in statuses,
            versioned=versioned,
            located=located,
            further=further,
        )
        return _declare(route, Declared("change", action), operation)

    return wrap


def proves(
    action: str,
    *,
    query: type[Body],
    media_type: str,
    document: Any,
    path: Sequence[dict[str, Any]] = (),
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Declare a route that shows the log's own proofs: hashes and signatures, which hold nothing of anyone.

    It needs a token and a permission and no purpose, and leaves no entry: a log whose checking made it grow could never
    be checked to its end.

    Args:
        action: its action in the policy table.
        query: schema of the address's parameters.
        media_type: of the answer.
        document: schema of the answer.
        path: parts of the address that need describing.
    """
    schema = query()

    def wrap(function: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(function)
        def route(**named: str) -> Response:
            door = the_door()
            asked = door.enter()
            door.service.admit(action, None, asked)
            return function(Proving(door.proofs, read_query(schema)), **named)

        return _declare(route, Declared("proof", action), describe_proof(function, query, media_type, document, path))

    return wrap


def constant(query: type[Body]) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """Declare a route that passes the whole door and then answers what holds nothing of anyone, for measuring."""
    schema = query()

    def wrap(function: Callable[[], Response]) -> Callable[[], Response]:
        @functools.wraps(function)
        def route() -> Response:
            the_door().enter()
            headers.purpose_of_use(request)
            read_query(schema)
            return function()

        operation = describe_reading(function, query, None, names=False, tagged=False)
        return _declare(route, Declared("constant"), operation)

    return wrap


def public(
    media_type: str, schema: Any, statuses: Sequence[int] = (200,)
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Declare a route that anyone may read, since it holds nothing of anyone."""

    def wrap(function: Callable[..., Response]) -> Callable[..., Response]:
        return _declare(function, Declared("public"), describe_public(function, media_type, schema, statuses))

    return wrap


def read_query(schema: Schema) -> dict[str, Any]:
    """Return the parameters of the address.

    Raises:
        Unacceptable: one is unknown, sent twice or wrong.
    """
    if not request.query_string:
        return {}
    sent = request.args.to_dict(flat=False)
    if any(len(values) > 1 for values in sent.values()):
        raise Unacceptable("malformed", [Fault("/query", "Names a parameter twice.")])
    try:
        found: dict[str, Any] = schema.load({name: values[0] for name, values in sent.items()})
    except ValidationError as error:
        raise Unacceptable("malformed", faults(error.messages, schema, "/query")) from None
    return found


def _understand(asked: Request, schema: Schema | None, most_bytes: int) -> tuple[Request, dict[str, Any]]:
    key, version = headers.idempotency_key(request), headers.if_match(request)
    if request.query_string:
        raise Unacceptable("malformed", [Fault("/query", "This address takes no parameters.")])
    body = b"" if schema is None else read_body(request, most_bytes)
    content = {} if schema is None else read_object(body)
    if key is not None:
        # The address is part of what is sent: the same body means another thing under another goal.
        route = f"{request.method} {request.url_rule}"
        asked = asked._replace(idempotency=IdempotencyKey(route, key, request.path.encode() + b"\n" + body))
    if schema is not None:
        try:
            content = schema.load(content)
        except ValidationError as error:
            raise Unacceptable("invalid-content", faults(error.messages, schema, "")) from None
    return asked._replace(if_match=version), content


def _with_plea(asked: Request, purpose: Purpose) -> Request:
    if purpose is Purpose.ETREAT or headers.pleads(request):
        return asked._replace(plea=headers.plea(request, purpose))
    return asked


def _described(document: type[msgspec.Struct] | Any, *, paged: bool) -> Any:
    if isinstance(document, type) and issubclass(document, msgspec.Struct):
        return schema_of(document, *(("next",) if paged else ()))
    return document


def _scope(action: str, client_id: UUID | None, asked: Request, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    # Two lists may be one act: the address tells them apart.
    scope = (action, str(request.url_rule), str(client_id), asked.actor.id)
    if not parameters:
        return scope
    question = sorted((name, str(value)) for name, value in parameters.items() if name not in ("cursor", "limit"))
    return (*scope, *(part for pair in question for part in pair))


def _declare(route: Callable[..., Response], declared: Declared, operation: dict[str, Any]) -> Callable[..., Response]:
    route.declared = declared  # type: ignore[attr-defined]  # a function carries what it is to the url map
    route._apidoc = {"manual_doc": operation}  # type: ignore[attr-defined]  # where flask-smorest looks
    return route
