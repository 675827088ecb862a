"""Generates the reference pages in `docs/reference` from the code, so that they cannot say anything else.

- Run it as `python -m ops.docs` (`make docs`); a test holds the committed pages to what this makes.
- A page is a function that returns its text. Adding a setting, command, event, error, rule or log code adds its line;
  one without a sentence is an error here.

It describes nothing of its own: each sentence stands with the code it is about.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from api.problems import OF_ERRORS, ROWS
from ops.cli import cli
from ops.exits import MEANINGS, exit_code
from ops.logging import CODES
from ops.settings import PREFIX, SETTINGS
from records import errors
from records.actors import Role
from records.catalogue import CATALOGUE
from records.event import Event
from records.policy import TABLE, in_words

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
_MADE = "<!-- Made by `make docs`; change the code, not this page. -->"


def settings_page() -> str:
    """Return the page of settings."""
    rows = [
        (f"`{PREFIX}{each.name}`", f"`{each.default}`" if each.default else "–", each.meaning + _unused(each.used))
        for each in SETTINGS
    ]
    return _page(
        "Settings",
        "Environment variables, read once at the start. A name that is not here is an error. `wellkept config` shows"
        " the effective values and where each is from.",
        _table(("name", "default", "what it does"), rows),
    )


def commands_page() -> str:
    """Return the page of commands."""
    codes = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    parts = [_table(("exit code", "means"), codes)]
    for context in _commands(cli.make_context("wellkept", [], resilient_parsing=True)):
        command, path = context.command, context.command_path.split()
        usage = command.collect_usage_pieces(context)
        parts += [f"## `{' '.join([*path, *usage])}`", _sentence(command.help, " ".join(path))]
        options = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
        parts.append(_table(("option", "does"), [(f"`{name}`", text) for name, text in options]))
    return _page(
        "Commands",
        "Data goes to stdout, talk to stderr. Every command takes `--json`. Secrets are never options: see"
        " [settings](settings.md).",
        *parts,
    )


def events_page() -> str:
    """Return the page of events."""
    shared = set(Event.__struct_fields__)
    rows = []
    for topic, event in CATALOGUE.items():
        hints = typing.get_type_hints(event)
        names = [name for name in event.__struct_fields__ if name not in shared]
        fields = ", ".join(f"`{name}`: {_type(hints[name])}" for name in names)
        rows.append((f"`{topic}`", event.stream_kind.value, _sentence(event.__doc__, topic), fields))
    return _page(
        "Events",
        "Every fact is one of these, sealed. Each also has "
        + ", ".join(f"`{name}`" for name in Event.__struct_fields__)
        + ". A topic is never renamed; on the disk it stands inside the seal.",
        _table(("topic", "stream", "what happened", "fields"), rows),
    )


def errors_page() -> str:
    """Return the page of errors, HTTP problems and rules."""
    leaves = [
        (
            f"`{leaf.__name__}`",
            _sentence(leaf.__doc__, leaf.__name__),
            f"{ROWS[name].status} `{name}`" if (name := OF_ERRORS.get(leaf)) else "–",
            str(exit_code(leaf.__new__(leaf))),
        )
        for leaf in _leaves(errors.WellkeptError)
        if leaf.__module__ == errors.__name__
    ]
    problems = [(f"`{name}`", str(row.status), row.title, row.meaning) for name, row in ROWS.items()]
    return _page(
        "Errors",
        "What the record refuses or cannot do, how HTTP says it (RFC 9457), and how a command ends with it.",
        _table(("error", "means", "HTTP", "exit code"), leaves),
        "## Problems of HTTP",
        _table(("problem", "status", "title", "what it means"), problems),
        "## Rules",
        "A 409 names the rule that forbids the act; a load counts what was refused by it.",
        _table(("rule", "says"), sorted(set(_rules()))),
    )


def log_page() -> str:
    """Return the page of the service's own log."""
    return _page(
        "The service's log",
        "JSON lines on stderr. `code` is stable: match on it. A line holds no clinical content, name or query string;"
        " who read what is in the ledger instead.",
        _table(("code", "means"), [(f"`{code}`", meaning) for code, meaning in CODES.items()]),
    )


def policy_page() -> str:
    """Return the page of the policy table."""
    rows = [(f"`{action}`", *(in_words(grants.get(role)) for role in Role)) for action, grants in TABLE.items()]
    return _page(
        "Who may do what",
        "An act that is not here is forbidden to everybody. `team` and `supervises` are relations to the client;"
        " `emergency` is one too, while an emergency access is open; codes in capitals are the purposes of use that a"
        " reading may state.",
        _table(("action", *(role.value for role in Role)), rows),
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "events.md": events_page,
    "errors.md": errors_page,
    "log.md": log_page,
    "policy.md": policy_page,
}
"""File → what makes it."""


def write_pages(folder: Path) -> None:
    """Write every page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")


def _unused(used: bool) -> str:
    return "" if used else " Accepted; nothing in this version uses it."


def _commands(context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command that does something; what the group sets holds in all of them."""
    command = context.command
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield context
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None:
            yield from _commands(click.Context(inner, parent=context, info_name=name))


def _leaves(error: type[errors.WellkeptError]) -> Iterator[type[errors.WellkeptError]]:
    trunks = (
        errors.WellkeptError,
        errors.Refused,
        errors.Unavailable,
        errors.IntegrityFailure,
        errors.VerificationError,
    )
    if error not in trunks:
        yield error
    for inner in error.__subclasses__():
        yield from _leaves(inner)


def _rules() -> Iterator[tuple[str, str]]:
    """Yield code and sentence of each rule that the write side names."""
    import records

    for module in pkgutil.iter_modules(records.__path__):
        file = importlib.import_module(f"records.{module.name}").__file__
        for node in ast.walk(ast.parse(Path(str(file)).read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RuleBroken":
                code, detail = node.args[:2]
                if isinstance(code, ast.Constant):
                    text = ast.literal_eval(detail) if isinstance(detail, ast.Constant) else _template(detail)
                    yield f"`{code.value!s}`", str(text)


def _template(node: ast.expr) -> str:
    if not isinstance(node, ast.JoinedStr):
        return "–"
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def _type(hint: object) -> str:
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    return re.sub(r"\b(?:[a-z_]+\.)+", "", text.replace("NoneType", "None"))


def _sentence(text: str | None, name: str) -> str:
    """Return the first paragraph of a docstring as one line.

    Raises:
        ValueError: there is none.
    """
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    if not paragraph:
        raise ValueError(f"{name} is not described")
    return paragraph


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _MADE, *parts]) + "\n"


if __name__ == "__main__":
    write_pages(FOLDER if len(sys.argv) == 1 else Path(sys.argv[1]))
