"""Committing on PostgreSQL, and finding out what became of a commit whose answer was lost.

Source: the PostgreSQL documentation on synchronous replication, `pg_xact_status` and explicit locking.

- A commit is done when the server says COMMIT and no warning came with it. The one warning that can come says that the
  wait for a standby was given up: stored here, not yet there.
- When the connection broke instead, the row lock of `ledger_head` is taken on a new connection. It is granted when the
  old transaction has ended, one way or the other; from then on the ledger does not change its answer.
- The batch's entries, which name stream, version, digest and time, stand at their indices, or nothing of it was stored.
- Taking the lock is itself committed, so everything before it is durable, on the synchronous standby too, before the
  answer is given.
- A batch without entries (views, audit index) is told by its transaction's status.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import Diagnostic

from records.errors import NotStored, OutcomeUnknown
from records.store.batch import Plan
from records.store.postgres_connection import UNREACHED, Link, connect

LOOK_UPS = 6
LOOK_UP_WAIT_SECONDS = 0.5
LOOK_UP_MS = 3_000
"""For each statement of a look-up. All of them together outlast a silent transaction's hold on the lock."""


def commit(connection: Link, conninfo: str, transaction: str | None, plan: Plan) -> None:
    """Commit the open transaction; returns when the batch is durable.

    Args:
        connection: where the batch was written.
        conninfo: how to reach the database anew.
        transaction: the transaction's id, for a plan without entries.
        plan: what was written.

    Raises:
        NotStored: the server rolled back; nothing of the batch is stored.
        OutcomeUnknown: the answer was lost, and could not be found out in time.
    """
    try:
        with _warned(connection) as warnings:
            answer = connection.execute("COMMIT").statusmessage
    except UNREACHED as error:
        if not connection.closed:
            raise NotStored("the log could not be written") from error
        _find_out(conninfo, transaction, plan, error)
        return
    if answer != "COMMIT":
        raise NotStored("the server rolled the batch back")
    if warnings:
        _find_out(conninfo, transaction, plan, None)


@contextmanager
def _warned(connection: Link) -> Iterator[list[str]]:
    """Collect the codes of the warnings that the server gives meanwhile."""
    warnings: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        # It can be read only now, while the answer that carries it is at hand.
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.sqlstate or "")

    connection.add_notice_handler(note)
    try:
        yield warnings
    finally:
        connection.remove_notice_handler(note)


def _find_out(conninfo: str, transaction: str | None, plan: Plan, lost: psycopg.Error | None) -> None:
    for attempt in range(LOOK_UPS):
        if attempt:
            time.sleep(LOOK_UP_WAIT_SECONDS)
        try:
            stored = _is_stored(conninfo, transaction, plan)
        except psycopg.Error:
            # The server is away, or the old transaction still holds the lock: the next attempt may tell.
            continue
        if stored:
            return
        if stored is False:
            raise NotStored("the connection was lost before the commit") from lost
    raise OutcomeUnknown("the answer of the commit was lost") from lost


def _is_stored(conninfo: str, transaction: str | None, plan: Plan) -> bool | None:
    """Return whether the batch is stored for good; None when the database cannot tell."""
    with connect(conninfo) as connection, _warned(connection) as warnings:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = {LOOK_UP_MS}")
            connection.execute("SELECT next_index FROM ledger_head FOR UPDATE")
            if plan.entries:
                wanted = [index for index, _ in plan.entries]
                stored = connection.execute(
                    "SELECT idx, entry FROM ledger WHERE idx = ANY(%s) ORDER BY idx", (wanted,)
                ).fetchall()
                outcome: bool | None = stored == plan.entries
            else:
                row = connection.execute("SELECT pg_xact_status(%s::text::xid8)", (transaction,)).fetchone()
                outcome = {"committed": True, "aborted": False}.get(row[0]) if row else None
        # A warning says that the standby does not have it yet.
        return None if warnings else outcome
