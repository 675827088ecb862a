"""A clinic with a few clients that was backed up, and ways to alter a backup as somebody would who knows its layout."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ops.backups.files import MANIFEST, facts_of
from ops.keys.recovery_key import format_secret
from ops.wiring import found, now
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from records.clinic_policy import ClinicPolicy
from tests.clinic import StaffedClinic
from tests.ops.running import data_of, run

ROOT = Path(__file__).parents[2]
KILLED = -9


class BackedUp:
    """A founded clinic in a folder, its recovery key, and what backups and commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "clinic"
        told = found(self.data, "Hill Clinic", ClinicPolicy())
        self.fingerprint, self.paper = told.fingerprint, folder / "paper"
        self.paper.write_text(format_secret(told.recovery))
        self.key_file = {"WELLKEPT_KEY_FILE": str(folder / "clinic.keys" / "root.key")}

    def open(self) -> StaffedClinic:
        """Open the clinic as a process that writes."""
        return StaffedClinic(self.data, now, None)

    def grow(self) -> None:
        """Add a client with one note, a reading, and the keys that they need."""
        clinic = self.open()
        for role in (Role.THERAPIST, Role.SUPERVISOR):
            clinic.staff[role], _ = clinic.hire(role)
        client = clinic.register()
        clinic.note(client, "A session.")
        told = {"kind": "letter", "made_by": "third-party", "title": "A letter"}
        clinic.opened.attachments.add(client, client, client.bytes.hex().encode(), clinic.request(), **told)
        clinic.see(CLIENT_VIEW, client)
        clinic.close()

    def back_up(self, name: str) -> Path:
        """Back up by the command; return the folder."""
        data_of(run("backup", str(self.folder / name), "--data", str(self.data), "--json"))
        return self.folder / name

    def restore(self, backup: Path, *more: str, to: str = "new", **environment: str) -> Any:
        """Restore by the command; return its result."""
        arguments = ("restore", str(backup), str(self.folder / to), "--json", *more)
        return run(*arguments, **{**self.key_file, **environment})

    def verify(self, backup: Path, *more: str) -> Any:
        """Verify a backup by the command; return its result."""
        return run("verify", str(backup), "--data", str(self.data), "--json", *more)


def copied(backup: Path, to: Path) -> Path:
    """Return a copy of a backup, keyring and all, to be altered."""
    shutil.copytree(backup, to)
    shutil.copytree(backup.with_name(backup.name + ".keys"), to.with_name(to.name + ".keys"))
    return to


def bytes_in(*folders: Path) -> dict[str, bytes]:
    """Return every file under folders with its bytes."""
    return {str(file): file.read_bytes() for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()}


def reseal(backup: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Make a manifest fit to files that were altered, as a forger would; `change` alters what it says."""
    manifest = json.loads((backup / MANIFEST).read_text())
    for name in manifest["files"]:
        facts = facts_of(backup / name)
        manifest["files"][name] = {"bytes": facts.bytes, "sha256": facts.sha256}
    change(manifest)
    data = json.dumps(manifest).encode()
    (backup / MANIFEST).write_bytes(data)
    (backup / f"{MANIFEST}.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n")


def alter(database: Path, *statements: str) -> None:
    """Alter a database that nobody has open, without its triggers, and leave no journal beside it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, definition in triggers:
            connection.execute(definition)


def child(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which may be killed or held to limits."""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


KILL_AT = """
import os, signal, sys
event, under, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
def watch(name, arguments):
    global seen
    if name == event and arguments and str(arguments[0]).startswith(under):
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from ops.cli import main
sys.argv = ["wellkept", *sys.argv[4:]]
main()
"""
"""Runs a command, and kills itself at the nth event of a kind (see the table of audit events) on a path."""

LIMITED = """
import resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from ops.cli import main
sys.argv = ["wellkept", *sys.argv[2:]]
main()
"""
"""Runs a command that can write no file larger than so many bytes, as on a disk that is full."""
