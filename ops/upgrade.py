"""Upgrading a data directory from an older format to the one of this version, step by step.

Source: decision 44; CRYPTO 6 (what the keyring keeps).

    lock the clinic → each format's steps, in order → the next format's name into FORMAT → … → unlock

- Nobody serves meanwhile: the writing lock is held (SQLite), or the lead in signing (PostgreSQL), which every serving
  process takes where it is free.
- Each step is durable when it returns and may be done again: killed anywhere, the same command does the rest.
- FORMAT names the next format last, by an atomic replacement: until then every command refuses the directory.
- FORMAT is not believed alone: what its own format is made of is looked at too, and done where it is missing. An older
  copy of the keyring may have been put back.
- Steps are frozen text. They call nothing that a later version may change: not the schema of today, and not the classes
  that read it. A step that was released is never altered.

It reads no record and no key, and changes nothing in the log: what was signed stays as it was signed. The other way, to
an older format, there is none but a backup.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ops.data_format import FORMAT, FORMATS, format_of, refuse_unknown
from ops.settings import Settings
from records.errors import ClinicLocked, KeyMissing, NotStored


class Place(NamedTuple):
    """Where the clinic is that is upgraded."""

    data: Path
    keys: Path
    database_url: str | None


class Step(NamedTuple):
    """One change; `run` may be called again after it was interrupted anywhere, and is durable when it returns.

    `is_done` changes no byte, and is only asked in the format that the step leads to.
    """

    says: str
    run: Callable[[Place], None]
    is_done: Callable[[Place], bool]


def _add_tombstones(place: Place) -> None:
    """Give the keyring its table of destroyed keys.

    A crash leaves the keyring with the table or without it: SQLite makes it in one durable transaction.
    """
    path = place.keys / "keyring.db"
    if not path.exists():
        raise KeyMissing("there is no keyring")
    deployment = uuid.UUID((place.data / "deployment").read_text().strip()).bytes
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5.0)) as keyring:
            # A journal that were removed instead could come back after a power cut, and take the table away again.
            keyring.execute("PRAGMA journal_mode = TRUNCATE")
            keyring.execute("PRAGMA synchronous = FULL")
            if keyring.execute("SELECT deployment_id FROM deployment").fetchall() != [(deployment,)]:
                raise KeyMissing("the keyring is another clinic's")
            keyring.execute(_TOMBSTONES)
            columns = [row[1] for row in keyring.execute("PRAGMA table_info (tombstones)")]
    except sqlite3.Error as error:
        raise NotStored("the keyring cannot be written") from error
    if columns != ["key_id", "scope", "key_class", "version", "erasure", "destroyed_us"]:
        raise NotStored("the keyring holds a table `tombstones` that Wellkept did not make")


def _has_tombstones(place: Place) -> bool:
    path = (place.keys / "keyring.db").absolute()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as keyring:
            return bool(keyring.execute("SELECT 1 FROM sqlite_master WHERE name = 'tombstones'").fetchall())
    except sqlite3.Error:
        # Not there, no keyring, or to be recovered first: whoever does the step is told which.
        return False


_TOMBSTONES = (
    "CREATE TABLE IF NOT EXISTS tombstones (key_id BLOB PRIMARY KEY, scope BLOB NOT NULL, key_class INTEGER NOT NULL,"
    " version INTEGER NOT NULL, erasure BLOB NOT NULL, destroyed_us INTEGER NOT NULL) WITHOUT ROWID"
)

STEPS: Mapping[str, tuple[Step, ...]] = {
    "wellkept-data/1": (
        Step("give the keyring its table of destroyed keys (tombstones)", _add_tombstones, _has_tombstones),
    ),
}
"""Older format → what leads from it to the next one in `FORMATS`."""


def steps_missing(settings: Settings) -> list[tuple[str, tuple[Step, ...]]]:
    """Return (the format reached, its steps) for what leads to this version's format; empty where nothing is missing.

    Raises:
        NotInitialised: there is no clinic here, or one of a format that was never released.
    """
    return _steps_missing(_place(settings))


def _steps_missing(place: Place) -> list[tuple[str, tuple[Step, ...]]]:
    found = format_of(place.data)
    if found not in FORMATS:
        refuse_unknown(found)
    here = FORMATS.index(found)
    way = [(reached, STEPS[before]) for before, reached in zip(FORMATS[here:], FORMATS[here + 1 :], strict=False)]
    made = STEPS[FORMATS[here - 1]] if here else ()
    undone = tuple(step for step in made if not step.is_done(place))
    return [(found, undone), *way] if undone else way


def _place(settings: Settings) -> Place:
    return Place(settings.data, settings.data.with_name(settings.data.name + ".keys"), settings.database_url)


def upgrade(settings: Settings, told: Callable[[str], None]) -> tuple[str, str]:
    """Upgrade the data directory; return the format that it had and the one that it has.

    Args:
        settings: where the clinic is.
        told: is told of each step before it is done.

    Raises:
        NotInitialised: there is no clinic here, or one of a newer or unknown format.
        ClinicLocked: the clinic is served, or another upgrade runs.
        KeyMissing: there is no keyring, or another clinic's.
        NotStored: a step could not be done; the ones before it stand, and the format is still the older one. Or the log
            is not where the settings say.
    """
    place = _place(settings)
    before = format_of(place.data)
    # Before the lock, which would be made in a directory that is none of ours.
    _steps_missing(place)
    with _locked(place):
        # Anew: another upgrade may have ended between the two.
        for reached, steps in _steps_missing(place):
            for step in steps:
                told(step.says)
                step.run(place)
            told(f"name the format {reached}")
            _write_format(place.data, reached)
    return before, FORMAT


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    """Keep everybody out who would serve the clinic; the lock ends with the process."""
    has_log = (place.data / "records.db").exists()
    if has_log and place.database_url is not None:
        # The lock of one database keeps nobody out who serves from the other.
        raise NotStored("the log is in the data directory, and WELLKEPT_DATABASE_URL names another")
    if place.database_url is not None:
        with _leading(place.database_url):
            yield
        return
    if not has_log:
        raise NotStored("there is no database; for one in PostgreSQL set WELLKEPT_DATABASE_URL")
    descriptor = os.open(place.data / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _leave_to_owner(descriptor, place.data)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ClinicLocked("the clinic is served; stop the service first") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _leading(database_url: str) -> Iterator[None]:
    # The driver is asked for only where the clinic needs it.
    from records.store.postgres_connection import check_server, connection_string
    from records.store.postgres_lead import SigningLead

    conninfo = connection_string(database_url, writes=True)
    check_server(conninfo)
    lead = SigningLead(conninfo)
    try:
        if not lead.held():
            raise ClinicLocked("the clinic is served; stop every process of the service first")
        yield
    finally:
        lead.close()


def _write_format(data: Path, reached: str) -> None:
    """Replace FORMAT: a crash leaves the old line or the new one, and a file beside that the next run overwrites."""
    beside = data / "FORMAT.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        _leave_to_owner(descriptor, data)
        file.write(reached + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(data / "FORMAT")
    folder = os.open(data, os.O_RDONLY)
    try:
        # A crash before this may bring the old line back: then everything is done again, and nothing changes.
        os.fsync(folder)
    finally:
        os.close(folder)


def _leave_to_owner(descriptor: int, data: Path) -> None:
    """Give a file to whoever owns FORMAT: what root upgrades, the service's own user must open afterwards."""
    if os.geteuid() == 0:
        owner = (data / "FORMAT").stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
