"""A clinic whose root keys are kept by each provider: founded, served, and losing it at the start and while serving."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from ops.keys.providers import create_provider, open_provider
from ops.serving.readiness import Readiness
from records.actors import Role
from tests.api.caller import Served
from tests.clinic import make_clinic
from tests.kept_keys import KeptKeys
from tests.ops.running import data_of, init, run
from tests.ops.running import served as serving


@pytest.fixture
def founded(kept: KeptKeys) -> KeptKeys:
    """A clinic that was founded by the command."""
    init(kept.data, **kept.environment)
    return kept


class Seconds:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def served(kept: KeptKeys) -> Iterator[Served]:
    """A staffed clinic behind its app, with its readiness."""
    settings = kept.settings()
    clinic = make_clinic(kept.data, keep=partial(create_provider, settings), keeper=partial(open_provider, settings))
    readiness = Readiness(Seconds())
    yield Served(clinic, ready=lambda: readiness.faults(clinic.opened))
    clinic.close()


def test_a_clinic_is_founded_and_opened_with_each_provider(founded: KeptKeys) -> None:
    environment = founded.environment
    assert data_of(run("user", "list", "--json", **environment)) == []
    assert (founded.keys / "root.key").exists() == (founded.kind == "file")
    told = data_of(run("keys", "rotate", "--destroy-old", "--yes", "--json", **environment))
    assert (told["generations"], told["destroyed"]) == ([2], [1])
    assert run("verify", **environment).exit_code in (0, 3), "an unpinned clinic is not anchored"
    findings = {found["check"]: found["state"] for found in data_of_doctor(environment)}
    assert findings["keys"] == findings["permissions"] == "ok"
    assert ("key-provider" in findings) == (founded.kind != "file")


def data_of_doctor(environment: dict[str, str]) -> list[dict[str, str]]:
    """Return the findings of the doctor."""
    findings: list[dict[str, str]] = data_of(run("doctor", "--json", **environment))["findings"]
    return findings


def test_a_provider_that_is_lost_at_the_start_is_exit_6_with_words(founded: KeptKeys) -> None:
    with founded.away():
        for command in (("serve",), ("user", "list"), ("keys", "list")):
            result = run(*command, **founded.environment)
            assert result.exit_code == 6, result.output
            assert any(word in result.stderr for word in ("sealed", "token is not there", "key file cannot be read"))
    assert run("user", "list", **founded.environment).exit_code == 0


def test_a_provider_that_is_lost_while_serving_is_503_and_comes_back_by_itself(kept: KeptKeys, served: Served) -> None:
    assert served.get().status_code == 200, "the year's audit key is there from now on"
    for _ in range(2):
        with kept.away():
            refused = served.call("POST", "/v1/clients", registration(), by=Role.FRONT_DESK)
            assert refused.status_code == 503
            assert refused.json is not None
            assert refused.json["type"] == "/problems/keys-unreachable"
            # As after the minute for which a key is leased.
            served.clinic.opened.keyring.forget()
            read, ready = served.get(), Readiness(Seconds()).faults(served.clinic.opened)
            if kept.kind == "file":
                # The file's keys stay in memory: what was opened is read on.
                assert (read.status_code, ready) == (200, ())
            else:
                assert (read.status_code, ready) == (503, ("keys",))
        assert Readiness(Seconds()).faults(served.clinic.opened) == ()
        assert served.get().status_code == 200
        assert served.call("POST", "/v1/clients", registration(), by=Role.FRONT_DESK).status_code == 201
    assert [code for code, _ in served.alarms if code in ("http.integrity", "http.defect")] == []


def registration() -> dict[str, object]:
    """Return the body that registers a client."""
    return {"id": str(uuid4()), "family": "Ash", "given": "Ann", "birth_date": "1990-01-02"}


def test_a_service_finds_its_provider_again_without_a_restart(founded: KeptKeys) -> None:
    with serving(founded.data, **founded.environment) as service:
        assert service.request("/readyz")[0] == 200
        with founded.away():
            # Hiring makes a token's event under a key that is leased, and needs no new one; a turn does.
            assert run("keys", "rotate", **founded.environment).exit_code == 6
        told = data_of(run("keys", "rotate", "--json", **founded.environment))
        assert told["generation"] == told["generations"][-1] == 2
        assert run("user", "add", "--name", "Ada", "--role", "therapist", **founded.environment).exit_code == 0
        assert service.request("/readyz")[0] == 200


def test_a_backup_is_verified_drilled_and_restored_with_each_provider(founded: KeptKeys, tmp_path: Path) -> None:
    environment = dict(founded.environment)
    if founded.kind == "file":
        environment["WELLKEPT_KEY_FILE"] = str(founded.keys / "root.key")
    assert run("user", "add", "--name", "Ada", "--role", "therapist", **environment).exit_code == 0
    assert run("backup", str(tmp_path / "backup"), **environment).exit_code == 0
    verified = run("verify", str(tmp_path / "backup"), **environment)
    assert "No key was opened" not in verified.output
    assert run("restore", str(tmp_path / "backup"), "--drill", **environment).exit_code == 0
    assert founded.open().generations() == (1,), "a drill begins and destroys nothing"

    restored = run("restore", str(tmp_path / "backup"), str(tmp_path / "again"), **environment)
    assert restored.exit_code == 0, restored.output
    assert ("never serve both" in restored.stderr) == (founded.kind != "file")
    with founded.away():
        lost = run("restore", str(tmp_path / "backup"), "--drill", **environment)
        assert lost.exit_code == 6
    # What was wrapped before a turn that destroys opens nowhere, so that such a backup is worth nothing.
    assert run("keys", "rotate", "--destroy-old", "--yes", **environment).exit_code == 0
    assert run("restore", str(tmp_path / "backup"), "--drill", **environment).exit_code == 6
