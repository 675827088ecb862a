"""Runs the commands of a page as they are written, and compares what they answer with what the page says.

- A page's bash blocks run in order in one shell; a json or text block after one is its answer.
- Times, ids that are drawn, request ids and tokens differ from run to run; everything else must be as written.
- A page speaks to port 8000 and writes tokens as `THERAPIST=wk_…`; both are replaced by those of the run.

`python -m tests.tour` makes a demo clinic, runs every page and writes the answers into it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ops.demo.clinic import make_demo
from records.epoch import format_fingerprint
from tests.ops.running import free_port, served

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-clinic.md"
ADDRESS = "127.0.0.1:8000"
HOME = "/home/jo"
SECONDS = 120
MARK = "\x1e"
BLOCK = re.compile(
    r"^```bash\n(?P<commands>.*?)^```\n(?:\n```(?:json|text)\n(?P<answer>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
TOKEN = re.compile(r"^([A-Z_]+)=wk_…", re.MULTILINE)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIFFERS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z"), "TIME"),
    (re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}(?:, between \d\d:\d\d and \d\d:\d\d| at \d\d:\d\d)"), "WHEN"),
    (re.compile(r'"request_id":"[0-9a-f]{32}"'), "REQUEST"),
    (re.compile(r"wk_[A-Za-z0-9_-]{20,}"), "TOKEN"),
    (re.compile(r"\b[0-9a-f]{4}(?: [0-9a-f]{4}){15,16}\b"), "GROUPS"),
)


class Block(NamedTuple):
    """Commands, and what the page says that they answer; None where it says nothing."""

    commands: str
    answer: str | None


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [Block(found["commands"], found["answer"]) for found in BLOCK.finditer(text)]


def run(
    page: list[Block],
    folder: Path,
    address: str,
    tokens: Mapping[str, str] | None = None,
    curl: Path | None = None,
    fingerprint: str = "",
) -> list[str]:
    """Run all commands of a page in one shell; return what each block put out.

    Args:
        page: its blocks.
        folder: an empty folder to run them in; answers call it `HOME`.
        address: host and port in the place of those that the page names.
        tokens: sign-in tokens by role, for a page that wants some.
        curl: what stands in for curl; None for the one that is installed.
        fingerprint: of the log's genesis, for a page that wants it.
    """
    script = "".join(f"{block.commands}printf '{MARK}'\n" for block in page).replace(ADDRESS, address)
    script = TOKEN.sub(lambda found: f"{found[1]}={(tokens or {})[found[1].lower()]}", script)
    script = script.replace('FINGERPRINT="…"', f'FINGERPRINT="{fingerprint}"')
    with tempfile.TemporaryDirectory() as tools:
        put_out = _shell(script, folder, _environment(Path(tools), curl))
    return put_out.replace(str(folder.resolve()), HOME).split(MARK)[:-1]


def _shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    shell = subprocess.Popen(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        put_out, said = shell.communicate(timeout=SECONDS)
    finally:
        # What the page left running is of the shell's own group, and ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, said.decode()
    return put_out.decode()


def settled(text: str, page: list[Block]) -> str:
    """Return an answer with what differs from run to run replaced by a word; ids that the page made itself stay."""
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    own = {found for block in page for found in UUID.findall(block.commands)}
    return UUID.sub(lambda found: found[0] if found[0] in own else "ID", text)


def _environment(tools: Path, curl: Path | None) -> dict[str, str]:
    _tool(tools / "wellkept", f'"{sys.executable}" -c "from ops.cli import main; main()"')
    # The page's python3 is any that has `cryptography`, which this one has.
    _tool(tools / "python3", f'"{sys.executable}"')
    if curl is not None:
        _tool(tools / "curl", f'"{sys.executable}" "{curl}"')
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")}
    return {**clean, "PATH": f"{tools}:{clean['PATH']}", "PYTHONPATH": str(ROOT)}


def _tool(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o700)


def _answered(text: str, answers: list[str]) -> str:
    left = iter(answers)

    def fill(found: re.Match[str]) -> str:
        answer = next(left)
        if found["answer"] is None:
            return found[0]
        begin, end = found.start("answer") - found.start(), found.end("answer") - found.start()
        return found[0][:begin] + answer.strip("\n") + "\n" + found[0][end:]

    return BLOCK.sub(fill, text)


def main() -> None:
    """Write the answers of a fresh demo clinic into every page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = make_demo(folder / "demo")
        fingerprint = format_fingerprint(demo.founded.fingerprint)
        with served(folder / "demo") as service:
            page = README.read_text()
            answers = run(
                blocks(page), folder, service.url.removeprefix("http://"), demo.tokens, fingerprint=fingerprint
            )
            README.write_text(_answered(page, answers))
        (folder / "tutorial").mkdir()
        page = TUTORIAL.read_text()
        answers = run(blocks(page), folder / "tutorial", f"127.0.0.1:{free_port()}")
        TUTORIAL.write_text(_answered(page, answers))


if __name__ == "__main__":
    assert shutil.which("curl"), "the answers in the pages are those of the real curl"
    main()
