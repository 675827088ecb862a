"""Whether each attached file is there, and is the one that its event tells of: what only the clinic's keys can see.

- Asked of every client whose key the log created and did not destroy; a record without attachments costs one row.
- A file that came without its words, with a record of elsewhere, was left out there and is nowhere.

It looks at no content (`records.attachment_files` compares digests).
"""

from __future__ import annotations

from uuid import UUID

from ops.verify import VerificationError, Verifier
from ops.wiring import Clinic
from projections.client_state import SNAPSHOT
from records.attachment_files import check_file
from records.attachments import AttachmentAdded
from records.errors import Erased, KeyMissing, SealBroken
from records.ledger import KeyClass


class FileLost(VerificationError):
    """The file of an attachment is missing, or is another one."""


def check_files(clinic: Clinic, verifier: Verifier) -> None:
    """Open every attached file, part by part.

    Raises:
        FileLost: names the entry that tells of the file.
    """
    reader = clinic.service.reader
    clients = {
        UUID(bytes=scope)
        for key_id, (scope, key_class, _) in verifier.keys.items()
        if key_class == KeyClass.RECORD and key_id not in verifier.destroyed
    }
    for client_id in sorted(clients):
        try:
            state = SNAPSHOT.read_row(reader, client_id, reader.sealed_row(SNAPSHOT.place, client_id)).state
        except Erased:
            # Its erasure is completed at the next start.
            continue
        if not state.attachments.total and not state.attachments.in_error:
            continue
        for recorded in reader.events(client_id):
            event = recorded.event
            if isinstance(event, AttachmentAdded) and event.title:
                try:
                    check_file(reader, client_id, event)
                except (SealBroken, KeyMissing) as error:
                    what = f"The file that entry {recorded.index} tells of is not there, or is another one."
                    raise FileLost(what, recorded.index) from error
