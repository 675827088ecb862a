"""What signs the log, on PostgreSQL: clear bodies, full hash tiles and checkpoints, inside a batch's round trip.

- Each sort is one statement that writes and one that compares; nothing is sent where a batch has none of it.
- A tile that is there already must hold the same bytes: whoever makes it again after a crash finds it, and a row that
  somebody put in its place is found out.
"""

from __future__ import annotations

from typing import Any

import psycopg

from records.store.batch import Plan
from records.store.postgres_connection import Link

_INSERT_BODIES = "INSERT INTO log_bodies (idx, body) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
_INSERT_TILES = (
    "INSERT INTO log_tiles (level, n, hashes) SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])"
    " ON CONFLICT (level, n) DO NOTHING"
)
_PUT_CHECKPOINTS = (
    "INSERT INTO checkpoints (size, note) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
    " ON CONFLICT (size) DO UPDATE SET note = excluded.note"
)
_SAME_BODIES = (
    "SELECT count(*) = %s::bigint FROM unnest(%s::bigint[], %s::bytea[]) AS w (idx, body)"
    " JOIN log_bodies t ON t.idx = w.idx AND t.body = w.body"
)
_SAME_TILES = (
    "SELECT count(*) = %s::bigint FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS w (level, n, hashes)"
    " JOIN log_tiles t ON t.level = w.level AND t.n = w.n AND t.hashes = w.hashes"
)
_SAME_CHECKPOINTS = (
    "SELECT count(*) = %s::bigint FROM unnest(%s::bigint[], %s::bytea[]) AS w (size, note)"
    " JOIN checkpoints t ON t.size = w.size AND t.note = w.note"
)

Answer = psycopg.Cursor[tuple[Any, ...]]


def insert_bodies(connection: Link, plan: Plan) -> None:
    """Write the clear bodies of a plan."""
    if plan.bodies:
        connection.execute(_INSERT_BODIES, _columns(plan.bodies), prepare=True)


def write_proofs(connection: Link, plan: Plan) -> list[Answer]:
    """Write the tiles and checkpoints of a plan; return the answers that say whether all of it stands."""
    ask = connection.execute
    answers: list[Answer] = []
    if plan.bodies:
        answers.append(ask(_SAME_BODIES, (len(plan.bodies), *_columns(plan.bodies)), prepare=True))
    if plan.tiles:
        ask(_INSERT_TILES, _columns(plan.tiles), prepare=True)
        answers.append(ask(_SAME_TILES, (len(plan.tiles), *_columns(plan.tiles)), prepare=True))
    if plan.dropped_checkpoints:
        ask("DELETE FROM checkpoints WHERE size = ANY(%s::bigint[])", (list(plan.dropped_checkpoints),), prepare=True)
    if plan.checkpoints:
        # Of two of one size in a batch, the later one stands.
        stand = list({row.size: row for row in plan.checkpoints}.values())
        ask(_PUT_CHECKPOINTS, _columns(stand), prepare=True)
        answers.append(ask(_SAME_CHECKPOINTS, (len(stand), *_columns(stand)), prepare=True))
    return answers


def proofs_stand(answers: list[Answer]) -> list[bool]:
    """Return what each answer says, once the round trip is done."""
    return [bool(answer.fetchall()[0][0]) for answer in answers]


def _columns(rows: Any) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
