"""`wellkept upgrade`: bring a data directory of an older format to the one of this version.

Source: decision 44; CONTRACT (command line).

- The clinic must not be served meanwhile. A run that was interrupted is simply run again.
- There is no way back but a backup, so it asks.
"""

from __future__ import annotations

import click

from ops.settings import Settings
from ops.terminal import confirm, data_option, json_option, pass_settings, put, say, yes_option


@click.command("upgrade")
@data_option
@click.option("--dry-run", is_flag=True, help="Only list the steps.")
@yes_option
@json_option
@pass_settings
def command(settings: Settings, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Upgrade the data directory to the format of this version. Make a backup first: there is no way back."""
    from ops.data_format import FORMAT, format_of
    from ops.upgrade import steps_missing, upgrade

    before = format_of(settings.data)
    listed = [step.says for _, steps in steps_missing(settings) for step in steps]
    if listed:
        say("First have a copy of the data directory, its keys and its database: there is no way back but that.")
    if listed and not dry_run:
        for each in listed:
            say(f"to do: {each}")
        confirm(f"Upgrade from {before} to {FORMAT}?", yes)
        upgrade(settings, lambda step: say(f"now: {step}"))
    after = format_of(settings.data)
    done = bool(listed) and not dry_run
    text = f"{before} → {after}" if done else f"{after} (nothing was changed)"
    put({"from": before, "format": after, "to": FORMAT, "steps": listed}, as_json, "\n".join([text, *listed]))
    if done:
        say("Next: wellkept verify, wellkept doctor, and a new backup of data and keys.")
