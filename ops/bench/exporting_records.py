"""Exporting a long record over HTTP: from asking for the release to the last byte of the bundle; and checking it.

- The record has 300 sessions and was read 300 times; it is exported with and without the record on paper.
- Each round exports it anew, so what lies above the export grows; the figure is the slowest round.
- The bundle is checked by the verifier that lies in it, as its reader does: by another process.
"""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from ops.bench.bench_clinic import BenchClinic
from ops.bench.caller import Caller
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.http_service import serving
from ops.bench.treatment import LEAD_EVENTS
from records.actors import Role
from records.epoch import genesis_fingerprint

SESSIONS = 300
EVENTS_A_SESSION = 5
READINGS = 300
QUICK_SESSIONS = 20
QUICK_ROUNDS = 2

PLAIN = Target("export-300-sessions", "s", at_most=1.0)
WITH_PDF = Target("export-300-sessions-with-pdf", "s", at_most=5.0)
VERIFYING = Target("verify-300-sessions", "s", at_most=2.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Found a clinic with one long record, and export it again and again."""
    room = bench.room("exporting")
    data = room / "clinic"
    clinic = BenchClinic.found(data)
    (client,) = clinic.add_clients(1, LEAD_EVENTS + (QUICK_SESSIONS if bench.quick else SESSIONS) * EVENTS_A_SESSION)
    clerk = clinic.hire(Role.RECORDS_CLERK, "Bench Clerk")
    tokens = [clinic.issue_token(person) for person in (clinic.therapist, clerk)]
    genesis = clinic.service.reader.body(0)
    assert genesis is not None, "a clinic has a genesis"
    fingerprint = genesis_fingerprint(genesis)
    clinic.close()
    rounds = QUICK_ROUNDS if bench.quick else bench.rounds
    with serving(data) as service:
        therapist, exporter = (Caller(service.port, token) for token in tokens)
        for _ in range(READINGS):
            therapist.call("GET", f"/v1/clients/{client}")
        for target, pdf in ((PLAIN, False), (WITH_PDF, True)):
            seconds, bundle = [], b""
            for _ in range(rounds):
                began = time.perf_counter()
                bundle = _exported(exporter, client, clerk.id, pdf=pdf)
                seconds.append(time.perf_counter() - began)
            yield Measured(target.name, max(seconds), f"best {min(seconds):.2f} s, {len(bundle) >> 10:,} KiB")
        (room / "record.zip").write_bytes(bundle)
    seconds = [_verified(room, fingerprint) for _ in range(rounds)]
    yield Measured(VERIFYING.name, max(seconds), f"best {min(seconds):.2f} s")


def released(exporter: Caller, client: UUID, clerk: str, *, pdf: bool) -> str:
    """Release an export of a record; return the address of its bundle."""
    export_id = uuid4()
    asked = {
        "id": str(export_id),
        "recipient_kind": "client",
        "recipient": "Mark Bench",
        "purpose": "The client asked for a copy.",
        "basis": "client-request",
        "authorised_by": clerk,
        "pdf": pdf,
    }
    exporter.call("POST", f"/v1/clients/{client}/exports", asked)
    return f"/v1/clients/{client}/exports/{export_id}"


def _exported(exporter: Caller, client: UUID, clerk: str, *, pdf: bool) -> bytes:
    return exporter.call("GET", released(exporter, client, clerk, pdf=pdf), purpose="PATRQT")


def _verified(room: Path, fingerprint: str) -> float:
    folder = room / f"unpacked-{uuid4()}"
    with zipfile.ZipFile(room / "record.zip") as archive:
        archive.extractall(folder)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-I", "verify.py", "--genesis", fingerprint], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - began


GROUP = Group("exporting", (PLAIN, WITH_PDF, VERIFYING), measure)
