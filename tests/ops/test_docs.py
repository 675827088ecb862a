"""The reference pages say what the code says, and nothing goes undescribed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ops.cli import cli
from ops.docs import FOLDER, PAGES, write_pages
from ops.logging import CODES, log
from ops.settings import SETTINGS
from records.catalogue import CATALOGUE
from records.policy import TABLE
from tests.ops.test_cli import LEAVES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_makes(name: str) -> None:
    committed = (FOLDER / name).read_text("utf-8")
    assert committed == PAGES[name](), f"docs/reference/{name} is out of date: run `make docs`"


def test_every_setting_command_event_action_and_code_is_described() -> None:
    named = {
        "settings.md": [f"WELLKEPT_{setting.name}" for setting in SETTINGS],
        "commands.md": ["wellkept " + " ".join(path) for path in LEAVES],
        "events.md": list(CATALOGUE),
        "policy.md": list(TABLE),
        "log.md": list(CODES),
    }
    for page, names in named.items():
        text = (FOLDER / page).read_text("utf-8")
        assert [name for name in names if f"`{name}" not in text] == []


def test_an_undescribed_command_stops_the_pages(tmp_path: Path) -> None:
    command = cli.get_command(None, "serve")  # type: ignore[arg-type]  # the group asks nothing of the context
    assert command is not None
    described, command.help = command.help, None
    try:
        with pytest.raises(ValueError, match="serve is not described"):
            write_pages(tmp_path)
    finally:
        command.help = described


def test_every_log_code_is_used_and_every_used_code_is_known() -> None:
    used = set()
    for file in (ROOT / "ops").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log":
                used |= {leaf.value for leaf in ast.walk(node.args[1]) if isinstance(leaf, ast.Constant)}
    # The library formatter and the alarms of the layers below name theirs in other ways.
    indirect = {code for code in CODES if code.startswith("alarm.")} | {"library.message"}
    assert {code for code in used if isinstance(code, str) and "." in code and not code.endswith(".")} == (
        set(CODES) - indirect
    )
    with pytest.raises(KeyError):
        log("info", "no.such.code")
