"""The root of all keys: a provider outside the data directory that wraps and unwraps data keys.

Source: CRYPTO 6; RFC 9106 (Argon2id).

- The keyring key of a generation lives only in the provider; nothing else ever sees it.
- The key file is 0600 and holds one key for each generation that is not destroyed, as JSON. With a passphrase each key
  is sealed under Argon2id of it; without one, whoever reads the file has the keys (said so by `doctor`).
- Wrapping is Cobblestone-256 with the context that the keyring gives.

It does not know clients, classes or versions (`records.keyring`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from records.errors import KeyMissing

ARGON2_MEMORY_KIB = 64 * 1024
ARGON2_ITERATIONS = 3
ARGON2_LANES = 4
"""RFC 9106 section 4, second recommended option."""
KEY_BYTES = 32


class KeyProvider(Protocol):
    """What holds the keyring keys. Later providers (Vault, PKCS#11) stand behind the same three names."""

    generation: int

    def wrap(self, context: bytes, secret: bytes) -> bytes:
        """Return `secret` wrapped under the current generation's key, bound to `context`."""

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
        """


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    generation: int
    keys: dict[int, bytes]
    salt: bytes | None = None


_FORMAT = "wellkept-key-file/1"


class KeyFileProvider:
    """Keyring keys in a file of their own, with an optional passphrase."""

    def __init__(self, path: Path, passphrase: bytes | None = None) -> None:
        """Read the key file.

        Raises:
            KeyMissing: there is no such file, it is not a key file, or the passphrase does not open it.
        """
        try:
            content = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
        except (OSError, msgspec.MsgspecError) as error:
            raise KeyMissing("the key file cannot be read") from error
        if content.format != _FORMAT or (content.salt is None) != (passphrase is None):
            raise KeyMissing("the key file is of another format, or needs its passphrase")
        self.generation = content.generation
        self.protected = content.salt is not None
        self._keys = {
            generation: _open_key(stored, content.salt, passphrase, generation)
            for generation, stored in content.keys.items()
        }
        if self.generation not in self._keys or any(len(key) != KEY_BYTES for key in self._keys.values()):
            raise KeyMissing("the key file holds no key of its generation, or one of another length")

    @staticmethod
    def create(path: Path, passphrase: bytes | None = None) -> None:
        """Write a new key file with one key, durable before it returns.

        A crash here leaves no file or the whole one: it is written beside and linked into place.

        Raises:
            FileExistsError: there is a key file already.
        """
        salt = os.urandom(16) if passphrase is not None else None
        key = _seal_key(os.urandom(KEY_BYTES), salt, passphrase, 1)
        content = _KeyFile(_FORMAT, 1, {1: key}, salt)
        beside = path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
        beside.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def __repr__(self) -> str:
        return f"KeyFileProvider(generation={self.generation})"

    def wrap(self, context: bytes, secret: bytes) -> bytes:
        """Return `secret` wrapped under the current generation's key, bound to `context`."""
        encryptor = Cobblestone256Encryptor(self._keys[self.generation], context)
        return encryptor.update(secret) + encryptor.finalize()

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
        """
        key = self._keys.get(generation)
        if key is None:
            raise KeyMissing("no keyring key of that generation")
        return _unwrap(key, context, wrapped)


def _unwrap(key: bytes, context: bytes, wrapped: bytes) -> bytes:
    try:
        decryptor = Cobblestone256Decryptor(key, context)
        return decryptor.update(wrapped) + decryptor.finalize()
    except (InvalidTag, ValueError) as error:
        raise KeyMissing("a wrapped key does not open") from error


def _passphrase_key(salt: bytes, passphrase: bytes) -> bytes:
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=ARGON2_ITERATIONS,
        lanes=ARGON2_LANES,
        memory_cost=ARGON2_MEMORY_KIB,
    ).derive(passphrase)


def _key_context(generation: int) -> bytes:
    return b"wellkept/key-file/1" + generation.to_bytes(4, "big")


def _seal_key(key: bytes, salt: bytes | None, passphrase: bytes | None, generation: int) -> bytes:
    if salt is None or passphrase is None:
        return key
    encryptor = Cobblestone256Encryptor(_passphrase_key(salt, passphrase), _key_context(generation))
    return encryptor.update(key) + encryptor.finalize()


def _open_key(stored: bytes, salt: bytes | None, passphrase: bytes | None, generation: int) -> bytes:
    if salt is None or passphrase is None:
        return stored
    return _unwrap(_passphrase_key(salt, passphrase), _key_context(generation), stored)
