"""Attached files leave with a record, are found where one is altered, and come back equal elsewhere.

On SQLite, and the import from there to PostgreSQL.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.exits import CommandFailed
from ops.moving.importing import ImportAsked, import_bundle
from ops.verifier.record import verify_record
from ops.verify import Policy, Report
from projections.attachment_view import ATTACHMENT_VIEW
from projections.export.zipped import zip_pieces
from records.actors import Role
from records.attachments import mark_attachment_entered_in_error, return_attachment
from records.errors import SealBroken, UnknownItem
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import run
from tests.ops.test_import import exported, genesis

CLERK = Role.RECORDS_CLERK
LETTER, PAPER, WRONG = (
    f"{word} canary-9c1e".encode() for word in ("Dear colleague,", "%PDF-1.7 scanned,", "About Kim Vance,")
)


class Kept:
    """A clinic whose record has a letter, a scan that was given back, and a letter that is about somebody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clinic = make_clinic(folder / "clinic")
        self.client = self.clinic.register()
        self.letter, self.scan, self.wrong = (self.add(each) for each in (LETTER, PAPER, WRONG))
        self.clinic.do(self.client, return_attachment, attachment_id=self.scan, if_match=self.version(self.scan))
        told = {"attachment_id": self.wrong, "reason": "It is Kim Vance's."}
        self.clinic.do(self.client, mark_attachment_entered_in_error, **told, if_match=self.version(self.wrong))

    def add(self, content: bytes) -> UUID:
        """Add a file; return its attachment."""
        made = uuid4()
        told = {"kind": "letter", "made_by": "third-party", "title": f"=Letter <i>{made}</i>"}
        self.clinic.opened.attachments.add(self.client, made, content, self.clinic.request(Role.THERAPIST), **told)
        return made

    def version(self, attachment_id: UUID) -> int:
        """Return the version to build on."""
        return int(self.clinic.service.client(self.client).attachments[attachment_id].version)

    def bundle(self) -> Path:
        """Export the record."""
        return exported(self.clinic, self.client, self.folder / f"{uuid4()}.zip")

    def names(self) -> list[str]:
        """Return what the files that leave are called."""
        return sorted((f"files/{self.letter}.txt", f"files/{self.scan}.pdf"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    made = Kept(tmp_path_factory.mktemp("attached"))
    yield made
    made.clinic.close()


@pytest.fixture(scope="module")
def bundle(kept: Kept) -> Path:
    return kept.bundle()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StaffedClinic]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "here", database_url=url)
    yield made
    check_store(made.store)
    made.close()


def files_of(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / f"{uuid4()}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def verified(kept: Kept, path: Path) -> Report:
    return verify_record(path, Policy(genesis(kept.clinic), ()))


def told_anew(files: dict[str, bytes]) -> dict[str, bytes]:
    """Make the manifest anew, as whoever alters a file would."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = [
        {"name": name, "bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
        for name in sorted(name for name in files if not name.startswith("proof/") and name != "manifest.json")
    ]
    return files | {"manifest.json": json.dumps(manifest).encode()}


def test_the_files_leave_with_the_record_but_for_what_was_entered_in_error(kept: Kept, bundle: Path) -> None:
    files = files_of(bundle)
    assert sorted(name for name in files if name.startswith("files/")) == kept.names()
    assert (files[f"files/{kept.letter}.txt"], files[f"files/{kept.scan}.pdf"]) == (LETTER, PAPER)
    left_out = {each["reason"]: each["count"] for each in json.loads(files["manifest.json"])["left_out"]}
    assert left_out["file-entered-in-error"] == 1
    assert not any(WRONG in content or str(kept.wrong) + ".txt" in name for name, content in files.items())
    assert b"files/" in files["README.txt"]
    assert verified(kept, bundle).status in ("ok", "unanchored")


def test_the_page_and_fhir_lead_to_each_file_and_show_no_markup(kept: Kept, bundle: Path) -> None:
    files = files_of(bundle)
    page = files["record.html"].decode()
    for name in kept.names():
        assert f'<a href="{name}">{name}</a>' in page
    assert "<i>" not in page
    assert "given back to you" in page
    section = page[page.index(">Files</h2>") :].split("</section>")[0]
    assert "Added by" in section
    assert "Written by" not in section
    documents = [
        each["resource"]
        for each in json.loads(files["fhir.json"])["entry"]
        if each["resource"]["resourceType"] == "DocumentReference"
    ]
    led = {one["content"][0]["attachment"].get("url"): one["status"] for one in documents}
    assert led == {**dict.fromkeys(kept.names(), "current"), None: "entered-in-error"}


@pytest.mark.parametrize("alter", ["byte", "gone", "swapped", "slipped-in"])
@pytest.mark.parametrize("anew", [False, True], ids=["as-it-was", "manifest-made-anew"])
def test_a_file_that_is_altered_missing_or_slipped_in_is_found(
    kept: Kept, bundle: Path, tmp_path: Path, alter: str, anew: bool
) -> None:
    files = files_of(bundle)
    letter, scan = f"files/{kept.letter}.txt", f"files/{kept.scan}.pdf"
    if alter == "byte":
        files[letter] = files[letter][:-1] + bytes([files[letter][-1] ^ 1])
    elif alter == "gone":
        del files[letter]
    elif alter == "swapped":
        files[letter], files[scan] = files[scan], files[letter]
    else:
        files[f"files/{kept.wrong}.txt"] = WRONG
    report = verified(kept, written(tmp_path, told_anew(files) if anew else files))
    assert report.status in ("tampered", "incomplete"), report
    assert report.exit == 3
    assert "files/" in report.sentence


@pytest.mark.parametrize("name", ["files/../../evil.txt", "files/letter.txt", "files/a/b.pdf", "/files/x.txt"])
def test_a_file_of_another_name_is_refused(kept: Kept, bundle: Path, tmp_path: Path, name: str) -> None:
    report = verified(kept, written(tmp_path, told_anew(files_of(bundle) | {name: b"x"})))
    assert (report.status, report.exit) == ("tampered", 3)


def test_the_shipped_verifier_checks_the_files_alone_in_its_folder(kept: Kept, bundle: Path, tmp_path: Path) -> None:
    def run_in(folder: Path) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, "-I", "verify.py", "--genesis", genesis(kept.clinic)]
        return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)

    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    assert run_in(tmp_path).returncode == 0
    letter = tmp_path / "files" / f"{kept.letter}.txt"
    letter.write_bytes(letter.read_bytes() + b" ")
    altered = run_in(tmp_path)
    assert altered.returncode == 3
    assert f"files/{kept.letter}.txt" in altered.stdout


def test_no_more_than_a_part_of_a_file_is_asked_for_at_a_time(kept: Kept) -> None:
    opened: list[str] = []

    def parts(name: str) -> Iterator[bytes]:
        for number in range(2):
            opened.append(f"{name}{number}")
            yield os.urandom(100)

    attached = ((name, parts(name)) for name in ("a", "b"))

    pieces = zip_pieces([("first", b"x")], attached, kept.clinic.clock())
    seen = [list(opened) for _ in pieces]
    assert seen[:5] == [[], ["a0"], ["a0", "a1"], ["a0", "a1", "b0"], ["a0", "a1", "b0", "b1"]]


def test_a_file_that_is_lost_or_altered_is_found_before_anything_is_released(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    before = len(made.clinic.service.client(made.client).disclosures)
    made.clinic.opened.close()
    with closing(sqlite3.connect(made.clinic.opened.paths.database)) as database, database:
        database.execute("DELETE FROM sealed_rows WHERE place = 'attachment'")
    made.clinic.reopen()
    with pytest.raises(SealBroken):
        made.bundle()
    assert len(made.clinic.service.client(made.client).disclosures) == before
    made.clinic.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sealed_rows WHERE row_id = (SELECT max(row_id) FROM sealed_rows WHERE place = 'attachment')",
        "UPDATE sealed_rows SET state = substr(state, 1, length(state) - 1)"
        " || CASE substr(state, -1) WHEN x'00' THEN x'01' ELSE x'00' END WHERE place = 'attachment'",
    ],
    ids=["lost", "altered"],
)
def test_verify_finds_a_file_that_is_lost_or_altered_in_the_clinic_and_in_a_backup(
    tmp_path: Path, statement: str
) -> None:
    made = Kept(tmp_path)
    made.add(LETTER)
    made.clinic.close()
    data = made.clinic.opened.paths.database.parent
    assert json.loads(run("verify", "--data", str(data), "--json").stdout)["status"] in ("ok", "unanchored", "unpinned")
    with closing(sqlite3.connect(made.clinic.opened.paths.database)) as database, database:
        assert database.execute(statement).rowcount
    backup = tmp_path / "backup"
    assert run("backup", str(backup), "--data", str(data), "--json").exit_code == 0
    for found in (
        run("verify", "--data", str(data), "--json"),
        run("verify", str(backup), "--data", str(data), "--json"),
    ):
        assert found.exit_code == 3
        assert "The file that entry" in json.loads(found.stdout)["sentence"]


def test_the_files_come_back_equal_in_another_clinic_and_leave_it_again(
    kept: Kept, bundle: Path, here: StaffedClinic, tmp_path: Path
) -> None:
    asked = ImportAsked(path=bundle, genesis=genesis(kept.clinic))
    import_bundle(here.opened, here.request(CLERK), asked)
    here.team(kept.client, here.staff[Role.THERAPIST], "team")
    for attachment, content, media_type in (
        (kept.letter, LETTER, "text/plain"),
        (kept.scan, PAPER, "application/pdf"),
    ):
        found = here.see(ATTACHMENT_VIEW, kept.client, resource=attachment)
        assert (found.content, found.media_type) == (content, media_type)
    with pytest.raises(UnknownItem):
        here.see(ATTACHMENT_VIEW, kept.client, resource=kept.wrong)
    again = files_of(exported(here, kept.client, tmp_path / "again.zip"))
    assert {name: content for name, content in again.items() if name.startswith("files/")} == {
        f"files/{kept.letter}.txt": LETTER,
        f"files/{kept.scan}.pdf": PAPER,
    }


def test_an_import_whose_file_was_altered_stores_nothing(
    kept: Kept, bundle: Path, here: StaffedClinic, tmp_path: Path
) -> None:
    files: dict[str, Any] = files_of(bundle)
    files[f"files/{kept.letter}.txt"] += b" "
    stored = here.store.head()
    with pytest.raises(CommandFailed, match="tampered"):
        import_bundle(
            here.opened,
            here.request(CLERK),
            ImportAsked(path=written(tmp_path, told_anew(files)), genesis=genesis(kept.clinic)),
        )
    assert here.store.head() == stored
