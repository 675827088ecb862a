"""Rebuilding: dropped rows come back the same, whatever stood in their place."""

from __future__ import annotations

import pytest

from projections import client_state
from projections.client_view import CLIENT_VIEW
from projections.rebuild import SNAPSHOTS, VIEWS, Rebuilt, rebuild_client_views
from records.actors import Role
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside, read


def stored(clinic: StaffedClinic, place: str) -> dict[object, int]:
    return {row.row_id: row.version for row in clinic.store.rows(place)}


def test_every_row_is_made_anew_at_the_newest_event(clinic: StaffedClinic) -> None:
    clients = [clinic.register(family=f"Name{number}") for number in range(3)]
    clinic.note(clients[0], "text")
    clinic.see(CLIENT_VIEW, clients[1])
    outside(clinic, "UPDATE sealed_rows SET state = zeroblob(400), version = 99")
    told: list[tuple[int, int]] = []
    done = rebuild_client_views(clinic.reader, clinic.store, progress=lambda *at: told.append(at))
    assert done == Rebuilt(clients=3, events=4, rows=6, unreadable=0)
    versions = {clients[0]: 2, clients[1]: 1, clients[2]: 1}
    assert stored(clinic, "view:client") == stored(clinic, "roster") == versions
    assert told == [(1, 3), (2, 3), (3, 3)]
    for client in clients:
        state, opened, puts = read(clinic, client)
        assert (opened, puts) == (0, 0)
        assert state == client_state.fold(clinic.reader.events(client))


def test_a_view_shows_the_same_before_and_after(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.note(client, "text")
    before = clinic.see(CLIENT_VIEW, client)
    listed = clinic.see(clinic.opened.roster.client_list, by=Role.FRONT_DESK)
    rebuild_client_views(clinic.reader, clinic.store)
    clinic.reopen()
    assert clinic.see(CLIENT_VIEW, client) == before
    assert clinic.see(clinic.opened.roster.client_list, by=Role.FRONT_DESK) == listed


@pytest.mark.parametrize("view", SNAPSHOTS)
def test_one_view_is_rebuilt_by_its_name_and_the_others_stand(clinic: StaffedClinic, view: str) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    outside(clinic, "DELETE FROM sealed_rows")
    assert rebuild_client_views(clinic.reader, clinic.store, [view]).rows == 1
    places = {name: len(clinic.store.rows(snapshot.place)) for name, snapshot in SNAPSHOTS.items()}
    assert places == {name: int(name == view) for name in SNAPSHOTS}


def test_a_view_that_is_not_there_cannot_be_rebuilt(clinic: StaffedClinic) -> None:
    with pytest.raises(KeyError):
        rebuild_client_views(clinic.reader, clinic.store, ["draft"])
    assert set(VIEWS) == {*SNAPSHOTS, "audit_index"}


def test_a_record_with_a_gap_gets_no_row_and_is_counted(clinic: StaffedClinic) -> None:
    whole, broken = clinic.register(), clinic.register()
    clinic.note(broken)
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = 2"
    outside(clinic, update, broken.hex)
    assert rebuild_client_views(clinic.reader, clinic.store) == Rebuilt(clients=2, events=3, rows=2, unreadable=1)
    assert stored(clinic, "view:client") == {whole: 1}


def test_drafts_are_no_view(clinic: StaffedClinic) -> None:
    assert "draft" not in {snapshot.place for snapshot in SNAPSHOTS.values()}
