"""The verifier agrees with what a clinic exports: real bundles pass, over HTTP's zip and by the command."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ops import verify
from ops.export_pages import write_pages
from ops.one_file import one_file
from ops.verify_record import verify_record
from projections.client_view import CLIENT_VIEW
from projections.export.material import ExportedRecord, Shown
from projections.export.releasing import Releasing
from projections.export.views import Exports
from records.actors import Purpose, Role
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.written_record import SEGMENT, b64
from tests.projections.releases import TOLD, written_record


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    clinic = make_clinic(tmp_path / "clinic")
    yield clinic
    clinic.close()


def fhir_of(record: ExportedRecord) -> bytes:
    """Free texts as the rules of FHIR name them, where no page of its own does."""
    texts = [
        {
            "data": b64(part.content),
            "extension": [{"url": SEGMENT, "valueString": f"{event.recorded.version}:{part.path}"}],
        }
        for event in record.events
        for part in event.segments[1:]
        if isinstance(part, Shown)
    ]
    return json.dumps({"resourceType": "Bundle", "entry": texts}).encode()


def exported(clinic: StaffedClinic, client: UUID) -> Path:
    exports = Exports(one_file, lambda record, pdf: {"fhir.json": fhir_of(record)} | write_pages(record, pdf))
    releasing = Releasing(clinic.service, exports, clinic.opened.signer)
    disclosure_id, request = uuid4(), clinic.request(Role.RECORDS_CLERK)
    told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
    releasing.release(client, request, Purpose.PATRQT, at=None, pdf=False, **told)
    clinic.opened.signer.flush()
    path = clinic.path.with_name("export.zip")
    path.write_bytes(releasing.fetch(client, disclosure_id, request, Purpose.PATRQT))
    return path


def test_an_export_is_verified(clinic: StaffedClinic) -> None:
    client, _ = written_record(clinic)
    clinic.see(CLIENT_VIEW, client)
    clinic.note(client, "It’s “odd”:\r\n<b>&amp;</b>\u0000 end\x85.")
    path = exported(clinic, client)
    with zipfile.ZipFile(path) as bundle:
        fingerprint = json.loads(bundle.read("record.json"))["clinic"]["fingerprint"]
    report = verify_record(path, verify.Policy(genesis=fingerprint))
    assert (report.status, report.exit) == ("unanchored", 0), report.sentence
