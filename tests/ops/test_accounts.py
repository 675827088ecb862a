"""Accounts and tokens by command: what is printed works at the door, and what is closed stops at once."""

from __future__ import annotations

import base64
import json
import os
import pwd
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from ops.wiring import now, open_clinic
from records.actors import Actor, Role
from records.event import StreamKind
from records.one_time_code import code_at
from records.registration import Identity, register_client
from records.request import Request
from tests.ops.running import add_user, data_of, init, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    init(tmp_path / "clinic")
    return tmp_path / "clinic"


def signed_in(data: Path, token: str) -> Actor | None:
    with closing(open_clinic(data)) as clinic:
        return clinic.service.authenticate(token, "local")


def test_a_token_that_was_printed_signs_in(data: Path) -> None:
    user, token = add_user(data, "therapist")
    assert token.startswith("wk_")
    assert len(token) == 46
    actor = signed_in(data, token)
    assert actor is not None
    assert (actor.id, actor.role) == (user, "therapist")


def test_plain_output_is_the_id_and_the_token_alone(data: Path) -> None:
    added = run("user", "add", "--data", str(data), "--name", "Bo", "--role", "front_desk")
    issued = run("token", "issue", added.stdout.strip(), "--data", str(data), "--days", "2")
    assert len(added.stdout.splitlines()) == len(issued.stdout.splitlines()) == 1
    assert signed_in(data, issued.stdout.strip()) is not None
    assert issued.stdout.strip() not in issued.stderr


def test_the_list_shows_accounts_and_good_tokens_and_never_a_token(data: Path) -> None:
    user, token = add_user(data, "supervisor", "Ida Quillowby")
    result = run("user", "list", "--data", str(data), "--json")
    (account,) = data_of(result)
    assert (account["id"], account["name"], account["role"], account["disabled"]) == (
        user,
        "Ida Quillowby",
        "supervisor",
        False,
    )
    assert len(account["tokens"]) == 1
    assert token not in result.stdout


def test_a_disabled_account_signs_nobody_in(data: Path) -> None:
    user, token = add_user(data, "therapist")
    assert data_of(run("user", "disable", user, "--data", str(data), "--json"))["disabled"] is True
    assert signed_in(data, token) is None
    assert run("token", "issue", user, "--data", str(data)).exit_code == 1


def test_another_role_holds_at_once_and_the_audit_tells_who_gave_it(data: Path) -> None:
    user, token = add_user(data, "front_desk", "Ida Quillowby")
    changed = run("user", "role", user, "--role", "therapist", "--data", str(data), "--json")
    assert data_of(changed) == {"id": user, "role": "therapist"}
    actor = signed_in(data, token)
    assert actor is not None
    assert actor.role is Role.THERAPIST
    told = run("audit", "--data", str(data), "--source", "changes").stdout
    assert f"operator:{pwd.getpwuid(os.getuid()).pw_name} gave Ida Quillowby the role of therapist on " in told
    assert run("user", "role", str(uuid4()), "--role", "therapist", "--data", str(data)).exit_code == 1


def test_a_revoked_token_signs_nobody_in(data: Path) -> None:
    user, token = add_user(data, "therapist")
    (account,) = data_of(run("user", "list", "--data", str(data), "--json"))
    assert run("token", "revoke", account["tokens"][0]["id"], "--data", str(data)).exit_code == 0
    assert signed_in(data, token) is None
    _, second = user, data_of(run("token", "issue", user, "--data", str(data), "--json"))["token"]
    assert signed_in(data, second) is not None


def test_a_command_acts_as_the_account_of_its_token(data: Path, tmp_path: Path) -> None:
    administrator, token = add_user(data, "administrator")
    file = tmp_path / "token"
    file.write_text(token + "\n")
    arguments = ("user", "add", "--data", str(data), "--name", "Bo", "--role", "therapist", "--json")
    added = UUID(data_of(run(*arguments, WELLKEPT_TOKEN_FILE=str(file)))["id"])
    with closing(open_clinic(data)) as clinic:
        (created,) = clinic.service.mapper.open(StreamKind.STAFF, added, clinic.store.history(added))
    assert created.event.entered_by == administrator


def test_without_a_token_the_system_user_acts_as_operator(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    user = UUID(add_user(data, "therapist")[0])
    with closing(open_clinic(data)) as clinic:
        created = clinic.service.mapper.open(StreamKind.STAFF, user, clinic.store.history(user))[0]
    assert created.event.entered_by == f"operator:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_role_that_may_not_is_refused_with_the_permission_code(data: Path, tmp_path: Path) -> None:
    _, token = add_user(data, "therapist")
    file = tmp_path / "token"
    for text in (token, "wk_nobody"):
        file.write_text(text)
        for arguments in (["user", "list"], ["user", "add", "--name", "Bo", "--role", "therapist"]):
            result = run(*arguments, "--data", str(data), WELLKEPT_TOKEN_FILE=str(file))
            assert result.exit_code == 6
            assert result.stdout == ""
            assert text not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["token", "issue", "not-an-id"], 1),
        (["token", "issue", "5b3f7f1e-52a5-4a4b-8a1e-4a1d6f6f0c11"], 1),
        (["token", "revoke", "5b3f7f1e-52a5-4a4b-8a1e-4a1d6f6f0c11"], 1),
        (["user", "disable", "5b3f7f1e-52a5-4a4b-8a1e-4a1d6f6f0c11"], 1),
        (["user", "totp", "5b3f7f1e-52a5-4a4b-8a1e-4a1d6f6f0c11", "--yes"], 1),
        (["user", "reviewer", "5b3f7f1e-52a5-4a4b-8a1e-4a1d6f6f0c11"], 1),
        (["user", "add", "--name", " ", "--role", "therapist"], 1),
        (["user", "add", "--name", "Bo", "--role", "operator"], 2),
        (["token", "issue", "x", "--days", "0"], 2),
    ],
)
def test_what_cannot_be_done_says_so(data: Path, arguments: list[str], code: int) -> None:
    result = run(*arguments, "--data", str(data))
    assert result.exit_code == code
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_no_token_and_no_name_is_on_the_disk(data: Path) -> None:
    _, token = add_user(data, "therapist", "Zacanary Quillowby")
    for folder in (data, data.with_name("clinic.keys")):
        for file in folder.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert token.encode() not in content
            assert b"Zacanary" not in content
            assert json.dumps(token).encode() not in content


def test_a_second_factor_is_told_once_and_its_codes_open_an_emergency(data: Path) -> None:
    user, _ = add_user(data, "therapist")
    uri = run("user", "totp", user, "--data", str(data), "--yes").stdout.strip()
    told = parse_qs(urlsplit(uri).query)
    secret = base64.b32decode(told["secret"][0] + "=" * (-len(told["secret"][0]) % 8))
    assert (uri.partition("?")[0].split("/")[2], told["digits"], told["period"]) == ("totp", ["6"], ["30"])
    with closing(open_clinic(data)) as clinic:
        request = Request(Actor(user, Role.THERAPIST), "request")
        client, access = uuid4(), uuid4()
        clinic.service.transact(client, register_client, request, identity=Identity(family="Marsh"))
        clinic.emergency.grant(client, access, "crisis", code_at(secret, now()), request)
        clinic.service.follow()
        assert access in clinic.service.directory.staff[UUID(user)].grants
    on_disk = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert secret not in on_disk
    assert told["secret"][0].encode() not in on_disk


def test_only_who_may_review_is_named_as_the_second_reviewer(data: Path) -> None:
    lead, _ = add_user(data, "supervisor")
    desk, _ = add_user(data, "front_desk")
    assert data_of(run("user", "reviewer", lead, "--data", str(data), "--json"))["second_reviewer"] is True
    assert run("user", "reviewer", desk, "--data", str(data)).exit_code == 1
    with closing(open_clinic(data)) as clinic:
        assert clinic.service.directory.clinic.policy.second_reviewer == lead
