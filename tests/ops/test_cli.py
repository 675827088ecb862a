"""The command line's own promises: every command speaks JSON, and every end has its code and one sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from ops.cli import COMMANDS, cli
from ops.data_format import NotInitialised
from ops.exits import CommandFailed, exit_code, sentence
from ops.settings import SettingsError
from records.errors import (
    ClinicLocked,
    ConsentMissing,
    InvalidContent,
    KeyMissing,
    LedgerMismatch,
    NotPermitted,
    NotStored,
    OutcomeUnknown,
    SealBroken,
    UnknownItem,
)
from records.store.sqlite import SqliteStore
from tests.ops.running import COMMAND, init, run


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with its path; a group may do something by itself, too."""
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield path, command
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


LEAVES = dict(leaves(cli))


def test_the_commands_are_those_of_the_contract() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "init",
        "demo",
        "demo tamper",
        "verify",
        "bundle",
        "backup",
        "restore",
        "move-in",
        "serve",
        "user add",
        "user list",
        "user disable",
        "user role",
        "user totp",
        "user reviewer",
        "token issue",
        "token revoke",
        "load",
        "rebuild",
        "audit",
        "genesis",
        "checkpoint",
        "declare-clock",
        "declare-restore",
        "doctor",
        "upgrade",
        "config",
        "openapi",
        "witness init",
        "witness add-log",
        "witness serve",
        "witness cosign",
        "witness request",
        "witness accept",
        "witness submit",
        "patterns",
        "retention due",
        "retention profile",
        "spot-checks draw",
        "spot-checks list",
        "spot-checks decide",
        "disclosures letter",
        "erase request",
        "erase approve",
        "erase withdraw",
        "erase certificate",
        "erase check",
        "erase purge",
        "erase status",
        "export",
        "disclose",
        "import",
        "user ties",
        "bench",
        "keys list",
        "keys rotate",
    }
    assert len(COMMANDS) == 32


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_takes_json_and_help_and_no_secret(path: tuple[str, ...]) -> None:
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert "--json" in options
    assert not [option for option in options if any(word in option for word in ("token", "pass", "secret", "url"))]
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert LEAVES[path].help is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a setting"), 2),
        (NotInitialised("nothing here"), 4),
        (ClinicLocked("held"), 5),
        (KeyMissing("a key"), 6),
        (NotPermitted("role"), 6),
        (PermissionError(13, "canary"), 6),
        (LedgerMismatch("rows and ledger", 7), 3),
        (SealBroken("a seal"), 3),
        (NotStored("no"), 1),
        (OutcomeUnknown("maybe"), 1),
        (ConsentMissing("treatment"), 1),
        (InvalidContent("/days", "Lies in the past."), 1),
        (UnknownItem("account"), 1),
        (FileExistsError(17, "canary"), 1),
        (OSError(28, "No space left on device", "canary"), 1),
        (CommandFailed(5, "elsewhere"), 5),
        (ValueError("canary"), 1),
    ],
)
def test_every_error_has_its_code_and_one_sentence(error: Exception, code: int) -> None:
    assert exit_code(error) == code
    said = sentence(error)
    assert said.endswith(".")
    assert "canary" not in said
    assert "\n" not in said


def test_usage_is_2(tmp_path: Path) -> None:
    assert run("paint").exit_code == 2
    assert run("init").exit_code == 2
    assert run("user", "add", "--data", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("arguments", [["user", "list"], ["doctor"], ["serve"], ["rebuild"], ["audit"]])
def test_no_clinic_is_4_and_nothing_is_made(tmp_path: Path, arguments: list[str]) -> None:
    result = run(*arguments, "--data", str(tmp_path / "clinic"))
    assert result.exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_a_broken_log_is_3(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    database = tmp_path / "clinic" / "records.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as outside:
        outside.execute("DROP TRIGGER events_stand")
        outside.execute("UPDATE stored_events SET state = x'01'")
    result = run("user", "list", "--data", str(tmp_path / "clinic"))
    assert result.exit_code == 3
    assert "Traceback" not in result.stderr


def test_a_log_that_another_process_holds_is_5(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    store = SqliteStore(tmp_path / "clinic" / "records.db", lambda: 0)
    try:
        result = run("user", "add", "--data", str(tmp_path / "clinic"), "--name", "Bo", "--role", "therapist")
    finally:
        store.close()
    assert result.exit_code == 5
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_key_is_6(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    (tmp_path / "clinic.keys" / "root.key").unlink()
    assert run("user", "list", "--data", str(tmp_path / "clinic")).exit_code == 6


def test_a_process_of_its_own_ends_with_the_code_and_asks_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")}
    ended = subprocess.run(
        [*COMMAND, "user", "disable", "nobody", "--data", str(tmp_path / "none")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert ended.returncode == 4
    assert ended.stdout == b""
    assert ended.stderr == b"wellkept: there is no clinic here; `wellkept init` makes one.\n"


def test_an_alarm_of_a_command_goes_to_stderr_as_a_line_and_never_into_the_data(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    with closing(sqlite3.connect(tmp_path / "clinic" / "records.db", isolation_level=None)) as outside:
        outside.execute("DROP TRIGGER events_stand")
        outside.execute("UPDATE stored_events SET state = x'01'")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")}
    ended = subprocess.run(
        [*COMMAND, "user", "list", "--data", str(tmp_path / "clinic"), "--json"],
        env=environment,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    alarm, said = ended.stderr.decode().splitlines()
    assert (ended.returncode, ended.stdout) == (3, b"")
    assert '"code": "alarm.seal-broken"' in alarm
    assert said.startswith("wellkept: ")
