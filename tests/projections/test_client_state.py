"""The fold behind the current view: any prefix, stored and read again, goes on to the same state; it stays small."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from projections import client_state, roster_state
from projections.client_state import ClientState, counts, fold
from projections.sections import consents, notes_due, sessions
from projections.sections.retention import facts
from projections.sections.viewing import Viewing
from records import retention
from records.actors import Role
from records.bookings import book_session
from records.catalogue import CATALOGUE
from records.clinic_policy import ClinicPolicy
from records.episodes import open_episode
from records.event import Event, Recorded, StreamKind
from records.goals import CLOSED
from records.imports import RecordImported
from records.sessions import record_session_held
from records.store.mapper import Unreadable
from tests.projections.histories import BEGIN, History, histories, long_history

SNAPSHOTS = [client_state.SNAPSHOT, roster_state.SNAPSHOT]
LONG = long_history(7, 1200)
LAYOUTS = {"view:client": "5231f36e88fb", "roster": "56e581bb30e8"}
"""Place → digest of the state's layout under the present FOLD_SCHEMA."""


def folded(snapshot: Any, events: list[Recorded]) -> Any:
    state = snapshot.new()
    for recorded in events:
        snapshot.apply(state, recorded)
    return state


def stored(state: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))


def without_words(schema: Any) -> Any:
    """Return a schema without what is said to people."""
    if isinstance(schema, dict):
        return {key: without_words(value) for key, value in schema.items() if key not in ("description", "title")}
    return [without_words(each) for each in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda each: each.place)
@given(history=histories, data=st.data())
def test_a_stored_prefix_goes_on_to_the_same_state(snapshot: Any, history: History, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(history.events)))
    state = stored(folded(snapshot, history.events[:at]))
    for recorded in history.events[at:]:
        snapshot.apply(state, recorded)
    assert state == folded(snapshot, history.events)


@pytest.mark.parametrize("seed", range(4))
def test_a_stored_prefix_of_a_long_record_goes_on_to_the_same_state(seed: int) -> None:
    events = long_history(seed, 1500).events
    whole = fold(events)
    state = ClientState()
    for recorded in events:
        state = stored(state) if recorded.version % 7 == 0 else state
        client_state.apply(state, recorded)
    assert state == whole


@example(history=LONG)
@given(history=histories)
def test_every_item_carries_the_version_that_if_match_asks_for(history: History) -> None:
    state, record = fold(history.events), history.record
    assert state.identity.item is not None
    assert state.identity.item.version == record.identity_version
    shown: list[tuple[dict[UUID, Any], list[Any]]] = [
        (record.consents, list(state.consents.items.values())),
        (record.episodes, [episode.item for episode in state.episodes.items.values()]),
        (record.sessions, list(state.sessions.items.values())),
        (record.goals, list(state.goals.items.values())),
        (record.notes, list(state.notes.items.values())),
    ]
    for items, found in shown:
        assert {item.id: item.version for item in found}.items() <= {
            key: one.version for key, one in items.items()
        }.items()
    for course in state.assessments.courses:
        for score in (*course.first, *course.last):
            assert score.version == record.assessments[score.assessment_id].version
    for prompt in state.risk.prompts.values():
        assert prompt.version == record.assessments[prompt.assessment_id].version
    if state.risk.last is not None:
        last = record.risk_assessments[state.risk.last.id]
        assert (last.version, last.status) == (state.risk.last.version, "recorded")
    in_error = [key for key, each in record.risk_assessments.items() if each.status == "entered-in-error"]
    assert (state.risk.assessments, state.risk.in_error) == (
        len(record.risk_assessments) - len(in_error),
        len(in_error),
    )


@example(history=LONG)
@given(history=histories)
def test_statuses_are_those_of_the_rules(history: History) -> None:
    state, record = fold(history.events), history.record
    assert set(state.risk.prompts) == set(record.open_prompts())
    assert {key: item.status for key, item in state.sessions.items.items()}.items() <= {
        key: item.status for key, item in record.sessions.items()
    }.items()
    assert {key: item.status for key, item in state.goals.items.items()}.items() <= {
        key: item.status for key, item in record.goals.items()
    }.items()
    assert all(item.number == record.sessions[key].number for key, item in state.sessions.items.items())
    waiting = [key for key, breach in record.breaches.items() if not breach.reviewed]
    assert state.sessions.open_breaches == len(waiting)
    shown = {breach.session_id: breach.version for breach in state.sessions.breaches}
    assert shown == {key: record.sessions[key].version for key in waiting[-sessions.KEPT_BREACHES :]}
    for key, episode in state.episodes.items.items():
        known = record.episodes[key]
        assert (episode.plan.held, episode.plan.phases) == (known.sessions_held, known.phases)
        assert (episode.plan.override, episode.item.protocol) == (known.phase_override, known.protocol)
    for kind, section in (("sessions", state.sessions), ("goals", state.goals)):
        wrong = {key for key, each in getattr(record, kind).items() if each.status == "entered-in-error"}
        assert section.in_error == len(wrong)
        assert not wrong & set(section.items)
    open_goals = {key for key, goal in record.goals.items() if goal.status not in (*CLOSED, "entered-in-error")}
    assert open_goals <= set(state.goals.items)
    open_episodes = {key for key, episode in record.episodes.items() if episode.closed_at is None}
    assert open_episodes <= set(state.episodes.items)
    held = [key for key, each in record.sessions.items() if each.status == "held"]
    noted = {note.session_id for note in record.notes.values() if note.status == "signed"}
    waiting_for_one = {key for key, each in state.notes_due.items.items() if not each.notes}
    if len(record.sessions) <= notes_due.KEPT:
        assert waiting_for_one == set(held) - noted
    assert waiting_for_one <= set(held) - noted
    in_error = {key for key, note in record.notes.items() if note.status == "entered-in-error"}
    assert state.notes.in_error == len(in_error)
    assert not in_error & set(state.notes.items)


@example(history=LONG)
@given(history=histories)
def test_deadlines_are_counted_from_the_same_facts_as_the_rules(history: History) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    known = retention.facts_of(history.record, zone)
    for state in (fold(history.events), folded(roster_state.SNAPSHOT, history.events)):
        assert facts(state.retention, zone) == known
    standing = {key for key, hold in history.record.holds.items() if not hold.lifted}
    assert set(state.retention.holds) == standing
    items = fold(history.events).legal_holds.items
    assert {key for key, item in items.items() if item.lifted_at is None} == standing
    assert {key: item.version for key, item in items.items()} == {
        key: hold.version for key, hold in history.record.holds.items()
    }


@example(history=LONG, days=0)
@given(history=histories, days=st.integers(-1, 40))
def test_the_consents_in_force_are_those_that_the_rules_find_live(history: History, days: int) -> None:
    at = history.at + timedelta(days=days)
    state = fold(each for each in history.events if counts(each, None, at))
    live = {key for key, consent in history.record.consents.items() if consent.live_at(at)}
    look = Viewing(Role.THERAPIST, at, ClinicPolicy(), str)
    shown = {key for key, consent in state.consents.items.items() if consent.standing(look) == "in-force"}
    if days >= 0:
        assert shown == live
    assert all(state.consents.items[key].given_at is not None for key in shown)


def test_a_long_record_keeps_a_small_state() -> None:
    sizes = [len(msgspec.msgpack.encode(fold(long_history(5, length).events))) for length in (400, 1600, 3200)]
    assert sizes[2] < 3 * sizes[0], sizes
    state = fold(long_history(6, 3000).events)
    given = [each for each in state.consents.items.values() if each.status != "given"]
    assert len(given) <= consents.KEPT_ENDED
    assert len(state.sessions.items) <= sessions.PRUNED_OVER + sessions.KEPT_AHEAD
    assert len(state.notes.items) <= 8


def test_no_booking_that_lies_ahead_is_lost_to_the_limits() -> None:
    history = History()
    episode = UUID(int=1, version=4)
    history.do(open_episode, episode_id=episode, format="individual", modality="x", protocol="own")
    ahead = [UUID(int=100 + number, version=4) for number in range(60)]
    for number, session_id in enumerate(ahead):
        start = history.at + timedelta(days=300 - number)
        history.do(book_session, session_id=session_id, episode_id=episode, start=start, kind="assessment")
        walk_in = UUID(int=1000 + number, version=4)
        history.do(record_session_held, session_id=walk_in, episode_id=episode, started_at=history.at)
    state = fold(history.events).sessions
    assert set(ahead) <= set(state.items)
    assert len(state.items) <= len(ahead) + sessions.PRUNED_OVER


@given(history=histories, data=st.data())
def test_a_gap_is_marked_and_the_rest_is_shown(history: History, data: st.DataObject) -> None:
    gaps = data.draw(st.sets(st.integers(1, len(history.events)), max_size=3))
    events = [
        msgspec.structs.replace(each, event=Unreadable(occurred_at=BEGIN, entered_by="", request_id=""))
        if each.version in gaps
        else each
        for each in history.events
    ]
    state = fold(events)
    assert state.gaps == sorted(gaps)
    assert state.version == len(history.events)
    assert folded(roster_state.SNAPSHOT, events).gaps == sorted(gaps)


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda each: each.place)
def test_the_fold_has_a_new_schema_when_its_layout_changes(snapshot: Any) -> None:
    schema = without_words(msgspec.json.schema(snapshot.new))
    layout = hashlib.sha256(msgspec.json.encode(schema, order="sorted")).hexdigest()
    assert layout[:12] == LAYOUTS[snapshot.place], (
        "raise FOLD_SCHEMA, so that older rows are folded anew; then put this"
    )


def test_every_event_of_a_client_is_shown_by_a_section_and_by_the_stories_of_these_tests() -> None:
    told: set[type[Event]] = set()
    for seed in range(12):
        told |= {type(each.event) for each in long_history(seed, 1500).events}
    of_clients = {cls for cls in CATALOGUE.values() if cls.stream_kind is StreamKind.CLIENT}
    # An import says where a record comes from; nothing happened to the client.
    assert told == of_clients - {RecordImported} == set(client_state.SHOWS)
