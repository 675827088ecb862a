"""The Vault provider against a real server: what may pass by itself, what is gone, what is never sent or followed."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from uuid import uuid4

import pytest

from ops.keys import vault_http
from ops.keys.providers import create_provider, open_provider
from ops.keys.vault_http import VaultServer
from ops.keys.vault_provider import VaultProvider
from ops.settings import SettingsError
from records.errors import KeyMissing, KeyProviderUnreachable
from tests.kept_keys import KeptKeys, documented_policy, in_vault
from tests.throwaway_openbao import ThrowawayOpenBao

KEY_AS_SAID = {
    "type": "aes256-gcm96",
    "derived": True,
    "exportable": False,
    "allow_plaintext_backup": False,
    "keys": {"1": 1},
    "latest_version": 1,
    "min_available_version": 0,
    "min_decryption_version": 1,
    "min_encryption_version": 1,
}
"""What a server says of a key that was just made."""


@pytest.fixture
def vault(tmp_path: Path, openbao: ThrowawayOpenBao) -> KeptKeys:
    """Keys in a Vault server that are not made yet."""
    return in_vault(tmp_path, openbao, documented_policy)


@pytest.fixture
def name(vault: KeptKeys) -> str:
    """The name of the transit key."""
    return vault.environment["WELLKEPT_VAULT_KEY"]


def token_file(vault: KeptKeys) -> Path:
    return Path(vault.environment["WELLKEPT_VAULT_TOKEN_FILE"])


def gone(provider: VaultProvider, wrapped: bytes) -> None:
    """Hold a provider to saying that its key is gone, not out of reach."""
    with pytest.raises(KeyMissing) as told:
        provider.unwrap(1, b"context", wrapped)
    assert type(told.value) is KeyMissing


def test_a_token_that_is_refused_is_read_again_from_its_file(vault: KeptKeys) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    file, token = token_file(vault), token_file(vault).read_text()
    for broken in ("wrong", "", "two\nlines", "\x00"):
        file.write_text(broken)
        with pytest.raises(KeyProviderUnreachable, match="token"):
            provider.unwrap(1, b"context", wrapped)
    file.unlink()
    with pytest.raises(KeyProviderUnreachable, match="token"):
        provider.unwrap(1, b"context", wrapped)
    file.write_text(token + "\n")
    assert provider.unwrap(1, b"context", wrapped) == b"secret"


def test_a_server_that_freezes_is_out_of_reach_after_a_while(
    vault: KeptKeys, openbao: ThrowawayOpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    monkeypatch.setattr(vault_http, "ANSWER_SECONDS", 0.3)
    provider = vault.open()
    # What is open already was opened with the long patience.
    provider._server._idle.pop().close()  # type: ignore[attr-defined]  # of this provider
    with openbao.frozen(), pytest.raises(KeyProviderUnreachable, match="in time"):
        provider.unwrap(1, b"context", wrapped)
    assert provider.unwrap(1, b"context", wrapped) == b"secret"


def test_nobody_listening_is_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    with pytest.raises(KeyProviderUnreachable, match="reached"):
        VaultProvider(VaultServer("http://127.0.0.1:1", tmp_path / "token"), "transit", "k")


def test_a_key_that_was_deleted_is_gone_and_one_made_anew_is_refused(
    vault: KeptKeys, name: str, openbao: ThrowawayOpenBao
) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    made = openbao.ask("GET", f"transit/keys/{name}")["data"]["keys"]["1"]
    openbao.ask("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
    openbao.ask("DELETE", f"transit/keys/{name}")
    with pytest.raises(KeyMissing, match="no transit key"):
        provider.generations()
    gone(provider, wrapped)
    with pytest.raises(KeyProviderUnreachable):
        # The policy does not let Vault make a key where one is missing.
        provider.wrap(b"context", b"secret")
    again = made
    while again == made:
        openbao.ask("POST", f"transit/keys/{name}", {"type": "aes256-gcm96", "derived": True})
        again = openbao.ask("GET", f"transit/keys/{name}")["data"]["keys"]["1"]
        if again == made:
            openbao.ask("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
            openbao.ask("DELETE", f"transit/keys/{name}")
    with pytest.raises(KeyMissing, match="replaced"):
        provider.generations()


@pytest.mark.parametrize(
    ("made", "word"),
    [
        ({"type": "aes256-gcm96"}, "derived"),
        ({"type": "chacha20-poly1305", "derived": True}, "type"),
        ({"type": "aes256-gcm96", "derived": True, "exportable": True}, "leave"),
        ({"type": "aes256-gcm96", "derived": True, "allow_plaintext_backup": True}, "leave"),
    ],
)
def test_a_key_that_binds_nothing_or_may_leave_is_refused(
    vault: KeptKeys, name: str, openbao: ThrowawayOpenBao, made: dict[str, object], word: str
) -> None:
    openbao.ask("POST", f"transit/keys/{name}", made)
    with pytest.raises(FileExistsError):
        create_provider(vault.settings(), vault.deployment)
    with pytest.raises(KeyMissing, match=word):
        VaultProvider(VaultServer(openbao.address, token_file(vault)), "transit", name)


def test_a_destruction_that_was_cut_short_is_seen_and_finished(
    vault: KeptKeys, name: str, openbao: ThrowawayOpenBao
) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    provider.begin_generation()
    openbao.ask("POST", f"transit/keys/{name}/config", {"min_decryption_version": 2, "min_encryption_version": 2})
    assert provider.generations() == (1, 2), "the server still has it"
    gone(provider, wrapped)
    provider.destroy_generations_below(2)
    assert provider.generations() == (2,)
    assert openbao.ask("GET", f"transit/keys/{name}")["data"]["min_available_version"] == 2


def test_versions_that_were_returned_or_named_outlive_the_server(
    vault: KeptKeys, name: str, openbao: ThrowawayOpenBao
) -> None:
    """OpenBao takes one of two rotations at once into its memory only, and says 500; its next start has lost it."""
    provider = vault.found()
    refused: list[int] = []

    def rotate() -> None:
        try:
            openbao.ask("POST", f"transit/keys/{name}/rotate")
        except HTTPError as error:
            refused.append(error.code)

    for round_ in range(60):
        others = [threading.Thread(target=rotate) for _ in range(2)]
        for thread in others:
            thread.start()
        begun = provider.begin_generation()
        for thread in others:
            thread.join()
        # Each alone must be enough: that it was returned, and that it was named to somebody else.
        named = vault.open().generations() if round_ % 2 else tuple(range(1, begun + 1))
        wrapped = {number: provider.wrap(b"context", b"secret", number) for number in (begun, named[-1])}
        with openbao.sealed():
            pass
        assert vault.open().generations()[: len(named)] == named
        for number, each in wrapped.items():
            assert provider.unwrap(number, b"context", each) == b"secret"
        if round_ >= 10 and refused:
            break
    assert set(refused) == {500}, "no two rotations met: nothing was tried"


def test_no_version_is_returned_before_a_write_that_followed_its_reading(
    answering: tuple[type[_Answering], VaultServer],
) -> None:
    handler, server = answering
    handler.answers = (200, json.dumps({"data": KEY_AS_SAID | {"latest_version": 2}}).encode())
    key = "/v1/transit/keys/k"
    provider = VaultProvider(server, "transit", "k")
    assert provider.begin_generation() == 2
    assert handler.asked == [key, f"{key}/rotate", key, f"{key}/trim"]
    handler.asked.clear()
    assert provider.generations() == (1, 2)
    assert handler.asked == [key], "what is known to be stored is not stored again"
    handler.answers = (200, json.dumps({"data": KEY_AS_SAID | {"latest_version": 3}}).encode())
    assert provider.generations() == (1, 2, 3)
    assert handler.asked[1:] == [key, key, f"{key}/trim"]


def test_a_destruction_that_the_server_has_in_memory_only_is_made_again(
    vault: KeptKeys, name: str, answering: tuple[type[_Answering], VaultServer]
) -> None:
    """It says that it is done of what it did not store; so what it says is no reason to leave it."""
    handler, server = answering
    handler.answers = (
        200,
        json.dumps({"data": KEY_AS_SAID | {"latest_version": 3, "min_available_version": 2}}).encode(),
    )
    VaultProvider(server, "transit", "k").destroy_generations_below(2)
    assert "/v1/transit/keys/k/trim" in handler.asked


def test_what_the_server_refuses_for_another_write_is_asked_again_and_not_for_ever(
    answering: tuple[type[_Answering], VaultServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_http, "LONGEST_WRITE_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(vault_http, "WRITE_WAIT_SECONDS", 0.001)
    handler, server = answering
    handler.answers = (500, b"{}")
    with pytest.raises(KeyProviderUnreachable, match="500"):
        server.write("transit/keys/k/rotate")
    assert len(handler.asked) == vault_http.WRITE_TRIES
    handler.asked.clear()
    handler.answers = (400, b"{}")
    assert not server.write("transit/keys/k/rotate").done
    assert len(handler.asked) == 1


def test_a_copy_of_a_clinic_with_the_short_policy_destroys_nothing(
    vault: KeptKeys, name: str, openbao: ThrowawayOpenBao
) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    provider.begin_generation()
    lines = [line for line in documented_policy(name).splitlines() if "/config" not in line and "/trim" not in line]
    token_file(vault).write_text(openbao.token("\n".join(line for line in lines if "/rotate" not in line)))
    copy = vault.open()
    for act in (copy.begin_generation, lambda: copy.destroy_generations_below(2)):
        with pytest.raises(KeyProviderUnreachable, match="refuses"):
            act()
    assert copy.generations() == (1, 2)
    assert copy.unwrap(1, b"context", wrapped) == b"secret"


def test_neither_token_nor_secret_is_shown_anywhere(
    vault: KeptKeys, caplog: pytest.LogCaptureFixture, openbao: ThrowawayOpenBao
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = vault.found()
    token = token_file(vault).read_text()
    with openbao.sealed(), pytest.raises(KeyProviderUnreachable) as told:
        provider.wrap(b"context", b"secret-of-ours")
    server = provider._server  # type: ignore[attr-defined]  # what this provider asks
    shown = f"{provider!r} {server!r} {told.value!r} {vault.settings().shown()} {caplog.text}"
    assert token not in shown
    assert "secret-of-ours" not in shown


class _Answering(BaseHTTPRequestHandler):
    """Answers each question with the next of `answers`, and notes what it was asked."""

    protocol_version = "HTTP/1.1"
    answers: tuple[int, bytes] = (200, b"{}")
    asked: list[str]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).asked.append(self.path)
        status, body = self.answers
        self.send_response(status)
        self.send_header("Location", "/v1/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the library looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[type[_Answering], VaultServer]]:
    """A server that answers what a test says, and what asks it."""
    handler = type("Handler", (_Answering,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "token").write_text("t")
    yield handler, VaultServer(f"http://127.0.0.1:{server.server_port}", tmp_path / "token")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("status", [301, 307, 308, 401, 403, 412, 429, 472, 473, 500, 502, 503])
def test_what_may_pass_by_itself_is_out_of_reach_and_no_redirect_is_followed(
    answering: tuple[type[_Answering], VaultServer], status: int
) -> None:
    handler, server = answering
    handler.answers = (status, b"{}")
    with pytest.raises(KeyProviderUnreachable):
        server.ask("GET", "transit/keys/k")
    assert handler.asked == ["/v1/transit/keys/k"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": {}}', b'{"data": []}', b"[]", b"\xff"])
def test_an_answer_that_is_not_vaults_is_out_of_reach(
    answering: tuple[type[_Answering], VaultServer], body: bytes
) -> None:
    handler, server = answering
    handler.answers = (200, body)
    with pytest.raises(KeyProviderUnreachable, match="something else"):
        VaultProvider(server, "transit", "k")


def test_a_server_that_wraps_nothing_is_not_believed(answering: tuple[type[_Answering], VaultServer]) -> None:
    handler, server = answering
    handler.answers = (200, json.dumps({"data": KEY_AS_SAID}).encode())
    provider = VaultProvider(server, "transit", "k")
    for ciphertext in ("c2VjcmV0", "vault:v2:AAAA", "vault:v11:AAAA"):
        handler.answers = (200, json.dumps({"data": {"ciphertext": ciphertext}}).encode())
        with pytest.raises(KeyMissing, match="another generation"):
            provider.wrap(b"context", b"secret")


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(vault: KeptKeys) -> None:
    provider = vault.found()
    wrapped = provider.wrap(b"context", b"secret")
    for connection in provider._server._idle:  # type: ignore[attr-defined]  # as the server does after a while
        connection.sock.shutdown(2)
    assert provider.unwrap(1, b"context", wrapped) == b"secret"


@pytest.mark.parametrize(
    "address",
    [
        "http://vault.example.org:8200",
        "http://10.0.0.1:8200",
        "vault.example.org",
        "ftp://127.0.0.1",
        "https://user:pass@vault.example.org",
        "https://vault.example.org/v1",
        "https://",
        "https://vault.example.org:70000",
    ],
)
def test_an_address_that_would_send_the_token_in_the_clear_is_refused(vault: KeptKeys, address: str) -> None:
    with pytest.raises(SettingsError, match="VAULT_ADDRESS"):
        vault.settings(WELLKEPT_VAULT_ADDRESS=address)


def test_a_provider_that_is_not_set_whole_is_refused(vault: KeptKeys) -> None:
    for missing in ("WELLKEPT_VAULT_ADDRESS", "WELLKEPT_VAULT_TOKEN_FILE"):
        with pytest.raises(SettingsError, match=missing):
            vault.settings(**{missing: ""})
    for name in ("../sys", "a//b", "k?x", "-\n"):
        with pytest.raises(SettingsError, match="VAULT_KEY"):
            vault.settings(WELLKEPT_VAULT_KEY=name)


def test_the_certificate_is_verified(tmp_path: Path, openbao_tls: ThrowawayOpenBao) -> None:
    vault = in_vault(tmp_path, openbao_tls, documented_policy)
    for folder in (vault.data, vault.keys):
        folder.mkdir()
    with pytest.raises(KeyProviderUnreachable, match="vouches"):
        create_provider(vault.settings(), uuid4())
    trusted = vault.settings(WELLKEPT_VAULT_CA_FILE=str(openbao_tls.ca_file))
    assert create_provider(trusted, uuid4()).generations() == (1,)
    elsewhere = openbao_tls.address.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(KeyProviderUnreachable):
        create_provider(
            vault.settings(WELLKEPT_VAULT_CA_FILE=str(openbao_tls.ca_file), WELLKEPT_VAULT_ADDRESS=elsewhere), uuid4()
        )
    with pytest.raises(KeyProviderUnreachable, match="authorities"):
        create_provider(vault.settings(WELLKEPT_VAULT_CA_FILE=str(tmp_path / "none")), uuid4())
    tls = VaultServer("https://localhost", tmp_path / "t")._tls
    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_opened_clinic_asks_the_key_of_its_own_id_by_default(tmp_path: Path, openbao: ThrowawayOpenBao) -> None:
    vault = in_vault(tmp_path, openbao, lambda _: documented_policy("wellkept-*"))
    del vault.environment["WELLKEPT_VAULT_KEY"]
    vault.found()
    assert openbao.ask("GET", f"transit/keys/wellkept-{vault.deployment}")["data"]["derived"]
    assert open_provider(vault.settings()).generations() == (1,)
