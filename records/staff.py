"""Staff: accounts, roles and sign-in tokens, each account a stream of its own.

Source: CRYPTO 5; AUDIT A1 (unique user), A5 (role changes are logged).

Rules:
- An account has one role. A disabled account signs nobody in and keeps its name in the history.
- A token is known by its keyed digest only; it expires, and it can be revoked.
- A person cannot disable or change the role of their own account.
- Where a colleague is a client too, or shares an address with one, that is kept as an id and a keyed digest: enough for
  the rules that watch readings (`projections.patterns`), and nothing to read.

It does not check tokens against requests (`records.directory`), and it sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from records.actors import Role
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken, UnknownItem
from records.event import Event, StreamKind
from records.staff_record import StaffRecord, TokenState

# --- events


class AccountCreated(Event, frozen=True, kw_only=True, tag="account.created"):
    """A member of staff got an account. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "staff_id"

    staff_id: UUID
    name: str
    role: Role

    def apply(self, record: StaffRecord, version: int) -> None:
        """Open the account."""
        record.name, record.role, record.version = self.name, self.role, version


class AccountRoleChanged(Event, frozen=True, kw_only=True, tag="account.role_changed"):
    """An account was given another role. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "staff_id"
    lifecycle = "amend"

    staff_id: UUID
    role: Role

    def apply(self, record: StaffRecord, version: int) -> None:
        """Set the role."""
        record.role, record.version = self.role, version


class AccountDisabled(Event, frozen=True, kw_only=True, tag="account.disabled"):
    """An account was closed; its tokens stop working at the next request. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "staff_id"
    lifecycle = "deprecate"

    staff_id: UUID

    def apply(self, record: StaffRecord, version: int) -> None:
        """Close the account."""
        record.disabled, record.version = True, version


class TokenIssued(Event, frozen=True, kw_only=True, tag="token.issued"):
    """A sign-in token was issued; the log holds only its keyed digest. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "token_id"

    staff_id: UUID
    token_id: UUID
    digest: bytes
    expires_at: datetime

    def apply(self, record: StaffRecord, version: int) -> None:
        """Add the token."""
        record.tokens = {**record.tokens, self.token_id: TokenState(self.digest, self.expires_at)}
        record.version = version


class TokenRevoked(Event, frozen=True, kw_only=True, tag="token.revoked"):
    """A token was taken back. Since 1."""

    stream_kind = StreamKind.STAFF
    subject = "token_id"
    lifecycle = "deprecate"

    staff_id: UUID
    token_id: UUID

    def apply(self, record: StaffRecord, version: int) -> None:
        """Mark the token."""
        revoked = msgspec.structs.replace(record.tokens[self.token_id], revoked=True)
        record.tokens = {**record.tokens, self.token_id: revoked}
        record.version = version


class AccountTiesRecorded(Event, frozen=True, kw_only=True, tag="account.ties_recorded"):
    """It was recorded how a member of staff is tied to clients; it replaces what was known before. Since 1.

    Attributes:
        client_id: the record of this person as a client, or None.
        address_digest: keyed digest of the address, 32 bytes, or None.
    """

    stream_kind = StreamKind.STAFF
    subject = "staff_id"
    lifecycle = "amend"

    staff_id: UUID
    client_id: UUID | None = None
    address_digest: bytes | None = None

    def apply(self, record: StaffRecord, version: int) -> None:
        """Set the ties."""
        record.client_id, record.address_digest, record.version = self.client_id, self.address_digest, version


EVENTS = (AccountCreated, AccountRoleChanged, AccountDisabled, AccountTiesRecorded, TokenIssued, TokenRevoked)

# --- decisions


@decision("account.create", on=StreamKind.STAFF, creates_stream=True)
def create_account(record: StaffRecord, context: Context, *, name: str, role: Role) -> Sequence[Event]:
    """Open an account.

    Raises:
        InvalidContent: no name, or the role `operator`, which belongs to the machine's own users.
        RuleBroken: `account-exists`.
    """
    if record.version:
        raise RuleBroken("account-exists", "There is an account under this id.")
    if not name.strip():
        raise InvalidContent("/name", "Is empty.")
    if role is Role.OPERATOR:
        raise InvalidContent("/role", "Is not a role of an account.")
    return [AccountCreated(staff_id=record.staff_id, name=name, role=role, **context.stamp())]


@decision("account.change", on=StreamKind.STAFF)
def change_role(record: StaffRecord, context: Context, *, role: Role) -> Sequence[Event]:
    """Give an account another role; nothing to do where it has it.

    Raises:
        UnknownItem: no such account.
        RuleBroken: `own-account`.
        InvalidContent: the role `operator`.
    """
    _open_account(record, context)
    if role is Role.OPERATOR:
        raise InvalidContent("/role", "Is not a role of an account.")
    if record.role is role:
        return []
    return [AccountRoleChanged(staff_id=record.staff_id, role=role, **context.stamp())]


@decision("account.change", on=StreamKind.STAFF)
def disable_account(record: StaffRecord, context: Context) -> Sequence[Event]:
    """Close an account; nothing to do where it is closed.

    Raises:
        UnknownItem: no such account.
        RuleBroken: `own-account`.
    """
    _open_account(record, context)
    return [] if record.disabled else [AccountDisabled(staff_id=record.staff_id, **context.stamp())]


@decision("account.ties", on=StreamKind.STAFF)
def record_ties(
    record: StaffRecord, context: Context, *, client_id: UUID | None, address_digest: bytes | None
) -> Sequence[Event]:
    """Record how a member of staff is tied to clients; nothing to do where it is known.

    Raises:
        UnknownItem: no such account.
        RuleBroken: `own-account`.
    """
    _open_account(record, context)
    if (record.client_id, record.address_digest) == (client_id, address_digest):
        return []
    return [
        AccountTiesRecorded(
            staff_id=record.staff_id, client_id=client_id, address_digest=address_digest, **context.stamp()
        )
    ]


@decision("token.issue", on=StreamKind.STAFF)
def issue_token(
    record: StaffRecord, context: Context, *, token_id: UUID, digest: bytes, expires_at: datetime
) -> Sequence[Event]:
    """Issue a token to an open account.

    Raises:
        UnknownItem: no such account.
        RuleBroken: `account-disabled`.
        InvalidContent: it would be expired already.
    """
    if not record.version:
        raise UnknownItem("account")
    if record.disabled:
        raise RuleBroken("account-disabled", "A disabled account gets no token.")
    if expires_at <= context.at:
        raise InvalidContent("/days", "Lies in the past.")
    return [
        TokenIssued(
            staff_id=record.staff_id, token_id=token_id, digest=digest, expires_at=expires_at, **context.stamp()
        )
    ]


@decision("token.revoke", on=StreamKind.STAFF)
def revoke_token(record: StaffRecord, context: Context, *, token_id: UUID) -> Sequence[Event]:
    """Take a token back; nothing to do where that was done.

    Raises:
        UnknownItem: no such account or token.
    """
    if token_id not in record.tokens:
        raise UnknownItem("token")
    if record.tokens[token_id].revoked:
        return []
    return [TokenRevoked(staff_id=record.staff_id, token_id=token_id, **context.stamp())]


def _open_account(record: StaffRecord, context: Context) -> None:
    if not record.version:
        raise UnknownItem("account")
    if str(record.staff_id) == context.actor.id:
        raise RuleBroken("own-account", "Somebody else must change this account.")
