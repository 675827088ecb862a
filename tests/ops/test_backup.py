"""Backups: made while the clinic is served, whole or none, and verified where they lie."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops import control
from ops.backups.backup import back_up
from ops.backups.files import KEYRING_MANIFEST, MANIFEST
from ops.exits import CommandFailed, Exit
from ops.wiring import open_clinic
from records.actors import Role
from records.errors import KeyMissing
from records.notes import sign_note
from tests.ops.backed_up import KILL_AT, KILLED, LIMITED, BackedUp, alter, bytes_in, child, copied, reseal
from tests.ops.running import data_of, init, run, served

FILES = ("records.db", "FORMAT", "deployment", "backup.json", "backup.json.sha256")
KEYRING_FILES = ("keyring.db", "keyring.json", "keyring.json.sha256")


@pytest.fixture
def clinic(tmp_path: Path) -> BackedUp:
    clinic = BackedUp(tmp_path)
    clinic.grow()
    return clinic


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackedUp]:
    """A clinic with one backup, `one`, that no test alters."""
    clinic = BackedUp(tmp_path_factory.mktemp("kept"))
    clinic.grow()
    backup = clinic.back_up("one")
    before = bytes_in(backup, backup.with_name("one.keys"))
    yield clinic
    assert bytes_in(backup, backup.with_name("one.keys")) == before


def quiet(_done: int, _of: int) -> None:
    """Nobody watches."""


# --- making one


def test_it_holds_the_log_and_the_keyring_apart_and_nothing_of_the_signer(clinic: BackedUp) -> None:
    backup = clinic.back_up("one")
    keys = clinic.folder / "one.keys"
    assert {file.name for file in backup.iterdir()} == set(FILES)
    assert {file.name for file in keys.iterdir()} == set(KEYRING_FILES)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (backup, keys)] == [0o700, 0o700]
    assert {stat.S_IMODE(file.stat().st_mode) for folder in (backup, keys) for file in folder.iterdir()} == {0o600}
    own = clinic.folder / "clinic.keys"
    secrets = [own / "root.key", *(own / "signer").iterdir()]
    assert len(secrets) > 3
    for data in bytes_in(backup, keys).values():
        assert not [secret for secret in secrets if secret.read_bytes() in data]


def test_its_manifest_says_whose_it_is_and_what_was_signed(clinic: BackedUp) -> None:
    told = json.loads((clinic.back_up("one") / MANIFEST).read_text())
    assert (told["fingerprint"], told["deployment"]) == (
        clinic.fingerprint,
        (clinic.data / "deployment").read_text().strip(),
    )
    assert told["checkpoint"]["size"] == told["entries"] == told["rows"]["ledger"], "all was signed before the copy"
    assert told["checkpoint"]["note"].splitlines()[1] == str(told["entries"])
    assert told["rows"]["sealed_rows"] > 0


def test_a_served_clinic_is_backed_up_by_its_service(clinic: BackedUp) -> None:
    with served(clinic.data) as service:
        assert control.answers(clinic.data)
        backup = clinic.back_up("one")
        assert service.request("/readyz")[0] == 200
        verified = clinic.verify(backup)
        assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "unanchored")
    assert [line["entries"] for line in service.lines() if line["code"] == "backup.made"] == [
        json.loads((backup / MANIFEST).read_text())["entries"]
    ]


def test_what_is_written_meanwhile_is_in_it_whole_or_not_at_all(clinic: BackedUp) -> None:
    opened = clinic.open()
    therapist, _ = opened.hire(Role.THERAPIST)
    clients = [opened.register(therapist=therapist, supervised=False) for _ in range(2)]
    end, content = (
        threading.Event(),
        {"kind": "progress", "format": "free", "sections": {"text": "While it was copied."}},
    )

    def write(client: UUID) -> None:
        while not end.is_set():
            opened.do(client, sign_note, by=therapist, note_id=uuid4(), **content)

    threads = [threading.Thread(target=write, args=(client,)) for client in clients]
    sizes = [opened.store.head().next_index]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            sizes.append(
                back_up(opened.opened, clinic.folder / f"{number}", clinic.folder / f"{number}.keys", quiet)["entries"]
            )
    finally:
        end.set()
        for thread in threads:
            thread.join()
    sizes.append(opened.store.head().next_index)
    assert sizes == sorted(set(sizes)), "each holds what was written up to it, and writing went on"
    opened.close()
    for number in range(3):
        result = clinic.verify(clinic.folder / f"{number}")
        assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize(
    ("place", "apart", "code"),
    [
        ("clinic/backup", "keys", Exit.USAGE),
        ("clinic.keys/backup", "keys", Exit.USAGE),
        ("backup", "clinic/keys", Exit.USAGE),
        ("backup", "clinic.keys/keys", Exit.USAGE),
        ("backup", "backup", Exit.USAGE),
        ("backup", "backup/keys", Exit.USAGE),
        ("keys/backup", "keys", Exit.USAGE),
        ("linked/backup", "keys", Exit.USAGE),
        ("nowhere/backup", "keys", Exit.USAGE),
        ("link", "keys", Exit.USAGE),
        ("taken", "keys", Exit.FAILED),
        ("backup", "taken", Exit.FAILED),
    ],
)
def test_a_place_that_is_taken_or_not_apart_is_refused(clinic: BackedUp, place: str, apart: str, code: Exit) -> None:
    (clinic.folder / "taken").mkdir()
    (clinic.folder / "taken" / "letter").write_text("mine")
    (clinic.folder / "link").symlink_to(clinic.folder / "elsewhere")
    (clinic.folder / "linked").symlink_to(clinic.data)
    before = bytes_in(clinic.folder)
    result = run(
        "backup",
        str(clinic.folder / place),
        "--keyring-into",
        str(clinic.folder / apart),
        "--data",
        str(clinic.data),
    )
    assert result.exit_code == code, result.stderr
    after = bytes_in(clinic.folder)
    assert after.keys() - before.keys() <= {str(clinic.data / "writer.lock")}
    assert not [name for name in before if "clinic" not in name and before[name] != after[name]]


def test_an_empty_folder_is_a_place(clinic: BackedUp) -> None:
    for name in ("one", "one.keys"):
        (clinic.folder / name).mkdir()
    assert clinic.verify(clinic.back_up("one")).exit_code == 0


def test_only_who_may_makes_one(clinic: BackedUp) -> None:
    opened = clinic.open()
    _, token = opened.hire(Role.THERAPIST)
    opened.close()
    paper = clinic.folder / "token"
    paper.write_text(token)
    result = run("backup", str(clinic.folder / "one"), "--data", str(clinic.data), WELLKEPT_TOKEN_FILE=str(paper))
    assert result.exit_code == 6
    assert not (clinic.folder / "one").exists()


def test_a_key_that_is_not_in_the_keyring_is_told_and_nothing_is_left(clinic: BackedUp) -> None:
    opened = open_clinic(clinic.data)
    try:
        # The clinic is open and holds its keys in memory, as a service does when somebody loses a row.
        alter(clinic.folder / "clinic.keys" / "keyring.db", "DELETE FROM data_keys WHERE key_class = 1")
        with pytest.raises(KeyMissing, match=r"the key that entry [0-9]+ created is not in the keyring"):
            back_up(opened, clinic.folder / "one", clinic.folder / "one.keys", quiet)
    finally:
        opened.close()
    assert not list(clinic.folder.glob("one*"))


# --- whole or none

POINTS = [
    ("open", "one.partial/records.db", 1),
    ("sqlite3.connect", "one.partial/records.db", 1),
    ("open", "one.keys.partial/keyring.db", 1),
    ("open", "one.partial/deployment", 1),
    ("open", "one.keys.partial/keyring.json", 1),
    ("open", "one.partial/backup.json", 2),
    ("open", "one.partial/backup.json.sha256", 1),
    ("os.rename", "one.keys.partial", 1),
    ("os.rename", "one.partial", 1),
]


@pytest.mark.parametrize(("event", "under", "number"), POINTS)
def test_a_killed_backup_is_none_and_the_next_run_removes_it(
    clinic: BackedUp, event: str, under: str, number: int
) -> None:
    one = clinic.folder / "one"
    arguments = ("backup", one, "--data", clinic.data)
    assert child(KILL_AT, event, clinic.folder / under, number, *arguments).returncode == KILLED
    assert not one.exists()
    left = sorted(file.name for file in clinic.folder.glob("one*"))
    assert left
    for name in left:
        assert clinic.verify(clinic.folder / name).exit_code in (2, 3), "nothing takes it for a backup"
    again = run("backup", str(one), "--data", str(clinic.data), "--json")
    assert [Path(name).name for name in data_of(again)["removed"]] == [
        name for name in ("one.partial", "one.keys.partial", "one.keys") if name in left
    ]
    assert sorted(file.name for file in clinic.folder.glob("one*")) == ["one", "one.keys"]
    assert clinic.verify(one).exit_code == 0


def test_what_is_no_leftover_of_ours_is_not_removed(clinic: BackedUp) -> None:
    (clinic.folder / "one.partial").mkdir()
    (clinic.folder / "one.partial" / "letter").write_text("mine")
    result = run("backup", str(clinic.folder / "one"), "--data", str(clinic.data))
    assert (result.exit_code, "one.partial" in result.stderr) == (1, True)
    assert (clinic.folder / "one.partial" / "letter").read_text() == "mine"


def test_a_full_disk_is_told_and_leaves_nothing(clinic: BackedUp) -> None:
    result = child(LIMITED, 64 << 10, "backup", clinic.folder / "one", "--data", clinic.data)
    assert result.returncode == 1
    assert "its place is full" in result.stderr
    assert not list(clinic.folder.glob("one*"))


def test_two_at_once_are_refused(clinic: BackedUp) -> None:
    opened = open_clinic(clinic.data)
    told: list[CommandFailed] = []

    def second(_done: int, _of: int) -> None:
        with pytest.raises(CommandFailed) as refused:
            back_up(opened, clinic.folder / "two", clinic.folder / "two.keys", quiet)
        told.append(refused.value)

    back_up(opened, clinic.folder / "one", clinic.folder / "one.keys", second)
    opened.close()
    assert {error.code for error in told} == {Exit.LOCKED}


# --- verifying one


def test_it_is_verified_where_it_lies_with_keys_and_views(kept: BackedUp) -> None:
    result = kept.verify(kept.folder / "one")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"], told["warnings"]) == (0, "unanchored", [])
    assert "A backup of clinic" in result.stderr
    pinned = run("verify", str(kept.folder / "one"), "--genesis", kept.fingerprint, "--json", **kept.key_file)
    assert (pinned.exit_code, json.loads(pinned.stdout)["status"]) == (0, "unanchored")


def test_on_another_machine_it_says_what_it_cannot_know(kept: BackedUp) -> None:
    result = run("verify", str(kept.folder / "one"), "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"]) == (3, "unpinned")
    assert told["warnings"] == ["No key was opened: its root key is not at hand."]
    assert run("verify", str(kept.folder / "one"), "--genesis", "0" * 64).exit_code == 3


@pytest.mark.parametrize("name", [*FILES, *KEYRING_FILES])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_every_altered_byte_is_found(kept: BackedUp, tmp_path: Path, name: str, share: float) -> None:
    backup = copied(kept.folder / "one", tmp_path / "copy")
    file = (tmp_path / "copy.keys" if name in KEYRING_FILES else backup) / name
    data = bytearray(file.read_bytes())
    data[int(share * (len(data) - 1))] ^= 1
    file.write_bytes(data)
    result = kept.verify(backup)
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (3, "tampered")


def lose(backup: Path) -> None:
    (backup / "deployment").unlink()


def add_a_journal(backup: Path) -> None:
    (backup / "records.db-wal").write_bytes(b"\0" * 32)


def link_elsewhere(backup: Path) -> None:
    (backup / "records.db").rename(backup.with_name("other.db"))
    (backup / "records.db").symlink_to(backup.with_name("other.db"))


def name_a_path_outside(backup: Path) -> None:
    # Everything else about it fits: only that a manifest names no paths turns it away.
    shutil.copy(backup / "deployment", backup.parent / "deployment")

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"]["../deployment"] = manifest["files"].pop("deployment")

    reseal(backup, change)


def take_another_clinics_keyring(backup: Path) -> None:
    other = backup.parent / "other"
    init(other)
    data_of(run("backup", str(backup.parent / "theirs"), "--data", str(other), "--json"))
    keys = backup.with_name(backup.name + ".keys")
    shutil.rmtree(keys)
    (backup.parent / "theirs.keys").rename(keys)


def take_an_unfinished_keyring(backup: Path) -> None:
    (backup.with_name(backup.name + ".keys") / KEYRING_MANIFEST).unlink()


def rewrite_an_event(backup: Path) -> None:
    alter(backup / "records.db", "UPDATE stored_events SET state = zeroblob(length(state)) WHERE rowid = 5")
    reseal(backup)


def forge_the_fingerprint(backup: Path) -> None:
    reseal(backup, lambda manifest: manifest.update(fingerprint="0" * 64))


def forge_the_count(backup: Path) -> None:
    reseal(backup, lambda manifest: manifest.update(entries=manifest["entries"] - 1))


@pytest.mark.parametrize(
    "attack",
    [
        lose,
        add_a_journal,
        link_elsewhere,
        name_a_path_outside,
        take_another_clinics_keyring,
        take_an_unfinished_keyring,
        rewrite_an_event,
        forge_the_fingerprint,
        forge_the_count,
    ],
)
def test_what_somebody_made_of_it_is_no_backup(kept: BackedUp, tmp_path: Path, attack: Callable[[Path], None]) -> None:
    backup = copied(kept.folder / "one", tmp_path / "copy")
    attack(backup)
    verified, restored = kept.verify(backup), run("restore", str(backup), str(tmp_path / "new"), **kept.key_file)
    assert (verified.exit_code, restored.exit_code) == (3, 3), (verified.stdout, restored.stderr)
    assert not (tmp_path / "new").exists()


def test_options_that_do_not_go_together_are_usage(kept: BackedUp, tmp_path: Path) -> None:
    assert run("verify", "--keyring", str(tmp_path), "--data", str(kept.data)).exit_code == 2
    assert run("restore", str(kept.folder / "one"), "--drill-in", str(tmp_path), str(tmp_path / "x")).exit_code == 2
    assert run("restore", str(kept.folder / "one"), "--drill", str(tmp_path / "x")).exit_code == 2
    assert run("restore", str(kept.folder / "one")).exit_code == 2
