"""`wellkept patterns`: what fixed rules found in who looked, for each person, with where to look.

Source: AUDIT (snooping rules).

- It is a reading like any other: it needs permission and leaves its own entry.
- It names no client: `wellkept audit` opens the entries.
"""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from ops.commands.audit import Moment
from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, say


@click.command("patterns")
@data_option
@click.option("--actor", help="Only this account's id, or operator:NAME.")
@click.option("--from", "from_at", type=Moment(), help="From this date or time on; 31 days before the end if left out.")
@click.option("--to", "to_at", type=Moment(), help="Before this date or time; now if left out.")
@json_option
@pass_settings
def command(
    settings: Settings, actor: str | None, from_at: datetime | None, to_at: datetime | None, as_json: bool
) -> None:
    """Count readings that a privacy officer should look at."""
    asked = msgspec.to_builtins({"staff": actor, "from": from_at, "to": to_at})
    report = perform(settings, "audit.patterns", asked)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for item in report["items"]:
        more = " …" if item["more"] else ""
        click.echo(f"{item['rule']}  {item['text']}  entries {', '.join(map(str, item['indexes']))}{more}")
    say(f"{report['readings']} readings from {report['from_at']} to {report['to_at']}.")
    if report["gaps"]:
        say(f"{len(report['gaps'])} entries could not be opened. See wellkept doctor.")
