"""After an erasure over HTTP no file of the service holds a word of the client, or a key that opens one.

Looked through, byte by byte, while the service runs and after it ended: database, write-ahead log and its index,
keyring and its journal, key file and whatever stands beside it, the signer's directory, the directory of the control
socket, the temporary directory of the process, and its log.

Not looked through: the memory of the process. Python cannot wipe bytes, so a key may stand in it until the place is
used again or the process ends; what is held to here is that the kernel writes none of it into a core file. Nor the
blocks that a file system or an SSD keeps of what was replaced.
"""

from __future__ import annotations

import base64
import http.client
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from records.actors import Role
from records.key_provider import KeyFileProvider
from records.keyring import Keyring
from records.ledger import KeyClass
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import Served, run, served

WORDS = ("Canfamily", "Cangiven", "Canaddress", "Cannote", "Candraft", "Canrefused")


class Secrets(NamedTuple):
    """What must be nowhere afterwards."""

    data_key: bytes
    wrapped: bytes
    keyring_key: bytes


class Caller:
    """Everybody who calls the service."""

    def __init__(self, service: Served, tokens: dict[Role, str]) -> None:
        self._service, self._tokens = service, tokens

    def call(self, by: Role, method: str, path: str, body: Any = None, version: str | None = None) -> tuple[int, Any]:
        """Send a request; return status and headers."""
        connection = http.client.HTTPConnection(self._service.url.removeprefix("http://"), timeout=30)
        headers = {"Authorization": f"Bearer {self._tokens[by]}"}
        if body is None:
            headers["Purpose-Of-Use"] = "TREAT"
        else:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        if version is not None:
            headers["If-Match"] = version
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status != 500, content
        connection.close()
        return answer.status, answer.headers


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield the ways in which bytes may stand in a file: as they are, as hex, as base64 at any place of a text."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # The characters at both ends depend on what stands beside.
        yield encoded[4 if before else 0 : -4]
        yield encoded[4 if before else 0 : -4].translate(bytes.maketrans(b"+/", b"-_"))


def found(folder: Path, wanted: bytes) -> list[str]:
    """Return the names of the files below a folder that hold the bytes."""
    return sorted({path.name for path in folder.rglob("*") if _holds(path, wanted)})


def _holds(path: Path, wanted: bytes) -> bool:
    if not path.is_file():
        return False
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # The service renamed it meanwhile; once it has ended everything is looked through again.
        return False
    return any(form in content for form in forms(wanted))


def secrets_of(clinic: StaffedClinic, client: UUID) -> Secrets:
    """Read the client's keys from the files of the clinic, which may be served meanwhile."""
    paths = clinic.opened.paths
    provider = KeyFileProvider(paths.key_file)
    keyring = Keyring(paths.keyring, clinic.opened.keyring.deployment_id, provider, time.monotonic)
    with closing(keyring):
        data_key = keyring.current(client, KeyClass.RECORD).secret
    with closing(sqlite3.connect(paths.keyring)) as connection:
        asked = "SELECT wrapped FROM data_keys WHERE scope = ?"
        ((wrapped,),) = connection.execute(asked, (client.bytes,)).fetchall()
    (stored,) = json.loads(paths.key_file.read_bytes())["keys"].values()
    return Secrets(data_key, wrapped, base64.b64decode(stored))


def tell(caller: Caller, client: UUID) -> None:
    """Let the service know of the client whatever it may know, and refuse some of it."""
    status, headers = caller.call(Role.THERAPIST, "GET", f"/v1/clients/{client}")
    assert status == 200
    moved = {"address": "4 Canaddress Lane"}
    path = f"/v1/clients/{client}/identity"
    assert caller.call(Role.FRONT_DESK, "PATCH", path, moved, headers["ETag"])[0] == 200
    note = {"kind": "progress", "format": "free", "sections": {"text": "Cannote came on time."}}
    assert caller.call(Role.THERAPIST, "POST", f"/v1/clients/{client}/notes", note)[0] == 201
    draft = {**note, "sections": {"text": "Candraft is not signed."}}
    assert caller.call(Role.THERAPIST, "PUT", f"/v1/clients/{client}/notes/{uuid4()}/draft", draft)[0] in (200, 201)
    refused = {**note, "kind": "Canrefused"}
    assert caller.call(Role.THERAPIST, "POST", f"/v1/clients/{client}/notes", refused)[0] in (400, 422)
    for path in ("", "/timeline", "/notes/Canrefused"):
        caller.call(Role.THERAPIST, "GET", f"/v1/clients/{client}{path}")
    assert caller.call(Role.THERAPIST, "GET", "/v1/caseload")[0] == 200


def require_nothing(folder: Path, secrets: Secrets) -> None:
    """Hold every file below a folder to what an erasure promises."""
    for word in WORDS:
        assert found(folder, word.encode()) == [], word
    for name, secret in secrets._asdict().items():
        assert found(folder, secret) == [], name


def test_no_file_holds_a_word_or_a_key_of_who_was_erased(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    client = clinic.register(family="Canfamily", given="Cangiven")
    clinic.close()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    erasure = uuid4()
    with served(clinic.path, TMPDIR=str(temporary), WELLKEPT_LOG_LEVEL="debug") as service:
        caller = Caller(service, clinic.tokens)
        tell(caller, client)
        secrets = secrets_of(clinic, client)
        assert found(tmp_path, secrets.wrapped) == ["keyring.db"], "what is looked for is not there to begin with"
        assert found(tmp_path, secrets.keyring_key) == ["root.key"], "what is looked for is not there to begin with"
        assert "records.db-wal" in found(tmp_path, client.bytes), "what is written is not looked through"
        asked = {"id": str(erasure), "basis": "court-order"}
        path = f"/v1/clients/{client}/erasure"
        assert caller.call(Role.RECORDS_CLERK, "POST", path, asked)[0] == 201
        assert caller.call(Role.PRIVACY_OFFICER, "POST", f"{path}/{erasure}/approval", {})[0] == 201
        assert caller.call(Role.THERAPIST, "GET", f"/v1/clients/{client}")[0] == 410
        require_nothing(tmp_path, secrets)
        if sys.platform == "linux":
            limits = Path(f"/proc/{service.process.pid}/limits").read_text().splitlines()
            (core,) = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
            assert core == ["0", "0"], "a crash would write the memory into a file"
        assert service.stop() == 0
        require_nothing(tmp_path, secrets)
    with closing(open_clinic(clinic.path)) as left:
        check_store(left.store)
    require_nothing(tmp_path, secrets)
    assert run("verify", "--data", str(clinic.path)).exit_code == 0


@pytest.mark.parametrize("before", range(3))
def test_a_key_is_found_however_it_stands_in_a_file(tmp_path: Path, before: int) -> None:
    """The search itself: a key within a longer text in base64, as hex, or as it is."""
    secret = bytes(range(200, 232))
    (tmp_path / "text").write_bytes(base64.urlsafe_b64encode(b"x" * (before + 6) + secret + b"more"))
    (tmp_path / "hex").write_text(f"key={secret.hex().upper()}")
    (tmp_path / "raw").write_bytes(bytes(before) + secret + b"\0")
    assert found(tmp_path, secret) == ["hex", "raw", "text"]
