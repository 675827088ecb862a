"""`wellkept disclose` as the clerk uses it, and what the court does with it."""

from __future__ import annotations

import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
import pytest

from ops.exports.protection import unprotect_age
from ops.wiring import open_clinic
from tests.ops.running import data_of, served
from tests.ops.test_export_command import checked, fingerprint, releases
from tests.ops.test_oversight import Watched

TO = (
    "--recipient-kind", "court", "--recipient", "County Court", "--purpose", "The order of 3 May.",
    "--basis", "court-order",
)  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("disclose") / "clinic")


@pytest.fixture(scope="module")
def index(watched: Watched) -> int:
    """Where the client's registration stands in the log."""
    with closing(open_clinic(watched.data)) as clinic:
        return clinic.service.reader.rows(watched.client)[0].position


def disclosed(watched: Watched, index: int, to: Path, *more: str, by: str = "clerk") -> Any:
    return watched.run("disclose", str(index), "-o", str(to), *TO, *more, "--json", by=by)


def test_the_clerk_gives_one_entry_and_the_court_checks_it_without_us(
    watched: Watched, index: int, tmp_path: Path
) -> None:
    before = releases(watched)
    made = data_of(disclosed(watched, index, tmp_path / "entry.zip"))
    assert (made["client"], made["event"]) == (str(watched.client), index)
    assert "bundle" not in made
    assert (tmp_path / "entry.zip").stat().st_mode & 0o777 == 0o600
    assert releases(watched) == before + 1
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        archive.extractall(tmp_path / "entry")
    code, told = checked(tmp_path / "entry", "--genesis", fingerprint(watched))
    assert (code, told["status"], told["counts"]["opened"]) == (0, "unanchored", 1)
    assert f"entry {index}" in told["sentence"]
    by_us = watched.run("verify", str(tmp_path / "entry.zip"), "--genesis", fingerprint(watched), "--json")
    assert json.loads(by_us.stdout)["sentence"] == told["sentence"]
    event = tmp_path / "entry" / "event.json"
    event.write_text(event.read_text().replace("Zacanary", "Zacanari", 1))
    assert checked(tmp_path / "entry", "--genesis", fingerprint(watched))[0] == 3


def test_the_same_is_had_from_a_service_that_holds_the_clinic(watched: Watched, index: int, tmp_path: Path) -> None:
    with served(watched.data):
        data_of(disclosed(watched, index, tmp_path / "entry.zip"))
    by_us = watched.run("verify", str(tmp_path / "entry.zip"), "--genesis", fingerprint(watched))
    assert by_us.exit_code == 0, by_us.stdout


def test_it_is_locked_for_a_key(watched: Watched, index: int, tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(key))
    assert disclosed(watched, index, tmp_path / "a.age", "--age", str(key.to_public())).exit_code == 0
    unprotect_age(tmp_path / "a.age", tmp_path / "a.zip", identity_file=tmp_path / "key")
    assert "event.json" in zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert b"event.json" not in (tmp_path / "a.age").read_bytes()


@pytest.mark.parametrize(
    ("more", "by", "code"),
    [
        (("--age", "age1nothing"), "clerk", 2),
        (("--basis", "emergency"), "clerk", 1),
        (("--basis", "consent"), "clerk", 1),
        ((), "therapist", 6),
        ((), "officer", 6),
    ],
)
def test_what_is_refused_releases_nothing_and_leaves_no_file(
    watched: Watched, index: int, tmp_path: Path, more: tuple[str, ...], by: str, code: int
) -> None:
    before = releases(watched)
    assert disclosed(watched, index, tmp_path / "entry.zip", *more, by=by).exit_code == code
    assert list(tmp_path.iterdir()) == []
    assert releases(watched) == before


def test_whoever_may_not_release_learns_nothing_of_the_log(watched: Watched, index: int, tmp_path: Path) -> None:
    told = {disclosed(watched, each, tmp_path / "entry.zip", by="therapist").stderr for each in (index, 0, 10**9)}
    assert len(told) == 1
    assert str(watched.client) not in told.pop()


def test_no_event_of_a_record_is_not_found(watched: Watched, tmp_path: Path) -> None:
    for index in (0, 1, 10**9):
        assert disclosed(watched, index, tmp_path / "entry.zip").exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left_out", range(0, 8, 2))
def test_to_whom_what_for_and_on_which_basis_must_be_said(
    left_out: int, watched: Watched, index: int, tmp_path: Path
) -> None:
    told = TO[:left_out] + TO[left_out + 2 :]
    done = watched.run("disclose", str(index), "-o", str(tmp_path / "entry.zip"), *told, by="clerk")
    assert done.exit_code == 2
    assert TO[left_out] in done.stderr
