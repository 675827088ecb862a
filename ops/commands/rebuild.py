"""`wellkept rebuild`: drop views and build them anew from the events."""

from __future__ import annotations

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put


@click.command("rebuild")
@data_option
@click.argument("view", required=False)
@json_option
@pass_settings
def command(settings: Settings, view: str | None, as_json: bool) -> None:
    """Drop VIEW, or every view, and build it anew. Views hold nothing that the events do not."""
    with progress_bar("rebuilding") as progress:
        rebuilt = perform(settings, "rebuild", {"view": view}, progress)
    put(rebuilt, as_json, "\n".join(f"{each['view']}: {each['rows']} rows" for each in rebuilt))
