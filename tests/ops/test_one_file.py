"""The verifier in a bundle: one file that needs nothing of ours, and answers as the parts that it is made of."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops import verify
from ops.verifier import one_file
from ops.verifier.record import verify_record
from tests.ops.record_defects import Defect
from tests.ops.released_defects import DEFECTS
from tests.ops.written_log import pack, write
from tests.ops.written_record import SmallRecord

ROOT = Path(__file__).parent.parent.parent
MOST_LINES = 1750
"""Not counting empty ones."""
SOME = ("word-of-the-record-altered", "word-of-the-page-altered", "proof padded", "reading-dropped", "file-too-many")


@pytest.fixture(scope="module")
def log() -> SmallRecord:
    return SmallRecord()


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The file in a folder of its own."""
    path = tmp_path / "alone" / "verify.py"
    path.parent.mkdir()
    path.write_bytes(one_file.one_file())
    return path


def run(path: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    """Run the file as a program that sees neither this folder nor the environment."""
    command = [sys.executable, "-I", str(path), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_it_imports_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(one_file.one_file())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= sys.stdlib_module_names | {"cryptography"}


def test_it_is_short_enough_to_be_read() -> None:
    assert sum(bool(line.strip()) for line in one_file.one_file().splitlines()) < MOST_LINES


def test_everything_in_it_is_used() -> None:
    tree = ast.parse(one_file.one_file())
    used = {name for node in tree.body for name in one_file._used(node)}
    defined = [{*one_file._bound(node)} for node in tree.body]
    assert [names for names in defined if names and not names & used] == []


def test_it_keeps_the_house_rules(shipped: Path) -> None:
    config = ["--config", str(ROOT / "pyproject.toml")]
    for command in (["check", "--ignore", "INP001"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, str(shipped)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_it_is_the_same_each_time() -> None:
    first = one_file.one_file()
    one_file.one_file.cache_clear()
    assert one_file.one_file() == first


def test_two_parts_cannot_define_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    one_file.one_file.cache_clear()
    monkeypatch.setattr(one_file, "PARTS", (*one_file.PARTS, "one_file.py", "one_file.py"))
    with pytest.raises(ValueError, match="PARTS"):
        one_file.one_file()


def test_it_answers_as_its_parts_do(log: SmallRecord, shipped: Path, tmp_path: Path) -> None:
    bundle = pack(log.files(), tmp_path / "bundle.zip")
    code, told = run(shipped, "--genesis", log.fingerprint, str(bundle))
    found = verify_record(bundle, verify.Policy(genesis=log.fingerprint))
    assert (code, told["sentence"], told["counts"]) == (found.exit, found.sentence, found.counts)
    assert (code, told["status"]) == (0, "unanchored")
    code, told = run(shipped, str(bundle))
    assert (code, told["status"]) == (3, "unpinned")


@pytest.mark.parametrize("defect", [each for each in DEFECTS if each.name in SOME], ids=lambda each: each.name)
def test_it_finds_what_its_parts_find(defect: Defect, log: SmallRecord, shipped: Path, tmp_path: Path) -> None:
    bundle = write(defect.make(log.copy()), tmp_path / "bundle")
    code, told = run(shipped, "--genesis", log.fingerprint, str(bundle))
    found = verify_record(bundle, verify.Policy(genesis=log.fingerprint))
    assert (code, told["status"], told["sentence"]) == (3, "tampered", found.sentence)
    assert told["first_bad_index"] == defect.index


def test_the_defects_named_here_are_there() -> None:
    assert set(SOME) <= {each.name for each in DEFECTS}


def test_it_verifies_the_folder_in_which_it_lies(log: SmallRecord, tmp_path: Path) -> None:
    bundle = write(log.files(swap={"verify.py": one_file.one_file()}), tmp_path / "bundle")
    kept = tmp_path / "kept"
    kept.write_bytes((bundle / "proof" / "checkpoint").read_bytes())
    assert run(bundle / "verify.py", "--genesis", log.fingerprint, "--checkpoint", str(kept))[1]["status"] == "ok"


def test_what_cannot_be_read_is_said(log: SmallRecord, shipped: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("no checkpoint")
    code, told = run(shipped, "--genesis", log.fingerprint, "--checkpoint", str(kept))
    assert (code, told["sentence"]) == (3, "The checkpoint kept is no signed note.")
    command = [sys.executable, "-I", str(shipped), "--genesis", log.fingerprint, str(tmp_path / "nothing.zip")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing.zip cannot be read" in done.stderr
