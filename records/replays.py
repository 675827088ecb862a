"""Idempotency: a request that is sent again with its key changes nothing and gets the first answer.

Source: CRYPTO 5; CONTRACT (Idempotency-Key).

- What is kept: keyed digests of who, route and key, and of the body under a key that dies with the client's; the status
  and the places of the events. Never the key's text, the body or an answer.
- The same key with another body or target is refused.
- The answer is made anew from the events, after permission was checked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from records.decision import Decision
from records.errors import IdempotencyKeyReused
from records.event import Event, Recorded
from records.keyring import Keyring
from records.request import IdempotencyKey, Outcome, Request
from records.sealing import derive, keyed_digest
from records.store import Store
from records.store.mapper import EventMapper
from records.store.unit import IdempotencyRow, Reference
from records.streams import Streams


class Replays:
    """Finds requests that were done before."""

    def __init__(self, store: Store, keyring: Keyring, streams: Streams, mapper: EventMapper) -> None:
        self._store = store
        self._keyring = keyring
        self._streams = streams
        self._mapper = mapper
        self._key = streams.service_key("idempotency")

    def row(
        self, decision: Decision, target: UUID, request: Request, references: tuple[Reference, ...]
    ) -> IdempotencyRow | None:
        """Return what is to be kept of a request, or None where it has no key."""
        key = request.idempotency
        if key is None:
            return None
        return IdempotencyRow(
            self._request_digest(request, key), self._body_digest(decision, target, key), target, key.status, references
        )

    def find(self, decision: Decision, target: UUID, request: Request) -> Outcome | None:
        """Return the first outcome of this request, or None where it was not done before.

        Raises:
            IdempotencyKeyReused: the key was used for another body or target.
        """
        if request.idempotency is None:
            return None
        row = self._store.idempotency(self._request_digest(request, request.idempotency))
        return None if row is None else self.outcome(decision, target, request, row)

    def outcome(self, decision: Decision, target: UUID, request: Request, row: IdempotencyRow) -> Outcome:
        """Return the first outcome from its row.

        Raises:
            IdempotencyKeyReused: the key was used for another body or target.
        """
        key = request.idempotency
        if key is None or row.stream != target or row.body != self._body_digest(decision, target, key):
            raise IdempotencyKeyReused("the idempotency key was used for another request")
        own = self._streams.of(decision.on, target)
        events: list[Recorded] = []
        for stream, version in row.events:
            if stream == own:
                events += self._mapper.open(decision.on, stream, self._store.history(stream, version - 1, version))
        subject, touched = subject_of([recorded.event for recorded in events], row.events)
        at = max((recorded.logged_at for recorded in events), default=None)
        return Outcome(subject, touched, row.events, at, replayed=True)

    def _request_digest(self, request: Request, key: IdempotencyKey) -> bytes:
        return keyed_digest(self._key, request.actor.id.encode(), key.route.encode(), key.key.encode())

    def _body_digest(self, decision: Decision, target: UUID, key: IdempotencyKey) -> bytes:
        scope, key_class = self._streams.scope(decision.on, target)
        secret = self._keyring.current(scope, key_class, 1).secret
        return keyed_digest(derive(secret, "idempotent-body"), key.body)


def subject_of(events: Sequence[Event], references: Sequence[Reference]) -> tuple[UUID | None, int | None]:
    """Return the resource that the first event is about, and the version of the last event that touched it."""
    if not events:
        return None, None
    subject, stream = events[0].subject_id, references[0].stream
    own = [reference for reference in references if reference.stream == stream]
    touched = [r.version for event, r in zip(events, own, strict=False) if event.subject_id == subject]
    return subject, touched[-1]
