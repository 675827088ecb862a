"""`wellkept declare-clock`: trust the machine's clock again after it jumped, once a person has looked at it."""

from __future__ import annotations

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say


@click.command("declare-clock")
@data_option
@json_option
@pass_settings
def command(settings: Settings, as_json: bool) -> None:
    """Declare that the machine's clock is right as it is now; writing goes on."""
    declared = perform(settings, "clock.declare", {})
    put(declared, as_json, f"the clock shows {declared['now']}; the newest entry is of {declared['newest']}")
    say("Look into the journal for why it jumped.")
