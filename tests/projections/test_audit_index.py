"""The audit: found through an index that nobody trusts, told from the sealed entries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ops.wiring import now
from projections.audit_index import AuditIndex
from projections.audit_page import AuditPage
from projections.client_view import CLIENT_VIEW
from projections.timeline import TIMELINE
from records.actors import Role
from records.errors import InvalidContent, NotPermitted
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside


def audit(clinic: StaffedClinic, by: Role = Role.PRIVACY_OFFICER, **asked: Any) -> AuditPage:
    page = clinic.see(clinic.opened.audit_index.report, by=by, **asked)
    assert isinstance(page, AuditPage)
    return page


def test_entries_are_found_by_client_staff_action_purpose_and_time(clinic: StaffedClinic) -> None:
    robin, kim = clinic.register(), clinic.register(given="Kim")
    therapist = clinic.staff[Role.THERAPIST].id
    clinic.see(CLIENT_VIEW, robin)
    between = now()
    clinic.see(TIMELINE, kim)
    clinic.see(CLIENT_VIEW, kim, by=Role.SUPERVISOR)
    end = now()

    def found(**asked: Any) -> list[tuple[Any, str]]:
        return [(item.client_id, item.action) for item in audit(clinic, to_at=end, **asked).items]

    first, second, third = (robin, "client.view"), (kim, "client.timeline"), (kim, "client.view")
    assert found() == [first, second, third]
    assert found(client=kim) == [second, third]
    assert found(staff=therapist) == [first, second]
    assert found(action="client.view") == [first, third]
    assert found(for_purpose="HQUALIMP") == [third]
    assert found(from_at=between) == [second, third]
    assert found(client=kim, staff=therapist, action="client.view") == []
    assert [item.client_id for item in audit(clinic, to_at=between).items] == [robin]


def test_pages_follow_each_other(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for view in (CLIENT_VIEW, TIMELINE) * 4:
        clinic.see(view, client)
    end, found, after = now(), [], None
    for _ in range(4):
        page = audit(clinic, limit=2, after=after, to_at=end, action="client.timeline")
        found += [item.index for item in page.items]
        after = page.next
        if after is None:
            break
    assert len(found) == len(set(found)) == 4
    assert found == sorted(found)
    assert after is None
    with pytest.raises(InvalidContent):
        audit(clinic, limit=51)


def test_an_audit_query_leaves_an_entry_for_each_client_that_it_shows(clinic: StaffedClinic) -> None:
    robin, kim = clinic.register(), clinic.register(given="Kim")
    clinic.see(CLIENT_VIEW, robin)
    audit(clinic, client=robin)
    actions = [each.event.action for each in clinic.reader.access_events(robin)]
    assert actions == ["client.view", "audit.view"]
    assert clinic.reader.access_events(kim) == []


def test_only_privacy_officer_and_operator_ask(clinic: StaffedClinic) -> None:
    audit(clinic, by=Role.OPERATOR)
    for role in (Role.THERAPIST, Role.SUPERVISOR, Role.FRONT_DESK, Role.RECORDS_CLERK, Role.ADMINISTRATOR):
        with pytest.raises(NotPermitted):
            audit(clinic, by=role)


def test_an_altered_row_cannot_say_what_did_not_happen(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.see(CLIENT_VIEW, client)
    clinic.opened.audit_index.catch_up()
    innocent = clinic.staff[Role.SUPERVISOR].id
    outside(clinic, "UPDATE audit_index SET actor = ?", innocent)
    assert [item.actor for item in audit(clinic, staff=innocent, client=client).items] == []
    outside(clinic, "UPDATE audit_index SET at_us = 1")
    long_ago = now() - timedelta(days=1000)
    assert audit(clinic, client=client, to_at=long_ago).items == ()
    (told,) = audit(clinic, client=client, action="client.view").items
    assert told.actor == clinic.staff[Role.THERAPIST].id


def test_the_index_is_caught_up_in_batches_and_made_anew_with_the_same_rows(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(7):
        clinic.see(CLIENT_VIEW, client)
    index = clinic.opened.audit_index
    assert index.catch_up(limit=3) == 7
    assert index.catch_up() == 0
    assert clinic.store.audit_position() == clinic.reader.position()
    rows = list(clinic.store.audit_rows(limit=100))
    assert [(row.client_id, row.actor, row.purpose) for row in rows] == [
        (client, clinic.staff[Role.THERAPIST].id, "TREAT")
    ] * 7
    outside(clinic, "DELETE FROM audit_index WHERE idx = ?", rows[3].position)
    assert index.rebuild(limit=2) == 7
    assert list(clinic.store.audit_rows(limit=100)) == rows


def test_two_processes_may_catch_up_at_once(clinic: StaffedClinic) -> None:
    client = clinic.register()
    other = AuditIndex(clinic.reader, clinic.store)
    clinic.see(CLIENT_VIEW, client)
    assert other.catch_up() == 1
    clinic.see(CLIENT_VIEW, client)
    assert clinic.opened.audit_index.catch_up() == 1
    assert len(clinic.store.audit_rows(limit=100)) == 2


def test_an_entry_that_cannot_be_opened_is_a_gap(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for _ in range(2):
        clinic.see(CLIENT_VIEW, client)
    clinic.opened.audit_index.catch_up()
    stream = clinic.service.streams.access(client)
    outside(clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = 1"
    outside(clinic, update, stream.hex)
    page = audit(clinic, to_at=now() + timedelta(seconds=1))
    assert len(page.gaps) == 1
    assert [item.action for item in page.items] == ["client.view"]
