"""Settings: every name is known, every value has a source, no secret shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.settings import SETTINGS, Bind, SettingsError, parse_bind, read_settings
from tests.ops.running import data_of, run


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WELLKEPT_")]:
        monkeypatch.delenv(name)


def test_the_documented_default_is_the_effective_one() -> None:
    shown = {setting["name"]: setting for setting in read_settings().shown()}
    for setting in SETTINGS:
        row = shown[f"WELLKEPT_{setting.name}"]
        assert (row["value"] or "") == setting.default
        assert row["source"] == "default"


def test_an_unknown_name_is_a_usage_error_that_names_it() -> None:
    result = run("config", WELLKEPT_BIMD="127.0.0.1:1")
    assert result.exit_code == 2
    assert "WELLKEPT_BIMD" in result.stderr
    assert "127.0.0.1:1" not in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BIND", "example.org:80"),
        ("BIND", "127.0.0.1"),
        ("BIND", "127.0.0.1:70000"),
        ("THREADS", "0"),
        ("THREADS", "many-canary"),
        ("WORKERS", "65"),
        ("LOG_LEVEL", "canary"),
        ("SESSION_MINUTES", "0"),
        ("TRUSTED_PROXIES", "10.0.0.1, canary"),
        ("DATABASE_URL", "mysql://canary"),
        ("DATABASE_URL_FILE", "/nowhere/canary"),
        ("TLS_KEY_FILE", "canary.pem"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"WELLKEPT_{name}", value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert f"WELLKEPT_{name}" in str(caught.value)
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None


def test_each_value_says_where_it_is_from(tmp_path: Path) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql://keeper:canary-password@db/records\n")
    result = run("config", "--data", "d", "--json", WELLKEPT_DATABASE_URL_FILE=str(url), WELLKEPT_THREADS="8")
    sources = {row["name"]: row["source"] for row in data_of(result)}
    assert sources["WELLKEPT_DATA"] == "option"
    assert sources["WELLKEPT_DATABASE_URL"] == "file"
    assert sources["WELLKEPT_THREADS"] == "environment"
    assert sources["WELLKEPT_BIND"] == "default"


def test_no_secret_shows(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-content")
    environment = {
        "WELLKEPT_DATABASE_URL": "postgresql://keeper:canary-password@db/records",
        "WELLKEPT_TOKEN_FILE": str(secret),
        "WELLKEPT_KEY_PASSPHRASE_FILE": str(secret),
        "WELLKEPT_OIDC_CLIENT_SECRET": "canary-oidc",
    }
    for form in ([], ["--json"]):
        result = run("config", *form, **environment)
        assert result.exit_code == 0
        assert "canary" not in result.stdout + result.stderr
    assert "canary" not in repr(read_settings())


def test_secrets_are_read_from_their_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a token or passphrase\n")
    monkeypatch.setenv("WELLKEPT_TOKEN_FILE", str(secret))
    monkeypatch.setenv("WELLKEPT_KEY_PASSPHRASE_FILE", str(secret))
    settings = read_settings()
    assert settings.token() == "a token or passphrase"
    assert settings.passphrase() == b"a token or passphrase"
    secret.unlink()
    with pytest.raises(SettingsError, match="WELLKEPT_TOKEN_FILE"):
        settings.token()


def test_what_nothing_uses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLKEPT_SESSION_MINUTES", "20")
    monkeypatch.setenv("WELLKEPT_OIDC_ISSUER", "https://id.example")
    assert read_settings().unused() == ["WELLKEPT_SESSION_MINUTES", "WELLKEPT_OIDC_*"]


def test_only_loopback_addresses_are_loopback() -> None:
    assert parse_bind("[::1]:80") == Bind("::1", 80)
    assert str(parse_bind("[::1]:80")) == "[::1]:80"
    inside = ("localhost:1", "127.0.0.1:1", "127.8.8.8:1", "[::1]:1")
    outside = ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.168.1.2:1")
    assert [parse_bind(text).is_loopback for text in (*inside, *outside)] == [True] * 4 + [False] * 4
