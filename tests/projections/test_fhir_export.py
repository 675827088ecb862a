"""The FHIR document of a real clinic's record: made anew to the byte, and the same texts as `record.json`."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from uuid import uuid4

from projections.export.releasing import Releasing
from projections.export.views import Exports
from projections.fhir.document import to_fhir_json
from records.actors import Purpose, Role
from tests.clinic import make_clinic
from tests.projections.fhir_record import exact_texts, resources
from tests.projections.releases import TOLD, document, written_record
from tests.projections.test_fhir_document import problems


def test_a_released_document_holds_what_record_json_holds(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    try:
        client, notes = written_record(clinic)
        exports = Exports(lambda: b"# verify\n", lambda record, _: {"fhir.json": to_fhir_json(record)})
        releasing = Releasing(clinic.service, exports, clinic.opened.signer)
        request, disclosure_id = clinic.request(Role.RECORDS_CLERK), uuid4()
        told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
        clinic.opened.signer.flush()
        releasing.release(client, request, Purpose.PATRQT, at=None, pdf=False, **told)
        clinic.opened.signer.flush()
        # Fetching makes it anew, and is refused where a byte of it is not the same.
        again = clinic.request(Role.RECORDS_CLERK)
        fetched = b"".join(releasing.fetch(client, disclosure_id, again, Purpose.PATRQT))
        bundle = zipfile.ZipFile(io.BytesIO(fetched))
    finally:
        clinic.close()
    fhir, record = document(bundle, "fhir.json"), document(bundle, "record.json")
    assert list(problems(fhir)) == []
    assert sorted(exact_texts(fhir)) == sorted(
        (f"{event['version']}:{segment['path']}", segment["content"].encode())
        for event in record["events"]
        for segment in event["segments"][1:]
        if "content" in segment
    )
    assert "Kim Vance" not in bundle.read("fhir.json").decode()
    standing = {each["identifier"][0]["value"]: each["status"] for each in resources(fhir, "DocumentReference")}
    assert standing == {
        notes["kept"].urn: "current",
        notes["amended"].urn: "current",
        notes["wrong"].urn: "entered-in-error",
    }
    (manifest,) = [each for each in document(bundle, "manifest.json")["files"] if each["name"] == "fhir.json"]
    assert manifest["sha256"] == hashlib.sha256(bundle.read("fhir.json")).hexdigest()
