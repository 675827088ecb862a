"""Forms: the audit as JSON, NDJSON, CSV or FHIR, whichever the caller accepts.

Source: RFC 9110 (Accept), RFC 8288 (Link), RFC 4180, FHIR R4; CONTRACT (`/v1/audit`).

- All forms hold the same entries of the same page, made from the same sealed events.
- The next page is a cursor in JSON, and in every form a link: `Link: <…>; rel="next"`.
- A form that is not among them is 406, told only to whoever may ask.
- NDJSON and CSV are one item a line; FHIR always holds single entries, never groups.

It finds nothing and records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from flask import Request, Response

from api.answers import JSON
from api.problems import Fault, Unacceptable
from projections.audit_entry import AuditEntry
from projections.audit_fhir import MEDIA_TYPE, bundle
from projections.audit_lines import csv_page, ndjson_line

NDJSON = "application/x-ndjson"
CSV = "text/csv"
FHIR = MEDIA_TYPE
FORMS = (JSON, NDJSON, CSV, FHIR)

DESCRIBED: dict[str, dict[str, Any]] = {
    NDJSON: {"schema": {"type": "string", "description": "One entry a line."}},
    CSV: {"schema": {"type": "string", "description": "RFC 4180, with a header; one entry a line."}},
    FHIR: {
        "schema": {
            "type": "object",
            "description": "An R4 Bundle of AuditEvents, one for each entry.",
            "properties": {"resourceType": {"const": "Bundle"}, "type": {"const": "searchset"}},
            "required": ["resourceType", "type"],
        }
    },
}
"""What the document says of the forms beside JSON."""

LINK: dict[str, Any] = {
    "description": 'Where the next page is, with rel="next"; absent on the last.',
    "schema": {"type": "string"},
}


def accepted(request: Request) -> str:
    """Return the form to answer in: the one that the caller likes best, JSON where nothing is said.

    Raises:
        Unacceptable: `not-acceptable`.
    """
    if not request.accept_mimetypes:
        return JSON
    form = request.accept_mimetypes.best_match(FORMS)
    if form is None:
        raise Unacceptable("not-acceptable", [Fault("/header/Accept", "Is none of the forms of this address.")])
    return form


def following(path: str, parameters: Mapping[str, str], cursor: str | None) -> str | None:
    """Return the address of the next page, or None where this is the last."""
    return None if cursor is None else f"{path}?{urlencode({**parameters, 'cursor': cursor})}"


def link(address: str | None) -> dict[str, str]:
    """Return the header that names the next page."""
    return {} if address is None else {"Link": f'<{address}>; rel="next"'}


def answer_in(form: str, document: Any, item: type[msgspec.Struct], next_address: str | None) -> Response:
    """Return a page in a form other than JSON.

    Args:
        form: one of `FORMS`.
        document: the page; for FHIR its items are single entries.
        item: what its items are, which gives CSV its columns also where there are none.
        next_address: where the next page is.
    """
    body = _WRITERS[form](document, item, next_address)
    headers = {"Cache-Control": "no-store", **link(next_address)}
    return Response(body, 200, headers, content_type=f"{form}; charset=utf-8" if form == CSV else form)


def _ndjson(document: Any, _: type[msgspec.Struct], __: str | None) -> bytes:
    return b"".join(map(ndjson_line, document.items))


def _csv(document: Any, item: type[msgspec.Struct], _: str | None) -> bytes:
    return csv_page(document.items, item).encode()


def _fhir(document: Any, _: type[msgspec.Struct], next_address: str | None) -> bytes:
    entries: Sequence[AuditEntry] = document.items
    log: UUID = document.log
    return msgspec.json.encode(bundle(entries, log, next_address))


_WRITERS: dict[str, Callable[[Any, type[msgspec.Struct], str | None], bytes]] = {
    NDJSON: _ndjson,
    CSV: _csv,
    FHIR: _fhir,
}
