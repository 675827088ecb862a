"""`wellkept init`: found a clinic.

- The data directory and the key directory are 0700, and the keys stand apart from the data.
- A place that holds something already is refused.
- The genesis fingerprint and the recovery key are printed, the key this once.
"""

from __future__ import annotations

import zoneinfo
from functools import partial
from uuid import UUID

import click

from ops import wiring
from ops.keys.providers import create_provider, where
from ops.keys.recovery_key import format_secret
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from records.clinic_policy import ClinicPolicy
from records.epoch import format_fingerprint


def _zone(_: click.Context, __: click.Parameter, value: str) -> str:
    if value not in zoneinfo.available_timezones():
        raise click.BadParameter("is not the name of a time zone, such as Europe/London")
    return value


@click.command("init")
@data_option
@click.option("--clinic", required=True, metavar="NAME", help="The clinic's name, as documents show it.")
@click.option("--jurisdiction", required=True, type=click.Choice(["uk", "us", "eu"]), help="Whose rules apply.")
@click.option("--timezone", required=True, metavar="ZONE", callback=_zone, help="IANA name, such as Europe/London.")
@json_option
@pass_settings
def command(settings: Settings, clinic: str, jurisdiction: str, timezone: str, as_json: bool) -> None:
    """Found a clinic: its data directory, its keys apart, and the first entries of its log."""
    if not clinic.strip():
        raise click.BadParameter("is empty", param_hint="--clinic")
    told = wiring.found(
        settings.data,
        clinic.strip(),
        ClinicPolicy(jurisdiction=jurisdiction, timezone=timezone),
        database_url=settings.database_url,
        create=partial(create_provider, settings),
    )
    paths = wiring.Paths(settings.data)
    deployment = (paths.data / "deployment").read_text().strip()
    founded = {
        "data": str(paths.data.absolute()),
        "keys": str(paths.keys.absolute()),
        "key_file" if settings.key_provider == "file" else "key_provider": where(settings, UUID(deployment)),
        "engine": "sqlite" if settings.database_url is None else "postgresql",
        "deployment": deployment,
        "fingerprint": format_fingerprint(told.fingerprint),
        "recovery": format_secret(told.recovery),
    }
    put(founded, as_json, "\n".join(f"{name:<12}{value}" for name, value in founded.items()))
    say("The fingerprint names this log for good: print it on the privacy notice and the consent forms.")
    say("The recovery key is shown only now and stands nowhere on disk: write it down and lock it away.")
    say("The clinic is founded. Keep a copy of the keys elsewhere: without them nothing can be read.")
    if settings.key_provider != "file":
        say("The root key is in no copy of these directories: see docs/how-to/keep-keys-in-vault-or-an-hsm.md.")
    elif settings.key_passphrase_file is None:
        say("The key file has no passphrase (WELLKEPT_KEY_PASSPHRASE_FILE): whoever reads it has the keys.")
    say("Next: wellkept user add --name NAME --role administrator, wellkept token issue USER, wellkept serve.")
