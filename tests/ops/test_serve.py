"""Serving in a process of its own: started, asked, told to stop, killed."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ops.control import NAME
from ops.exits import CommandFailed
from ops.serve import check_bind
from ops.settings import Settings, parse_bind, read_settings
from tests.ops.running import Served, add_user, data_of, free_port, init, run, served


@pytest.fixture
def data(tmp_path: Path) -> Path:
    init(tmp_path / "clinic")
    return tmp_path / "clinic"


def test_it_serves_takes_commands_and_stops_when_it_is_told(data: Path) -> None:
    with served(data) as service:
        assert service.request("/healthz")[0] == 200
        assert service.request("/readyz")[0] == 200
        assert service.request("/v1/caseload", Purpose_Of_Use="TREAT")[0] == 401
        user, token = add_user(data, "therapist")
        status, body = service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")
        assert (status, json.loads(body)["items"]) == (200, [])
        assert run("user", "disable", user, "--data", str(data)).exit_code == 0
        assert service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")[0] == 401
        assert run("doctor", "--data", str(data)).exit_code == 0
        assert service.stop() == 0
    assert not (data / NAME).exists()
    codes = [line["code"] for line in service.lines()]
    assert codes[:2] == ["serve.starting", "serve.ready"]
    assert codes[-1] == "serve.stopped"
    assert token not in service.log.read_text()


def test_what_is_in_flight_is_answered_before_it_stops(data: Path) -> None:
    with served(data) as service:
        _, token = add_user(data, "therapist")
        answers: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    answers.append(service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")[0])
                except OSError:
                    # Nothing is taken any longer. An answer that breaks off half way is another error, and fails.
                    return

        askers = [threading.Thread(target=ask) for _ in range(8)]
        for asker in askers:
            asker.start()
        while len(answers) < 40:
            stop.wait(0.01)
        assert service.stop() == 0
        stop.set()
        for asker in askers:
            asker.join()
    assert set(answers) <= {200, 429}


def test_a_killed_service_leaves_a_clinic_that_serves_again(data: Path) -> None:
    with served(data) as service:
        _, token = add_user(data, "therapist")
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL
    assert (data / NAME).exists()
    assert len(data_of(run("user", "list", "--data", str(data), "--json"))) == 1
    with served(data) as service:
        assert service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")[0] == 200


def test_a_second_service_on_the_clinic_is_5(data: Path) -> None:
    with served(data):
        second = Served(data)
        assert second.process.wait(30) == 5
        assert second.stop() == 5


def test_an_address_that_is_taken_is_said(data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = run("serve", "--data", str(data), "--bind", f"127.0.0.1:{other.getsockname()[1]}")
    assert result.exit_code == 1
    assert "cannot be listened on" in result.stderr


def test_it_makes_neither_a_database_nor_a_key(data: Path, tmp_path: Path) -> None:
    keys = data.with_name("clinic.keys")
    (keys / "root.key").rename(tmp_path / "elsewhere")
    assert run("serve", "--data", str(data), "--bind", f"127.0.0.1:{free_port()}").exit_code == 6
    assert not (keys / "root.key").exists()
    (tmp_path / "elsewhere").rename(keys / "root.key")
    (data / "records.db").unlink()
    assert run("serve", "--data", str(data), "--bind", f"127.0.0.1:{free_port()}").exit_code == 1
    assert not (data / "records.db").exists()


def with_bind(bind: str, **changes: object) -> Settings:
    settings = read_settings().option("BIND", parse_bind(bind))
    for name, value in changes.items():
        settings = settings.option(name, value)
    return settings


@pytest.mark.parametrize("bind", ["0.0.0.0:8000", "[::]:8000", "192.0.2.7:8000"])
def test_an_address_for_others_needs_protection(bind: str) -> None:
    with pytest.raises(CommandFailed, match="TLS") as caught:
        check_bind(with_bind(bind))
    assert caught.value.code == 2
    check_bind(with_bind(bind, TRUSTED_PROXIES=("192.0.2.1",)))
    check_bind(with_bind(bind, TLS_CERTIFICATE_FILE=Path("c.pem"), TLS_KEY_FILE=Path("k.pem")))
    check_bind(with_bind("127.0.0.1:8000"))


def test_several_workers_need_postgresql() -> None:
    with pytest.raises(CommandFailed, match="PostgreSQL") as caught:
        check_bind(with_bind("127.0.0.1:8000", WORKERS=2))
    assert caught.value.code == 2
    check_bind(with_bind("127.0.0.1:8000", WORKERS=2, DATABASE_URL="postgresql://"))


@pytest.mark.postgres
def test_several_processes_serve_one_log_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    data = tmp_path / "clinic"
    environment = {"WELLKEPT_DATABASE_URL": postgres_url}
    init(data, **environment)
    arguments = ("user", "add", "--data", str(data), "--name", "Bo", "--role", "therapist", "--json")
    user = data_of(run(*arguments, **environment))["id"]
    with served(data, WELLKEPT_WORKERS="2", **environment) as service:
        token = data_of(run("token", "issue", user, "--data", str(data), "--json", **environment))["token"]
        statuses = {service.request("/v1/caseload", token, Purpose_Of_Use="TREAT")[0] for _ in range(20)}
        assert statuses == {200}
        assert run("doctor", "--data", str(data), **environment).exit_code == 0
        assert service.stop() == 0
    assert [line["code"] for line in service.lines()].count("serve.ready") == 2


@pytest.mark.postgres
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, postgres_url: str) -> None:
    environment = {"WELLKEPT_DATABASE_URL": postgres_url}
    init(tmp_path / "clinic", **environment)
    with served(tmp_path / "clinic", WELLKEPT_WORKERS="2", **environment) as service:
        service.stop(signal.SIGKILL)
        port = int(service.url.rpartition(":")[2])
        gone = threading.Event()
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    gone.set()
                    break
            gone.wait(0.1)
        assert gone.is_set()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    (folder / "chain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    return folder / "chain.pem", folder / "key.pem"


def test_it_speaks_https_with_a_certificate(data: Path, tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path)
    service = Served(data, WELLKEPT_TLS_CERTIFICATE_FILE=str(chain), WELLKEPT_TLS_KEY_FILE=str(key))
    try:
        address = service.url.removeprefix("http://")
        context = ssl.create_default_context(cafile=str(chain))
        assert service.process.stdout is not None
        assert service.process.stdout.readline().decode().strip() == f"https://{address}"
        host, _, port = address.rpartition(":")
        until = time.monotonic() + 30
        while True:
            try:
                connection = HTTPSConnection(host, int(port), context=context, timeout=10)
                connection.request("GET", "/healthz")
                break
            except ConnectionError:
                assert time.monotonic() < until
                time.sleep(0.05)
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        assert service.stop() == 0
