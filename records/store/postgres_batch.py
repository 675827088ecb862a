"""The two first round trips of a batch on PostgreSQL: lock and read what planning needs; write it and read it back.

- The lock on `ledger_head` comes first. Each later statement of the transaction sees what was committed before it
  (read committed), so what is read under the lock is the log's true end.
- Statements of one round trip are sent together; when one fails, the server runs none of the rest.
- A sealed row is written once for each batch, whatever number of its units put it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from records.errors import LedgerMismatch, NotStored
from records.ledger import decode_entry, entry_hash
from records.store.batch import Plan
from records.store.postgres_connection import DURABLE, Link
from records.store.schema import SEALED_TOPIC
from records.store.unit import (
    IdempotencyRow,
    LogHead,
    RowPut,
    StreamHead,
    Unit,
    decode_references,
    encode_references,
)

# What is joined is a constant of ours.
_LOCK_HEAD = f"SELECT next_index, last_us, clinic_index, {DURABLE} FROM ledger_head FOR UPDATE"  # noqa: S608
_LAST_ENTRY = "SELECT idx, entry FROM ledger ORDER BY idx DESC LIMIT 1"
_STREAM_HEADS = (
    "SELECT last.entry FROM unnest(%s::uuid[]) AS name, LATERAL (SELECT entry FROM ledger"
    " WHERE substring(entry from 8 for 1) <= '\\x02'"
    " AND substring(entry from 17 for 24) > uuid_send(name) || '\\x0000000000000000'"
    " AND substring(entry from 17 for 24) <= uuid_send(name) || '\\x7fffffffffffffff'"
    " ORDER BY substring(entry from 17 for 24) DESC LIMIT 1) AS last"
)
_KNOWN = (
    "SELECT key_digest, body_digest, stream_id, status, events FROM idempotency WHERE key_digest = ANY(%s::bytea[])"
)
_INSERT_ENTRIES = (
    "INSERT INTO ledger (idx, entry)"
    " SELECT %s::bigint + place - 1, entry FROM unnest(%s::bytea[]) WITH ORDINALITY AS e (entry, place)"
)
_INSERT_EVENTS = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
    " SELECT stream, version, %s, state"
    " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[]) AS e (stream, version, state)"
)
_MOVE_HEAD = "UPDATE ledger_head SET next_index = %s::bigint, last_us = %s::bigint, clinic_index = %s::bigint"
_READ_ENTRIES = "SELECT idx, entry FROM ledger WHERE idx >= %s::bigint ORDER BY idx"
_READ_EVENTS = (
    "SELECT s.originator_id, s.originator_version, s.state"
    " FROM unnest(%s::uuid[], %s::bigint[]) WITH ORDINALITY AS e (stream, version, place)"
    " JOIN stored_events s ON s.originator_id = e.stream AND s.originator_version = e.version ORDER BY e.place"
)
_INSERT_IDEMPOTENCY = (
    "INSERT INTO idempotency (key_digest, body_digest, stream_id, status, events)"
    " SELECT * FROM unnest(%s::bytea[], %s::bytea[], %s::uuid[], %s::bigint[], %s::bytea[])"
)
_PUT_ROWS = (
    "INSERT INTO sealed_rows AS stored (place, row_id, stream_id, version, state)"
    " SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[], %s::bigint[], %s::bytea[])"
    " ON CONFLICT (place, row_id) DO UPDATE"
    " SET stream_id = excluded.stream_id, version = excluded.version, state = excluded.state"
)
_ONLY_FORWARD = " WHERE excluded.version > stored.version"
_DELETE_ROWS = (
    "DELETE FROM sealed_rows USING unnest(%s::text[], %s::uuid[]) AS gone (place, row_id)"
    " WHERE sealed_rows.place = gone.place AND sealed_rows.row_id = gone.row_id"
)
_INSERT_AUDIT = (
    "INSERT INTO audit_index (idx, client_id, actor, purpose, at_us)"
    " SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING"
)


class Stored(NamedTuple):
    """What the database says of a batch before its commit.

    Attributes:
        entries: (index, entry) from the batch's first index on.
        events: (stream, version, state) of the batch's events, in their order.
        transaction: the transaction's id, where no ledger entry could tell its outcome later.
    """

    entries: list[Any]
    events: list[Any]
    transaction: str | None


def plan_batch(connection: Link, units: Sequence[Unit], now_us: Callable[[], int]) -> Plan:
    """Begin the transaction, lock the log, read where it and the units' streams stand, and plan.

    Raises:
        NotStored: the server ceased to be durable.
        LedgerMismatch: the head is not where the ledger ends.
    """
    streams = {append.stream for unit in units for append in unit.appends}
    keys = [unit.idempotency.key for unit in units if unit.idempotency is not None]
    ask = connection.execute
    with connection.pipeline():
        ask("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", prepare=True)
        head = ask(_LOCK_HEAD, prepare=True, binary=True)
        last = ask(_LAST_ENTRY, prepare=True, binary=True)
        heads = ask(_STREAM_HEADS, (_array(streams),), prepare=True, binary=True) if streams else None
        known = ask(_KNOWN, (keys,), prepare=True, binary=True) if keys else None
    plan = Plan(
        _checked_head(head.fetchone(), last.fetchone()),
        dict(map(_stream_head, heads or ())),
        {row.key: row for row in map(known_row, known or ())},
        now_us(),
    )
    for unit in units:
        plan.add(unit)
    return plan


def insert(connection: Link, plan: Plan) -> Stored:
    """Write all rows of the plan, and read back its entries and events, in one round trip."""
    ask = connection.execute
    entries = events = transaction = None
    with connection.pipeline():
        if plan.entries:
            first = plan.entries[0][0]
            ask(_INSERT_ENTRIES, (first, [entry for _, entry in plan.entries]), prepare=True)
            ask(_MOVE_HEAD, plan.head, prepare=True)
            entries = ask(_READ_ENTRIES, (first,), prepare=True, binary=True)
        else:
            transaction = ask("SELECT pg_current_xact_id()::text", prepare=True)
        if plan.events:
            streams, versions, states = zip(*plan.events, strict=True)
            names, numbers = _array(streams), _array(versions)
            ask(_INSERT_EVENTS, (SEALED_TOPIC, names, numbers, list(states)), prepare=True)
            events = ask(_READ_EVENTS, (names, numbers), prepare=True, binary=True)
        if plan.idempotency:
            keys, bodies, clients, codes, references = zip(*plan.idempotency, strict=True)
            ask(
                _INSERT_IDEMPOTENCY,
                (list(keys), list(bodies), _array(clients), _array(codes), list(map(encode_references, references))),
                prepare=True,
            )
        _write_rows(connection, plan)
        _write_audit(connection, plan)
    return Stored(
        entries.fetchall() if entries else [],
        events.fetchall() if events else [],
        str(transaction.fetchall()[0][0]) if transaction else None,
    )


def read_back(stored: Stored, plan: Plan) -> None:
    """Compare what the database holds with what was to be written.

    Raises:
        LedgerMismatch: a row was swallowed or altered on its way.
    """
    if stored.entries != plan.entries:
        raise LedgerMismatch("a ledger entry was not stored as written", plan.first_index)
    if stored.events != plan.events:
        raise LedgerMismatch("an event was not stored as written", plan.first_index)


def _write_rows(connection: Link, plan: Plan) -> None:
    puts: dict[tuple[str, UUID], RowPut] = {}
    for put in plan.puts:
        before = puts.get((put.place, put.row_id))
        if before is not None:
            if put.only_forward and put.version <= before.version:
                continue
            put = put._replace(only_forward=put.only_forward and before.only_forward)
        puts[put.place, put.row_id] = put
    for forward in (True, False):
        chosen = [put for put in puts.values() if put.only_forward is forward]
        if chosen:
            places, ids, streams, versions, states, _ = zip(*chosen, strict=True)
            connection.execute(
                _PUT_ROWS + _ONLY_FORWARD if forward else _PUT_ROWS,
                (list(places), _array(ids), _array(streams), _array(versions), list(states)),
                prepare=True,
            )
    if plan.deletes:
        places, ids = zip(*plan.deletes, strict=True)
        connection.execute(_DELETE_ROWS, (list(places), _array(ids)), prepare=True)


def _write_audit(connection: Link, plan: Plan) -> None:
    for audit in plan.audits:
        if audit.restart:
            connection.execute("DELETE FROM audit_index", prepare=True)
        if audit.rows:
            positions, clients, actors, purposes, times = zip(*audit.rows, strict=True)
            connection.execute(
                _INSERT_AUDIT,
                (_array(positions), list(clients), list(actors), list(purposes), _array(times)),
                prepare=True,
            )
        connection.execute("UPDATE audit_position SET idx = %s::bigint", (audit.position,), prepare=True)


def _checked_head(head: tuple[Any, ...] | None, last: tuple[Any, ...] | None) -> LogHead:
    if head is None:
        raise LedgerMismatch("the head of the log is gone")
    *place, durable = head
    if not durable:
        raise NotStored("the server is not durable: fsync, full_page_writes and synchronous_commit must be on")
    ended = (last[0] + 1, decode_entry(last[1]).logged_at_us) if last else (0, 0)
    if tuple(place[:2]) != ended:
        raise LedgerMismatch("the head is not where the ledger ends", min(place[0], ended[0]))
    return LogHead(*place)


def known_row(row: tuple[Any, ...]) -> IdempotencyRow:
    """Return what is kept of a request, from its row."""
    key, body, stream, status, events = row
    return IdempotencyRow(key, body, stream, status, decode_references(events))


def _stream_head(row: tuple[bytes]) -> tuple[UUID, StreamHead]:
    (entry,) = row
    return UUID(bytes=entry[16:32]), StreamHead(int.from_bytes(entry[32:40], "big"), entry_hash(entry))


def _array(values: Iterable[UUID | int]) -> str:
    # As text, an array's type never depends on the size of its numbers, so that one prepared plan serves all.
    return "{" + ",".join(map(str, values)) + "}"
