"""`wellkept doctor`: what is healthy about a clinic on this machine and what is not."""

from __future__ import annotations

import click

from ops.doctor.examination import examine, verdict
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, table


@click.command("doctor")
@data_option
@json_option
@pass_settings
@click.pass_context
def command(context: click.Context, settings: Settings, as_json: bool) -> None:
    """Examine files, keys, database and log; repair nothing."""
    with progress_bar("reading the log") as progress:
        findings = list(examine(settings, progress))
    code = verdict(findings)
    put(
        {"healthy": code == 0, "findings": findings},
        as_json,
        table([(finding.state, finding.check, finding.detail) for finding in findings]),
    )
    context.exit(code)
