"""Backing up a clinic while it is served: log and views into one folder, the keyring into another; no signer's keys.

Source: CRYPTO 3 and 6; decision 42; the SQLite documentation on the online backup.

1. The newest entries are signed, so that the copy ends with a checkpoint over nearly everything.
2. A reading connection of its own holds one snapshot and copies it page by page, resting as long as each step took.
   Writers never wait for it; the journal grows until it is done. Nothing is written by it but the copy.
3. The keyring is copied after the log: each key that the copied log names must be in it.
4. The manifests are written from the copies, and everything is synced.
5. Both folders are renamed into place, the keyring's first: a backup that has its name is whole.

Until then they are called `.partial`; what a killed run left is removed by the next one for the same place. A live
database is read through SQLite only: whoever opens and closes its file besides gives up the service's locks on it.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec

from ops.backups.files import (
    DATABASE,
    EVENT_FILES,
    FORMAT,
    KEYRING,
    KEYRING_FILES,
    KEYRING_FORMAT,
    KEYRING_MANIFEST,
    MANIFEST,
    PARTIAL,
    TABLES,
    KeyringManifest,
    Manifest,
    SignedSize,
    facts_of,
    seal_folder,
    sync_folder,
    write_file,
)
from ops.data_format import FORMAT as DATA_FORMAT
from ops.exits import CommandFailed, Exit
from ops.wiring import Clinic, Paths
from records.checkpoint import parse_signed_checkpoint
from records.epoch import genesis_fingerprint
from records.errors import KeyMissing
from records.ledger import Kind, decode_entry

STEP_PAGES = 256
SYNC_BYTES = 4 << 20
"""So much is copied before it is synced: a large unsynced copy would make the log's own sync wait for it."""
REST = 1.0
"""How many times as long as a step took it rests."""
_SPARE_BYTES = 16 << 20
_making = threading.Lock()


class Places(NamedTuple):
    """Where a backup goes: log and views, and the keyring; each beside its place until it is whole."""

    events: Path
    keyring: Path

    @property
    def partial(self) -> Places:
        """Where it is made."""
        return Places(*(place.with_name(place.name + PARTIAL) for place in self))


def back_up(clinic: Clinic, events: Path, keyring: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Copy a clinic into two new folders; return what was written. Cost: see the module; minutes for a large clinic.

    A crash anywhere in it leaves folders called `.partial`, which nothing takes for a backup.

    Args:
        clinic: an open clinic that may write.
        events: where log and views go; new or empty, outside the clinic's own directories.
        keyring: where the keyring goes, apart.
        progress: told pages done and pages in all.

    Raises:
        CommandFailed: the place cannot be used, has no room, or another backup is being made.
        KeyMissing: a key that the log names is not in the keyring; nothing is left behind.
        IntegrityFailure, NotStored: the newest entries could not be signed.
    """
    if not clinic.paths.database.exists():
        raise CommandFailed(
            Exit.USAGE, "this clinic's log is in PostgreSQL: see docs/how-to/back-up-and-restore.md for its own tools"
        )
    if not _making.acquire(blocking=False):
        raise CommandFailed(Exit.LOCKED, "a backup is being made already")
    try:
        places = Places(_place(events), _place(keyring))
        removed = _clear(places)
        _check(places, clinic.paths)
        made = _make(clinic, places, progress)
        return {**made, "removed": removed}
    finally:
        _making.release()


def _make(clinic: Clinic, places: Places, progress: Callable[[int, int], None]) -> dict[str, Any]:
    partial, backup, made_at = places.partial, uuid4(), datetime.now(UTC)
    with _written(places, backup):
        for folder in partial:
            folder.mkdir(mode=0o700)
        # [1] a stopped signer's log is copied as it is; its verification says what is wrong
        if clinic.signer is not None and not clinic.signer.stopped:
            # A first turn that had much to follow leaves unsigned what was written meanwhile; the second has little.
            for _ in range(2):
                clinic.signer.flush()
        # [2] the events first
        _copy_log(clinic.paths.database, partial.events / DATABASE, progress)
        # [3] the keyring second: a key is durable there before an event needs it
        copy_keyring(clinic.paths.keyring, partial.keyring / KEYRING)
        # [4] what the copies hold is read from the copies
        deployment = clinic.service.streams.deployment_id
        write_file(partial.events / "FORMAT", f"{DATA_FORMAT}\n".encode())
        write_file(partial.events / "deployment", f"{deployment}\n".encode())
        own: dict[str, Any] = {"backup": backup, "made_at": made_at, "deployment": deployment}
        own["version"] = version("wellkept")
        with _copied(partial.events / DATABASE) as log, _copied(partial.keyring / KEYRING) as keys:
            _require_keys(log, keys)
            ((held,),) = keys.execute("SELECT count(*) FROM data_keys")
            told = _told(log)
        files = {name: facts_of(partial.keyring / name) for name in KEYRING_FILES}
        kept = KeyringManifest(format=KEYRING_FORMAT, keys=held, files=files, **own)
        seal_folder(partial.keyring, KEYRING_MANIFEST, kept)
        files = {name: facts_of(partial.events / name) for name in EVENT_FILES}
        manifest = Manifest(format=FORMAT, files=files, **told, **own)
        seal_folder(partial.events, MANIFEST, manifest)
        # [5] a crash between the two leaves a keyring in place and the rest called partial: the next run removes both
        for made, place in ((partial.keyring, places.keyring), (partial.events, places.events)):
            made.rename(place)
            sync_folder(place.parent)
    return {
        "backup": str(places.events),
        "keyring": str(places.keyring),
        "made_at": made_at,
        "fingerprint": manifest.fingerprint,
        "signed_size": manifest.checkpoint.size,
        "keys": kept.keys,
        "bytes": sum(facts.bytes for facts in manifest.files.values()),
        **{name: getattr(manifest, name) for name in ("entries", "events", "streams")},
    }


# --- the place


def _place(path: Path) -> Path:
    """Return where a folder really is; its last name need not be there yet."""
    return path.parent.resolve() / path.name


def _check(places: Places, paths: Paths) -> None:
    """Refuse a place that is taken, inside the clinic, or not apart; see `back_up`."""
    own = {paths.data.resolve(), paths.keys.resolve(), paths.keyring.resolve().parent}
    first, second = places
    if first == second or first in second.parents or second in first.parents:
        raise CommandFailed(Exit.USAGE, "the keyring goes apart: into a folder that is not that of the backup")
    for place in places:
        if not place.parent.is_dir():
            raise CommandFailed(Exit.USAGE, f"the folder {place.parent} is not there")
        if own & {place, *place.parents}:
            raise CommandFailed(Exit.USAGE, "a backup goes outside the clinic's data and key directories")
        if place.is_symlink() or place.is_mount():
            raise CommandFailed(Exit.USAGE, f"{place} is a link or a mount point: name a new folder")
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise CommandFailed(Exit.FAILED, f"{place} holds something already: name a new or empty folder")
    needed = sum(file.stat().st_size for file in (paths.database, paths.keyring)) + _SPARE_BYTES
    free = shutil.disk_usage(first.parent).free
    if free < needed:
        raise _no_room(needed, free)


def _clear(places: Places) -> list[str]:
    """Remove what a killed run for these places left, and return the names of what was removed.

    Raises:
        CommandFailed: something else is called so.
    """
    partial = places.partial
    leftovers = [folder for folder in partial if folder.exists() or folder.is_symlink()]
    begun = _id_in(partial.events / MANIFEST)
    if begun is not None and begun == _id_in(places.keyring / KEYRING_MANIFEST):
        # The run was killed between its two renames.
        leftovers.append(places.keyring)
    ours = {*EVENT_FILES, *KEYRING_FILES}
    ours |= {f"{name}{end}" for name in (MANIFEST, KEYRING_MANIFEST) for end in ("", ".sha256")}
    for folder in leftovers:
        if folder.is_symlink() or not folder.is_dir() or not ours >= {file.name for file in folder.iterdir()}:
            raise CommandFailed(Exit.FAILED, f"{folder} holds something that no backup of ours left: look at it")
    for folder in leftovers:
        shutil.rmtree(folder)
    return [str(folder) for folder in leftovers]


def _id_in(manifest: Path) -> UUID | None:
    """Return the id of the backup that a manifest is of, None where it is not there or cannot be read."""
    try:
        return msgspec.json.decode(manifest.read_bytes(), type=_Named).backup
    except (OSError, msgspec.MsgspecError):
        return None


class _Named(msgspec.Struct):
    backup: UUID


@contextmanager
def _written(places: Places, backup: UUID) -> Iterator[None]:
    """Say in words why a backup could not be written, and leave nothing of it behind."""
    try:
        yield
    except BaseException as error:
        for folder, name in zip(places, (MANIFEST, KEYRING_MANIFEST), strict=True):
            if _id_in(folder / name) == backup:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in places.partial:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, PermissionError):
            raise CommandFailed(
                Exit.KEY_OR_PERMISSION, "the place of the backup may not be written by whoever holds the clinic"
            ) from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_room() from error
        if isinstance(error, sqlite3.Error):
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise _no_room() from error
            raise CommandFailed(Exit.FAILED, "the copy could not be written: its place is full or failing") from error
        raise


def _no_room(needed: int | None = None, free: int | None = None) -> CommandFailed:
    numbers = "" if needed is None or free is None else f": {needed >> 20} MiB are needed and {free >> 20} are free"
    return CommandFailed(Exit.FAILED, f"there is no room for the backup at its place{numbers}; nothing of it was kept")


# --- the copies


def _copy_log(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a snapshot of a database in steps, durable when it returns."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with closing(_reading(source)) as reading, closing(sqlite3.connect(target, isolation_level=None)) as writing:
            # The file is thrown away unless all of it was written, so it needs no journal.
            writing.execute("PRAGMA journal_mode = OFF")
            writing.execute("PRAGMA synchronous = OFF")
            # The first reading takes the snapshot. While it is held, no change makes the copying begin anew.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            ((page_bytes,),) = reading.execute("PRAGMA page_size")
            began, synced = time.monotonic(), 0

            def rest(_: int, remaining: int, total: int) -> None:
                nonlocal began, synced
                done = total - remaining
                if (done - synced) * page_bytes >= SYNC_BYTES:
                    os.fdatasync(descriptor)
                    synced = done
                progress(done, total)
                time.sleep(REST * (time.monotonic() - began))
                began = time.monotonic()

            reading.backup(writing, pages=STEP_PAGES, progress=rest)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_keyring(source: Path, target: Path) -> None:
    """Copy the keyring in one step, durable when it returns; whoever makes a key waits for some milliseconds."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with closing(_reading(source)) as reading, closing(sqlite3.connect(target, isolation_level=None)) as writing:
            writing.execute("PRAGMA journal_mode = OFF")
            reading.backup(writing)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)


@contextmanager
def _copied(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy that nobody writes: nothing is made beside it."""
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        yield connection


def _require_keys(log: sqlite3.Connection, keys: sqlite3.Connection) -> None:
    """Hold the copied keyring to the copied log.

    Raises:
        KeyMissing: names the entry whose key is not there.
    """
    held = {key_id for (key_id,) in keys.execute("SELECT key_id FROM data_keys")}
    wanted: dict[bytes, int] = {}
    query = "SELECT idx, entry FROM ledger WHERE substr(entry, 8, 1) IN (x'03', x'04') ORDER BY idx"
    for index, raw in log.execute(query):
        entry = decode_entry(raw)
        if entry.kind is Kind.KEY_CREATED:
            wanted[entry.key_id] = index
        else:
            wanted.pop(entry.key_id, None)
    for key_id, index in wanted.items():
        if key_id not in held:
            lost = f"the key that entry {index} created is not in the keyring"
            raise KeyMissing(f"{lost}: it was lost, or is being erased just now; end that and back up again")


def _told(log: sqlite3.Connection) -> dict[str, Any]:
    """Return what the manifest tells of a copied log."""
    rows = {table: log.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608 - fixed names
    ((note,),) = log.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
    ((genesis,),) = log.execute("SELECT body FROM log_bodies WHERE idx = 0")
    ((streams,),) = log.execute("SELECT count(DISTINCT originator_id) FROM stored_events")
    stated = parse_signed_checkpoint(note)[0]
    return {
        "fingerprint": genesis_fingerprint(genesis),
        "checkpoint": SignedSize(note.decode(), stated.size, stated.root.hex()),
        "entries": rows["ledger"],
        "events": rows["stored_events"],
        "streams": streams,
        "rows": rows,
    }
