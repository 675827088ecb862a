"""The doctor's look into the log: the database's settings and schema, the clock, and the chain of every stream.

Source: CRYPTO 2 and 5; DESIGN (Store).

1. The database keeps what it acknowledged, and its triggers and tables are those that were made.
2. The ledger is dense from 0, its times rise, and the clock of this machine is not behind them.
3. Each stream's versions are dense from 1, each entry names the leaf before it, each epoch is signed by the one before,
   the root is the one of the newest checkpoint, and each event is stored as logged.
4. No event is stored that the ledger does not name.

It opens no seal.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import UUID

from ops.doctor.examination import Finding, fail, ok, warn
from ops.exits import Exit
from ops.settings import Settings
from ops.wiring import Paths, open_store
from records.checkpoint import verify_checkpoint
from records.errors import LedgerMismatch, VerificationError
from records.followed_log import FollowedLog
from records.ledger import decode_entry
from records.store import Store
from records.store.schema import POSTGRES_STATEMENTS, SQLITE_STATEMENTS

PAGE = 5000
CLOCK_BEHIND_US = 5 * 60 * 1_000_000
"""CRYPTO 3: more than five minutes behind the log is a jump that somebody must look at."""
_PURGED = 0


def check_database(settings: Settings) -> Iterator[Finding]:
    """Whether the database is durable, and its tables and triggers are those that were made."""
    yield from _sqlite(settings) if settings.database_url is None else _postgres(settings.database_url)


def _sqlite(settings: Settings) -> Iterator[Finding]:
    path = Paths(settings.data).database
    if not path.exists():
        yield fail("database", "The database is missing.", Exit.INTEGRITY)
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
            whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            names = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            schema = dict(connection.execute(names).fetchall())
    except sqlite3.Error:
        yield fail("database", "The database cannot be read.", Exit.INTEGRITY)
        return
    if journal != "wal":
        yield fail("durability", f"The journal mode is {journal} and must be wal.", Exit.FAILED)
    else:
        yield ok("durability", "WAL; every writing connection of ours sets synchronous=FULL.")
    if whole != "ok":
        yield fail("database", "SQLite finds the file damaged.", Exit.INTEGRITY)
    wanted = {_name(statement): _plain(statement) for statement in SQLITE_STATEMENTS if _name(statement)}
    found = {name: _plain(sql) for name, sql in schema.items() if name != "stored_events"}
    yield from _schema(wanted, found)


def _postgres(url: str) -> Iterator[Finding]:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True) as connection:
            durability: dict[str, str] = dict(
                connection.execute(
                    "SELECT name, setting FROM pg_settings"
                    " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
                ).fetchall()
            )
            triggers = connection.execute(
                "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
                " AND tgenabled IN ('O', 'A') AND tgrelid IN ('stored_events'::regclass, 'ledger'::regclass,"
                " 'log_bodies'::regclass, 'log_tiles'::regclass)"
            ).fetchall()
    except psycopg.Error:
        yield fail("database", "The database cannot be reached.", Exit.FAILED)
        return
    off = [name for name in ("fsync", "full_page_writes") if durability[name] != "on"]
    if off:
        yield fail("durability", f"{' and '.join(off)} must be on.", Exit.FAILED)
    elif durability["synchronous_commit"] not in ("on", "remote_apply"):
        yield warn("durability", "synchronous_commit is off by default; our connections turn it on for themselves.")
    else:
        yield ok("durability", "fsync, full_page_writes and synchronous_commit are on.")
    made = [statement for statement in POSTGRES_STATEMENTS if statement.startswith("CREATE TRIGGER")]
    # The server writes definitions in its own way, so names are compared and definitions are not.
    yield from _schema({_name(each): "" for each in made}, {name: "" for name, _ in triggers})


def _schema(wanted: dict[str, str], found: dict[str, str]) -> Iterator[Finding]:
    missing = sorted(wanted.keys() - found.keys())
    foreign = sorted(found.keys() - wanted.keys())
    altered = sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])
    for names, word in ((missing, "missing"), (altered, "altered"), (foreign, "not ours")):
        if names:
            yield fail("schema", f"Tables, indexes or triggers are {word}: {', '.join(names)}.", Exit.INTEGRITY)
    if not (missing or foreign or altered):
        yield ok("schema", "The append-only triggers stand, and nothing was added.")


def check_clock(settings: Settings) -> Iterator[Finding]:
    """Whether this machine's clock is behind the newest entry."""
    with closing(_open(settings)) as store:
        behind_us = store.head().last_us - time.time_ns() // 1000
    if behind_us > CLOCK_BEHIND_US:
        yield fail("clock", f"The clock is {behind_us / 60e6:.0f} minutes behind the newest entry.", Exit.FAILED)
    else:
        yield ok("clock", "The clock is not behind the log.")


def check_chains(settings: Settings, progress: Callable[[int, int], None]) -> Iterator[Finding]:
    """Whether the ledger is dense and every stream is stored as it was logged. Reads the whole log."""
    with closing(_open(settings)) as store:
        total = store.head().next_index
        try:
            heads = _scan(store, total, progress)
            events = _compare(store, heads, total, progress)
        except LedgerMismatch as error:
            yield fail("chains", f"{str(error).capitalize()}.", Exit.INTEGRITY, error.index)
            return
    yield ok("chains", f"{total} entries are dense, {len(heads)} streams chain, {events} events are as logged.")
    strays = _strays(settings)
    if strays:
        yield fail("strays", f"{strays} events are stored that the ledger does not name.", Exit.INTEGRITY)


def _open(settings: Settings) -> Store:
    return open_store(Paths(settings.data), settings.database_url, read_only=True)


def _scan(store: Store, total: int, progress: Callable[[int, int], None]) -> dict[UUID, int]:
    """Return stream → last version, after the entries proved dense, chained, and those that were signed."""
    log, newest = FollowedLog(), store.checkpoint()
    if newest is None or newest.size > total:
        raise LedgerMismatch("the log ends before what was signed", total)
    for upto in (newest.size, total):
        while log.size < upto:
            page = store.entries(log.size - 1, min(PAGE, upto - log.size))
            if not page:
                raise LedgerMismatch("the ledger is not dense", log.size)
            log.follow(page, store.body)
            log.tiles.clear()
            progress(log.size, 2 * total)
        if upto == newest.size:
            try:
                stated = verify_checkpoint(newest.note, log.trust.log, {log.epoch: log.keys})
            except VerificationError as error:
                raise LedgerMismatch("the newest checkpoint is not signed by the keys of this log") from error
            if (stated.size, stated.root) != (upto, log.root()):
                raise LedgerMismatch("the entries are not those that were signed")
    return log.heads


def _compare(store: Store, heads: dict[UUID, int], total: int, progress: Callable[[int, int], None]) -> int:
    """Return how many events were found stored as their entries say."""
    compared = 0
    for stream, last in heads.items():
        for first in range(0, last, PAGE):
            for row in store.history(stream, first, min(first + PAGE, last)):
                entry = decode_entry(row.entry)
                whole = hashlib.sha256(row.state).digest() == entry.payload_sha256
                purged = row.state == bytes([_PURGED]) + entry.key_id + entry.payload_sha256
                if not (whole or purged):
                    raise LedgerMismatch("an event is not what was logged", row.position)
                compared += 1
        progress(total + compared, 2 * total)
    return compared


def _strays(settings: Settings) -> int:
    """Return how many more events are stored than named; one statement counts both, so that writers do not disturb."""
    count = "SELECT (SELECT count(*) FROM stored_events) - (SELECT count(*) FROM ledger WHERE "
    if settings.database_url is None:
        uri = f"{Paths(settings.data).database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return int(connection.execute(count + "substr(entry, 8, 1) <= x'02')").fetchone()[0])
    import psycopg

    with psycopg.connect(settings.database_url, autocommit=True) as session:
        row = session.execute(count + "substring(entry from 8 for 1) <= '\\x02')").fetchone()
        return int(row[0]) if row is not None else 0


def _name(statement: str) -> str:
    """Return what a CREATE statement makes, or an empty text for another statement."""
    words = statement.replace("IF NOT EXISTS ", "").split()
    if words[0] != "CREATE":
        return ""
    return words[3] if words[1] == "UNIQUE" else words[2]


def _plain(statement: str) -> str:
    return " ".join(statement.replace("IF NOT EXISTS ", "").split())
