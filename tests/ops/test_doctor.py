"""The doctor finds what is wrong, names it, ends with its code, and writes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.wiring import open_clinic
from records.actors import Role
from tests.ops.running import add_user, init, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    init(tmp_path / "clinic")
    for role in (Role.THERAPIST, Role.SUPERVISOR):
        add_user(tmp_path / "clinic", role.value)
    return tmp_path / "clinic"


def examine(data: Path, **environment: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code, and the findings by state."""
    result = run("doctor", "--data", str(data), "--json", **environment)
    document = json.loads(result.stdout)
    assert document["healthy"] is (result.exit_code == 0)
    by_state: dict[str, list[dict[str, Any]]] = {"ok": [], "warn": [], "fail": []}
    for finding in document["findings"]:
        by_state[finding["state"]].append(finding)
    return result.exit_code, by_state


def failed(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [finding["check"] for finding in found["fail"]]


@pytest.fixture
def outside(data: Path) -> Iterator[sqlite3.Connection]:
    """The database as somebody with its own tools has it."""
    with closing(sqlite3.connect(data / "records.db", isolation_level=None)) as connection:
        yield connection


def test_a_healthy_clinic_is_healthy_and_its_open_key_file_is_said(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.iterdir() if path.name != "records.db-shm"}
    code, found = examine(data)
    assert code == 0
    assert found["fail"] == []
    assert [finding["check"] for finding in found["warn"] if finding["check"] != "space"] == [
        "passphrase",
        "unanchored",
    ]
    assert {finding["check"] for finding in found["ok"]} >= {
        "format", "settings", "permissions", "keys-apart", "keys", "durability", "schema", "clock", "chains",
    }  # fmt: skip
    assert {path: path.read_bytes() for path in before} == before


def test_it_examines_a_clinic_that_is_held(data: Path) -> None:
    with closing(open_clinic(data)):
        assert examine(data)[0] == 0


@pytest.mark.parametrize("path", [".", "records.db", "../clinic.keys", "../clinic.keys/root.key"])
def test_what_others_may_open_is_found(data: Path, path: str) -> None:
    (data / path).chmod(0o755)
    code, found = examine(data)
    assert code == 6
    assert failed(found) == ["permissions"]
    assert (data / path).resolve().name in found["fail"][0]["detail"]


def test_keys_in_the_data_directory_are_found(data: Path) -> None:
    inside = data / "root.key"
    (data.with_name("clinic.keys") / "root.key").rename(inside)
    code, found = examine(data, WELLKEPT_KEY_FILE=str(inside))
    assert code == 6
    assert failed(found) == ["keys-apart"]


def test_a_missing_root_key_is_found(data: Path) -> None:
    (data.with_name("clinic.keys") / "root.key").unlink()
    code, found = examine(data)
    assert code == 6
    assert failed(found) == ["keys"]


def test_a_missing_data_key_is_found(data: Path) -> None:
    with closing(sqlite3.connect(data.with_name("clinic.keys") / "keyring.db", isolation_level=None)) as keyring:
        keyring.execute("DELETE FROM data_keys WHERE key_class = 5")
    code, found = examine(data)
    assert code == 6
    assert failed(found) == ["keys"]


@pytest.mark.parametrize("trigger", ["events_are_kept", "events_stand", "entries_are_kept", "entries_stand"])
def test_a_dropped_trigger_is_found(data: Path, outside: sqlite3.Connection, trigger: str) -> None:
    outside.execute(f"DROP TRIGGER {trigger}")
    code, found = examine(data)
    assert code == 3
    assert failed(found) == ["schema"]
    assert trigger in found["fail"][0]["detail"]


def test_a_weakened_trigger_and_an_added_one_are_found(data: Path, outside: sqlite3.Connection) -> None:
    outside.execute("DROP TRIGGER entries_stand")
    outside.execute("CREATE TRIGGER entries_stand BEFORE UPDATE ON ledger WHEN 0 BEGIN SELECT RAISE(ABORT, ''); END")
    outside.execute("CREATE TRIGGER swallow BEFORE INSERT ON ledger WHEN 0 BEGIN SELECT RAISE(IGNORE); END")
    code, found = examine(data)
    assert code == 3
    assert [finding["detail"] for finding in found["fail"]] == [
        "Tables, indexes or triggers are altered: entries_stand.",
        "Tables, indexes or triggers are not ours: swallow.",
    ]


def without_triggers(outside: sqlite3.Connection, *statements: str) -> None:
    """Run statements with the triggers away, and put them back as they were."""
    triggers = outside.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        outside.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        outside.execute(statement)
    for _, sql in triggers:
        outside.execute(sql)


LAST = "rowid = (SELECT MAX(rowid) FROM stored_events)"
ALTERED = "CAST(substr(state, 1, length(state) - 8) || zeroblob(8) AS BLOB)"


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM stored_events WHERE {LAST}",
        f"UPDATE stored_events SET state = {ALTERED} WHERE {LAST}",
        f"UPDATE stored_events SET state = x'00' || substr(state, 5, 16) || zeroblob(32) WHERE {LAST}",
        "DELETE FROM ledger WHERE idx = 3",
        "UPDATE ledger SET entry = (SELECT entry FROM ledger WHERE idx = 4) WHERE idx = 3",
        "UPDATE ledger SET entry = CAST(substr(entry, 1, 149) || zeroblob(8) AS BLOB) WHERE idx = 3",
        "UPDATE ledger SET entry = x'00' WHERE idx = 3",
    ],
)
def test_what_is_not_as_it_was_logged_is_found(data: Path, outside: sqlite3.Connection, statement: str) -> None:
    # The chain index would refuse a doubled entry, so it goes with the triggers; its absence is found, too.
    if "SELECT entry" in statement:
        outside.execute("DROP INDEX ledger_chain")
    without_triggers(outside, statement)
    code, found = examine(data)
    assert code == 3
    assert "chains" in failed(found)


def test_an_event_that_the_ledger_does_not_name_is_found(data: Path, outside: sqlite3.Connection) -> None:
    outside.execute(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES"
        " ('0123456789abcdef0123456789abcdef', 1, 'sealed', x'01')"
    )
    code, found = examine(data)
    assert code == 3
    assert failed(found) == ["strays"]


def test_a_clock_that_is_behind_the_log_is_found(data: Path, outside: sqlite3.Connection) -> None:
    future = (2**62).to_bytes(8, "big").hex()
    without_triggers(
        outside,
        f"UPDATE ledger SET entry = substr(entry, 1, 8) || x'{future}' || substr(entry, 17)"
        " WHERE idx = (SELECT MAX(idx) FROM ledger)",
    )
    assert "clock" in failed(examine(data)[1])


def test_no_clinic_ends_with_4_and_nothing_more(tmp_path: Path) -> None:
    code, found = examine(tmp_path / "none")
    assert code == 4
    assert failed(found) == ["format"]
    assert found["ok"] == []


def test_a_setting_that_nothing_uses_is_said(data: Path) -> None:
    _, found = examine(data, WELLKEPT_SESSION_MINUTES="20")
    assert "WELLKEPT_SESSION_MINUTES" in next(row["detail"] for row in found["warn"] if row["check"] == "settings")


@pytest.mark.postgres
def test_on_postgresql_a_trigger_that_is_off_and_a_row_that_is_gone_are_found(
    tmp_path: Path, postgres_url: str
) -> None:
    environment = {"WELLKEPT_DATABASE_URL": postgres_url}
    data = tmp_path / "clinic"
    init(data, **environment)
    assert examine(data, **environment)[0] == 0
    with psycopg.connect(postgres_url, autocommit=True) as session:
        session.execute("ALTER TABLE stored_events DISABLE TRIGGER events_are_kept")
        code, found = examine(data, **environment)
        assert (code, failed(found)) == (3, ["schema"])
        assert "events_are_kept" in found["fail"][0]["detail"]
        session.execute("DELETE FROM stored_events")
        session.execute("ALTER TABLE stored_events ENABLE TRIGGER events_are_kept")
    code, found = examine(data, **environment)
    assert code == 3
    assert {"keys", "chains"} >= set(failed(found)) >= {"chains"}
