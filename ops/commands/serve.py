"""`wellkept serve`: serve a clinic over HTTP until it is told to stop."""

from __future__ import annotations

import click

from ops.settings import Settings
from ops.terminal import bind_option, data_option, json_option, pass_settings, put, say


@click.command("serve")
@data_option
@bind_option
@json_option
@pass_settings
def command(settings: Settings, as_json: bool) -> None:
    """Serve the clinic over HTTP until SIGTERM or Ctrl-C; it must have been founded."""
    from ops.serve import serve

    scheme = "http" if settings.tls_certificate_file is None else "https"
    url = f"{scheme}://{settings.bind}"

    def ready() -> None:
        put({"url": url, "data": str(settings.data.absolute())}, as_json, url)
        say("Stop it with Ctrl-C.")

    serve(settings, ready)
