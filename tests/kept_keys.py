"""The root keys of one clinic, kept by each provider in turn: a file, a real Vault server, a PKCS#11 token.

`kept` (tests/conftest.py) gives one of each. A provider is opened by the settings, as the commands do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

from ops.data_format import FORMAT
from ops.keys.providers import create_provider, open_provider
from ops.settings import Settings, read_settings
from records.key_provider import KeyProvider
from tests.throwaway_openbao import ThrowawayOpenBao
from tests.throwaway_softhsm import LIBRARY, ThrowawaySoftHsm

HOW_TO = Path(__file__).parent.parent / "docs" / "how-to" / "keep-keys-in-vault-or-an-hsm.md"
KINDS = ("file", "vault", *(["pkcs11"] if LIBRARY else []))


class KeptKeys:
    """Where the keys of one clinic are; `environment` is the settings that say so, `away` keeps them out of reach."""

    def __init__(
        self, kind: str, folder: Path, environment: dict[str, str], away: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.kind, self.folder, self.away = kind, folder, away
        self.data, self.keys = folder / "clinic", folder / "clinic.keys"
        self.environment = {**environment, "WELLKEPT_DATA": str(self.data), "WELLKEPT_KEY_PROVIDER": kind}
        self.deployment = uuid4()

    def found(self) -> KeyProvider:
        """Make the places of a clinic that holds nothing, and its first key."""
        for folder in (self.data, self.keys):
            folder.mkdir(mode=0o700)
        (self.data / "deployment").write_text(f"{self.deployment}\n")
        (self.data / "FORMAT").write_text(f"{FORMAT}\n")
        return create_provider(self.settings(), self.deployment)

    def open(self) -> KeyProvider:
        """Return what another process would hold."""
        return open_provider(self.settings())

    def settings(self, **more: str) -> Settings:
        """Return the settings."""
        before = dict(os.environ)
        for name in [name for name in before if name.startswith("WELLKEPT_")]:
            del os.environ[name]
        os.environ.update({**self.environment, **more})
        try:
            return read_settings()
        finally:
            os.environ.clear()
            os.environ.update(before)


def in_a_file(folder: Path) -> KeptKeys:
    """Return keys in a file."""
    key_file = folder / "clinic.keys" / "root.key"

    @contextmanager
    def away() -> Iterator[None]:
        key_file.rename(folder / "away")
        try:
            yield
        finally:
            (folder / "away").rename(key_file)

    return KeptKeys("file", folder, {}, away)


def in_vault(folder: Path, server: ThrowawayOpenBao, policy: Callable[[str], str]) -> KeptKeys:
    """Return keys in a Vault server, reached by a token that may do what a policy for this clinic's key says."""
    token_file = folder / "vault-token"
    given = {"WELLKEPT_VAULT_ADDRESS": server.address, "WELLKEPT_VAULT_TOKEN_FILE": str(token_file)}
    name = f"wellkept-tests-{uuid4()}"
    kept = KeptKeys("vault", folder, {**given, "WELLKEPT_VAULT_KEY": name}, server.sealed)
    token_file.write_text(server.token(policy(name)))
    token_file.chmod(0o600)
    return kept


def in_a_token(folder: Path, token: ThrowawaySoftHsm) -> KeptKeys:
    """Return keys in a token."""
    given = {
        "WELLKEPT_PKCS11_LIBRARY": str(token.library),
        "WELLKEPT_PKCS11_TOKEN": token.label,
        "WELLKEPT_PKCS11_PIN_FILE": str(token.pin_file),
    }
    return KeptKeys("pkcs11", folder, given, token.drawn)


def documented_policy(name: str) -> str:
    """Return the policy that the how-to gives, for the transit key of this name: what is documented must be enough."""
    return HOW_TO.read_text("utf-8").partition("```hcl\n")[2].partition("```")[0].replace("wellkept-hill", name)
