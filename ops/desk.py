"""The desk: where commands are done, in the command's own process or in the service that holds the clinic.

Source: CONTRACT (command line: the actor of a command, `control.sock`).

- What is done are the duties of `ops.duties`: the same functions in both places.
- `perform` runs it here where the log is free, and hands it to the running service where one holds the log.
- The actor is the account of the token in `WELLKEPT_TOKEN_FILE`; without one it is the system user, marked as operator.

It prints nothing and asks nothing.
"""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from typing import Any

import msgspec

from ops import control
from ops.duties import DUTIES, Progress, Streamed, Take
from ops.opening import open_from
from ops.settings import Settings
from ops.wiring import Clinic, operator_of
from records.errors import ClinicLocked, NotPermitted
from records.request import Request


def perform(
    settings: Settings,
    duty: str,
    arguments: dict[str, Any],
    progress: Progress | None = None,
    take: Take | None = None,
) -> Any:
    """Do a duty on the clinic of the settings, through the running service where one holds the log.

    Args:
        settings: of the clinic.
        duty: its name in `ops.duties`.
        arguments: plain data.
        progress: is told how far it is.
        take: takes the pieces of the file, where the duty makes one.

    Raises:
        ClinicLocked: another process holds the log, and no service answers.
        CommandFailed: the service did not do it.
        WellkeptError: it was not done here.
    """
    progress, take = progress or _silent, take or _unasked
    token = settings.token()
    try:
        clinic = open_from(settings)
    except ClinicLocked:
        return control.ask(settings.data, duty, arguments, token, progress, take)
    with closing(clinic):
        return do(clinic, duty, arguments, token, os.getuid(), progress, take)


def do(
    clinic: Clinic,
    duty: str,
    arguments: dict[str, Any],
    token: str | None,
    user_id: int,
    progress: Progress,
    take: Take,
) -> Any:
    """Do a duty on an open clinic for whoever holds the token, else for the system user; return plain data.

    What it streams is given to `take`, piece by piece, before this returns.

    Raises:
        NotPermitted: the token is not good, or its account may not do this.
    """
    actor = operator_of(user_id) if token is None else clinic.service.authenticate(token, "local")
    if actor is None:
        raise NotPermitted("token")
    request = Request(actor, str(uuid.uuid4()))
    done = DUTIES[duty](clinic, request, arguments, progress)
    if isinstance(done, Streamed):
        for piece in done.pieces:
            take(piece)
        done = done.told
    return msgspec.to_builtins(done)


def _unasked(piece: bytes) -> None:
    raise TypeError("a duty streams what nobody takes")


def _silent(done: int, of: int) -> None:
    """Nobody watches."""
