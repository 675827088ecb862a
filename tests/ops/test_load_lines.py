"""What each kind of line becomes, shown by files of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.loading import mapping
from ops.loading.load import LoadReport, Refusal
from ops.wiring import Clinic
from records.actors import Role
from records.assessments import AssessmentRecorded
from records.drafts import open_draft
from records.event import Event
from records.goals import GoalAbandoned, GoalRated
from records.notes import NoteAddendumSigned, NoteEnteredInError, NoteSigned
from records.sessions import SessionHeld
from tests.check import check_store
from tests.ops.clinic_year import Script, clients, load


@pytest.fixture
def script() -> Script:
    """An empty file."""
    return Script()


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Any]:
    """Load a script into a new clinic; return the clinic, the report and the one client's events."""
    opened: list[Clinic] = []

    def run(script: Script) -> tuple[Clinic, LoadReport, list[Event]]:
        loaded = load(tmp_path, script.write(tmp_path))
        opened.append(loaded.clinic)
        ids = clients(loaded.clinic)
        events = [each.event for each in loaded.clinic.service.reader.events(ids[0])] if ids else []
        check_store(loaded.clinic.store)
        return loaded.clinic, loaded.report, events

    yield run
    for clinic in opened:
        clinic.close()


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_booking_before_the_registration_waits_for_it(loading: Any, script: Script) -> None:
    script.booked("02-27T12:00", "session-1", "03-02T10:00").opened()
    _, report, events = loading(script)
    assert (report.accepted, report.refused) == (3, {})
    assert names(events) == ["ClientRegistered", "EpisodeOpened", "SessionBooked"]
    assert {event.originally_recorded_at for event in events} == {datetime(2021, 3, 1, 9, tzinfo=UTC)}


def test_a_booking_whose_episode_never_opens_is_refused_at_the_end(loading: Any, script: Script) -> None:
    script.booked("02-27T12:00", "session-1", "03-02T10:00")
    _, report, _ = loading(script)
    assert report.refusals == (Refusal(1, "unknown-item", "episode"),)


def test_times_are_the_clinics_and_never_go_back(loading: Any, script: Script) -> None:
    script.opened().consented("07-01T09:00").booked("07-01T09:00", "session-1", "07-08T10:00")
    script.booked("06-01T09:00", "session-2", "07-09T10:00")
    _, _, events = loading(script)
    assert [event.occurred_at.hour for event in events] == [9, 9, 8, 8, 8]
    assert events[-1].occurred_at == datetime(2021, 7, 1, 8, tzinfo=UTC)


def test_a_session_held_after_the_consent_was_withdrawn_is_refused_and_recorded(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    script.line("03-03T09:00", "client-1", "consent.withdrawn", "therapist-0", consent="consent-1")
    script.booked("03-03T10:00", "session-2", "03-09T11:00")
    items = {"session": "session-2", "measure": "GAD-7", "total": 7, "items": [1] * 7}
    script.line("03-09T10:50", "client-1", "measure.recorded", "client-1", **items)
    script.held("03-09T11:00", "session-2", 2)
    script.drafted("03-09T12:00", "note-1", "session-2", format="DAP")
    script.line("03-09T12:05", "note-1", "note.signed", "therapist-0")
    _, report, events = loading(script)
    assert [(each.rule, each.what, each.kept) for each in report.refusals] == [
        ("consent-missing", "treatment", None),
        ("consent-missing", "treatment", "breach"),
    ]
    tail = names(events)[-6:]
    assert tail == [
        "ConsentWithdrawn",
        "AssessmentRecorded",
        "SessionHeld",
        "SessionBreachRecorded",
        "AttendanceRecorded",
        "NoteSigned",
    ]
    held = [event for event in events if isinstance(event, SessionHeld)]
    assert [(each.number, each.mode, each.booked) for each in held] == [(1, "11", True), (2, "11", False)]
    note = events[-1]
    assert isinstance(note, NoteSigned)
    assert (note.format, note.sections, note.late_entry) == ("DAP", {"data": "We met."}, False)


def test_remote_sessions_need_no_consent_of_their_own_and_others_need_theirs(loading: Any, script: Script) -> None:
    clinic, _, _ = loading(script.opened())
    policy = clinic.service.directory.clinic.policy
    assert policy.consents_for("mode.11", "mode.02") == ()
    assert policy.consents_for("session.treatment", "method.EMDR", "method.touch") == ("treatment", "emdr", "touch")


def test_what_a_client_filled_in_is_entered_by_the_therapist(loading: Any, script: Script) -> None:
    script.opened().consented()
    script.line("03-02T11:00", "client-1", "goal.set", "therapist-0", goal="goal-1", text="Sleep through")
    script.line("03-02T11:01", "client-1", "goal.rated", "client-1", goal="goal-1", score=3)
    script.line("03-02T11:02", "client-1", "goal.closed", "therapist-0", goal="goal-1", status="abandoned")
    facts = {"session": "session-9", "measure": "WSAS", "total": 16}
    script.line("03-02T11:03", "client-1", "measure.recorded", "client-1", **facts)
    clinic, report, events = loading(script)
    assert report.refused == {}
    rated, closed, assessed = events[-3:]
    assert isinstance(rated, GoalRated)
    assert isinstance(closed, GoalAbandoned)
    assert isinstance(assessed, AssessmentRecorded)
    assert (rated.rater, closed.reason) == ("client", mapping.GOAL_GIVEN_UP)
    assert (assessed.reported_by, assessed.score_only, assessed.session_id) == ("client", True, None)
    by = {clinic.service.directory.staff[UUID(event.entered_by)].role for event in (rated, closed, assessed)}
    assert by == {Role.THERAPIST}


def test_a_flag_must_be_the_answers_own_prompt(loading: Any, script: Script) -> None:
    script.opened().consented()
    for day, item9, flag in (("04", 2, 2), ("05", 2, 1), ("06", 0, 1)):
        facts = {"session": "session-1", "measure": "PHQ-9", "total": item9, "items": [0] * 8 + [item9]}
        script.line(f"03-{day}T10:00", "client-1", "measure.recorded", "client-1", **facts)
        script.line(f"03-{day}T10:00", "client-1", "risk.flag_raised", "system", item9=flag, session="session-1")
        script.line(f"03-{day}T11:00", "client-1", "risk.flag_cleared", "therapist-0")
    _, report, events = loading(script)
    assert report.skipped == {"derived": 1}
    assert report.refused == {"no-risk-prompt": 2, "risk-flag-differs": 1}
    assert names(events).count("RiskPromptCleared") == 2


def test_a_total_that_is_not_the_answers_own_is_refused(loading: Any, script: Script) -> None:
    facts = {"session": "session-1", "measure": "GAD-7", "total": 8, "items": [1] * 7}
    script.opened().consented().line("03-03T10:00", "client-1", "measure.recorded", "client-1", **facts)
    _, report, events = loading(script)
    assert report.refused == {"total-differs": 1}
    assert "AssessmentRecorded" not in names(events)


def test_a_draft_that_was_never_signed_stays_a_draft(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    clinic, report, events = loading(script.drafted("03-02T12:00", "note-1", "session-1"))
    assert report.refused == {}
    assert "NoteSigned" not in names(events)
    rows = clinic.service.reader.sealed_rows("draft")
    author = next(str(key) for key, each in clinic.service.directory.staff.items() if each.role is Role.THERAPIST)
    draft = open_draft(clinic.service.reader, clients(clinic)[0], rows[0].row_id, author)
    assert draft is not None
    assert draft[1].sections == {"text": "We met."}


def test_parts_of_other_concepts_are_skipped_by_their_kind(loading: Any, script: Script) -> None:
    script.opened(modality="group", episode_format="group").booked("03-01T10:00", "session-1", "03-02T11:00")
    script.held("03-02T11:00", "session-1", 1).drafted("03-02T12:00", "note-1", "session-1")
    script.line("03-02T13:00", "episode-1", "letter.given", "therapist-0", text="Goodbye")
    script.line("03-02T14:00", "client-1", "weather.noted", "therapist-0", rain=True)
    script.line("03-02T15:00", "client-1", "record.viewed", "therapist-0", part="dreams", purpose="TREAT")
    _, report, events = loading(script)
    assert report.skipped == {"group": 5, "letter": 1, "unknown": 2}
    assert names(events) == ["ClientRegistered"]


def test_who_has_no_account_or_no_part_is_refused(loading: Any, script: Script) -> None:
    script.opened().consented()
    script.line("03-03T10:00", "client-1", "record.viewed", "visitor-1", part="note", purpose="TREAT")
    script.line("03-03T11:00", "client-1", "record.viewed", "admin-0", part="note", purpose="TREAT")
    script.line("03-03T12:00", "client-1", "record.viewed", "therapist-0", part="note", purpose="HCOMPL")
    clinic, report, _ = loading(script)
    assert [(each.rule, each.what) for each in report.refusals] == [
        ("not-permitted", "actor"),
        ("not-permitted", "role"),
        ("not-permitted", "purpose"),
    ]
    assert clinic.service.reader.access_events(clients(clinic)[0]) == []


def test_a_note_in_error_and_its_addendum_keep_their_words(loading: Any, script: Script) -> None:
    script.opened().consented().booked("03-02T10:00", "session-1", "03-02T11:00").held("03-02T11:00", "session-1", 1)
    script.drafted("03-05T12:00", "note-1", "session-1", format="SOAP")
    script.line("03-05T12:01", "note-1", "note.signed", "therapist-0")
    script.line("03-06T12:00", "note-1", "note.addendum", "therapist-0", text="She called.")
    script.line("03-07T12:00", "note-1", "note.entered_in_error", "therapist-0", reason="wrong client")
    _, report, events = loading(script)
    assert report.refused == {}
    signed, addendum, error = events[-3:]
    assert isinstance(signed, NoteSigned)
    assert isinstance(addendum, NoteAddendumSigned)
    assert isinstance(error, NoteEnteredInError)
    assert signed.late_entry
    assert (addendum.text, error.reason) == ("She called.", "wrong client")


def test_an_empty_file_loads_nothing_and_says_so(loading: Any, script: Script) -> None:
    _, report, events = loading(script)
    assert (report.lines, report.accepted, events) == (0, 0, [])
