"""`wellkept genesis`: the fingerprint by which anyone tells this clinic's log from every other."""

from __future__ import annotations

from contextlib import closing

import click

from ops.opening import open_from
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from ops.witness.witnessing import genesis_of
from records.epoch import format_fingerprint
from records.signed_note import encode_vkey


@click.command("genesis")
@data_option
@json_option
@pass_settings
def command(settings: Settings, as_json: bool) -> None:
    """Print the genesis fingerprint, and the log's key for a witness."""
    with closing(open_from(settings, read_only=True)) as clinic:
        genesis = genesis_of(clinic)
    vkey = encode_vkey(genesis.log)
    told = {"fingerprint": genesis.fingerprint, "origin": genesis.log.name, "log_vkey": vkey}
    put(told, as_json, f"{format_fingerprint(genesis.fingerprint)}\n{vkey}")
    say("The first line belongs on the privacy notice and the consent forms; the second is for a witness's `add-log`.")
