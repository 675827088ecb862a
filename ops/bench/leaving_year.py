"""A clinic's year leaves and moves in elsewhere: both ways together, with everything that is verified on them.

- The year is loaded first, which is not measured. Then it leaves into a file, and the file moves into an empty place.
- The rate counts the log's events and readings, over the time of both: writing, verifying what was written, opening,
  verifying, writing the tables, and verifying them.
- Every record's view and timeline are then built in both places and compared; where one differs, nothing is measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ops.backups.verifying import Asked
from ops.bench.clinic_year import year_file
from ops.bench.figure import Bench, Group, Measured, Target
from ops.loading.load import load_file
from ops.moving.leaving import leave
from ops.moving.moving_in import move_in
from ops.settings import Settings, read_settings
from ops.wiring import Clinic, found, open_clinic
from projections.client_view import CLIENT_VIEW
from projections.timeline import TIMELINE
from records.actors import Actor, Purpose, Relation, Role
from records.clinic_policy import ClinicPolicy
from records.reader import Asked as ViewAsked

RATE = Target("leave-and-move-in", "/s", at_least=5_000.0)
TURNS = 3
_PASSPHRASE = b"a passphrase of the benchmark"
_COMPARED_AT = datetime(2040, 1, 1, tzinfo=UTC)


class Differs(Exception):
    """A view is not the same in both places."""


def measure(bench: Bench) -> Iterator[Measured]:
    """Let the year leave and move in; the middle rate counts."""
    path, home = year_file(bench), bench.room("leaving")
    data = home / "clinic"
    found(data, "Bench clinic", ClinicPolicy())
    with closing(open_clinic(data)) as clinic:
        load_file(clinic, path)
    rates, ways = [], []
    for number in range(1 if bench.quick else TURNS):
        began = time.perf_counter()
        file = home / f"file-{number}"
        leave(_settings(data), file, lambda: None, _PASSPHRASE, _quiet)
        left = time.perf_counter()
        to = home / f"new-{number}"
        moved = move_in(_settings(to), file, _PASSPHRASE, Asked(None, (), None, None), _quiet)
        ended = time.perf_counter()
        rates.append(moved.about.events / (ended - began))
        ways.append((left - began, ended - left))
    compared = _compare(data, to)
    out, into = (statistics.median(way) for way in zip(*ways, strict=True))
    size = file.stat().st_size >> 20
    beside = f"{moved.about.events:,} events, {size} MiB, out {out:.1f} s, in {into:.1f} s, {compared} views equal"
    yield Measured(RATE.name, statistics.median(rates), beside)


def _settings(data: Path) -> Settings:
    return msgspec.structs.replace(
        read_settings(),
        data=data,
        database_url=None,
        key_provider="file",
        key_file=None,
        key_passphrase_file=None,
        anchor=None,
    )


def _compare(one: Path, other: Path) -> int:
    """Compare each record's view and timeline; return how many views those were.

    Raises:
        Differs: names the view.
    """
    count = 0
    with closing(open_clinic(one, read_only=True)) as first, closing(open_clinic(other, read_only=True)) as second:
        for client in first.service.reader.clients():
            asked = ViewAsked(
                client_id=client,
                actor=Actor("compare", Role.THERAPIST),
                relation=Relation.TEAM,
                at=_COMPARED_AT,
                purpose=Purpose.TREAT,
                known_at=None,
                valid_at=None,
                resource=None,
                parameters={},
            )
            for view in (CLIENT_VIEW, TIMELINE):
                if _built(view, first, asked) != _built(view, second, asked):
                    raise Differs(view.action)
                count += 1
    return count


def _built(view: Any, clinic: Clinic, asked: ViewAsked) -> object:
    return msgspec.to_builtins(view.build(clinic.service.reader, asked).document)


def _quiet(_done: int, _of: int) -> None:
    """Nobody watches a benchmark."""


GROUP = Group("leaving", (RATE,), measure)
