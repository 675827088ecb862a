"""A clinic that left with everything, what its file holds, and what is shown of a clinic wherever it is."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ops.keys.recovery_key import format_secret
from ops.moving.clinic_file import ABOUT, LARGEST_IN_A_TILE, PROOF, prove
from ops.wiring import found, now, open_clinic
from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from projections.retention import CLIENT_RETENTION
from projections.timeline import TIMELINE
from records.actors import Purpose, Role
from records.attachment_files import PART_BYTES, open_file
from records.attachments import AttachmentAdded
from records.clinic_policy import ClinicPolicy
from records.drafts import Draft
from records.errors import Erased
from records.key_provider import KeyFileProvider
from records.ledger import KeyClass
from records.purging import purge
from records.reader import Asked
from tests.clinic import NAMES, ROLES, StaffedClinic
from tests.ops.running import data_of, run

PHRASE = "seven words that nobody has said before"
DRAFT = "Zacanary has not signed this yet."


class Left:
    """A clinic with everything in it that must arrive, which left with `file`."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.data = folder, folder / "clinic"
        self.settings = {} if url is None else {"WELLKEPT_DATABASE_URL": url}
        told = found(self.data, "Hill Clinic", ClinicPolicy(), database_url=url)
        self.fingerprint, self.paper, self.phrase = told.fingerprint, folder / "paper", folder / "phrase"
        self.paper.write_text(format_secret(told.recovery))
        self.phrase.write_text(PHRASE + "\n")
        with closing(StaffedClinic(self.data, now, url)) as clinic:
            for role in ROLES:
                clinic.staff[role], clinic.tokens[role] = clinic.hire(role, NAMES[role])
            self.staff, self.tokens = dict(clinic.staff), dict(clinic.tokens)
            self._write(clinic)
        self.file = self.leave(folder / "file")

    def _write(self, clinic: StaffedClinic) -> None:
        self.clients = [clinic.register(family=family) for family in ("Marsh", "Quill")]
        self.erased, self.purged = clinic.register(family="Gone"), clinic.register(family="Purged")
        for client in (*self.clients, self.erased, self.purged):
            clinic.note(client, "Came on time.")
            clinic.see(CLIENT_VIEW, client)
        clinic.note(self.clients[0], "x" * (2 * LARGEST_IN_A_TILE))
        self.note = UUID(int=7)
        draft = Draft(kind="progress", format="free", sections={"text": DRAFT})
        clinic.opened.drafts.save(self.clients[0], self.note, draft, clinic.request(Role.THERAPIST))
        told = {"kind": "report", "made_by": "third-party", "title": "Zacanary's report"}
        for client in self.clients:
            content = b"%PDF-1.7 " + client.bytes + bytes(2 * PART_BYTES)
            clinic.opened.attachments.add(client, self.note, content, clinic.request(Role.THERAPIST), **told)
        clinic.erase(self.erased)
        erasure = clinic.erase(self.purged).erasure_id
        purge(clinic.service, clinic.store, erasure, clinic.request(Role.PRIVACY_OFFICER), lambda _done, _of: None)

    def leave(self, to: Path) -> Path:
        arguments = ("--data", str(self.data), "--lock-with", str(self.phrase))
        told = data_of(run("export", "--all", "-o", str(to), *arguments, "--json", **self.settings))
        assert told["fingerprint"] == self.fingerprint
        return to

    def move(self, file: Path | None = None, *more: str, to: str = "new", **settings: str) -> Any:
        arguments = (str(file or self.file), str(self.folder / to), "--lock-with", str(self.phrase), "--json")
        return run("move-in", *arguments, "--genesis", self.fingerprint, *more, **settings)

    def declare(self, to: str = "new", **settings: str) -> None:
        arguments = ("--data", str(self.folder / to), "--recovery-key-file", str(self.paper), "--json")
        data_of(run("declare-restore", *arguments, **settings))


Members = dict[str, bytes]


def members(file: Path) -> Members:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(found: Members, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return to


def resealed(found: Members, folder: Path) -> Members:
    """Make digests and proof fit to members that were altered, as somebody would who knows the passphrase."""
    about = json.loads(found[ABOUT])
    about["files"] = {
        name: hashlib.sha256(data).hexdigest() for name, data in found.items() if name not in (ABOUT, PROOF)
    }
    told = json.dumps(about).encode()
    (folder / "root.key").write_bytes(found["root.key"])
    return {**found, ABOUT: told, PROOF: prove(told, KeyFileProvider(folder / "root.key", PHRASE.encode()))}


def refused(left: Left, file: Path, code: int, words: str = "", **settings: str) -> None:
    """See that a file does not move in, and that nothing of it is left."""
    result = left.move(file, to="newer", **settings)
    assert (result.exit_code, words in result.stderr) == (code, True), result.stderr
    for folder in (left.folder / "newer", left.folder / "newer.keys"):
        assert not folder.exists() or not list(folder.iterdir())


def all_views(left: Left, data: Path, url: str | None = None) -> dict[str, Any]:
    """Return every view of every client, and what an erased one answers, without leaving an entry."""
    shown: dict[str, Any] = {}
    at = datetime(2031, 1, 1, tzinfo=UTC)
    with closing(open_clinic(data, database_url=url, read_only=True)) as clinic:
        for client in left.clients:
            relation = clinic.service.directory.relation(left.staff[Role.THERAPIST].id, client)
            for view in (CLIENT_VIEW, TIMELINE, ACCESS_REPORT, CLIENT_RETENTION):
                asked = Asked(
                    client_id=client,
                    actor=left.staff[Role.THERAPIST],
                    relation=relation,
                    at=at,
                    purpose=Purpose.TREAT,
                    known_at=None,
                    valid_at=None,
                    resource=None,
                    parameters={},
                )
                shown[f"{view.action} {client}"] = msgspec.to_builtins(
                    view.build(clinic.service.reader, asked).document
                )
            (added,) = (
                each.event for each in clinic.service.reader.events(client) if isinstance(each.event, AttachmentAdded)
            )
            shown[f"file {client}"] = open_file(clinic.service.reader, client, added)
            assert client.bytes in shown[f"file {client}"]
        for client in (left.erased, left.purged):
            with pytest.raises(Erased):
                clinic.keyring.current(client, KeyClass.RECORD)
        shown["accounts"] = clinic.service.directory.staff
        tally = clinic.store.tally()
        shown["counts"] = (tally.entries, tally.events, tally.chained, tally.bodies)
        shown["tiles"] = [clinic.store.tile(0, number) for number in range(tally.entries // 256 + 1)]
        shown["checkpoints"] = clinic.store.checkpoints()
        shown["head"] = clinic.store.head()
    return shown
