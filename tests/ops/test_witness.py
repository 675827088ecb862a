"""The witness as it runs: commands, HTTP on loopback, files, and every way in which a log could try to be two."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.exits import CommandFailed
from ops.settings import Bind
from ops.witness.folder import KnownLog, WitnessFolder
from ops.witness.server import AT_ONCE, MAX_BODY_BYTES, PATH, WitnessServer
from records.checkpoint import LogKey, log_verifier, verify_cosignature
from records.errors import ForkedLog, UnknownItem
from records.signed_note import encode_vkey, parse_note, parse_vkey
from records.witness import encode_request, parse_answer
from tests.ops.running import COMMAND, data_of, free_port, run
from tests.records.test_witness import request
from tests.signed_log import LOG, ORIGIN, checkpoint, signed

LOG_VKEY = encode_vkey(log_verifier(ORIGIN, LOG.public))
NAME = "witness.example/hill"
NOW = 1_772_500_000
ROOT = Path(__file__).parents[2]


def asked(old: int, new: int, fork_at: int | None = None) -> bytes:
    return encode_request(*request(old, new, fork_at))


def made(folder: Path) -> WitnessFolder:
    """Make a witness that knows the log."""
    WitnessFolder.create(folder, NAME, b"s" * 32)
    witness = WitnessFolder(folder, lambda: NOW)
    witness.add_log(LOG_VKEY)
    return witness


@pytest.fixture
def witness(tmp_path: Path) -> WitnessFolder:
    return made(tmp_path / "witness")


@contextlib.contextmanager
def listening(witness: WitnessFolder) -> Iterator[tuple[str, int]]:
    with WitnessServer(Bind("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield ("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def address(witness: WitnessFolder) -> Iterator[tuple[str, int]]:
    with listening(witness) as at:
        yield at


def post(address: tuple[str, int], body: bytes, path: str = PATH) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()


# --- over HTTP


def test_a_checkpoint_is_cosigned(address: tuple[str, int], witness: WitnessFolder) -> None:
    status, _, body = post(address, asked(0, 7))

    assert status == 200
    (line,) = parse_answer(body)
    assert verify_cosignature(parse_note(signed(7)), line, parse_vkey(witness.vkey)) == NOW
    assert witness.log_of(ORIGIN).size == 7
    assert post(address, asked(7, 9))[0] == 200


def test_another_beginning_is_answered_with_the_size_last_signed(address: tuple[str, int]) -> None:
    assert post(address, asked(0, 7))[0] == 200
    for body in (asked(0, 9), asked(3, 9), asked(0, 7)):
        assert post(address, body) == (409, "text/x.tlog.size", b"7\n")


def test_a_rollback_is_not_signed(address: tuple[str, int], witness: WitnessFolder) -> None:
    assert post(address, asked(0, 9))[0] == 200
    assert post(address, asked(0, 7)) == (409, "text/x.tlog.size", b"9\n")
    assert post(address, asked(4, 4)) == (409, "text/x.tlog.size", b"9\n")
    assert post(address, encode_request(9, [], signed(7)))[0] == 400
    assert witness.log_of(ORIGIN).size == 9


def test_a_fork_is_not_signed_and_its_evidence_is_kept(
    address: tuple[str, int], witness: WitnessFolder, tmp_path: Path
) -> None:
    assert post(address, asked(0, 7))[0] == 200
    assert post(address, asked(7, 9, fork_at=3))[0] == 422
    assert post(address, asked(7, 7, fork_at=3)) == (409, "text/x.tlog.size", b"7\n")
    assert witness.log_of(ORIGIN).root == checkpoint(7).root
    (kept,) = (tmp_path / "witness" / "forks").iterdir()
    assert kept.read_bytes() == asked(7, 7, fork_at=3)


def test_a_replay_is_signed_again_only_where_it_is_the_last(address: tuple[str, int]) -> None:
    assert post(address, asked(0, 7))[0] == 200
    assert post(address, asked(7, 7))[0] == 200
    assert post(address, asked(7, 9))[0] == 200
    assert post(address, asked(7, 9))[0] == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 0\n\nno note", 400),
        (asked(0, 7).replace(b"\n7\n", b"\n07\n"), 400),
        (asked(0, 7).replace(ORIGIN.encode() + b"\n7", b"wellkept/log/other\n7"), 404),
        (asked(0, 7).replace(b"\n7\n", b"\n8\n"), 403),
        (encode_request(8, [], signed(7)), 400),
        (encode_request(0, [bytes(32)], signed(7)), 422),
    ],
    ids=["empty", "no note", "no checkpoint", "unknown log", "not signed", "backwards", "needless proof"],
)
def test_whatever_is_wrong_has_its_status_and_leaves_nothing(
    address: tuple[str, int], witness: WitnessFolder, body: bytes, status: int
) -> None:
    assert post(address, body)[0] == status
    assert witness.log_of(ORIGIN).size == 0


def test_what_is_not_asked_properly_is_not_read(address: tuple[str, int]) -> None:
    assert post(address, asked(0, 7), "/other")[0] == 404
    connection = http.client.HTTPConnection(*address, timeout=20)
    for method, path, headers, status in (
        ("GET", PATH, {}, 405),
        ("GET", "/", {}, 404),
        ("POST", PATH, {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413),
        ("POST", PATH, {"Content-Length": "-1"}, 411),
        ("POST", PATH, {"Content-Length": "5", "Transfer-Encoding": "chunked"}, 411),
    ):
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"")
    connection.close()


def test_a_connection_carries_several_requests(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=20)
    with contextlib.closing(connection):
        for body, status in ((asked(0, 3), 200), (asked(0, 4), 409), (asked(3, 4), 200)):
            connection.request("POST", PATH, body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status


class SlowToKeep(WitnessFolder):
    """A witness on a slow disk, so that requests meet between judging and keeping."""

    def keep(self, origin: str, known: KnownLog) -> None:
        time.sleep(0.05)
        super().keep(origin, known)


def test_of_requests_at_once_those_that_are_signed_form_one_history(tmp_path: Path) -> None:
    made(tmp_path / "witness")
    witness = SlowToKeep(tmp_path / "witness", lambda: NOW)
    sizes = list(range(4, 12)) * 2
    with listening(witness) as address, ThreadPoolExecutor(8) as pool:
        assert post(address, asked(0, 3))[0] == 200
        answers = list(pool.map(lambda size: (size, *post(address, asked(3, size))), sizes))

    signed_sizes = [size for size, status, _, _ in answers if status == 200]
    # Whoever comes first is signed, and all others begin from what is no longer the last.
    assert signed_sizes == [witness.log_of(ORIGIN).size]
    assert {status for _, status, _, _ in answers} == {200, 409}


def test_more_connections_than_places_are_closed_and_the_witness_lives(address: tuple[str, int]) -> None:
    idle = [http.client.HTTPConnection(*address, timeout=20) for _ in range(AT_ONCE)]
    for connection in idle:
        connection.connect()
        connection.putrequest("POST", PATH)
    with pytest.raises((http.client.HTTPException, OSError)):
        post(address, asked(0, 7))
    for connection in idle:
        connection.close()
    deadline = threading.Event()
    for _ in range(200):
        with contextlib.suppress(http.client.HTTPException, OSError):
            if post(address, asked(0, 7))[0] == 200:
                return
        deadline.wait(0.05)
    raise AssertionError("the places were not given back")


@pytest.mark.parametrize("host", ["0.0.0.0", "8.8.8.8", "::", "2a00::1"])  # noqa: S104 - refused before it is bound
def test_an_address_for_all_the_world_is_refused(witness: WitnessFolder, host: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        WitnessServer(Bind(host, 0), witness)
    assert caught.value.code == 2


# --- what is kept


def test_its_files_are_its_own(tmp_path: Path, witness: WitnessFolder) -> None:
    witness.add_checkpoint(asked(0, 7))
    folder = tmp_path / "witness"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not list(folder.rglob("*.new"))


def test_it_goes_on_where_it_was(tmp_path: Path, witness: WitnessFolder) -> None:
    witness.add_checkpoint(asked(0, 7))
    again = WitnessFolder(tmp_path / "witness", lambda: NOW)

    assert (again.vkey, again.log_of(ORIGIN).size) == (witness.vkey, 7)
    with pytest.raises(ForkedLog):
        again.add_checkpoint(asked(7, 7, fork_at=3))


KILLED_AFTER_KEEPING = """
import os, pathlib, sys
from ops.witness.folder import WitnessFolder

class Dying(WitnessFolder):
    def keep(self, origin, known):
        if sys.argv[2] == "before":
            os._exit(9)
        super().keep(origin, known)
        os._exit(9)

Dying(pathlib.Path(sys.argv[1]), lambda: 1).add_checkpoint(sys.stdin.buffer.read())
"""


@pytest.mark.parametrize(("moment", "size"), [("before", 0), ("after", 7)])
def test_a_kill_between_keeping_and_answering_signs_no_second_history(
    tmp_path: Path, witness: WitnessFolder, moment: str, size: int
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_KEEPING, str(tmp_path / "witness"), moment],
        input=asked(0, 7),
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert killed.returncode == 9
    assert witness.log_of(ORIGIN).size == size
    if size:
        # The answer was lost: the same checkpoint is signed again, and no other of that size.
        with pytest.raises(ForkedLog):
            witness.add_checkpoint(asked(7, 7, fork_at=3))
        assert witness.add_checkpoint(asked(7, 7)).name == NAME
    else:
        assert witness.add_checkpoint(asked(0, 7)).name == NAME


def test_a_state_that_cannot_be_read_signs_nothing(
    address: tuple[str, int], witness: WitnessFolder, tmp_path: Path
) -> None:
    assert post(address, asked(0, 7))[0] == 200
    (kept,) = (tmp_path / "witness" / "logs").iterdir()
    kept.write_bytes(b"{")

    assert post(address, asked(0, 7))[0] == 500
    assert post(address, asked(7, 9))[0] == 500


# --- commands and files


def test_a_request_goes_out_and_its_cosignature_comes_back_as_files(tmp_path: Path) -> None:
    folder, stick = str(tmp_path / "witness"), tmp_path / "stick"
    stick.mkdir()
    vkey = data_of(run("witness", "init", "--dir", folder, "--name", NAME, "--json"))["vkey"]
    assert data_of(run("witness", "add-log", "--dir", folder, LOG_VKEY, "--json")) == {"origin": ORIGIN, "size": 0}
    (stick / "request").write_bytes(asked(0, 7))

    done = run("witness", "cosign", "--dir", folder, str(stick / "request"), "-o", str(stick / "answer"), "--json")
    assert data_of(done)["witness"] == NAME
    (line,) = parse_answer((stick / "answer").read_bytes())
    verify_cosignature(parse_note(signed(7)), line, parse_vkey(vkey))

    (stick / "answer").unlink()
    again = run("witness", "cosign", "--dir", folder, str(stick / "request"), "-o", str(stick / "answer"))
    assert (again.exit_code, (stick / "answer").exists()) == (1, False)
    assert "--old 7" in again.stderr
    (stick / "request").write_bytes(asked(7, 9, fork_at=3))
    forked = run("witness", "cosign", "--dir", folder, str(stick / "request"), "-o", str(stick / "answer"))
    assert (forked.exit_code, (stick / "answer").exists()) == (3, False)


def test_commands_end_with_their_codes(tmp_path: Path) -> None:
    folder = str(tmp_path / "witness")
    assert run("witness", "serve", "--dir", folder).exit_code == 4
    assert run("witness", "init", "--dir", folder, "--name", "two words").exit_code == 1
    assert run("witness", "init", "--dir", folder, "--name", NAME).exit_code == 0
    assert run("witness", "init", "--dir", folder, "--name", NAME).exit_code == 1
    assert run("witness", "add-log", "--dir", folder, "nonsense").exit_code == 3
    assert run("witness", "add-log", "--dir", folder, LOG_VKEY).exit_code == 0
    other = encode_vkey(log_verifier(ORIGIN, LogKey(b"o" * 32).public))
    assert run("witness", "add-log", "--dir", folder, other).exit_code == 1
    assert run("witness", "serve", "--dir", folder, "--bind", "8.8.8.8:1").exit_code == 2
    (tmp_path / "large").write_bytes(bytes(MAX_BODY_BYTES + 1))
    assert run("witness", "cosign", "--dir", folder, str(tmp_path / "large"), "-o", folder).exit_code == 3


def test_a_log_that_it_was_not_told_of_is_unknown(tmp_path: Path) -> None:
    WitnessFolder.create(tmp_path / "witness", NAME, b"s" * 32)
    with pytest.raises(UnknownItem):
        WitnessFolder(tmp_path / "witness", lambda: NOW).add_checkpoint(asked(0, 7))


def test_it_serves_in_a_process_of_its_own_until_it_is_told_to_stop(tmp_path: Path) -> None:
    made(tmp_path / "witness")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")}
    process = subprocess.Popen(
        [*COMMAND, "witness", "serve", "--dir", str(tmp_path / "witness"), "--bind", f"127.0.0.1:{port}", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"] == f"http://127.0.0.1:{port}"
        assert post(("127.0.0.1", port), asked(0, 7))[0] == 200
        assert post(("127.0.0.1", port), asked(0, 9))[0] == 409
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert process.returncode == 0
    assert [line["code"] for line in lines] == ["witness.starting", "witness.signed", "witness.refused"]
