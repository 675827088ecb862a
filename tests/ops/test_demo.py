"""The demo clinic is worth opening: every scene is in it, every word is readable, and every rule held."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ops.demo.clinic import DemoClinic, make_demo
from ops.demo.prose import PRACTICE, SCENES, STORIES, Voice
from ops.demo.scenes import SCENE
from ops.wiring import Clinic, open_clinic
from records.access import AccessRecorded
from records.actors import Role
from records.assessments import AssessmentRecorded
from records.attachment_files import open_file
from records.attachments import AttachmentAdded
from records.bookings import SessionBooked
from records.breaches import SessionBreachReviewed
from records.client_record import ClientRecord
from records.consent import ConsentWithdrawn
from records.drafts import open_draft
from records.event import Event
from records.goals import GoalAbandoned, GoalPaused, GoalReworded, GoalSet
from records.measures import MEASURES, change
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned
from records.registration import ClientRegistered
from records.risk import RiskAssessed, RiskPromptCleared
from records.sessions import SessionBreachRecorded
from tests.check import check_store

END = datetime(2026, 3, 4, 17, 20, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
CONTRACT_ROLES = {"therapist", "supervisor", "privacy_officer", "records_clerk", "administrator", "front_desk"}


class Made(NamedTuple):
    """A demo clinic, opened, with the events of each client."""

    demo: DemoClinic
    clinic: Clinic
    events: dict[UUID, list[Event]]

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for events in self.events.values() for event in events if isinstance(event, kind)]

    def access(self, client_id: UUID | None) -> list[AccessRecorded]:
        found = [each.event for each in self.clinic.service.reader.access_events(client_id)]
        return [event for event in found if isinstance(event, AccessRecorded)]

    def readings(self) -> list[AccessRecorded]:
        return [event for client_id in self.events for event in self.access(client_id)]


def make(folder: Path, **facts: Any) -> Made:
    demo = make_demo(folder / "demo", **{"end": END, **facts})
    clinic = open_clinic(folder / "demo", database_url=facts.get("database_url"))
    ids = [UUID(client["id"]) for client in demo.clients]
    return Made(demo, clinic, {each: [r.event for r in clinic.service.reader.events(each)] for each in ids})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The demo clinic as `wellkept demo` makes it."""
    made = make(tmp_path_factory.mktemp("demo"))
    yield made
    made.clinic.close()


def texts(events: list[Event]) -> list[str]:
    """Return every free text of some events."""
    found: list[str] = []
    for event in events:
        for name in event.free_text:
            value = getattr(event, name)
            found += [value] if isinstance(value, str) else list((value or {}).values())
    return found


def test_what_is_told_of_it_is_what_is_there(made: Made) -> None:
    demo, store = made.demo, made.clinic.store
    assert set(demo.tokens) == CONTRACT_ROLES
    assert [person["role"] for person in demo.staff].count("therapist") == 3
    assert {person["role"] for person in demo.staff} == CONTRACT_ROLES
    assert len(demo.clients) == 45
    for client in demo.clients:
        registered = made.events[UUID(client["id"])][0]
        assert isinstance(registered, ClientRegistered)
        assert client["name"] == f"{registered.identity.given} {registered.identity.family}"
    entries = store.entries(-1, store.head().next_index)
    assert demo.events == sum(entry[7] in (1, 2) for _, entry in entries)
    check_store(store)


def test_each_token_signs_its_role_in(made: Made) -> None:
    for role, token in made.demo.tokens.items():
        actor = made.clinic.service.authenticate(token, "192.0.2.1")
        assert actor is not None
        assert actor.role.value == role
    assert len(set(made.demo.tokens.values())) == len(CONTRACT_ROLES)


def test_eighteen_months_end_now_and_every_therapist_has_a_caseload(made: Made) -> None:
    registered = [event.occurred_at for event in made.all(ClientRegistered)]
    assert END - timedelta(days=560) < min(registered) < END - timedelta(days=530)
    last = max(event.occurred_at for events in made.events.values() for event in events)
    assert END - timedelta(days=4) < last <= END
    directory = made.clinic.service.directory
    therapists = [person["id"] for person in made.demo.staff if person["role"] == "therapist"]
    for therapist in therapists:
        clients = [each for each, team in directory.teams.items() if team.parts.get(therapist) == "team"]
        assert len(clients) >= 12
    assert any(event.start > END for event in made.all(SessionBooked))


def test_every_record_keeps_its_own_time_and_folds(made: Made) -> None:
    for client_id in made.events:
        record = ClientRecord(client_id=client_id)
        recorded = made.clinic.service.reader.events(client_id)
        for each in recorded:
            record.apply(each)
        times = [each.recorded_at for each in recorded]
        assert times == sorted(times)
        # Papers are added when the clinic is made, and say when they were written.
        events = [each.event for each in recorded if not isinstance(each.event, AttachmentAdded)]
        assert all(event.originally_recorded_at is not None for event in events)


def test_the_scenes_of_the_promise_are_there(made: Made) -> None:
    notes = made.all(NoteSigned)
    assert any(note.late_entry for note in notes)
    assert sum(not note.late_entry for note in notes) > 400
    assert len(made.all(NoteAmended)) == len(made.all(NoteAddendumSigned)) == len(made.all(NoteEnteredInError)) == 1
    kinds = {
        events_state.kind
        for client_id in made.events
        for events_state in made.clinic.service.client(client_id).consents.values()
        if events_state.status == "withdrawn"
    }
    assert kinds == {"treatment", "information-sharing-gp"}
    assert len(made.all(ConsentWithdrawn)) == 2
    (breach,) = made.all(SessionBreachRecorded)
    assert breach.missing == ("telehealth",)
    (review,) = made.all(SessionBreachReviewed)
    assert (review.session_id, review.outcome) == (breach.session_id, "consent-taken")
    assert review.entered_by != breach.entered_by
    assert len(made.all(RiskPromptCleared)) == 1
    assert len(made.all(GoalReworded)) == len(made.all(GoalPaused)) == len(made.all(GoalAbandoned)) == 1
    assert any(goal.scale == "gas" and len(goal.anchors) == 5 for goal in made.all(GoalSet))


def test_one_prompt_waits_for_its_answer_and_the_others_were_answered(made: Made) -> None:
    prompted = [event for event in made.all(AssessmentRecorded) if event.risk_prompt is not None]
    waiting = [client for client in made.events if made.clinic.service.client(client).open_prompts()]
    assert len(waiting) == 1
    assert len(prompted) > 5
    (assessment_id,) = made.clinic.service.client(waiting[0]).open_prompts()
    asked = next(event for event in prompted if event.assessment_id == assessment_id)
    assert END - asked.occurred_at < timedelta(days=9)


def test_one_client_deteriorated_and_was_not_left_alone(made: Made) -> None:
    worse = [
        client
        for client, events in made.events.items()
        if sum(isinstance(event, RiskAssessed) for event in events) == 3
    ]
    (client,) = worse
    scores = [e.score for e in made.events[client] if isinstance(e, AssessmentRecorded) and e.measure == "PHQ-9"]
    verdict = change(MEASURES["PHQ-9"], scores)
    assert verdict is not None
    assert max(score for score in scores if score is not None) >= 20
    levels = [event.level for event in made.events[client] if isinstance(event, RiskAssessed)]
    assert levels == ["moderate", "high", "moderate"]


def test_most_people_get_better(made: Made) -> None:
    gains = []
    for events in made.events.values():
        scores = [e.score for e in events if isinstance(e, AssessmentRecorded) and e.measure == "PHQ-9"]
        if len(scores) > 10:
            gains.append(scores[0] - scores[-1])
    assert sum(gain > 0 for gain in gains) > 0.7 * len(gains)


def test_a_booking_after_the_withdrawal_was_refused_and_left_its_trace(made: Made) -> None:
    refused = [event for event in made.readings() if event.outcome == "deny" and event.action == "session.book"]
    assert [(event.role, event.reason) for event in refused] == [("front_desk", "consent-missing")]


def test_a_curious_colleague_was_refused_and_read_at_night(made: Made) -> None:
    refused = [event for event in made.readings() if event.outcome == "deny" and event.reason == "relation"]
    assert {(event.action, event.role, event.relation) for event in refused} == {
        ("client.timeline", "therapist", "none"),
        ("note.view", "therapist", "none"),
    }
    (curious,) = {event.entered_by for event in refused}
    at_night = [
        event
        for event in made.readings()
        if event.entered_by == curious
        and event.outcome == "permit"
        and not 7 <= event.occurred_at.astimezone(LONDON).hour < 20
    ]
    assert len({event.client_id for event in at_night}) == 1
    assert len(at_night) > 15
    assert {event.relation for event in at_night} == {"team"}


def test_everybody_reads_for_the_purpose_of_their_role(made: Made) -> None:
    seen: dict[str, set[str | None]] = {}
    for event in (*made.readings(), *made.access(None)):
        if event.outcome == "permit":
            seen.setdefault(event.role, set()).add(event.purpose)
    assert seen == {
        "therapist": {"TREAT"},
        "front_desk": {"TREAT"},
        "supervisor": {"HQUALIMP"},
        "privacy_officer": {"HCOMPL"},
        "records_clerk": {"PATRQT"},
    }


def test_one_draft_waits_for_its_author(made: Made) -> None:
    reader = made.clinic.service.reader
    (row,) = reader.sealed_rows("draft")
    authors = [UUID(person["id"]) for person in made.demo.staff if person["role"] == Role.THERAPIST.value]
    draft = open_draft(reader, row.stream, row.row_id, str(authors[0]))
    assert draft is not None
    assert draft[1].session_id in made.clinic.service.client(row.stream).sessions


def test_whoever_waits_with_a_note_has_a_letter_and_a_drawing_in_the_record(made: Made) -> None:
    reader = made.clinic.service.reader
    (row,) = reader.sealed_rows("draft")
    letter, drawing = (event for event in made.events[row.stream] if isinstance(event, AttachmentAdded))
    assert (letter.media_type, drawing.media_type) == ("text/plain", "image/png")
    assert b"Dear colleague" in open_file(reader, row.stream, letter)
    assert open_file(reader, row.stream, drawing).startswith(b"\x89PNG")
    assert drawing.alternative_text


def test_no_text_keeps_a_slot_a_wrong_start_or_a_doubled_space(made: Made) -> None:
    for text in (text for events in made.events.values() for text in texts(events)):
        assert not re.search(r"[{}]|  | [.,;]|\.\.", text), text
        assert re.match(r"['‘]?[A-Z]", text), text
        assert not re.search(r"[.!?] [a-z]", text), text


def test_notes_of_one_client_differ_from_each_other(made: Made) -> None:
    for events in made.events.values():
        notes = [" ".join(event.sections.values()) for event in events if isinstance(event, NoteSigned)]
        assert len(set(notes)) == len(notes)
        sentences = [sentence for note in notes for sentence in re.split(r"(?<=[.!?]) ", note)]
        assert len(set(sentences)) >= 0.6 * len(sentences)


def test_a_record_speaks_of_its_client_in_one_way(made: Made) -> None:
    for events in made.events.values():
        registered = events[0]
        assert isinstance(registered, ClientRegistered)
        wrong = "He" if registered.identity.pronouns == "she/her" else "She"
        notes = [text for event in events if isinstance(event, NoteSigned) for text in event.sections.values()]
        assert not [text for text in notes if re.search(rf"(^|[.!?] ){wrong} ", text)]


def test_the_same_seed_tells_the_same_stories_with_new_tokens(tmp_path: Path) -> None:
    made = []
    for place, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / place).mkdir()
        each = make(tmp_path / place, years=0.4, therapists=1, seed=seed)
        each.clinic.close()
        made.append(each)
    first, again, other = made
    assert first.demo.clients == again.demo.clients
    assert texts(first.all(Event)) == texts(again.all(Event))
    assert texts(first.all(Event)) != texts(other.all(Event))
    assert not set(first.demo.tokens.values()) & set(again.demo.tokens.values())


@pytest.mark.parametrize(("years", "therapists"), [(0.1, 1), (0.1, 2), (1.0, 5), (3.0, 1)])
def test_it_can_be_made_in_other_sizes(tmp_path: Path, years: float, therapists: int) -> None:
    made = make(tmp_path, years=years, therapists=therapists, seed=11)
    try:
        assert len(made.demo.clients) >= 12 * therapists
        check_store(made.clinic.store)
    finally:
        made.clinic.close()


MOMENTS = (
    datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2027, 12, 25, 12, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, tzinfo=UTC),
)
"""The first minute of a year, both changes of the clocks, a holiday, a leap day."""


@pytest.mark.parametrize(("seed", "end"), list(enumerate(MOMENTS, 100)))
def test_no_seed_and_no_moment_breaks_a_rule(tmp_path: Path, seed: int, end: datetime) -> None:
    made = make(tmp_path, therapists=2, seed=seed, end=end)
    made.clinic.close()
    assert len(made.all(SessionBreachRecorded)) == 1


@pytest.mark.postgres
def test_it_is_made_on_postgresql_too(tmp_path: Path, postgres_url: str, made: Made) -> None:
    other = make(tmp_path, database_url=postgres_url)
    try:
        assert other.demo.clients == made.demo.clients
        assert other.demo.events == made.demo.events
    finally:
        other.clinic.close()


def test_it_refuses_a_directory_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "letter.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        make_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "letter.txt").read_text() == "mine"


def test_no_name_word_or_token_is_in_clear_on_the_disk(tmp_path: Path) -> None:
    made = make(tmp_path, years=0.3, therapists=1)
    made.clinic.close()
    words = [*made.demo.tokens.values(), *(client["name"].split()[1] for client in made.demo.clients)]
    words += [person["name"] for person in made.demo.staff] + ["silence", "session.held"]
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert not [word for word in words if word.encode() in content], file.name


# --- the words


@pytest.mark.parametrize("pronoun", ["she", "he"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_every_text_of_a_storyline_can_be_said(story: Any, pronoun: str) -> None:
    voice = Voice(story, "Ottoline", pronoun, random.Random(1))
    said = [voice.say(text) for text in (*story.beats, *story.understanding.values(), story.problem)]
    said += [voice.own(goal.text) for goal in story.goals]
    assert len(story.beats) == 13
    assert set(story.understanding) == {"initial", "middle", "ending"}
    assert not [text for text in said if re.search(r"[{}]|^[a-z]", text)]
    assert not [goal.text for goal in story.goals if re.search(r"\b(her|his)\b", voice.own(goal.text))]


def test_every_text_of_practice_and_scenes_can_be_said() -> None:
    voice = Voice(STORIES[0], "Ottoline", "he", random.Random(1))

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        else:
            for each in value.values() if isinstance(value, dict) else value:
                yield from strings(each)

    for text in (*strings(PRACTICE), *strings(SCENES)):
        assert "{" not in voice.say(text, source="a friend")


def test_each_scene_has_a_client() -> None:
    assert len(SCENE) <= 12
