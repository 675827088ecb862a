"""What the signer keeps on its own disk: its keys, and how far it signed. Nothing of it is in any backup.

Source: CRYPTO 3 and 6. In `<data>.keys/signer/` (0700):

- `log.key`, `epoch-<n>.key`: seeds, wrapped by the key provider and bound to the clinic, their use and their number.
- `frontier`: the newest checkpoint that was signed, with the right edge. It is what the signer believes, whatever the
  database says.
- `snapshot`: the followed log at the last epoch, so that a start follows only what came after it.

Every file is written beside its place, synced and renamed: a crash leaves the old one or the new one, whole. A key is
destroyed by removing its file and syncing the directory; SSDs may keep a copy, which the key provider wraps.

The directory is locked while a key is wrapped, kept or removed, and the provider's generation is read within: so that a
turn of the provider by another process neither loses a key that is made meanwhile nor brings a destroyed one back.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from records.checkpoint import SEED_BYTES, EpochKeys, LogKey
from records.errors import KeyMissing, NotStored
from records.followed_log import Snapshot
from records.key_provider import KeyProvider
from records.payload import length_prefixed

_LOG = "log"
_Kept = TypeVar("_Kept", bound=msgspec.Struct)


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint that was signed: its size, root and right edge, and the epoch whose keys signed it."""

    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    epoch: int


class SignerState:
    """The signer's files. One process writes them: the one that leads the signing; any may rewrap the keys."""

    def __init__(self, folder: Path, deployment_id: UUID, provider: KeyProvider) -> None:
        self._folder = folder
        self._deployment = deployment_id
        self._provider = provider

    def create(self) -> None:
        """Make the directory; nothing happens where it is there."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._folder.chmod(0o700)

    # --- keys

    def keep_log_key(self, seed: bytes) -> None:
        """Wrap and keep the log key's seed, durable when it returns."""
        self._keep_secret(_LOG, seed)

    def log_key(self) -> LogKey:
        """Return the log key.

        Raises:
            KeyMissing: it is not there or does not open.
        """
        return LogKey(self._secret(_LOG, _size(_LOG)))

    def ensure_epoch(self, epoch: int) -> EpochKeys:
        """Return the keys of an epoch, made and durable if there were none.

        A key that is there is never made again: a leaf whose commit got no answer may name it.

        Raises:
            NotStored: they cannot be written.
            KeyMissing: they are there and do not open.
        """
        if epoch not in self.epochs():
            self._keep_secret(_epoch(epoch), os.urandom(2 * SEED_BYTES))
        return self.epoch_keys(epoch)

    def epoch_keys(self, epoch: int) -> EpochKeys:
        """Return the keys of an epoch.

        Raises:
            KeyMissing: they are not there or do not open.
        """
        seeds = self._secret(_epoch(epoch), 2 * SEED_BYTES)
        return EpochKeys(seeds[:SEED_BYTES], seeds[SEED_BYTES:])

    def epochs(self) -> list[int]:
        """Return the numbers of the epochs whose keys are here, in order."""
        return sorted(int(file.stem.removeprefix("epoch-")) for file in self._folder.glob("epoch-*.key"))

    def destroy_other_epochs(self, current: int) -> None:
        """Remove the keys of every epoch but one, durable when it returns."""
        with self._locked():
            gone = [epoch for epoch in self.epochs() if epoch != current]
            for epoch in gone:
                self._file(_epoch(epoch)).unlink(missing_ok=True)
            if gone:
                _sync(self._folder)

    def generations(self) -> list[int]:
        """Return the generation under which each key is wrapped, ascending; empty where there is no signer.

        Raises:
            KeyMissing: a key cannot be read.
        """
        with self._locked():
            return self._generations()

    def rewrap(self) -> int:
        """Wrap every key of an older generation under the provider's current one; return how many were.

        Each file is replaced by itself, durable: a crash leaves keys of both generations, each of which opens; called
        again it does the rest.

        Raises:
            KeyMissing: a key does not open, or the provider does not answer.
            NotStored: they cannot be written.
        """
        with self._locked():
            current = self._provider.generations()[-1]
            older = [name for name in self._names() if self._stored(name)[0] < current]
            for name in older:
                self._wrap(name, self._secret(name, _size(name)), current)
            return len(older)

    def check_opens(self) -> int:
        """Open every key from the disk; return how many there are.

        Raises:
            KeyMissing: one does not open.
        """
        with self._locked():
            names = self._names()
            for name in names:
                self._secret(name, _size(name))
            return len(names)

    @contextmanager
    def held_still(self) -> Iterator[int | None]:
        """Let no process write a key until the block ends; gives the oldest generation of a key, None for none.

        Raises:
            KeyMissing: a key cannot be read.
        """
        with self._locked():
            yield min(self._generations(), default=None)

    # --- how far it signed

    def position(self) -> Position:
        """Return the newest checkpoint that was signed.

        Raises:
            KeyMissing: the signer's own state is not there.
        """
        return self._read("frontier", Position)

    def keep_position(self, position: Position) -> None:
        """Keep it, durable when it returns."""
        self._replace(self._folder / "frontier", msgspec.msgpack.encode(position))

    def snapshot(self) -> Snapshot:
        """Return the followed log at the last epoch.

        Raises:
            KeyMissing: the signer's own state is not there.
        """
        return self._read("snapshot", Snapshot)

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Keep it, durable when it returns."""
        self._replace(self._folder / "snapshot", msgspec.msgpack.encode(snapshot))

    # --- files

    def _read(self, name: str, kind: type[_Kept]) -> _Kept:
        try:
            return msgspec.msgpack.decode((self._folder / name).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError) as error:
            raise KeyMissing("the signer's own state is not there; see docs/how-to/recover-the-signer.md") from error

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def _generations(self) -> list[int]:
        return sorted(self._stored(name)[0] for name in self._names())

    def _names(self) -> list[str]:
        kept = [_LOG] if self._file(_LOG).exists() else []
        return kept + [_epoch(epoch) for epoch in self.epochs()]

    def _keep_secret(self, name: str, secret: bytes) -> None:
        with self._locked():
            self._wrap(name, secret, self._provider.generations()[-1])

    def _wrap(self, name: str, secret: bytes, generation: int) -> None:
        wrapped = self._provider.wrap(self._context(name, generation), secret, generation)
        self._replace(self._file(name), generation.to_bytes(4, "big") + wrapped)

    def _secret(self, name: str, size: int) -> bytes:
        stored = self._stored(name)
        try:
            secret = self._opened(name, stored)
        except KeyMissing:
            # Another process may have rewrapped it between the reading of the file and that of the provider.
            again = self._stored(name)
            if again == stored:
                raise
            secret = self._opened(name, again)
        if len(secret) != size:
            raise KeyMissing("a key of the signer is of another length")
        return secret

    def _stored(self, name: str) -> tuple[int, bytes]:
        try:
            stored = self._file(name).read_bytes()
        except OSError as error:
            raise KeyMissing("a key of the signer is not there; see docs/how-to/recover-the-signer.md") from error
        return int.from_bytes(stored[:4], "big"), stored[4:]

    def _opened(self, name: str, stored: tuple[int, bytes]) -> bytes:
        generation, wrapped = stored
        return self._provider.unwrap(generation, self._context(name, generation), wrapped)

    def _context(self, name: str, generation: int) -> bytes:
        return (
            b"wellkept/signer-key/1"
            + length_prefixed(self._deployment.bytes)
            + length_prefixed(name.encode())
            + generation.to_bytes(4, "big")
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise NotStored("the signer's directory is not there") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _replace(self, path: Path, data: bytes) -> None:
        beside = path.with_name(path.name + ".new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync(self._folder)
        except OSError as error:
            raise NotStored("the signer's state cannot be written") from error


def _epoch(epoch: int) -> str:
    return f"epoch-{epoch}"


def _size(name: str) -> int:
    return SEED_BYTES if name == _LOG else 2 * SEED_BYTES


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
