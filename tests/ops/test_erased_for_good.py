"""A client who was erased stays gone: whatever backup is restored, with whatever keys there are."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.errors import Erased, KeyMissing
from records.registration import Identity, register_client
from records.request import Request
from tests.check import check_store
from tests.ops.running import add_user, data_of, init, run


class Clinic:
    """A clinic with two clients, a backup from before, and one client erased since, whose certificate is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "clinic"
        told = init(self.data)
        self.genesis = told["fingerprint"]
        self.paper = folder / "recovery"
        self.paper.write_text(told["recovery"])
        self.therapist, _ = add_user(self.data, "therapist", "Ada Fennimarsh")
        _, token = add_user(self.data, "privacy_officer", "Pat Oakes")
        self.officer = folder / "officer"
        self.officer.write_text(token)
        self.gone, self.other = uuid4(), uuid4()
        with closing(open_clinic(self.data)) as clinic:
            for client, family in ((self.gone, "Zacanary"), (self.other, "Quillfeather")):
                identity = Identity(family=family, given="Zed")
                clinic.service.transact(client, register_client, self.request(), identity=identity)
        self.before = self.read(self.data, self.other)
        self.run("backup", str(folder / "old"))
        shutil.copy(folder / "clinic.keys" / "root.key", folder / "old-root.key")
        self.erasure = data_of(self.run("erase", "request", str(self.gone), "--basis", "court-order", "--json"))["id"]
        assert data_of(self.run("erase", "approve", self.erasure, "--yes", "--json", officer=True))["completed"]
        (folder / "certificates").mkdir()
        self.certificate = folder / "certificates" / "one.json"
        self.run("erase", "certificate", self.erasure, "-o", str(self.certificate))
        self.run("backup", str(folder / "fresh"))

    def request(self) -> Request:
        return Request(Actor(self.therapist, Role.THERAPIST), str(uuid4()))

    def run(self, *arguments: str, data: Path | None = None, officer: bool = False, **settings: str) -> Any:
        if officer:
            settings["WELLKEPT_TOKEN_FILE"] = str(self.officer)
        result = run(*arguments, "--data", str(data or self.data), **settings)
        assert result.exit_code == 0, result.stderr
        return result

    def read(self, data: Path, client: UUID) -> Any:
        with closing(open_clinic(data)) as clinic:
            found = clinic.service.view(CLIENT_VIEW, self.request(), Purpose.TREAT, client)
            check_store(clinic.store)
            return found

    def restored(self, backup: str, keyring: str, root: str, *more: str) -> Path:
        """Restore a backup, declare it, and return where it is."""
        new = self.folder / "new"
        result = run(
            "restore",
            str(self.folder / backup),
            str(new),
            "--keyring",
            str(self.folder / f"{keyring}.keys"),
            "--genesis",
            self.genesis,
            *more,
            WELLKEPT_KEY_FILE=str(self.folder / root),
        )
        assert result.exit_code == 0, result.stderr
        self.run("declare-restore", "--recovery-key-file", str(self.paper), data=new)
        return new

    def require_gone(self, data: Path) -> None:
        with pytest.raises(Erased):
            self.read(data, self.gone)
        assert self.read(data, self.other) == self.before
        verified = run("verify", "--data", str(data), "--genesis", self.genesis, "--json")
        assert verified.exit_code == 0, verified.stdout
        assert str(self.gone) in verified.stdout
        told = data_of(run("erase", "status", "--data", str(data), "--json"))
        assert [item["state"] for item in told["items"]] == ["completed"]
        assert data_of(run("erase", "check", str(self.certificate), "--genesis", self.genesis, "--json"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return Clinic(tmp_path_factory.mktemp("erased"))


@pytest.fixture
def clinic(made: Clinic) -> Any:
    yield made
    for name in ("new", "new.keys"):
        shutil.rmtree(made.folder / name, ignore_errors=True)


def test_the_backup_from_before_with_todays_keys(clinic: Clinic) -> None:
    new = clinic.restored("old", "fresh", "clinic.keys/root.key")
    clinic.require_gone(new)
    listed = data_of(run("erase", "status", "--data", str(new), "--json"))
    assert [item["reapplied"] for item in listed["items"]] == [True]


def test_the_live_clinic_goes_on_after_its_backup_was_restored_beside_it(clinic: Clinic) -> None:
    """What the restored clinic does with its keys must take nothing from the one it was copied from."""
    new = clinic.restored("old", "fresh", "clinic.keys/root.key")
    clinic.require_gone(new)
    clinic.run("keys", "rotate", "--destroy-old", "--yes", data=new)
    assert clinic.read(new, clinic.other) == clinic.before
    assert clinic.read(clinic.data, clinic.other) == clinic.before
    clinic.require_gone(clinic.data)


def test_what_a_backup_brought_back_is_purged_again(clinic: Clinic) -> None:
    """The ciphertext comes with the backup, the key never; the command is the same as on the clinic itself."""
    new = clinic.restored("old", "fresh", "clinic.keys/root.key")
    with closing(open_clinic(new)) as opened:
        states = [row.state for row in opened.store.history(clinic.gone)]
    database = new / "records.db"
    assert all(state[20:52] in database.read_bytes() for state in states)
    done = data_of(clinic.run("erase", "purge", clinic.erasure, "--yes", "--json", data=new))
    assert (done["now"], done["total"], done["swept"]) == (len(states), len(states), True)
    assert not any(state[20:52] in database.read_bytes() for state in states)
    clinic.require_gone(new)


def test_one_key_file_never_serves_two_clinics(clinic: Clinic) -> None:
    new = clinic.restored("old", "fresh", "clinic.keys/root.key")
    clinic.read(clinic.data, clinic.other)
    with pytest.raises(KeyMissing, match="copy of its own"):
        open_clinic(new, key_file=clinic.data.with_name("clinic.keys") / "root.key")


def test_the_backup_from_before_with_its_own_keys_and_the_certificate(clinic: Clinic) -> None:
    new = clinic.restored("old", "old", "old-root.key", "--certificates", str(clinic.folder / "certificates"))
    clinic.require_gone(new)


def test_the_keyring_from_before_opens_with_no_key_of_today(clinic: Clinic) -> None:
    refused = run(
        "restore",
        str(clinic.folder / "old"),
        str(clinic.folder / "new"),
        WELLKEPT_KEY_FILE=str(clinic.folder / "clinic.keys" / "root.key"),
    )
    assert refused.exit_code == 6
    assert not (clinic.folder / "new" / "FORMAT").exists()


def test_a_certificate_of_another_clinic_is_refused(clinic: Clinic, tmp_path: Path) -> None:
    told = clinic.certificate.read_text().replace(str(clinic.gone), str(clinic.other))
    (tmp_path / "forged.json").write_text(told)
    refused = run(
        "restore",
        str(clinic.folder / "old"),
        str(clinic.folder / "new"),
        "--keyring",
        str(clinic.folder / "fresh.keys"),
        "--certificates",
        str(tmp_path),
        WELLKEPT_KEY_FILE=str(clinic.folder / "clinic.keys" / "root.key"),
    )
    assert refused.exit_code == 3
    assert not (clinic.folder / "new" / "FORMAT").exists()
