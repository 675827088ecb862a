"""What is held in memory: never older than the log, never changed, never longer than the key, never too much."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest

from projections import client_state
from projections.client_state import fold
from projections.client_view import CLIENT_VIEW
from projections.held_folds import Held, HeldFolds
from records.errors import KeyMissing
from records.store.unit import RowDelete, Unit
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside

SNAPSHOT = client_state.SNAPSHOT


def test_a_second_look_takes_no_row_and_opens_nothing(clinic: StaffedClinic) -> None:
    client = clinic.register()
    first = SNAPSHOT.read_through(clinic.reader, client).state
    assert SNAPSHOT.read_through(clinic.reader, client).state is first


def test_what_is_newer_is_always_seen_and_what_was_handed_out_never_changes(clinic: StaffedClinic) -> None:
    client = clinic.register()
    before = SNAPSHOT.read_through(clinic.reader, client).state
    clinic.note(client, "one more")
    after = SNAPSHOT.read_through(clinic.reader, client)
    assert before.version == after.state.version - 1
    assert after.state == fold(clinic.reader.events(client))
    assert len(after.puts) == 1, "the row is stored when the fold moved"


def test_a_key_that_is_gone_ends_it_at_once(clinic: StaffedClinic) -> None:
    client = clinic.register()
    SNAPSHOT.read_through(clinic.reader, client)
    with closing(sqlite3.connect(clinic.opened.paths.keyring)) as keyring, keyring:
        keyring.execute("DELETE FROM data_keys WHERE scope = ?", (client.bytes,))
    clinic.opened.keyring.forget()
    for _ in range(2):
        with pytest.raises(KeyMissing):
            SNAPSHOT.read_through(clinic.reader, client)


def test_a_fold_over_a_gap_is_not_held(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.note(client)
    row = clinic.store.history(client, 1, 2)[0]
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = ? WHERE originator_id = ? AND originator_version = 2"
    outside(clinic, update, bytes(600), client.hex)
    assert SNAPSHOT.read_through(clinic.reader, client).state.gaps == [2]
    outside(clinic, update, row.state, client.hex)
    assert SNAPSHOT.read_through(clinic.reader, client).state.gaps == []


def test_forgetting_is_safe(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    clinic.store.commit(Unit(deletes=(RowDelete("view:client", client),)))
    SNAPSHOT.forget(clinic.reader, client)
    assert SNAPSHOT.read_through(clinic.reader, client).state == fold(clinic.reader.events(client))


def test_the_least_recently_used_goes_first_and_an_older_fold_never_replaces_a_newer() -> None:
    folds: HeldFolds[str] = HeldFolds(2)
    anna, ben, cleo = uuid4(), uuid4(), uuid4()
    folds.keep(anna, Held(2, b"", "a2", b"", {}))
    folds.keep(ben, Held(1, b"", "b1", b"", {}))
    folds.keep(anna, Held(1, b"", "a1", b"", {}))
    assert folds.get(anna) == Held(2, b"", "a2", b"", {})
    folds.keep(cleo, Held(1, b"", "c1", b"", {}))
    assert folds.get(ben) is None
    assert folds.get(anna) is not None
    assert folds.get(cleo) is not None
