"""Moving in: a whole clinic's file into a new place, as another installation's own clinic.

Source: decision 54; CRYPTO 3, 6 and 7; decisions 42 and 46.

1. The file is opened with its passphrase and verified, keys and all (`ops.moving.clinic_file`,
   `ops.moving.file_check`). Nothing was written until here but, wrapped, the keys, into a temporary folder.
2. The new clinic gets a root key of its own, by the provider that the settings name, and the keys are handed to it.
3. Its tables are made and filled, on the engine that the settings name, and verified as they then lie there.
4. FORMAT is written last: a crash before it leaves a directory that every command calls not initialised, and that the
   next move refuses as not empty. Remove it, and for PostgreSQL the database, and begin again.

From there on it is what any restored clinic is (`ops.backups.restore`): the signer's keys never travel, so that it
signs and serves nothing until the restore is declared with the recovery key. Erasures since are done again where
certificates tell of them.

It stops nothing at the place that the clinic left, and declares nothing.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ops.backups.files import copy_file, sync_folder, write_file
from ops.backups.restore import certified, check_place, nothing_half, write_origin
from ops.backups.verifying import Asked, Checked, Progress
from ops.data_format import FORMAT
from ops.exits import CommandFailed, Exit
from ops.keys.handover import hand_over
from ops.keys.providers import create_provider
from ops.live.log import LiveLog, Tables, open_tables
from ops.live.schema import check_schema
from ops.live.tables import check_tables
from ops.moving.clinic_file import About, Opened, open_file
from ops.moving.clinic_tables import fill_tables
from ops.moving.file_check import check_file
from ops.settings import Settings
from ops.verify import Policy, VerificationError, Verifier
from ops.wiring import Paths
from records.keyring import Keyring, Tombstone


class AlteredOnItsWay(VerificationError):
    """What lies in the tables is not what the file held."""


class MovedIn(NamedTuple):
    """A clinic that moved in: what its file said, what was verified, and how long all of it took."""

    about: About
    checked: Checked
    seconds: float

    @property
    def events_per_second(self) -> float:
        """How many events and readings moved in in a second."""
        return self.about.events / self.seconds


def move_in(
    settings: Settings,
    file: Path,
    passphrase: bytes,
    asked: Asked,
    progress: Progress,
    certificates: Path | None = None,
) -> MovedIn:
    """Verify a clinic's file and make a clinic of it where the settings say. Cost: reads the file three times.

    Args:
        settings: the new data directory, engine and key provider.
        file: the file.
        passphrase: what opens its keys.
        asked: what it is held to; of its keys nothing is asked for.
        progress: told entries verified, written, and verified as they were written.
        certificates: a folder with certificates of erasures, `*.json`: the keys that they name are deleted.

    Raises:
        CommandFailed: the place is taken, or the file is of a newer format; nothing was written.
        KeyMissing: the passphrase does not open it; nothing was written.
        VerificationError: it does not verify; nothing is left.
        FileExistsError, NotStored, KeyProviderUnreachable: the place of the log or of the keys cannot be taken.
    """
    began, paths = time.monotonic(), Paths(settings.data)
    _check_place(settings, paths, file)
    with tempfile.TemporaryDirectory(prefix="wellkept-moving-in-") as home:
        # [1] nothing is written before all of it is verified
        opened = open_file(file, passphrase, Path(home))
        checked = check_file(opened, asked, progress)
        stones = certified(certificates, opened.about.fingerprint)
        with nothing_half(paths, settings.key_file):
            _settle(settings, paths, opened, checked, stones, progress)
    return MovedIn(opened.about, checked, time.monotonic() - began)


def _check_place(settings: Settings, paths: Paths, file: Path) -> None:
    check_place(paths, file)
    key_file = settings.key_file or paths.key_file
    if settings.key_provider == "file" and key_file.exists():
        raise CommandFailed(
            Exit.FAILED, f"{key_file} is there already: a clinic that moves in gets a root key of its own"
        )


def _settle(
    settings: Settings, paths: Paths, opened: Opened, checked: Checked, stones: list[Tombstone], progress: Progress
) -> None:
    about = opened.about
    for folder in (paths.keys, paths.data):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    # [2] the keys
    copy_file(opened.keyring, paths.keyring, lambda _: None)
    provider = create_provider(settings, about.deployment)
    hand_over(paths.keyring, about.deployment, opened.provider, provider)
    if stones:
        with closing(Keyring(paths.keyring, about.deployment, provider, time.monotonic)) as keyring:
            keyring.bury(stones)
    sync_folder(paths.keys)
    # [3] the log
    fill_tables(opened.source, paths.database, settings.database_url, lambda done: progress(done, about.entries))
    with open_tables(settings) as tables:
        _check_written(tables, opened, checked, progress)
    write_file(paths.data / "deployment", f"{about.deployment}\n".encode())
    write_origin(paths, about.format, about.made_at, about.entries, checked.loss)
    sync_folder(paths.data)
    # [4] a crash before this line leaves a directory that is not initialised
    write_file(paths.data / "FORMAT", f"{FORMAT}\n".encode())
    for place in (paths.data, paths.data.parent):
        sync_folder(place)


def _check_written(tables: Tables, opened: Opened, checked: Checked, progress: Progress) -> None:
    """Hold the tables to the file: the log in them verifies by itself, and is the one that was verified before.

    Raises:
        VerificationError: it is not.
    """
    about, now = opened.about, opened.source.last_us() // 1_000_000
    policy = Policy(genesis=about.fingerprint, now=now)
    verifier = Verifier(LiveLog(tables), policy, lambda done: progress(done, about.entries))
    verifier.run()
    events = sum(version for version, _, _ in verifier.heads.values())
    check_tables(tables, events=events, bodies=verifier.bodies, signed=verifier.signed_size, size=verifier.size)
    check_schema(tables)
    if verifier.roots.get(about.entries) != checked.verifier.roots.get(about.entries, b""):
        raise AlteredOnItsWay("The log in the tables is not the one in the file.")
    for table, wanted in (("sealed_rows", about.sealed_rows), ("idempotency", about.requests)):
        ((rows,),) = tables.select(f"SELECT count(*) FROM {table}")  # noqa: S608 - fixed names
        if rows != wanted:
            raise AlteredOnItsWay(f"{table} holds {rows} rows; the file held {wanted}.")
