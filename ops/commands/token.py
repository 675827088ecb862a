"""`wellkept token`: the tokens with which staff sign in."""

from __future__ import annotations

import click

from ops.desk import perform
from ops.duties import MAX_TOKEN_DAYS
from ops.settings import Settings
from ops.terminal import confirm, data_option, json_option, pass_settings, put, say, yes_option

DEFAULT_DAYS = 30


@click.group("token")
def command() -> None:
    """Sign-in tokens: issue and revoke them."""


@command.command("issue")
@data_option
@click.argument("user")
@click.option(
    "--days",
    type=click.IntRange(1, MAX_TOKEN_DAYS),
    default=DEFAULT_DAYS,
    show_default=True,
    help="Days until it expires.",
)
@json_option
@pass_settings
def issue(settings: Settings, user: str, days: int, as_json: bool) -> None:
    """Issue a token to the account USER (its id) and print it, this once."""
    issued = perform(settings, "token.issue", {"user": user, "days": days})
    put(issued, as_json, issued["token"])
    say(f"It is shown only now. It expires on {issued['expires_at'][:10]}; its id is {issued['id']}.")


@command.command("revoke")
@data_option
@click.argument("id")
@yes_option
@json_option
@pass_settings
def revoke(settings: Settings, id: str, yes: bool, as_json: bool) -> None:
    """Take the token with this id back; it stops working at the next request."""
    confirm("Take this token back?", yes)
    revoked = perform(settings, "token.revoke", {"id": id})
    put(revoked, as_json, revoked["id"])
    say("The token is taken back.")
