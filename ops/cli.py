"""The command line: the group of all commands, and the one place where errors become exit codes.

Source: CONTRACT (command line). Exit codes: see `ops.exits`.

- Settings are read once, before any command; what they lack or misname is a usage error.
- An error is one sentence on stderr, never a traceback.
- Each command is a file in `ops/commands`, loaded when it is called.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from ops.exits import exit_code, sentence
from ops.logging import configure_logging
from ops.process_guards import guard_process
from ops.settings import read_settings
from ops.terminal import say

COMMANDS = {
    "init": "ops.commands.init",
    "demo": "ops.commands.demo",
    "serve": "ops.commands.serve",
    "user": "ops.commands.user",
    "token": "ops.commands.token",
    "load": "ops.commands.load",
    "rebuild": "ops.commands.rebuild",
    "audit": "ops.commands.audit",
    "patterns": "ops.commands.patterns",
    "spot-checks": "ops.commands.spot_checks",
    "disclosures": "ops.commands.disclosures",
    "erase": "ops.commands.erase",
    "export": "ops.commands.export",
    "disclose": "ops.commands.disclose",
    "import": "ops.commands.import_",
    "retention": "ops.commands.retention",
    "genesis": "ops.commands.genesis",
    "checkpoint": "ops.commands.checkpoint",
    "declare-restore": "ops.commands.declare_restore",
    "declare-clock": "ops.commands.declare_clock",
    "verify": "ops.commands.verify",
    "bundle": "ops.commands.bundle",
    "backup": "ops.commands.backup",
    "restore": "ops.commands.restore",
    "move-in": "ops.commands.move_in",
    "doctor": "ops.commands.doctor",
    "upgrade": "ops.commands.upgrade",
    "config": "ops.commands.config",
    "openapi": "ops.commands.openapi",
    "witness": "ops.commands.witness",
    "bench": "ops.commands.bench",
    "keys": "ops.commands.keys",
}
"""Name → module that holds the command as `command`, in the order of a clinic's life."""


class _Wellkept(click.Group):
    """The group: it loads commands when they are called and turns their errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error is said in one sentence and ends it with its code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the outermost edge of every command
            say(f"wellkept: {sentence(error)}")
            ctx.exit(exit_code(error))


@click.command(cls=_Wellkept, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wellkept", prog_name="wellkept")
@click.pass_context
def cli(context: click.Context) -> None:
    """Keep psychotherapy records as encrypted, immutable events in a tamper-evident log."""
    context.obj = read_settings()
    configure_logging(context.obj.log_level)


def main() -> None:
    """Run the command line in a process of its own."""
    guard_process()
    cli.main(prog_name="wellkept")
