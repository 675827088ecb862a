"""`wellkept demo`: a demo clinic of invented people, made anew and served.

- The directory must be new or empty: a demo never mixes with a clinic.
- One sign-in token for each role is printed, this once; so are the log's fingerprint and its recovery key.
- `wellkept demo tamper` alters it afterwards, for whoever wants to see that found.
"""

from __future__ import annotations

from pathlib import Path

import click

from ops.demo.tamper import KINDS, NotADemo, tamper
from ops.exits import CommandFailed, Exit
from ops.keys.recovery_key import format_secret
from ops.settings import Settings
from ops.terminal import bind_option, data_option, json_option, pass_settings, put, say, table
from records.epoch import format_fingerprint

DEFAULT_DATA = Path("demo-clinic")


@click.group("demo", invoke_without_command=True)
@data_option
@bind_option
@click.option("--years", type=click.FloatRange(0.1, 20), default=1.5, show_default=True, help="Years of history.")
@click.option("--therapists", type=click.IntRange(1, 150), default=3, show_default=True, help="How many therapists.")
@click.option("--no-serve", is_flag=True, help="Make the clinic and stop.")
@json_option
@pass_settings
@click.pass_context
def command(
    context: click.Context, settings: Settings, years: float, therapists: int, no_serve: bool, as_json: bool
) -> None:
    """Make a demo clinic of invented people and serve it."""
    if context.invoked_subcommand is None:
        _make(settings, years, therapists, no_serve, as_json)


def _make(settings: Settings, years: float, therapists: int, no_serve: bool, as_json: bool) -> None:
    from ops.demo.clinic import make_demo
    from ops.serve import check_bind, check_free, serve

    if settings.source("DATA") == "default":
        settings = settings.option("DATA", DEFAULT_DATA)
    # A demo has keys of its own, whatever keys the settings name for a real clinic.
    settings = settings.option("KEY_FILE", None).option("KEY_PASSPHRASE_FILE", None)
    if not no_serve:
        # What cannot be served is said before anybody waits for the clinic.
        check_bind(settings)
        check_free(settings.bind)
    if settings.data.exists() and any(settings.data.iterdir()):
        raise CommandFailed(Exit.FAILED, "the directory is not empty; a demo clinic is made in a new one")
    say("Making a demo clinic of invented people …")
    demo = make_demo(settings.data, years=years, therapists=therapists, database_url=settings.database_url)
    document = {
        "data": str(settings.data.absolute()),
        "tokens": demo.tokens,
        "staff": demo.staff,
        "clients": demo.clients,
        "events": demo.events,
        "fingerprint": format_fingerprint(demo.founded.fingerprint),
        "recovery": format_secret(demo.founded.recovery),
    }
    shown = [*demo.tokens.items(), *((name, document[name]) for name in ("fingerprint", "recovery"))]
    put(document, as_json, table([(name, str(value)) for name, value in shown]))
    say(f"{len(demo.clients)} clients, {demo.events} entries in the log. Tokens and recovery key are shown only now.")
    say(f"Is the log whole? `wellkept verify --data {settings.data}` answers, also while it is served.")
    say(
        f"Stop it, alter it with `wellkept demo tamper --data {settings.data} edit`, and ask again: the entry is named."
    )
    say(f"Other kinds: {', '.join(kind for kind in KINDS if kind != 'edit')}.")
    if not no_serve:
        serve(settings, lambda: say(f"The demo clinic is served on http://{settings.bind}. Stop it with Ctrl-C."))


@command.command("tamper")
@data_option
@click.argument("kind", type=click.Choice(list(KINDS)))
@json_option
@pass_settings
def alter(settings: Settings, kind: str, as_json: bool) -> None:
    """Alter a stopped demo clinic as somebody who has its database could, so that `wellkept verify` finds it.

    There is no way back, and no other clinic than a demo is touched.
    """
    if settings.source("DATA") == "default":
        settings = settings.option("DATA", DEFAULT_DATA)
    try:
        done = tamper(settings.data, kind)
    except NotADemo as error:
        raise CommandFailed(Exit.FAILED, str(error)) from error
    put({"kind": kind, "done": done}, as_json, done)
    say(f"Now ask: wellkept verify --data {settings.data}")
