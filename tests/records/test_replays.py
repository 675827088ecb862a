"""A request that is sent again changes nothing, gets the first answer, and proves again that it may."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest

from records.actors import Actor, Role
from records.care_team import remove_member
from records.errors import IdempotencyKeyReused, NotPermitted, OutcomeUnknown, RuleBroken
from records.notes import add_addendum, amend_note, sign_note
from records.registration import Identity, register_client
from tests.doors import Doors


def note(**facts: Any) -> dict[str, Any]:
    return {"note_id": uuid4(), "kind": "progress", "format": "free", "sections": {"text": "We met."}, **facts}


def test_the_first_answer_is_given_again_and_nothing_is_written(checked: Doors) -> None:
    client, facts = checked.client(), note()
    first = checked.note(client, checked.ask(key="k"), **facts)
    before = checked.stored()

    for service in (checked.service, checked.second()):
        again = checked.note(client, checked.ask(key="k"), service=service, **facts)
        assert again == first._replace(replayed=True)
    assert checked.stored() == before


def test_the_first_answer_stands_after_a_restart_and_after_the_record_moved(checked: Doors) -> None:
    client, facts = checked.client(), note()
    first = checked.note(client, checked.ask(key="k"), **facts)
    checked.service.transact(
        client,
        amend_note,
        checked.ask(if_match=first.version),
        note_id=facts["note_id"],
        format="free",
        sections={"text": "Else."},
        reason="slip",
    )
    checked.reopen()

    assert checked.note(client, checked.ask(key="k"), **facts) == first._replace(replayed=True)
    assert checked.topics(client).count("NoteSigned") == 1


def test_the_key_of_a_request_whose_answer_was_lost_finds_what_it_wrote(checked: Doors) -> None:
    client, facts = checked.client(), note()
    service, store = checked.faulty()
    store.fails, store.stored = OutcomeUnknown, True
    with pytest.raises(OutcomeUnknown):
        checked.note(client, checked.ask(key="k"), service=service, **facts)
    store.fails = None

    again = checked.note(client, checked.ask(key="k"), service=service, **facts)
    assert (again.replayed, again.version) == (True, 2)
    assert checked.topics(client).count("NoteSigned") == 1


@pytest.mark.parametrize("body", [b"", b"{} ", b'{"a":1}'])
def test_the_same_key_for_another_body_is_refused(checked: Doors, body: bytes) -> None:
    client = checked.client()
    checked.note(client, checked.ask(key="k"))
    before = checked.topics(client)

    with pytest.raises(IdempotencyKeyReused):
        checked.note(client, checked.ask(key="k", body=body))
    assert checked.topics(client) == before
    assert [entry.reason for entry in checked.access(client)] == ["idempotency-key-reused"]


def test_the_same_key_for_another_client_is_refused(checked: Doors) -> None:
    one, other = checked.client(), checked.client()
    checked.note(one, checked.ask(key="k"))

    with pytest.raises(IdempotencyKeyReused):
        checked.note(other, checked.ask(key="k"))
    assert checked.topics(other) == ["ClientRegistered"]


def test_a_key_is_its_senders_own_and_its_routes(checked: Doors) -> None:
    client = checked.client()
    checked.place(client, checked.stranger, "team")
    checked.note(client, checked.ask(key="k"))
    checked.note(client, checked.ask(checked.stranger, key="k"))
    request = checked.ask(key="k")
    assert request.idempotency is not None
    checked.note(client, request._replace(idempotency=request.idempotency._replace(route="POST /elsewhere")))

    assert checked.topics(client).count("NoteSigned") == 3


def test_a_replay_is_refused_to_whoever_may_no_longer(checked: Doors) -> None:
    client, facts = checked.client(), note()
    checked.note(client, checked.ask(key="k"), **facts)
    checked.service.transact(client, remove_member, checked.operator, staff_id=checked.therapist.id)

    with pytest.raises(NotPermitted):
        checked.note(client, checked.ask(key="k"), **facts)


def test_one_key_sent_at_the_same_moment_writes_once(checked: Doors) -> None:
    client, facts, outcomes = checked.client(), note(), []
    services = [checked.service, checked.second()] * 4
    start = threading.Barrier(len(services))

    def work(service: object) -> None:
        start.wait()
        outcomes.append(checked.note(client, checked.ask(key="k"), service=service, **facts))

    threads = [threading.Thread(target=work, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(services)
    assert {outcome._replace(replayed=False) for outcome in outcomes} == {
        outcome for outcome in outcomes if not outcome.replayed
    }
    assert checked.topics(client) == ["ClientRegistered", "NoteSigned"]


def test_a_refused_request_keeps_no_key(checked: Doors) -> None:
    client, facts = checked.client(), note()
    checked.note(client, **facts)
    with pytest.raises(RuleBroken):
        checked.note(client, checked.ask(key="k"), **facts)

    checked.note(client, checked.ask(key="k", body=b"another"))
    assert checked.topics(client).count("NoteSigned") == 2


def test_the_version_is_the_one_that_the_first_answer_named(checked: Doors) -> None:
    client, facts = checked.client(), note()
    signed = checked.note(client, **facts)
    addendum = {"note_id": facts["note_id"], "addendum_id": uuid4(), "text": "And more."}
    request = checked.ask(key="k", if_match=signed.version)
    first = checked.service.transact(client, add_addendum, request, **addendum)
    checked.note(client)
    again = checked.service.transact(client, add_addendum, request, **addendum)

    assert (first.subject, first.version) == (facts["note_id"], 3)
    assert again == first._replace(replayed=True)


def test_a_registration_sent_again_gives_its_first_answer(checked: Doors) -> None:
    client, desk = uuid4(), Actor("desk", Role.FRONT_DESK)
    who = Identity(family="Fennimarsh")
    first = checked.service.transact(client, register_client, checked.ask(desk, key="k"), identity=who)

    again = checked.service.transact(client, register_client, checked.ask(desk, key="k"), identity=who)
    assert again == first._replace(replayed=True)
    assert first.version == 1


def test_neither_key_nor_body_is_on_disk(checked: Doors) -> None:
    client = checked.client()
    checked.note(client, checked.ask(key="canary-of-the-key", body=b'"canary-of-the-body"'))
    checked.close()

    for file in checked.data.iterdir():
        assert b"canary" not in file.read_bytes(), file.name
    checked.open()


def test_a_replay_is_looked_for_without_deciding(checked: Doors) -> None:
    client = checked.client()
    request = checked.ask(key="k")
    assert checked.service.replay(client, sign_note, request) is None
    first = checked.note(client, request)

    assert checked.service.replay(client, sign_note, request) == first._replace(replayed=True)
    assert checked.service.replay(client, sign_note, checked.ask()) is None
