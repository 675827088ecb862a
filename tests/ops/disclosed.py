"""A clinic that discloses one entry of a record, and what tests ask of the bundle."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from ops import verify
from ops.exports.pages import write_pages
from ops.verifier.one_file import one_file
from projections.export.proof import Release, prove_entries
from projections.export.releasing import ONE_ENTRY, Releasing
from projections.export.views import Exports
from projections.log_proofs import LogProofs
from records.actors import Purpose, Role
from records.disclosures import Export, release_export
from records.errors import Refused
from tests.clinic import StaffedClinic

Files = dict[str, bytes]
TOLD: dict[str, Any] = {
    "recipient_kind": "court",
    "recipient": "County Court",
    "description": ONE_ENTRY,
    "purpose": "The order of 3 May.",
    "basis": "court-order",
}


def releasing(clinic: StaffedClinic) -> Releasing:
    return Releasing(clinic.service, Exports(one_file, write_pages), clinic.opened.signer)


def release(clinic: StaffedClinic, client: UUID, index: int, by: Role = Role.RECORDS_CLERK) -> UUID:
    """Release one event; return the disclosure's id."""
    disclosure_id, request = uuid4(), clinic.request(by)
    told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
    releasing(clinic).release(client, request, Purpose.PATRQT, at=None, pdf=False, event=index, **told)
    return disclosure_id


def fetch(clinic: StaffedClinic, client: UUID, disclosure_id: UUID) -> bytes:
    request = clinic.request(Role.RECORDS_CLERK)
    return b"".join(releasing(clinic).fetch(client, disclosure_id, request, Purpose.PATRQT))


def disclosed(clinic: StaffedClinic, client: UUID, index: int) -> Files:
    """Release one event and return the files of its bundle."""
    return unzipped(fetch(clinic, client, release(clinic, client, index)))


def unzipped(bundle: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def index_of(clinic: StaffedClinic, client: UUID, topic: str, which: int = 0) -> int:
    """Return the ledger index of an event of this topic, where the record has it."""
    found = [each.index for each in clinic.reader.events(client) if each.event.__struct_config__.tag == topic]
    return int(found[which])


def edited(files: Files, edit: Callable[[Any], object]) -> Files:
    """Return the files with event.json altered, and the manifest made anew."""
    document = json.loads(files["event.json"])
    edit(document)
    return with_manifest(files | {"event.json": json.dumps(document).encode()})


def with_manifest(files: Files, **told: Any) -> Files:
    manifest = json.loads(files["manifest.json"]) | told
    for each in manifest["files"]:
        data = files[each["name"]]
        each |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return files | {"manifest.json": json.dumps(manifest).encode()}


def released_lie(clinic: StaffedClinic, client: UUID, files: Files, index: int, *more: int) -> Files:
    """Release altered files as a clinic that lies would; return them with a proof that holds."""
    disclosure_id, request = uuid4(), clinic.request(Role.RECORDS_CLERK)
    sha256 = hashlib.sha256(files["manifest.json"]).hexdigest()
    told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id, "manifest_sha256": sha256}
    export = Export(at=index + 1, event=index)
    clinic.do(client, release_export, by=Role.RECORDS_CLERK, export=export, **told)
    signer = clinic.opened.signer
    assert signer is not None
    signer.flush()
    ((recorded, salted),) = clinic.reader.open_salted(client, clinic.reader.rows(client)[-1:])
    given = Release(index=recorded.index, salted=salted)
    outer = {name: data for name, data in files.items() if not name.startswith("proof/")}
    shown = {each: clinic.reader.log_entries(each, each + 1)[0] for each in (index, *more)}
    return outer | prove_entries(clinic.reader, LogProofs(clinic.reader), shown, given)


def fingerprint_of(files: Files) -> str:
    found: str = json.loads(files["event.json"])["clinic"]["fingerprint"]
    return found


def opens(key: bytes, deployment: UUID, entry: bytes, state: bytes, place: bytes = b"event") -> bool:
    """Say whether a key opens stored bytes in the place of their entry, by the layout of CRYPTO 1 alone."""
    where = b"\0\x10" + deployment.bytes + len(place).to_bytes(2, "big") + place
    context = b"wellkept/ctx/1" + where + entry[16:40] + state[1:36]
    try:
        verify.open_event(key, context, state[36:])
    except verify.KeyDoesNotOpen:
        return False
    return True


def refusal(act: Callable[[], object]) -> str:
    """Return the rule for which an act was refused, or the name of the error."""
    try:
        act()
    except Refused as error:
        return str(getattr(error, "rule", type(error).__name__))
    raise AssertionError("it was not refused")
