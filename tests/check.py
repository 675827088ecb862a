"""Every invariant of a log, asked of the tables themselves: call `check_store` after any test that writes.

1. The ledger is dense from 0, and its times rise strictly.
2. Each stream's versions are dense from 1, and each entry names the leaf before it.
3. Each event and access entry has its stored event, with the digest and the length that the entry names; or its purged
   form, which keeps the digest.
4. No event is stored that the ledger does not name, and no topic is in clear.
5. Each epoch and declared restore has its clear body, with the digest and the length that the entry names, and names
   the one before it; no other entry has a body.
6. The store's own methods and head say what the tables hold.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any
from uuid import UUID

import psycopg

from records.ledger import CLEAR_KINDS, NO_LEAF, Kind, decode_entry, entry_hash
from records.sealing import FORMAT, PURGED
from records.store import Store
from records.store.postgres import PostgresStore
from records.store.schema import SEALED_TOPIC
from records.store.sqlite import SqliteStore
from records.store.unit import LogHead

_LEDGER = "SELECT idx, entry FROM ledger ORDER BY idx"
_EVENTS = "SELECT originator_id, originator_version, topic, state FROM stored_events"


def tables(store: Store) -> tuple[list[tuple[int, bytes]], dict[tuple[UUID, int], tuple[str, bytes]]]:
    """Return the ledger's rows and the stored events, read past the store."""
    ledger: list[Any]
    events: list[Any]
    if isinstance(store, SqliteStore):
        connection = sqlite3.connect(store._path)
        try:
            ledger, events = connection.execute(_LEDGER).fetchall(), connection.execute(_EVENTS).fetchall()
        finally:
            connection.close()
    else:
        assert isinstance(store, PostgresStore), f"an engine that this check does not know: {type(store).__name__}"
        with psycopg.connect(store._conninfo) as session:
            ledger, events = session.execute(_LEDGER).fetchall(), session.execute(_EVENTS).fetchall()
    return ledger, {(UUID(str(stream)), version): (topic, state) for stream, version, topic, state in events}


def check_store(store: Store) -> None:
    """Check every invariant; nobody may write meanwhile."""
    ledger, events = tables(store)
    last_us, clinic = 0, -1
    heads: dict[UUID, tuple[int, bytes]] = {}
    bodies = dict(store.bodies())
    last_clear = NO_LEAF
    for place, (index, encoded) in enumerate(ledger):
        entry = decode_entry(encoded)
        assert index == place, f"the ledger is not dense at {place}"
        assert entry.logged_at_us > last_us, f"time does not rise at {index}"
        last_us = entry.logged_at_us
        if encoded[88] == 5 and entry.kind is Kind.EVENT:
            clinic = index
        if entry.kind in CLEAR_KINDS:
            body = bodies.pop(index)
            assert hashlib.sha256(body).digest() == entry.payload_sha256, f"a body was altered at {index}"
            assert len(body) == entry.payload_len, f"a body's length is wrong at {index}"
            assert store.body(index) == body
            assert entry.prev_stream_leaf == last_clear, f"an epoch does not name the one before it at {index}"
            last_clear = entry_hash(encoded)
        if entry.kind not in (Kind.EVENT, Kind.ACCESS):
            continue
        version, leaf = heads.get(entry.stream, (0, NO_LEAF))
        assert entry.version == version + 1, f"a stream is not dense at {index}"
        assert entry.prev_stream_leaf == leaf, f"an entry does not name the leaf before it at {index}"
        heads[entry.stream] = entry.version, entry_hash(encoded)
        assert (entry.stream, entry.version) in events, f"an event is not stored at {index}"
        topic, state = events.pop((entry.stream, entry.version))
        assert topic == SEALED_TOPIC, f"a topic in clear at {index}"
        if state[0] == PURGED:
            assert state == bytes([PURGED]) + entry.key_id + entry.payload_sha256, f"a wrong purge at {index}"
        else:
            assert state[0] == FORMAT, f"a state of unknown format at {index}"
            assert hashlib.sha256(state).digest() == entry.payload_sha256, f"a state was altered at {index}"
            assert len(state) == entry.payload_len, f"a length is wrong at {index}"
    assert not events, "an event is stored that the ledger does not name"
    assert not bodies, "a body is stored that the ledger does not name"
    _check_answers(store, ledger, heads, LogHead(len(ledger), last_us, clinic))


def _check_answers(
    store: Store, ledger: list[tuple[int, bytes]], heads: dict[UUID, tuple[int, bytes]], head: LogHead
) -> None:
    assert store.head() == head
    assert list(store.entries(-1, len(ledger) + 1)) == ledger
    for stream, (version, leaf) in heads.items():
        rows = store.history(stream)
        assert [row.version for row in rows] == list(range(1, version + 1))
        assert entry_hash(rows[-1].entry) == leaf
