"""Readiness: ready while records can be kept, and a code for each thing that is in the way."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.logging import configure_logging
from ops.serving.readiness import Readiness
from ops.wiring import Clinic, open_clinic
from tests.ops.running import init


class Seconds:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    init(tmp_path / "clinic")
    opened = open_clinic(tmp_path / "clinic")
    yield opened
    opened.close()


def test_an_open_clinic_is_ready_and_asking_writes_nothing(clinic: Clinic) -> None:
    before = clinic.store.head()
    assert Readiness().faults(clinic) == ()
    assert clinic.store.head() == before


def test_a_log_that_takes_nothing_is_not_ready_until_it_does(clinic: Clinic) -> None:
    seconds = Seconds()
    readiness = Readiness(seconds)
    with closing(sqlite3.connect(clinic.paths.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert readiness.faults(clinic) == ("log",)
        other.execute("ROLLBACK")
    assert readiness.faults(clinic) == ("log",), "what was found is good for a second"
    seconds.now += 1
    assert readiness.faults(clinic) == ()


def test_a_disk_that_takes_no_byte_is_not_ready_until_it_does_and_a_probe_leaves_nothing(clinic: Clinic) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        assert Readiness().faults(clinic) == ("disk",)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Readiness().faults(clinic) == ()
    for folder in (clinic.paths.data, clinic.paths.keys):
        assert not (folder / ".probe").exists()


def test_a_clinic_key_that_is_gone_is_not_ready(clinic: Clinic) -> None:
    with closing(sqlite3.connect(clinic.paths.keyring, isolation_level=None)) as keyring:
        keyring.execute("DELETE FROM data_keys WHERE key_class = 5")
    clinic.keyring.forget()
    assert "keys" in Readiness().faults(clinic)


def test_a_broken_seal_is_logged_and_not_ready_from_then_on(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    readiness = Readiness()
    assert readiness.faults(clinic) == ()
    readiness.alarm("seal-broken", {"index": 7, "error": "SealBroken"})
    assert readiness.faults(clinic) == ("integrity",)
    line = json.loads(capsys.readouterr().err)
    assert (line["code"], line["level"], line["index"]) == ("alarm.seal-broken", "error", 7)


def test_a_defect_is_logged_and_does_not_end_readiness(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    readiness = Readiness()
    readiness.alarm("http.defect", {"error": "TypeError", "where": "x.py:1", "request_id": "r"})
    assert readiness.faults(clinic) == ()
    assert json.loads(capsys.readouterr().err)["code"] == "alarm.http.defect"
