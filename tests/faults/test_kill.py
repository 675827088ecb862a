"""kill -9 under load: what was acknowledged is there, what was released has its entry, and nothing is half stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors import Doors
from tests.faults.kill_rounds import hold, kill_once

THREADS = 8


def run(folder: Path, kills: int, seed: int) -> None:
    """Kill a clinic so many times, one life after another, and check it after each."""
    doors = Doors(folder)
    clients = [doors.client() for _ in range(2 * THREADS)]
    doors.read(clients[0])
    doors.close()
    wrote = read = in_flight = 0
    for kill in range(kills):
        claims = kill_once(doors.data, doors.therapist, clients, THREADS, seed + kill)
        hold(doors.data, doors.therapist, claims)
        wrote, read = wrote + len(claims.wrote), read + len(claims.read)
        in_flight = max(in_flight, len(claims.in_flight))
    assert wrote > 10 * kills, "too little was written to prove anything"
    assert read > 10 * kills, "too little was read to prove anything"
    assert in_flight >= 2, "nothing was in flight when it was killed"


def test_a_kill_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    run(tmp_path, kills=4, seed=100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1000, 2000, 3000, 4000])
def test_two_hundred_kills_under_load_lose_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """Fifty lives of each of four clinics: a clinic that grows on would only make each check longer."""
    run(tmp_path, kills=50, seed=seed)
