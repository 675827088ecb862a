"""Changes of accounts, care teams and the clinic: every kind has its sentence, and names whom it is about."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from projections.audit_entry import CHANGED
from projections.audit_page import AuditPage
from projections.change_sentences import CHANGES
from records.actors import Role
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.event import topic_of
from records.staff import change_role, disable_account, revoke_token
from tests.clinic import StaffedClinic


def changes(clinic: StaffedClinic, **asked: Any) -> list[tuple[str, str]]:
    page = clinic.see(clinic.opened.audit_index.report, by=Role.PRIVACY_OFFICER, source="changes", **asked)
    assert isinstance(page, AuditPage)
    return [(item.action, item.text.partition(" on ")[0]) for item in page.items]


def test_every_kind_of_change_has_its_words() -> None:
    assert set(CHANGES) == {topic_of(cls) for cls in CHANGED}, "give it a sentence in projections/change_sentences.py"


def test_each_change_is_told_with_who_and_about_whom(clinic: StaffedClinic) -> None:
    jo, admin = clinic.staff[Role.THERAPIST], Role.ADMINISTRATOR
    account = next(a for a in clinic.service.directory.staff.values() if str(a.staff_id) == jo.id)
    before = len(changes(clinic, staff=clinic.staff[admin].id))
    assert before == 0
    client = clinic.register()
    clinic.do(account.staff_id, change_role, by=admin, role=Role.SUPERVISOR)
    clinic.do(account.staff_id, revoke_token, by=admin, token_id=next(iter(account.tokens)))
    clinic.do(account.staff_id, disable_account, by=admin)
    policy = ClinicPolicy(late_entry_hours=48)
    clinic.do(clinic.service.streams.clinic, change_policy, by=admin, policy=policy)
    assert changes(clinic, staff=clinic.staff[admin].id) == [
        ("account.role_changed", "Ash Minter gave Jo Lind the role of supervisor"),
        ("token.revoked", "Ash Minter took back a sign-in token of Jo Lind"),
        ("account.disabled", "Ash Minter closed the account of Jo Lind"),
        ("clinic.policy_changed", "Ash Minter changed the clinic's policy"),
    ]
    team = changes(clinic, client=client)
    assert [topic for topic, _ in team] == ["care_team.member_added"] * 2
    assert team[1][1].endswith("put Sam Vale into the client's care team, supervising")
    assert changes(clinic, client=uuid4()) == []


@pytest.mark.parametrize("action", ["account.role_changed", "clinic.founded"])
def test_changes_are_found_by_their_topic(clinic: StaffedClinic, action: str) -> None:
    found = changes(clinic, action=action)
    assert [topic for topic, _ in found] == (["clinic.founded"] if action == "clinic.founded" else [])
