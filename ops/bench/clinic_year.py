"""A clinic's year: how quickly it is loaded, through the same decisions as everything else.

- The file is in the clinic-year format; `--year` names it.
- The rate counts all lines of the file, those that are refused or skipped too.
- Its own memory and the served clinic's after it are measured by `ops.bench.served_year`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from ops.bench.figure import Bench, Group, Measured, NotMeasured, Target
from ops.loading.load import load_file
from ops.wiring import found, open_clinic
from records.clinic_policy import ClinicPolicy

RATE = Target("load-clinic-year", "/s", at_least=4_000.0)
LOADS = 3


def measure(bench: Bench) -> Iterator[Measured]:
    """Load the file into new clinics; the middle rate counts."""
    path = year_file(bench)
    home = bench.room("clinic-year")
    reports = []
    for number in range(1 if bench.quick else LOADS):
        data = home / f"clinic-{number}"
        found(data, "Bench clinic", ClinicPolicy())
        clinic = open_clinic(data)
        reports.append(load_file(clinic, path))
        clinic.close()
    rate = statistics.median(report.lines / report.seconds for report in reports)
    last = reports[-1]
    beside = f"{last.lines:,} lines, {last.events:,} events, {sum(last.refused.values())} refused"
    yield Measured(RATE.name, rate, beside)


def year_file(bench: Bench) -> Path:
    """Return the file.

    Raises:
        NotMeasured: it is not there.
    """
    if bench.year is None or not bench.year.exists():
        raise NotMeasured("needs the clinic-year file: --year FILE")
    return bench.year


GROUP = Group("clinic-year", (RATE,), measure)
