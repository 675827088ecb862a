"""Documents about the service itself: its OpenAPI document, pages to read it by, problems, and who may do what.

- Pages are plain HTML of ours: no script, no style sheet and no picture from anywhere else.
- Each `type` of a problem is the address of its page here.
- The policy page is made from the one table that the doors decide by.

They hold nothing of any client, so anyone may read them.
"""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec
from flask import Response, current_app

from api.concept import Concept
from api.door import public
from api.problems import ROWS, Unacceptable
from records.actors import Role
from records.policy import TABLE, in_words

DOCUMENT = "wellkept-openapi"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "code{background:#f2f2f2;padding:0 .2rem}"
)
HTML = {"type": "string"}

blueprint = Concept("documents", "About this service", "/")


@blueprint.route("/openapi.json", methods=["GET"])
@public("application/json", {"type": "object"})
def show_openapi() -> Response:
    """Give the OpenAPI document."""
    encoded: bytes = current_app.extensions[DOCUMENT]
    return Response(encoded, content_type="application/json")


@blueprint.route("/docs", methods=["GET"])
@public("text/html", HTML)
def show_docs() -> Response:
    """Show the operations on a page."""
    document: dict[str, Any] = msgspec.json.decode(current_app.extensions[DOCUMENT])
    rows = [
        (operation["operationId"], method.upper(), path, operation.get("summary", ""))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    table = _table(("Method", "Address", "What it does", "Operation"), [(m, p, s, o) for o, m, p, s in rows])
    links = '<p><a href="/openapi.json">OpenAPI 3.1</a> · <a href="/policy">Who may do what</a></p>'
    return _page(document["info"]["title"], links + table)


@blueprint.route("/problems/<string:name>", methods=["GET"])
@public("text/html", HTML, (200, 404))
def show_problem(name: str) -> Response:
    """Explain a problem that an answer named as its type."""
    row = ROWS.get(name)
    if row is None:
        raise Unacceptable("not-found")
    return _page(f"{row.title} ({row.status})", f"<p>{escape(row.meaning)}</p>")


@blueprint.route("/policy", methods=["GET"])
@public("text/html", HTML)
def show_policy() -> Response:
    """Show who may do what, in which relation to the client, for which purpose."""
    rows = [(action, *(in_words(grants.get(role)) or "no" for role in Role)) for action, grants in TABLE.items()]
    return _page("Who may do what", _table(("Action", *(role.value for role in Role)), rows))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _page(title: str, content: str) -> Response:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1>{content}</html>"
    )
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(page, headers=policy, content_type="text/html; charset=utf-8")
