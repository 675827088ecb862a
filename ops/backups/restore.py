"""Restoring a backup into a new place, or into a temporary one to see that it can be done.

Source: CRYPTO 3, 6 and 7; decision 42.

- The backup is verified first (`ops.backups.verifying`), with its keys; what does not verify is not restored.
- It goes into a new or empty directory only, and its keys into `<data>.keys/`, which may hold the root key already.
- It gets a copy of the root key file, since two clinics that shared one would lose their keys by each other's erasures.
- Erasures since the backup are done again: the keyring's tombstones tell of them, and certificates where the keyring is
  as old as the backup. The log is made to say so at the first start (`records.erasing`).
- FORMAT is written last: a crash before it leaves a directory that every command calls not initialised, and that the
  next restore refuses as not empty. Remove it and begin again.
- The signer's keys are in no backup, so the restored clinic signs and serves nothing until the restore is declared with
  the recovery key (`ops.backups.declaring`). `restored.json` keeps the size of the newest checkpoint that was known
  outside, so that the declaration says what was lost, whoever makes it.
- A drill restores, folds every view and counts every table in a temporary directory, which is removed at its end.

It declares nothing and starts nothing.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from ops.backups.files import DATABASE, KEYRING, TABLES, AlteredBackup, FileFacts, copy_file, sync_folder, write_file
from ops.backups.verifying import Asked, Backup, Checked, Loss, Progress, check_backup, read_backup
from ops.data_format import FORMAT, FORMATS, format_of, refuse_unknown
from ops.exits import CommandFailed, Exit
from ops.live.log import open_tables
from ops.live.views import check_views
from ops.settings import Settings
from ops.verifier.erasure_check import check_certificate
from ops.wiring import Paths
from records.keyring import Keyring, Tombstone

RESTORED = "restored.json"
RESTORED_FORMAT = "wellkept-restored/1"
_SPARE_BYTES = 16 << 20


class RestoredFrom(msgspec.Struct, frozen=True, kw_only=True):
    """What a restored directory says of where it is from; it decides nothing but the least size that is declared."""

    format: str
    backup: str
    made_at: datetime
    restored_at: datetime
    size: int
    known_size: int


class Restored(NamedTuple):
    """A restored clinic: what was verified, and how long reading, verifying and copying took."""

    backup: Backup
    checked: Checked
    seconds: float

    @property
    def events_per_second(self) -> float:
        """How many events and readings were restored in a second."""
        return self.backup.manifest.events / self.seconds


def known_size(data: Path) -> int:
    """Return the size that was known outside when this directory was restored, 0 where it was not restored."""
    try:
        return msgspec.json.decode((data / RESTORED).read_bytes(), type=RestoredFrom).known_size
    except FileNotFoundError:
        return 0


def restore(
    folder: Path, keyring_folder: Path, to: Path, asked: Asked, progress: Progress, certificates: Path | None = None
) -> Restored:
    """Verify a backup and restore it into a new place, durable when it returns.

    Args:
        folder: the backup.
        keyring_folder: the copy of its keyring, or of a newer one.
        to: the data directory to make.
        asked: what the backup is held to; its root key file must be named.
        progress: told entries verified, then bytes copied.
        certificates: a folder with certificates of erasures, `*.json`: the keys that they name are deleted.

    Raises:
        CommandFailed: the place is taken or has no room, or the keys are not at hand.
        VerificationError: the backup does not verify; nothing was written.
        KeyMissing: the root key does not open the keyring; nothing was written.
    """
    began, paths = time.monotonic(), Paths(to)
    check_place(paths, folder)
    if not asked.has_keys:
        raise CommandFailed(
            Exit.KEY_OR_PERMISSION,
            f"the root key is in no backup: put it at {paths.key_file}, or name it by WELLKEPT_KEY_FILE",
        )
    if (found := format_of(folder)) not in FORMATS:
        refuse_unknown(found)
    if certificates is not None and found != FORMAT:
        raise CommandFailed(Exit.FAILED, f"certificates are applied to a backup of the format {FORMAT} only")
    backup = read_backup(folder, keyring_folder)
    if backup.keyring is None:
        raise CommandFailed(
            Exit.KEY_OR_PERMISSION, f"the keyring's copy is not at {keyring_folder}: name it by --keyring"
        )
    _check_room(paths, backup)
    checked = check_backup(backup, asked, progress)
    stones = certified(certificates, backup.manifest.fingerprint)
    with nothing_half(paths):
        _write(backup, checked.loss, paths, progress)
        _give_root_key(asked, paths)
        if stones:
            with closing(_keyring(backup, asked, paths)) as keyring:
                keyring.bury(stones)
        # A crash before this line leaves a directory that is not initialised.
        # It is the backup's own: an older one is upgraded afterwards, as the clinic itself would have been.
        _copy(folder / "FORMAT", paths.data / "FORMAT", backup.manifest.files["FORMAT"], lambda _: None)
        for place in (paths.data, paths.data.parent):
            sync_folder(place)
    return Restored(backup, checked, time.monotonic() - began)


def _write(backup: Backup, loss: Loss | None, paths: Paths, progress: Progress) -> None:
    for folder in (paths.keys, paths.data):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    assert backup.keyring is not None
    files, size = backup.manifest.files, backup.manifest.files[DATABASE].bytes
    _copy(backup.keyring_folder / KEYRING, paths.keyring, backup.keyring.files[KEYRING], lambda _: None)
    sync_folder(paths.keys)
    _copy(backup.folder / DATABASE, paths.database, files[DATABASE], lambda done: progress(done, size))
    _copy(backup.folder / "deployment", paths.data / "deployment", files["deployment"], lambda _: None)
    told = backup.manifest
    write_origin(paths, str(told.backup), told.made_at, told.entries, loss)
    sync_folder(paths.data)


def write_origin(paths: Paths, origin: str, made_at: datetime, size: int, loss: Loss | None) -> None:
    """Write `restored.json`, durable: from which backup or file, of when and how large, and what is known outside."""
    known = size if loss is None else loss.known_size
    told = RestoredFrom(
        format=RESTORED_FORMAT,
        backup=origin,
        made_at=made_at,
        restored_at=datetime.now(UTC),
        size=size,
        known_size=known,
    )
    write_file(paths.data / RESTORED, msgspec.json.encode(told) + b"\n")


def _give_root_key(asked: Asked, paths: Paths) -> None:
    """Give the restored clinic a root key file of its own: two clinics never share one. Another keeper is shared."""
    if asked.key_file is not None and not paths.key_file.exists():
        copy_file(asked.key_file.resolve(), paths.key_file, lambda _: None)
        sync_folder(paths.keys)


def _keyring(backup: Backup, asked: Asked, paths: Paths) -> Keyring:
    own = asked if asked.key_file is None else asked._replace(key_file=paths.key_file)
    provider = own.provider(backup.manifest.deployment)
    return Keyring(paths.keyring, backup.manifest.deployment, provider, time.monotonic)


def certified(folder: Path | None, fingerprint: str) -> list[Tombstone]:
    """Return a tombstone for each key that a certificate of this log says was destroyed.

    Raises:
        VerificationError: a file is no certificate, does not hold, or is of another log.
    """
    found: list[Tombstone] = []
    for file in [] if folder is None else sorted(folder.glob("*.json")):
        proved = check_certificate(file.read_bytes(), fingerprint)
        found += [
            Tombstone(key.key_id, proved.client, key.key_class, 1, proved.erasure, key.destroyed_us)
            for key in proved.keys
        ]
    return found


def _copy(source: Path, target: Path, facts: FileFacts, told: Callable[[int], None]) -> None:
    """Copy a file, which must still be the one that was verified."""
    if copy_file(source, target, told) != facts:
        raise AlteredBackup(f"{source.name} changed while it was restored.")


# --- the place


def check_place(paths: Paths, folder: Path) -> None:
    """Refuse a place that holds something already, or is inside what it is made from.

    Raises:
        CommandFailed: says which.
    """
    data, source = paths.data.absolute(), folder.resolve()
    if not data.parent.is_dir():
        raise CommandFailed(Exit.USAGE, f"the folder {data.parent} is not there")
    if source in (data.resolve(), *data.resolve().parents):
        raise CommandFailed(Exit.USAGE, "a backup is restored outside its own folder")
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise CommandFailed(Exit.FAILED, f"{data} holds something already: a backup goes into a new or empty place")
    keys = paths.keys
    if keys.exists() and (not keys.is_dir() or {file.name for file in keys.iterdir()} - {paths.key_file.name}):
        raise CommandFailed(Exit.FAILED, f"{keys} holds more than a root key: keys go into a new or empty place")


def _check_room(paths: Paths, backup: Backup) -> None:
    needed = backup.manifest.files[DATABASE].bytes + _SPARE_BYTES
    free = shutil.disk_usage(paths.data.absolute().parent).free
    if free < needed:
        numbers = f"{needed >> 20} MiB are needed and {free >> 20} are free"
        raise CommandFailed(Exit.FAILED, f"there is no room to restore into: {numbers}; nothing was written")


@contextmanager
def nothing_half(paths: Paths, key_file: Path | None = None) -> Iterator[None]:
    """Leave nothing behind where it could not be written; what was there before stays.

    `key_file` is the root key's where it is not in its usual place.
    """
    root_key = key_file or paths.key_file
    had_root_key = root_key.exists()
    try:
        yield
    except BaseException as error:
        for file in (paths.data / "FORMAT", paths.data / RESTORED, paths.data / "deployment"):
            file.unlink(missing_ok=True)
        for database in (paths.database, paths.keyring):
            for end in ("", "-journal", "-wal", "-shm"):
                database.with_name(database.name + end).unlink(missing_ok=True)
        if not had_root_key:
            root_key.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CommandFailed(Exit.FAILED, "there is no room to restore into; nothing was kept") from error
        raise


# --- the drill


class Drilled(NamedTuple):
    """A drill that went well: what was restored, and how long folding the views took."""

    restored: Restored
    views_seconds: float


def drill(
    settings: Settings, folder: Path, keyring_folder: Path, within: Path | None, asked: Asked, progress: Progress
) -> Drilled:
    """Restore a backup into a temporary directory, compare every view with its events and every table with its count.

    The directory is removed at the end, also after a failure; a kill leaves one called `wellkept-drill-…`, 0700. The
    live clinic gives its root key, and is not touched.

    Args:
        settings: whose passphrase opens the root key.
        folder: the backup.
        keyring_folder: the copy of its keyring.
        within: where the temporary directory is made; where TMPDIR says by default.
        asked: see `restore`.
        progress: see `restore`.

    Raises:
        AlteredBackup: a table holds more or fewer rows than were counted when the backup was made.
        CommandFailed, VerificationError, KeyMissing: see `restore`, and `ops.live.views.check_views`.
    """
    with tempfile.TemporaryDirectory(prefix="wellkept-drill-", dir=within) as home:
        restored = restore(folder, keyring_folder, Path(home) / "clinic", asked, progress)
        began = time.monotonic()
        own = msgspec.structs.replace(
            settings,
            data=Path(home) / "clinic",
            database_url=None,
            anchor=None,
            key_file=None,
        )
        with open_tables(own) as tables:
            check_views(own, tables, restored.checked.verifier)
            for table in TABLES:
                ((rows,),) = tables.select(f"SELECT count(*) FROM {table}")  # noqa: S608 - fixed names
                counted = restored.backup.manifest.rows.get(table)
                if rows != counted:
                    raise AlteredBackup(f"{table} holds {rows} rows; {counted} were counted when it was backed up.")
        return Drilled(restored, time.monotonic() - began)
