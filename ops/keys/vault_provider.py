"""A key provider that keeps the keyring keys in Vault's transit engine: they are made there and never leave.

Source: CRYPTO 6; the transit API of HashiCorp Vault and OpenBao; decision 46.

- A generation is a version of one transit key. Beginning one rotates the key; destroying those below g raises what may
  be used to g and then trims, after which the server itself has them no more.
- The key is of type aes256-gcm96 and *derived*: the server makes the key of each wrapping from the version's key and
  the context that the keyring gives. A derived key takes no question without a context, so that no older server loses
  the binding by not knowing a field; a key of another kind is refused.
- What is wrapped begins with `vault:v<generation>:`, and is opened only as of that generation.
- A version is named once it is known to be stored. Of two writes at once OpenBao may refuse one after it took it into
  its memory: it then names, and wraps under, a version that is gone with its next restart. Each write stores the whole
  key as it is in memory, so one that succeeded after a version was read has stored that version.
- Versions are remembered by the time at which the server made them: a key that was deleted and made anew under the same
  name is another one, and is refused.

It makes no policy and renews no token (docs/how-to/keep-keys-in-vault-or-an-hsm.md), and cannot see backups of the
server's own storage, which hold destroyed versions as long as they are kept.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from http import HTTPStatus
from typing import TypeVar

import msgspec

from ops.keys.vault_http import Answer, TokenRefused, VaultServer
from records.errors import KeyMissing, KeyProviderUnreachable, NotStored

KEY_TYPE = "aes256-gcm96"
STORE_TRIES = 3
"""Another process may destroy more between the reading and the writing; a second time would be strange already."""


class _Key(msgspec.Struct):
    """What the server says of a transit key; the times are seconds since 1970."""

    type: str
    derived: bool
    exportable: bool
    allow_plaintext_backup: bool
    keys: dict[int, int]
    latest_version: int
    min_available_version: int
    min_decryption_version: int
    min_encryption_version: int


class _Ciphertext(msgspec.Struct):
    ciphertext: str


class _Plaintext(msgspec.Struct):
    plaintext: str


_Read = TypeVar("_Read", _Key, _Ciphertext, _Plaintext)


class VaultProvider:
    """Keyring keys in a transit key. Safe to share between threads and processes; a call is a few questions at most."""

    generation: int

    def __init__(self, server: VaultServer, mount: str, key: str) -> None:
        """Open it.

        Raises:
            KeyMissing: there is no such key, or one of another kind.
            KeyProviderUnreachable: the server does not answer.
        """
        self._server = server
        self._mount, self._name = mount, key
        self._made: dict[int, int] = {}
        self._stored = 0
        self._read()

    @staticmethod
    def create(server: VaultServer, mount: str, key: str) -> None:
        """Make the transit key, with one version.

        A crash after this leaves a key that nothing uses.

        Raises:
            FileExistsError: there is a key of this name already.
            NotStored: the server makes none.
            KeyProviderUnreachable: it does not answer.
        """
        if server.ask("GET", f"{mount}/keys/{key}").status != HTTPStatus.NOT_FOUND:
            # Vault would answer that all is well, and two clinics would share the key.
            raise FileExistsError(key)
        wanted: dict[str, object] = {"type": KEY_TYPE, "derived": True, "exportable": False}
        if not server.ask("POST", f"{mount}/keys/{key}", wanted).done:
            raise NotStored("the Vault server makes no transit key; is the engine enabled at this path?")
        # Nothing is trimmed, and so nothing stored anew, where the least version to wrap under was never said.
        if not server.write(f"{mount}/keys/{key}/config", _usable_from(1)).done:
            raise NotStored("the Vault server does not configure the transit key")

    def __repr__(self) -> str:
        return f"VaultProvider(generation={self.generation})"

    def generations(self) -> tuple[int, ...]:
        """Ask which generations are not destroyed, ascending; the last is the current one.

        Raises:
            KeyMissing: the key is gone, or is another one.
            KeyProviderUnreachable: the server does not answer.
        """
        found = self._read()
        if found.latest_version > self._stored:
            # A copy that is only looked at may not turn the key, and nothing that it wraps is needed later.
            with suppress(TokenRefused):
                found = self._store(1)
        # One that may not be used any more and is not trimmed yet is still there, and must be destroyed.
        return tuple(range(max(1, found.min_available_version), found.latest_version + 1))

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        """Return `secret` wrapped under a generation's key, by default the current one's, bound to `context`.

        Raises:
            KeyMissing: no key of that generation.
            KeyProviderUnreachable: the server does not answer.
        """
        generation = generation or self.generation
        answer = self._ask(
            "encrypt", {"plaintext": _text(secret), "context": _text(context), "key_version": generation}
        )
        if not answer.done:
            raise KeyMissing("no keyring key of that generation")
        wrapped = _decode(answer, _Ciphertext).ciphertext
        if not wrapped.startswith(_prefix(generation)):
            raise KeyMissing("the Vault server wrapped under another generation than was asked for")
        return wrapped.encode("ascii")

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
            KeyProviderUnreachable: the server does not answer.
        """
        text = wrapped.decode("ascii", "replace")
        if not text.startswith(_prefix(generation)):
            raise KeyMissing("a wrapped key is of another generation, or was not wrapped by Vault")
        answer = self._ask("decrypt", {"ciphertext": text, "context": _text(context)})
        if not answer.done:
            raise KeyMissing("a wrapped key does not open")
        try:
            return base64.b64decode(_decode(answer, _Plaintext).plaintext, validate=True)
        except binascii.Error as error:
            raise KeyProviderUnreachable("the Vault server answers something else than was asked") from error

    def begin_generation(self) -> int:
        """Make a new random key the current one, durable before its number is returned; the others stay.

        A crash, or an answer that is lost, leaves the key as it was, or with a version more that nothing uses yet.

        Raises:
            NotStored: the server does not rotate the key; nothing has changed.
            KeyMissing: the key is gone.
            KeyProviderUnreachable: it does not answer; see above.
        """
        if not self._server.write(self._path("keys", "rotate")).done:
            raise NotStored("the Vault server does not rotate the key")
        return self._store(1).latest_version

    def destroy_generations_below(self, generation: int) -> None:
        """Destroy every older key, as durable as the server's storage; nothing happens where there is none.

        A crash between the two steps leaves versions that nobody may use and the server still has; `generations` names
        them, and called again this trims them.

        Raises:
            ValueError: that would destroy the current generation.
            NotStored: the keys are still there.
            KeyProviderUnreachable: the server does not answer; some may be destroyed.
        """
        found = self._read()
        if generation > found.latest_version:
            raise ValueError("the current generation is never destroyed")
        if generation > 1:
            # Also where the server says that it is done: it may say so of what it has not stored.
            self._store(generation)
            if self._read().min_available_version < generation:
                raise NotStored("the Vault server does not destroy the old versions of the key")

    def _store(self, least: int) -> _Key:
        """Have the server store the key as it has it in memory, without the versions below `least`; return it."""
        for _ in range(STORE_TRIES):
            found = self._read()
            least = max(least, found.min_available_version)
            if found.min_decryption_version < least or found.min_encryption_version < least:
                # The server trims only what is forbidden before; and refuses to go below what another trimmed since.
                lowest = max(least, found.min_decryption_version)
                self._server.write(self._path("keys", "config"), _usable_from(lowest))
            if self._server.write(self._path("keys", "trim"), {"min_available_version": least}).done:
                self._stored = found.latest_version
                return found
        raise NotStored("the Vault server does not store the versions of the key")

    def _ask(self, verb: str, body: dict[str, object]) -> Answer:
        return self._server.ask("POST", self._path(verb), body)

    def _path(self, verb: str, step: str | None = None) -> str:
        path = f"{self._mount}/{verb}/{self._name}"
        return path if step is None else f"{path}/{step}"

    def _read(self) -> _Key:
        answer = self._server.ask("GET", f"{self._mount}/keys/{self._name}")
        if not answer.done:
            raise KeyMissing("the Vault server has no transit key of this name")
        found = _decode(answer, _Key)
        if found.type != KEY_TYPE or not found.derived:
            raise KeyMissing(f"the transit key must be of type {KEY_TYPE} and derived, which binds each wrapped key")
        if found.exportable or found.allow_plaintext_backup:
            raise KeyMissing("the transit key may leave the Vault server, so that destroying it would prove nothing")
        known = min(self._made.keys() & found.keys.keys(), default=None)
        if known is not None and self._made[known] != found.keys[known]:
            # What is wrapped under it would be lost with the right key's return. Where only a later version differs,
            # the server had named one that was not stored, and made another one since.
            raise KeyMissing("the transit key was replaced by another one")
        self._made, self.generation = found.keys, found.latest_version
        return found


def _prefix(generation: int) -> str:
    return f"vault:v{generation}:"


def _usable_from(version: int) -> dict[str, object]:
    return {"min_decryption_version": version, "min_encryption_version": version}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(answer: Answer, kind: type[_Read]) -> _Read:
    try:
        parts = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(parts["data"], type=kind)
    except (msgspec.MsgspecError, KeyError) as error:
        raise KeyProviderUnreachable("the Vault server answers something else than was asked") from error
