"""The control socket: commands reach the service that holds the log, and the kernel says who asks."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops import control, desk
from ops.control import ControlServer
from ops.wiring import Clinic, open_clinic
from records.event import StreamKind
from tests.ops.running import add_user, data_of, init, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    # Longer than the address of a socket may be: the server and the command must both find a way.
    folder = tmp_path / ("a-long-name-" * 8)
    folder.mkdir()
    init(folder / "clinic")
    return folder / "clinic"


@pytest.fixture
def clinic(data: Path) -> Iterator[Clinic]:
    opened = open_clinic(data)
    yield opened
    opened.close()


@pytest.fixture
def server(data: Path, clinic: Clinic) -> Iterator[ControlServer]:
    listening = ControlServer(data, partial(desk.do, clinic))
    yield listening
    listening.close()


@pytest.mark.usefixtures("server")
def test_commands_go_through_the_service_that_holds_the_log(data: Path, clinic: Clinic) -> None:
    user, token = add_user(data, "therapist")
    actor = clinic.service.authenticate(token, "local")
    assert actor is not None
    assert actor.id == user
    assert [row["id"] for row in data_of(run("user", "list", "--data", str(data), "--json"))] == [user]
    recorded = clinic.service.mapper.open(StreamKind.STAFF, UUID(user), clinic.store.history(UUID(user)))
    assert recorded[0].event.entered_by == f"operator:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.mark.usefixtures("server")
def test_a_refusal_comes_back_with_its_code_and_sentence(data: Path, tmp_path: Path) -> None:
    _, token = add_user(data, "therapist")
    file = tmp_path / "token"
    file.write_text(token)
    result = run("user", "list", "--data", str(data), WELLKEPT_TOKEN_FILE=str(file))
    assert result.exit_code == 6
    # The service runs in this process too, so its log is on the same stderr.
    assert result.stderr.splitlines()[-1] == "wellkept: this account may not do that."
    assert run("token", "issue", "nobody", "--data", str(data)).exit_code == 1


@pytest.mark.usefixtures("server")
def test_the_socket_is_the_owners_alone(data: Path) -> None:
    assert stat.S_IMODE((data / control.NAME).stat().st_mode) == 0o600


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b'{"duty": "user.list"}\n', b"\xff\n", b""])
def test_what_is_no_request_gets_no_answer_and_does_no_harm(data: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as link, control._short_path(data / control.NAME) as address:
        link.connect(address)
        link.sendall(sent)
        link.shutdown(socket.SHUT_WR)
        assert link.recv(100) == b""
    assert data_of(run("user", "list", "--data", str(data), "--json")) == []


def test_a_duty_that_does_not_exist_is_refused(data: Path, server: ControlServer) -> None:
    with pytest.raises(control.CommandFailed) as caught:
        control.ask(data, "everything.delete", {}, None, lambda _done, _of: None, [].append)
    assert caught.value.code == 1
    assert control.answers(data)
    server.close()
    assert not control.answers(data)


def test_a_socket_that_a_killed_service_left_is_replaced(data: Path, clinic: Clinic) -> None:
    left = socket.socket(socket.AF_UNIX)
    with control._short_path(data / control.NAME) as address:
        left.bind(address)
    left.close()
    assert run("user", "list", "--data", str(data)).exit_code == 5
    server = ControlServer(data, partial(desk.do, clinic))
    assert run("user", "list", "--data", str(data)).exit_code == 0
    server.close()
    assert not (data / control.NAME).exists()


def test_progress_and_the_pieces_of_a_file_reach_the_command(data: Path) -> None:
    def slow(duty: str, arguments: dict[str, Any], token: str | None, user: int, progress: Any, take: Any) -> Any:
        progress(1, 2)
        take(b"x" * (control.PIECE_BYTES + 1))
        progress(2, 2)
        take(b"y")
        return {"duty": duty, "arguments": arguments, "user": user}

    server = ControlServer(data, slow)
    told: list[tuple[int, int]] = []
    taken: list[bytes] = []
    try:
        answer = control.ask(data, "load", {"path": "x"}, None, lambda done, of: told.append((done, of)), taken.append)
    finally:
        server.close()
    assert told == [(1, 2), (2, 2)]
    assert [len(each) for each in taken] == [control.PIECE_BYTES, 1, 1]
    assert b"".join(taken) == b"x" * (control.PIECE_BYTES + 1) + b"y"
    assert answer == {"duty": "load", "arguments": {"path": "x"}, "user": os.getuid()}
