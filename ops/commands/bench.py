"""`wellkept bench`: the figures, measured on this machine as ratios within one run."""

from __future__ import annotations

import click

from ops.terminal import json_option


@click.command("bench")
@click.option("--quick", is_flag=True, help="Short rounds: rough figures in a minute.")
@click.option("--only", metavar="NAME", help="Only the figures of this group.")
@json_option
def command(quick: bool, only: str | None, as_json: bool) -> None:
    """Measure the figures, each beside its target."""
    from ops.bench import main

    arguments = [*(["--quick"] if quick else []), *(["--only", only] if only else []), *(["--json"] if as_json else [])]
    raise SystemExit(main(arguments))
