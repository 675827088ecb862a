"""A key provider that keeps the keyring keys in a PKCS#11 token: an HSM, a smart card or SoftHSM. Needs extra `pkcs11`.

Source: CRYPTO 6; OASIS PKCS#11 3.0; NIST SP 800-38D (AES-GCM); decision 46.

- A generation is an AES-256 object of its own, labelled `wellkept-<deployment>-g<N>`, made in the token, sensitive and
  never extractable. Destroying a generation destroys the object.
- What is wrapped is `0x01 ‖ nonce 12 ‖ AES-GCM(key of the generation, nonce, secret, associated data = context)`. With
  random nonces one key may wrap 2³² times; a turn of the keyring is a new key.
- Objects are found by the clinic's id. Two of one generation, or one that may leave the token, are refused.
- A token that is out of reach, and one that was drawn and came back, look alike to whoever holds an old handle: empty.
  So whatever is not found is asked for again with the library started anew, and only then it is missing.
- A PIN that the token refused is not tried again until its file holds another, since a few wrong ones lock a token.
- Making and destroying lock a folder, so that no two processes of this machine make the same generation.

It is the only file that imports `pkcs11`. It makes no token, and cannot tell what a token keeps of a destroyed object.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error
from pkcs11.exceptions import (
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    FunctionFailed,
    GeneralError,
    PinIncorrect,
    PinLocked,
    UserAlreadyLoggedIn,
)

from records.errors import KeyMissing, KeyProviderUnreachable, NotStored

FORMAT = b"\x01"
NONCE_BYTES = 12
TAG_BITS = 128
KEY_BITS = 256
_DOES_NOT_OPEN = (EncryptedDataInvalid, EncryptedDataLenRange, FunctionFailed, GeneralError)
"""What libraries say of a ciphertext that is not authentic; SoftHSM says GeneralError."""
_Done = TypeVar("_Done")


class _Library:
    """The one PKCS#11 library of this process. It is started anew for all who use it, so `starts` tells old handles."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.starts = 0
        self._loaded: Any = None

    def token(self, path: Path, label: str, *, anew: bool) -> Any:
        """Return the token with this label."""
        if self._loaded is None:
            self._loaded = pkcs11.lib(str(path))
            self.starts += 1
        elif anew:
            # Every handle of this process is void from here, and its number may soon name another object.
            self.starts += 1
            self._loaded.reinitialize()
        return self._loaded.get_token(token_label=label)


_LIBRARY = _Library()


class TokenPlace(NamedTuple):
    """Where the token is: the library that speaks to it, its label, and the file of the user's PIN."""

    library: Path
    label: str
    pin_file: Path


class Pkcs11Provider:
    """Keyring keys in a token. Safe to share between threads and processes; calls of one process wait in turn."""

    generation: int

    def __init__(self, place: TokenPlace, deployment_id: UUID, folder: Path, *, found: bool = False) -> None:
        """Open it.

        Args:
            place: where the token is.
            deployment_id: whose keys they are.
            folder: is locked while a key is made or destroyed: the clinic's directory of keys.
            found: make the first key of a new clinic, in a token that is there.

        Raises:
            KeyMissing: the token holds no keyring key of this clinic.
            FileExistsError: a new clinic's keys are there already.
            NotStored: the token makes no such key.
            KeyProviderUnreachable: the token is not there, or refuses the PIN.
        """
        self._place, self._folder = place, folder
        self._id = deployment_id.bytes
        self._label = re.compile(rf"wellkept-{re.escape(str(deployment_id))}-g([1-9][0-9]{{0,8}})")
        self._deployment = deployment_id
        self._session: Any = None
        self._starts = 0
        self._keys: dict[int, Any] = {}
        self._refused: bytes | None = None
        if found:
            self._begin(lambda held: 1 if not held else _taken(deployment_id))
        self.generations()

    def __repr__(self) -> str:
        return f"Pkcs11Provider(generation={self.generation})"

    def generations(self) -> tuple[int, ...]:
        """Ask the token which generations there are, ascending; the last is the current one.

        Raises:
            KeyMissing: it holds none, or one that cannot be trusted.
            KeyProviderUnreachable: the token is not there.
        """
        with _LIBRARY.lock:
            # An empty token may be one that was drawn.
            held = self._find() or self._find(anew=True)
            if not held:
                raise KeyMissing("the token holds no keyring key of this clinic")
            self.generation = max(held)
            return tuple(sorted(held))

    def wrap(self, context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        """Return `secret` wrapped under a generation's key, by default the current one's, bound to `context`.

        Raises:
            KeyMissing: no key of that generation.
            KeyProviderUnreachable: the token is not there.
        """
        nonce = os.urandom(NONCE_BYTES)
        parameters = GCMParams(nonce, context, TAG_BITS)

        def encrypt(key: Any) -> bytes:
            sealed: bytes = key.encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
            return sealed

        return FORMAT + nonce + self._with_key(generation or self.generation, encrypt)

    def unwrap(self, generation: int, context: bytes, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            KeyMissing: no key of that generation, or it does not open.
            KeyProviderUnreachable: the token is not there.
        """
        nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        if wrapped[:1] != FORMAT or len(sealed) < TAG_BITS // 8:
            raise KeyMissing("a wrapped key does not open")
        parameters = GCMParams(nonce, context, TAG_BITS)

        def decrypt(key: Any) -> bytes:
            secret: bytes = key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
            return secret

        return self._with_key(generation, decrypt)

    def begin_generation(self) -> int:
        """Make a new random key the current one, as durable as the token; the others stay.

        A crash leaves the token as it was, or with a generation more that nothing uses yet.

        Raises:
            NotStored: the token makes no such key; nothing has changed.
            KeyMissing: it holds no key of this clinic.
            KeyProviderUnreachable: the token is not there.
        """
        self.generations()
        begun = self._begin(lambda held: max(held) + 1)
        self.generations()
        return begun

    def destroy_generations_below(self, generation: int) -> None:
        """Destroy every older key; nothing happens where there is none.

        A crash leaves some of them; called again it destroys the rest.

        Raises:
            ValueError: that would destroy the current generation.
            NotStored: keys are still there.
            KeyProviderUnreachable: the token is not there.
        """
        with _LIBRARY.lock, self._alone():
            if generation > self.generations()[-1]:
                raise ValueError("the current generation is never destroyed")
            try:
                for number in [number for number in self._keys if number < generation]:
                    self._keys.pop(number).destroy()
            except PKCS11Error as error:
                raise NotStored("the token does not destroy an old key") from error
            if self.generations()[0] < generation:
                raise NotStored("the token does not destroy an old key")

    # --- keys

    def _begin(self, next_of: Callable[[dict[int, Any]], int]) -> int:
        with _LIBRARY.lock, self._alone():
            number = next_of(self._find() or self._find(anew=True))
            try:
                self._session.generate_key(
                    KeyType.AES,
                    KEY_BITS,
                    id=self._id,
                    label=f"wellkept-{self._deployment}-g{number}",
                    store=True,
                    capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                    template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
                )
            except PKCS11Error as error:
                raise NotStored("the token makes no key") from error
            return number

    def _with_key(self, generation: int, use: Callable[[Any], _Done]) -> _Done:
        with _LIBRARY.lock:
            if self._starts == _LIBRARY.starts and generation in self._keys:
                try:
                    return use(self._keys[generation])
                except PKCS11Error:
                    # It does not open, or the handle is void: somebody destroyed the object, or the token was drawn.
                    self._keys.clear()
            key = self._find().get(generation) or self._find(anew=True).get(generation)
            if key is None:
                raise KeyMissing("no keyring key of that generation")
            try:
                return use(key)
            except _DOES_NOT_OPEN as error:
                raise KeyMissing("a wrapped key does not open") from error
            except PKCS11Error as error:
                raise KeyProviderUnreachable("the token does not answer") from error

    def _find(self, *, anew: bool = False) -> dict[int, Any]:
        """Return the clinic's keys by generation, as the token has them now."""
        try:
            session = self._open(anew=anew)
            self._keys = self._sorted(
                session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: self._id})
            )
        except PKCS11Error as error:
            if not anew:
                return self._find(anew=True)
            raise KeyProviderUnreachable(_failed(error)) from error
        return self._keys

    def _sorted(self, found: Iterable[Any]) -> dict[int, Any]:
        keys: dict[int, Any] = {}
        # The search is one operation of the session and must end before another begins.
        for key in list(found):
            named = self._label.fullmatch(key.label)
            if named is None or not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
                raise KeyMissing("the token holds a key of this clinic that may leave it, or of another name")
            if keys.setdefault(int(named[1]), key) is not key:
                raise KeyMissing("the token holds two keys of one generation")
        return keys

    # --- the token

    def _open(self, *, anew: bool) -> Any:
        if anew or self._session is None or self._starts != _LIBRARY.starts:
            self._session, self._keys = None, {}
            token = _LIBRARY.token(self._place.library, self._place.label, anew=anew)
            self._session = self._sign_in(token)
            self._starts = _LIBRARY.starts
        return self._session

    def _sign_in(self, token: Any) -> Any:
        try:
            pin = self._place.pin_file.read_bytes().strip()
        except OSError as error:
            raise KeyProviderUnreachable("the file of the token's PIN cannot be read now") from error
        if pin == self._refused:
            raise KeyProviderUnreachable("the token refused this PIN; it is not tried again")
        try:
            return token.open(rw=True, user_pin=pin.decode("utf-8", "replace"))
        except UserAlreadyLoggedIn:
            # Another session of this process did; a sign-in holds for all of them.
            return token.open(rw=True)
        except PinIncorrect:
            self._refused = pin
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise NotStored("the directory of the keys is not there") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _taken(deployment_id: UUID) -> int:
    raise FileExistsError(str(deployment_id))


def _failed(error: PKCS11Error) -> str:
    match error:
        case PinIncorrect() | PinLocked():
            return "the token refuses the PIN"
        case _:
            return "the token is not there now"
