"""Bad notes, checkpoints, proofs, tiles and epochs: each gives the one leaf that its name says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from records import errors
from records.errors import VerificationError
from tests.bad_files import BAD, DEFECTS, READERS

FILES = sorted(path for path in BAD.rglob("*") if path.parent != BAD and path.is_file())
GOOD = sorted(BAD.glob("good*"))


def named(path: Path) -> str:
    return str(path.relative_to(BAD))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_bad_file_gives_the_leaf_of_its_name(path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        READERS[path.parent.name](path.read_bytes())
    assert type(caught.value) is getattr(errors, path.name.rpartition(".")[2])


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_the_file_that_it_was_made_from_is_taken(path: Path) -> None:
    READERS[path.suffix[1:]](path.read_bytes())


def test_the_corpus_is_whole() -> None:
    assert {named(path) for path in FILES} == set(DEFECTS), "run `python -m tests.bad_files --write-missing`"
    assert {path.suffix[1:] for path in GOOD} == set(READERS)
    for name, (good, _) in DEFECTS.items():
        assert (BAD / name).read_bytes() != (BAD / good).read_bytes()


def test_every_leaf_has_its_bad_files() -> None:
    leaves = {leaf.__name__ for leaf in VerificationError.__subclasses__()}
    # A frontier is never read from outside: the signer's own state is its only source.
    assert {path.name.rpartition(".")[2] for path in FILES} == leaves - {"MalformedFrontier"}


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_a_file_that_is_cut_anywhere_is_a_defect_and_never_a_traceback(path: Path) -> None:
    data, read = path.read_bytes(), READERS[path.suffix[1:]]
    for end in range(0, len(data), max(1, len(data) // 200)):
        if path.name in ("good.note", "good.request") and data[:end].endswith(b"\n") and b"=\n" in data[:end]:
            continue  # a note with fewer signatures is a note, and a witness asks for the first alone
        if path.suffix == ".path":
            continue  # a shorter path may be that of another tile
        with pytest.raises(VerificationError):
            read(data[:end])
