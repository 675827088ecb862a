"""The bytes of attachments: sealed rows beside the log, stored in the commit of the event that tells of them.

Source: DOMAIN 4 (attachments); CRYPTO 1 (sealed rows).

- A file is kept in parts of 1 MiB, so that whoever sends it on holds one of them. Each is sealed under the client's
  record key, for its place, this client, this attachment, its number and their count; the event holds size and digest
  of the whole. So another file, another client's, an older or an altered one never opens, and is never shown.
- They are written once: a row of this id that is there already stays as it is, and only an erasure deletes it.
- A crash leaves the event and all its rows, or nothing.
- A row that is missing or does not open is damage, and raises an alarm: nothing can make it anew.

It does not decide (`records.attachments`) and looks at no content (`records.media_files`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections import deque
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from records.access_log import reason_of
from records.attachments import MAX_BYTES, AttachmentAdded, add_attachment
from records.errors import InvalidContent, Refused, SealBroken
from records.ledger import NO_LEAF
from records.media_files import take
from records.reader import Reader
from records.request import Outcome, Request
from records.sealing import DataKey, Place, key_id_of, open_row, seal_row
from records.service import Service
from records.store.unit import RowPut, Unit

PLACE = "attachment"
SCHEMA = 1
PART_BYTES = 1 << 20
_ONLY_VERSION = 1


class AttachmentFiles:
    """Takes files in."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add(self, client_id: UUID, attachment_id: UUID, content: bytes, request: Request, **told: Any) -> Outcome:
        """Clean a file, seal it, and add it to the record, durable when this returns.

        Args:
            client_id: whose record.
            attachment_id: its id.
            content: the file as it was sent.
            request: who asks.
            **told: what is told of it; see `records.attachments.add_attachment`.

        Raises:
            NotPermitted, UnknownClient: and the refusal is recorded.
            InvalidContent: `/content` is empty, too large or no kind of file that is taken.
            Refused: as `add_attachment`.
        """
        permission = add_attachment.permission
        self._service.admit(permission, client_id, request)
        try:
            if len(content) > MAX_BYTES:
                raise InvalidContent("/content", f"Is larger than {MAX_BYTES >> 20} MiB.")
            self._service.client(client_id)
            taken = take(content)
            reader = self._service.reader
            key = reader.record_key(client_id)
            rows = sealed_file(reader.deployment_id, key, client_id, attachment_id, taken.content)
        except Refused as refusal:
            self._service.refuse(permission, client_id, request, reason_of(refusal), resource=attachment_id)
            raise
        return self._service.transact(
            client_id,
            add_attachment,
            request,
            beside=Unit(puts=rows),
            attachment_id=attachment_id,
            media_type=taken.media_type,
            size=len(taken.content),
            sha256=hashlib.sha256(taken.content).hexdigest(),
            cleaned=taken.cleaned,
            **told,
        )


def sealed_file(
    deployment_id: UUID, key: DataKey, client_id: UUID, attachment_id: UUID, content: bytes
) -> tuple[RowPut, ...]:
    """Return the rows that keep a file, sealed under the client's record key."""
    count = _count(len(content))
    place = Place(deployment_id, PLACE, client_id, _ONLY_VERSION)
    rows = []
    for number in range(count):
        part = content[number * PART_BYTES : (number + 1) * PART_BYTES]
        state = seal_row(key, place, SCHEMA, NO_LEAF, _bound(attachment_id, number, count), part)
        rows.append(RowPut(PLACE, _row_id(client_id, attachment_id, number), client_id, _ONLY_VERSION, state))
    return tuple(rows)


def open_file(reader: Reader, client_id: UUID, added: AttachmentAdded) -> bytes:
    """Return the bytes of an attachment, exactly those that its event tells of.

    Raises:
        SealBroken: they are missing, or others.
        Erased, KeyMissing: see `Reader.record_key`.
    """
    return b"".join(open_parts(reader, client_id, added))


def open_parts(reader: Reader, client_id: UUID, added: AttachmentAdded) -> Iterator[bytes]:
    """Yield the bytes of an attachment, part by part; what came is the file only when this ends without an error.

    Raises:
        SealBroken: they are missing, or others.
        Erased, KeyMissing: see `Reader.record_key`.
    """
    count, size, digest = _count(added.size), 0, hashlib.sha256()
    place = Place(reader.deployment_id, PLACE, client_id, _ONLY_VERSION)
    for number in range(count):
        row = reader.sealed_row(PLACE, _row_id(client_id, added.attachment_id, number))
        if row is None or row.stream != client_id:
            raise SealBroken("an attachment whose file is missing")
        key = reader.record_key(client_id, key_id_of(row.state))
        part = open_row(key, place, SCHEMA, NO_LEAF, _bound(added.attachment_id, number, count), row.state)
        size += len(part)
        digest.update(part)
        yield part
    if size != added.size or digest.hexdigest() != added.sha256:
        raise SealBroken("an attachment whose file is another one")


def check_file(reader: Reader, client_id: UUID, added: AttachmentAdded) -> None:
    """Open an attachment part by part, and keep nothing of it.

    Raises:
        SealBroken, Erased, KeyMissing: see `open_parts`.
    """
    deque(open_parts(reader, client_id, added), maxlen=0)


def _count(size: int) -> int:
    return -(-size // PART_BYTES)


def _bound(attachment_id: UUID, number: int, count: int) -> tuple[bytes, ...]:
    return attachment_id.bytes, number.to_bytes(4, "big"), count.to_bytes(4, "big")


def _row_id(client_id: UUID, attachment_id: UUID, number: int) -> UUID:
    """Return a row's id: of this client alone, so that nobody's row is in the way under an id of another's."""
    return uuid.uuid5(client_id, f"{attachment_id.hex}/{number}")
