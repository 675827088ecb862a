"""Whether the files of a bundle are those that the record tells of: each attachment that is shown has its file.

Source: the decisions on exports and on attachments.

- An event `attachment.added` names in its header which file it is: its media type, its size, its SHA-256. The header is
  bound to the log, so a file that is altered is found, whatever the manifest says.
- Where a text of such an event is withheld, its file is left out too, and counted.
- What is in `files/` is one of them.

It opens no picture and no document: what they show is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ops.verifier.bundle import AlteredFile, Event, FilesDisagree, MalformedRecord, from_id
from ops.verify import Incomplete

ADDED = "attachment.added"
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf", "text/plain": "txt"}
LEFT_OUT_FILE = "file-entered-in-error"


def attached(event: Event) -> tuple[str, tuple[int, str]] | None:
    """Return name, size and digest of the file that an event tells of; None where it tells of none.

    Raises:
        MalformedRecord: its header is none of an attachment.
    """
    header = event.header or {}
    if header.get("topic") != ADDED:
        return None
    try:
        own, media_type = from_id(header["attachment_id"], "An attachment"), str(header["media_type"])
        return f"files/{UUID(bytes=own)}.{EXTENSIONS.get(media_type, 'bin')}", (header["size"], header["sha256"])
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedRecord(f"Entry {event.index} tells of no file that can be in a bundle.", event.index) from error


def verify_attached(listed: Iterable[Mapping[str, Any]], shown: Iterable[Event]) -> None:
    """Check the files of a manifest, whose digests are theirs, against the events whose texts are shown: step 16.

    Raises:
        Incomplete, AlteredFile: a file that an event tells of is not there, or is another one.
        FilesDisagree: there is a file of which no event tells.
    """
    files = {each["name"]: (each["bytes"], each["sha256"]) for each in listed if each["name"].startswith("files/")}
    told = {event.index: file for event in shown if (file := attached(event)) is not None}
    for index, (name, wanted) in told.items():
        # [16] it is there, and it is the one that was added
        if name not in files:
            raise Incomplete(f"{name} of entry {index} is not in the bundle.", index)
        if files.pop(name) != wanted:
            raise AlteredFile(f"{name} is not the file that entry {index} tells of.", index)
    # [16] and no other
    for name in sorted(files):
        raise FilesDisagree(f"{name} is in the bundle, and no entry that is shown tells of it.")
