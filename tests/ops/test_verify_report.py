"""An access report that somebody kept is held against the log: a reading that went missing since would show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import run

Report = dict[str, Any]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    clinic = make_clinic(tmp_path / "clinic")
    client = clinic.register()
    for _ in range(3):
        clinic.see(CLIENT_VIEW, client)
    assert clinic.opened.signer is not None
    clinic.opened.signer.flush()
    clinic.see(CLIENT_VIEW, client)
    yield clinic
    clinic.close()


@pytest.fixture
def kept(clinic: StaffedClinic) -> Report:
    (client,) = clinic.reader.clients()
    report = clinic.see(ACCESS_REPORT, client, by=Role.PRIVACY_OFFICER)
    found: Report = json.loads(msgspec.json.encode(report))
    return found


def verified(clinic: StaffedClinic, report: Report, client: str | None = None) -> tuple[int, Report]:
    file = clinic.path.with_name("report.json")
    file.write_text(json.dumps(report))
    asked = ("--client", client or report["client_id"], "--report", str(file))
    result = run("verify", "--json", "--data", str(clinic.path), *asked)
    return result.exit_code, json.loads(result.stdout)


def test_the_report_names_the_checkpoint_and_what_it_covers(kept: Report, clinic: StaffedClinic) -> None:
    assert clinic.opened.signer is not None
    size, _ = clinic.opened.signer.signed()
    assert kept["entries"] == 4
    assert (kept["complete_up_to"]["checkpoint"]["size"], kept["complete_up_to"]["checkpoint"]["entries"]) == (size, 3)


def test_what_was_counted_is_still_so_though_the_log_went_on(clinic: StaffedClinic, kept: Report) -> None:
    (client,) = clinic.reader.clients()
    clinic.see(CLIENT_VIEW, client)
    assert clinic.opened.signer is not None
    clinic.opened.signer.flush()
    code, said = verified(clinic, kept)
    assert (code, said["status"]) == (0, "unanchored")
    # The report's own reading and the one after it came later.
    assert said["counts"]["client_readings"] == 6


def _more_readings(report: Report) -> None:
    report["entries"] += 1


def _more_under_the_checkpoint(report: Report) -> None:
    report["complete_up_to"]["checkpoint"]["entries"] += 1


def _another_root(report: Report) -> None:
    report["complete_up_to"]["checkpoint"]["root"] = "A" * 43 + "="


def _another_size(report: Report) -> None:
    report["complete_up_to"]["checkpoint"]["size"] = 2**40


def _another_log(report: Report) -> None:
    report["complete_up_to"]["log"] = str(uuid4())


@pytest.mark.parametrize(
    "alter", [_more_readings, _more_under_the_checkpoint, _another_root, _another_size, _another_log]
)
def test_a_report_that_the_log_does_not_bear_out_is_said_to_be_one(
    clinic: StaffedClinic, kept: Report, alter: Callable[[Report], None]
) -> None:
    alter(kept)
    code, said = verified(clinic, kept)
    assert (code, said["status"]) == (3, "tampered")
    assert "report" in said["sentence"]


def test_a_report_of_another_client_is_said_to_be_one(clinic: StaffedClinic, kept: Report) -> None:
    other = clinic.register(family="Quillfeather")
    assert clinic.opened.signer is not None
    clinic.opened.signer.flush()
    code, said = verified(clinic, kept, str(other))
    assert code == 3
    assert "another client" in said["sentence"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"client_id": "x"}'])
def test_what_is_no_report_is_a_question_that_cannot_be_asked(clinic: StaffedClinic, kept: Report, text: str) -> None:
    file = clinic.path.with_name("report.json")
    file.write_text(text)
    asked = ("verify", "--data", str(clinic.path), "--report", str(file))
    assert run(*asked, "--client", kept["client_id"]).exit_code == 2
    assert run(*asked).exit_code == 2
