"""A keyring on a disk of its own, with a clock that a test turns."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import UUID, uuid4

from records.key_provider import KeyFileProvider
from records.keyring import Keyring

CLINIC, ANNA, BEN = UUID(int=1), uuid4(), uuid4()


class Monotonic:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Case:
    """A keyring on disk, and how to reach it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keyring.db"
        self.root = folder / "root.key"
        self.clock = Monotonic()
        self.opened: list[Keyring] = []
        KeyFileProvider.create(self.root)
        Keyring.create(self.path, CLINIC)

    def open(self, deployment: UUID = CLINIC) -> Keyring:
        self.opened.append(Keyring(self.path, deployment, KeyFileProvider(self.root), self.clock))
        return self.opened[-1]

    def outside(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()
