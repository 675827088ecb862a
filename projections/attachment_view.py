"""One attachment's file, as it is opened by whoever may read the record.

Source: DOMAIN 4 (attachments).

- What was entered in error is still opened here, so that a person can put it right; it is out of the current view and
  of what leaves the clinic.
- An attachment of another client is unknown, whoever has it.
- One whose words were withheld when the record came from another clinic came without its file, and is unknown here.
- A file that is missing or altered is never shown: the reading fails, and an alarm is raised.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from projections.client_state import SNAPSHOT
from records.attachment_files import open_file
from records.attachments import AttachmentAdded
from records.errors import UnknownClient, UnknownItem
from records.reader import Asked, Built, Reader


class AttachmentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file: its attachment, its kind, its bytes."""

    id: UUID
    media_type: str
    content: bytes


class AttachmentView:
    """One attachment's file."""

    action = "attachment.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Open the file of the attachment that `asked.resource` names.

        Cost: opens the record's events from the newest on, back to where the attachment was added.

        Raises:
            UnknownClient: there is no such client.
            UnknownItem: this client has no such attachment.
            SealBroken: its file is missing, or is another one.
        """
        if asked.client_id is None:
            raise UnknownClient("an attachment is of one client")
        found = SNAPSHOT.read_through(reader, asked.client_id)
        if found.state.version == 0:
            raise UnknownClient("no such client")
        added = _added(reader, asked.client_id, found.state.version, asked.resource)
        if added is None or not added.title:
            raise UnknownItem("attachment")
        content = open_file(reader, asked.client_id, added)
        return Built(AttachmentFile(id=added.attachment_id, media_type=added.media_type, content=content), found.puts)


def _added(reader: Reader, client_id: UUID, newest: int, attachment_id: UUID | None) -> AttachmentAdded | None:
    upto, step = newest, 64
    while upto > 0:
        after = max(upto - step, 0)
        for each in reader.events(client_id, after, upto):
            if isinstance(each.event, AttachmentAdded) and each.event.attachment_id == attachment_id:
                return each.event
        upto, step = after, 2 * step
    return None


ATTACHMENT_VIEW = AttachmentView()
