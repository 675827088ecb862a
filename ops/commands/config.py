"""`wellkept config`: the effective settings and where each is from."""

from __future__ import annotations

import click

from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, table


@click.command("config")
@data_option
@json_option
@pass_settings
def command(settings: Settings, as_json: bool) -> None:
    """Show the effective settings with their source; secrets are not shown."""
    shown = settings.shown()
    rows = [("SETTING", "VALUE", "SOURCE")]
    for setting in shown:
        source = f"{setting['source']}{'' if setting['used'] else ' (nothing in this version uses it)'}"
        rows.append((str(setting["name"]), str(setting["value"] or "-"), source))
    put(shown, as_json, table(rows))
