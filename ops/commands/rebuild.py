"""`wellkept rebuild`: drop views and build them anew from the events."""

from __future__ import annotations

from typing import Any

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, table


@click.command("rebuild")
@data_option
@click.argument("view", required=False)
@json_option
@pass_settings
def command(settings: Settings, view: str | None, as_json: bool) -> None:
    """Drop VIEW, or every view, and build it anew. Views hold nothing that the events do not."""
    with progress_bar("rebuilding") as progress:
        rebuilt = perform(settings, "rebuild", {"view": view}, progress)
    put(rebuilt, as_json, table([(*_line(each),) for each in rebuilt]))


def _line(each: dict[str, Any]) -> tuple[str, str, str]:
    unreadable = f"{each['unreadable']} records could not be read" if each["unreadable"] else ""
    return ", ".join(each["views"]), f"{each['rows']} rows", unreadable
