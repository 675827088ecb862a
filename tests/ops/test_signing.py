"""The signing thread and what it means for a service: signed within a second, whole at the end, red when it differs."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.keys.recovery_key import format_secret, parse_secret
from ops.serving.readiness import Readiness
from ops.serving.signing import WAITING_ENTRIES, Signing
from ops.wiring import Clinic, open_clinic
from records.epoch import genesis_fingerprint, parse_fingerprint
from records.errors import KeyMissing
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.running import add_user, data_of, init, run, served
from tests.waiting import until


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    made = make_clinic(tmp_path / "clinic")
    yield made
    made.opened.abandon()


def signing_of(clinic: Clinic, readiness: Readiness) -> Signing:
    assert clinic.signer is not None
    return Signing(clinic.signer, clinic.store, readiness.alarm)


def outside(clinic: Clinic, *statements: str) -> None:
    with closing(sqlite3.connect(clinic.paths.database, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def test_it_signs_within_a_second(clinic: StaffedClinic) -> None:
    signing = signing_of(clinic.opened, Readiness())
    signing.start()
    clinic.register()
    assert clinic.opened.signer is not None
    signer = clinic.opened.signer
    until(lambda: signer.lag() == (0, 0.0))
    signing.stop()


def test_many_entries_are_signed_without_waiting(clinic: StaffedClinic) -> None:
    signing = signing_of(clinic.opened, Readiness())
    signing.look()
    signing.look()
    client = clinic.register()
    for _ in range(WAITING_ENTRIES // 2):
        clinic.note(client)
        clinic.note(client)
    signing.look()
    assert clinic.opened.signer is not None
    assert clinic.opened.signer.lag()[0] == 0


def test_a_command_leaves_nothing_unsigned(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    add_user(tmp_path / "clinic", "therapist")
    clinic = open_clinic(tmp_path / "clinic", read_only=True)
    row = clinic.store.checkpoint()
    assert row is not None
    assert row.size == clinic.store.head().next_index
    clinic.abandon()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_that_ends_leaves_a_log_that_the_next_start_signs(tmp_path: Path, number: int) -> None:
    data = tmp_path / "clinic"
    init(data)
    with served(data) as service:
        add_user(data, "therapist")
        service.stop(number)
    clinic = open_clinic(data)
    assert clinic.signer is not None
    if number == signal.SIGTERM:
        assert clinic.signer.lag()[0] == 0
    clinic.signer.flush()
    assert clinic.signer.lag()[0] == 0
    clinic.close()


def test_what_was_altered_long_ago_turns_readiness_red(clinic: StaffedClinic) -> None:
    readiness = Readiness()
    client = clinic.register()
    clinic.note(client)
    assert clinic.opened.signer is not None
    clinic.opened.signer.turn_epoch()
    outside(
        clinic.opened,
        "UPDATE stored_events SET state = x'01' || state WHERE rowid = (SELECT max(rowid) FROM stored_events)",
    )
    signing = signing_of(clinic.opened, readiness)
    assert readiness.faults(clinic.opened) == ()
    deadline = time.monotonic() + 5
    while not (found := readiness.faults(clinic.opened)) and time.monotonic() < deadline:
        signing.look()
        readiness._until = 0.0
    assert found == ("integrity",)


def test_a_checkpoint_that_was_put_back_turns_readiness_red_and_signs_no_more(clinic: StaffedClinic) -> None:
    readiness = Readiness()
    assert clinic.opened.signer is not None
    clinic.opened.signer.flush()
    outside(clinic.opened, "DELETE FROM checkpoints WHERE size > 1")
    signing = signing_of(clinic.opened, readiness)
    signing.start()
    clinic.register()
    until(lambda: clinic.opened.signer is not None and clinic.opened.signer.stopped)
    assert readiness.faults(clinic.opened) == ("integrity",)
    signing.stop()
    assert [row.size for row in clinic.store.checkpoints()] == [1]


def test_a_start_on_a_log_that_is_not_the_signed_one_ends_with_3(tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    init(data)
    add_user(data, "administrator")
    clinic = open_clinic(data, read_only=True)
    outside(clinic, "DELETE FROM checkpoints")
    clinic.abandon()
    assert run("user", "list", "--data", str(data)).exit_code == 3


def test_a_signer_without_its_keys_ends_with_6_and_names_the_runbook(tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    founded = init(data)
    state = tmp_path / "clinic.keys" / "signer"
    for file in state.iterdir():
        file.unlink()
    ended = run("user", "list", "--data", str(data))
    assert (ended.exit_code, "recover-the-signer.md" in ended.stderr) == (6, True)
    paper = tmp_path / "paper"
    paper.write_text(founded["recovery"])
    data_of(run("declare-restore", "--data", str(data), "--recovery-key-file", str(paper), "--json"))
    assert run("user", "list", "--data", str(data)).exit_code == 0


def test_a_served_clinic_is_not_declared_restored(tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    founded = init(data)
    paper = tmp_path / "paper"
    paper.write_text(founded["recovery"])
    with served(data):
        assert run("declare-restore", "--data", str(data), "--recovery-key-file", str(paper)).exit_code == 5


def test_founding_tells_the_fingerprint_and_the_recovery_key_and_keeps_no_copy_of_it(tmp_path: Path) -> None:
    founded = init(tmp_path / "clinic")
    clinic = open_clinic(tmp_path / "clinic", read_only=True)
    assert parse_fingerprint(founded["fingerprint"]) == genesis_fingerprint(clinic.store.body(0) or b"")
    clinic.abandon()
    secret = parse_secret(founded["recovery"])
    for file in [*(tmp_path / "clinic").iterdir(), *(tmp_path / "clinic.keys").rglob("*")]:
        if file.is_file():
            held = file.read_bytes()
            assert secret not in held, file
            assert secret.hex().encode() not in held, file


def test_the_recovery_key_on_paper_is_read_back_and_slips_are_noticed() -> None:
    secret = bytes(range(100, 132))
    text = format_secret(secret)
    assert len(text.split(" ")) == 17
    assert parse_secret(text.replace(" ", "-").upper() + "\n") == secret
    for wrong in ("", text[:-5], text.replace("6", "7", 1), text + " 0000"):
        with pytest.raises(KeyMissing):
            parse_secret(wrong)


def test_what_the_signer_keeps_is_only_the_owners(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    folder = tmp_path / "clinic.keys" / "signer"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(file.name for file in folder.iterdir()) == ["epoch-0.key", "frontier", "log.key", "snapshot"]
    (folder / "log.key").chmod(0o644)
    assert run("doctor", "--data", str(tmp_path / "clinic")).exit_code == 6
