"""A real clinic for attacks: signed, copied, set back, and altered behind its back, on either engine."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from projections.access_report import ACCESS_REPORT
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import run


class AttackedClinic:
    """A clinic of two clients with notes and readings; `answer` is what `wellkept verify` says of it."""

    def __init__(self, path: Path, database_url: str | None) -> None:
        self.path = path
        self.database_url = database_url
        self.clinic: StaffedClinic = make_clinic(path, database_url=database_url)
        self.clients = [self.clinic.register(given="Ann"), self.clinic.register(given="Ben")]
        for number in range(3):
            for client in self.clients:
                self.clinic.note(client, f"Session {number}.")
                self.clinic.see(CLIENT_VIEW, client)
        self.clinic.see(ACCESS_REPORT, self.clients[0], by=Role.PRIVACY_OFFICER)
        self.clinic.opened.audit_index.catch_up()
        self.sign()

    def sign(self) -> bytes:
        """Sign what was written; return the checkpoint, as somebody outside keeps it."""
        signer = self.clinic.opened.signer
        assert signer is not None
        signer.flush()
        row = self.clinic.store.checkpoint()
        return bytes(row.note)

    def work(self) -> None:
        """Write some more."""
        for client in self.clients:
            self.clinic.note(client, "Later.")
            self.clinic.see(CLIENT_VIEW, client)

    # --- past the clinic

    def outside(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the database's owner; return the last one's rows."""
        rows: list[tuple[Any, ...]] = []
        if self.database_url is None:
            with closing(sqlite3.connect(self.path / "records.db", isolation_level=None)) as connection:
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
            return rows
        with psycopg.connect(self.database_url, autocommit=True) as session:
            for statement in statements:
                cursor = session.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def free(self, *triggers: tuple[str, str]) -> None:
        """Drop triggers, as whoever owns the database can."""
        for trigger, table in triggers:
            self.outside(f"DROP TRIGGER {trigger}" + ("" if self.database_url is None else f" ON {table}"))

    def keys(self, *statements: str) -> None:
        """Run statements on the keyring."""
        with closing(sqlite3.connect(self.path.with_name(self.path.name + ".keys") / "keyring.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def entries(self, kind: int) -> list[tuple[int, bytes]]:
        """Return index and bytes of the entries of a kind."""
        found = self.outside("SELECT idx, entry FROM ledger ORDER BY idx")
        return [(index, bytes(entry)) for index, entry in found if entry[7] == kind]

    # --- copies, on SQLite alone

    def copy(self, name: str, *, keys: bool) -> Path:
        """Copy the stopped clinic's data, and its keys where they lie on the same machine; start it again."""
        self.clinic.close()
        to = self.path.with_name(name)
        shutil.copytree(self.path, to)
        if keys:
            shutil.copytree(self.path.with_name(self.path.name + ".keys"), to.with_name(name + ".keys"))
        self.clinic.opened = self.clinic._open()
        return to

    def set_back(self, copy: Path, *, keys: bool) -> None:
        """Put a copy in the place of the stopped clinic."""
        self.clinic.close()
        for suffix in ("", ".keys") if keys else ("",):
            place = self.path.with_name(self.path.name + suffix)
            shutil.rmtree(place)
            shutil.copytree(copy.with_name(copy.name + suffix), place)

    # --- asking

    def verify(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Return the exit code of `wellkept verify --json` and what it says."""
        environment = {} if self.database_url is None else {"WELLKEPT_DATABASE_URL": self.database_url}
        result = run("verify", "--data", str(self.path), "--json", *arguments, **environment)
        assert "Traceback" not in result.stderr
        return result.exit_code, json.loads(result.stdout)

    def answer(self, *arguments: str) -> tuple[int, str, int | None]:
        """Return the exit code, the status word and the first bad index."""
        code, said = self.verify(*arguments)
        return code, said["status"], said["first_bad_index"]

    def keep(self, note: bytes, name: str = "kept") -> str:
        """Keep a checkpoint outside of the clinic, and return its path."""
        path = self.path.with_name(name)
        path.write_bytes(note)
        return str(path)

    def access_stream(self, client: UUID) -> UUID:
        """Return the id of a client's access stream."""
        stream: UUID = self.clinic.service.streams.access(client)
        return stream
