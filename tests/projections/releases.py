"""A clinic whose records are exported, and what tests ask of a bundle."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from uuid import UUID, uuid4

from projections.export.releasing import DESCRIPTION, Releasing
from projections.export.views import Exports
from records.actors import Purpose, Role
from records.notes import amend_note, mark_note_entered_in_error, sign_note
from tests.clinic import StaffedClinic

TOLD: dict[str, Any] = {
    "recipient_kind": "client",
    "recipient": "Robin Marsh",
    "description": DESCRIPTION,
    "purpose": "Robin asked for a copy.",
    "basis": "client-request",
}


def releasing(clinic: StaffedClinic) -> Releasing:
    """Return what releases exports, with a page that shows what a writer of pages is given."""
    exports = Exports(lambda: b"# verify\n", lambda record, _: {"page.txt": repr(record).encode()})
    return Releasing(clinic.service, exports, clinic.opened.signer)


def written_record(clinic: StaffedClinic) -> tuple[UUID, dict[str, UUID]]:
    """Write a record with a note, an amended note, and a note that belongs to somebody else."""
    client = clinic.register()
    notes = {"kept": uuid4(), "amended": uuid4(), "wrong": uuid4()}
    for name, note_id in notes.items():
        clinic.do(
            client, sign_note, note_id=note_id, kind="progress", format="free", sections={"text": f"words of {name}"}
        )
    version = clinic.service.client(client).notes[notes["amended"]].version
    clinic.do(
        client,
        amend_note,
        note_id=notes["amended"],
        format="free",
        sections={"text": "better words"},
        reason="Put right.",
        if_match=version,
    )
    version = clinic.service.client(client).notes[notes["wrong"]].version
    clinic.do(
        client, mark_note_entered_in_error, note_id=notes["wrong"], reason="This is about Kim Vance.", if_match=version
    )
    return client, notes


def release(clinic: StaffedClinic, client: UUID, *, at: int | None = None, pdf: bool = False) -> UUID:
    """Release an export as the records clerk; return the disclosure's id."""
    disclosure_id = uuid4()
    request = clinic.request(Role.RECORDS_CLERK)
    told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
    releasing(clinic).release(client, request, Purpose.PATRQT, at=at, pdf=pdf, **told)
    return disclosure_id


def fetch(clinic: StaffedClinic, client: UUID, disclosure_id: UUID) -> zipfile.ZipFile:
    """Fetch the bundle as the records clerk."""
    request = clinic.request(Role.RECORDS_CLERK)
    return zipfile.ZipFile(
        io.BytesIO(b"".join(releasing(clinic).fetch(client, disclosure_id, request, Purpose.PATRQT)))
    )


def document(bundle: zipfile.ZipFile, name: str) -> Any:
    """Return a JSON file of a bundle."""
    return json.loads(bundle.read(name))
