"""A process of its own that erases one client, and kills itself (SIGKILL) at a named place on the way.

    python -m tests.faults.erasing_clinic DATA DATABASE_URL|- CLIENT ERASURE OFFICER PLACE

It approves the request that waits, takes the steps of `records.erasing`, and dies at the place. The places within the
turn of the keyring key are found from outside of it: provider and keyring are the real ones, which tell when they are
called, and the interpreter tells when a file is about to be renamed (`sys.addaudithook`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from ops.wiring import Clinic, open_clinic
from records.actors import Actor, Role
from records.erasing import Erasing, Waiting
from records.generations import turn_generation
from records.key_provider import KeyFileProvider
from records.keyring import Keyring
from records.request import Request
from records.signer_state import SignerState

STEPS = ("approved", "fenced", "keys-destroyed", "generation-turned", "caches-dropped", "completed")
"""The approval, and each step that `Erasing` names."""
WITHIN_THE_TURN = (
    "key-file-beside-with-the-new-key",
    "generation-begun",
    "some-keys-rewrapped",
    "some-signer-keys-rewrapped",
    "old-key-unused",
    "key-file-beside-without-the-old-key",
    "old-key-destroyed",
)
PLACES = (*STEPS, *WITHIN_THE_TURN)

Here = Callable[[str], None]
"""Is told which place was reached."""


class TellingProvider(KeyFileProvider):
    """The real key file, which tells when its keys begin and end, and when a few keys were wrapped anew."""

    def __init__(self, path: Path, here: Here) -> None:
        super().__init__(path)
        self._here = here
        self._wrapped = {b"wellkept/dek/1": 0, b"wellkept/signer-key/1": 0}

    def begin_generation(self) -> int:
        begun = super().begin_generation()
        self._here("generation-begun")
        return begun

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        # What was wrapped before is stored by now: a data key is a transaction here, and a key of the signer a file.
        (kind,) = (each for each in self._wrapped if context.startswith(each))
        if self._wrapped[kind] == 1:
            self._here("some-keys-rewrapped" if kind == b"wellkept/dek/1" else "some-signer-keys-rewrapped")
        self._wrapped[kind] += 1
        return super().wrap(context, secret, generation)

    def destroy_generations_below(self, generation: int) -> None:
        self._here("old-key-unused")
        super().destroy_generations_below(generation)
        self._here("old-key-destroyed")


class OneByOne(Keyring):
    """The real keyring, which rewraps one key in a transaction."""

    def rewrap(self, to_generation: int | None = None, batch: int = 1) -> int:
        return super().rewrap(to_generation, batch)


def tell_renames(here: Here) -> None:
    """Tell each time before a new key file takes the place of the old one."""
    places = iter(("key-file-beside-with-the-new-key", "key-file-beside-without-the-old-key"))

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).endswith("root.key"):
            here(next(places))

    sys.addaudithook(hook)


def erasing_of(clinic: Clinic, here: Here) -> Erasing:
    """Return what erases in this clinic and tells of each place."""
    provider = TellingProvider(clinic.paths.key_file, here)
    keyring = OneByOne(clinic.paths.keyring, clinic.keyring.deployment_id, provider, time.monotonic)
    state = SignerState(clinic.paths.signer, clinic.keyring.deployment_id, provider)
    turn = partial(turn_generation, provider, keyring, state, destroy_old=True)
    return Erasing(clinic.service, clinic.store, clinic.keyring, turn, nullcontext, uuid4, _complain, here)


def _complain(code: str, facts: dict[str, object]) -> None:
    raise AssertionError(f"{code} {facts}")


def main(data: str, url: str, client: str, erasure: str, officer: str, place: str) -> None:
    """Erase until the place is reached."""

    def here(name: str) -> None:
        if name == place:
            os.kill(os.getpid(), signal.SIGKILL)

    tell_renames(here)
    clinic = open_clinic(Path(data), database_url=None if url == "-" else url)
    waiting = Waiting(UUID(erasure), UUID(client))
    request = Request(Actor(officer, Role.PRIVACY_OFFICER), uuid4().hex)
    clinic.erasure.approve(waiting.client_id, waiting.erasure_id, request)
    here("approved")
    erasing_of(clinic, here).complete(waiting)


if __name__ == "__main__":
    main(*sys.argv[1:])
