"""The key provider that the settings name: a key file, Vault's transit engine, or a PKCS#11 token.

Source: CRYPTO 6; decision 46.

- Everything that opens a clinic's keys takes its provider from here, so that there is one answer to where they are.
- There is no second choice: a provider that does not answer is not replaced by another, and nothing is kept unwrapped.
- The names in Vault and in the token hold the clinic's id, so that two clinics do not meet there by mistake. A restored
  copy of a clinic has the same id and does: docs/how-to/keep-keys-in-vault-or-an-hsm.md says what to do.

It knows no backups (`ops.backups.verifying` is given what opens the keys).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TypeVar
from uuid import UUID

from ops.exits import CommandFailed, Exit
from ops.keys.vault_http import VaultServer
from ops.keys.vault_provider import VaultProvider
from ops.settings import Settings
from ops.wiring import Paths, deployment_of
from records.key_provider import KeyFileProvider, KeyProvider

PKCS11 = "pkcs11"
_Value = TypeVar("_Value")


def open_provider(settings: Settings) -> KeyProvider:
    """Open the provider of the clinic that the settings name.

    Raises:
        NotInitialised: there is no clinic here.
        KeyMissing: its keys are not there.
        KeyProviderUnreachable: it does not answer.
        SettingsError, CommandFailed: it cannot be used as it is set.
    """
    return open_provider_of(settings, deployment_of(settings.data))


def open_provider_of(settings: Settings, deployment_id: UUID) -> KeyProvider:
    """Open the provider of a clinic that is not, or not yet, where the settings say.

    Raises:
        KeyMissing, KeyProviderUnreachable, SettingsError, CommandFailed: see `open_provider`.
    """
    match settings.key_provider:
        case "vault":
            return VaultProvider(_server(settings), settings.vault_mount, _transit_key(settings, deployment_id))
        case "pkcs11":
            return _token(settings, deployment_id, found=False)
        case _:
            return KeyFileProvider(settings.key_file or Paths(settings.data).key_file, settings.passphrase())


def create_provider(settings: Settings, deployment_id: UUID) -> KeyProvider:
    """Make the first key of a new clinic, and open what keeps it. A key file that is there already is taken.

    A crash after this leaves a key that nothing uses.

    Raises:
        FileExistsError: Vault or the token holds keys of this name.
        KeyMissing, KeyProviderUnreachable, NotStored, SettingsError, CommandFailed: no key is made.
    """
    match settings.key_provider:
        case "vault":
            server, name = _server(settings), _transit_key(settings, deployment_id)
            VaultProvider.create(server, settings.vault_mount, name)
            return VaultProvider(server, settings.vault_mount, name)
        case "pkcs11":
            return _token(settings, deployment_id, found=True)
        case _:
            key_file, passphrase = settings.key_file or Paths(settings.data).key_file, settings.passphrase()
            if not key_file.exists():
                KeyFileProvider.create(key_file, passphrase)
            return KeyFileProvider(key_file, passphrase)


def where(settings: Settings, deployment_id: UUID) -> str:
    """Return where the root keys are, as people read it."""
    match settings.key_provider:
        case "vault":
            return f"{settings.vault_address} {settings.vault_mount}/{_transit_key(settings, deployment_id)}"
        case "pkcs11":
            return f"token {settings.pkcs11_token}"
        case _:
            return str((settings.key_file or Paths(settings.data).key_file).absolute())


def _server(settings: Settings) -> VaultServer:
    return VaultServer(
        _set(settings.vault_address), _set(settings.vault_token_file), settings.vault_ca_file, settings.vault_namespace
    )


def _transit_key(settings: Settings, deployment_id: UUID) -> str:
    return settings.vault_key or f"wellkept-{deployment_id}"


def _token(settings: Settings, deployment_id: UUID, *, found: bool) -> KeyProvider:
    if find_spec(PKCS11) is None:
        raise CommandFailed(Exit.USAGE, "WELLKEPT_KEY_PROVIDER=pkcs11 needs the extra: pip install 'wellkept[pkcs11]'")
    from ops.keys.pkcs11_provider import Pkcs11Provider, TokenPlace

    place = TokenPlace(_set(settings.pkcs11_library), _set(settings.pkcs11_token), _set(settings.pkcs11_pin_file))
    return Pkcs11Provider(place, deployment_id, Paths(settings.data).keys, found=found)


def _set(value: _Value | None) -> _Value:
    assert value is not None, "the settings were read with what their provider needs"
    return value
