"""Sentences for the client: who that is to them, what, when and why, with and without names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from projections.client_sentences import FOR_CLIENT, NAMES_NO_CLIENT, PURPOSES, WHO, client_sentence
from records.access import AccessRecorded
from records.actors import Purpose, Relation, Role
from records.policy import TABLE

AT = datetime(2026, 10, 12, 13, 5, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
NAMES = {"jo": "Jo Lind"}


def told(count: int = 1, last: datetime = AT, *, named: bool = True, **fields: Any) -> str:
    content = {"action": "note.view", "outcome": "permit", "role": "therapist", "relation": "team"}
    known = {"client_id": uuid4(), "purpose": "TREAT", "occurred_at": AT, "entered_by": "jo", "request_id": "r"}
    event = AccessRecorded(**content | known | fields)
    return client_sentence(event, NAMES.__getitem__ if named else None, LONDON, AT, last, count)


def test_the_sentence_of_the_clients_own_therapist() -> None:
    assert told() == "Jo Lind, your therapist, read your session notes on 12 October 2026 at 14:05 to treat you."


def test_repeated_readings_are_one_sentence() -> None:
    assert told(3, AT.replace(hour=15)) == (
        "Jo Lind, your therapist, read your session notes 3 times on 12 October 2026, between 14:05 and 16:05,"
        " to treat you."
    )


def test_without_names_role_and_relation_still_tell() -> None:
    assert told(named=False).startswith("Your therapist read your session notes on ")
    assert told(named=False, relation="none").startswith("A therapist who is not in your care team read ")
    assert "Jo" not in told(named=False)
    assert "jo" not in told(named=False, role="administrator", relation="none", action="client.view")


def test_a_stranger_who_was_refused_is_told_with_the_reason() -> None:
    assert told(relation="none", outcome="deny", reason="relation") == (
        "Jo Lind, a therapist who is not in your care team, asked to read your session notes on 12 October 2026 at"
        " 14:05 to treat you and was refused: they are not in your care team."
    )


def test_the_front_desk_is_not_said_to_have_read_the_record() -> None:
    sentence = told(role="front_desk", relation="none", action="client.view")
    assert "looked up your contact details and bookings" in sentence
    assert sentence.endswith("to arrange your treatment.")


@pytest.mark.parametrize("action", [each for each in TABLE if each not in NAMES_NO_CLIENT])
def test_every_act_on_a_client_has_its_words_for_the_client(action: str) -> None:
    assert action in FOR_CLIENT, "give it words in projections/client_sentences.py, or list it in NAMES_NO_CLIENT"
    assert "the client" not in " ".join(FOR_CLIENT[action])
    for outcome in ("permit", "deny"):
        assert action not in told(action=action, outcome=outcome)


def test_the_words_are_for_acts_of_the_policy_only() -> None:
    assert set(FOR_CLIENT) | NAMES_NO_CLIENT == set(TABLE)
    assert set(PURPOSES) == {purpose.value for purpose in Purpose}
    assert {role for role, _ in WHO} <= {role.value for role in Role}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("relation", Relation)
def test_every_role_and_relation_is_said_in_words(role: Role, relation: Relation) -> None:
    sentence = told(role=role.value, relation=relation.value)
    assert "_" not in sentence
    assert sentence.startswith("Jo Lind, ")


@pytest.mark.parametrize("reason", ["consent-missing", "malformed", "version-required", "stale-record", "code-wrong"])
def test_a_client_is_told_why_in_words_and_not_in_codes(reason: str) -> None:
    sentence = told(outcome="deny", reason=reason)
    assert sentence.endswith(".")
    assert reason.replace("-", " ") not in sentence
