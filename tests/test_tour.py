"""The pages that show commands: each command runs as it is written, and answers what the page says.

The README's tour runs against a fresh demo clinic, the tutorial from an empty directory; with the curl that is
installed, and with one that stands in for it where there is none.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ops.demo.clinic import make_demo
from records.epoch import format_fingerprint
from tests.ops.running import free_port, served
from tests.tour import README, ROOT, TUTORIAL, Block, blocks, run, settled

STAND_IN = Path(__file__).parent / "curl_stand_in.py"
CURLS = [STAND_IN, *([None] if shutil.which("curl") else [])]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
NAMED = re.compile(r"`((?:tests|records|docs|reference)/[\w./-]+)`")
RECORDED = re.compile(r'"id":"[^"]+","version":\d+,"recorded_at":"[^"]+"')
PAGES = sorted([README, *(ROOT / "docs").rglob("*.md")])


def compare(page: list[Block], answers: list[str]) -> None:
    """Hold what each block put out against what the page says."""
    assert len(answers) == len(page)
    for block, answer in zip(page, answers, strict=True):
        said = "" if block.answer is None else block.answer
        assert settled(answer, page).strip() == settled(said, page).strip(), block.commands


def empty(folder: Path) -> Path:
    """Return a new folder."""
    folder.mkdir()
    return folder


@pytest.mark.parametrize("curl", CURLS, ids=lambda curl: "curl" if curl is None else "stand-in")
def test_the_readmes_tour_answers_what_it_says_and_does_nothing_twice(tmp_path: Path, curl: Path | None) -> None:
    page = blocks(README.read_text())
    demo = make_demo(tmp_path / "demo", years=0.5)
    pinned = {"fingerprint": format_fingerprint(demo.founded.fingerprint)}
    with served(tmp_path / "demo") as service:
        address = service.url.removeprefix("http://")
        first = run(page, empty(tmp_path / "first"), address, demo.tokens, curl, **pinned)
        again = run(page, empty(tmp_path / "again"), address, demo.tokens, curl, **pinned)
    compare(page, first)
    done = [RECORDED.findall(answer) for answer in first]
    assert [RECORDED.findall(answer) for answer in again] == done
    assert sum(map(len, done)) == 8


@pytest.mark.parametrize("curl", CURLS, ids=lambda curl: "curl" if curl is None else "stand-in")
def test_the_tutorial_answers_what_it_says(tmp_path: Path, curl: Path | None) -> None:
    page = blocks(TUTORIAL.read_text())
    compare(page, run(page, empty(tmp_path / "home"), f"127.0.0.1:{free_port()}", curl=curl))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_every_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
    assert [name for name in NAMED.findall(text) if not (ROOT / name).exists()] == []


def test_the_readme_names_the_verbs() -> None:
    text = README.read_text()
    assert {verb for verb in re.findall(r"make (\w+)", text) if f"\n{verb}:" in (ROOT / "Makefile").read_text()} >= {
        "demo",
        "test",
        "check",
        "bench",
        "docs",
    }
