"""Handing a keyring over from one keeper of root keys to another: every data key is wrapped anew, and none shows.

Source: CRYPTO 6; decision 54.

- A data key is opened by the one keeper and wrapped by the other in memory; nothing is ever stored unwrapped.
- The new keeper's generation is a greater number than any of the old one's, so that each row says who opens it. So it
  is rewrapped by the keyring's own `rewrap`, with its promises: a crash leaves keys of both, and called again it does
  the rest.
- Tombstones stay as they are: what was destroyed is in no keyring and is handed to nobody.

It works on a copy of a keyring that nobody else has open.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from records.errors import KeyMissing, NotStored
from records.key_provider import KeyProvider
from records.keyring import Keyring


class _Both:
    """Two keepers as one: the older generations are those of the first, the newest is the second's."""

    def __init__(self, first: KeyProvider, second: KeyProvider) -> None:
        self._first, self._second = first, second
        self.generation = second.generation
        assert max(first.generations()) < self.generation, "a row's generation says who opens it"

    def generations(self) -> tuple[int, ...]:
        """Return the generations of both."""
        return (*self._first.generations(), self.generation)

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        """Wrap under the second's newest generation; see `KeyProvider.wrap`."""
        assert generation in (None, self.generation), "nothing is wrapped for the keeper that is left"
        return self._second.wrap(context, secret, self.generation)

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Open by whoever keeps the generation; see `KeyProvider.unwrap`."""
        keeper = self._second if generation == self.generation else self._first
        return keeper.unwrap(generation, context, wrapped)

    def begin_generation(self) -> NoReturn:
        """Refuse: neither keeper turns while keys are handed over."""
        raise NotStored("the keys are being handed over")

    def destroy_generations_below(self, generation: int) -> NoReturn:
        """Refuse: neither keeper turns while keys are handed over."""
        raise NotStored("the keys are being handed over")


def hand_over(keyring: Path, deployment_id: UUID, first: KeyProvider, second: KeyProvider) -> int:
    """Wrap every data key of a keyring under the newest generation of another keeper; return how many there are.

    Raises:
        KeyMissing: a key does not open, before or after.
        KeyProviderUnreachable: a keeper does not answer.
        NotStored: the keyring or the second keeper cannot be written.
    """
    newest = max(first.generations())
    while second.generations()[-1] <= newest:
        second.begin_generation()
    second.destroy_generations_below(second.generation)
    with closing(Keyring(keyring, deployment_id, _Both(first, second), time.monotonic)) as both:
        both.rewrap()
    # From the disk, and by the new keeper alone.
    with closing(Keyring(keyring, deployment_id, second, time.monotonic)) as own:
        opened, held = own.check_opens(second.generation), sum(1 for _ in own.held())
        if opened != held:
            raise KeyMissing("a key was not handed over")
        return held
