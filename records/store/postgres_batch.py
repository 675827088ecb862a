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
from records.ledger import KIND_OFFSET, Kind, decode_entry, entry_hash
from records.store.batch import Plan, named_purges, named_streams
from records.store.postgres_connection import DURABLE, Link, together
from records.store.postgres_proofs import insert_bodies, proofs_stand, write_proofs
from records.store.postgres_purge import ask_standing, standing_rows, write_purges
from records.store.schema import FENCE_PLACE, SEALED_TOPIC
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
_ENDS = (
    "(SELECT true, idx, entry FROM ledger ORDER BY idx DESC LIMIT 1) UNION ALL"
    " SELECT false, last.idx, last.entry FROM unnest(%s::uuid[]) AS name, LATERAL (SELECT idx, entry FROM ledger"
    " WHERE substring(entry from 8 for 1) <= '\\x02'"
    " AND substring(entry from 17 for 24) > uuid_send(name) || '\\x0000000000000000'"
    " AND substring(entry from 17 for 24) <= uuid_send(name) || '\\x7fffffffffffffff'"
    " ORDER BY substring(entry from 17 for 24) DESC LIMIT 1) AS last"
)
_FENCED = "SELECT row_id FROM sealed_rows WHERE place = %s AND row_id = ANY(%s::uuid[])"
_FENCE = (
    "INSERT INTO sealed_rows (place, row_id, stream_id, version, state)"
    " SELECT %s, stream, stream, 0, '' FROM unnest(%s::uuid[]) AS s (stream) ON CONFLICT DO NOTHING"
)
_SCRUB_ROWS = "DELETE FROM sealed_rows WHERE stream_id = ANY(%s::uuid[]) AND place <> %s"
_SCRUB_REQUESTS = "DELETE FROM idempotency WHERE stream_id = ANY(%s::uuid[])"
_KNOWN = (
    "SELECT key_digest, body_digest, stream_id, status, events FROM idempotency WHERE key_digest = ANY(%s::bytea[])"
)
# One statement, so that the server is woken once. No part reads what another writes.
_WRITE = (
    "WITH events AS (INSERT INTO stored_events (originator_id, originator_version, topic, state)"
    " SELECT stream, version, %s, state"
    " FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[]) AS e (stream, version, state)),"
    " requests AS (INSERT INTO idempotency (key_digest, body_digest, stream_id, status, events)"
    " SELECT * FROM unnest(%s::bytea[], %s::bytea[], %s::uuid[], %s::bigint[], %s::bytea[])),"
    " entries AS (INSERT INTO ledger (idx, entry)"
    " SELECT %s::bigint + place - 1, entry FROM unnest(%s::bytea[]) WITH ORDINALITY AS e (entry, place))"
    " UPDATE ledger_head SET next_index = %s::bigint, last_us = %s::bigint, clinic_index = %s::bigint"
)
_READ_BACK = (
    "SELECT l.idx, l.entry, s.state FROM ledger l LEFT JOIN stored_events s"
    " ON s.originator_id = encode(substring(l.entry from 17 for 16), 'hex')::uuid"
    " AND s.originator_version = ('x' || encode(substring(l.entry from 33 for 8), 'hex'))::bit(64)::bigint"
    " AND substring(l.entry from 8 for 1) <= '\\x02'"
    " WHERE l.idx >= %s::bigint ORDER BY l.idx"
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
        rows: (index, entry, state) from the batch's first index on; the state is None beside a key's entry.
        transaction: the transaction's id, where no ledger entry could tell its outcome later.
        proofs: whether each body, tile, checkpoint and purged form stands as it was to be written.
    """

    rows: list[Any]
    transaction: str | None
    proofs: list[bool]


def plan_batch(connection: Link, units: Sequence[Unit], now_us: Callable[[], int]) -> Plan:
    """Begin the transaction, lock the log, read where it and the units' streams stand, and plan.

    Raises:
        NotStored: the server ceased to be durable.
        LedgerMismatch: the head is not where the ledger ends.
    """
    streams = named_streams(units)
    named = {put.stream for unit in units for put in unit.puts}
    purges = named_purges(units)
    named |= {stream for stream, _ in purges}
    closable = streams | named | {created.scope for unit in units for created in unit.keys}
    keys = [unit.idempotency.key for unit in units if unit.idempotency is not None]
    ask = connection.execute
    with together(connection):
        ask("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", prepare=True)
        locked = ask(_LOCK_HEAD, prepare=True, binary=True)
        found = ask(_ENDS, (_array(streams),), prepare=True, binary=True)
        fenced = ask(_FENCED, (FENCE_PLACE, _array(closable)), prepare=True, binary=True) if closable else ()
        known = ask(_KNOWN, (keys,), prepare=True, binary=True) if keys else ()
        standing = ask_standing(connection, purges) if purges else None
    ends = found.fetchall()
    plan = Plan(
        _checked_head(locked.fetchone(), next((row for row in ends if row[0]), None)),
        dict(_stream_head(entry) for is_last, _, entry in ends if not is_last),
        {row.key: row for row in map(known_row, known)},
        now_us(),
        {row[0] for row in fenced},
        standing_rows(standing) if standing is not None else {},
    )
    for unit in units:
        plan.add(unit)
    return plan


def insert(connection: Link, plan: Plan) -> Stored:
    """Write all rows of the plan, and read back its entries and events, in one round trip."""
    ask = connection.execute
    rows = transaction = None
    with together(connection):
        if plan.entries or plan.idempotency:
            ask(_WRITE, _written(plan), prepare=True)
            insert_bodies(connection, plan)
        if plan.entries:
            rows = ask(_READ_BACK, (plan.first_index,), prepare=True, binary=True)
        else:
            transaction = ask("SELECT pg_current_xact_id()::text", prepare=True)
        _write_rows(connection, plan)
        _close_streams(connection, plan)
        _write_audit(connection, plan)
        proofs = [*write_proofs(connection, plan), *write_purges(connection, plan)]
    return Stored(
        rows.fetchall() if rows else [],
        str(transaction.fetchall()[0][0]) if transaction else None,
        proofs_stand(proofs),
    )


def read_back(stored: Stored, plan: Plan) -> None:
    """Compare what the database holds with what was to be written.

    Raises:
        LedgerMismatch: a row was swallowed or altered on its way.
    """
    if [row[:2] for row in stored.rows] != plan.entries:
        raise LedgerMismatch("a ledger entry was not stored as written", plan.first_index)
    # Each state was found by the stream and the version of its own entry.
    if [row[2] for row in stored.rows if row[1][KIND_OFFSET] <= Kind.ACCESS] != [state for _, _, state in plan.events]:
        raise LedgerMismatch("an event was not stored as written", plan.first_index)
    if not all(stored.proofs):
        raise LedgerMismatch("a body, a hash tile, a checkpoint or a purge is not as written", plan.first_index)


def _written(plan: Plan) -> tuple[Any, ...]:
    streams, versions, states = zip(*plan.events, strict=True) if plan.events else ((), (), ())
    keys, bodies, clients, codes, events = zip(*plan.idempotency, strict=True) if plan.idempotency else ((),) * 5
    return (
        SEALED_TOPIC,
        _array(streams),
        _array(versions),
        list(states),
        list(keys),
        list(bodies),
        _array(clients),
        _array(codes),
        list(map(encode_references, events)),
        plan.first_index,
        [entry for _, entry in plan.entries],
        *plan.head,
    )


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


def _close_streams(connection: Link, plan: Plan) -> None:
    if plan.fences:
        connection.execute(_FENCE, (FENCE_PLACE, _array(plan.fences)), prepare=True)
    if plan.scrubs:
        connection.execute(_SCRUB_ROWS, (_array(plan.scrubs), FENCE_PLACE), prepare=True)
        connection.execute(_SCRUB_REQUESTS, (_array(plan.scrubs),), prepare=True)


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
    ended = (last[1] + 1, decode_entry(last[2]).logged_at_us) if last else (0, 0)
    if tuple(place[:2]) != ended:
        raise LedgerMismatch("the head is not where the ledger ends", min(place[0], ended[0]))
    return LogHead(*place)


def known_row(row: tuple[Any, ...]) -> IdempotencyRow:
    """Return what is kept of a request, from its row."""
    key, body, stream, status, events = row
    return IdempotencyRow(key, body, stream, status, decode_references(events))


def _stream_head(entry: bytes) -> tuple[UUID, StreamHead]:
    return UUID(bytes=entry[16:32]), StreamHead(int.from_bytes(entry[32:40], "big"), entry_hash(entry))


def _array(values: Iterable[UUID | int]) -> str:
    # As text, an array's type never depends on the size of its numbers, so that one prepared plan serves all.
    return "{" + ",".join(map(str, values)) + "}"
