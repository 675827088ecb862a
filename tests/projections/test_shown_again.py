"""A rendered view is shown again only while it is still true: until something is written, or a moment comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.wiring import now
from projections.client_state import fold
from projections.client_view import CLIENT_VIEW, ClientDocument, render_clinical, render_desk
from projections.sections.viewing import Viewing
from records.actors import Actor, Relation, Role
from records.bookings import book_session
from records.care_team import remove_member
from records.clinic_policy import ClinicPolicy
from records.consent import record_consent
from records.episodes import open_episode
from records.reader import Asked
from tests.clinic import StaffedClinic
from tests.projections.histories import CLIENT, FORM, History, histories


def rendered(history: History, role: Role, at: datetime) -> tuple[Any, datetime | None]:
    viewing = Viewing(role, at, ClinicPolicy(), str)
    asked = Asked(client_id=CLIENT, actor=Actor("x", role), relation=Relation.TEAM, at=at)
    render = render_desk if role is Role.FRONT_DESK else render_clinical
    return render(fold(history.events), asked, CLIENT, viewing, ()), viewing.stays_until


@given(
    history=histories,
    role=st.sampled_from([Role.THERAPIST, Role.SUPERVISOR, Role.FRONT_DESK]),
    hours=st.integers(0, 24 * 40),
    share=st.floats(0, 1, exclude_max=True),
)
def test_what_is_shown_stays_true_until_the_moment_that_the_look_names(
    history: History, role: Role, hours: int, share: float
) -> None:
    at = history.at + timedelta(hours=hours)
    document, until = rendered(history, role, at)
    later = at + ((until or at + timedelta(days=3650)) - at) * share
    assert rendered(history, role, later)[0] == document


def shown(clinic: StaffedClinic, client: UUID, at: datetime, role: Role = Role.THERAPIST) -> Any:
    asked = Asked(client_id=client, actor=clinic.staff[role], relation=Relation.TEAM, at=at)
    return CLIENT_VIEW.build(clinic.reader, asked).document


@pytest.fixture
def client(clinic: StaffedClinic) -> UUID:
    client = clinic.register()
    form: dict[str, Any] = {"kind": "telehealth", "outcome": "given", "form": FORM}
    clinic.do(client, record_consent, consent_id=uuid4(), expires_at=now() + timedelta(hours=2), **form)
    return client


def test_the_same_look_is_rendered_once(clinic: StaffedClinic, client: UUID) -> None:
    shown(clinic, client, now())
    assert shown(clinic, client, now()) is shown(clinic, client, now())


def test_a_consent_expires_though_nothing_was_written(clinic: StaffedClinic, client: UUID) -> None:
    (consent,) = shown(clinic, client, now()).consents
    assert consent.status == "in-force"
    assert [each.status for each in shown(clinic, client, consent.expires_at).consents] == ["expired"]
    before = consent.expires_at - timedelta(microseconds=1)
    assert [each.status for each in shown(clinic, client, before).consents] == ["in-force"]


def test_a_booking_becomes_the_past_though_nothing_was_written(clinic: StaffedClinic, client: UUID) -> None:
    episode, start = uuid4(), now() + timedelta(hours=1)
    clinic.do(client, open_episode, episode_id=episode, format="individual", modality="DIT", protocol="dit-manual")
    form: dict[str, Any] = {"kind": "treatment", "outcome": "given", "form": FORM}
    clinic.do(client, record_consent, consent_id=uuid4(), **form)
    clinic.do(client, book_session, session_id=uuid4(), episode_id=episode, kind="assessment", start=start)
    assert shown(clinic, client, start).next_session is not None
    assert shown(clinic, client, start + timedelta(microseconds=1)).next_session is None


def test_each_role_sees_its_own(clinic: StaffedClinic, client: UUID) -> None:
    at = now()
    kinds = [type(shown(clinic, client, at, role)).__name__ for role in (Role.THERAPIST, Role.FRONT_DESK)]
    assert kinds == ["ClientDocument", "DeskDocument"]


def test_a_change_of_the_care_team_shows_at_once(clinic: StaffedClinic, client: UUID) -> None:
    before = shown(clinic, client, now())
    colleague = clinic.staff[Role.SUPERVISOR].id
    clinic.do(client, remove_member, by=Role.FRONT_DESK, staff_id=colleague)
    clinic.service.follow()
    after = shown(clinic, client, now())
    assert isinstance(before, ClientDocument)
    assert {each.id for each in before.care_team} - {each.id for each in after.care_team} == {colleague}
