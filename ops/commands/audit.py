"""`wellkept audit`: who read what, for whom, when and why, over all clients.

Source: AUDIT A1-A3.

- It is a reading like any other: it needs permission and leaves its own entry.
- The entries are told from sealed events; pages follow one another up to the moment when the report was begun.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import msgspec

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, say

COLUMNS = (
    "index",
    "at",
    "client_id",
    "actor",
    "actor_name",
    "role",
    "relation",
    "action",
    "purpose",
    "outcome",
    "reason",
    "address",
    "resource",
)


class Moment(click.ParamType[datetime]):
    """A date, or a time with its zone; a date alone begins at midnight UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware time."""
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail("is not a date or a time such as 2026-03-01T09:00:00+00:00", param, ctx)
        if at.tzinfo is None:
            if len(value) > len("2026-03-01"):
                self.fail("needs a zone, such as +00:00", param, ctx)
            at = at.replace(tzinfo=UTC)
        return at


@click.command("audit")
@data_option
@click.option("--client", type=click.UUID, help="Only this client.")
@click.option("--actor", help="Only this account's id, or operator:NAME.")
@click.option("--from", "from_at", type=Moment(), help="From this date or time on.")
@click.option("--to", "to_at", type=Moment(), help="Before this date or time.")
@click.option("--format", "form", type=click.Choice(["text", "ndjson", "csv"]), default="text", show_default=True)
@json_option
@pass_settings
def command(
    settings: Settings,
    client: UUID | None,
    actor: str | None,
    from_at: datetime | None,
    to_at: datetime | None,
    form: str,
    as_json: bool,
) -> None:
    """Report who read what. --json is --format ndjson."""
    form = "ndjson" if as_json else form
    # Each page is a reading that leaves entries; without an end the report would follow itself for ever.
    to_at = to_at or datetime.now(UTC)
    asked = {"client": client, "staff": actor, "from_at": from_at, "to_at": to_at}
    after: int | None = None
    gaps: list[int] = []
    if form == "csv":
        click.echo(_csv_line(COLUMNS))
    while True:
        page = perform(settings, "audit.page", msgspec.to_builtins({**asked, "after": after}))
        for item in page["items"]:
            click.echo(_line(item, form))
        gaps += page["gaps"]
        after = page["next"]
        if after is None:
            break
    if gaps:
        say(f"{len(gaps)} entries could not be opened; the first is at index {gaps[0]}. See wellkept doctor.")


def _line(item: dict[str, Any], form: str) -> str:
    if form == "ndjson":
        return msgspec.json.encode(item).decode()
    if form == "csv":
        return _csv_line([item.get(column) for column in COLUMNS])
    return f"{item['at']}  {item['text']}"


def _csv_line(values: Any) -> str:
    line = io.StringIO()
    # A cell that a spreadsheet would take for a formula begins with an apostrophe instead.
    safe = [f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value for value in values]
    csv.writer(line).writerow(safe)
    return line.getvalue().rstrip("\r\n")
