"""Where things belong: the id of each stream, and the key that seals it.

Source: DESIGN (streams and keys), CRYPTO 1.

| stream | id | key |
|---|---|---|
| client | the client's random id | the client's record key |
| access of a client | HMAC(clinic secret, client id)[:16] | audit key of the year of logged_at |
| access that names no client | HMAC(clinic secret, label)[:16] | audit key of the year of logged_at |
| care team of a client | HMAC(clinic secret, label ‖ client id)[:16] | clinic key |
| staff | the account's random id | clinic key |
| clinic | HMAC(clinic secret, label)[:16] | clinic key |

- Whoever has the database alone cannot tell which access stream is whose.

It reads keys and never makes them (`records.service` does, before the batch that uses them).
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from uuid import UUID

from records.event import StreamKind
from records.keyring import Keyring
from records.ledger import KeyClass, from_microseconds
from records.sealing import DataKey, derive


class Streams:
    """The ids and keys of one clinic's streams."""

    def __init__(self, keyring: Keyring) -> None:
        """Derive the clinic secret from the keyring's service key.

        Raises:
            KeyMissing: the clinic has no service key.
        """
        self.deployment_id = keyring.deployment_id
        self._keyring = keyring
        self._secret = derive(keyring.current(self.deployment_id, KeyClass.SERVICE, 1).secret, "clinic-secret")
        self.access = lru_cache(maxsize=20_000)(self._access)
        self.team = lru_cache(maxsize=20_000)(self._team)
        self.clinic = self._labelled(b"clinic", b"")
        self.clinic_access = self._labelled(b"clinic-access", b"")

    def service_key(self, label: str) -> bytes:
        """Return the service's own key for one use, 32 bytes."""
        return derive(self._keyring.current(self.deployment_id, KeyClass.SERVICE, 1).secret, label)

    def of(self, kind: StreamKind, target: UUID) -> UUID:
        """Return the id of the stream of this kind that belongs to a client, an account or the clinic."""
        if kind is StreamKind.TEAM:
            return self.team(target)
        if kind is StreamKind.ACCESS:
            return self.access(target)
        return self.clinic if kind is StreamKind.CLINIC else target

    def scope(self, kind: StreamKind, stream: UUID) -> tuple[UUID, KeyClass]:
        """Return whose key seals the stream, and of which class."""
        if kind is StreamKind.CLIENT:
            return stream, KeyClass.RECORD
        return self.deployment_id, KeyClass.AUDIT_YEAR if kind is StreamKind.ACCESS else KeyClass.CLINIC

    def key_for(self, kind: StreamKind, stream: UUID, logged_at_us: int | None = None) -> DataKey:
        """Return the key that seals new events of a stream.

        Args:
            kind: the kind of the stream.
            stream: its id.
            logged_at_us: for access streams, the time that the writer gave.

        Raises:
            KeyMissing: there is no such key.
        """
        scope, key_class = self.scope(kind, stream)
        version = from_microseconds(logged_at_us).year if logged_at_us is not None else None
        return self._keyring.current(scope, key_class, version)

    def key_of(self, kind: StreamKind, stream: UUID, key_id: bytes) -> DataKey:
        """Return the key that an event of this stream names, which must be of the stream's own scope and class.

        Raises:
            KeyMissing: the keyring has no such key for this stream.
        """
        return self._keyring.by_id(key_id, *self.scope(kind, stream))

    def _access(self, client_id: UUID) -> UUID:
        return UUID(bytes=hmac.digest(self._secret, client_id.bytes, "sha256")[:16])

    def _team(self, client_id: UUID) -> UUID:
        return self._labelled(b"team", client_id.bytes)

    def _labelled(self, label: bytes, rest: bytes) -> UUID:
        return UUID(bytes=hmac.digest(self._secret, label + rest, "sha256")[:16])
