"""The memory of a service that holds a clinic's year and has answered 10,000 mixed requests over all its clients.

- The clinic-year is loaded, then served by a new process; each request is made by the client's own therapist.
- Of ten requests six are current views; the others are a page of history, a page of who looked, a caseload, a note.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

from ops.bench.clinic_year import year_file
from ops.bench.figure import Bench, Group, Measured, NotMeasured, Target
from ops.bench.http_figures import CONNECTIONS, start_load
from ops.bench.http_requests import Request, reading, signing, write_plan
from ops.bench.http_service import serving
from ops.bench.turn_process import turn_of
from ops.loading.load import load_file
from ops.wiring import Clinic, found, now, open_clinic, operator
from records.clinic_policy import ClinicPolicy
from records.request import Request as Asked
from records.staff import issue_token

REQUESTS = 10_000
QUICK_REQUESTS = 500
MIX = ("view", "view", "timeline", "view", "note", "view", "access-report", "view", "caseload", "view")

MEMORY = Target("served-year-memory", "MiB", at_most=200.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Load, serve, ask, and read the memory."""
    path = year_file(bench)
    home = bench.room("served-year")
    found(home / "clinic", "Bench clinic", ClinicPolicy())
    clinic = open_clinic(home / "clinic")
    load_file(clinic, path)
    write_plan(home / "plan.json", {"mixed": _mixed(clinic)})
    clinic.close()
    count = QUICK_REQUESTS if bench.quick else REQUESTS
    with serving(home / "clinic") as service:
        try:
            before = service.memory_mib()
        except FileNotFoundError as missing:
            raise NotMeasured("needs /proc, which Linux has") from missing
        load = start_load(service.port, home / "plan.json")
        turn = turn_of([load], "mixed", "count", count)
        load.stop()
        beside = f"{before:.0f} MiB before {count:,} requests, answered at {turn.rate:,.0f}/s"
        yield Measured(MEMORY.name, service.memory_mib(), beside)


def _mixed(clinic: Clinic) -> list[Request]:
    """Return the requests of one round over all clients, each with a token of a therapist of the client."""
    teams = clinic.service.directory.teams
    treating = {
        client: next(staff for staff, part in team.parts.items() if part == "team")
        for client, team in teams.items()
        if "team" in team.parts.values()
    }
    tokens = {
        staff: itertools.cycle([_token(clinic, staff) for _ in range(CONNECTIONS)]) for staff in set(treating.values())
    }
    kinds = itertools.cycle(MIX)
    # Each client is asked about as often as the mix is long, so that every kind of request meets every client.
    return [
        _request(next(kinds), client, next(tokens[staff]))
        for _ in range(len(MIX))
        for client, staff in treating.items()
    ]


def _request(kind: str, client: UUID, token: str) -> Request:
    path = f"/v1/clients/{client}"
    if kind == "note":
        return signing(client, token)
    if kind == "caseload":
        return reading("/v1/caseload", token)
    return reading(path if kind == "view" else f"{path}/{kind}", token)


def _token(clinic: Clinic, staff: str) -> str:
    token = "wk_" + secrets.token_urlsafe(32)
    clinic.service.transact(
        UUID(staff),
        issue_token,
        Asked(operator(), "bench"),
        token_id=uuid4(),
        digest=clinic.service.token_digest(token),
        expires_at=now() + timedelta(days=1),
    )
    return token


GROUP = Group("served-year", (MEMORY,), measure)
