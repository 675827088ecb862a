"""Asks a clinic what Schemathesis makes of the OpenAPI document, as every role, with the ids of a real record.

- Cases come from the document's examples, from the bounds of every field (coverage), and from chance with a fixed seed.
- Ids, versions and digests cannot be guessed, so what is right in a case and names something is replaced by what the
  clinic has: new whenever an answer used it up. What Schemathesis made wrong on purpose is sent as it is.
- Every answer goes through Schemathesis' own checks: documented status, media type, headers and schema; no 500; what
  breaks the document is refused, and what fits it is never called malformed.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple
from uuid import uuid4

import hypothesis
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth

from api.app import openapi_document
from records.actors import Purpose, Role
from tests.api.caller import Served
from tests.api.right_requests import EPISODE, RECIPES, Kitchen, Right
from tests.clinic import PURPOSES
from tests.signed_clinic import sign_log

SEED = 20
# What fits the document may still be refused: no such item, a rule, an old version, too many bytes, content that
# cannot be true, too many one-time codes that were wrong.
ACCEPTED = ["2xx", "401", "403", "404", "409", "412", "413", "422", "428", "429"]
REFUSED = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428"]
CHECKS = {
    "negative_data_rejection": {"expected-statuses": REFUSED},
    "positive_data_acceptance": {"expected-statuses": ACCEPTED},
    "missing_required_header": {"expected-statuses": ["400", "401", "403", "404"]},
}
NOT_THERAPISTS = {
    "GET /v1/audit": Role.PRIVACY_OFFICER,
    "POST /v1/audit": Role.PRIVACY_OFFICER,
    "GET /v1/audit/reviews": Role.PRIVACY_OFFICER,
    "POST /v1/audit/reviews/{review_id}": Role.PRIVACY_OFFICER,
    "GET /v1/audit/spot-checks": Role.PRIVACY_OFFICER,
    "POST /v1/audit/spot-checks/{draw_id}": Role.PRIVACY_OFFICER,
    "GET /v1/clients/{client_id}/disclosures": Role.RECORDS_CLERK,
    "POST /v1/clients/{client_id}/exports": Role.RECORDS_CLERK,
    "GET /v1/clients/{client_id}/exports/{export_id}": Role.RECORDS_CLERK,
    "GET /v1/clients/{client_id}/erasure": Role.PRIVACY_OFFICER,
    "POST /v1/clients/{client_id}/erasure": Role.PRIVACY_OFFICER,
    "GET /v1/retention": Role.PRIVACY_OFFICER,
    "POST /v1/clients/{client_id}/legal-holds": Role.PRIVACY_OFFICER,
    "POST /v1/clients/{client_id}/legal-holds/{hold_id}": Role.PRIVACY_OFFICER,
    "GET /v1/log/tile/entries": Role.PRIVACY_OFFICER,
}
"""An operation that no therapist may do, or where it is → who asks in some of their turns, so that it is reached."""
TILE = "tile"
SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
    "phases": [hypothesis.Phase.generate],
}


class Answer(NamedTuple):
    """What a case got: from which operation, as whom, and what Schemathesis found wrong with it."""

    operation: str
    role: Role | None
    status: int
    fault: str | None


def schema(longest_text: int | None) -> Any:
    """Return the document as Schemathesis reads it, without the bounds of texts that are longer than that."""
    document = deepcopy(openapi_document())
    if longest_text is not None:
        _unbind(document, longest_text)
    for path, methods in document["paths"].items():
        if f"{{{TILE}}}" in path:
            _unshape(methods)
    settings = {"seed": SEED, "checks": CHECKS, "generation": {"with-security-parameters": False}}
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(settings))


def _unshape(methods: dict[str, Any]) -> None:
    """Take the pattern from the one part of an address that has slashes, since Schemathesis makes none with a slash."""
    for parameter in methods["get"]["parameters"]:
        if parameter["name"] == TILE:
            del parameter["schema"]["pattern"]


def _unbind(node: Any, longest_text: int) -> None:
    if isinstance(node, dict):
        if node.get("maxLength", 0) > longest_text:
            del node["maxLength"]
        for inner in node.values():
            _unbind(inner, longest_text)
    elif isinstance(node, list):
        for inner in node:
            _unbind(inner, longest_text)


class Campaign:
    """Asks one clinic; `answers` are what a test looks at."""

    def __init__(
        self, served: Served, roles: Sequence[Role | None], chances: int, longest_text: int | None = None
    ) -> None:
        """Make a campaign.

        Args:
            served: the clinic and its app.
            roles: who asks, in turn; None is somebody without a token.
            chances: how many cases come from chance, for each operation and mode.
            longest_text: texts with larger bounds are tried without them, since such cases take seconds to make.
        """
        self._served = served
        self._schema = schema(longest_text)
        self._chances = chances
        self._roles = roles
        self._colleague, _ = served.clinic.hire(Role.THERAPIST, "Ida Roe")
        therapist = served.clinic.staff[Role.THERAPIST]
        token = served.clinic.tokens[Role.THERAPIST]
        self._kitchen = Kitchen(served, served.client_id, token, self._colleague, therapist)
        episode, _ = self._kitchen.made("/episodes", EPISODE)
        session, _ = self._kitchen.booked()
        sign_log(served.clinic)
        self._named = {"episode_id": episode, "session_id": session}
        self._rights: dict[str, Right] = {}
        self._turn: dict[str, Iterator[int]] = defaultdict(itertools.count)
        self._last: dict[str, Case] = {}
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Ask everything."""
        for found in self._schema.get_all_operations():
            operation = found.ok()
            for mode in self._modes(operation):
                self._by_chance(operation.as_strategy(generation_mode=mode))
            for case in self._schema.iter_coverage_cases(
                operation,
                generation_modes=self._modes(operation),
                generation_config=self._schema.config.generation_for(operation=operation),
            ):
                self._ask(case)
            self._ask_in_turn(operation.label)

    def _ask_in_turn(self, label: str) -> None:
        """Ask what there are few cases of, an address alone above all, until everybody has asked it."""
        while label in RECIPES and sum(answer.operation == label for answer in self.answers) < len(self._roles):
            self._ask(self._last[label])

    def _modes(self, operation: Any) -> list[GenerationMode]:
        # Pages that anyone may read take nothing that could be made wrong, and neither does an address alone.
        takes = operation.label in RECIPES and (
            operation.method != "get" or any(each.name != TILE for each in operation.iter_parameters())
        )
        return list(GenerationMode) if takes else [GenerationMode.POSITIVE]

    def _by_chance(self, strategy: Any) -> None:
        @hypothesis.seed(SEED)
        @hypothesis.settings(max_examples=self._chances, **SETTINGS)
        @hypothesis.given(case=strategy)
        def ask(case: Case) -> None:
            self._ask(case)

        ask()

    def _ask(self, case: Case) -> None:
        turn = next(self._turn[case.operation.label])
        if case.meta is not None and case.meta.generation.mode.is_positive:
            self._last[case.operation.label] = case
        role = self._roles[turn % len(self._roles)]
        if role is Role.THERAPIST and turn % 4 == 0:
            label = case.operation.label
            role = NOT_THERAPISTS.get(label, NOT_THERAPISTS.get(label.rpartition("/")[0], role))
        self._send(case, role, turn)

    def _send(self, case: Case, role: Role | None, turn: int) -> None:
        label = case.operation.label
        _tidy(case)
        # What has slashes is no part of an address to Schemathesis; what such tiles answer, `test_log` looks at.
        if label in RECIPES and f"{{{TILE}}}" not in label and turn % 3 != 2:
            self._fill(case, self._right(label), role)
        headers = {} if role is None else {"Authorization": f"Bearer {self._served.clinic.tokens[role]}"}
        answered = case.call(app=self._served.app, headers=headers)
        fault = None
        try:
            case.validate_response(answered, excluded_checks=[ignored_auth], headers=headers)
        except FailureGroup as failures:
            fault = "\n".join(str(failure) for failure in failures.exceptions) + f"\n{case.as_curl_command()}"
        # A code is good for a minute at most, so whatever it got, the next one is new.
        if answered.status_code < 300 or "emergency-access" in label:
            self._rights.pop(label, None)
        self.answers.append(Answer(label, role, answered.status_code, fault))

    def _right(self, label: str) -> Right:
        if label not in self._rights:
            self._rights[label] = RECIPES[label](self._kitchen)
        return self._rights[label]

    def _fill(self, case: Case, right: Right, role: Role | None) -> None:
        if _is_right(case, ParameterLocation.PATH):
            known = {"client_id": str(self._served.client_id), **right.ids}
            # Only what the address names: anything more would make a right case wrong.
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        if right.query is not None and _is_right(case, ParameterLocation.QUERY):
            case.query = dict([right.query.split("=")])
        if _is_right(case, ParameterLocation.HEADER):
            self._fill_headers(case, right, role)
        if _is_right(case, ParameterLocation.BODY) and isinstance(case.body, dict):
            case.body = {**case.body, **self._known(case.operation.label, case.body, right)}

    def _fill_headers(self, case: Case, right: Right, role: Role | None) -> None:
        if case.operation.method == "post":
            case.headers["Idempotency-Key"] = str(uuid4())
        if right.if_match is not None:
            case.headers["If-Match"] = f'"{right.if_match}"'
        if "Purpose-Of-Use" in case.headers and role is not None:
            case.headers["Purpose-Of-Use"] = PURPOSES[role].value

    def _known(self, label: str, body: dict[str, Any], right: Right) -> dict[str, Any]:
        known = {name: value for name, value in self._named.items() if body.get(name) is not None}
        if "text_sha256" in body and right.body is not None:
            known["text_sha256"] = right.body["text_sha256"]
        if "emergency-access" in label and "code" in body and right.body is not None:
            known["code"] = right.body["code"]
        if "id" in body:
            known["id"] = str(uuid4())
        return known


def _tidy(case: Case) -> None:
    """Take out of a case that is meant to be right what no schema can tell and Schemathesis gets wrong.

    A cursor is right only where it was given, a tag for If-Match is ours only with its quotes, and an emergency needs a
    reason, which OpenAPI cannot say of one header and another.
    """
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if case.headers.get("Purpose-Of-Use") == Purpose.ETREAT and not case.headers.get("Access-Reason"):
            case.headers["Access-Reason"] = "A crisis."
        case.headers.pop("If-Match", None)
        case.query.pop("cursor", None)


def _is_right(case: Case, location: ParameterLocation) -> bool:
    if case.meta is None:
        return False
    component = case.meta.components.get(location)
    return component is not None and component.mode.is_positive
