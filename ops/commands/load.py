"""`wellkept load`: take a clinic-year file into the log through the decisions that the API uses."""

from __future__ import annotations

from pathlib import Path

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, say, table


@click.command("load")
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_settings
def command(settings: Settings, file: Path, as_json: bool) -> None:
    """Load the lines of FILE (.jsonl or .jsonl.gz); what the rules refuse is counted and listed."""
    with progress_bar("loading") as progress:
        report = perform(settings, "load", {"path": str(file.absolute())}, progress)
    for refusal in report["refusals"]:
        say(f"line {refusal['line']}: refused, {refusal['rule']}")
    rows = [("lines", str(report["lines"])), ("accepted", str(report["accepted"]))]
    rows += [(f"refused: {rule}", str(count)) for rule, count in sorted(report["refused"].items())]
    rows += [(f"skipped: {kind}", str(count)) for kind, count in sorted(report["skipped"].items())]
    rows.append(("seconds", f"{report['seconds']:.1f}"))
    put(report, as_json, table(rows))
