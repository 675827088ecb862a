"""The desk: what commands do to a clinic, as functions that run in the command or in the service that holds it.

Source: CONTRACT (command line: the actor of a command, `control.sock`).

- A duty gets an open clinic, a request and plain arguments, and returns plain data. It goes through the two doors.
- `perform` runs it here where the log is free, and hands it to the running service where one holds the log.
- The actor is the account of the token in `WELLKEPT_TOKEN_FILE`; without one it is the system user, marked as operator.

It prints nothing and asks nothing.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ops import control
from ops.opening import open_from
from ops.settings import Settings
from ops.wiring import Clinic, operator_of
from records.actors import Role
from records.errors import ClinicLocked, InvalidContent, NotPermitted, UnknownItem
from records.request import Request
from records.staff import create_account, disable_account, issue_token, revoke_token

Progress = Callable[[int, int], None]
"""(done, of) → told while a long duty runs; `of` is 0 where it is not known."""
Duty = Callable[[Clinic, Request, dict[str, Any], Progress], Any]

TOKEN_PREFIX = "wk_"  # noqa: S105 - what every token begins with, not a token
TOKEN_BYTES = 32
MAX_TOKEN_DAYS = 366


def perform(settings: Settings, duty: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any:
    """Do a duty on the clinic of the settings, through the running service where one holds the log.

    Raises:
        ClinicLocked: another process holds the log, and no service answers.
        CommandFailed: the service did not do it.
        WellkeptError: it was not done here.
    """
    progress = progress or _silent
    token = settings.token()
    try:
        clinic = open_from(settings)
    except ClinicLocked:
        return control.ask(settings.data, duty, arguments, token, progress)
    with closing(clinic):
        return do(clinic, duty, arguments, token, os.getuid(), progress)


def do(
    clinic: Clinic, duty: str, arguments: dict[str, Any], token: str | None, user_id: int, progress: Progress
) -> Any:
    """Do a duty on an open clinic for whoever holds the token, else for the system user; return plain data.

    Raises:
        NotPermitted: the token is not good, or its account may not do this.
    """
    actor = operator_of(user_id) if token is None else clinic.service.authenticate(token, "local")
    if actor is None:
        raise NotPermitted("token")
    request = Request(actor, str(uuid.uuid4()))
    return msgspec.to_builtins(DUTIES[duty](clinic, request, arguments, progress))


def _silent(done: int, of: int) -> None:
    """Nobody watches."""


# --- accounts and tokens


def _add_user(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, role = uuid.uuid4(), Role(arguments["role"])
    clinic.service.transact(staff_id, create_account, request, name=arguments["name"], role=role)
    return {"id": staff_id, "name": arguments["name"], "role": role}


def _list_users(clinic: Clinic, request: Request, _: dict[str, Any], __: Progress) -> Any:
    clinic.service.admit("account.list", None, request)
    now = datetime.now(UTC)
    accounts = sorted(clinic.service.directory.staff.values(), key=lambda record: (record.name, record.staff_id))
    return [
        {
            "id": record.staff_id,
            "name": record.name,
            "role": record.role,
            "disabled": record.disabled,
            "tokens": [
                {"id": token_id, "expires_at": token.expires_at}
                for token_id, token in record.tokens.items()
                if not token.revoked and token.expires_at > now
            ],
        }
        for record in accounts
    ]


def _disable_user(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id = _id(arguments["id"], "account")
    clinic.service.transact(staff_id, disable_account, request)
    return {"id": staff_id, "disabled": True}


def _issue_token(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, token_id = _id(arguments["user"], "account"), uuid.uuid4()
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    if not 0 < arguments["days"] <= MAX_TOKEN_DAYS:
        raise InvalidContent("/days", f"Must be 1 to {MAX_TOKEN_DAYS}.")
    expires_at = datetime.now(UTC) + timedelta(days=arguments["days"])
    clinic.service.transact(
        staff_id,
        issue_token,
        request,
        token_id=token_id,
        digest=clinic.service.token_digest(token),
        expires_at=expires_at,
    )
    return {"id": token_id, "user": staff_id, "token": token, "expires_at": expires_at}


def _revoke_token(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    token_id = _id(arguments["id"], "token")
    clinic.service.admit("token.revoke", None, request)
    holders = [record.staff_id for record in clinic.service.directory.staff.values() if token_id in record.tokens]
    if not holders:
        raise UnknownItem("token")
    clinic.service.transact(holders[0], revoke_token, request, token_id=token_id)
    return {"id": token_id, "user": holders[0], "revoked": True}


def _id(text: str, kind: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise UnknownItem(kind) from None


DUTIES: dict[str, Duty] = {
    "user.add": _add_user,
    "user.list": _list_users,
    "user.disable": _disable_user,
    "token.issue": _issue_token,
    "token.revoke": _revoke_token,
}
"""Every duty by name."""
