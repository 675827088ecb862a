"""The current view: what endangers the client on top, what the role may see, as it is or as it was known."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.wiring import now
from projections.client_state import counts, fold
from projections.client_view import CLIENT_VIEW, ClientDocument, DeskDocument, render_clinical, render_desk
from projections.sections.assessments import ENDING_REMARK, TOTAL_REMARK
from projections.sections.viewing import Viewing
from records.actors import Actor, Relation, Role
from records.assessments import mark_assessment_entered_in_error, record_assessment
from records.bookings import book_session, record_attendance
from records.clinic_policy import ClinicPolicy
from records.consent import Form, mark_consent_entered_in_error, record_consent, withdraw_consent
from records.episodes import close_episode, open_episode, set_phase
from records.errors import UnknownClient
from records.goals import change_goal, gas_t_score, rate_goal, set_goal
from records.notes import add_addendum, amend_note, mark_note_entered_in_error
from records.reader import Asked
from records.registration import IdentityChanges, change_identity
from records.risk import assess_risk, clear_risk_prompt
from records.sessions import mark_session_entered_in_error, record_session_held
from tests.clinic import StaffedClinic
from tests.projections.histories import CANARY, CLIENT, History, histories

FORM = Form(form_id="treatment", form_version="3")
PHQ9_WITH_ITEM_9 = [1, 1, 1, 1, 1, 1, 1, 1, 1]


def seen(clinic: StaffedClinic, client: UUID, **asked: Any) -> ClientDocument:
    document = clinic.see(CLIENT_VIEW, client, **asked)
    assert isinstance(document, ClientDocument)
    return document


def assessed(clinic: StaffedClinic, client: UUID, measure: str = "PHQ-9", **arguments: Any) -> UUID:
    assessment_id = uuid4()
    content = {"answers": PHQ9_WITH_ITEM_9} if measure == "PHQ-9" and "score" not in arguments else {}
    clinic.do(client, record_assessment, assessment_id=assessment_id, measure=measure, **content | arguments)
    return assessment_id


def consented(clinic: StaffedClinic, client: UUID, kind: str = "treatment", **arguments: Any) -> UUID:
    consent_id = uuid4()
    content = {"kind": kind, "outcome": "given", "form": FORM, **arguments}
    clinic.do(client, record_consent, consent_id=consent_id, **content)
    return consent_id


def in_episode(clinic: StaffedClinic, client: UUID, **arguments: Any) -> UUID:
    episode_id = uuid4()
    content = {"format": "individual", "modality": "psychodynamic", "protocol": "dit-manual", **arguments}
    clinic.do(client, open_episode, episode_id=episode_id, **content)
    return episode_id


def held(clinic: StaffedClinic, client: UUID, episode_id: UUID, **arguments: Any) -> UUID:
    session_id = uuid4()
    content = {"episode_id": episode_id, "started_at": now() - timedelta(hours=2), **arguments}
    clinic.do(client, record_session_held, session_id=session_id, **content)
    return session_id


# --- risk


def test_a_prompt_stands_on_top_until_a_clinicians_risk_assessment_answers_it(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assessment = assessed(clinic, client)
    (prompt,) = seen(clinic, client).risk_prompts
    assert (prompt.assessment_id, prompt.measure, prompt.item, prompt.value) == (assessment, "PHQ-9", 9, 1)
    assert "Item 9 of PHQ-9 was answered with 1." in prompt.text
    # A later 0 reassures nobody.
    assessed(clinic, client, answers=[0] * 9)
    assert [each.assessment_id for each in seen(clinic, client).risk_prompts] == [assessment]
    body = msgspec.json.encode(seen(clinic, client))
    assert body.index(b"risk_prompts") < body.index(b"identity")
    clinic.do(client, assess_risk, risk_id=uuid4(), level="low", formulation="No plan, no means.")
    document = seen(clinic, client)
    assert document.risk_prompts == ()
    assert document.risk is not None
    # Answering the prompt touched its assessment, so that assessment's version moved on too.
    (measure,) = document.measures
    assert measure.first is not None
    assert (measure.first.assessment_id, measure.first.version) == (assessment, document.risk.version)
    assert (document.risk.level, document.risk.formulation) == ("low", "No plan, no means.")
    assert document.risk.assessed_by_name == "Jo Lind"


def test_the_last_risk_assessment_is_the_one_that_took_place_last(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for level, days in (("high", 2), ("low", 5)):
        at = now() - timedelta(days=days)
        clinic.do(client, assess_risk, risk_id=uuid4(), level=level, formulation="Told later.", occurred_at=at)
    risk = seen(clinic, client).risk
    assert risk is not None
    assert (risk.level, risk.assessments) == ("high", 2)


def test_a_prompt_goes_when_it_is_cleared_or_its_assessment_was_an_error(clinic: StaffedClinic) -> None:
    client = clinic.register()
    cleared, in_error = assessed(clinic, client), assessed(clinic, client)
    versions = {each.assessment_id: each.version for each in seen(clinic, client).risk_prompts}
    clinic.do(client, clear_risk_prompt, assessment_id=cleared, reason="misread", if_match=versions[cleared])
    assert [each.assessment_id for each in seen(clinic, client).risk_prompts] == [in_error]
    clinic.do(
        client,
        mark_assessment_entered_in_error,
        assessment_id=in_error,
        reason="other client",
        if_match=versions[in_error],
    )
    document = seen(clinic, client)
    assert document.risk_prompts == ()
    assert [item.count for item in document.measures] == [1]


def test_the_ending_phase_is_marked_and_softens_no_prompt_and_no_deterioration(clinic: StaffedClinic) -> None:
    client = clinic.register()
    episode = in_episode(clinic, client)
    assessed(clinic, client, score=5)
    version = seen(clinic, client).episodes[0].version
    clinic.do(client, set_phase, episode_id=episode, phase="ending", reason="agreed", if_match=version)
    assessed(clinic, client, answers=[2] * 9)
    document = seen(clinic, client)
    (item,) = document.measures
    assert item.last is not None
    assert item.last.ending_phase
    assert item.remark == ENDING_REMARK
    assert item.reliable == "deteriorated"
    assert [alert.kind for alert in document.alerts] == ["deterioration"]
    assert len(document.risk_prompts) == 1


def test_the_phase_of_a_score_is_that_of_its_session(clinic: StaffedClinic) -> None:
    client = clinic.register()
    consented(clinic, client, occurred_at=now() - timedelta(days=90))
    episode = in_episode(clinic, client, planned_sessions=6)
    sessions = [held(clinic, client, episode, started_at=now() - timedelta(days=9 - day)) for day in range(5)]
    # The plan of six sessions: four to engage, none in the middle, the fifth and sixth to end.
    assessed(clinic, client, score=9, session_id=sessions[3])
    assert [item.latest.ending_phase for item in seen(clinic, client).measures] == [False]
    assessed(clinic, client, score=9, session_id=sessions[4])
    assert [item.latest.ending_phase for item in seen(clinic, client).measures] == [True]
    assessed(clinic, client, "GAD-7", score=9)
    assert [item.latest.ending_phase for item in seen(clinic, client).measures] == [True, True]


def test_a_measure_of_another_episode_is_another_course(clinic: StaffedClinic) -> None:
    client = clinic.register()
    first = in_episode(clinic, client, occurred_at=now() - timedelta(days=90))
    assessed(clinic, client, score=20, occurred_at=now() - timedelta(days=80))
    version = seen(clinic, client).episodes[0].version
    ended = now() - timedelta(days=40)
    clinic.do(client, close_episode, episode_id=first, reason="46", occurred_at=ended, if_match=version)
    second = in_episode(clinic, client, occurred_at=now() - timedelta(days=20))
    assessed(clinic, client, score=18, occurred_at=now() - timedelta(days=10))
    (item,) = seen(clinic, client).measures
    assert (item.episode_id, item.count, item.better_by) == (second, 1, None)


def test_a_review_that_is_due_and_a_risk_item_that_was_left_out_raise_alerts(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assessed(clinic, client, answers=[1] * 8 + [None])
    clinic.do(
        client,
        assess_risk,
        risk_id=uuid4(),
        level="moderate",
        formulation="Low mood.",
        review_date=date(2020, 1, 2),
        occurred_at=now() - timedelta(days=4000),
    )
    document = seen(clinic, client)
    assert [alert.kind for alert in document.alerts] == ["risk-review-due", "risk-item-unanswered"]
    assert document.alerts[0].text == "The review of risk was due on 2 January 2020."


def test_a_breach_is_an_alert_for_the_supervisor_and_stands_beside_its_session(clinic: StaffedClinic) -> None:
    client = clinic.register()
    episode = in_episode(clinic, client)
    held(clinic, client, episode, kind="treatment", breach_reason="came in crisis")
    by_therapist, by_supervisor = seen(clinic, client), seen(clinic, client, by=Role.SUPERVISOR)
    assert by_therapist.alerts == ()
    (alert,) = by_supervisor.alerts
    (session,) = by_supervisor.last_sessions
    assert (alert.kind, alert.about) == ("breach", session.id)
    assert "treatment" in alert.text
    assert "crisis" not in alert.text
    assert (session.breach, session.breach_reason) == (("treatment",), "came in crisis")


def test_a_session_waits_for_its_note_until_one_is_signed_and_again_when_that_was_an_error(
    clinic: StaffedClinic,
) -> None:
    client = clinic.register()
    episode = in_episode(clinic, client)
    began = [now() - timedelta(days=days, hours=1) for days in (7, 3, 2)]
    old, waiting, _ = (held(clinic, client, episode, started_at=at, kind="assessment") for at in began)

    def due(**more: Any) -> list[tuple[UUID, bool]]:
        return [(item.session_id, item.late) for item in seen(clinic, client, **more).notes_due]

    # 72 hours to sign, seven days to the lock, as the clinic's policy has it by default.
    assert due() == due(by=Role.SUPERVISOR) == [(old, True), (waiting, False)]
    assert seen(clinic, client).notes_due[1].due_since == began[1] + timedelta(hours=72)
    assert clinic.see(clinic.opened.roster.caseload).items[0].notes_due == 2
    note = clinic.note(client, session_id=old)
    assert due() == [(waiting, False)]
    assert clinic.see(clinic.opened.roster.caseload).items[0].notes_due == 1
    version = seen(clinic, client).notes[0].version
    clinic.do(client, mark_note_entered_in_error, note_id=note, reason="other client", if_match=version)
    assert due() == [(old, True), (waiting, False)]
    version = clinic.service.client(client).sessions[old].version
    clinic.do(client, mark_session_entered_in_error, session_id=old, reason="other client", if_match=version)
    assert due() == [(waiting, False)]
    assert clinic.see(clinic.opened.roster.caseload).items[0].notes_due == 1


# --- what stands


def test_identity_is_shown_as_it_stands_and_as_it_was_known(clinic: StaffedClinic) -> None:
    client = clinic.register(birth_date="1981", phone="0100")
    before = now()
    clinic.do(client, change_identity, changes=IdentityChanges(phone="0200", birth_date="1981-04"), if_match=1)
    changed, earlier = seen(clinic, client).identity, seen(clinic, client, known_at=before).identity
    assert changed is not None
    assert earlier is not None
    assert (changed.phone, changed.birth_date, changed.family, changed.version) == ("0200", "1981-04", "Marsh", 2)
    assert (earlier.phone, earlier.birth_date, earlier.version) == ("0100", "1981", 1)


def test_a_consent_expires_when_it_is_looked_at(clinic: StaffedClinic) -> None:
    client = clinic.register()
    given_at = now() - timedelta(days=10)
    consented(clinic, client, occurred_at=given_at, expires_at=now() - timedelta(days=1))
    consented(clinic, client, "telehealth")
    document = seen(clinic, client)
    assert [(each.kind, each.status) for each in document.consents] == [
        ("telehealth", "in-force"),
        ("treatment", "expired"),
    ]
    then = seen(clinic, client, valid_at=now() - timedelta(days=5))
    assert [(each.kind, each.status) for each in then.consents] == [("treatment", "in-force")]


def test_a_withdrawn_consent_says_so_until_a_new_one_is_given(clinic: StaffedClinic) -> None:
    client = clinic.register()
    consent = consented(clinic, client)
    version = seen(clinic, client).consents[0].version
    clinic.do(client, withdraw_consent, consent_id=consent, channel="telephone", if_match=version)
    (withdrawn,) = seen(clinic, client).consents
    assert (withdrawn.id, withdrawn.status) == (consent, "withdrawn")
    again = consented(clinic, client)
    assert [(each.id, each.status) for each in seen(clinic, client).consents] == [(again, "in-force")]


def test_a_consent_that_an_error_had_superseded_is_in_force_again(clinic: StaffedClinic) -> None:
    client = clinic.register()
    first, second = consented(clinic, client), consented(clinic, client)
    (shown,) = seen(clinic, client).consents
    assert shown.id == second
    clinic.do(
        client,
        mark_consent_entered_in_error,
        consent_id=second,
        reason="of another client",
        if_match=shown.version,
    )
    (shown,) = seen(clinic, client).consents
    assert (shown.id, shown.status, shown.version) == (first, "in-force", 4)


def test_the_front_desk_sees_each_kind_of_consent_once_and_how_it_stands(clinic: StaffedClinic) -> None:
    client = clinic.register()
    consented(clinic, client, occurred_at=now() - timedelta(days=9), expires_at=now() - timedelta(days=1))
    consented(clinic, client)
    consented(clinic, client, "telehealth", outcome="refused")
    clinic.note(client, "said in confidence")
    desk = clinic.see(CLIENT_VIEW, client, by=Role.FRONT_DESK)
    assert isinstance(desk, DeskDocument)
    assert b"confidence" not in msgspec.json.encode(desk)
    assert {(each.kind, each.status) for each in desk.consents} == {
        ("treatment", "in-force"),
        ("telehealth", "refused"),
    }


def test_an_episode_shows_its_phase_and_the_sessions_that_were_held(clinic: StaffedClinic) -> None:
    client = clinic.register()
    consented(clinic, client, occurred_at=now() - timedelta(days=1))
    episode = in_episode(clinic, client, problem="Cannot sleep.")
    for _ in range(4):
        held(clinic, client, episode)
    (item,) = seen(clinic, client).episodes
    assert (item.id, item.sessions_held, item.phase, item.problem) == (episode, 4, "middle", "Cannot sleep.")
    assert not item.phase_set_by_hand


def test_measures_show_first_last_and_what_the_change_is_worth(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for days, score in ((9, 20), (6, 15), (1, 8)):
        assessed(clinic, client, score=score, occurred_at=now() - timedelta(days=days))
    # Recorded last, but filled in before the others: first goes by when it was filled in.
    assessed(clinic, client, score=21, occurred_at=now() - timedelta(days=12))
    (item,) = seen(clinic, client).measures
    assert item.first is not None
    assert item.last is not None
    assert (item.first.score, item.last.score, item.count) == (21, 8, 4)
    assert (item.better_by, item.reliable, item.recovered) == (13, "improved", True)
    assert item.remark == TOTAL_REMARK


def test_one_score_has_no_change(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assessed(clinic, client, "GAD-7", score=12)
    (item,) = seen(clinic, client).measures
    assert item.first == item.last == item.latest
    assert item.better_by is item.reliable is item.recovered is None


def test_goals_show_their_progress(clinic: StaffedClinic) -> None:
    client = clinic.register()
    walk, call, sleep = uuid4(), uuid4(), uuid4()
    clinic.do(client, set_goal, goal_id=walk, text="Walk daily", scale="gas", baseline=-2, importance=3)
    clinic.do(client, set_goal, goal_id=call, text="Call my brother", scale="gas", baseline=-1)
    clinic.do(client, set_goal, goal_id=sleep, text="Sleep", scale="gbo")
    for goal, value in ((walk, 1), (call, 0), (sleep, 2), (sleep, 6)):
        clinic.do(client, rate_goal, goal_id=goal, value=value)
    shown = seen(clinic, client).goals
    by_id = {item.id: item for item in shown.items}
    assert shown.gas_t_score == pytest.approx(gas_t_score([(1, 3), (0, 1)]), abs=0.01)
    assert shown.gas_t_score_baseline == pytest.approx(gas_t_score([(-2, 3), (-1, 1)]), abs=0.01)
    assert (by_id[walk].better_by, by_id[walk].last_rating) == (3, 1)
    assert (by_id[sleep].first_rating, by_id[sleep].better_by, by_id[sleep].reliable) == (2, 4, "improved")
    clinic.do(client, change_goal, goal_id=walk, change="abandon", reason="moved", if_match=by_id[walk].version)
    after = seen(clinic, client).goals
    assert after.items[-1].id == walk
    assert (after.items[-1].status, after.items[-1].reason) == ("abandoned", "moved")
    assert after.gas_t_score == pytest.approx(gas_t_score([(0, 1)]), abs=0.01)


def test_the_next_booking_comes_first_and_past_sessions_last(clinic: StaffedClinic) -> None:
    client = clinic.register()
    episode = in_episode(clinic, client)
    consented(clinic, client, occurred_at=now() - timedelta(days=90))
    starts = [now() + timedelta(days=days) for days in (9, 2, 5)]
    for start in starts:
        clinic.do(client, book_session, session_id=uuid4(), episode_id=episode, start=start, kind="assessment")
    for days in range(1, 8):
        held(clinic, client, episode, started_at=now() - timedelta(days=days))
    missed = uuid4()
    yesterday = now() - timedelta(hours=3)
    clinic.do(client, book_session, session_id=missed, episode_id=episode, start=yesterday, kind="assessment")
    document = seen(clinic, client)
    booked = document.last_sessions[0]
    assert (booked.id, booked.status) == (missed, "booked")
    assert document.next_session is not None
    assert document.next_session.start == min(starts)
    clinic.do(client, record_attendance, session_id=missed, code="3", if_match=booked.version)
    document = seen(clinic, client)
    assert document.next_session is not None
    assert document.next_session.start == min(starts)
    assert [each.start for each in document.bookings] == sorted(starts)[1:]
    assert len(document.last_sessions) == 5
    assert (document.last_sessions[0].id, document.last_sessions[0].status) == (missed, "missed")
    assert [each.start for each in document.last_sessions] == sorted(
        (each.start for each in document.last_sessions), reverse=True
    )


def test_a_session_that_was_held_stays_held_when_its_attendance_is_put_right(clinic: StaffedClinic) -> None:
    client = clinic.register()
    session = held(clinic, client, in_episode(clinic, client), kind="assessment")
    version = seen(clinic, client).last_sessions[0].version
    clinic.do(client, record_attendance, session_id=session, code="6", if_match=version)
    (shown,) = seen(clinic, client).last_sessions
    assert (shown.status, shown.attendance, shown.version) == ("held", "6", version + 1)


def test_the_last_five_notes_show_their_newest_text_and_their_marks(clinic: StaffedClinic) -> None:
    client = clinic.register()
    notes = [clinic.note(client, f"note {number}") for number in range(7)]
    clinic.do(client, add_addendum, note_id=notes[6], addendum_id=uuid4(), text="also", if_match=8)
    clinic.do(
        client,
        amend_note,
        note_id=notes[5],
        format="free",
        sections={"text": "put right"},
        reason="wrong day",
        if_match=7,
    )
    clinic.do(client, mark_note_entered_in_error, note_id=notes[4], reason="other client", if_match=6)
    document = seen(clinic, client)
    assert [note.id for note in document.notes] == [notes[number] for number in (6, 5, 3, 2, 1)]
    assert document.notes_in_error == 1
    newest, amended = document.notes[:2]
    assert [(each.text, each.author_name) for each in newest.addenda] == [("also", "Jo Lind")]
    assert (amended.sections, amended.amended, amended.text_version) == ({"text": "put right"}, True, 2)
    assert amended.amendment_reason == "wrong day"
    assert "note 4" not in msgspec.json.encode(document).decode()


def test_a_note_is_shown_as_it_was_known_before_its_amendment(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "as signed")
    before = now()
    clinic.do(client, amend_note, note_id=note, format="free", sections={"text": "new"}, reason="typo", if_match=2)
    (then,) = seen(clinic, client, known_at=before).notes
    (today,) = seen(clinic, client).notes
    assert (then.sections["text"], then.amended, then.version) == ("as signed", False, 2)
    assert (today.sections["text"], today.amended, today.version) == ("new", True, 3)


def test_who_is_in_the_care_team_is_shown_for_now_only(clinic: StaffedClinic) -> None:
    client = clinic.register()
    assert {(each.name, each.part) for each in seen(clinic, client).care_team} == {
        ("Jo Lind", "team"),
        ("Sam Vale", "supervises"),
    }
    assert seen(clinic, client, known_at=now()).care_team == ()


# --- who and when


def test_nobody_is_shown_who_is_not_there(clinic: StaffedClinic) -> None:
    with pytest.raises(UnknownClient):
        clinic.see(CLIENT_VIEW, uuid4(), by=Role.FRONT_DESK)
    client = clinic.register()
    with pytest.raises(UnknownClient):
        seen(clinic, client, known_at=now() - timedelta(days=1))


def viewing(history: History, role: Role, days: int = 0) -> Viewing:
    return Viewing(role, history.at + timedelta(days=days), ClinicPolicy(), lambda who: who)


def asked(history: History, role: Role) -> Asked:
    return Asked(client_id=CLIENT, actor=Actor("x", role), relation=Relation.TEAM, at=history.at)


@given(history=histories)
def test_the_front_desk_sees_no_clinical_word(history: History) -> None:
    state = fold(history.events)
    desk = render_desk(state, asked(history, Role.FRONT_DESK), CLIENT, viewing(history, Role.FRONT_DESK), ())
    body = msgspec.json.encode(desk).decode()
    assert CANARY not in body
    assert "PHQ" not in body
    assert "psychodynamic" not in body
    assert "Marsh" in body


@given(history=histories, role=st.sampled_from([Role.THERAPIST, Role.SUPERVISOR]), days=st.integers(0, 30))
def test_showing_changes_nothing_and_shows_the_newest_texts(history: History, role: Role, days: int) -> None:
    state = fold(history.events)
    before = msgspec.msgpack.encode(state)
    document = render_clinical(state, asked(history, role), CLIENT, viewing(history, role, days), ())
    assert msgspec.msgpack.encode(state) == before
    assert len(document.notes) <= 5
    assert len(document.last_sessions) <= 5
    assert {prompt.assessment_id for prompt in document.risk_prompts} == set(history.record.open_prompts())
    assert [prompt.taken_at for prompt in document.risk_prompts] == sorted(
        prompt.taken_at for prompt in document.risk_prompts
    )
    assert all(session.start >= history.at + timedelta(days=days) for session in document.bookings)


@given(history=histories, data=st.data())
def test_a_past_view_is_the_fold_of_what_was_known_then(history: History, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(history.events)))
    known_at = history.events[at - 1].recorded_at
    past = fold(each for each in history.events if counts(each, known_at, None))
    assert past == fold(history.events[:at])
