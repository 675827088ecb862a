"""Erasing: what follows an approval, step by step, so that whatever stops it, it goes on where it was.

Source: CRYPTO 7. The steps, by its numbers:

1. The approval stands in the log, and 2. the record is fenced in the same commit (`records.erasure_door`).
3. The keyring deletes every data key of the client and keeps their tombstones, in one durable commit.
4. A new generation of the keyring key is begun, every other key is wrapped under it, the old one is destroyed.
5. This process drops what it holds of the client in memory; others do when they follow the log, which each of them does
   every second, and a key that is leased dies within a minute.
6. and 8. One commit deletes the client's sealed rows, drafts and idempotency rows, and writes the entries of the
   destroyed keys and the event that says so. The next checkpoint seals it.

- Stopped anywhere, the steps are taken again from 3 by whoever opens the clinic next, before it serves anything: each
  finds what was done. What says "done" is the last commit alone.
- A log that was restored from before the erasure knows nothing of it; the keyring's tombstones do, and the same steps
  make it so again, from the fence on.
- A key that an entry of the log calls destroyed and that is there again is deleted first of all.
- One process at a time: whoever makes this object gives it a lock that all of them share.

Not deleted: the sealed events themselves, which nothing opens any more and whose digests the ledger keeps; and what
left the clinic before. Python cannot wipe memory, and a disk may keep blocks that were written over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from records.actors import Actor, Role
from records.erasure import complete_erasure
from records.errors import LedgerMismatch, Unavailable
from records.keyring import LEASE_SECONDS, Keyring, Tombstone
from records.ledger import CHAIN_OFFSET, KIND_OFFSET, Entry, Kind, decode_entry, to_microseconds
from records.request import Request
from records.service import Service
from records.store import Store
from records.store.mapper import Alarm
from records.store.unit import DestroyedKey, Unit

SERVICE = Actor(id="service", role=Role.OPERATOR)
"""Who completes what two people decided."""
FOLLOWING_SECONDS = 1.0
"""How often each process looks for records that were closed, while nobody asks it anything."""


class Waiting(NamedTuple):
    """An erasure that is not completed."""

    erasure_id: UUID
    client_id: UUID


class Erasing:
    """Completes the erasures of one clinic. Any thread may use it."""

    def __init__(
        self,
        service: Service,
        store: Store,
        keyring: Keyring,
        turn: Callable[[], int],
        alone: Callable[[], AbstractContextManager[object]],
        new_id: Callable[[], UUID],
        alarm: Alarm,
        step: Callable[[str], object] = lambda _name: None,
    ) -> None:
        """Complete erasures by these means.

        Args:
            service: the doors.
            store: the log.
            keyring: the data keys.
            turn: begins a generation, wraps every key under it, destroys the older ones; returns its number.
            alone: a lock that all processes of the clinic share.
            new_id: makes the ids of requests.
            alarm: is told where an attempt fails.
            step: is told the name of each step when it was taken.
        """
        self._service = service
        self._store = store
        self._keyring = keyring
        self._turn = turn
        self._alone = alone
        self._new_id = new_id
        self._alarm = alarm
        self._step = step

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what was approved and is not completed, by the log's newest entry."""
        self._service.follow()
        erasures = self._service.directory.clinic.erasures
        return tuple(
            Waiting(erasure_id, state.client_id)
            for erasure_id, state in erasures.items()
            if state.approved_at is not None and state.completed_at is None
        )

    def forget_again(self) -> None:
        """Drop anew what was closed in the last two minutes: a reading under way then may have kept what it made."""
        since = self._service.now() - timedelta(seconds=2 * LEASE_SECONDS)
        for state in self._service.directory.clinic.erasures.values():
            closed_at = state.approved_at or state.completed_at
            if closed_at is not None and closed_at >= since:
                for forget in self._service.forgetters:
                    forget(state.client_id)

    def resume(self) -> tuple[Waiting, ...]:
        """Make the log and the keyring agree on what was erased; return what was completed. For each start.

        Raises:
            KeyMissing: the keyring key cannot be had now.
            NotStored, OutcomeUnknown: the log cannot be written.
        """
        with self._alone():
            self._keyring.bury(self._told_by_log())
        done = [each for each in self.waiting() if self.complete(each)]
        return (*done, *(each for each in self._unknown_to_log() if self.complete(each)))

    def attempt(self, erasure: Waiting) -> bool:
        """Take the steps that are left, and return whether it is done; raise an alarm where it cannot be done now."""
        try:
            self.complete(erasure)
        except Unavailable as error:
            self._alarm("erasure-delayed", {"erasure": str(erasure.erasure_id), "error": type(error).__name__})
            return False
        return True

    def complete(self, erasure: Waiting) -> bool:
        """Take every step that is left of one erasure; return whether there was any.

        Raises:
            KeyMissing: the keyring key cannot be had now; nothing is shown of the client meanwhile.
            NotStored, OutcomeUnknown: a step could not be stored; the next call goes on.
        """
        erasure_id, client_id = erasure
        with self._alone():
            self._service.follow()
            known = self._service.directory.clinic.erasures.get(erasure_id)
            if known is not None and known.completed_at is not None:
                return False
            self._store.commit(Unit(fences=(client_id,)))
            self._step("fenced")
            held = list(self._keyring.held())
            stones = self._keyring.destroy(client_id, erasure_id, to_microseconds(self._service.now()))
            self._step("keys-destroyed")
            # What the keyring remembers and the log does not was destroyed and turned elsewhere; here nothing is left.
            restored = known is None and not any(key.scope == client_id for key in held)
            generation = max(key.generation for key in held) if restored else self._turn()
            self._step("generation-turned")
            for forget in self._service.forgetters:
                forget(client_id)
            self._step("caches-dropped")
            self._finish(erasure, stones, generation)
            self._step("completed")
        return True

    def _finish(self, erasure: Waiting, stones: tuple[Tombstone, ...], generation: int) -> None:
        """Write the last commit: scrubbed rows, destroyed keys, and the event that says so, or nothing of it."""
        erasure_id, client_id = erasure
        created = self._living_keys(client_id)
        keys = tuple(DestroyedKey(client_id, entry.key_id, entry.key_class) for entry in created)
        self._service.transact(
            self._service.streams.clinic,
            complete_erasure,
            Request(SERVICE, str(self._new_id())),
            beside=Unit(destroyed=keys, fences=(client_id,), scrubs=(client_id,)),
            erasure_id=erasure_id,
            client_id=client_id,
            key_ids=tuple(stone.key_id for stone in stones),
            generation=generation,
            cached_until=self._service.now() + timedelta(seconds=LEASE_SECONDS + FOLLOWING_SECONDS),
        )
        self._service.follow()

    def _living_keys(self, client_id: UUID) -> list[Entry]:
        """Return the entries of the client's keys that no entry destroyed yet. O(keys of the clinic)."""
        living: dict[bytes, Entry] = {}
        for entry in self._key_entries(of=client_id):
            if entry.kind is Kind.KEY_CREATED:
                living[entry.key_id] = entry
            else:
                living.pop(entry.key_id, None)
        return list(living.values())

    def _told_by_log(self) -> list[Tombstone]:
        """Return a tombstone for each key that an entry calls destroyed."""
        erased = self._service.directory.clinic.erased
        found: list[Tombstone] = []
        for entry in self._key_entries(Kind.KEY_DESTROYED):
            erasure_id = erased.get(entry.stream)
            if erasure_id is None:
                raise LedgerMismatch("a key was destroyed and no erasure tells why")
            found.append(Tombstone(entry.key_id, entry.stream, entry.key_class, 1, erasure_id, entry.logged_at_us))
        return found

    def _unknown_to_log(self) -> list[Waiting]:
        """Return what the keyring remembers and this log does not: it was restored from before. Of its clients only."""
        stones = self._keyring.tombstones()
        if not stones:
            return []
        clients = {entry.stream for entry in self._key_entries(Kind.KEY_CREATED)}
        completed = {
            state.client_id
            for state in self._service.directory.clinic.erasures.values()
            if state.completed_at is not None
        }
        wanted = {
            stone.scope: stone.erasure for stone in stones if stone.scope in clients and stone.scope not in completed
        }
        return [Waiting(erasure_id, client_id) for client_id, erasure_id in wanted.items()]

    def _key_entries(self, kind: Kind | None = None, of: UUID | None = None) -> list[Entry]:
        """Return the entries of keys, of one kind or of one client only; decoding is what costs."""
        return [
            decode_entry(raw)
            for _, raw in self._store.key_entries()
            if (kind is None or raw[KIND_OFFSET] == kind) and (of is None or raw[CHAIN_OFFSET:][:16] == of.bytes)
        ]
