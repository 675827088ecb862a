"""`wellkept openapi`: the document of the HTTP interface, without serving it."""

from __future__ import annotations

import click
import msgspec

from ops.settings import Settings
from ops.terminal import json_option, pass_settings, put


@click.command("openapi")
@json_option
@pass_settings
def command(settings: Settings, as_json: bool) -> None:
    """Print the OpenAPI 3.1 document; it needs no clinic. With --json it is one line."""
    from api.app import openapi_document

    document = openapi_document()
    put(document, as_json, msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
