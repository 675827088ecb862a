"""`wellkept user`: the accounts of a clinic's staff."""

from __future__ import annotations

from pathlib import Path

import click

from ops.desk import perform
from ops.settings import Settings
from ops.terminal import confirm, data_option, json_option, pass_settings, put, say, table, yes_option
from records.actors import Role

ROLES = [role.value for role in Role if role is not Role.OPERATOR]


@click.group("user")
def command() -> None:
    """Accounts: add, list and disable them, change their roles; record how they are tied to clients."""


@command.command("add")
@data_option
@click.option("--name", required=True, help="The name that reports show.")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What the person is employed to do.")
@json_option
@pass_settings
def add(settings: Settings, name: str, role: str, as_json: bool) -> None:
    """Open an account and print its id."""
    added = perform(settings, "user.add", {"name": name, "role": role})
    put(added, as_json, added["id"])
    say(f"The account is open. A sign-in token: wellkept token issue {added['id']}")


@command.command("list")
@data_option
@json_option
@pass_settings
def list_(settings: Settings, as_json: bool) -> None:
    """List all accounts with the tokens that are good now."""
    users = perform(settings, "user.list", {})
    rows = [("ID", "ROLE", "STATE", "TOKENS", "NAME")]
    for user in users:
        state = "disabled" if user["disabled"] else "open"
        rows.append((user["id"], user["role"], state, str(len(user["tokens"])), user["name"]))
    put(users, as_json, table(rows))


@command.command("role")
@data_option
@click.argument("id")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What the person is employed to do from now on.")
@json_option
@pass_settings
def role(settings: Settings, id: str, role: str, as_json: bool) -> None:
    """Give an account another role, from the next request on; the audit tells who did so."""
    changed = perform(settings, "user.role", {"id": id, "role": role})
    put(changed, as_json, changed["id"])
    say(f"The account has the role {role}.")


@command.command("disable")
@data_option
@click.argument("id")
@yes_option
@json_option
@pass_settings
def disable(settings: Settings, id: str, yes: bool, as_json: bool) -> None:
    """Close an account; its tokens stop working at the next request."""
    confirm("Close this account?", yes)
    disabled = perform(settings, "user.disable", {"id": id})
    put(disabled, as_json, disabled["id"])
    say("The account is closed.")


@command.command("ties")
@data_option
@click.argument("id")
@click.option("--client", type=click.UUID, help="The person's own record as a client.")
@click.option(
    "--address-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with the person's address; a keyed digest of it is kept.",
)
@json_option
@pass_settings
def ties(settings: Settings, id: str, client: object | None, address_file: Path | None, as_json: bool) -> None:
    """Record how a colleague is tied to clients; it replaces what was known. Without options nothing is."""
    address = None if address_file is None else address_file.read_text("utf-8").strip()
    told = {"id": id, "client": None if client is None else str(client), "address": address or None}
    recorded = perform(settings, "user.ties", told)
    put(recorded, as_json, recorded["id"])
    say("The ties are recorded; wellkept patterns takes account of them.")


@command.command("totp")
@data_option
@click.argument("id")
@yes_option
@json_option
@pass_settings
def totp(settings: Settings, id: str, yes: bool, as_json: bool) -> None:
    """Give an account a second factor for emergency access; an older one ends.

    Prints the address for its authenticator app, this once.
    """
    confirm("Make a new second factor for this account?", yes)
    enrolled = perform(settings, "user.totp", {"user": id})
    put(enrolled, as_json, enrolled["uri"])
    say("It is shown only now, and stored nowhere. Scan it with the person's authenticator app.")


@command.command("reviewer")
@data_option
@click.argument("id")
@json_option
@pass_settings
def reviewer(settings: Settings, id: str, as_json: bool) -> None:
    """Name the supervisor or second privacy officer who reviews what the privacy officer did or confirmed."""
    named = perform(settings, "user.reviewer", {"user": id})
    put(named, as_json, named["user"])
    say("They find these reviews under /v1/audit/reviews.")
