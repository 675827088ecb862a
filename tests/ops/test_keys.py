"""Keys by command: what is listed is what is there, and a served clinic goes on while its keys turn."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import Clinic, open_clinic
from records.actors import Actor, Role
from records.ledger import KeyClass, decode_entry
from records.registration import Identity, IdentityChanges, change_identity, register_client
from records.request import Request
from records.store.unit import CreatedKey, Unit
from tests.ops.running import add_user, data_of, init, run, served


@pytest.fixture
def data(tmp_path: Path) -> Path:
    init(tmp_path / "clinic")
    return tmp_path / "clinic"


def listed(data: Path) -> Any:
    return data_of(run("keys", "list", "--data", str(data), "--json"))


def register(clinic: Clinic, user: str, count: int = 1) -> list[UUID]:
    clients = [uuid4() for _ in range(count)]
    for client in clients:
        request = Request(Actor(user, Role.THERAPIST), str(uuid4()))
        clinic.service.transact(client, register_client, request, identity=Identity(family="Marsh"))
    return clients


def rename(clinic: Clinic, user: str, client: UUID) -> None:
    version = clinic.service.client(client).identity_version
    request = Request(Actor(user, Role.THERAPIST), str(uuid4()), if_match=version)
    clinic.service.transact(client, change_identity, request, changes=IdentityChanges(family=f"Marsh {version}"))


def verified(data: Path) -> str:
    status: str = json.loads(run("verify", "--data", str(data), "--json").stdout)["status"]
    return status


def counts(told: Any) -> dict[tuple[str, int, int], int]:
    assert not any(key["waits"] for key in told["keys"])
    return {(key["class"], key["version"], key["generation"]): key["count"] for key in told["keys"]}


def test_the_list_tells_what_there_is_and_no_key(data: Path) -> None:
    user, _ = add_user(data, "therapist")
    with closing(open_clinic(data)) as clinic:
        clients = register(clinic, user, 3)
        clinic.keyring.destroy(clients[0], uuid4(), 17)
        secrets = [clinic.keyring.current(client, KeyClass.RECORD) for client in clients[1:]]

    told = listed(data)
    assert (told["generation"], told["generations"]) == (1, [1])
    assert counts(told) == {
        ("record", 1, 1): 2,
        ("clinic", 1, 1): 1,
        ("service", 1, 1): 1,
    }
    assert told["destroyed"] == [{"class": "record", "count": 1}]
    assert told["signer"] == [{"generation": 1, "count": 2}]
    shown = run("keys", "list", "--data", str(data)).stdout
    assert "record" in shown
    for key in secrets:
        assert key.secret.hex() not in shown + json.dumps(told)
        assert key.key_id.hex() not in shown + json.dumps(told)


def test_a_turn_keeps_every_record_and_the_log_verifies(data: Path) -> None:
    user, _ = add_user(data, "therapist")
    with closing(open_clinic(data)) as clinic:
        (client,) = register(clinic, user)
    before = verified(data)

    told = data_of(run("keys", "rotate", "--data", str(data), "--json"))
    assert (told["generation"], told["generations"], told["destroyed"]) == (2, [1, 2], [])
    ended = run("keys", "rotate", "--data", str(data), "--destroy-old", "--yes", "--json")
    assert data_of(ended)["destroyed"] == [1]
    assert "no copy of the keyring" in ended.stderr
    assert data_of(run("keys", "rotate", "--data", str(data), "--destroy-old", "--yes", "--json"))["generations"] == [3]
    told = listed(data)
    assert {generation for _, _, generation in counts(told)} == {3}
    assert told["signer"] == [{"generation": 3, "count": 2}]
    with closing(open_clinic(data)) as clinic:
        assert clinic.service.client(client).exists
        register(clinic, user)
    assert verified(data) == before


def test_new_events_take_the_turned_key_and_old_ones_open(data: Path) -> None:
    user, _ = add_user(data, "therapist")
    with closing(open_clinic(data)) as clinic:
        clients = register(clinic, user, 2)
        old = {client: clinic.keyring.current(client, KeyClass.RECORD) for client in clients}
    before = verified(data)

    assert data_of(run("keys", "rotate", "--data", str(data), "--data-keys", "record", "--yes", "--json")) == {
        "class": "record",
        "count": 2,
    }
    assert data_of(run("keys", "rotate", "--data", str(data), "--data-keys", "clinic", "--yes", "--json"))["count"] == 1
    add_user(data, "supervisor")
    with closing(open_clinic(data)) as clinic:
        rename(clinic, user, clients[0])
        new = clinic.keyring.current(clients[0], KeyClass.RECORD)
        rows = clinic.store.history(clients[0], 0)
        assert [decode_entry(row.entry).key_id for row in rows] == [old[clients[0]].key_id, new.key_id]
        named = [decode_entry(raw).key_id for _, raw in clinic.store.key_entries()]
        assert len(set(named)) == len(named)
        assert new.key_id in named
        assert sorted(clinic.service.reader.clients()) == sorted(clients), "no client is listed twice"
    told = counts(listed(data))
    assert (told["record", 1, 1], told["record", 2, 1], told["clinic", 2, 1]) == (2, 2, 1)
    assert verified(data) == before


def test_keys_that_wait_since_a_crash_are_named_once(data: Path) -> None:
    user, _ = add_user(data, "therapist")
    with closing(open_clinic(data)) as clinic:
        clients = register(clinic, user, 2)

        def crash(keys: Any, waited: bool) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            clinic.keyring.turn(clients[0], KeyClass.RECORD, crash)

        def crash_after(keys: Any, waited: bool) -> None:
            clinic.store.commit(Unit(keys=tuple(CreatedKey(*key, KeyClass.RECORD) for key in keys)))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            clinic.keyring.turn(clients[1], KeyClass.RECORD, crash_after)
    assert [key for key in listed(data)["keys"] if key["waits"]] == [
        {"class": "record", "version": 2, "generation": 1, "waits": True, "count": 2}
    ]
    before = verified(data)

    assert run("keys", "rotate", "--data", str(data), "--data-keys", "record", "--yes").exit_code == 0
    with closing(open_clinic(data)) as clinic:
        named = [decode_entry(raw).key_id for _, raw in clinic.store.key_entries()]
        assert len(set(named)) == len(named)
        rename(clinic, user, clients[1])
    assert counts(listed(data))["record", 2, 1] == 2
    assert verified(data) == before


def test_a_dry_run_changes_nothing(data: Path) -> None:
    before = [(file, file.read_bytes()) for file in sorted(data.with_name("clinic.keys").rglob("*")) if file.is_file()]
    foreseen = data_of(run("keys", "rotate", "--data", str(data), "--destroy-old", "--dry-run", "--json"))
    assert (foreseen["would_destroy"], foreseen["keys"]) == ([1], 2)
    assert data_of(run("keys", "rotate", "--data", str(data), "--data-keys", "clinic", "--dry-run", "--json")) == {
        "dry_run": True,
        "class": "clinic",
        "count": 1,
    }
    assert before == [(file, file.read_bytes()) for file, _ in before]
    assert listed(data)["generations"] == [1]


def test_a_copy_is_verified_by_a_turn_of_a_copy_of_it(data: Path, tmp_path: Path) -> None:
    check, keys = tmp_path / "check", tmp_path / "check.keys"
    for folder, of, names in (
        (check, data, ["FORMAT", "deployment"]),
        (keys, data.with_name("clinic.keys"), ["root.key", "keyring.db"]),
    ):
        folder.mkdir()
        for name in names:
            shutil.copy(of / name, folder / name)
    assert run("keys", "rotate", "--data", str(check)).exit_code == 0

    with closing(sqlite3.connect(keys / "keyring.db", isolation_level=None)) as outside:
        outside.execute("UPDATE data_keys SET wrapped = zeroblob(104) WHERE key_class = 5")
    assert run("keys", "rotate", "--data", str(check)).exit_code == 6


def test_nothing_is_destroyed_unless_somebody_says_yes(data: Path) -> None:
    refused = run("keys", "rotate", "--data", str(data), "--destroy-old")
    assert refused.exit_code == 2
    assert "verify" in refused.stderr
    assert listed(data)["generations"] == [1]
    for arguments in (["--data-keys", "record", "--destroy-old"], ["--data-keys", "record", "--keyring"]):
        assert run("keys", "rotate", "--data", str(data), *arguments, "--yes").exit_code == 2
    assert run("keys", "rotate", "--data", str(data), "--data-keys", "audit_year", "--yes").exit_code == 2


def test_who_may_not_turn_keys_is_refused(data: Path, tmp_path: Path) -> None:
    _, token = add_user(data, "therapist")
    (tmp_path / "token").write_text(token)
    refused = run(
        "keys",
        "rotate",
        "--data",
        str(data),
        "--data-keys",
        "clinic",
        "--yes",
        WELLKEPT_TOKEN_FILE=str(tmp_path / "token"),
    )
    assert refused.exit_code == 6
    assert counts(listed(data))["clinic", 1, 1] == 1


def test_a_served_clinic_goes_on_while_its_keys_turn(data: Path) -> None:
    _, token = add_user(data, "front_desk")
    officer, _ = add_user(data, "therapist")
    with closing(open_clinic(data)) as clinic:
        register(clinic, officer, 3)
    before = verified(data)
    answers: list[int] = []
    over = threading.Event()
    with served(data) as service:

        def ask() -> None:
            while not over.is_set():
                answers.append(service.request("/v1/clients", token, Purpose_Of_Use="TREAT")[0])

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for arguments in (
                ["--data-keys", "record", "--yes"],
                ["--keyring"],
                ["--destroy-old", "--yes"],
                ["--data-keys", "clinic", "--yes"],
                ["--destroy-old", "--yes"],
            ):
                assert run("keys", "rotate", "--data", str(data), *arguments).exit_code == 0
                # The service makes a key of its own here: an account's events, and a token.
                add_user(data, "supervisor")
        finally:
            over.set()
            thread.join()
        assert service.request("/readyz")[0] == 200
    assert set(answers) == {200}
    told = listed(data)
    assert told["generations"] == [3]
    assert {generation for _, _, generation in counts(told)} == {3}
    assert verified(data) == before
