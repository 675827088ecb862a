"""The house rules hold: what may import what, what stays out of the lower layers, how large a piece may be.

- `lint-imports` checks the layers (its rules stand in pyproject.toml, under `tool.importlinter`).
- The rest is read from the syntax trees here. Each rule is a function from one file to the places that break it,
  and each is shown to find a breach before it is believed.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("records", "projections", "api", "ops")
MAX_FILE_LINES = 500
SHIPPED_ALONE = {Path("ops/verify.py"): 1600}
"""One file by decision 38, with a limit of its own; it imports nothing of ours."""
MAX_MEDIAN_LINES = 150
MAX_FUNCTION_LINES = 60
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager"}
PASSED_IN = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.environ",
    "os.getenv",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
}
HOLLOW = {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.skip", "pytest.importorskip"}
SUPPRESSION = re.compile(r"#\s*(noqa\b(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?|type:\s*ignore\b(\[[\w, -]+\])?)(?P<rest>.*)")
WHOLE_FILE = re.compile(r"#\s*(ruff:\s*noqa|flake8:\s*noqa|mypy:\s*ignore-errors)")
REASON = re.compile(r"\w+\W+\w+")


@dataclass(frozen=True)
class Source:
    """One file of Python: its path from the root, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> Source:
        """Return the source of a text as if it stood at the path."""
        return cls(Path(path), text, ast.parse(text))

    @property
    def layer(self) -> str:
        """The first folder of the path."""
        return self.path.parts[0]


Rule = Callable[[Source], Iterator[str]]


def sources() -> list[Source]:
    """Return every file of Python of the layers and the tests, ordered by path."""
    paths = sorted(path for folder in (*LAYERS, "tests") for path in (ROOT / folder).rglob("*.py"))
    return [Source.parse(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths]


def dotted_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that is used, aliases of imports resolved."""
    origin: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origin[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        name, value = "", node
        while isinstance(value, ast.Attribute):
            name, value = f".{value.attr}{name}", value.value
        if isinstance(value, ast.Name) and value.id in origin:
            yield value.lineno, origin[value.id] + name


def takes_what_is_passed_in(source: Source) -> Iterator[str]:
    """Clock, uuid4 and environment below api and ops."""
    if source.layer in ("records", "projections"):
        for line, name in dotted_uses(source.tree):
            if name in PASSED_IN:
                yield f"{source.path}:{line} uses {name}; it is passed in from api or ops"


def catches_blindly(source: Source) -> Iterator[str]:
    """Handlers of every error below the two outermost edges; one that only cleans up and raises again is none."""
    if source.layer in ("api", "ops"):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"everything" if kind is None else ast.unparse(kind) for kind in caught}
        last = node.body[-1]
        passes_on = isinstance(last, ast.Raise) and last.exc is None
        if names & {"everything", "Exception", "BaseException"} and not passes_on:
            yield f"{source.path}:{node.lineno} catches {', '.join(sorted(names))}; only api and ops may"


def is_too_long(source: Source) -> Iterator[str]:
    """Files and functions over the limits."""
    lines = source.text.count("\n")
    most = SHIPPED_ALONE.get(source.path, MAX_FILE_LINES)
    if lines > most:
        yield f"{source.path} has {lines} lines, over {most}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{source.path}:{node.lineno} {node.name} has {length} lines, over {MAX_FUNCTION_LINES}"


def is_named_vaguely(source: Source) -> Iterator[str]:
    """Files and folders whose name says no idea."""
    for part in source.path.with_suffix("").parts:
        if VAGUE_NAMES & set(part.lower().split("_")):
            yield f"{source.path} is named {part}, which names no idea"


def is_silenced_without_reason(source: Source) -> Iterator[str]:
    """Suppressed checks that do not name the rule, or that give no reason on their line or the one above."""
    lines = source.text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if WHOLE_FILE.search(token.string):
            yield f"{source.path}:{line} silences a whole file"
        for match in SUPPRESSION.finditer(token.string):
            above = lines[line - 2].strip() if line > 1 else ""
            if not (match[2] or match[4]):
                yield f"{source.path}:{line} silences every rule of a line"
            elif not (REASON.search(match["rest"]) or above.startswith("#")):
                yield f"{source.path}:{line} silences a rule without a reason"


def proves_nothing(source: Source) -> Iterator[str]:
    """Tests that are left out, and mocks in place of the real thing."""
    if source.layer == "tests":
        for line, name in dotted_uses(source.tree):
            if name in HOLLOW or name.startswith(("unittest.mock", "mock.")):
                yield f"{source.path}:{line} uses {name}; tests run, and on the real thing"


def needs_more_than_it_ships_with(source: Source) -> Iterator[str]:
    """Imports, in a file that is shipped alone, of anything but the standard library and cryptography."""
    if source.path in SHIPPED_ALONE:
        for node in ast.walk(source.tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                if module.split(".")[0] not in (sys.stdlib_module_names | {"cryptography"}):
                    yield f"{source.path}:{node.lineno} imports {module}"


BREACHES: list[tuple[Rule, str, str]] = [
    (takes_what_is_passed_in, "records/notes.py", "import datetime as d\nat = d.datetime.now(d.UTC)\n"),
    (takes_what_is_passed_in, "records/notes.py", "from uuid import uuid4 as new\n"),
    (takes_what_is_passed_in, "projections/roster.py", "import os\nhome = os.environ['HOME']\n"),
    (catches_blindly, "records/notes.py", "try:\n    pass\nexcept (ValueError, Exception):\n    pass\n"),
    (catches_blindly, "records/notes.py", "try:\n    pass\nexcept:\n    pass\n"),
    (is_too_long, "records/notes.py", "\n" * (MAX_FILE_LINES + 1)),
    (is_too_long, "ops/verify.py", "\n" * 1601),
    (needs_more_than_it_ships_with, "ops/verify.py", "def root():\n    from records import merkle\n"),
    (needs_more_than_it_ships_with, "ops/verify.py", "import ops.exits\n"),
    (is_too_long, "records/notes.py", "def sign():\n" + "    pass\n" * MAX_FUNCTION_LINES),
    (is_named_vaguely, "records/note_helpers.py", ""),
    (is_named_vaguely, "api/common/errors.py", ""),
    (is_silenced_without_reason, "records/notes.py", "import os  # noqa\n"),
    (is_silenced_without_reason, "records/notes.py", "import os  # noqa: F401\n"),
    (is_silenced_without_reason, "records/notes.py", "import os  # type: ignore[import]\n"),
    (is_silenced_without_reason, "records/notes.py", "# ruff: noqa: F401 because it is so\n"),
    (proves_nothing, "tests/test_x.py", "import pytest\n@pytest.mark.skip\ndef test_x(): ...\n"),
    (proves_nothing, "tests/test_x.py", "from unittest.mock import patch\n"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in BREACHES))


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES)
def test_a_breach_is_found(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source.parse(path, text)))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (takes_what_is_passed_in, "ops/cli.py", "import time\nat = time.time()\n"),
        (
            takes_what_is_passed_in,
            "records/notes.py",
            "from datetime import datetime\nat = datetime.fromtimestamp(0)\n",
        ),
        (catches_blindly, "records/notes.py", "try:\n    pass\nexcept BaseException:\n    pass\n    raise\n"),
        (is_silenced_without_reason, "records/notes.py", "import os  # noqa: F401 - the demo reads it\n"),
        (is_silenced_without_reason, "records/notes.py", "# The demo reads it.\nimport os  # noqa: F401\n"),
    ],
)
def test_what_is_allowed_is_no_breach(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source.parse(path, text))) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    assert [breach for source in sources() for breach in rule(source)] == []


def test_files_are_short() -> None:
    lengths = [source.text.count("\n") for source in sources() if source.layer in LAYERS]
    assert statistics.median(lengths) <= MAX_MEDIAN_LINES


def test_imports_point_down_only() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_ignored_lint_rule_is_explained() -> None:
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    ruff = settings[settings.index("[tool.ruff.lint]") : settings.index("[tool.mypy]")]
    lists = re.findall(r'^(?:ignore|"[^"]+") = \[\n(.*?)^\]', ruff, re.M | re.S)
    assert len(lists) == ruff.count(" = [\n") - ruff.count("select = [\n"), "a list of ignored rules was not read"
    for entry in (line.strip() for entries in lists for line in entries.splitlines()):
        assert re.fullmatch(r'"[A-Z]+[0-9]*",\s+# \w+ .+', entry), f"{entry} is ignored without a reason"


def test_requirements_name_no_host() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text("utf-8")
        assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text), path.name
        pinned = re.findall(r"^[\w.-]+(?:\[[\w,]+\])?==.*$", text, re.M)
        assert len(pinned) > 20
        assert all(line.endswith("\\") for line in pinned), f"{path.name} holds a requirement without a hash"
