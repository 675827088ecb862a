"""Verifying a backup where it lies: its files, its log as a live clinic's, its keys, and its views. Nothing is changed.

Source: CRYPTO 3, 4 and 6; decision 42.

1. Every file is the one that was written (`ops.backups.files`), and both folders are of one clinic.
2. Every entry, ciphertext, body, checkpoint, tile and table, as `ops.live.verifying` does for a live clinic.
3. A checkpoint that was kept outside and is not newer must be a part of the log. A newer one, by the log's own key,
   tells what was written after the backup and is not in it.
4. With the root key at hand: every key that the log names opens. A keyring that is newer than the log is fine; one that
   lacks a key is a loss.
5. On request: every reading opens, and every view is the fold of its events.

A backup stands still, so what was not signed yet is judged by the time of its newest entry. The database is read as a
file that nobody writes, so that no journal is made beside it, and the keyring in a private copy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from ops.anchor import newest
from ops.backups.files import (
    DATABASE,
    KEYRING,
    AlteredBackup,
    KeyringManifest,
    Manifest,
    copy_file,
    read_events,
    read_keyring,
)
from ops.data_format import NotInitialised
from ops.keys.providers import open_provider_of
from ops.live.log import LiveLog, Tables, sqlite_tables
from ops.live.schema import check_schema
from ops.live.signer import own_fingerprint, signer_state
from ops.live.tables import check_tables
from ops.live.views import AlteredReading, check_keyring, compare_views
from ops.settings import Settings
from ops.verify import (
    EPOCH,
    Checkpoint,
    Genesis,
    Policy,
    Source,
    Verifier,
    WrongGenesis,
    parse_checkpoint,
    parse_epoch_body,
    parse_fingerprint,
    verify_log_key,
)
from ops.wiring import deployment_of, open_clinic
from records.checkpoint import signed_at
from records.errors import IntegrityFailure, KeyMissing, KeyProviderUnreachable
from records.key_provider import KeyFileProvider, KeyProvider
from records.keyring import Keyring
from records.ledger import KeyClass, from_microseconds

Progress = Callable[[int, int], None]
_NOTHING_KNOWN = Policy()


class Loss(msgspec.Struct, frozen=True):
    """What lies between a backup and the newest checkpoint that is known outside.

    Attributes:
        entries: how many entries were signed after the backup and are not in it.
        after: the time of the backup's newest entry.
        until: when the newest known checkpoint was signed, as it says.
        known_size: its size.
    """

    entries: int
    after: datetime
    until: datetime
    known_size: int

    def __str__(self) -> str:
        entries = "1 entry" if self.entries == 1 else f"{self.entries} entries"
        after, until = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (self.after, self.until))
        return f"{entries}, written after {after} and until {until} UTC"


class Backup(NamedTuple):
    """A backup whose files are those that were written; `keyring` is None where its folder is not at hand."""

    folder: Path
    manifest: Manifest
    keyring_folder: Path
    keyring: KeyringManifest | None


class Asked(NamedTuple):
    """What a backup is held to.

    Attributes:
        genesis: the fingerprint, where it is known from elsewhere.
        outside: checkpoints that were kept outside, as bytes.
        key_file: the root key file, None where keys are not to be opened.
        passphrase: of the key file.
        policy: witnesses and quorum; its other fields are set here.
        views: whether step 5 is taken.
        keeper: opens what keeps the root keys of a clinic, where that is not a key file.
    """

    genesis: str | None
    outside: Sequence[bytes]
    key_file: Path | None
    passphrase: bytes | None
    policy: Policy = _NOTHING_KNOWN
    views: bool = False
    keeper: Callable[[UUID], KeyProvider] | None = None

    @property
    def has_keys(self) -> bool:
        """Whether keys are to be opened."""
        return self.key_file is not None or self.keeper is not None

    def provider(self, deployment: UUID) -> KeyProvider:
        """Open what keeps the root keys.

        Raises:
            KeyMissing: they are not there.
        """
        if self.keeper is not None:
            return self.keeper(deployment)
        assert self.key_file is not None
        return KeyFileProvider(self.key_file, self.passphrase)


class Checked(NamedTuple):
    """A backup's log that was verified, and what is known to be newer than it."""

    verifier: Verifier
    loss: Loss | None


def asked_of(
    settings: Settings,
    key_file: Path,
    genesis: str | None,
    checkpoints: Sequence[Path],
    policy: Policy = _NOTHING_KNOWN,
) -> Asked:
    """Return what a backup is held to: what the caller knows, and the newest checkpoint of the anchor.

    Args:
        settings: the anchor, and the passphrase of the key file.
        key_file: the root key file; where there is none, no key is opened.
        genesis: the fingerprint as people write it.
        checkpoints: files with checkpoints that were kept outside.
        policy: see `Asked`.

    Raises:
        OSError: a checkpoint or the anchor cannot be read.
    """
    in_a_file = settings.key_provider == "file"
    outside = [path.read_bytes() for path in checkpoints]
    anchored = None if settings.anchor is None else newest(settings.anchor)
    if anchored is not None:
        outside.append(anchored.note)
    return Asked(
        None if genesis is None else parse_fingerprint(genesis),
        outside,
        key_file if in_a_file and key_file.exists() else None,
        settings.passphrase(),
        policy,
        keeper=None if in_a_file else partial(open_provider_of, settings),
    )


def read_backup(folder: Path, keyring_folder: Path) -> Backup:
    """Take step 1. Cost: reads every file.

    Raises:
        AlteredBackup: names the file that is not the one that was written, or says that the folders do not belong
            together.
    """
    manifest = read_events(folder)
    keyring = read_keyring(keyring_folder) if keyring_folder.is_dir() else None
    if keyring is not None and keyring.deployment != manifest.deployment:
        raise AlteredBackup("The keyring is another clinic's than the backup.")
    if (folder / "deployment").read_text("ascii").strip() != str(manifest.deployment):
        raise AlteredBackup("The backup is of another clinic than its manifest says.")
    return Backup(folder, manifest, keyring_folder, keyring)


def known_genesis(settings: Settings, backup: Backup) -> str | None:
    """Return the fingerprint that the signer of this machine's clinic vouches for, where the backup is of that clinic.

    Raises:
        VerificationError: the backup says that it is of that clinic, and its log does not begin as its signer's does.
    """
    try:
        if deployment_of(settings.data) != backup.manifest.deployment:
            return None
        state = signer_state(settings)
        with sqlite_tables(backup.folder / DATABASE, still=True) as tables:
            return own_fingerprint(state, LiveLog(tables))
    except (NotInitialised, KeyMissing):
        # There is no clinic here, or no signer: then nobody on this machine knows.
        return None


def check_backup(backup: Backup, asked: Asked, progress: Progress) -> Checked:
    """Take steps 2 to 5.

    Raises:
        VerificationError: what fails first.
        KeyMissing: no key of the keyring opens with this root key, or the root key is not there.
        NotStored: the database cannot be read.
    """
    with sqlite_tables(backup.folder / DATABASE, still=True) as tables:
        log = LiveLog(tables)
        # [2] the last entry says when the copy was made, as nobody can sign what came later
        last_us = _last_us(tables)
        notes = [parse_checkpoint(note, "A checkpoint from outside") for note in asked.outside]
        older = tuple(note for note in notes if note.size <= backup.manifest.entries)
        policy = asked.policy._replace(genesis=asked.genesis, outside=older, now=last_us // 1_000_000)
        verifier = Verifier(log, policy, lambda done: progress(done, backup.manifest.entries))
        verifier.run()
        events = sum(version for version, _, _ in verifier.heads.values())
        check_tables(tables, events=events, bodies=verifier.bodies, signed=verifier.signed_size, size=verifier.size)
        check_schema(tables)
        _check_manifest(backup, log, verifier)
        # [3] what is known to be newer
        loss = loss_of(log, asked.outside, verifier.size, last_us)
        # [4] the keys, and [5] the views
        if asked.has_keys and backup.keyring is not None:
            with _keys(backup) as keys:
                _check_keys(backup, asked, keys, verifier)
                if asked.views:
                    _check_views(backup, asked, keys, tables, verifier)
    return Checked(verifier, loss)


def _last_us(tables: Tables) -> int:
    found = tables.select("SELECT entry FROM ledger ORDER BY idx DESC LIMIT 1")
    entry = found[0][0] if found else b""
    # Where it is no entry, the verifier says so.
    return int.from_bytes(entry[8:16], "big") if isinstance(entry, bytes) else 0


def _check_manifest(backup: Backup, log: LiveLog, verifier: Verifier) -> None:
    stated = backup.manifest
    if stated.entries != verifier.size or stated.checkpoint.size != verifier.signed_size:
        raise AlteredBackup("The manifest tells of another log than the one in the backup.")
    if genesis_of(log).fingerprint != stated.fingerprint:
        raise AlteredBackup("The manifest names another genesis than the one in the backup.")


def genesis_of(log: Source) -> Genesis:
    """Return what the log's first entry says.

    Raises:
        WrongGenesis: it says nothing of the kind.
    """
    body = log.body(0)
    genesis = None if body is None else parse_epoch_body(body, EPOCH, 0).genesis
    if genesis is None:
        raise WrongGenesis("The log does not begin with its genesis.", 0)
    return genesis


def loss_of(log: Source, notes: Sequence[bytes], size: int, last_us: int) -> Loss | None:
    """Return what the newest of the checkpoints from outside tells to be missing, None where none is newer.

    Raises:
        VerificationError: one that is newer is not signed by the key of this log.
    """
    newest: tuple[Checkpoint, bytes] | None = None
    for note in notes:
        stated = parse_checkpoint(note, "A checkpoint from outside")
        if stated.size > size:
            # Its other keys are named by entries that are not here: the log's own key must do.
            verify_log_key(stated, genesis_of(log))
            if newest is None or stated.size > newest[0].size:
                newest = stated, note
    if newest is None:
        return None
    until = datetime.fromtimestamp(signed_at(newest[1]), UTC)
    return Loss(newest[0].size - size, from_microseconds(last_us), until, newest[0].size)


@contextmanager
def _keys(backup: Backup) -> Iterator[Path]:
    """Give a private folder with the keyring in it: opening one may write to it, and the backup is never written."""
    with tempfile.TemporaryDirectory(prefix="wellkept-keyring-") as folder:
        copy_file(backup.keyring_folder / KEYRING, Path(folder) / KEYRING, lambda _: None)
        yield Path(folder)


def _check_keys(backup: Backup, asked: Asked, keys: Path, verifier: Verifier) -> None:
    provider = asked.provider(backup.manifest.deployment)
    with closing(Keyring(keys / KEYRING, backup.manifest.deployment, provider, time.monotonic)) as keyring:
        held = list(keyring.held())
        if held and not any(_opens(keyring, one.key_id, one.scope, one.key_class) for one in held):
            raise KeyMissing(_NOTHING_OPENS)
        check_keyring(keyring, verifier)


_NOTHING_OPENS = (
    "no key of this keyring opens: the root key is another clinic's, or was turned since (each erasure turns it), and a"
    " newer copy of the keyring is needed"
)


def _opens(keyring: Keyring, key_id: bytes, scope: UUID, key_class: int) -> bool:
    try:
        keyring.by_id(key_id, scope, KeyClass(key_class))
    except KeyProviderUnreachable:
        # What does not answer now has said nothing of its keys.
        raise
    except KeyMissing:
        return False
    return True


def _check_views(backup: Backup, asked: Asked, keys: Path, tables: Tables, verifier: Verifier) -> None:
    with ExitStack() as stack:
        try:
            clinic = open_clinic(
                backup.folder,
                provider=asked.provider(backup.manifest.deployment),
                keys=keys,
                read_only=True,
                still=True,
            )
            stack.callback(clinic.abandon)
            compare_views(clinic, tables, verifier)
        except IntegrityFailure as error:
            raise AlteredReading(f"The clinic's own check says: {error}.", getattr(error, "index", None)) from error
