"""`wellkept keys`: which keys there are, and their turn. It never shows a key.

- The keyring's own key is turned by this process, beside the service: it needs the key file and no log.
- Data keys get an entry in the log, so that theirs is a duty of the service where one runs.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from ops.desk import perform
from ops.keys.providers import open_provider
from ops.settings import Settings
from ops.terminal import confirm, data_option, json_option, pass_settings, progress_bar, put, say, table, yes_option
from ops.wiring import Paths, deployment_of
from records.generations import destroy_old_generations, turn_generation
from records.key_provider import KeyFileProvider, KeyProvider
from records.key_turns import TURNING
from records.keyring import Keyring
from records.ledger import KeyClass
from records.signer_state import SignerState

DESTROYING = (
    "The old generations are destroyed for good. From then on no copy of the keyring opens that was made before this "
    "turn, and no backup that needs one. Make a copy of the keyring of the new generation first and verify it; see "
    "docs/how-to/rotate-keys.md."
)


class _Keys(NamedTuple):
    provider: KeyProvider
    keyring: Keyring
    signer: SignerState | None


@click.group("keys")
def command() -> None:
    """Keys: which there are, and their turn. A key is never shown."""


@command.command("list")
@data_option
@json_option
@pass_settings
def list_keys(settings: Settings, as_json: bool) -> None:
    """List how many keys there are of each class, version and generation, and how many were destroyed."""
    with _opened(settings) as keys:
        generations = keys.provider.generations()
        held = Counter(
            (key.key_class, abs(key.version), key.version < 0, key.generation) for key in keys.keyring.held()
        )
        destroyed = Counter(tombstone.key_class for tombstone in keys.keyring.tombstones())
        signer = Counter([] if keys.signer is None else keys.signer.generations())
    listed = {
        "generation": generations[-1],
        "generations": generations,
        "keys": [
            {"class": _name(key_class), "version": version, "generation": generation, "waits": waits, "count": count}
            for (key_class, version, waits, generation), count in sorted(held.items())
        ],
        "signer": [{"generation": generation, "count": count} for generation, count in sorted(signer.items())],
        "destroyed": [{"class": _name(key_class), "count": count} for key_class, count in sorted(destroyed.items())],
    }
    put(listed, as_json, table(list(_rows(listed))))


@command.command("rotate")
@data_option
@click.option(
    "--keyring", "keyring", is_flag=True, help="Turn the keyring's own key (what is done without --data-keys)."
)
@click.option(
    "--data-keys",
    "data_class",
    type=click.Choice([_class.name.lower() for _class in TURNING]),
    help="Turn the data keys of this class instead.",
)
@click.option("--destroy-old", is_flag=True, help="Destroy the keyring's older generations in the end; needs --yes.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@yes_option
@json_option
@pass_settings
def rotate(
    settings: Settings,
    keyring: bool,
    data_class: str | None,
    destroy_old: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Turn keys, while the clinic is served. No record is written anew, and each stays readable."""
    if data_class is not None and (keyring or destroy_old):
        raise click.UsageError("--data-keys turns data keys alone; turn the keyring's own key by itself")
    if dry_run:
        _foresee(settings, data_class, destroy_old, as_json)
    elif data_class is not None:
        confirm(f"Make a new version of every key of class {data_class}?", yes)
        with progress_bar("turning") as progress:
            turned = perform(settings, "keys.turn", {"class": data_class}, progress)
        put(turned, as_json, f"{turned['count']} keys of class {data_class} have a new version")
    else:
        if destroy_old:
            _insist(yes)
        _rotate_keyring(settings, destroy_old, as_json)


def _rotate_keyring(settings: Settings, destroy_old: bool, as_json: bool) -> None:
    with _opened(settings) as keys:
        # What is destroyed in a key file that another clinic uses, too, would be lost to that one.
        if isinstance(keys.provider, KeyFileProvider):
            keys.provider.claim(Paths(settings.data).keyring)
        before = keys.provider.generations()
        if destroy_old and len(before) > 1:
            # What was turned before, and copied since, is only brought to its end.
            destroy_old_generations(*keys)
        else:
            turn_generation(*keys, destroy_old=destroy_old)
        generations = keys.provider.generations()
        count = sum(1 for _ in keys.keyring.held())
    destroyed = [generation for generation in before if generation not in generations]
    told = {"generation": generations[-1], "generations": generations, "destroyed": destroyed, "keys": count}
    put(told, as_json, f"{count} keys are wrapped under generation {generations[-1]}")
    if destroyed:
        say("Copies of the keyring from before no longer open: throw them away.")
    elif len(generations) > 1:
        say("Older generations are still there: copy the keyring, verify the copy, then destroy them (--destroy-old).")


def _foresee(settings: Settings, data_class: str | None, destroy_old: bool, as_json: bool) -> None:
    with _opened(settings) as keys:
        generations = keys.provider.generations()
        held = list(keys.keyring.held())
    if data_class is not None:
        count = len({key.scope for key in held if key.key_class == KeyClass[data_class.upper()]})
        told: dict[str, Any] = {"dry_run": True, "class": data_class, "count": count}
        put(told, as_json, f"{count} keys of class {data_class} would get a new version")
        return
    # A turn that destroys takes the one generation along; of several, it only brings an earlier turn to its end.
    older = generations if len(generations) == 1 else generations[:-1]
    would = list(older) if destroy_old else []
    told = {"dry_run": True, "generations": generations, "keys": len(held), "would_destroy": would}
    put(told, as_json, f"{len(held)} keys; generations that would be destroyed: {would or 'none'}")


def _insist(yes: bool) -> None:
    """Say what is destroyed, and go on only where somebody agrees.

    Raises:
        click.UsageError: nobody sits here, and `--yes` was not given.
        click.Abort: the answer was no.
    """
    say(DESTROYING)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("--destroy-old needs --yes where nobody can be asked")
    confirm("Is there a verified copy of the keyring, and may the old generations be destroyed?", yes)


@contextmanager
def _opened(settings: Settings) -> Iterator[_Keys]:
    """Open the keys beside whoever serves the clinic; the log stays closed."""
    paths, deployment_id = Paths(settings.data), deployment_of(settings.data)
    provider = open_provider(settings)
    keyring = Keyring(paths.keyring, deployment_id, provider, time.monotonic)
    try:
        signer = SignerState(paths.signer, deployment_id, provider) if paths.signer.is_dir() else None
        yield _Keys(provider, keyring, signer)
    finally:
        keyring.close()


def _name(key_class: int) -> str:
    return KeyClass(key_class).name.lower()


def _rows(listed: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    yield "class", "version", "generation", "keys"
    for key in listed["keys"]:
        version = f"{key['version']} (waits)" if key["waits"] else str(key["version"])
        yield key["class"], version, str(key["generation"]), str(key["count"])
    for key in listed["signer"]:
        yield "signer", "", str(key["generation"]), str(key["count"])
    for key in listed["destroyed"]:
        yield key["class"], "destroyed", "", str(key["count"])
