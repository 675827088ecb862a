"""The verifier agrees with what a clinic exports: real bundles pass, over HTTP's zip and by the command."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ops import verify
from ops.exports.pages import write_pages
from ops.verifier.one_file import one_file
from ops.verifier.record import verify_record
from projections.client_view import CLIENT_VIEW
from projections.export.releasing import Releasing
from projections.export.views import Exports
from projections.fhir.document import to_fhir_json
from records.actors import Purpose, Role
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import run
from tests.projections.releases import TOLD, written_record


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    clinic = make_clinic(tmp_path / "clinic")
    yield clinic
    clinic.close()


def exported(clinic: StaffedClinic, client: UUID) -> Path:
    exports = Exports(one_file, lambda record, pdf: {"fhir.json": to_fhir_json(record)} | write_pages(record, pdf))
    releasing = Releasing(clinic.service, exports, clinic.opened.signer)
    disclosure_id, request = uuid4(), clinic.request(Role.RECORDS_CLERK)
    told = TOLD | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
    releasing.release(client, request, Purpose.PATRQT, at=None, pdf=False, **told)
    clinic.opened.signer.flush()
    path = clinic.path.with_name("export.zip")
    path.write_bytes(b"".join(releasing.fetch(client, disclosure_id, request, Purpose.PATRQT)))
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


def answer(*arguments: str) -> tuple[int, str]:
    result = run("verify", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)["status"]


def test_the_command_knows_an_export(clinic: StaffedClinic, tmp_path: Path) -> None:
    client, _ = written_record(clinic)
    path, folder, kept = exported(clinic, client), tmp_path / "unpacked", tmp_path / "kept"
    with zipfile.ZipFile(path) as bundle:
        fingerprint = json.loads(bundle.read("record.json"))["clinic"]["fingerprint"]
        bundle.extractall(folder)
        kept.write_bytes(bundle.read("proof/checkpoint"))
    known = ("--genesis", fingerprint)
    assert answer(str(path)) == (3, "unpinned")
    assert answer(*known, str(path)) == answer(*known, str(folder)) == (0, "unanchored")
    assert answer(*known, "--checkpoint", str(kept), str(path)) == (0, "ok")
    text = (folder / "record.json").read_bytes()
    (folder / "record.json").write_bytes(text.replace(b"words of kept", b"words we kept"))
    assert answer(*known, str(folder)) == (3, "tampered")
    kept.write_text("no checkpoint")
    assert answer(*known, "--checkpoint", str(kept), str(path)) == (3, "tampered")


def test_the_shipped_file_verifies_the_export_it_came_in(clinic: StaffedClinic, tmp_path: Path) -> None:
    client, _ = written_record(clinic)
    with zipfile.ZipFile(exported(clinic, client)) as bundle:
        bundle.extractall(tmp_path / "unpacked")
        fingerprint = json.loads(bundle.read("record.json"))["clinic"]["fingerprint"]
    command = [sys.executable, "-I", str(tmp_path / "unpacked" / "verify.py"), "--genesis", fingerprint]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout[:11], done.stderr) == (0, "unanchored:", "")
