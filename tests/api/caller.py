"""Callers of the app: as each role, with every answer held against its schema in the OpenAPI document."""

from __future__ import annotations

import functools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app, openapi_document
from api.rate_limit import Rate
from records.access import AccessRecorded
from records.actors import Role
from tests.clinic import PURPOSES, StaffedClinic

GENEROUS = Rate(burst=100_000, per_second=100_000)
T, S, DESK = Role.THERAPIST, Role.SUPERVISOR, Role.FRONT_DESK
OFFICER, CLERK, ADMIN = Role.PRIVACY_OFFICER, Role.RECORDS_CLERK, Role.ADMINISTRATOR


class Served:
    """A clinic behind its app. `call` asks as a role; the answer was held against its schema when it returns."""

    def __init__(self, clinic: StaffedClinic, rate: Rate = GENEROUS, **settings: Any) -> None:
        self.clinic = clinic
        self.alarms: list[tuple[str, dict[str, object]]] = []
        self.settings = {"rate": rate, "alarm": lambda *told: self.alarms.append(told), **settings}
        self.serve(clinic.opened)
        self.client_id = clinic.register()

    def serve(self, opened: Any) -> None:
        """Serve an opened clinic from now on."""
        self.app = create_app(opened, **self.settings)
        self.http: FlaskClient = self.app.test_client()

    def restart(self) -> None:
        """Close the clinic, open it again and serve it."""
        self.clinic.reopen()
        self.serve(self.clinic.opened)

    # --- asking

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        by: Role | None = T,
        token: str | None = None,
        key: str | None = None,
        if_match: int | str | None = None,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> TestResponse:
        """Ask, and hold the answer against the document."""
        sent = self.headers(method, by, token, key, if_match)
        sent.update(headers or {})
        if body is not None and "data" not in rest:
            rest["data"] = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        answered = self.http.open(path, method=method, headers={k: v for k, v in sent.items() if v}, **rest)
        hold(method, path.partition("?")[0], answered)
        return answered

    def headers(
        self, method: str, by: Role | None, token: str | None, key: str | None, if_match: int | str | None
    ) -> dict[str, str]:
        sent: dict[str, str] = {}
        secret = token or (self.clinic.tokens[by] if by is not None else None)
        if secret is not None:
            sent["Authorization"] = f"Bearer {secret}"
        if method == "GET" and by is not None:
            sent["Purpose-Of-Use"] = PURPOSES[by].value
        if method == "POST":
            sent["Idempotency-Key"] = key or str(uuid4())
        elif key is not None:
            sent["Idempotency-Key"] = key
        if if_match is not None:
            sent["If-Match"] = if_match if isinstance(if_match, str) else f'"{if_match}"'
        return sent

    def of(self, path: str = "", client_id: UUID | None = None) -> str:
        """Return an address under the client."""
        return f"/v1/clients/{client_id or self.client_id}{path}"

    def post(self, path: str, body: Any, **rest: Any) -> TestResponse:
        """POST to an address under the client."""
        return self.call("POST", self.of(path), body, **rest)

    def get(self, path: str = "", **rest: Any) -> TestResponse:
        """GET an address under the client."""
        return self.call("GET", self.of(path), **rest)

    def made(self, path: str, body: Any, **rest: Any) -> tuple[str, int]:
        """POST what must succeed; return id and version."""
        answered = self.post(path, body, **rest)
        assert answered.status_code in (200, 201), answered.json
        assert answered.json is not None
        return answered.json["id"], answered.json["version"]

    # --- what a record is made of

    def episode(self, **more: Any) -> tuple[str, int]:
        """Open an episode."""
        return self.made("/episodes", {"format": "individual", "modality": "DIT", "protocol": "dit-manual", **more})

    def consent(self, **more: Any) -> tuple[str, int]:
        """Take the consent to treatment."""
        form = {"form_id": "treatment", "form_version": "3"}
        return self.made("/consents", {"kind": "treatment", "outcome": "given", "form": form, **more})

    def note(self, text: str = "Came on time.", **rest: Any) -> tuple[str, int]:
        """Sign a note."""
        return self.made("/notes", {"kind": "progress", "format": "free", "sections": {"text": text}}, **rest)

    # --- what was stored

    def stored(self) -> int:
        """Return how many entries the ledger has."""
        return int(self.clinic.store.head().next_index)

    def events(self, client_id: UUID | None = None) -> int:
        """Return how many events the client's record has."""
        return len(self.clinic.reader.events(client_id or self.client_id))

    def access(self, client_id: UUID | str | None = "own") -> list[AccessRecorded]:
        """Return the access events of the client, or with None of what named none."""
        whose = self.client_id if client_id == "own" else client_id
        return [recorded.event for recorded in self.clinic.reader.access_events(whose)]


def ahead(**by: float) -> str:
    """Return a time from now on, as it is sent."""
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


# --- the document


@functools.cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [
        # The number of a tile has parts of its own; every other part of an address has no slash.
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path).replace(r"\{tile\}", ".+"))), methods)
        # A concrete path comes before a templated one (OpenAPI, Path Templating).
        for path, methods in sorted(openapi_document()["paths"].items(), key=lambda item: item[0].count("{"))
    ]


@functools.cache
def validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    """Return what holds values against a schema of the document, given as JSON."""
    schema = {**json.loads(reference), "components": openapi_document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def hold(method: str, path: str, answered: TestResponse) -> None:
    """Hold an answer against the document: a documented status, its media type, its headers and its schema."""
    found = next((methods for pattern, methods in _paths() if pattern.fullmatch(path)), None)
    operation = found.get(method.lower()) if found else None
    if operation is None:
        assert answered.status_code in (404, 405), f"{method} {path} answered {answered.status_code}"
        _hold_problem(answered)
        return
    if answered.status_code == 404 and "404" not in operation["responses"]:
        raise AssertionError(f"{method} {path} does not document 404")
    assert str(answered.status_code) in operation["responses"], f"{method} {path}: {answered.status_code} undocumented"
    described = operation["responses"][str(answered.status_code)]
    if "$ref" in described:
        described = openapi_document()["components"]["responses"][described["$ref"].rpartition("/")[2]]
    for name, header in described.get("headers", {}).items():
        assert name in answered.headers or not header.get("required"), f"{method} {path} lacks {name}"
    media_type = answered.mimetype
    assert media_type in described["content"], f"{method} {path}: {media_type} undocumented"
    content = described["content"][media_type]
    # Lines of JSON are no document of JSON.
    if media_type.endswith("json") and media_type != "application/x-ndjson":
        validator(json.dumps(content["schema"])).validate(answered.json)
    if answered.status_code >= 400 and media_type != "application/json":
        _hold_problem(answered)


def _hold_problem(answered: TestResponse) -> None:
    assert answered.mimetype == "application/problem+json"
    assert answered.json is not None
    assert answered.json["status"] == answered.status_code
    assert answered.json["request_id"] == answered.headers["X-Request-Id"]
    assert answered.headers["Cache-Control"] == "no-store"
