"""The files of an export: which attachments leave with the record, and how they are called in the bundle.

Source: AUDIT E2; DOMAIN 4 (what was entered in error leaves the client's export).

- The event tells name, size and digest, so a manifest needs no file to be opened, and files go out one after the other.
- The file of what was entered in error stays here: it may be about somebody else. That it does is counted.

It opens no file (`records.attachment_files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from projections.export.material import ExportedEvent
from records.attachments import AttachmentAdded
from records.media_files import extension_of

FOLDER = "files"


def file_name(added: AttachmentAdded) -> str:
    """Return the name of an attachment's file in the bundle; no word of a person is in it."""
    return f"{FOLDER}/{added.attachment_id}.{extension_of(added.media_type)}"


def attached_to(events: Iterable[ExportedEvent]) -> Iterator[AttachmentAdded]:
    """Yield the attachments whose files leave with the record, in the order in which they were added."""
    for each in events:
        event = each.recorded.event
        if isinstance(event, AttachmentAdded) and each.withheld is None:
            yield event
