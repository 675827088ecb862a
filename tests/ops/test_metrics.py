"""Metrics: on loopback only, with bounded labels, without any id or name, and only where the extra is there."""

from __future__ import annotations

import re
import urllib.request
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from ops.exits import CommandFailed, Exit
from ops.serving.figures import Figures
from ops.serving.metrics import Metrics
from ops.serving.overseer import require_metrics
from ops.settings import Bind, SettingsError, read_settings
from records.errors import NotStored
from tests.ops.running import add_user, free_port, init, served

FIGURES = Figures(writer_queue=lambda: 3, ledger_entries=lambda: 120)


def read(port: int) -> str:
    """Return what is told on a port of this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answered:
        text: str = answered.read().decode()
        return text


def value(text: str, name: str) -> float:
    """Return the value of one sample."""
    (found,) = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(found)


def names(text: str) -> set[str]:
    """Return the names of all samples."""
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def test_what_is_counted_is_told() -> None:
    metrics = Metrics(FIGURES)
    with closing(metrics):
        port = metrics.serve(Bind("127.0.0.1", free_port()), 1)
        for _ in range(2):
            metrics.request("GET", 200, 0.002)
        metrics.alarm("seal-broken")
        text = read(port)
    assert value(text, 'wellkept_requests_total{method="GET",status="200"}') == 2
    assert value(text, 'wellkept_request_seconds_count{method="GET"}') == 2
    assert value(text, 'wellkept_alarms_total{code="seal-broken"}') == 1
    assert (value(text, "wellkept_writer_queue"), value(text, "wellkept_ledger_entries")) == (3, 120)
    assert not {"wellkept_checkpoint_lag_seconds", "wellkept_anchor_age_seconds"} & names(text)


def test_figures_of_the_signer_are_told_once_somebody_takes_them() -> None:
    def gone() -> float:
        raise NotStored("the disk is gone")

    more = FIGURES._replace(
        checkpoint_lag_seconds=lambda: 0.4, checkpoint_lag_entries=gone, anchor_age_seconds=lambda: None
    )
    metrics = Metrics(more)
    with closing(metrics):
        text = read(metrics.serve(Bind("127.0.0.1", free_port()), 1))
    assert value(text, "wellkept_checkpoint_lag_seconds") == 0.4
    assert not {"wellkept_checkpoint_lag_entries", "wellkept_anchor_age_seconds"} & names(text)


def test_each_worker_takes_the_next_free_port() -> None:
    bind = Bind("localhost", free_port())
    first, second, third = (Metrics(FIGURES) for _ in range(3))
    with closing(first), closing(second):
        assert first.serve(bind, 2) == bind.port
        assert second.serve(bind, 2) == bind.port + 1
        with pytest.raises(CommandFailed):
            third.serve(bind, 2)


@pytest.mark.parametrize("bind", ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "9464", "example.org:9464"])
def test_an_address_that_others_can_reach_is_refused(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLKEPT_METRICS_BIND", bind)
    with pytest.raises(SettingsError, match="WELLKEPT_METRICS_BIND"):
        read_settings()


def test_without_the_extra_it_says_so() -> None:
    with pytest.raises(CommandFailed, match="wellkept\\[metrics\\]") as refused:
        require_metrics("a_library_that_is_not_there")
    assert refused.value.code == Exit.USAGE
    require_metrics()


def test_a_service_tells_its_metrics_beside_itself_and_names_nobody(tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    init(data)
    staff, token = add_user(data, "therapist", "Ada Fennimarsh")
    client = str(uuid4())
    port = free_port()
    with served(data, WELLKEPT_METRICS_BIND=f"127.0.0.1:{port}") as service:
        assert service.request(f"/v1/clients/{client}", token, Purpose_Of_Use="TREAT")[0] == 403
        assert service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")[0] == 200
        assert service.request("/metrics")[0] == 404
        assert service.request("/metrics", token)[0] == 404
        text = read(port)
        assert service.stop() == 0
    assert value(text, 'wellkept_requests_total{method="GET",status="403"}') == 1
    assert value(text, "wellkept_ledger_entries") > 5
    for secret in (staff, client, token, "Fennimarsh", "caseload", "127.0.0.1"):
        assert secret not in text
    assert [line["bind"] for line in service.lines() if line["code"] == "metrics.serving"] == [f"127.0.0.1:{port}"]


def test_without_the_setting_nothing_is_told(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    with served(tmp_path / "clinic") as service:
        assert service.request("/metrics")[0] == 404
    assert not [line for line in service.lines() if line["code"] == "metrics.serving"]
