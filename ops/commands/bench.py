"""`wellkept bench`: the figures, measured on this machine as ratios within one run."""

from __future__ import annotations

import click

from ops.terminal import json_option


@click.command("bench")
@click.option("--quick", is_flag=True, help="Short rounds: rough figures in a minute.")
@click.option("--only", metavar="NAME", help="Only the figures of this group.")
@click.option("--list", "names", is_flag=True, help="Name the figures and their targets, and measure nothing.")
@json_option
def command(quick: bool, only: str | None, names: bool, as_json: bool) -> None:
    """Measure the figures, each beside its target."""
    from ops.bench import main

    chosen = {"--quick": quick, "--list": names, "--json": as_json}
    flags = [flag for flag, given in chosen.items() if given]
    raise SystemExit(main([*flags, *(["--only", only] if only else [])]))
