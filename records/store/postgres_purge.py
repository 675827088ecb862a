"""Purging on PostgreSQL: the ciphertext of erased events goes, inside a batch's round trips.

Source: CRYPTO 7 (step 7); the PostgreSQL documentation on routine vacuuming.

- The update names the bytes that must stand there; its trigger holds it to their digest; what it wrote is compared.
- The server keeps the old row until VACUUM, which frees its place for other rows and overwrites nothing. Standbys
  follow; archives of the write-ahead log and backups keep what they hold.
- A crash before the commit leaves nothing of it; one before VACUUM leaves the old rows for the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

from records.errors import NotStored
from records.ledger import chain_key
from records.store.batch import Plan
from records.store.postgres_connection import Link, connect
from records.store.unit import Reference, StoredRow

_STANDING = (
    "SELECT e.originator_id, l.idx, l.entry, e.originator_version, e.state"
    " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[]) AS w (stream, version, chain)"
    " JOIN ledger l ON substring(l.entry from 8 for 1) <= '\\x02' AND substring(l.entry from 17 for 24) = w.chain"
    " JOIN stored_events e ON e.originator_id = w.stream AND e.originator_version = w.version"
)
_PURGE = (
    "UPDATE stored_events e SET state = w.after"
    " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[]) AS w (stream, version, before, after)"
    " WHERE e.originator_id = w.stream AND e.originator_version = w.version AND e.state = w.before"
)
_SAME = (
    "SELECT count(*) = %s::bigint FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[]) AS w (stream, version, after)"
    " JOIN stored_events e ON e.originator_id = w.stream AND e.originator_version = w.version AND e.state = w.after"
)

Answer = psycopg.Cursor[tuple[Any, ...]]


def ask_standing(connection: Link, wanted: Sequence[Reference]) -> Answer:
    """Ask what is stored of some events, beside their entries."""
    streams, versions = [each.stream for each in wanted], [each.version for each in wanted]
    chains = [chain_key(stream.bytes, version) for stream, version in wanted]
    return connection.execute(_STANDING, (streams, versions, chains), binary=True)


def standing_rows(answer: Answer) -> dict[Reference, StoredRow]:
    """Return the answer to `ask_standing`; what is not there is left out."""
    return {Reference(stream, row[2]): StoredRow(*row) for stream, *row in answer.fetchall()}


def write_purges(connection: Link, plan: Plan) -> list[Answer]:
    """Put the purged forms of a plan in place of the ciphertexts; return the answers that say whether they stand."""
    if not plan.purges:
        return []
    streams, versions, before, after = (list(column) for column in zip(*plan.purges, strict=True))
    connection.execute(_PURGE, (streams, versions, before, after))
    return [connection.execute(_SAME, (len(streams), streams, versions, after))]


def vacuum(conninfo: str) -> bool:
    """Free the places of old rows; return False where the server skipped it, for want of rights.

    Raises:
        NotStored: the server cannot be reached, or did not do it.
    """
    warnings: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.sqlstate or "")

    try:
        with connect(conninfo) as connection:
            connection.add_notice_handler(note)
            # It takes what it takes: rows and writers go on meanwhile.
            connection.execute("SET statement_timeout = 0")
            connection.execute("VACUUM stored_events")
    except psycopg.Error as error:
        raise NotStored("the database did not free what was purged") from error
    return not warnings
