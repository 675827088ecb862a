"""Upgrading: every released format is refused, upgraded and read as it was; a kill anywhere does no harm."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from ops import wiring
from ops.data_format import FORMAT, FORMATS
from ops.keys.recovery_key import format_secret
from ops.upgrade import STEPS
from records.actors import Actor, Role
from records.keyring import Keyring
from records.store.postgres_connection import connection_string
from records.store.postgres_lead import SigningLead
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.golden_clinic import CLIENTS, READ_AT, read_views
from tests.ops.running import data_of, init, run
from tests.ops.test_cli import LEAVES

GOLDEN = Path(__file__).parents[1] / "golden" / "data-directories"
OLDER = FORMATS[:-1]
MAKES_ITS_OWN = {("init",), ("demo",), ("demo", "tamper"), ("restore",), ("move-in",)}
"""Commands whose directory is a new one, or a demo that can be made anew."""
OPENS_NONE = {("config",), ("upgrade",)}


def folder_of(name: str) -> Path:
    """Return where a format's golden files are kept."""
    return GOLDEN / name.replace("/", "-")


def unpack(name: str, into: Path) -> Path:
    """Unpack the golden clinic of a format; return its data directory."""
    with tarfile.open(folder_of(name) / "clinic.tar.gz") as archive:
        archive.extractall(into, filter="data")
    return into / "clinic"


def keyring_schema(path: Path) -> dict[str, str]:
    """Return name and text of everything that a keyring's file defines."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in found}


def contains(now: Any, kept: Any) -> bool:
    """Whether everything that was shown then is shown now; a later version may show more."""
    if isinstance(kept, dict):
        return isinstance(now, dict) and all(name in now and contains(now[name], kept[name]) for name in kept)
    if isinstance(kept, list):
        return isinstance(now, list) and len(now) == len(kept) and all(map(contains, now, kept))
    return bool(now == kept)


def filled_in(command: click.Command, file: Path, vkey: str) -> list[str]:
    """Return arguments that a command takes; `file` is one that is there, and holds a recovery key."""
    given: list[str] = []
    for parameter in command.params:
        name, kind = parameter.opts[0], parameter.type
        if not parameter.required and name != "--recovery-key-file":
            continue
        if isinstance(kind, click.Choice):
            value = str(kind.choices[0])
        elif isinstance(kind, click.Path):
            value = str(file)
        elif kind is click.UUID:
            value = str(CLIENTS[0])
        else:
            value = vkey if name == "--witness" else "http://127.0.0.1:9" if name == "address" else "1"
        given += [value] if isinstance(parameter, click.Argument) else [name, value]
    return given


def bytes_of(folder: Path) -> dict[Path, bytes]:
    """Return what every file under a folder holds."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def upgrade(data: Path, *arguments: str, **environment: str) -> Any:
    """Run the command without a question."""
    return run("upgrade", "--data", str(data), "--yes", "--json", *arguments, **environment)


def hold_as_it_was(data: Path, name: str) -> None:
    """Open an upgraded golden clinic: it verifies, shows what it showed, and can be written."""
    kept = json.loads((folder_of(name) / "views.json").read_text())
    clinic = StaffedClinic(data, lambda: READ_AT, None)
    try:
        check_store(clinic.store)
        clinic.staff[Role.THERAPIST] = Actor(kept["therapist"], Role.THERAPIST)
        assert contains(read_views(clinic), kept)
        clinic.note(CLIENTS[1], "Later.")
        check_store(clinic.store)
    finally:
        clinic.close()
    assert run("verify", "--data", str(data)).exit_code == 0


def test_every_released_format_has_its_golden_clinic_and_its_steps() -> None:
    assert {folder_of(name) for name in OLDER} == set(GOLDEN.iterdir())
    assert tuple(STEPS) == OLDER
    for name in OLDER:
        assert (folder_of(name) / "views.json").exists()
        assert (folder_of(name) / "clinic.tar.gz").stat().st_size < 300 << 10


def test_a_new_clinic_is_of_the_newest_format(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    assert (tmp_path / "clinic" / "FORMAT").read_text() == FORMATS[-1] + "\n" == FORMAT + "\n"
    before = keyring_schema(tmp_path / "clinic.keys" / "keyring.db")
    result = upgrade(tmp_path / "clinic")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["steps"] == []
    assert keyring_schema(tmp_path / "clinic.keys" / "keyring.db") == before


@pytest.mark.parametrize("name", OLDER)
def test_an_older_clinic_is_refused_then_upgraded_and_is_what_it_was(tmp_path: Path, name: str) -> None:
    data = unpack(name, tmp_path)
    before = bytes_of(tmp_path)
    listed = upgrade(data, "--dry-run")
    assert json.loads(listed.stdout)["steps"]
    assert "have a copy" in listed.stderr
    assert bytes_of(tmp_path) == before

    result = upgrade(data)
    assert result.exit_code == 0, result.stderr
    assert "have a copy" in result.stderr
    assert json.loads(result.stdout)["format"] == FORMAT
    Keyring.create(tmp_path / "fresh.db", wiring.deployment_of(data))
    assert keyring_schema(data.with_name("clinic.keys") / "keyring.db") == keyring_schema(tmp_path / "fresh.db")
    hold_as_it_was(data, name)


def test_every_command_that_opens_a_clinic_refuses_an_older_one_and_changes_nothing(tmp_path: Path) -> None:
    data, paper = unpack("wellkept-data/1", tmp_path), tmp_path / "paper"
    paper.write_text(format_secret(bytes(32)))
    vkey = data_of(run("witness", "init", "--dir", str(tmp_path / "w"), "--name", "w.example/hill", "--json"))["vkey"]
    opening = {
        path: command
        for path, command in LEAVES.items()
        if path not in MAKES_ITS_OWN | OPENS_NONE and any("--data" in each.opts for each in command.params)
    }
    assert len(opening) > 35
    new = ["-o", str(tmp_path / "new")]
    asked_for = {("export",): [str(CLIENTS[0]), *new], ("disclose",): new, ("import",): [str(paper), "--unpinned"]}
    before = bytes_of(tmp_path)
    for path, command in opening.items():
        more = asked_for.get(path, [])
        result = run(*path, *filled_in(command, paper, vkey), *more, "--data", str(data))
        assert result.exit_code == 4, (path, result.stderr)
        assert "wellkept upgrade" in result.stderr + result.stdout, path
    assert bytes_of(tmp_path) == before


def test_an_older_keyring_that_was_put_back_is_upgraded_though_format_is_today_s(tmp_path: Path) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    (data / "FORMAT").write_text(FORMAT + "\n")
    assert "wellkept upgrade" in run("verify", "--data", str(data)).stderr
    before = bytes_of(tmp_path)
    assert data_of(upgrade(data, "--dry-run"))["steps"]
    assert bytes_of(tmp_path) == before
    assert data_of(upgrade(data))["steps"]
    assert data_of(upgrade(data))["steps"] == []
    hold_as_it_was(data, "wellkept-data/1")


def test_the_step_leaves_no_journal_that_could_come_back(tmp_path: Path) -> None:
    # SQLite removes a journal without syncing the folder: after a power cut it may be there again, and is rolled back.
    data = unpack("wellkept-data/1", tmp_path)
    assert upgrade(data).exit_code == 0
    assert (data.with_name("clinic.keys") / "keyring.db-journal").stat().st_size == 0


def test_what_root_upgrades_stays_the_service_s_own(tmp_path: Path) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    (data / "writer.lock").unlink()
    # Only root can upgrade another user's clinic; anybody else's own stays theirs.
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    everything = [data, *data.rglob("*"), data.with_name("clinic.keys"), *data.with_name("clinic.keys").rglob("*")]
    for path in everything:
        os.chown(path, owner, -1)
    assert upgrade(data).exit_code == 0
    folders = (data, data.with_name("clinic.keys"))
    owners = {path.name: path.stat().st_uid for folder in folders for path in folder.rglob("*")}
    assert set(owners.values()) == {owner}, owners
    assert owners.keys() >= {"FORMAT", "writer.lock", "keyring.db-journal"}


def test_the_lock_of_another_database_is_not_taken_for_the_clinic_s(tmp_path: Path) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    result = upgrade(data, WELLKEPT_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (result.exit_code, (data / "FORMAT").read_text()) == (1, "wellkept-data/1\n")
    assert "names another" in result.stderr
    (data / "records.db").unlink()
    result = upgrade(data)
    assert (result.exit_code, (data / "FORMAT").read_text()) == (1, "wellkept-data/1\n")
    assert "WELLKEPT_DATABASE_URL" in result.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wellkept-data/9", "newer format wellkept-data/9: install a newer"),
        ("wellkept-data/1.5", "no version up to this one"),
        ("wellkept-data/0", "no version up to this one"),
        ("", "no version up to this one"),
    ],
)
def test_a_newer_or_unknown_format_is_refused_and_left_alone(tmp_path: Path, line: str, words: str) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    (data / "FORMAT").write_text(line)
    keyring = (data.with_name("clinic.keys") / "keyring.db").read_bytes()
    for arguments in (("verify",), ("upgrade", "--yes"), ("upgrade", "--dry-run")):
        result = run(*arguments, "--data", str(data))
        assert result.exit_code == 4
        assert words in result.stderr
    assert (data / "FORMAT").read_text() == line
    assert (data.with_name("clinic.keys") / "keyring.db").read_bytes() == keyring


def test_nothing_is_upgraded_where_no_clinic_is(tmp_path: Path) -> None:
    result = upgrade(tmp_path)
    assert (result.exit_code, "wellkept init" in result.stderr) == (4, True)


def test_a_served_clinic_is_not_upgraded(tmp_path: Path) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    with (data / "writer.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = upgrade(data)
    assert (result.exit_code, (data / "FORMAT").read_text()) == (5, "wellkept-data/1\n")
    assert "stop the service" in result.stderr


@pytest.mark.parametrize("whose", ["nobody's", "another's", "a strange table"])
def test_what_cannot_be_upgraded_keeps_its_format(tmp_path: Path, whose: str) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    keyring = data.with_name("clinic.keys") / "keyring.db"
    if whose == "nobody's":
        keyring.unlink()
    else:
        with closing(sqlite3.connect(keyring)) as connection:
            another = "UPDATE deployment SET deployment_id = zeroblob(16)"
            connection.execute(another if whose == "another's" else "CREATE TABLE tombstones (stone TEXT)")
            connection.commit()
    result = upgrade(data)
    assert result.exit_code == (1 if whose == "a strange table" else 6)
    assert (data / "FORMAT").read_text() == "wellkept-data/1\n"


def test_a_kill_at_any_line_leaves_what_the_next_run_completes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ops.killed_upgrade", str(folder_of("wellkept-data/1")), str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    killed = sorted(tmp_path.iterdir())
    assert len(killed) > 30, told.stdout
    formats = set()
    for folder in killed:
        formats.add(left := (folder / "clinic" / "FORMAT").read_text())
        # Looked at before the next run mends it.
        if left == FORMAT + "\n":
            assert "tombstones" in keyring_schema(folder / "clinic.keys" / "keyring.db"), folder.name
        assert upgrade(folder / "clinic").exit_code == 0
        assert (folder / "clinic" / "FORMAT").read_text() == FORMAT + "\n"
        assert "tombstones" in keyring_schema(folder / "clinic.keys" / "keyring.db")
    assert formats == {"wellkept-data/1\n", FORMAT + "\n"}
    for folder in killed[:: len(killed) // 4]:
        hold_as_it_was(folder / "clinic", "wellkept-data/1")


@pytest.mark.postgres
def test_a_clinic_on_postgresql_is_upgraded_while_nobody_signs(tmp_path: Path, postgres_url: str) -> None:
    data = tmp_path / "clinic"
    clinic = make_clinic(data, database_url=postgres_url)
    client = clinic.register()
    clinic.close()
    with closing(sqlite3.connect(data.with_name("clinic.keys") / "keyring.db")) as connection:
        connection.execute("DROP TABLE tombstones")
    (data / "FORMAT").write_text("wellkept-data/1\n")
    url = {"WELLKEPT_DATABASE_URL": postgres_url}
    assert run("verify", "--data", str(data), **url).exit_code == 4

    lead = SigningLead(connection_string(postgres_url, writes=True))
    assert lead.held()
    assert upgrade(data, **url).exit_code == 5
    lead.close()
    assert upgrade(data, **url).exit_code == 0
    clinic.opened = clinic._open()
    assert len(clinic.reader.events(client)) > 0
    clinic.close()


def test_nobody_else_may_read_the_unpacked_key_file(tmp_path: Path) -> None:
    data = unpack("wellkept-data/1", tmp_path)
    assert (data.with_name("clinic.keys") / "root.key").stat().st_mode & 0o077 == 0
