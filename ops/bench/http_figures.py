"""Over HTTP: what a current view and a signed note cost beside a constant document through the same app.

- 32 kept connections on loopback from one process, the service in another; both machine-wide, so two processors.
- The three kinds take turns: constant document, current view with its durable access event, POST of a signed note of
  1 KiB. The p99 of each is compared with the constant document's.
- Each connection has its own token, since the service limits each token.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from ops.bench.bench_clinic import CLIENTS, EVENTS_EACH, BenchClinic
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.http_requests import reading, signing, write_plan
from ops.bench.http_service import CONSTANT_PATH, serving
from ops.bench.rounds import Turn, middle_p99_ms, middle_rate, rate_ratio, take_turns
from ops.bench.turn_process import TurnProcess, turn_of
from projections.client_view import CLIENT_VIEW
from records.actors import Purpose

CONNECTIONS = 32
AS_A_LOAD = "from ops.bench.http_load import serve; serve()"

VIEW = Target("http-current-view", "x", at_least=0.40)
NOTE = Target("http-signed-note", "x", at_least=0.35)
VIEW_P99 = Target("http-current-view-p99", "x", at_most=2.5)
NOTE_P99 = Target("http-signed-note-p99", "x", at_most=2.5)


def measure(bench: Bench) -> Iterator[Measured]:
    """Serve a clinic and measure all figures of this file."""
    home = bench.room("http")
    clinic = BenchClinic.found(home / "clinic")
    clients = clinic.add_clients(CLIENTS, EVENTS_EACH)
    tokens = [clinic.issue_token() for _ in range(CONNECTIONS)]
    document = clinic.service.view(CLIENT_VIEW, clinic.request(), Purpose.TREAT, clients[0])
    clinic.close()
    turns = [(client, tokens[number % CONNECTIONS]) for number, client in enumerate(clients)]
    write_plan(
        home / "plan.json",
        {
            "constant": [reading(CONSTANT_PATH, token) for token in tokens],
            "view": [reading(f"/v1/clients/{client}", token) for client, token in turns],
            "note": [signing(client, token) for client, token in turns],
        },
    )
    constant_file = home / "constant.json"
    constant_file.write_bytes(msgspec.json.encode(document))
    with serving(home / "clinic", constant_file) as service:
        load = start_load(service.port, home / "plan.json")
        kinds = [_turns(bench, load, name) for name in ("constant", "view", "note")]
        constant, view, note = take_turns(bench.rounds, *kinds)
        load.stop()
    for ratio, p99, turns_of_kind in ((VIEW, VIEW_P99, view), (NOTE, NOTE_P99, note)):
        beside = f"{middle_rate(turns_of_kind):,.0f}/s; constant document {middle_rate(constant):,.0f}/s"
        yield Measured(ratio.name, rate_ratio(turns_of_kind, constant), beside)
        beside = f"{middle_p99_ms(turns_of_kind):.1f} ms; constant document {middle_p99_ms(constant):.1f} ms"
        yield Measured(p99.name, _p99_ratio(turns_of_kind, constant), beside)


def start_load(port: int, plan: Path) -> TurnProcess:
    """Start the process that makes requests."""
    return TurnProcess([sys.executable, "-c", AS_A_LOAD, str(port), str(CONNECTIONS), plan])


def _turns(bench: Bench, load: TurnProcess, name: str) -> Callable[[], Turn]:
    return partial(turn_of, [load], name, "seconds", bench.slice_seconds)


def _p99_ratio(subject: Sequence[Turn], constant: Sequence[Turn]) -> float:
    return statistics.median(own.p99_ms / other.p99_ms for own, other in zip(subject, constant, strict=True))


GROUP = Group("http", (VIEW, VIEW_P99, NOTE, NOTE_P99), measure)
