"""`wellkept retention`: whose records need not be kept longer, and by which profile that is counted.

Source: AUDIT (retention defaults; A11: a list is an access).

- `due` is a reading like any other: it needs permission and leaves its own entry for each client that it shows. It
  names clients by their id only, and erases nothing.
- A client with a legal hold is listed with it: the clock is stopped, whatever has passed.
- `profile` shows the profile in force; with a name or a file it sets it, in the clinic's policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from projections.retention import MOST_DAYS
from records.retention_profiles import PROFILES, RetentionProfile


@click.group("retention")
def command() -> None:
    """How long records are kept: what is due, and by which profile."""


@command.command("due")
@data_option
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="As of this day; today if left out.")
@click.option("--within", type=click.IntRange(0, MOST_DAYS), default=0, show_default=True, help="So many days ahead.")
@json_option
@pass_settings
def due(settings: Settings, on: datetime | None, within: int, as_json: bool) -> None:
    """List clients whose deadlines have passed, or pass soon, the longest passed first."""
    asked = {"on": None if on is None else on.date().isoformat(), "within": within}
    items: list[dict[str, Any]] = []
    page: dict[str, Any] = {}
    for page in _pages(settings, asked):
        items += page["items"]
    if as_json:
        told = {name: page[name] for name in ("on", "within", "profile", "total", "unreadable")}
        click.echo(msgspec.json.encode({**told, "items": items}).decode())
        return
    for item in items:
        click.echo(_lines(item))
    say(f"{len(items)} due on {page['on']}, within {within} days, by the profile {page['profile']}.")
    say("Nothing is erased by this; a deadline that has passed only permits it.")
    if page["unreadable"]:
        say(f"{page['unreadable']} records cannot be read wholly, so nothing is told of them. See wellkept doctor.")


def _pages(settings: Settings, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        page = perform(settings, "retention.due.page", {**asked, "after": after})
        yield page
        after = page["next"]
        if after is None:
            return


def _lines(item: dict[str, Any]) -> str:
    state = "stopped" if item["stopped"] else "passed" if item["elapsed"] else "soon"
    lines = [f"{item['id']}  {state}  {item['until']}"]
    lines += [f"  {each['ground']}  {each['text']}" for each in item["deadlines"]]
    lines += [f"  legal-hold  {each['id']} stands since {_day(each['since'])}" for each in item["holds"]]
    lines += [f"  missing  {each}" for each in item["missing"]]
    return "\n".join(lines)


def _day(at: str) -> str:
    return datetime.fromisoformat(at).astimezone(UTC).date().isoformat()


@command.command("profile")
@data_option
@click.argument("name", required=False, type=click.Choice(sorted(PROFILES)))
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A profile of the clinic's own, as JSON in the form that --json prints.",
)
@json_option
@pass_settings
def profile(settings: Settings, name: str | None, path: Path | None, as_json: bool) -> None:
    """Show the retention profile in force, or set it by NAME or from a file."""
    if name is not None and path is not None:
        raise click.UsageError("Give a name or a file, not both.")
    chosen: Any = name
    if path is not None:
        try:
            chosen = msgspec.to_builtins(msgspec.json.decode(path.read_bytes(), type=RetentionProfile))
        except msgspec.DecodeError as error:
            raise CommandFailed(Exit.USAGE, f"the file is no retention profile: {error}") from None
    shown = perform(settings, "retention.profile", {"profile": chosen})
    lines = [f"{shown['name']}: {shown['label']}"]
    lines += [f"  {rule['ground']}  {_period(rule)}  {rule['source']}" for rule in shown["rules"]]
    put(shown, as_json, "\n".join(lines))


def _period(rule: dict[str, Any]) -> str:
    if rule["ground"] == "minor":
        return f"aged {rule.get('from_age', 0)} to {rule.get('to_age', 17)}: until the {rule['until_age']}th birthday"
    return f"{rule['years']} years"
