"""What the signer keeps on its own disk: its keys, and how far it signed. Nothing of it is in any backup.

Source: CRYPTO 3 and 6. In `<data>.keys/signer/` (0700):

- `log.key`, `epoch-<n>.key`: seeds, wrapped by the key provider and bound to the clinic, their use and their number.
- `frontier`: the newest checkpoint that was signed, with the right edge. It is what the signer believes, whatever the
  database says.
- `snapshot`: the followed log at the last epoch, so that a start follows only what came after it.

Every file is written beside its place, synced and renamed: a crash leaves the old one or the new one, whole. A key is
destroyed by removing its file and syncing the directory; SSDs may keep a copy, which the key provider wraps.
"""

from __future__ import annotations

import os
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
    """The signer's files. One process at a time writes them: the one that leads the signing."""

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
        return LogKey(self._secret(_LOG, SEED_BYTES))

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
        gone = [epoch for epoch in self.epochs() if epoch != current]
        for epoch in gone:
            self._file(_epoch(epoch)).unlink(missing_ok=True)
        if gone:
            _sync(self._folder)

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

    def _keep_secret(self, name: str, secret: bytes) -> None:
        generation = self._provider.generation
        wrapped = self._provider.wrap(self._context(name, generation), secret)
        self._replace(self._file(name), generation.to_bytes(4, "big") + wrapped)

    def _secret(self, name: str, size: int) -> bytes:
        try:
            stored = self._file(name).read_bytes()
        except OSError as error:
            raise KeyMissing("a key of the signer is not there; see docs/how-to/recover-the-signer.md") from error
        generation = int.from_bytes(stored[:4], "big")
        secret = self._provider.unwrap(generation, self._context(name, generation), stored[4:])
        if len(secret) != size:
            raise KeyMissing("a key of the signer is of another length")
        return secret

    def _context(self, name: str, generation: int) -> bytes:
        return (
            b"wellkept/signer-key/1"
            + length_prefixed(self._deployment.bytes)
            + length_prefixed(name.encode())
            + generation.to_bytes(4, "big")
        )

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


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
