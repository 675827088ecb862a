"""`demo`, `load` and `openapi` as commands: what they print, and what they refuse."""

from __future__ import annotations

import gzip
import json
import socket
import stat
from pathlib import Path

import pytest

from tests.ops.running import Served, data_of, free_port, init, run

YEAR = Path(__file__).parents[2] / "reference" / "clinic-year.jsonl.gz"
SMALL = ("--years", "0.2", "--therapists", "1")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A small demo clinic, as its JSON tells it."""
    data = tmp_path_factory.mktemp("demo") / "clinic"
    made: dict[str, object] = data_of(run("demo", "--data", str(data), "--no-serve", "--json", *SMALL))
    return made


def test_a_demo_tells_its_tokens_people_and_size(demo: dict[str, object]) -> None:
    assert demo.keys() == {"data", "tokens", "staff", "clients", "events", "fingerprint", "recovery"}
    tokens, clients = demo["tokens"], demo["clients"]
    assert isinstance(tokens, dict)
    assert isinstance(clients, list)
    assert tokens.keys() >= {"therapist", "supervisor", "privacy_officer", "records_clerk", "administrator"}
    assert all(client.keys() == {"id", "name"} for client in clients)
    data = Path(str(demo["data"]))
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for token in tokens.values():
        assert token.encode() not in (data / "records.db").read_bytes()


def test_a_demo_clinic_is_healthy_and_serves_its_tokens(demo: dict[str, object]) -> None:
    data, tokens = Path(str(demo["data"])), demo["tokens"]
    assert isinstance(tokens, dict)
    assert run("doctor", "--data", str(data)).exit_code == 0
    service = Served(data)
    try:
        service.wait()
        status, body = service.request("/v1/caseload", tokens["therapist"], Purpose_Of_Use="TREAT")
        assert status == 200
        assert json.loads(body)["items"]
        assert service.request("/v1/caseload", tokens["administrator"], Purpose_Of_Use="TREAT")[0] == 403
    finally:
        assert service.stop() == 0


def test_a_demo_takes_no_place_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "clinic").mkdir()
    (tmp_path / "clinic" / "thesis.odt").write_text("mine")
    result = run("demo", "--data", str(tmp_path / "clinic"), "--no-serve", *SMALL)
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["thesis.odt"]


def test_a_demo_that_cannot_be_served_is_not_made(tmp_path: Path) -> None:
    assert run("demo", "--data", str(tmp_path / "a"), "--bind", f"0.0.0.0:{free_port()}", *SMALL).exit_code == 2
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert run("demo", "--data", str(tmp_path / "b"), "--bind", taken, *SMALL).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def first_lines(tmp_path: Path, count: int) -> Path:
    file = tmp_path / "some.jsonl"
    with gzip.open(YEAR, "rt") as year:
        file.write_text("".join(line for _, line in zip(range(count), year, strict=False)))
    return file


def test_a_load_reports_every_line_and_lists_what_was_refused(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    file = first_lines(tmp_path, 1500)
    result = run("load", str(file), "--data", str(tmp_path / "clinic"), "--json")
    report = data_of(result)
    assert report.keys() >= {"lines", "accepted", "refused", "skipped", "seconds"}
    assert report["lines"] == 1500
    assert report["accepted"] + sum(report["refused"].values()) + sum(report["skipped"].values()) == 1500
    assert report["refused"], "the first lines hold a breach"
    assert len([line for line in result.stderr.splitlines() if ": refused, " in line]) == sum(
        report["refused"].values()
    )
    again = run("load", str(file), "--data", str(tmp_path / "clinic"))
    assert again.exit_code == 1
    assert again.stdout == ""


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert run("load", str(tmp_path / "none"), "--data", str(tmp_path)).exit_code == 2


def test_openapi_needs_no_clinic() -> None:
    pretty, line = run("openapi"), run("openapi", "--json")
    assert json.loads(pretty.stdout) == data_of(line)
    assert data_of(line)["openapi"].startswith("3.1")
    assert len(line.stdout.splitlines()) == 1


def test_the_benchmark_names_its_figures() -> None:
    result = run("bench", "--list")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 10
    assert run("bench", "--only", "no such figure").exit_code == 2
