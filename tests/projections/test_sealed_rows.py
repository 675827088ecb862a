"""Sealed rows: read through to the newest event, opened only in their place, and dropped when they do not open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from projections import client_state, roster_state
from projections.client_state import ClientState, fold
from projections.client_view import CLIENT_VIEW
from projections.sealed_rows import Snapshot
from records.actors import Role
from records.store.unit import SealedRow, Unit
from tests.clinic import StaffedClinic, make_clinic

SNAPSHOTS = [client_state.SNAPSHOT, roster_state.SNAPSHOT]


class CountingReader:
    """A reader that counts the events that are opened through it."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def open(self, client_id: UUID, rows: Any) -> Any:
        self.opened += len(list(rows))
        return self._reader.open(client_id, rows)


def outside(clinic: StaffedClinic, statement: str, *values: Any) -> None:
    """Run a statement as somebody with the database file would."""
    connection = sqlite3.connect(clinic.path / "records.db", isolation_level=None)
    connection.execute(statement, values)
    connection.close()


def row_of(clinic: StaffedClinic, client: UUID, place: str = "view:client") -> SealedRow:
    row: SealedRow | None = clinic.store.row(place, client)
    assert row is not None
    return row


def write_row(clinic: StaffedClinic, row: SealedRow) -> None:
    """Write a row behind the store's back, and forget what is held in memory, so that the row is what is read."""
    client_state.SNAPSHOT.forget(clinic.reader, row.row_id)
    outside(
        clinic,
        "REPLACE INTO sealed_rows VALUES ('view:client', ?, ?, ?, ?)",
        row.row_id.bytes,
        row.stream.bytes,
        row.version,
        row.state,
    )


def read(clinic: StaffedClinic, client: UUID) -> tuple[ClientState, int, int]:
    """Return the state, how many events were opened, and how many rows are to be stored."""
    reader = CountingReader(clinic.reader)
    found = client_state.SNAPSHOT.read_through(reader, client)  # type: ignore[arg-type]  # a reader that counts
    return found.state, reader.opened, len(found.puts)


def whole(clinic: StaffedClinic, client: UUID) -> ClientState:
    return fold(clinic.reader.events(client))


def test_a_reading_opens_only_what_is_newer_than_the_row(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for number in range(5):
        clinic.note(client, f"note {number}")
    assert read(clinic, client)[1:] == (6, 1)
    clinic.see(CLIENT_VIEW, client)
    assert row_of(clinic, client).version == 6
    assert read(clinic, client)[1:] == (0, 0)
    clinic.note(client, "one more")
    state, opened, puts = read(clinic, client)
    assert (opened, puts, state.version) == (1, 1, 7)
    assert state == whole(clinic, client)


def test_the_row_is_stored_with_the_access_entry_or_not_at_all(clinic: StaffedClinic) -> None:
    client = clinic.register()
    read(clinic, client)
    assert clinic.store.row("view:client", client) is None
    clinic.see(CLIENT_VIEW, client)
    assert row_of(clinic, client).version == 1


def test_an_older_writer_never_moves_a_row_back(clinic: StaffedClinic) -> None:
    client = clinic.register()
    slow = client_state.SNAPSHOT.read_through(clinic.reader, client)
    clinic.note(client)
    clinic.see(CLIENT_VIEW, client)
    clinic.store.commit(Unit(puts=slow.puts))
    assert row_of(clinic, client).version == 2


def _flip(row: SealedRow, at: int) -> SealedRow:
    state = bytearray(row.state)
    state[at] ^= 1
    return row._replace(state=bytes(state))


def _broken(kind: str, clinic: StaffedClinic, client: UUID) -> SealedRow:
    """Return a row for the client that must not open, made from rows that were good once or elsewhere."""
    clinic.see(CLIENT_VIEW, client)
    older = row_of(clinic, client)
    clinic.note(client, "newer")
    clinic.see(CLIENT_VIEW, client)
    row = row_of(clinic, client)
    if kind == "another client's":
        other = clinic.register(given="Kim")
        for number in range(row.version - 1):
            clinic.note(other, f"other {number}")
        clinic.see(CLIENT_VIEW, other)
        foreign = row_of(clinic, other)
        assert foreign.version == row.version
        return foreign._replace(row_id=client, stream=client)
    if kind == "another client's, as it is":
        other = clinic.register(given="Kim")
        clinic.see(CLIENT_VIEW, other)
        return row_of(clinic, other)._replace(row_id=client)
    if kind == "an older one under today's version":
        return older._replace(version=row.version)
    if kind == "ahead of the record":
        return row._replace(version=row.version + 5)
    if kind == "version zero":
        return row._replace(version=0)
    if kind == "empty":
        return row._replace(state=b"")
    if kind == "another place":
        found = roster_state.SNAPSHOT.read_through(clinic.reader, client)
        return row._replace(state=found.puts[0].state)
    return _flip(row, {"header": 2, "key id": 8, "nonce": 24, "body": len(row.state) // 2, "end": -1}[kind])


BROKEN = [
    "another client's",
    "another client's, as it is",
    "an older one under today's version",
    "ahead of the record",
    "version zero",
    "empty",
    "another place",
    "header",
    "key id",
    "nonce",
    "body",
    "end",
]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_row_that_is_not_this_one_never_opens_and_is_made_anew(clinic: StaffedClinic, kind: str) -> None:
    client = clinic.register()
    clinic.note(client, "first")
    write_row(clinic, _broken(kind, clinic, client))
    state, opened, puts = read(clinic, client)
    assert opened == 3, "the record was not folded anew"
    assert puts == 1
    assert state == whole(clinic, client)
    client_state.SNAPSHOT.forget(clinic.reader, client)
    clinic.see(CLIENT_VIEW, client)
    assert row_of(clinic, client).version == 3
    assert read(clinic, client)[1:] == (0, 0), "the broken row was not replaced"
    assert clinic.alarms == [], "a row is no evidence"


def test_an_older_row_that_is_put_back_is_read_through(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    older = row_of(clinic, client)
    clinic.note(client, "newer")
    clinic.see(CLIENT_VIEW, client)
    write_row(clinic, older)
    state, opened, _ = read(clinic, client)
    assert opened == 1
    assert state == whole(clinic, client)


def test_another_schema_is_folded_anew(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    kept = client_state.SNAPSHOT
    newer = Snapshot(kept.place, kept.schema + 1, ClientState, client_state.apply)
    reader = CountingReader(clinic.reader)
    found = newer.read_through(reader, client)  # type: ignore[arg-type]  # a reader that counts
    assert reader.opened == 1
    clinic.store.commit(Unit(puts=found.puts))
    assert newer.read_through(clinic.reader, client).puts == ()


def test_a_record_with_a_gap_is_shown_marked_not_stored_and_whole_again_when_the_cause_is_gone(
    clinic: StaffedClinic,
) -> None:
    client = clinic.register()
    clinic.note(client, "lost")
    clinic.note(client, "kept")
    row = clinic.store.history(client, 1, 2)[0]
    broken = row.state[:-1] + bytes([row.state[-1] ^ 1])
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = ? WHERE originator_id = ? AND originator_version = 2"
    outside(clinic, update, broken, client.hex)
    document = clinic.see(CLIENT_VIEW, client)
    assert document.gaps == (2,)
    assert [alert.kind for alert in document.alerts] == ["unreadable"]
    assert [note.sections["text"] for note in document.notes] == ["kept"]
    assert clinic.store.row("view:client", client) is None
    assert [code for code, _ in clinic.alarms] == ["seal-broken"]
    outside(clinic, update, row.state, client.hex)
    whole_again = clinic.see(CLIENT_VIEW, client)
    assert whole_again.gaps == ()
    assert len(whole_again.notes) == 2


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda each: each.place)
def test_nothing_of_a_row_is_in_clear(clinic: StaffedClinic, snapshot: Any) -> None:
    client = clinic.register(family="Kanarie")
    clinic.note(client, "Kanarie text")
    (put,) = snapshot.read_through(clinic.reader, client).puts
    assert b"Kanarie" not in put.state
    assert b"note" not in put.state


@pytest.fixture
def postgres_clinic(tmp_path: Path, postgres_url: str) -> Iterator[StaffedClinic]:
    """A new clinic on PostgreSQL."""
    made = make_clinic(tmp_path / "on-postgres", database_url=postgres_url)
    yield made
    made.close()


@pytest.mark.postgres
def test_rows_are_read_through_on_postgres_too(postgres_clinic: StaffedClinic) -> None:
    clinic = postgres_clinic
    client = clinic.register()
    clinic.note(client)
    clinic.see(CLIENT_VIEW, client)
    clinic.note(client)
    assert read(clinic, client)[1:] == (1, 1)
    document = clinic.see(CLIENT_VIEW, client)
    assert len(document.notes) == 2
    assert clinic.see(clinic.opened.roster.client_list, by=Role.FRONT_DESK).items[0].id == client
    assert row_of(clinic, client).version == 3
    assert row_of(clinic, client, "roster").version == 3
