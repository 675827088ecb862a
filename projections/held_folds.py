"""Folds held in memory for a moment, so that a record that is looked at again is not opened again.

Source: CRYPTO 6 (leases) and 7 (caches die with the key).

- A held fold is used only while the client's key still opens, which is asked each time; keys are leased for at most
  60 seconds, so what is held outlives a destroyed key by no more than that.
- It is used only for the version that it includes: whoever takes it asks the log for anything newer, each time.
- Few are held, least recently used first, and none is ever changed: moving on begins from its encoded form.

It is no view and no evidence; forgetting everything is always safe.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

HELD_FOLDS = 512

State = TypeVar("State")


class Held(NamedTuple, Generic[State]):
    """A fold up to a version.

    Attributes:
        version: the last version that it includes.
        leaf: the leaf hash of that event.
        state: the fold; nobody changes it.
        content: the same, encoded, to move on from.
        shown: what views rendered of this fold, by names of their own; it is forgotten with the fold.
    """

    version: int
    leaf: bytes
    state: State
    content: bytes
    shown: dict[Any, Any]


class HeldFolds(Generic[State]):
    """The folds of one clinic by client. Any thread may use it."""

    def __init__(self, most: int = HELD_FOLDS) -> None:
        self._most = most
        self._held: OrderedDict[UUID, Held[State]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, client_id: UUID) -> Held[State] | None:
        """Return what is held of a client, or None."""
        with self._lock:
            held = self._held.get(client_id)
            if held is not None:
                self._held.move_to_end(client_id)
            return held

    def keep(self, client_id: UUID, held: Held[State]) -> None:
        """Hold a fold, unless a newer one of the client is held."""
        with self._lock:
            before = self._held.get(client_id)
            if before is not None and before.version > held.version:
                return
            self._held[client_id] = held
            self._held.move_to_end(client_id)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def forget(self, client_id: UUID) -> None:
        """Drop what is held of a client."""
        with self._lock:
            self._held.pop(client_id, None)
