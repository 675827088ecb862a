"""Founding a clinic by command: a place of its own, closed to others, keys apart, nothing overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.ops.running import data_of, init, run

ARGUMENTS = ("--clinic", "Hill Clinic", "--jurisdiction", "uk", "--timezone", "Europe/London")


def test_directories_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    founded = init(tmp_path / "clinic")
    data, keys = Path(founded["data"]), Path(founded["keys"])
    assert keys == data.with_name("clinic.keys")
    assert (data / "FORMAT").read_text() == "wellkept-data/2\n"
    for folder in (data, keys):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file.name


@pytest.mark.parametrize("folder", ["clinic", "clinic.keys"])
def test_a_place_that_holds_something_is_refused_and_left_as_it_is(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "thesis.odt").write_text("mine")
    result = run("init", "--data", str(tmp_path / "clinic"), *ARGUMENTS)
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.rglob("*.*") if path.is_file()] == ["thesis.odt"]


def test_an_unknown_zone_is_a_usage_error_and_nothing_is_made(tmp_path: Path) -> None:
    result = run("init", "--data", str(tmp_path / "c"), *ARGUMENTS[:-1], "Europe/Atlantis")
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_is_needed_from_then_on(tmp_path: Path) -> None:
    secret, wrong = tmp_path / "passphrase", tmp_path / "wrong"
    secret.write_text("correct horse\n")
    wrong.write_text("battery staple")
    data = str(tmp_path / "clinic")
    init(tmp_path / "clinic", WELLKEPT_KEY_PASSPHRASE_FILE=str(secret))
    assert data_of(run("user", "list", "--data", data, "--json", WELLKEPT_KEY_PASSPHRASE_FILE=str(secret))) == []
    assert run("user", "list", "--data", data, WELLKEPT_KEY_PASSPHRASE_FILE=str(wrong)).exit_code == 6
    assert run("user", "list", "--data", data).exit_code == 6


def test_a_key_file_elsewhere_is_made_there(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir(mode=0o700)
    key_file = tmp_path / "vault" / "root.key"
    founded = init(tmp_path / "clinic", WELLKEPT_KEY_FILE=str(key_file))
    assert founded["key_file"] == str(key_file)
    assert not (tmp_path / "clinic.keys" / "root.key").exists()
    assert run("user", "list", "--data", founded["data"]).exit_code == 6
    assert run("user", "list", "--data", founded["data"], WELLKEPT_KEY_FILE=str(key_file)).exit_code == 0
