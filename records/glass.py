"""Breaking the glass: the opening of a client in an emergency, and the sealed reason of each reading under it.

Source: AUDIT (break-glass); CRYPTO 1 (free text about a client is a nested seal under that client's key).

- The opening, its review and the first reading are one commit: there is none without the others.
- The reason is sealed under the client's own key and bound to reader and request, so that it opens in its own entry
  only, and dies with the client's key.

It decides nothing (`records.emergency`) and commits nothing (`records.service`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from records.access import AccessRecorded
from records.event import Event, StreamKind
from records.ledger import NO_LEAF
from records.request import Request
from records.sealing import DataKey, Place, key_id_of, open_row, seal_row
from records.store.mapper import EventMapper
from records.store.unit import Append
from records.streams import Streams

PLACE = "access-reason"
SCHEMA = 1


class Glass:
    """Seals reasons and openings of one clinic."""

    def __init__(self, streams: Streams, mapper: EventMapper) -> None:
        self._streams = streams
        self._mapper = mapper

    def opening(self, staff_id: UUID, version: int, events: Sequence[Event]) -> Append:
        """Return the append that opens a client, after `version` of the person's stream."""
        return self._mapper.append(StreamKind.STAFF, staff_id, version, events)

    def sealed_reason(self, client_id: UUID, request: Request) -> bytes | None:
        """Return the request's reason, sealed under the client's newest record key; None where it states none.

        Raises:
            KeyMissing: the client has no key.
        """
        if request.plea is None:
            return None
        key = self._streams.key_for(StreamKind.CLIENT, client_id)
        bound = (request.actor.id.encode(), request.request_id.encode())
        return seal_row(key, self._place(client_id), SCHEMA, NO_LEAF, bound, request.plea.reason.encode())

    def _place(self, client_id: UUID) -> Place:
        return Place(self._streams.deployment_id, PLACE, client_id, 0)


def open_reason(key: DataKey, deployment_id: UUID, entry: AccessRecorded) -> str:
    """Return the reason in words of a reading in an emergency; an empty text where it gives none.

    Args:
        key: the client's record key that the seal names (`reason_key_id`).
        deployment_id: the clinic's id.
        entry: the reading.

    Raises:
        SealBroken: it does not open here: it is another reading's, or was altered.
    """
    if entry.sealed_reason is None or entry.client_id is None:
        return ""
    place = Place(deployment_id, PLACE, entry.client_id, 0)
    bound = (entry.entered_by.encode(), entry.request_id.encode())
    return open_row(key, place, SCHEMA, NO_LEAF, bound, entry.sealed_reason).decode()


def reason_key_id(entry: AccessRecorded) -> bytes:
    """Return the id of the key under which an entry's reason is sealed.

    Raises:
        SealBroken: the bytes are no seal.
    """
    return key_id_of(entry.sealed_reason or b"")
