"""A record goes from one clinic to another: equal in every view and at every past moment, or not at all.

On SQLite, and from there to PostgreSQL.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from ops.exits import CommandFailed, Exit
from ops.moving.importing import ImportAsked, Imported, import_bundle
from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from projections.disclosures import DISCLOSURES
from projections.former_bundle import FORMER_BUNDLE
from projections.note_view import NOTE_VIEW
from projections.timeline import TIMELINE
from records.actors import Actor, Role
from records.assessments import record_assessment
from records.bookings import book_session
from records.consent import Form, record_consent
from records.episodes import open_episode
from records.errors import Erased, NotPermitted, RuleBroken
from records.goals import rate_goal, set_goal
from records.imports import RecordImported
from records.notes import add_addendum, amend_note, mark_note_entered_in_error, sign_note
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import run
from tests.ops.test_export_command import fingerprint as fingerprint_of
from tests.ops.test_oversight import Watched

CLERK = Role.RECORDS_CLERK


def told(clinic: StaffedClinic) -> dict[str, Any]:
    return {
        "recipient_kind": "health-provider",
        "recipient": "Next Clinic",
        "description": "All of it.",
        "purpose": "Further care.",
        "basis": "client-request",
        "authorised_by": clinic.staff[CLERK].id,
    }


def treated(clinic: StaffedClinic) -> tuple[UUID, dict[str, UUID]]:
    """Treat a client with a bit of everything; return the client and the notes by name."""
    client = clinic.register()
    episode, session, goal = uuid4(), uuid4(), uuid4()
    notes = {name: uuid4() for name in ("plain", "amended", "wrong")}
    form = Form(form_id="treatment", form_version="3")
    clinic.do(client, record_consent, consent_id=uuid4(), kind="treatment", outcome="given", form=form)
    clinic.do(client, open_episode, episode_id=episode, format="individual", modality="DIT", protocol="dit-manual")
    start = clinic.clock() + timedelta(days=3)
    clinic.do(client, book_session, session_id=session, episode_id=episode, kind="treatment", start=start)
    clinic.do(client, set_goal, goal_id=goal, text="Sleep <b>better</b>", scale="gbo", baseline=2)
    clinic.do(client, rate_goal, goal_id=goal, value=4)
    clinic.do(client, record_assessment, assessment_id=uuid4(), measure="PHQ-9", answers=[1, 2, 1, 2, 1, 1, 2, 0, 1])
    for name, note in notes.items():
        clinic.do(
            client, sign_note, note_id=note, kind="progress", format="free", sections={"text": f"of {name} \U0001f33f"}
        )

    def version(name: str) -> int:
        return int(clinic.service.client(client).notes[notes[name]].version)

    text = {"format": "free", "sections": {"text": "put right"}, "reason": "It was the aunt."}
    clinic.do(client, amend_note, note_id=notes["amended"], **text, if_match=version("amended"))
    addendum = {"note_id": notes["plain"], "addendum_id": uuid4(), "text": "And more."}
    clinic.do(client, add_addendum, **addendum, if_match=version("plain"))
    error = {"note_id": notes["wrong"], "reason": "Kim Vance's."}
    clinic.do(client, mark_note_entered_in_error, **error, if_match=version("wrong"))
    return client, notes


def exported(clinic: StaffedClinic, client: UUID, to: Path) -> Path:
    from ops.exports.exporting import ExportAsked, export_record

    asked = ExportAsked(client=client, **told(clinic))
    _, pieces = export_record(clinic.opened, clinic.request(CLERK), uuid4(), asked)
    to.write_bytes(b"".join(pieces))
    return to


def genesis(clinic: StaffedClinic) -> str:
    from records.epoch import genesis_fingerprint

    return genesis_fingerprint(clinic.store.body(0))


def imported(
    clinic: StaffedClinic, path: Path, fingerprint: str | None, by: Role | Actor = CLERK, **more: Any
) -> Imported:
    asked = ImportAsked(path=path, genesis=fingerprint, **more)
    return import_bundle(clinic.opened, clinic.request(by), asked)


class Moved:
    """A record that was exported from one clinic."""

    def __init__(self, folder: Path) -> None:
        self.clinic = make_clinic(folder / "former")
        self.client, self.notes = treated(self.clinic)
        self.bundle = exported(self.clinic, self.client, folder / "record.zip")
        self.fingerprint = genesis(self.clinic)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    made = Moved(tmp_path_factory.mktemp("moved"))
    yield made
    made.clinic.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StaffedClinic]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "here", database_url=url)
    yield made
    made.close()


def plain(document: Any) -> Any:
    return msgspec.to_builtins(document)


def seen(clinic: StaffedClinic, moved: Moved, **asked: Any) -> dict[str, Any]:
    """Return what the treating therapist of a clinic sees of the record, as plain data."""
    found = {"view": plain(clinic.see(CLIENT_VIEW, moved.client, **asked))}
    for name, note in moved.notes.items():
        found[name] = plain(clinic.see(NOTE_VIEW, moved.client, resource=note, **asked))
    found["timeline"] = plain(clinic.see(TIMELINE, moved.client, oldest_first=True, **asked))
    found["disclosures"] = plain(clinic.see(DISCLOSURES, moved.client, by=CLERK))
    return found


WITHHELD = "of wrong \U0001f33f"


def without_differences(found: dict[str, Any], last: int) -> dict[str, Any]:
    """Take out what must differ: places in the log, the events after the export, and texts that were left out of it."""
    found["view"].pop("version")
    found["view"].pop("care_team")
    found["timeline"].pop("version")
    found["timeline"].pop("next")
    found["timeline"]["items"] = [
        {name: said for name, said in item.items() if name != "index"}
        for item in found["timeline"]["items"]
        if item["version"] <= last
    ]
    found["disclosures"]["items"] = [each for each in found["disclosures"]["items"] if each["version"] <= last]
    found["disclosures"].pop("total")
    found["view"]["disclosures"] = [each for each in found["view"]["disclosures"] if each["version"] <= last]
    return blanked(found)


def blanked(node: Any) -> Any:
    """Return plain data without the texts that the former clinic left out of the bundle."""
    if isinstance(node, list | tuple):
        return [blanked(each) for each in node]
    if not isinstance(node, dict):
        return "" if node in (WITHHELD, "Kim Vance's.") else node
    return {name: {} if said == {"text": WITHHELD} else blanked(said) for name, said in node.items()}


def test_every_view_is_equal_to_the_former_clinics(moved: Moved, here: StaffedClinic) -> None:
    done = imported(here, moved.bundle, moved.fingerprint)
    here.team(moved.client, here.staff[Role.THERAPIST], "team")
    assert (done.client, done.withheld, done.status) == (moved.client, 2, "unanchored")
    own, former = seen(here, moved), seen(moved.clinic, moved)
    assert own["view"]["version"] == done.events + 1
    own, former = (without_differences(each, done.events) for each in (own, former))
    for name, shown in former["view"].items():
        assert own["view"][name] == shown, name
    assert own == former
    check_store(here.store)


def test_the_past_is_equal_too(moved: Moved, here: StaffedClinic) -> None:
    imported(here, moved.bundle, moved.fingerprint)
    here.team(moved.client, here.staff[Role.THERAPIST], "team")
    items = plain(moved.clinic.see(TIMELINE, moved.client, oldest_first=True))["items"]
    for item in items[3], items[9]:
        at = datetime.fromisoformat(item["recorded_at"])
        own, former = (plain(each.see(CLIENT_VIEW, moved.client, known_at=at)) for each in (here, moved.clinic))
        own.pop("care_team")
        former.pop("care_team")
        assert blanked(own) == blanked(former)
        assert own["version"] == item["version"]


def test_the_timeline_shows_the_import_and_the_audit_who_brought_it(moved: Moved, here: StaffedClinic) -> None:
    done = imported(here, moved.bundle, moved.fingerprint)
    here.team(moved.client, here.staff[Role.THERAPIST], "team")
    newest = plain(here.see(TIMELINE, moved.client))["items"][0]
    assert (newest["topic"], newest["entered_by"]) == ("record.imported", here.staff[CLERK].id)
    provenance = newest["content"]["provenance"]
    assert (provenance["clinic"], provenance["pinned"]) == ("Hill Clinic", True)
    assert provenance["fingerprint"] == moved.fingerprint
    told = here.see(ACCESS_REPORT, moved.client, by=CLERK).items
    assert [each.count for each in told if each.action == "record.import"] == [1]
    assert done.id == UUID(newest["content"]["import_id"])


def test_the_former_clinics_bundle_is_kept(moved: Moved, here: StaffedClinic, tmp_path: Path) -> None:
    imported(here, moved.bundle, moved.fingerprint)
    kept = here.see(FORMER_BUNDLE, moved.client, by=CLERK)
    assert kept == moved.bundle.read_bytes()
    words = b"put right"
    for file in (tmp_path / "here").rglob("*"):
        assert not file.is_file() or words not in file.read_bytes(), file
    here.erase(moved.client)
    assert not here.reader.sealed_rows("former-bundle")
    with pytest.raises(Erased):
        here.see(FORMER_BUNDLE, moved.client, by=CLERK)
    with pytest.raises(Erased):
        imported(here, moved.bundle, moved.fingerprint)


def untouched(clinic: StaffedClinic, client: UUID) -> bool:
    return not clinic.reader.rows(client) and not clinic.reader.sealed_rows("former-bundle")


@pytest.mark.parametrize("role", [Role.THERAPIST, Role.PRIVACY_OFFICER, Role.ADMINISTRATOR, Role.OPERATOR])
def test_nobody_but_the_clerk_imports(moved: Moved, here: StaffedClinic, role: Role) -> None:
    with pytest.raises(NotPermitted):
        imported(here, moved.bundle, moved.fingerprint, by=role)
    assert untouched(here, moved.client)


def test_a_record_is_taken_once_and_not_by_the_clinic_that_has_it(moved: Moved, here: StaffedClinic) -> None:
    imported(here, moved.bundle, moved.fingerprint)
    before = here.store.head().next_index
    for clinic in (here, moved.clinic):
        with pytest.raises(RuleBroken) as refused:
            imported(clinic, moved.bundle, moved.fingerprint)
        assert refused.value.rule == "record-exists"
    assert here.store.head().next_index <= before + 1
    assert len([each for each in here.reader.events(moved.client) if isinstance(each.event, RecordImported)]) == 1


def test_without_a_fingerprint_it_is_taken_only_when_that_is_said(moved: Moved, here: StaffedClinic) -> None:
    with pytest.raises(CommandFailed) as refused:
        imported(here, moved.bundle, None)
    assert refused.value.code is Exit.INTEGRITY
    assert untouched(here, moved.client)
    assert imported(here, moved.bundle, None, unpinned=True).status == "unpinned"
    assert not here.reader.events(moved.client)[-1].event.provenance.pinned


def test_a_fingerprint_of_another_clinic_stores_nothing(moved: Moved, here: StaffedClinic) -> None:
    with pytest.raises(CommandFailed, match="tampered"):
        imported(here, moved.bundle, genesis(here))
    assert untouched(here, moved.client)


@pytest.mark.parametrize(
    "name", ["record.json", "record.html", "fhir.json", "manifest.json", "proof/log.json", "proof/release.json"]
)
def test_an_altered_bundle_stores_nothing(moved: Moved, here: StaffedClinic, tmp_path: Path, name: str) -> None:
    altered = tmp_path / "altered.zip"
    with zipfile.ZipFile(moved.bundle) as source, zipfile.ZipFile(altered, "w") as target:
        for member in source.namelist():
            data = source.read(member)
            place = data.rindex(b"a") if member == name else None
            target.writestr(member, data if place is None else data[:place] + b"b" + data[place + 1 :])
    with pytest.raises(CommandFailed) as refused:
        imported(here, altered, moved.fingerprint)
    assert refused.value.code is Exit.INTEGRITY
    assert untouched(here, moved.client)


def test_what_is_no_bundle_stores_nothing(moved: Moved, here: StaffedClinic, tmp_path: Path) -> None:
    whole = moved.bundle.read_bytes()
    for data in (b"", b"PK", whole[:-40], whole[: len(whole) // 2], b"\0" * 3000):
        (tmp_path / "bad.zip").write_bytes(data)
        with pytest.raises(CommandFailed) as refused:
            imported(here, tmp_path / "bad.zip", moved.fingerprint)
        assert refused.value.code is Exit.INTEGRITY
    assert untouched(here, moved.client)


def test_an_imported_record_goes_on_and_is_exported_again(moved: Moved, here: StaffedClinic, tmp_path: Path) -> None:
    done = imported(here, moved.bundle, moved.fingerprint)
    here.team(moved.client, here.staff[Role.THERAPIST], "team")
    here.do(moved.client, sign_note, note_id=uuid4(), kind="progress", format="free", sections={"text": "Here now."})
    third = make_clinic(tmp_path / "third")
    again = imported(third, exported(here, moved.client, tmp_path / "again.zip"), genesis(here))
    assert (again.events, again.withheld) == (done.events + 2, 1)
    third.close()


def test_the_command_imports_what_the_command_exported(tmp_path: Path) -> None:
    former, here = Watched(tmp_path / "former" / "clinic"), Watched(tmp_path / "here" / "clinic")
    bundle = tmp_path / "record.zip"
    assert former.run("export", str(former.client), "-o", str(bundle), by="clerk").exit_code == 0
    refused = here.run("import", str(bundle), "--genesis", fingerprint_of(here), by="clerk")
    assert refused.exit_code == 3
    done = here.run("import", str(bundle), "--genesis", fingerprint_of(former), "--json", by="clerk")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["client"] == str(former.client)
    out = tmp_path / "former.zip"
    assert here.run("import", "--former", str(former.client), "-o", str(out), by="clerk").exit_code == 0
    assert out.read_bytes() == bundle.read_bytes()
    assert run("verify", "--data", str(here.data)).exit_code == 0
    shutil.rmtree(tmp_path / "former")
