"""The files of an export: which attachments leave with the record, and how they are called in the bundle.

Source: AUDIT E2; DOMAIN 4 (what was entered in error leaves the client's export).

- The event tells name, size and digest, so a manifest needs no file to be opened.
- The file of what was entered in error stays here: it may be about somebody else.
"""

from __future__ import annotations

from records.attachments import AttachmentAdded
from records.media_files import EXTENSIONS

FOLDER = "files"


def file_name(added: AttachmentAdded) -> str:
    """Return the name of an attachment's file in the bundle; no word of a person is in it."""
    return f"{FOLDER}/{added.attachment_id}.{EXTENSIONS[added.media_type]}"
