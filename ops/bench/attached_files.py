"""The memory of a service that exports a record with 500 MB of attached files, over HTTP.

- The files are as large as one may be, and do not compress.
- The figure is the most that the serving process ever held, as the kernel counts it, starting up included.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from uuid import uuid4

from ops.bench.bench_clinic import BenchClinic
from ops.bench.caller import Caller
from ops.bench.exporting_records import released
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.http_service import serving
from ops.bench.treatment import LEAD_EVENTS
from records.actors import Role
from records.attachments import MAX_BYTES
from records.request import Request

FILES, QUICK_FILES = 20, 2
READ_BYTES = 1 << 20

MEMORY = Target("export-500-mb-memory", "MiB", at_most=200.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Found a clinic with one record full of files, export it, and read the memory."""
    data = bench.room("attached") / "clinic"
    clinic = BenchClinic.found(data)
    (client,) = clinic.add_clients(1, LEAD_EVENTS)
    clerk = clinic.hire(Role.RECORDS_CLERK, "Bench Clerk")
    token = clinic.issue_token(clerk)
    files = QUICK_FILES if bench.quick else FILES
    for number in range(files):
        content = b"%PDF-1.7\n" + os.urandom(MAX_BYTES - 9)
        told = {"kind": "report", "made_by": "third-party", "title": f"Report {number}"}
        clinic.clinic.attachments.add(client, uuid4(), content, Request(clinic.therapist, "bench"), **told)
    clinic.close()
    with serving(data) as service:
        address = released(Caller(service.port, token), client, clerk.id, pdf=False)
        read = _read_through(service.port, token, address)
        if read < files * MAX_BYTES:
            raise AssertionError("the bundle was cut short")
        yield Measured(MEMORY.name, service.most_memory_mib(), f"{files} files, {read >> 20} MiB read")


def _read_through(port: int, token: str, address: str) -> int:
    """Fetch the bundle, keep nothing of it, and return how many bytes came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Purpose-Of-Use": "PATRQT"}
    connection.request("GET", address, None, headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise AssertionError(f"the bundle was answered {answer.status}")
    read = 0
    while piece := answer.read(READ_BYTES):
        read += len(piece)
    connection.close()
    return read


GROUP = Group("attached", (MEMORY,), measure)
