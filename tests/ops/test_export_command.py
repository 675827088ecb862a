"""`wellkept export` as the clerk uses it, and what the recipient does with it: check, alter, open what is locked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pikepdf
import pyrage
import pytest

from ops.exports.protection import unprotect_age
from tests.ops.running import data_of, served
from tests.ops.test_oversight import Watched

PASSPHRASE = "heron gravel lantern four"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("export") / "clinic")


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    return tmp_path / "passphrase"


def exported(watched: Watched, to: Path, *more: str, by: str = "clerk") -> Any:
    return watched.run("export", str(watched.client), "-o", str(to), *more, "--json", by=by)


def fingerprint(watched: Watched) -> str:
    found: str = data_of(watched.run("genesis", "--json"))["fingerprint"]
    return found


def releases(watched: Watched) -> int:
    letter = data_of(watched.run("disclosures", "letter", str(watched.client), "--json", by="clerk"))
    return int(letter["count"])


def checked(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the verifier that lies in an unpacked bundle, by an interpreter that knows nothing of us."""
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "--json", *arguments], cwd=folder, capture_output=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_the_clerk_exports_and_the_recipient_checks_it_without_us(watched: Watched, tmp_path: Path) -> None:
    before = releases(watched)
    made = data_of(exported(watched, tmp_path / "record.zip"))
    assert (tmp_path / "record.zip").stat().st_mode & 0o777 == 0o600
    assert made["events"] == 2
    assert releases(watched) == before + 1
    with zipfile.ZipFile(tmp_path / "record.zip") as archive:
        archive.extractall(tmp_path / "record")
    code, told = checked(tmp_path / "record", "--genesis", fingerprint(watched))
    assert (code, told["status"], told["counts"]["events"]) == (0, "unanchored", 2)
    assert told["freshness"]["complete_below"] == made["at"] - 1
    kept = tmp_path / "kept"
    assert watched.run("checkpoint", "-o", str(kept)).exit_code == 0
    assert checked(tmp_path / "record")[1]["status"] == "unpinned"
    by_us = watched.run("verify", str(tmp_path / "record.zip"), "--genesis", fingerprint(watched))
    assert by_us.exit_code == 0, by_us.stdout
    page = tmp_path / "record" / "record.html"
    page.write_text(page.read_text().replace("Zacanary", "Zacanari", 1))
    code, told = checked(tmp_path / "record", "--genesis", fingerprint(watched))
    assert (code, told["status"]) == (3, "tampered")
    assert "record.html" in told["sentence"]


def test_the_same_is_had_from_a_service_that_holds_the_clinic(watched: Watched, tmp_path: Path) -> None:
    with served(watched.data):
        made = data_of(exported(watched, tmp_path / "record.zip", "--pdf"))
    with zipfile.ZipFile(tmp_path / "record.zip") as archive:
        assert archive.read("record.pdf")[:5] == b"%PDF-"
        assert json.loads(archive.read("manifest.json"))["at"] == made["at"]
    by_us = watched.run("verify", str(tmp_path / "record.zip"), "--genesis", fingerprint(watched))
    assert by_us.exit_code == 0, by_us.stdout


def test_a_bundle_is_locked_for_a_key_or_by_a_passphrase(
    watched: Watched, tmp_path: Path, passphrase_file: Path
) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(key))
    assert exported(watched, tmp_path / "a.age", "--age", str(key.to_public())).exit_code == 0
    unprotect_age(tmp_path / "a.age", tmp_path / "a.zip", identity_file=tmp_path / "key")
    assert exported(watched, tmp_path / "b.age", "--lock-with", str(passphrase_file)).exit_code == 0
    unprotect_age(tmp_path / "b.age", tmp_path / "b.zip", passphrase=PASSPHRASE)
    for name in ("a.zip", "b.zip"):
        assert "record.json" in zipfile.ZipFile(tmp_path / name).namelist()
    for name in ("a.age", "b.age"):
        assert b"record.json" not in (tmp_path / name).read_bytes()


def test_the_paper_alone_opens_with_its_passphrase_only(
    watched: Watched, tmp_path: Path, passphrase_file: Path
) -> None:
    assert exported(watched, tmp_path / "r.pdf", "--paper", "--lock-with", str(passphrase_file)).exit_code == 0
    data = (tmp_path / "r.pdf").read_bytes()
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(io.BytesIO(data))
    with pikepdf.open(io.BytesIO(data), password=PASSPHRASE) as opened:
        assert opened.encryption.R == 6
        assert "/StructTreeRoot" in opened.Root


@pytest.mark.parametrize(
    ("more", "by", "code"),
    [
        (("--age", "age1nothing"), "clerk", 2),
        (("--lock",), "clerk", 2),
        (("--age", "age1nothing", "--lock"), "clerk", 2),
        (("--basis", "emergency"), "clerk", 1),
        (("--at", "100000000"), "clerk", 1),
        ((), "therapist", 6),
        ((), "officer", 6),
    ],
)
def test_what_is_refused_releases_nothing_and_leaves_no_file(
    watched: Watched, tmp_path: Path, more: tuple[str, ...], by: str, code: int
) -> None:
    before = releases(watched)
    assert exported(watched, tmp_path / "record.zip", *more, by=by).exit_code == code
    assert list(tmp_path.iterdir()) == []
    assert releases(watched) == before


def test_nothing_is_written_over_and_an_unwritable_place_releases_nothing(watched: Watched, tmp_path: Path) -> None:
    before = releases(watched)
    (tmp_path / "there").write_text("mine")
    assert exported(watched, tmp_path / "there").exit_code == 1
    assert (tmp_path / "there").read_text() == "mine"
    assert exported(watched, tmp_path / "absent" / "record.zip").exit_code == 1
    assert releases(watched) == before
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
