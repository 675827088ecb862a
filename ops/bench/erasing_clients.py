"""Erasing over HTTP: from sending the approval to the answer, when the keys are destroyed and the log says so.

- The client who is erased has 1,500 events, and its record is in the memory of the service, as that of a client whose
  erasure is being decided is. Beside it stand 2,000 other clients, whose keys are all wrapped anew.
- Each round erases another client; the figure is the slowest of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

from ops.bench.bench_clinic import BenchClinic
from ops.bench.caller import Caller
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.http_service import serving
from ops.wiring import open_clinic
from records.actors import Role

EVENTS = 1_500
OTHERS = 2_000
EVENTS_OF_OTHERS = 5
QUICK_OTHERS = 100
QUICK_ROUNDS = 2

ERASURE = Target("erase-1500-events", "s", at_most=2.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Found a clinic, and erase one client after the other."""
    data = bench.room("erasing") / "clinic"
    clinic = BenchClinic.found(data)
    clinic.add_clients(QUICK_OTHERS if bench.quick else OTHERS, EVENTS_OF_OTHERS)
    rounds = QUICK_ROUNDS if bench.quick else bench.rounds
    erased = clinic.add_clients(rounds, EVENTS)
    officers = [clinic.hire(role, f"Bench {role}") for role in (Role.RECORDS_CLERK, Role.PRIVACY_OFFICER)]
    tokens = [clinic.issue_token(person) for person in (clinic.therapist, *officers)]
    clinic.close()
    seconds: list[float] = []
    with serving(data) as service:
        therapist, clerk, officer = (Caller(service.port, token) for token in tokens)
        for client in erased:
            erasure = uuid4()
            therapist.call("GET", f"/v1/clients/{client}")
            clerk.call("POST", f"/v1/clients/{client}/erasure", {"id": str(erasure), "basis": "court-order"})
            began = time.perf_counter()
            officer.call("POST", f"/v1/clients/{client}/erasure/{erasure}/approval", {})
            seconds.append(time.perf_counter() - began)
    with closing(open_clinic(data)) as opened:
        states = opened.service.directory.clinic.erasures.values()
        if len(states) != rounds or any(state.completed_at is None for state in states):
            raise AssertionError("an erasure of the benchmark was not completed")
    beside = f"median {statistics.median(seconds):.2f} s"
    yield Measured(ERASURE.name, max(seconds), beside)


GROUP = Group("erasing", (ERASURE,), measure)
