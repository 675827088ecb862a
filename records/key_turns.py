"""The next version of data keys: new events are sealed under it, old ones stay readable under theirs.

Source: CRYPTO 6 (data keys turn yearly or on demand).

- A version is in the log, as a key that was created, before anybody seals an event under it: the keyring holds it back
  until then (`Keyring.turn_all`). An entry of the log that names an unknown key would be tampering to every verifier.
- The log names each key once: what waits in the keyring since a crash is looked for in the log first.
- Years of audit turn with the year, and the service's own key never: only a client's record and the clinic's keys do.

It seals nothing anew; an old version goes with its client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from records.keyring import Keyring
from records.ledger import KeyClass, decode_entry
from records.store import Store
from records.store.unit import CreatedKey, Unit

TURNING = (KeyClass.RECORD, KeyClass.CLINIC)
"""The classes whose keys turn on demand."""
KEYS_AT_ONCE = 500
"""Keys of one commit of the log."""


def turn_data_keys(store: Store, keyring: Keyring, key_class: KeyClass, progress: Callable[[int, int], None]) -> int:
    """Make the next version of every key of a class, and return how many there were.

    A crash leaves some keys turned, and at most `KEYS_AT_ONCE` that wait; called again it turns every key once more,
    those that wait to the version that was made for them.

    Raises:
        Erased: a client was erased meanwhile; call it again.
        NotStored, OutcomeUnknown, KeyMissing: keyring or log cannot be written; those before are turned.
    """

    def enter(keys: Sequence[tuple[UUID, bytes]], waited: bool) -> None:
        named = {decode_entry(raw).key_id for _, raw in store.key_entries()} if waited else set()
        created = tuple(CreatedKey(scope, key_id, key_class) for scope, key_id in keys if key_id not in named)
        if created:
            store.commit(Unit(keys=created))

    scopes = sorted({held.scope for held in keyring.held() if held.key_class == key_class})
    for done in range(0, len(scopes), KEYS_AT_ONCE):
        progress(done, len(scopes))
        keyring.turn_all(scopes[done : done + KEYS_AT_ONCE], key_class, enter)
    return len(scopes)
