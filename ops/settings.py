"""Settings: environment variables `WELLKEPT_*`, parsed once at the start of a command.

Source: CONTRACT (settings).

- Every name is in `SETTINGS` with its default and its meaning; another `WELLKEPT_` name is an error, so that a typing
  mistake is not a silent default.
- A secret is never a flag. It comes from a file that a `…_FILE` setting names, and is read where it is used.
- Each value remembers its source: default, environment, file, or option (`--data`, `--bind`).
- A few names belong to parts that come later. They are accepted, and `config` and `doctor` say that nothing uses them.

It opens nothing and decides nothing.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from environs import Env, EnvError, validate

PREFIX = "WELLKEPT_"
KEY_PROVIDERS = {
    "file": (),
    "vault": ("VAULT_ADDRESS", "VAULT_TOKEN_FILE"),
    "pkcs11": ("PKCS11_LIBRARY", "PKCS11_TOKEN", "PKCS11_PIN_FILE"),
}
"""What keeps the root keys, and what each needs."""
_VAULT_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting is unknown or cannot be used; the text names it and never shows its value."""


class Setting(NamedTuple):
    """One documented name: without prefix, with its default as text, and what it does.

    Attributes:
        name: the name after `WELLKEPT_`; with a final `*` it stands for a family of names.
        default: the default as people read it; empty where there is none.
        meaning: one sentence.
        used: whether this version acts on it.
        secret: whether its value may hold a secret and is never shown whole.
    """

    name: str
    default: str
    meaning: str
    used: bool = True
    secret: bool = False


SETTINGS = (
    Setting("DATA", "wellkept-data", "The clinic's data directory. Its keys stand apart in `<data>.keys/`."),
    Setting(
        "DATABASE_URL",
        "",
        "`postgresql://…`: keep the log in PostgreSQL. Absent, it is SQLite in the data directory.",
        secret=True,
    ),
    Setting("DATABASE_URL_FILE", "", "A file that holds the database URL, for one with a password in it."),
    Setting("KEY_FILE", "", "The root key file; `<data>.keys/root.key` where absent."),
    Setting("KEY_PASSPHRASE_FILE", "", "A file that holds the passphrase of the root key file."),
    Setting(
        "KEY_PROVIDER",
        "file",
        "What keeps the root keys: `file`, `vault` (transit of Vault or OpenBao) or `pkcs11` (an HSM or SoftHSM).",
    ),
    Setting("VAULT_ADDRESS", "", "`https://host:port` of the Vault server; `http://` on a loopback address only."),
    Setting("VAULT_TOKEN_FILE", "", "A file that holds the Vault token; it is read anew for each question."),
    Setting("VAULT_CA_FILE", "", "A PEM file with the authorities that vouch for the Vault server; else the system's."),
    Setting("VAULT_NAMESPACE", "", "The namespace of the Vault server, where it has any."),
    Setting("VAULT_MOUNT", "transit", "The path at which the transit engine is enabled."),
    Setting("VAULT_KEY", "", "The name of the transit key; `wellkept-<deployment>` where absent."),
    Setting("PKCS11_LIBRARY", "", "The PKCS#11 library of the token; `pkcs11` needs the extra of that name."),
    Setting("PKCS11_TOKEN", "", "The label of the token."),
    Setting("PKCS11_PIN_FILE", "", "A file that holds the user's PIN of the token."),
    Setting("TOKEN_FILE", "", "A file that holds the sign-in token that commands act with; else the system user acts."),
    Setting("BIND", "127.0.0.1:8000", "Address and port that `serve` listens on; IPv6 addresses stand in brackets."),
    Setting(
        "TRUSTED_PROXIES",
        "",
        "Addresses or networks, parted by commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
    ),
    Setting("TLS_CERTIFICATE_FILE", "", "A PEM file with the certificate chain; with it `serve` speaks HTTPS."),
    Setting("TLS_KEY_FILE", "", "A PEM file with the certificate's private key."),
    Setting("THREADS", "16", "Requests that one serving process works on at once, 1 to 256."),
    Setting("WORKERS", "1", "Serving processes, 1 to 64. More than one needs PostgreSQL."),
    Setting("LOG_LEVEL", "info", "What the service logs on stderr: debug, info, warning or error."),
    Setting(
        "METRICS_BIND",
        "",
        "Loopback address and port on which `serve` tells metrics for Prometheus; needs the extra `metrics`. Absent,"
        " there are none. With several workers each takes the next free port.",
    ),
    Setting(
        "BENCH_DATABASE_URL", "", "A PostgreSQL that `wellkept bench` may fill, for the benchmark only.", secret=True
    ),
    Setting("ANCHOR", "", "A directory elsewhere, best one to which files are only added: checkpoints are kept there."),
    Setting("SESSION_MINUTES", "30", "Minutes after which a browser is signed out, 1 to 1440.", used=False),
    Setting("OIDC_*", "", "Signing in through an identity provider.", used=False, secret=True),
)
"""Every setting, in the order of the reference page."""


class Bind(NamedTuple):
    """Where the service listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings; see `SETTINGS` for what each does. `sources` maps a name to where its value is from."""

    data: Path
    database_url: str | None = None
    key_file: Path | None = None
    key_passphrase_file: Path | None = None
    key_provider: str = "file"
    vault_address: str | None = None
    vault_token_file: Path | None = None
    vault_ca_file: Path | None = None
    vault_namespace: str | None = None
    vault_mount: str = "transit"
    vault_key: str | None = None
    pkcs11_library: Path | None = None
    pkcs11_token: str | None = None
    pkcs11_pin_file: Path | None = None
    token_file: Path | None = None
    bind: Bind
    trusted_proxies: tuple[str, ...] = ()
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    threads: int
    workers: int
    log_level: str
    metrics_bind: Bind | None = None
    bench_database_url: str | None = None
    anchor: Path | None = None
    session_minutes: int
    oidc: Mapping[str, str] = msgspec.field(default_factory=dict)
    sources: Mapping[str, str] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return "Settings()"

    def option(self, name: str, value: Any) -> Settings:
        """Return settings in which an option of the command line takes the place of one value."""
        return msgspec.structs.replace(self, **{name.lower(): value}, sources={**self.sources, name: "option"})

    def passphrase(self) -> bytes | None:
        """Return the passphrase of the key file, or None where none is set.

        Raises:
            SettingsError: the file cannot be read.
        """
        return None if self.key_passphrase_file is None else _secret(self.key_passphrase_file, "KEY_PASSPHRASE_FILE")

    def token(self) -> str | None:
        """Return the token that commands act with, or None where the system user acts.

        Raises:
            SettingsError: the file cannot be read.
        """
        return None if self.token_file is None else _secret(self.token_file, "TOKEN_FILE").decode("ascii", "replace")

    def source(self, name: str) -> str:
        """Return where the value of a setting is from."""
        return self.sources.get(name, "default")

    def shown(self) -> list[dict[str, str | bool | None]]:
        """Return name, value, source and use of every setting, in order; what may be secret is hidden."""
        return [
            {
                "name": PREFIX + setting.name,
                "value": self._text(setting),
                "source": self.source(setting.name),
                "used": setting.used,
            }
            for setting in SETTINGS
        ]

    def unused(self) -> list[str]:
        """Return the names that are set and that nothing in this version uses."""
        return [PREFIX + setting.name for setting in SETTINGS if not setting.used and setting.name in self.sources]

    def _text(self, setting: Setting) -> str | None:
        if setting.name == "DATABASE_URL_FILE":
            return None
        value = self.oidc if setting.name == "OIDC_*" else getattr(self, setting.name.lower())
        if value is None or value in ((), {}):
            return None
        if setting.secret:
            return "(set)"
        return ", ".join(value) if setting.name == "TRUSTED_PROXIES" else str(value)


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a name is unknown, or a value cannot be used.
    """
    given = {name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)}
    known = {setting.name for setting in SETTINGS}
    unknown = sorted(name for name in given - known if not name.startswith("OIDC_"))
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(PREFIX + name for name in unknown)}")
    env = Env(prefix=PREFIX)
    one_of, between = validate.OneOf, validate.Range
    try:
        url, url_source = _database_url(env, given)
        settings = Settings(
            data=Path(_text(env, "DATA") or "wellkept-data"),
            database_url=url,
            key_file=_path(env, "KEY_FILE"),
            key_passphrase_file=_path(env, "KEY_PASSPHRASE_FILE"),
            **_key_provider(env),
            token_file=_path(env, "TOKEN_FILE"),
            bind=parse_bind(env.str("BIND", "127.0.0.1:8000")),
            trusted_proxies=_networks(env),
            tls_certificate_file=_path(env, "TLS_CERTIFICATE_FILE"),
            tls_key_file=_path(env, "TLS_KEY_FILE"),
            threads=env.int("THREADS", 16, validate=between(1, 256)),
            workers=env.int("WORKERS", 1, validate=between(1, 64)),
            log_level=env.str("LOG_LEVEL", "info", validate=one_of(LOG_LEVELS)),
            metrics_bind=_metrics_bind(env),
            bench_database_url=_text(env, "BENCH_DATABASE_URL"),
            anchor=_path(env, "ANCHOR"),
            session_minutes=env.int("SESSION_MINUTES", 30, validate=between(1, 1440)),
            oidc={name: os.environ[PREFIX + name] for name in sorted(given) if name.startswith("OIDC_")},
            sources={
                **{"OIDC_*" if name.startswith("OIDC_") else name: "environment" for name in given},
                **({"DATABASE_URL": url_source} if url else {}),
            },
        )
    except EnvError as error:
        # The library's text may hold the value; only the name is passed on.
        name = str(error).partition('"')[2].partition('"')[0]
        raise SettingsError(f"{name} has a value that cannot be used") from None
    if (settings.tls_certificate_file is None) != (settings.tls_key_file is None):
        raise SettingsError("WELLKEPT_TLS_CERTIFICATE_FILE and WELLKEPT_TLS_KEY_FILE belong together")
    return settings


def parse_bind(text: str, name: str = "BIND") -> Bind:
    """Return host and port of `host:port`; `name` is the setting's.

    Raises:
        SettingsError: it is not an IP address (or `localhost`) with a port.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if host != "localhost":
            ipaddress.ip_address(host)
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError
    except ValueError:
        raise SettingsError(f"{PREFIX}{name} must be an IP address or localhost, a colon and a port") from None
    return Bind(host, int(port))


def _text(env: Env, name: str) -> str | None:
    text: str = env.str(name, "")
    return text or None


def _path(env: Env, name: str) -> Path | None:
    text = _text(env, name)
    return Path(text) if text else None


def _key_provider(env: Env) -> dict[str, Any]:
    provider = env.str("KEY_PROVIDER", "file", validate=validate.OneOf(tuple(KEY_PROVIDERS)))
    missing = [PREFIX + name for name in KEY_PROVIDERS[provider] if _text(env, name) is None]
    if missing:
        raise SettingsError(f"{PREFIX}KEY_PROVIDER={provider} needs {', '.join(missing)}")
    return {
        "key_provider": provider,
        "vault_address": _vault_address(env),
        "vault_token_file": _path(env, "VAULT_TOKEN_FILE"),
        "vault_ca_file": _path(env, "VAULT_CA_FILE"),
        "vault_namespace": _text(env, "VAULT_NAMESPACE"),
        "vault_mount": _vault_path(env, "VAULT_MOUNT") or "transit",
        "vault_key": _vault_path(env, "VAULT_KEY"),
        "pkcs11_library": _path(env, "PKCS11_LIBRARY"),
        "pkcs11_token": _text(env, "PKCS11_TOKEN"),
        "pkcs11_pin_file": _path(env, "PKCS11_PIN_FILE"),
    }


def _vault_address(env: Env) -> str | None:
    text = _text(env, "VAULT_ADDRESS")
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
        alone = parts.scheme == "http" and Bind(parts.hostname or "", 0).is_loopback
    except ValueError:
        named = bare = alone = False
    if not (named and bare and (parts.scheme == "https" or alone)):
        raise SettingsError(f"{PREFIX}VAULT_ADDRESS must be https://host:port, or http:// on a loopback address")
    return text


def _vault_path(env: Env, name: str) -> str | None:
    text = _text(env, name)
    if text is not None and not _VAULT_PATH.fullmatch(text):
        raise SettingsError(f"{PREFIX}{name} must be letters, digits, dots, dashes and slashes, as Vault names it")
    return text


def _metrics_bind(env: Env) -> Bind | None:
    text = _text(env, "METRICS_BIND")
    bind = None if text is None else parse_bind(text, "METRICS_BIND")
    if bind is not None and not bind.is_loopback:
        raise SettingsError("WELLKEPT_METRICS_BIND must be a loopback address, since nobody signs in there")
    return bind


def _networks(env: Env) -> tuple[str, ...]:
    names = tuple(part.strip() for part in env.str("TRUSTED_PROXIES", "").split(",") if part.strip())
    for name in names:
        try:
            ipaddress.ip_network(name)
        except ValueError:
            raise SettingsError("WELLKEPT_TRUSTED_PROXIES must be IP addresses or networks, parted by commas") from None
    return names


def _database_url(env: Env, given: set[str]) -> tuple[str | None, str]:
    if {"DATABASE_URL", "DATABASE_URL_FILE"} <= given:
        raise SettingsError("only one of WELLKEPT_DATABASE_URL and WELLKEPT_DATABASE_URL_FILE may be set")
    path = _path(env, "DATABASE_URL_FILE")
    url = _text(env, "DATABASE_URL") if path is None else _secret(path, "DATABASE_URL_FILE").decode("utf-8", "replace")
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("WELLKEPT_DATABASE_URL must begin with postgresql://")
    return url, "environment" if path is None else "file"


def _secret(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError:
        raise SettingsError(f"the file that {PREFIX}{name} names cannot be read") from None
