"""`wellkept spot-checks`: readings drawn by chance, and what was decided on them.

Source: AUDIT A7.

- The commands act as the account of WELLKEPT_TOKEN_FILE; the operator at the machine draws and lists, and decides
  nothing.
- A draw names no client: `wellkept audit` opens the entries.
"""

from __future__ import annotations

from uuid import UUID

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say, table
from records.spot_checks import GROUNDS, OUTCOMES


@click.group("spot-checks")
def command() -> None:
    """Readings drawn by chance: draw, list, decide."""


@command.command("draw")
@data_option
@json_option
@pass_settings
def draw(settings: Settings, as_json: bool) -> None:
    """Draw readings from the log after the last draw, and print the id of the draw."""
    drawn = perform(settings, "spot_checks.draw", {})
    put(drawn, as_json, str(drawn["id"]))
    say("What was drawn: wellkept spot-checks list --open")


@command.command("list")
@data_option
@click.option("--open", "only_open", is_flag=True, help="Only draws with readings that are not decided.")
@json_option
@pass_settings
def list_(settings: Settings, only_open: bool, as_json: bool) -> None:
    """List the last fifty draws, the newest first."""
    listed = perform(settings, "spot_checks.list", {"open": only_open})
    rows = [("DRAW", "INDEX", "STATE", "GROUND", "WHO READ")]
    rows += [
        (item["id"], str(check["index"]), check["outcome"] or "open", check["ground"] or "", check["staff_name"])
        for item in listed["items"]
        for check in item["checks"]
    ]
    put(listed, as_json, table(rows))
    say(f"{listed['open']} open; the next draw is due {listed['due_at'] or 'now'}.")


@command.command("decide")
@data_option
@click.argument("draw", type=click.UUID)
@click.argument("index", type=click.IntRange(min=0))
@click.argument("outcome", type=click.Choice(OUTCOMES))
@click.argument("ground", type=click.Choice(sorted({ground for grounds in GROUNDS.values() for ground in grounds})))
@json_option
@pass_settings
def decide(settings: Settings, draw: UUID, index: int, outcome: str, ground: str, as_json: bool) -> None:
    """Decide on one reading of a draw."""
    told = {"draw": str(draw), "index": index, "outcome": outcome, "ground": ground}
    decided = perform(settings, "spot_checks.decide", told)
    put(decided, as_json, str(decided["id"]))
    say("The decision is recorded.")
