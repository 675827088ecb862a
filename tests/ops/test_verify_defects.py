"""Each thing that can be wrong with a bundle gets its one answer: leaf, status and first bad index; never a pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops import verify
from tests.ops.bundle_defects import CORPUS, DEFECTS, KEPT, ZIP_DEFECTS
from tests.ops.defects import Defect
from tests.ops.written_log import SmallClinic, pack, write

NOW = 1_750_000_100
LEAVES = {
    leaf.__name__: leaf
    for group in (verify.VerificationError, verify.Malformed)
    for leaf in group.__subclasses__()
    if leaf is not verify.Malformed and leaf.__module__ == verify.__name__
}


@pytest.fixture(scope="module")
def log() -> SmallClinic:
    return SmallClinic()


def ended_by(path: Path, genesis: str) -> verify.VerificationError:
    """The error that verification ends with; the test fails where there is none."""
    with pytest.raises(verify.VerificationError) as raised:
        verify.Verifier(verify.Bundle(path), verify.Policy(genesis=genesis, now=NOW)).run()
    return raised.value


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_found_and_named(defect: Defect, log: SmallClinic, tmp_path: Path) -> None:
    error = ended_by(write(defect.make(log.copy()), tmp_path), log.fingerprint)
    assert (type(error).__name__, error.index) == (defect.leaf, defect.index)


@pytest.mark.parametrize("name", ZIP_DEFECTS)
def test_a_defect_of_the_zip_is_found(name: str, log: SmallClinic, tmp_path: Path) -> None:
    path = pack(log.files(), tmp_path / "bundle.zip")
    ZIP_DEFECTS[name](path)
    assert isinstance(ended_by(path, log.fingerprint), verify.MalformedBundle)


def test_a_link_in_a_folder_is_refused(log: SmallClinic, tmp_path: Path) -> None:
    path = write(log.files(), tmp_path)
    (path / "checkpoints" / "9").symlink_to(path / "checkpoint")
    assert isinstance(ended_by(path, log.fingerprint), verify.MalformedBundle)


def test_a_restore_holds_no_checkpoint(tmp_path: Path) -> None:
    log = SmallClinic()
    log.turn(restore=30, checkpoint=log.checkpoint())
    error = ended_by(write(log.files(), tmp_path), log.fingerprint)
    assert (type(error), error.index) == (verify.MalformedBody, 18)
    assert "declares a restore" in str(error)


def corpus() -> list[str]:
    return sorted(path.stem for path in CORPUS.glob("*.zip"))


@pytest.mark.parametrize("name", corpus())
def test_the_bad_files_that_are_kept_stay_bad(name: str) -> None:
    expected = json.loads((CORPUS / "expected.json").read_text())
    error = ended_by(CORPUS / f"{name}.zip", expected["genesis"])
    assert {"leaf": type(error).__name__, "first_bad_index": error.index} == expected[name]


def test_every_malformed_file_is_kept() -> None:
    assert corpus() == sorted([*(defect.name for defect in KEPT), *ZIP_DEFECTS])


def test_every_leaf_has_a_status_and_is_in_the_drawing() -> None:
    drawing = verify.VerificationError.__doc__ or ""
    assert all(f" {name}" in drawing and leaf.status in STATUSES for name, leaf in LEAVES.items())


STATUSES = {"unpinned", "unanchored", "restored", "tampered", "rolled-back", "forked", "incomplete"}
