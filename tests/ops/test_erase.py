"""Erasure by command, as the operator, the clerk, the officer and a stranger with the certificate would do it."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.verifier.erasure_check import check_certificate
from ops.verify import VerificationError
from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.disclosures import record_disclosure
from records.errors import Erased
from records.request import Request
from tests.check import check_store
from tests.ops.running import data_of, init, run, served
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


# --- the purge


def bytes_of(data: Path) -> bytes:
    """Return everything that a clinic's folder holds."""
    return b"".join(file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file())


def ciphertext(watched: Watched) -> list[bytes]:
    """Return pieces of each stored event of the client: nothing else holds them."""
    with closing(open_clinic(watched.data)) as clinic:
        states = [row.state for row in clinic.store.history(watched.client)]
    assert len(states) >= 2
    return [piece for state in states for piece in (state[20:36], state[-32:-16])]


def require_purged(watched: Watched, pieces: list[bytes], data: Path) -> None:
    """Hold a clinic's folder to what the command promises."""
    held = bytes_of(data)
    assert [piece for piece in pieces if piece in held] == []
    verified = data_of(run("verify", "--data", str(data), "--genesis", fingerprint(watched), "--json"))
    assert verified["counts"]["purged"] == len(pieces) // 2
    assert verified["erased_streams"] == [str(watched.client)]
    with closing(open_clinic(data)) as clinic:
        check_store(clinic.store)


def test_a_purge_takes_the_ciphertext_and_the_log_verifies(watched: Watched, erased: str) -> None:
    pieces = ciphertext(watched)
    assert all(piece in bytes_of(watched.data) for piece in pieces)
    paper = certificate(watched, erased)
    said = data_of(watched.run("erase", "purge", erased, "--dry-run", "--json"))
    assert said == {"id": erased, "client": str(watched.client), "left": len(pieces) // 2}
    assert all(piece in bytes_of(watched.data) for piece in pieces)
    done = data_of(watched.run("erase", "purge", erased, "--yes", "--json", by="officer"))
    count = len(pieces) // 2
    assert done == {"id": erased, "client": str(watched.client), "now": count, "total": count, "swept": True}
    require_purged(watched, pieces, watched.data)
    assert "completed, purged" in watched.run("erase", "status").stdout
    again = watched.run("erase", "purge", erased, "--yes")
    assert again.exit_code == 0, again.stderr
    assert f"0 events purged now, {count} in all." in again.stderr
    assert "Backups" in again.stderr
    assert data_of(watched.run("erase", "purge", erased, "--dry-run", "--json"))["left"] == 0
    assert watched.run("doctor").exit_code == 0
    # What was proved before is proved still, and so is what is written now.
    check_certificate(json.dumps(paper).encode(), fingerprint(watched))
    check_certificate(json.dumps(certificate(watched, erased)).encode(), fingerprint(watched))


def test_a_purge_stands_in_the_audit_of_changes(watched: Watched, erased: str) -> None:
    data_of(watched.run("erase", "purge", erased, "--yes", "--json", by="officer"))
    told = watched.run("audit", "--source", "changes", by="officer")
    assert "Pat Oakes purged what was left of an erased record" in told.stdout, told.stdout + told.stderr


def test_a_purge_is_refused_in_words(watched: Watched) -> None:
    erasure = requested(watched)
    refused = watched.run("erase", "purge", erasure, "--yes", by="officer")
    assert refused.exit_code == 1
    assert "not completed" in refused.stderr
    assert watched.run("erase", "purge", erasure, "--dry-run", by="officer").exit_code == 1
    assert watched.run("erase", "purge", erasure, "--yes", by="therapist").exit_code == 6
    assert watched.run("erase", "purge", str(UUID(int=9)), "--yes", by="officer").exit_code == 1
    verified = data_of(watched.run("verify", "--genesis", fingerprint(watched), "--json"))
    assert verified["counts"]["purged"] == 0


def test_a_bundle_and_a_backup_of_a_purged_log_verify(watched: Watched, erased: str, tmp_path: Path) -> None:
    data_of(watched.run("erase", "purge", erased, "--yes", "--json"))
    events = data_of(watched.run("verify", "--genesis", fingerprint(watched), "--json"))["counts"]["purged"]
    bundle, backup = tmp_path / "bundle.zip", tmp_path / "backup"
    assert watched.run("bundle", "-o", str(bundle), "--client", str(watched.client)).exit_code == 0
    found = data_of(run("verify", str(bundle), "--genesis", fingerprint(watched), "--json"))
    assert found["counts"]["purged"] == events
    data_of(watched.run("backup", str(backup), "--json"))
    found = data_of(watched.run("verify", str(backup), "--genesis", fingerprint(watched), "--json"))
    assert found["counts"]["purged"] == events


def test_views_that_were_deleted_before_go_with_a_vacuum(watched: Watched) -> None:
    """What the guide says of the rest: rows that were replaced or deleted lie in freed pages until then."""
    with closing(open_clinic(watched.data)) as clinic:
        (view,) = [row.state for row in clinic.store.rows("view:client") if row.stream == watched.client]
    erasure = requested(watched)
    data_of(watched.run("erase", "approve", erasure, "--yes", "--json", by="officer"))
    pieces = ciphertext(watched)
    data_of(watched.run("erase", "purge", erasure, "--yes", "--json"))
    with closing(sqlite3.connect(watched.data / "records.db", isolation_level=None)) as outside:
        outside.execute("VACUUM")
        outside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert view[20:52] not in bytes_of(watched.data)
    require_purged(watched, pieces, watched.data)


def test_a_purge_of_a_served_clinic_goes_through_the_service(watched: Watched, erased: str) -> None:
    pieces = ciphertext(watched)
    with served(watched.data):
        done = data_of(watched.run("erase", "purge", erased, "--yes", "--json", by="officer"))
        assert (done["now"], done["swept"]) == (len(pieces) // 2, True)
        held = bytes_of(watched.data)
        assert [piece for piece in pieces if piece in held] == []
    require_purged(watched, pieces, watched.data)


def test_a_purge_that_is_killed_is_done_by_the_next_one(watched: Watched, tmp_path: Path) -> None:
    # More commits than one, and pages that hold other things too.
    with closing(open_clinic(watched.data)) as clinic:
        ada = Request(Actor(watched.therapist, Role.THERAPIST), "r5")
        for _ in range(5):
            clinic.service.transact(
                watched.client,
                record_disclosure,
                ada,
                disclosure_id=uuid4(),
                recipient_kind="court",
                recipient="County Court",
                description="Dates.",
                purpose="A hearing.",
                basis="court-order",
                authorised_by=watched.therapist,
            )
    erasure = requested(watched)
    assert data_of(watched.run("erase", "approve", erasure, "--yes", "--json", by="officer"))["completed"]
    pieces, folder = ciphertext(watched), tmp_path / "killed"
    command = [sys.executable, "-m", "tests.ops.killed_purge", str(watched.data), erasure, "9", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    copies = sorted(folder.iterdir())
    left = []
    for copy in copies:
        data = copy / "clinic"
        done = data_of(run("erase", "purge", erasure, "--yes", "--json", "--data", str(data)))
        assert (done["total"], done["swept"]) == (len(pieces) // 2, True)
        left.append(done["now"])
        require_purged(watched, pieces, data)
    assert left == sorted(left, reverse=True)
    assert {left[0], left[-1]} == {len(pieces) // 2, 0}
    assert len(set(left)) > 2, "no kill fell between two commits"


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
