"""Restoring: into a new place only, verified first, said what was lost, and signing nothing until it is declared."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ops import anchor
from ops.backups.files import KEYRING_MANIFEST
from ops.wiring import open_clinic
from records.attachment_files import PLACE, open_file
from records.attachments import AttachmentAdded
from tests.ops.backed_up import KILL_AT, KILLED, LIMITED, BackedUp, alter, bytes_in, child, copied, reseal
from tests.ops.running import data_of, init, run, served


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A clinic that was backed up as `one`, went on, and was backed up as `two`; `kept` is a checkpoint from then."""
    clinic = BackedUp(tmp_path_factory.mktemp("made"))
    clinic.grow()
    clinic.back_up("one")
    clinic.grow()
    # The index of the audit is filled when somebody asks.
    assert run("audit", "--data", str(clinic.data)).exit_code == 0
    clinic.back_up("two")
    data_of(run("checkpoint", "--data", str(clinic.data), "-o", str(clinic.folder / "kept"), "--json"))
    return clinic


@pytest.fixture
def clinic(made: BackedUp) -> Iterator[BackedUp]:
    """That clinic; what a test restores goes away, and nothing else may change."""
    folders = [made.folder / name for name in ("one", "one.keys", "two", "two.keys", "clinic", "clinic.keys")]
    before = bytes_in(*folders)
    yield made
    assert bytes_in(*folders) == before, "neither the backups nor the live clinic were touched"
    for left in made.folder.glob("new*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def names(data: Path, **environment: str) -> list[str]:
    return [user["name"] for user in data_of(run("user", "list", "--data", str(data), "--json", **environment))]


def declare(clinic: BackedUp, *more: str, **environment: str) -> Any:
    arguments = ("declare-restore", "--data", str(clinic.folder / "new"), "--json", "--recovery-key-file")
    return run(*arguments, str(clinic.paper), *more, **environment)


def entries(backup: Path) -> int:
    size: int = json.loads((backup / "backup.json").read_text())["entries"]
    return size


# --- the way back


def test_a_restored_clinic_serves_again_once_it_is_declared(clinic: BackedUp) -> None:
    told = data_of(clinic.restore(clinic.folder / "two", "--genesis", clinic.fingerprint))
    assert (told["status"], told["lost"], told["entries"]) == ("unanchored", None, entries(clinic.folder / "two"))
    new = clinic.folder / "new"
    for folder in (new, clinic.folder / "new.keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert run("user", "list", "--data", str(new)).exit_code == 6, "nothing signs yet"
    declared = data_of(declare(clinic))
    assert declared == {"index": entries(clinic.folder / "two"), "known_size": entries(clinic.folder / "two")}
    assert names(new) == names(clinic.data)
    verified = run("verify", "--data", str(new), "--genesis", clinic.fingerprint, "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "restored")
    with served(new) as service:
        assert service.request("/readyz")[0] == 200
    with closing(open_clinic(new, read_only=True)) as restored:
        reader = restored.service.reader
        clients = {row.stream for row in reader.sealed_rows(PLACE)}
        files = [
            open_file(reader, client, each.event)
            for client in sorted(clients)
            for each in reader.events(client)
            if isinstance(each.event, AttachmentAdded) and each.event.attachment_id == client
        ]
        assert files == [client.bytes.hex().encode() for client in sorted(clients)]
        assert files


def test_the_root_key_may_be_put_in_its_place_beforehand(clinic: BackedUp) -> None:
    keys = clinic.folder / "new.keys"
    keys.mkdir()
    shutil.copy(clinic.folder / "clinic.keys" / "root.key", keys / "root.key")
    result = run("restore", str(clinic.folder / "two"), "--data", str(clinic.folder / "new"), "--json")
    told = data_of(result)
    assert told["status"] == "unpinned"
    assert clinic.fingerprint in result.stderr, "to be compared with the one on the forms"
    assert {file.name for file in keys.iterdir()} == {"root.key", "keyring.db"}


def test_a_backup_of_an_older_format_is_restored_as_that_and_upgraded_then(clinic: BackedUp, tmp_path: Path) -> None:
    backup = copied(clinic.folder / "two", tmp_path / "older")
    (backup / "FORMAT").write_text("wellkept-data/1\n")
    reseal(backup)
    data_of(clinic.restore(backup))
    new = clinic.folder / "new"
    assert (new / "FORMAT").read_text() == "wellkept-data/1\n"
    assert "wellkept upgrade" in declare(clinic).stderr
    assert run("upgrade", "--data", str(new), "--yes").exit_code == 0
    data_of(declare(clinic))
    assert names(new) == names(clinic.data)


def test_a_backup_of_a_restored_clinic_is_one(clinic: BackedUp) -> None:
    data_of(clinic.restore(clinic.folder / "one"))
    data_of(declare(clinic))
    data_of(run("backup", str(clinic.folder / "new2"), "--data", str(clinic.folder / "new"), "--json"))
    told = data_of(clinic.restore(clinic.folder / "new2", "--genesis", clinic.fingerprint, to="new3"))
    assert told["status"] == "restored"


# --- what was lost


def test_it_says_what_lies_between_the_backup_and_the_newest_known_checkpoint(clinic: BackedUp) -> None:
    result = clinic.restore(clinic.folder / "one", "--checkpoint", str(clinic.folder / "kept"))
    lost = data_of(result)["lost"]
    one, two = (entries(clinic.folder / name) for name in ("one", "two"))
    assert (lost["entries"], lost["known_size"]) == (two - one, two)
    assert lost["after"] < lost["until"]
    assert f"Lost: {two - one} entries, written after {lost['after'][:10]}" in result.stderr
    # Whoever declares need not repeat the size.
    assert data_of(declare(clinic))["known_size"] == two
    later = ("--checkpoint", str(clinic.folder / "kept"), "--genesis", clinic.fingerprint, "--json")
    verified = run("verify", "--data", str(clinic.folder / "new"), *later)
    assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "restored")


def test_the_newest_of_several_checkpoints_counts_and_an_older_one_must_be_a_part(clinic: BackedUp) -> None:
    note = json.loads((clinic.folder / "one" / "backup.json").read_text())["checkpoint"]["note"]
    (clinic.folder / "older").write_text(note)
    outside = ("--checkpoint", str(clinic.folder / "kept"), "--checkpoint", str(clinic.folder / "older"))
    told = data_of(clinic.restore(clinic.folder / "one", "--genesis", clinic.fingerprint, *outside))
    assert (told["status"], told["lost"]["known_size"]) == ("ok", entries(clinic.folder / "two"))


def test_a_checkpoint_of_another_log_is_no_loss_but_a_failure(clinic: BackedUp, tmp_path: Path) -> None:
    init(tmp_path / "other")
    for role in ("therapist", "administrator", "supervisor", "front_desk"):
        data_of(run("user", "add", "--data", str(tmp_path / "other"), "--name", "A", "--role", role, "--json"))
    kept = str(tmp_path / "kept")
    data_of(run("checkpoint", "--data", str(tmp_path / "other"), "-o", kept, "--json"))
    assert clinic.restore(clinic.folder / "one", "--checkpoint", kept).exit_code == 3
    assert not (clinic.folder / "new").exists()


def test_an_anchor_counts_and_refuses_to_serve_until_the_declaration(clinic: BackedUp, tmp_path: Path) -> None:
    anchor.append(tmp_path, (clinic.folder / "kept").read_bytes())
    anchored = {"WELLKEPT_ANCHOR": str(tmp_path)}
    told = data_of(clinic.restore(clinic.folder / "one", **anchored))
    assert told["lost"]["known_size"] == entries(clinic.folder / "two")
    assert run("user", "list", "--data", str(clinic.folder / "new"), **anchored).exit_code == 6
    assert data_of(declare(clinic, **anchored))["known_size"] == entries(clinic.folder / "two")
    assert names(clinic.folder / "new", **anchored)


def test_verify_says_that_a_backup_is_older(clinic: BackedUp) -> None:
    result = clinic.verify(clinic.folder / "one", "--checkpoint", str(clinic.folder / "kept"))
    (warning,) = json.loads(result.stdout)["warnings"]
    assert "older than the newest known checkpoint" in warning


# --- keys


def test_a_keyring_older_than_the_log_is_a_loss_by_name(clinic: BackedUp) -> None:
    result = clinic.restore(clinic.folder / "two", "--keyring", str(clinic.folder / "one.keys"))
    assert result.exit_code == 3
    assert "it was lost, not erased" in result.stderr
    index = int(result.stderr.split("entry ")[1].split()[0])
    assert index >= entries(clinic.folder / "one"), "the first key that was made after the older backup"
    assert not (clinic.folder / "new").exists()
    assert clinic.verify(clinic.folder / "two", "--keyring", str(clinic.folder / "one.keys")).exit_code == 3


def test_a_keyring_newer_than_the_log_is_fine(clinic: BackedUp) -> None:
    data_of(clinic.restore(clinic.folder / "one", "--keyring", str(clinic.folder / "two.keys")))
    data_of(declare(clinic))
    assert names(clinic.folder / "new")


def test_without_its_keys_it_is_not_restored(clinic: BackedUp, tmp_path: Path) -> None:
    two = str(clinic.folder / "two")
    lacking = run("restore", two, str(clinic.folder / "new"))
    assert (lacking.exit_code, "WELLKEPT_KEY_FILE" in lacking.stderr) == (6, True)
    init(tmp_path / "other")
    wrong = run("restore", two, str(clinic.folder / "new"), WELLKEPT_KEY_FILE=str(tmp_path / "other.keys" / "root.key"))
    assert (wrong.exit_code, "another clinic's" in wrong.stderr) == (6, True)
    alone = tmp_path / "alone"
    shutil.copytree(two, alone)
    missing = clinic.restore(alone)
    assert (missing.exit_code, "--keyring" in missing.stderr) == (6, True)
    assert not (clinic.folder / "new").exists()


# --- the place


@pytest.mark.parametrize("taken", ["new/letter", "new.keys/letter", "new.keys/keyring.db", "new"])
def test_a_place_that_holds_something_is_refused(clinic: BackedUp, taken: str) -> None:
    file = clinic.folder / taken
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    result = clinic.restore(clinic.folder / "two")
    assert result.exit_code == 1, result.stderr
    assert file.read_text() == "mine"
    assert list(clinic.folder.glob("new*/*")) == ([file] if "/" in taken else [])
    if file.parent == clinic.folder:
        file.unlink()


def test_it_goes_nowhere_that_is_not_there_and_not_into_the_backup(clinic: BackedUp) -> None:
    for place in ("nowhere/new", "two/new"):
        assert clinic.restore(clinic.folder / "two", to=place).exit_code == 2


def test_a_full_disk_leaves_nothing(clinic: BackedUp) -> None:
    keys = clinic.folder / "new.keys"
    keys.mkdir()
    shutil.copy(clinic.folder / "clinic.keys" / "root.key", keys / "root.key")
    result = child(LIMITED, 64 << 10, "restore", clinic.folder / "two", clinic.folder / "new")
    assert (result.returncode, "no room" in result.stderr) == (1, True), result.stderr
    assert not list((clinic.folder / "new").iterdir())
    assert [file.name for file in keys.iterdir()] == ["root.key"]


@pytest.mark.parametrize(
    "under", ["new.keys/keyring.db", "new/records.db", "new/deployment", "new/restored", "new/FORMAT"]
)
def test_a_killed_restore_is_not_a_clinic(clinic: BackedUp, under: str) -> None:
    keys = clinic.folder / "new.keys"
    keys.mkdir()
    shutil.copy(clinic.folder / "clinic.keys" / "root.key", keys / "root.key")
    words = ("open", clinic.folder / under, 1, "restore", clinic.folder / "two", clinic.folder / "new")
    assert child(KILL_AT, *words).returncode == KILLED
    for command in (("user", "list"), ("verify",), ("declare-restore", "--recovery-key-file", str(clinic.paper))):
        assert run(*command, "--data", str(clinic.folder / "new")).exit_code == 4
    if any((clinic.folder / "new").iterdir()) or len(list(keys.iterdir())) > 1:
        assert clinic.restore(clinic.folder / "two").exit_code == 1, "what is there is never written over"
    shutil.rmtree(clinic.folder / "new")
    shutil.rmtree(keys)
    assert clinic.restore(clinic.folder / "two").exit_code == 0


# --- the drill


def drill(clinic: BackedUp, backup: Path, within: Path, *more: str) -> Any:
    arguments = ("restore", str(backup), "--drill", "--drill-in", str(within), "--data", str(clinic.data), "--json")
    return run(*arguments, *more)


def test_a_drill_restores_compares_and_leaves_nothing(clinic: BackedUp, tmp_path: Path) -> None:
    told = data_of(drill(clinic, clinic.folder / "two", tmp_path))
    assert (told["drill"], told["entries"], told["warnings"]) == (True, entries(clinic.folder / "two"), [])
    assert told["events_per_second"] > 0
    assert told["views_seconds"] > 0
    assert not list(tmp_path.iterdir())


def test_a_drill_finds_a_row_of_a_view_that_is_lost_or_altered(clinic: BackedUp, tmp_path: Path) -> None:
    for number, statement in enumerate(
        (
            "DELETE FROM sealed_rows WHERE row_id = (SELECT min(row_id) FROM sealed_rows)",
            "UPDATE audit_index SET actor = 'somebody'",
        )
    ):
        backup = copied(clinic.folder / "two", tmp_path / f"copy{number}")
        alter(backup / "records.db", statement)
        reseal(backup)
        home = tmp_path / f"drill{number}"
        home.mkdir()
        assert drill(clinic, backup, home).exit_code == 3
        assert not list(home.iterdir()), "also after a failure"


def test_a_drill_that_is_killed_leaves_a_private_folder(clinic: BackedUp, tmp_path: Path) -> None:
    words = ("open", tmp_path, 4, "restore", clinic.folder / "two", "--drill", "--drill-in", tmp_path)
    assert child(KILL_AT, *words, "--data", clinic.data).returncode == KILLED
    (left,) = tmp_path.iterdir()
    assert (left.name.startswith("wellkept-drill-"), stat.S_IMODE(left.stat().st_mode)) == (True, 0o700)
    assert not (left / "clinic" / "FORMAT").exists()


def test_a_keyring_without_its_manifest_is_none(clinic: BackedUp, tmp_path: Path) -> None:
    backup = copied(clinic.folder / "two", tmp_path / "copy")
    (tmp_path / "copy.keys" / KEYRING_MANIFEST).unlink()
    assert drill(clinic, backup, tmp_path).exit_code == 3
