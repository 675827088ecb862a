"""Every promise is broken once on purpose, and its tests must notice.

Each `*.patch` here is a small diff that breaks one promise. Its first lines say which, and which tests must turn red:

    promise: <number and sentence>
    tests: <arguments of pytest>

The checkout's files are copied to a temporary folder, where the named tests are green; then the patch is applied to a
copy of its own, and the same tests must fail: not for an error of collecting them, but by a test that says so.
A patch that no longer applies is out of date: break the promise anew in the code as it is, and keep the diff.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
PATCHES = sorted(path.stem for path in Path(__file__).parent.glob("*.patch"))
ALWAYS = ("promise-1-released-before-the-commit", "promise-4-stream-not-bound", "promise-7-permission-not-asked")
"""What the default run breaks; the slow one breaks everything."""
TESTS_FAILED = 1
"""How pytest ends where tests ran and some failed."""


class Sabotage(NamedTuple):
    """A patch and what its first lines say."""

    path: Path
    promise: str
    tests: tuple[str, ...]

    @classmethod
    def read(cls, name: str) -> Sabotage:
        """Return the patch of this name."""
        path = Path(__file__).parent / f"{name}.patch"
        promise, tests = path.read_text("utf-8").splitlines()[:2]
        return cls(path, promise.removeprefix("promise: "), tuple(shlex.split(tests.removeprefix("tests: "))))


def copy_checkout(to: Path) -> Path:
    """Copy the files that belong to the project, as they are now, and return the folder."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listing.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    return to


def run_tests(folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, with the interpreter of this run; the first failure is enough."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "WELLKEPT"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def green_first(names: tuple[str, ...] | list[str], folder: Path) -> None:
    """Check that the tests of these patches are green in an unbroken copy."""
    copy_checkout(folder)
    for tests in sorted({Sabotage.read(name).tests for name in names}):
        run = run_tests(folder, tests)
        assert run.returncode == 0, f"{' '.join(tests)} is not green to begin with:\n{run.stdout[-3000:]}"


def expect_red(name: str, folder: Path) -> None:
    """Break one promise in a copy, and see its tests fail."""
    sabotage = Sabotage.read(name)
    copy_checkout(folder)
    applied = subprocess.run(
        ["git", "apply", "-C1", str(sabotage.path)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, f"{name} no longer applies: {applied.stderr}"
    run = run_tests(folder, sabotage.tests)
    assert run.returncode == TESTS_FAILED, (
        f"nobody noticed: {sabotage.promise}\n{run.stdout[-3000:]}{run.stderr[-500:]}"
    )


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_says_what_it_breaks_and_where_that_shows(name: str) -> None:
    sabotage = Sabotage.read(name)
    number, dot, sentence = sabotage.promise.partition(". ")

    assert name.startswith(f"promise-{number}-")
    assert dot
    assert sentence.endswith(".")
    assert number.isdecimal()
    files = [argument.partition("::")[0] for argument in sabotage.tests if argument.startswith("tests/")]
    assert files
    assert all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_still_applies(name: str) -> None:
    check = subprocess.run(
        ["git", "apply", "-C1", "--check", str(Sabotage.read(name).path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, f"{name} no longer applies: {check.stderr}"


def test_the_tests_are_green_before_anything_is_broken(tmp_path: Path) -> None:
    green_first(ALWAYS, tmp_path)


@pytest.mark.parametrize("name", ALWAYS)
def test_a_broken_promise_is_noticed(name: str, tmp_path: Path) -> None:
    expect_red(name, tmp_path)


@pytest.mark.slow
def test_all_the_tests_are_green_before_anything_is_broken(tmp_path: Path) -> None:
    green_first(PATCHES, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PATCHES if name not in ALWAYS])
def test_every_broken_promise_is_noticed(name: str, tmp_path: Path) -> None:
    expect_red(name, tmp_path)
