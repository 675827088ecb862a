"""Accounts and tokens: one role each, nobody changes their own, and what is taken back stays taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from records.actors import Actor, Role
from records.clinic_policy import ClinicPolicy
from records.decision import Context, Decision
from records.errors import InvalidContent, RuleBroken, UnknownItem, WellkeptError
from records.event import Event
from records.staff import (
    AccountCreated,
    AccountDisabled,
    AccountRoleChanged,
    AccountTiesRecorded,
    StaffRecord,
    TokenIssued,
    TokenRevoked,
    change_role,
    create_account,
    disable_account,
    issue_token,
    record_ties,
    revoke_token,
)
from tests.given import NOW

ACCOUNT, TOKEN = uuid4(), uuid4()
ADMINISTRATOR = Actor(str(uuid4()), Role.ADMINISTRATOR)


class Account:
    """The state of one account and what is decided on it."""

    def __init__(self) -> None:
        self.record = StaffRecord(ACCOUNT)

    def when(self, decision: Decision, *, by: Actor = ADMINISTRATOR, **arguments: Any) -> list[Event]:
        context = Context(actor=by, at=NOW, request_id="when", policy=ClinicPolicy())
        events = list(decision(self.record, context, **arguments))
        for event in events:
            event.apply(self.record, self.record.version + 1)
        return events

    def refused(self, decision: Decision, error: type[WellkeptError], **arguments: Any) -> Any:
        before = repr(self.record)
        with pytest.raises(error) as caught:
            self.when(decision, **arguments)
        assert type(caught.value) is error
        assert repr(self.record) == before
        return caught.value


@pytest.fixture
def account() -> Account:
    made = Account()
    made.when(create_account, name="Jo Lind", role=Role.THERAPIST)
    return made


def token(**facts: Any) -> dict[str, Any]:
    return {"token_id": TOKEN, "digest": b"d" * 32, "expires_at": NOW + timedelta(days=1), **facts}


def test_an_account_is_opened_once() -> None:
    account = Account()
    [event] = account.when(create_account, name="Jo Lind", role=Role.THERAPIST)

    assert isinstance(event, AccountCreated)
    assert (event.staff_id, account.record.name, account.record.role) == (ACCOUNT, "Jo Lind", Role.THERAPIST)
    assert account.refused(create_account, RuleBroken, name="Jo", role=Role.THERAPIST).rule == "account-exists"


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [({"name": " ", "role": Role.THERAPIST}, "/name"), ({"name": "Jo", "role": Role.OPERATOR}, "/role")],
)
def test_an_account_needs_a_name_and_a_role_of_its_own(facts: dict[str, Any], pointer: str) -> None:
    assert Account().refused(create_account, InvalidContent, **facts).pointer == pointer


def test_a_role_changes_once(account: Account) -> None:
    [event] = account.when(change_role, role=Role.SUPERVISOR)

    assert isinstance(event, AccountRoleChanged)
    assert account.record.role is Role.SUPERVISOR
    assert account.when(change_role, role=Role.SUPERVISOR) == []
    assert account.refused(change_role, InvalidContent, role=Role.OPERATOR).pointer == "/role"


def test_an_account_is_disabled_once(account: Account) -> None:
    [event] = account.when(disable_account)

    assert isinstance(event, AccountDisabled)
    assert account.record.disabled
    assert account.when(disable_account) == []
    assert account.refused(issue_token, RuleBroken, **token()).rule == "account-disabled"


@pytest.mark.parametrize(("decision", "facts"), [(change_role, {"role": Role.ADMINISTRATOR}), (disable_account, {})])
def test_nobody_changes_their_own_account(account: Account, decision: Decision, facts: dict[str, Any]) -> None:
    own = Actor(str(ACCOUNT), Role.ADMINISTRATOR)
    assert account.refused(decision, RuleBroken, by=own, **facts).rule == "own-account"


@pytest.mark.parametrize(
    ("decision", "facts"),
    [
        (change_role, {"role": Role.SUPERVISOR}),
        (disable_account, {}),
        (issue_token, token()),
        (revoke_token, {"token_id": TOKEN}),
    ],
)
def test_an_account_that_is_not_there_is_not_changed(decision: Decision, facts: dict[str, Any]) -> None:
    Account().refused(decision, UnknownItem, **facts)


def test_a_token_is_known_by_its_digest_until_its_end(account: Account) -> None:
    [event] = account.when(issue_token, **token())

    assert isinstance(event, TokenIssued)
    state = account.record.tokens[TOKEN]
    assert (state.digest, state.expires_at, state.revoked) == (b"d" * 32, NOW + timedelta(days=1), False)


@pytest.mark.parametrize("ahead", [timedelta(0), -timedelta(days=1)])
def test_a_token_that_would_be_expired_is_not_issued(account: Account, ahead: timedelta) -> None:
    assert account.refused(issue_token, InvalidContent, **token(expires_at=NOW + ahead)).pointer == "/days"


def test_a_token_is_revoked_once_and_others_stand(account: Account) -> None:
    other: UUID = uuid4()
    account.when(issue_token, **token())
    account.when(issue_token, **token(token_id=other))
    [event] = account.when(revoke_token, token_id=TOKEN)

    assert isinstance(event, TokenRevoked)
    assert (account.record.tokens[TOKEN].revoked, account.record.tokens[other].revoked) == (True, False)
    assert account.when(revoke_token, token_id=TOKEN) == []
    account.refused(revoke_token, UnknownItem, token_id=uuid4())


def test_ties_are_recorded_replaced_and_taken_back(account: Account) -> None:
    own = uuid4()
    told = {"client_id": own, "address_digest": b"d" * 32}
    (recorded,) = account.when(record_ties, **told)
    assert isinstance(recorded, AccountTiesRecorded)
    assert (account.record.client_id, account.record.address_digest) == (own, b"d" * 32)
    assert account.when(record_ties, **told) == []
    account.when(record_ties, client_id=None, address_digest=None)
    assert (account.record.client_id, account.record.address_digest) == (None, None)


def test_nobody_records_their_own_ties(account: Account) -> None:
    error = account.refused(
        record_ties,
        RuleBroken,
        by=Actor(str(ACCOUNT), Role.PRIVACY_OFFICER),
        client_id=None,
        address_digest=b"d" * 32,
    )
    assert error.rule == "own-account"
