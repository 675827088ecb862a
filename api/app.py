"""The app: every route of HTTP, put together for one opened clinic.

- Nothing is served but what a door declares. HEAD and OPTIONS are not taken, so nothing is read without its entry.
- Every error leaves as a problem. One that nobody foresaw leaves as 500 with the request id, and is told to the alarm
  by the class of its error and its place in the code: its words may hold what a caller wrote.
- The OpenAPI document is made from the same declarations; it can be had without a clinic.

It opens no clinic and reads no settings: see `ops`.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable
from traceback import extract_tb
from typing import Any

import msgspec
from flask import Flask, Response
from flask_smorest import Api
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from api import (
    access_report,
    assessments,
    attachments,
    audit,
    care_team,
    caseload,
    clients,
    consents,
    disclosures,
    documents,
    emergency,
    episodes,
    erasure,
    exports,
    goals,
    health,
    legal_holds,
    log,
    notes,
    patterns,
    retention,
    reviews,
    sessions,
    spot_checks,
    timeline,
)
from api.calls import EXTENSION, Clinic, Door, request_id
from api.json_body import LARGE_BYTES
from api.operations import add_components
from api.problems import OF_STATUS, Unacceptable, name_of, problem
from api.rate_limit import FailedSignIns, Rate, RateLimit
from records.errors import IntegrityFailure, KeyMissing, KeyProviderUnreachable, WellkeptError

Alarm = Callable[[str, dict[str, object]], None]
VERSION = "1"
CONCEPTS = (
    clients,
    timeline,
    consents,
    care_team,
    episodes,
    sessions,
    assessments,
    goals,
    notes,
    attachments,
    disclosures,
    exports,
    legal_holds,
    retention,
    access_report,
    audit,
    emergency,
    reviews,
    erasure,
    caseload,
    patterns,
    spot_checks,
    log,
    health,
    documents,
)
_LOG = logging.getLogger("wellkept.http")


class _ExactRule(Rule):
    """A rule that takes the methods it names and no others."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if self.methods is not None:
            self.methods.discard("HEAD")


class _Documented(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """The OpenAPI document, without handlers of errors other than ours."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave errors to `_handle_errors`."""


def create_app(
    clinic: Clinic,
    *,
    rate: Rate | None = None,
    alarm: Alarm | None = None,
    ready: Callable[[], Iterable[str]] = tuple,
    monotonic: Callable[[], float] = time.monotonic,
) -> Flask:
    """Return the app of an opened clinic.

    Args:
        clinic: what is served.
        rate: how often one token may ask; `Rate()` where none is given.
        alarm: is told of faults that somebody must look at, as a code and facts without content.
        ready: gives codes of faults that make the service not ready.
        monotonic: seconds that never go back.
    """
    tell = alarm or _log_alarm
    app, api = _routes()
    limit = RateLimit(rate or Rate(), monotonic)

    def tell_failures(count: int) -> None:
        clinic.service.refuse_unauthenticated(count, request_id())

    app.extensions[EXTENSION] = Door(clinic, limit, FailedSignIns(tell_failures, monotonic))
    app.extensions[health.READY_CHECK] = ready
    app.extensions[documents.DOCUMENT] = msgspec.json.encode(_document(api))
    _handle_errors(app, tell)
    return app


@functools.cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; needs no clinic."""
    return _document(_routes()[1])


def _document(api: Api) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(api.spec.to_dict()))  # type: ignore[no-any-return]  # JSON of an object


def _routes() -> tuple[Flask, Api]:
    app = Flask("wellkept", static_folder=None)
    app.url_rule_class = _ExactRule
    app.config.update(
        API_TITLE="Wellkept",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        MAX_CONTENT_LENGTH=LARGE_BYTES,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    api = _Documented(
        app,
        spec_kwargs={
            "info": {"description": "Psychotherapy records as sealed events in a tamper-evident log."},
            "servers": [{"url": "/"}],
        },
    )
    add_components(api.spec)
    for concept in CONCEPTS:
        api.register_blueprint(concept.blueprint)
    return app, api


def _handle_errors(app: Flask, alarm: Alarm) -> None:
    def known(error: WellkeptError | Unacceptable) -> Response:
        name = name_of(error)
        if name is None:
            return unknown(error)
        # What is out of reach now recovers by itself: readiness says `keys` while it lasts, and no alarm latches.
        if isinstance(error, IntegrityFailure | KeyMissing) and not isinstance(error, KeyProviderUnreachable):
            alarm("http.integrity", {"error": type(error).__name__, "request_id": request_id()})
        return problem(name, request_id(), error)

    def of_http(error: HTTPException) -> Response:
        answered = problem(OF_STATUS.get(error.code or 0, "malformed"), request_id())
        for name, value in error.get_headers():
            if name == "Allow":
                answered.headers[name] = value
        return answered

    def unknown(error: Exception) -> Response:
        frames = extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
        alarm("http.defect", {"error": type(error).__name__, "where": where, "request_id": request_id()})
        return problem("defect", request_id())

    app.register_error_handler(WellkeptError, known)
    app.register_error_handler(Unacceptable, known)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, unknown)


def _log_alarm(code: str, facts: dict[str, object]) -> None:
    _LOG.error("%s %s", code, facts)
