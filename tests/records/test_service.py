"""The two doors: what is asked is permitted first, what is read is recorded first, and nothing happens beside them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from records.access import AccessRecorded
from records.actors import Actor, Purpose, Role
from records.bookings import book_session
from records.consent import withdraw_consent
from records.errors import (
    ConsentMissing,
    InvalidContent,
    NotPermitted,
    NotStored,
    OutcomeUnknown,
    Refused,
    RuleBroken,
    StaleRecord,
    Unavailable,
    UnknownClient,
    UnknownItem,
)
from records.ledger import Kind, decode_entry
from records.notes import amend_note, sign_note
from records.reader import Asked, Built, Reader
from records.registration import Identity, IdentityChanges, change_identity, register_client
from records.service import RETRIES
from tests.doors import Doors, TimelineView

# --- reading


def test_a_reading_leaves_one_entry_that_says_who_what_and_why(checked: Doors) -> None:
    client = checked.client()
    request = checked.ask()
    before = checked.stored()
    opened = checked.read(client, request, known_at=checked.watch(), resource=UUID(int=9))

    assert [type(recorded.event).__name__ for recorded in opened] == ["ClientRegistered"]
    [entry] = checked.access(client)
    assert (entry.action, entry.outcome, entry.purpose, entry.reason) == ("client.timeline", "permit", "TREAT", None)
    assert (entry.entered_by, entry.role, entry.relation) == (checked.therapist.id, "therapist", "team")
    assert (entry.request_id, entry.client_id, entry.address) == (request.request_id, client, "192.0.2.7")
    assert entry.known_at is not None
    assert entry.valid_at is None
    assert entry.resource == UUID(int=9)
    kinds = [decode_entry(raw).kind for _, raw in checked.store.entries(before - 1, 10)]
    assert kinds.count(Kind.ACCESS) == 1


def test_nothing_is_released_before_its_entry_is_committed(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    released: list[object] = []
    store.before = lambda unit: released.append(("commit", len(unit.appends)))
    released.append(checked.read(client, service=service, view=TimelineView(lambda: released.append("built"))))

    assert released[0] == "built"
    assert released[-2] == ("commit", 1)
    assert isinstance(released[-1], list)


@pytest.mark.parametrize(("error", "stored"), [(NotStored, False), (OutcomeUnknown, True), (OutcomeUnknown, False)])
def test_what_cannot_be_recorded_is_not_shown(checked: Doors, error: Any, stored: bool) -> None:
    client = checked.client()
    checked.read(client)
    service, store = checked.faulty()
    checked.read(client, service=service)
    store.fails, store.stored = error, stored

    with pytest.raises(error):
        checked.read(client, service=service)
    assert len(checked.access(client)) == 2 + stored
    store.fails = None
    assert len(checked.read(client, service=service)) == 1


class Listing:
    """A list over many clients."""

    action = "caseload.view"

    def __init__(self, *clients: UUID) -> None:
        self._clients = clients

    def build(self, reader: Reader, asked: Asked) -> Built:
        return Built([str(client) for client in self._clients], clients=self._clients)


def test_a_list_leaves_one_entry_for_each_client_that_it_shows(checked: Doors) -> None:
    shown, other = [checked.client() for _ in range(3)], checked.client()
    checked.service.view(Listing(*shown), checked.ask(), Purpose.TREAT)

    assert [len(checked.access(client)) for client in shown] == [1, 1, 1]
    assert checked.access(other) == []
    assert checked.access(None) == []
    assert {entry.action for client in shown for entry in checked.access(client)} == {"caseload.view"}


def test_a_list_that_shows_nobody_is_recorded_for_the_clinic(checked: Doors) -> None:
    checked.service.view(Listing(), checked.ask(), Purpose.TREAT)

    [entry] = checked.access(None)
    assert (entry.action, entry.client_id, entry.outcome) == ("caseload.view", None, "permit")


def test_what_was_searched_for_is_not_kept(checked: Doors) -> None:
    client = checked.client()
    for shown in ((), (client,)):
        checked.service.view(Listing(*shown), checked.ask(), Purpose.TREAT, name="Ottoline", text="a word")

    entries = repr([*checked.access(client), *checked.access(None)])
    assert entries.count("caseload.view") == 2
    assert "Ottoline" not in entries
    assert "a word" not in entries


class Nothing:
    """A view that has nothing under the wanted id."""

    action = "note.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        raise UnknownItem("note")


def test_a_reading_of_what_is_not_there_is_a_refusal(checked: Doors) -> None:
    client = checked.client()
    with pytest.raises(UnknownItem):
        checked.read(client, view=Nothing(), resource=UUID(int=3))

    [entry] = checked.access(client)
    assert (entry.outcome, entry.reason, entry.resource) == ("deny", "unknown-item", UUID(int=3))


# --- permission


def trace(entry: AccessRecorded) -> dict[str, Any]:
    document = msgspec.structs.asdict(entry)
    for varying in ("occurred_at", "request_id", "client_id"):
        del document[varying]
    return document


def test_unknown_and_forbidden_clients_get_one_answer_and_leave_one_trace(checked: Doors) -> None:
    known, unknown = checked.client(), uuid4()
    answers = []
    for client in (known, unknown):
        for attempt in (
            lambda client: checked.read(client, checked.ask(checked.stranger)),
            lambda client: checked.note(client, checked.ask(checked.stranger)),
        ):
            with pytest.raises(NotPermitted) as caught:
                attempt(client)
            answers.append((str(caught.value), caught.value.reason))

    assert set(answers) == {("not permitted", "relation")}
    assert [trace(entry) for entry in checked.access(known)] == [trace(entry) for entry in checked.access(unknown)]
    assert [entry.outcome for entry in checked.access(known)] == ["deny", "deny"]


def test_a_refusal_that_cannot_be_recorded_is_no_answer_at_all(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    checked.read(client, service=service)
    store.fails = NotStored

    with pytest.raises(NotStored):
        checked.read(client, checked.ask(checked.stranger), service=service)
    with pytest.raises(NotStored):
        checked.note(client, checked.ask(checked.stranger), service=service)


@pytest.mark.parametrize("purpose", [Purpose.HQUALIMP, Purpose.HCOMPL, Purpose.PATRQT, Purpose.ETREAT])
def test_a_purpose_that_is_not_the_roles_is_refused(checked: Doors, purpose: Purpose) -> None:
    client = checked.client()
    with pytest.raises(NotPermitted) as caught:
        checked.read(client, purpose=purpose)

    [entry] = checked.access(client)
    assert (caught.value.reason, entry.reason, entry.purpose) == ("purpose", "purpose", purpose.value)


def test_a_rule_that_refuses_a_change_is_named_in_the_entry(checked: Doors) -> None:
    client, note = checked.client(), uuid4()
    checked.note(client, note_id=note)
    before = checked.topics(client)
    attempts: list[tuple[dict[str, Any], type[Refused]]] = [
        ({"note_id": note}, RuleBroken),
        ({"format": "prose"}, InvalidContent),
        ({"session_id": uuid4()}, UnknownItem),
    ]
    for facts, error in attempts:
        with pytest.raises(error):
            checked.note(client, **facts)

    reasons = [(entry.action, entry.outcome, entry.reason) for entry in checked.access(client)]
    assert reasons == [
        ("note.sign", "deny", "note-already-signed"),
        ("note.sign", "deny", "invalid-content"),
        ("note.sign", "deny", "unknown-item"),
    ]
    assert checked.topics(client) == before


def test_a_change_to_a_client_who_is_not_there_is_refused_to_those_who_need_no_relation(checked: Doors) -> None:
    desk, nobody = Actor("desk", Role.FRONT_DESK), uuid4()
    with pytest.raises(UnknownClient):
        checked.service.transact(nobody, change_identity, checked.ask(desk), changes=IdentityChanges(given="Zoe"))
    with pytest.raises(UnknownClient):
        checked.place(nobody, checked.stranger, "team")

    assert [entry.reason for entry in checked.access(nobody)] == ["unknown-client", "unknown-client"]
    assert checked.topics(nobody) == []


def test_a_change_of_the_team_counts_from_the_next_request_everywhere(checked: Doors) -> None:
    client, elsewhere = checked.client(), checked.second()
    with pytest.raises(NotPermitted):
        checked.read(client, checked.ask(checked.stranger), service=elsewhere)

    checked.place(client, checked.stranger, "team")
    checked.read(client, checked.ask(checked.stranger), service=elsewhere)
    checked.place(client, checked.stranger, "supervises")
    with pytest.raises(NotPermitted):
        checked.read(client, checked.ask(checked.stranger), service=elsewhere)


# --- changing


def test_a_change_says_what_it_wrote_and_where(checked: Doors) -> None:
    client, note = checked.client(), uuid4()
    outcome = checked.note(client, note_id=note)

    [reference] = outcome.events
    [row] = checked.store.history(client, 1)
    assert (outcome.subject, outcome.version, outcome.replayed) == (note, 2, False)
    assert reference == (client, 2)
    assert outcome.recorded_at == decode_entry(row.entry).logged_at


def test_a_registration_puts_the_key_before_its_first_use(checked: Doors) -> None:
    client = checked.client()
    entries = [decode_entry(raw) for _, raw in checked.store.entries(-1, 1000)]
    mine = [entry.kind for entry in entries if entry.stream == client]

    assert mine == [Kind.KEY_CREATED, Kind.EVENT]


def test_a_lost_race_is_decided_anew(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    checked.note(client, service=service)
    races = iter(range(RETRIES))
    store.before = lambda unit: next(races, None) is not None and checked.note(client)

    outcome = checked.note(client, service=service)
    assert outcome.version == 2 + RETRIES + 1
    assert len(checked.topics(client)) == 2 + RETRIES + 1


def test_a_race_that_is_lost_again_and_again_stores_nothing(checked: Doors) -> None:
    client, note = checked.client(), uuid4()
    service, store = checked.faulty()
    store.before = lambda unit: checked.note(client)

    with pytest.raises(NotStored):
        checked.note(client, service=service, note_id=note)
    assert note not in checked.service.client(client).notes


def test_whoever_loses_a_race_is_held_to_what_they_had_read(checked: Doors) -> None:
    client, note = checked.client(), uuid4()
    version = checked.note(client, note_id=note).version
    service, store = checked.faulty()
    amendment: dict[str, Any] = {"note_id": note, "format": "free", "sections": {"text": "Else."}, "reason": "slip"}
    others = [lambda: checked.service.transact(client, amend_note, checked.ask(if_match=version), **amendment)]
    store.before = lambda unit: others.pop()() if others else None

    with pytest.raises(StaleRecord):
        service.transact(client, amend_note, checked.ask(if_match=version), **amendment)
    assert checked.topics(client).count("NoteAmended") == 1


def test_threads_that_write_one_record_lose_nothing_that_was_said_to_be_stored(checked: Doors) -> None:
    client, done, failed = checked.client(), [], []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(5):
            note = uuid4()
            try:
                done.append((note, checked.note(client, note_id=note).version))
            except Unavailable:
                failed.append(note)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = {note: state.version for note, state in checked.second().client(client).notes.items()}
    assert dict(done) == stored
    assert len(done) + len(failed) == 40
    assert len(done) >= 8


def test_a_decision_that_finds_nothing_to_do_writes_nothing(checked: Doors) -> None:
    client = uuid4()
    who, desk = Identity(family="Fennimarsh"), Actor("desk", Role.FRONT_DESK)
    checked.service.transact(client, register_client, checked.ask(desk), identity=who)
    before = checked.stored()
    outcome = checked.service.transact(client, register_client, checked.ask(desk), identity=who)

    assert (outcome.subject, outcome.version, outcome.events) == (None, None, ())
    assert checked.stored() == before


# --- two processes on one log


def booking(doors: Doors) -> dict[str, Any]:
    start = doors.watch() + timedelta(days=3)
    return {"session_id": uuid4(), "kind": "treatment", "start": start, "mode": "01", "minutes": 50}


def test_a_stale_memory_never_refuses_what_is_allowed(checked: Doors) -> None:
    client, episode = checked.client(), uuid4()
    open_an_episode(checked, client, episode)
    elsewhere = checked.second()
    with pytest.raises(ConsentMissing):
        elsewhere.transact(client, book_session, checked.ask(), episode_id=episode, **booking(checked))

    checked.consent(client)
    outcome = elsewhere.transact(client, book_session, checked.ask(), episode_id=episode, **booking(checked))
    assert outcome.version is not None


def test_a_stale_memory_never_allows_what_is_refused(checked: Doors) -> None:
    client, episode, consent = checked.client(), uuid4(), uuid4()
    open_an_episode(checked, client, episode)
    given = checked.consent(client, consent_id=consent)
    elsewhere = checked.second()
    elsewhere.transact(client, book_session, checked.ask(), episode_id=episode, **booking(checked))

    checked.service.transact(
        client, withdraw_consent, checked.ask(if_match=given.version), consent_id=consent, channel="telephone"
    )
    with pytest.raises(ConsentMissing):
        elsewhere.transact(client, book_session, checked.ask(), episode_id=episode, **booking(checked))


def open_an_episode(doors: Doors, client: UUID, episode: UUID) -> None:
    from records.episodes import open_episode

    doors.service.transact(
        client,
        open_episode,
        doors.ask(),
        episode_id=episode,
        format="individual",
        modality="dit",
        protocol="dit-manual",
    )


def test_two_services_write_one_record_in_turn(checked: Doors) -> None:
    client, elsewhere = checked.client(), checked.second()
    for turn in range(6):
        checked.note(client, service=(checked.service, elsewhere)[turn % 2])

    assert checked.topics(client) == ["ClientRegistered", *["NoteSigned"] * 6]


def test_a_draft_of_a_signature_is_decided_on_the_newest_state(checked: Doors) -> None:
    client, note, elsewhere = checked.client(), uuid4(), checked.second()
    checked.note(client, service=elsewhere)
    checked.note(client, note_id=note)

    with pytest.raises(RuleBroken):
        elsewhere.transact(
            client, sign_note, checked.ask(), note_id=note, kind="progress", format="free", sections={"text": "x"}
        )
    assert checked.topics(client).count("NoteSigned") == 2
