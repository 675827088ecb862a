"""`wellkept bundle`: the whole log for an auditor, without anything that says what it holds."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, put, say


@click.command("bundle")
@data_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The zip to write; a new file.")
@click.option("--client", type=click.UUID, help="With the sealed payloads of this client's record and readings.")
@json_option
@pass_settings
def command(settings: Settings, output: Path, client: UUID | None, as_json: bool) -> None:
    """Write the log for an auditor: entries, checkpoints, epochs; no payloads, no keys.

    Whoever gets it runs `wellkept verify BUNDLE --genesis FINGERPRINT`, or verify.py alone, on any machine.
    """
    from ops.live.bundle import write_bundle
    from ops.live.log import open_tables
    from ops.verify import VerificationError
    from ops.wiring import deployment_of

    deployment_of(settings.data)
    streams = frozenset[UUID]() if client is None else _streams(settings, client)
    try:
        with open_tables(settings) as tables, progress_bar("writing") as progress:
            written = write_bundle(tables, output, streams, progress)
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, str(error)) from error
    put({"bundle": str(output.absolute()), **written}, as_json, f"{written['entries']} entries in {output}")
    say("It shows when something happened in some stream: give it to an appointed auditor only.")


def _streams(settings: Settings, client: UUID) -> frozenset[UUID]:
    """Return the client's record and access stream; only the clinic's keys can tell the second."""
    from ops.opening import open_from

    clinic = open_from(settings, read_only=True)
    try:
        return frozenset((client, clinic.service.streams.access(client)))
    finally:
        clinic.close()
