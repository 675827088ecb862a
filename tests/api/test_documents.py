"""The OpenAPI document: valid, whole, and the same with and without a clinic."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from api.app import openapi_document
from records.actors import Relation, Role
from records.policy import TABLE
from tests.api.caller import Served, validator

OPERATIONS = [
    (path, method, operation)
    for path, methods in openapi_document()["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
]
HASHES_OF_THE_LOG = {"/v1/log/checkpoint", "/v1/log/tile/{tile}", "/v1/log/proof"}
IDS = [operation["operationId"] for _, _, operation in OPERATIONS]


def test_it_is_what_is_served(served: Served) -> None:
    assert served.call("GET", "/openapi.json", by=None).json == openapi_document()
    assert openapi_document()["openapi"].startswith("3.1")


def test_every_operation_has_an_id_of_its_own() -> None:
    assert len(set(IDS)) == len(IDS) >= 38


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=IDS)
def test_an_operation_is_whole(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert "security" in operation
    statuses = set(operation["responses"])
    if path.startswith("/v1"):
        assert {"400", "401", "403", "429", "500", "503"} <= statuses
        named = {parameter.get("name") for parameter in operation["parameters"]}
        if method == "get":
            # A purpose is stated for every reading; the log's own hashes are read by whoever checks it, for no client.
            assert ("Purpose-Of-Use" in named) == (path not in HASHES_OF_THE_LOG)
        else:
            assert "Idempotency-Key" in named
            assert ("If-Match" in named) == ({"412", "428"} <= statuses)
    if method == "post":
        content = operation["requestBody"]["content"]["application/json"]
        examples = [each["value"] for each in content["examples"].values()]
        assert examples
        for example in examples:
            validator(json.dumps(content["schema"])).validate(example)


def test_every_schema_is_one() -> None:
    for name, schema in openapi_document()["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert name


def test_every_reference_leads_somewhere() -> None:
    document = openapi_document()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                found: Any = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(document)


def test_what_is_sent_takes_no_unknown_fields() -> None:
    schemas = openapi_document()["components"]["schemas"]
    bodies = [schema for name, schema in schemas.items() if name.endswith("Body")]
    assert len(bodies) >= 15
    assert all(schema["additionalProperties"] is False for schema in bodies)


def test_the_page_of_the_policy_tells_every_grant(served: Served) -> None:
    page = served.http.get("/policy").text
    rows = {row.split("<", 1)[0]: row for row in page.split("<tr><td>")[1:]}
    assert set(rows) == set(TABLE)
    for action, grants in TABLE.items():
        cells = [cell.partition("</td>")[0] for cell in rows[action].split("<td>")[1:]]
        for role, cell in zip(Role, cells, strict=True):
            grant = grants.get(role)
            assert (cell == "no") is (grant is None), (action, role)
            if grant is not None:
                opens = grant.emergency or Relation.EMERGENCY in grant.relations
                assert ("emergency" in cell) is opens, (action, role)
                assert all(relation.value in cell for relation in grant.relations), (action, role)
                assert all(purpose.value in cell for purpose in grant.purposes), (action, role)
