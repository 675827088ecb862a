"""How commands speak: data on stdout, talk on stderr, questions only at a terminal.

Source: CONTRACT (command line).

- With `--json` the data is one line of JSON; else it is plain text that a person or a shell reads.
- Nothing is coloured, so NO_COLOR holds without being asked.
- A bar shows on stderr while long work runs at a terminal; otherwise nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ops.settings import Settings, parse_bind

_Command = TypeVar("_Command", bound=Callable[..., Any])


def say(text: str) -> None:
    """Say something to whoever runs the command."""
    click.echo(text, err=True)


def put(data: Any, as_json: bool, text: str) -> None:
    """Put out the data: as a line of JSON, or as text for people."""
    click.echo(msgspec.json.encode(data) if as_json else text)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def confirm(question: str, yes: bool) -> None:
    """Ask before something that is not meant to be done by mistake, where somebody sits at a terminal.

    Raises:
        click.Abort: the answer was no.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function (done, of) that moves a bar on stderr; at no terminal it shows nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def move(done: int, of: int) -> None:
            bar.length = max(of, 1)
            bar.update(done - bar.pos)

        yield move


def json_option(command: _Command) -> _Command:
    """Give a command `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")(command)


def data_option(command: _Command) -> _Command:
    """Give a command `--data`, which takes the place of WELLKEPT_DATA in its settings."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_take_data,
        help="The clinic's data directory (WELLKEPT_DATA).",
    )(command)


def bind_option(command: _Command) -> _Command:
    """Give a command `--bind`, which takes the place of WELLKEPT_BIND in its settings."""
    return click.option(
        "--bind",
        metavar="HOST:PORT",
        expose_value=False,
        callback=_take_bind,
        help="Where to listen (WELLKEPT_BIND).",
    )(command)


def yes_option(command: _Command) -> _Command:
    """Give a command `--yes`, passed as `yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def new_place_options(certificates: str) -> Callable[[_Command], _Command]:
    """Give a command what makes a clinic of a copy: where to, and what is known outside of the copy.

    They are passed as `to`, `genesis`, `checkpoints` and `certificates`; the argument comes after those of the command.

    Args:
        certificates: the help of `--certificates`.
    """
    options = (
        click.argument("to", metavar="[DATA]", required=False, type=click.Path(path_type=Path)),
        click.option("--genesis", help="The fingerprint that stands on the clinic's forms."),
        click.option(
            "--checkpoint",
            "checkpoints",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A checkpoint that was kept outside; may be given several times. An anchor is looked at in any case.",
        ),
        click.option(
            "--certificates",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help=certificates,
        ),
    )

    def give(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return give


pass_settings = click.make_pass_decorator(Settings)


def _take_data(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.obj = context.ensure_object(Settings).option("DATA", value)


def _take_bind(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.obj = context.ensure_object(Settings).option("BIND", parse_bind(value))
