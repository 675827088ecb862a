"""The runbook for a clinic in PostgreSQL: a base backup, an archived log, and back to a point in time."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ops.keys.recovery_key import format_secret
from ops.wiring import found, now
from records.actors import Role
from records.clinic_policy import ClinicPolicy
from tests.clinic import StaffedClinic
from tests.ops.running import data_of, run
from tests.throwaway_postgres import ThrowawayPostgres
from tests.waiting import until

pytestmark = pytest.mark.postgres


class Archived:
    """A server that archives its log, and its clinic."""

    def __init__(self, folder: Path) -> None:
        self.server = ThrowawayPostgres()
        self.home = self.server.socket.parent
        self.binaries = Path(self.server._command[0]).parent
        self.archive = self.directory("archive")
        self.server.settings(
            archive_mode="on", archive_command=f"test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        )
        self.server.halt()
        self.server.start()
        self.data, self.url = folder / "clinic", self.server.fresh_database()
        told = found(self.data, "Hill Clinic", ClinicPolicy(), database_url=self.url)
        self.paper = folder / "paper"
        self.paper.write_text(format_secret(told.recovery))

    def directory(self, name: str) -> Path:
        """Make a folder that belongs to the server's user."""
        folder = self.home / name
        folder.mkdir(mode=0o700)
        if self.server._user:
            os.chown(folder, self.server._user["user"], self.server._user["group"])
        return folder

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of the server's tools as its user."""
        command = [str(self.binaries / name), *arguments]
        subprocess.run(command, check=True, cwd=self.home, capture_output=True, **self.server._user)

    def scalar(self, query: str) -> str:
        """Return what a query says, as text."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture
def archived(tmp_path: Path) -> Iterator[Archived]:
    made = Archived(tmp_path)
    yield made
    made.server.stop()


def copy_keyring(source: Path, to: Path) -> None:
    """Copy it as the tool `sqlite3` does by `.backup`."""
    with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(to)) as writing:
        reading.backup(writing)


def test_back_to_a_point_in_time(archived: Archived, tmp_path: Path) -> None:
    clinic = StaffedClinic(archived.data, now, archived.url)
    for role in (Role.THERAPIST, Role.SUPERVISOR):
        clinic.staff[role], _ = clinic.hire(role)
    clinic.register()
    refused = run("backup", str(tmp_path / "one"), "--data", str(archived.data), WELLKEPT_DATABASE_URL=archived.url)
    assert (refused.exit_code, "back-up-and-restore.md" in refused.stderr) == (2, True)
    # The base backup, while the clinic is open; then more, the point in time, and more that will be lost.
    base = archived.directory("base")
    archived.tool(
        "pg_basebackup", "-d", archived.url, "-D", str(base), "--checkpoint=fast", "-X", "stream",
        "--manifest-checksums=SHA256",
    )  # fmt: skip
    archived.tool("pg_verifybackup", str(base))
    kept = clinic.register()
    clinic.opened.signer.flush()  # type: ignore[union-attr]  # a clinic that is open for writing has one
    point = archived.scalar("SELECT now()")
    time.sleep(0.1)
    lost = clinic.register()
    size = clinic.store.head().next_index
    clinic.close()
    copy_keyring(archived.data.with_name("clinic.keys") / "keyring.db", tmp_path / "keyring.db")
    segment = archived.scalar("SELECT pg_walfile_name(pg_switch_wal())")
    until(lambda: (archived.archive / segment).exists())
    archived.server.halt()
    # Another server over the base backup, which replays the archive up to the point.
    with (base / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archived.archive}/%f %p'\n")
        settings.write(f"recovery_target_time = '{point}'\nrecovery_target_action = 'promote'\n")
    (base / "recovery.signal").touch()
    archived.server._command[archived.server._command.index("-D") + 1] = base
    archived.server.start()
    until(lambda: archived.scalar("SELECT pg_is_in_recovery()") == "False")
    new = restored_files(archived, tmp_path)
    environment = {"WELLKEPT_DATABASE_URL": archived.url}
    assert run("user", "list", "--data", str(new), **environment).exit_code == 6
    arguments = ("--recovery-key-file", str(archived.paper), "--known-size", str(size), "--json")
    assert data_of(run("declare-restore", "--data", str(new), *arguments, **environment))["known_size"] == size
    verified = run("verify", "--data", str(new), "--json", **environment)
    assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "restored")
    again = StaffedClinic(new, now, archived.url)
    clients = set(again.reader.clients())
    again.close()
    assert (kept in clients, lost in clients) == (True, False)


def restored_files(archived: Archived, folder: Path) -> Path:
    """Put back what stands beside the database."""
    new, keys = folder / "new", folder / "new.keys"
    for each in (new, keys):
        each.mkdir(mode=0o700)
    for name in ("FORMAT", "deployment"):
        shutil.copy(archived.data / name, new / name)
    shutil.copy(folder / "keyring.db", keys / "keyring.db")
    shutil.copy(archived.data.with_name("clinic.keys") / "root.key", keys / "root.key")
    return new
