"""What comes with a request besides its content, and what a transaction answers.

It holds no logic: see `records.service`.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from records.actors import Actor
from records.store.unit import Reference


class IdempotencyKey(NamedTuple):
    """A retry key as the caller sent it: route, key text, exact body, and the status of the first answer."""

    route: str
    key: str
    body: bytes
    status: int = 201


class Plea(NamedTuple):
    """What a reading in an emergency says: the reason in words, and the grant that is to be used, if any."""

    reason: str
    access_id: UUID | None = None


class Request(NamedTuple):
    """Who asks, under which request id, on which version, with which retry key, and in which emergency."""

    actor: Actor
    request_id: str
    if_match: int | None = None
    idempotency: IdempotencyKey | None = None
    plea: Plea | None = None


class Outcome(NamedTuple):
    """What a transaction wrote.

    Attributes:
        subject: id of the resource that the first event is about; None where nothing was written.
        version: version of the last event that touched it, its new ETag; None where nothing was written.
        events: place of each event, in order.
        recorded_at: the ledger's time of the last event; None where nothing was written.
        replayed: the request was done before, and this is what it wrote then.
    """

    subject: UUID | None
    version: int | None
    events: tuple[Reference, ...]
    recorded_at: datetime | None
    replayed: bool = False
