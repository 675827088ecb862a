"""Erasure by command, as the operator, the clerk, the officer and a stranger with the certificate would do it."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.erasure_check import check_certificate
from ops.verify import VerificationError
from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.errors import Erased
from records.request import Request
from tests.ops.running import data_of, init, run
from tests.ops.test_oversight import Watched


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "clinic")


def requested(watched: Watched) -> str:
    """Request the erasure of the client as the operator; return the id."""
    asked = watched.run("erase", "request", str(watched.client), "--basis", "court-order", "--json")
    erasure: str = data_of(asked)["id"]
    return erasure


@pytest.fixture
def erased(watched: Watched) -> str:
    """An erasure that is done."""
    erasure = requested(watched)
    approved = watched.run("erase", "approve", erasure, "--yes", "--json", by="officer")
    assert data_of(approved)["completed"]
    return erasure


def certificate(watched: Watched, erasure: str) -> dict[str, Any]:
    """Return the certificate, as its file holds it."""
    file = watched.data.with_name("certificate.json")
    file.unlink(missing_ok=True)
    written = watched.run("erase", "certificate", erasure, "-o", str(file), by="officer")
    assert written.exit_code == 0, written.stderr
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def fingerprint(watched: Watched) -> str:
    found: str = data_of(watched.run("genesis", "--json"))["fingerprint"]
    return found


def test_retention_refuses_it_in_words(watched: Watched) -> None:
    refused = watched.run("erase", "request", str(watched.client), "--basis", "client-request")
    assert refused.exit_code == 1
    assert "the record is kept for 20 years" in refused.stderr
    assert "Zacanary" not in refused.stderr


def test_the_operator_asks_and_somebody_else_approves(watched: Watched) -> None:
    erasure = requested(watched)
    assert watched.run("erase", "approve", erasure, "--yes").exit_code == 6
    assert watched.run("erase", "approve", erasure, "--yes", by="therapist").exit_code == 6
    listed = watched.run("erase", "status", by="officer")
    assert "1 wait for approval" in listed.stderr
    assert "requested" in listed.stdout
    approved = watched.run("erase", "approve", erasure, "--yes", by="officer")
    assert approved.exit_code == 0, approved.stderr
    assert "make a new backup" in approved.stderr
    listed = watched.run("erase", "status")
    assert "completed" in listed.stdout
    assert "Pat Oakes" in listed.stdout
    assert "Zacanary" not in listed.stdout + listed.stderr


def test_a_request_is_withdrawn(watched: Watched) -> None:
    erasure = requested(watched)
    done = watched.run("erase", "withdraw", erasure, "--ground", "entered-in-error", by="officer")
    assert done.exit_code == 0, done.stderr
    assert watched.run("erase", "approve", erasure, "--yes", by="officer").exit_code == 1


def test_afterwards_nothing_opens_and_the_log_verifies(watched: Watched, erased: str) -> None:
    with closing(open_clinic(watched.data)) as clinic:
        ada = Request(Actor(watched.therapist, Role.THERAPIST), "r3")
        with pytest.raises(Erased):
            clinic.service.view(CLIENT_VIEW, ada, Purpose.TREAT, watched.client)
    verified = data_of(watched.run("verify", "--genesis", fingerprint(watched), "--json"))
    assert verified["erased_streams"] == [str(watched.client)]
    assert watched.run("doctor").exit_code == 0
    assert watched.run("disclosures", "letter", str(watched.client), by="clerk").exit_code == 1


def test_the_log_verifies_while_an_erasure_is_half_done(watched: Watched) -> None:
    erasure = requested(watched)
    with closing(open_clinic(watched.data)) as clinic:
        officer = Request(Actor(watched.officer, Role.PRIVACY_OFFICER), "r4")
        clinic.erasure.approve(watched.client, UUID(erasure), officer)
        clinic.keyring.destroy(watched.client, UUID(erasure), 1)
    verified = watched.run("verify", "--genesis", fingerprint(watched), "--json")
    assert verified.exit_code == 0, verified.stdout
    assert "completes its erasure" in " ".join(data_of(verified)["warnings"])


# --- the certificate


def test_a_stranger_checks_it_by_the_fingerprint(watched: Watched, erased: str) -> None:
    told = certificate(watched, erased)
    file = str(watched.data.with_name("certificate.json"))
    good = run("erase", "check", file, "--genesis", fingerprint(watched))
    assert good.exit_code == 0, good.stderr
    assert str(watched.client) in good.stdout
    assert "destroyed the key" in good.stdout
    unpinned = run("erase", "check", file, "--json")
    assert (unpinned.exit_code, json.loads(unpinned.stdout)["status"]) == (3, "unpinned")
    assert "Zacanary" not in json.dumps(told)
    assert told["not_proved"]


def test_another_clinics_fingerprint_is_told_apart(watched: Watched, erased: str, tmp_path: Path) -> None:
    certificate(watched, erased)
    other = init(tmp_path / "other")["fingerprint"]
    file = str(watched.data.with_name("certificate.json"))
    refused = run("erase", "check", file, "--genesis", other)
    assert refused.exit_code == 3
    assert "another log" in refused.stderr


def altered(told: dict[str, Any], *path: str | int) -> bytes:
    """Return the certificate with one byte of a base64 field changed."""
    changed = json.loads(json.dumps(told))
    place = changed
    for step in path[:-1]:
        place = place[step]
    raw = bytearray(base64.b64decode(place[path[-1]]))
    raw[len(raw) // 2] ^= 1
    place[path[-1]] = base64.b64encode(raw).decode()
    return json.dumps(changed).encode()


@pytest.mark.parametrize(
    "path",
    [
        ("genesis_body",),
        ("genesis", "entry"),
        ("genesis", "hashes", 0),
        ("keys", 0, "created", "entry"),
        ("keys", 0, "created", "hashes", 0),
        ("keys", 0, "destroyed", "entry"),
        ("keys", 0, "destroyed", "hashes", -1),
    ],
    ids=str,
)
def test_a_changed_byte_is_found(watched: Watched, erased: str, path: tuple[str | int, ...]) -> None:
    told, genesis = certificate(watched, erased), fingerprint(watched)
    check_certificate(json.dumps(told).encode(), genesis)
    with pytest.raises(VerificationError):
        check_certificate(altered(told, *path), genesis)


def test_a_certificate_for_somebody_else_is_found(watched: Watched, erased: str) -> None:
    told, genesis = certificate(watched, erased), fingerprint(watched)
    forged: list[dict[str, Any]] = [json.loads(json.dumps(told)) for _ in range(4)]
    forged[0]["erasure"]["client"] = watched.therapist
    forged[1]["keys"] = []
    forged[2]["keys"][0]["destroyed"] = forged[2]["keys"][0]["created"]
    forged[3]["checkpoint"] = told["checkpoint"].replace("\n", "\n\n", 1)
    for each in forged:
        with pytest.raises(VerificationError):
            check_certificate(json.dumps(each).encode(), genesis)
