"""The root of all keys: a provider outside the data directory that wraps and unwraps data keys.

Source: CRYPTO 6; RFC 9106 (Argon2id).

- The keyring key of a generation lives only in the provider; nothing else ever sees it.
- The key file is 0600 and holds one key for each generation that is not destroyed, as JSON. With a passphrase each key
  is sealed under Argon2id of it; without one, whoever reads the file has the keys (said so by `doctor`).
- Wrapping is Cobblestone-256 with the context that the keyring gives.
- The file is never altered in place: a new one is written beside, synced and renamed over it. So a crash leaves the old
  file or the new one, whole, and whoever reads it meanwhile reads one of them.
- Several processes may turn and read the same file. What one of them turned, the others see at the next use.

It does not know clients, classes or versions (`records.keyring`), nor when a generation may be destroyed
(`records.generations`). It cannot make a disk forget: a journalling file system, a snapshot or the wear levelling of an
SSD may keep the blocks of a file that was replaced, and Python keeps bytes in memory until it reuses the place.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from records.errors import KeyMissing, KeyProviderUnreachable, NotStored

ARGON2_MEMORY_KIB = 64 * 1024
ARGON2_ITERATIONS = 3
ARGON2_LANES = 4
"""RFC 9106 section 4, second recommended option."""
KEY_BYTES = 32


class KeyProvider(Protocol):
    """What holds the keyring keys. Later providers (Vault, PKCS#11) stand behind the same names.

    Where one does not answer, every method raises `KeyProviderUnreachable`; nothing is ever stored unwrapped instead.
    """

    generation: int
    """The current generation, as this process last read it."""

    def generations(self) -> tuple[int, ...]:
        """Read anew which generations there are, ascending; the last is the current one."""

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        """Return `secret` wrapped under a generation's key, by default the current one's, bound to `context`.

        Raises:
            KeyMissing: no key of that generation.
        """

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
        """

    def begin_generation(self) -> int:
        """Make a new random key the current one, durable before its number is returned; the others stay.

        Raises:
            NotStored: the key cannot be kept; nothing has changed.
        """

    def destroy_generations_below(self, generation: int) -> None:
        """Destroy every older key, durable when it returns; nothing happens where there is none.

        Raises:
            NotStored: the keys are still there.
        """


class _Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keyring this key file serves; `file` is its own place, since a copy of it serves nobody yet."""

    file: str
    keyring: str


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    generation: int
    keys: dict[int, bytes]
    salt: bytes | None = None
    claim: _Claim | None = None


_FORMAT = "wellkept-key-file/1"


class KeyFileProvider:
    """Keyring keys in a file of their own, with an optional passphrase. Safe to share between threads and processes."""

    def __init__(self, path: Path, passphrase: bytes | None = None) -> None:
        """Read the key file. The passphrase is derived here, once, and not kept.

        Raises:
            KeyMissing: there is no such file, it is not a key file, or the passphrase does not open it.
        """
        self._path, self._name = path, str(path)
        self._reading = threading.Lock()
        try:
            content, stamp = _read(path)
        except OSError as error:
            raise KeyMissing("the key file cannot be read") from error
        if (content.salt is None) != (passphrase is None):
            raise KeyMissing("the key file is of another format, or needs its passphrase")
        self.protected = content.salt is not None
        self._salt = content.salt
        self._sealing = _sealing_key(content.salt, passphrase)
        self._keys: dict[int, bytes] = {}
        self.generation = content.generation
        self._take(content, stamp)

    @staticmethod
    def create(path: Path, passphrase: bytes | None = None) -> None:
        """Write a new key file with one key, durable before it returns.

        A crash here leaves no file or the whole one: it is written beside and linked into place.

        Raises:
            FileExistsError: there is a key file already.
        """
        salt = os.urandom(16) if passphrase is not None else None
        key = _seal_key(os.urandom(KEY_BYTES), _sealing_key(salt, passphrase), 1)
        beside = _write_beside(path, _KeyFile(_FORMAT, 1, {1: key}, salt))
        os.link(beside, path)
        beside.unlink()
        _sync_folder(path)

    def __repr__(self) -> str:
        return f"KeyFileProvider(generation={self.generation})"

    def generations(self) -> tuple[int, ...]:
        """Read the file anew and return the generations that it holds, ascending; the last is the current one.

        Raises:
            KeyProviderUnreachable: the file is not there now.
            KeyMissing: it is another file, or none.
        """
        return tuple(sorted(self._read_again().keys))

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        """Return `secret` wrapped under a generation's key, by default the current one's, bound to `context`.

        Raises:
            KeyMissing: no key of that generation.
            KeyProviderUnreachable: the generation is not known here, and the file is not there now.
        """
        encryptor = Cobblestone256Encryptor(self._key(generation or self.generation), context)
        return encryptor.update(secret) + encryptor.finalize()

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
            KeyProviderUnreachable: the generation is not known here, and the file is not there now.
        """
        # A file that was turned is read, so that a destroyed key leaves this process's memory with the next use of
        # another; one that is out of reach takes nothing from what was opened.
        stamp = _stamp(self._name)
        if stamp is not None and stamp != self._stamp:
            self._read_again()
        return _unwrap(self._key(generation), context, wrapped)

    def begin_generation(self) -> int:
        """Make a new random key the current one, durable before its number is returned; the others stay.

        A crash leaves the file as it was, or with a generation more that nothing uses yet.

        Raises:
            NotStored: the file cannot be written; nothing has changed.
        """
        with self._alone():
            content = self._read_again()
            generation = content.generation + 1
            content.keys[generation] = _seal_key(os.urandom(KEY_BYTES), self._sealing, generation)
            content.generation = generation
            self._replace(content)
        return generation

    def destroy_generations_below(self, generation: int) -> None:
        """Destroy every older key, durable when it returns; nothing happens where there is none.

        A crash leaves the file with all of them or with none. See the module for what a disk may keep.

        Raises:
            ValueError: that would destroy the current generation.
            NotStored: the file cannot be written; the keys are still there.
        """
        with self._alone():
            content = self._read_again()
            if generation > content.generation:
                raise ValueError("the current generation is never destroyed")
            kept = {number: key for number, key in content.keys.items() if number >= generation}
            if len(kept) < len(content.keys):
                content.keys = kept
                self._replace(content)

    def claim(self, keyring: Path) -> None:
        """Take the file for one keyring. Two that share a file would lose their keys by each other's erasures.

        The keyring that had it before may be gone: a clinic can be moved. A copy of the file is nobody's.

        Raises:
            KeyMissing: it serves another keyring, which is still there.
            NotStored: the file cannot be written, so nothing in it can be destroyed from here either.
        """
        wanted = _Claim(str(self._path.resolve()), str(keyring.resolve()))
        with self._alone():
            content = self._read_again()
            had = content.claim
            if had == wanted:
                return
            if had is not None and had.file == wanted.file and Path(had.keyring).exists():
                raise KeyMissing(f"the key file serves the keyring {had.keyring}: give this clinic a copy of its own")
            content.claim = wanted
            self._replace(content)

    def _key(self, generation: int) -> bytes:
        if generation not in self._keys:
            self._read_again()
        try:
            return self._keys[generation]
        except KeyError:
            raise KeyMissing("no keyring key of that generation") from None

    def _read_again(self) -> _KeyFile:
        with self._reading:
            try:
                content, stamp = _read(self._path)
            except OSError as error:
                raise KeyProviderUnreachable("the key file is not there now") from error
            self._take(content, stamp)
            return content

    def _take(self, content: _KeyFile, stamp: _Stamp) -> None:
        if content.salt != self._salt:
            raise KeyMissing("the key file was replaced by one of another passphrase")
        keys = {number: _open_key(stored, self._sealing, number) for number, stored in content.keys.items()}
        if content.generation != max(keys, default=None) or any(len(key) != KEY_BYTES for key in keys.values()):
            raise KeyMissing("the key file holds no key of its generation, or one of another length")
        if any(self._keys.get(number, key) != key for number, key in keys.items()):
            # What was sealed under it would be lost with the right file's return.
            raise KeyMissing("the key file was replaced by another one")
        self._keys, self.generation, self._stamp = keys, content.generation, stamp

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from replacing the file; the folder is locked, since the file itself is replaced."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY)
        except OSError as error:
            raise KeyProviderUnreachable("the folder of the key file is not there now") from error
        try:
            _lock(folder)
            yield
        finally:
            os.close(folder)

    def _replace(self, content: _KeyFile) -> None:
        try:
            owner = self._path.stat()
            beside = _write_beside(self._path, content, (owner.st_uid, owner.st_gid))
            # A crash before this leaves the old file, and one beside that the next replacement overwrites.
            beside.replace(self._path)
            # A crash before this may bring the old file back: whoever asked was not told that it is done.
            _sync_folder(self._path)
        except OSError as error:
            raise NotStored("the key file cannot be written") from error
        self._read_again()


def _lock(folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError as error:
        raise NotStored("the folder of the key file cannot be locked") from error


_Stamp = tuple[int, int, int]


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - each key that is opened asks for it, and a Path costs three times as much
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> tuple[_KeyFile, _Stamp]:
    """Return the key file and its stamp; an OSError says that it is out of reach."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        try:
            content = msgspec.json.decode(file.read(), type=_KeyFile)
        except msgspec.MsgspecError as error:
            raise KeyMissing("the key file cannot be read") from error
    if content.format != _FORMAT:
        raise KeyMissing("the key file is of another format, or needs its passphrase")
    return content, (found.st_mtime_ns, found.st_ino, found.st_size)


def _write_beside(path: Path, content: _KeyFile, owner: tuple[int, int] | None = None) -> Path:
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if owner is not None and owner != (os.geteuid(), os.getegid()):
            # What root turns, the service's own user must read afterwards.
            os.fchown(file.fileno(), *owner)
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    return beside


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _unwrap(key: bytes, context: bytes, wrapped: bytes) -> bytes:
    try:
        decryptor = Cobblestone256Decryptor(key, context)
        return decryptor.update(wrapped) + decryptor.finalize()
    except (InvalidTag, ValueError) as error:
        raise KeyMissing("a wrapped key does not open") from error


def _sealing_key(salt: bytes | None, passphrase: bytes | None) -> bytes | None:
    """Return the key that seals the keys in the file, or None where there is no passphrase. Takes about 0.1 s."""
    if salt is None or passphrase is None:
        return None
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=ARGON2_ITERATIONS,
        lanes=ARGON2_LANES,
        memory_cost=ARGON2_MEMORY_KIB,
    ).derive(passphrase)


def _key_context(generation: int) -> bytes:
    return b"wellkept/key-file/1" + generation.to_bytes(4, "big")


def _seal_key(key: bytes, sealing: bytes | None, generation: int) -> bytes:
    if sealing is None:
        return key
    encryptor = Cobblestone256Encryptor(sealing, _key_context(generation))
    return encryptor.update(key) + encryptor.finalize()


def _open_key(stored: bytes, sealing: bytes | None, generation: int) -> bytes:
    return stored if sealing is None else _unwrap(sealing, _key_context(generation), stored)
