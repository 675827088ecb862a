"""`wellkept disclosures`: the accounting of what was disclosed, as a letter to the client.

Source: US 45 CFR 164.528.

- It is a reading of one client's record at the client's request, by the records clerk whose token acts.
- It sends nothing.
"""

from __future__ import annotations

from uuid import UUID

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say


@click.group("disclosures")
def command() -> None:
    """What left the clinic about a client."""


@command.command("letter")
@data_option
@click.argument("client", type=click.UUID)
@click.option("--format", "form", type=click.Choice(["text", "html"]), default="text", show_default=True)
@json_option
@pass_settings
def letter(settings: Settings, client: UUID, form: str, as_json: bool) -> None:
    """Write the accounting of disclosures for a client."""
    written = perform(settings, "disclosures.letter", {"client": str(client)})
    put(written, as_json, written[form].rstrip("\n"))
    say(f"{written['count']} disclosure{'' if written['count'] == 1 else 's'}.")
