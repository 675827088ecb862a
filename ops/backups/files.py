"""The files of a backup: two folders, each with a manifest that names every file with its size and digest.

    DIR/records.db           log and views as they were at one moment; content is sealed
    DIR/FORMAT, deployment   as in the clinic's data directory
    DIR/backup.json          the manifest, and backup.json.sha256 as `sha256sum -c` reads it
    DIR.keys/keyring.db      wrapped keys; keyring.json and keyring.json.sha256 beside it

- A folder holds these files and nothing else: a journal laid beside a database would be taken for a part of it.
- A manifest names no paths: its names are the names above, or it is none.
- Digests find what broke or was altered by mistake. Who alters files on purpose alters the manifest too, and is found
  by the log's own verification (`ops.backups.verifying`).
- Every file and folder is synced before it is called written.

It holds no root key and nothing of the signer.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from ops.verify import VerificationError

FORMAT = "wellkept-backup/1"
KEYRING_FORMAT = "wellkept-keyring-backup/1"
PARTIAL = ".partial"
MANIFEST, KEYRING_MANIFEST = "backup.json", "keyring.json"
DATABASE, KEYRING = "records.db", "keyring.db"
EVENT_FILES = (DATABASE, "FORMAT", "deployment")
KEYRING_FILES = (KEYRING,)
TABLES = (
    "ledger",
    "stored_events",
    "log_bodies",
    "log_tiles",
    "checkpoints",
    "sealed_rows",
    "idempotency",
    "audit_index",
)
"""The tables whose rows are counted."""
_CHUNK_BYTES = 1 << 20
_MAX_MANIFEST_BYTES = 1 << 20
_SUM = re.compile(rb"([0-9a-f]{64})  ([a-z.]+)\n")


class AlteredBackup(VerificationError):
    """A file of a backup is missing, is not the one that was written, or is none of a backup's."""


class FileFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's size and its SHA-256 as 64 hex digits."""

    bytes: int
    sha256: str


class SignedSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint: the signed note, and what it states: size, and root as hex."""

    note: str
    size: int
    root: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backup says of itself.

    Attributes:
        format: `wellkept-backup/1`.
        backup: this backup's id, which its keyring's manifest names too.
        version: the version of Wellkept that made it.
        made_at: when, UTC.
        deployment: whose it is.
        fingerprint: of the log's genesis, 64 hex digits; its own word, to be compared with the one on the forms.
        checkpoint: the newest in the copy.
        entries: entries of the ledger.
        events: events and readings.
        streams: streams that they are in.
        rows: table → rows.
        files: file → its facts.
    """

    format: str
    backup: UUID
    version: str
    made_at: datetime
    deployment: UUID
    fingerprint: str
    checkpoint: SignedSize
    entries: int
    events: int
    streams: int
    rows: dict[str, int]
    files: dict[str, FileFacts]


class KeyringManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a copy of a keyring says of itself; `backup` is the one that it was made with, `keys` counts its keys."""

    format: str
    backup: UUID
    version: str
    made_at: datetime
    deployment: UUID
    keys: int
    files: dict[str, FileFacts]


_Kind = TypeVar("_Kind", Manifest, KeyringManifest)


def keyring_beside(folder: Path) -> Path:
    """Return where the keyring of a backup is by default."""
    return folder.with_name(folder.name + ".keys")


def is_backup(folder: Path) -> bool:
    """Whether a path is a folder that says that it is a backup, or one that did not end."""
    return folder.is_dir() and ((folder / MANIFEST).exists() or folder.name.endswith(PARTIAL))


def seal_folder(folder: Path, name: str, manifest: Manifest | KeyringManifest) -> None:
    """Write a folder's manifest and its digest, and sync the folder: from here on all of it is on disk."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_file(folder / name, data)
    write_file(folder / f"{name}.sha256", f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode())
    sync_folder(folder)


def read_events(folder: Path) -> Manifest:
    """Return the manifest of a backup whose every file is the one that was written. Cost: reads them all.

    Raises:
        AlteredBackup: names the file that is not.
    """
    return _read(folder, MANIFEST, Manifest, FORMAT, EVENT_FILES)


def read_keyring(folder: Path) -> KeyringManifest:
    """Return the manifest of a keyring's copy; see `read_events`."""
    return _read(folder, KEYRING_MANIFEST, KeyringManifest, KEYRING_FORMAT, KEYRING_FILES)


def _read(folder: Path, name: str, kind: type[_Kind], wanted: str, names: Collection[str]) -> _Kind:
    if folder.name.endswith(PARTIAL):
        raise AlteredBackup(f"{folder.name} is a backup that did not end.")
    _require_names(folder, {*names, name, f"{name}.sha256"})
    data, told = (_read_small(folder / each) for each in (name, f"{name}.sha256"))
    match = _SUM.fullmatch(told)
    if match is None or match[2] != name.encode() or match[1] != hashlib.sha256(data).hexdigest().encode():
        raise AlteredBackup(f"{name} is not the one that was written, or its digest is not.")
    try:
        manifest = msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise AlteredBackup(f"{name} cannot be read.") from error
    if manifest.format != wanted or manifest.files.keys() != set(names):
        raise AlteredBackup(f"{name} is of another format, or names other files than a backup has.")
    for each, facts in manifest.files.items():
        if (folder / each).stat().st_size != facts.bytes or facts_of(folder / each) != facts:
            raise AlteredBackup(f"{each} is not the one that was written.")
    return manifest


def _require_names(folder: Path, wanted: Collection[str]) -> None:
    found = {entry.name: entry for entry in os.scandir(folder)}
    for name in sorted(wanted):
        if name not in found or not found[name].is_file(follow_symlinks=False):
            raise AlteredBackup(f"{name} is missing.")
    for name in sorted(found.keys() - set(wanted)):
        raise AlteredBackup(f"{name!r} is none of a backup's files.")


def _read_small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_MANIFEST_BYTES)


def facts_of(path: Path) -> FileFacts:
    """Return size and digest of a file, read from end to end."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size, digest.hexdigest())


def copy_file(source: Path, target: Path, told: Callable[[int], None]) -> FileFacts:
    """Copy a file into a new one, 0600, durable when it returns; return the facts of what was copied.

    A crash half way leaves a part of the file.

    Args:
        source: a regular file; a link is refused.
        target: a new file.
        told: told the bytes that were copied.
    """
    digest, size = hashlib.sha256(), 0
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(reading, "rb") as file, os.fdopen(_create(target), "wb") as copy:
        assert stat.S_ISREG(os.fstat(reading).st_mode)
        while chunk := file.read(_CHUNK_BYTES):
            copy.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            told(size)
        copy.flush()
        os.fsync(copy.fileno())
    return FileFacts(size, digest.hexdigest())


def write_file(path: Path, data: bytes) -> FileFacts:
    """Write a new file, 0600, durable when it returns. A crash half way leaves a part of it."""
    with os.fdopen(_create(path), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return FileFacts(len(data), hashlib.sha256(data).hexdigest())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
