"""The schema of a live log: the tables, indexes, triggers and rules that were made, unaltered and with nothing added.

Source: CRYPTO 4: a trigger or a rule could swallow a reading, or let a row be altered.

- SQLite keeps each definition as it was written, so the texts are compared.
- PostgreSQL writes definitions its own way. Both texts are brought to one form, without brackets, casts and spaces, and
  then compared; a trigger that is switched off counts as missing. Rules, row security and inheritance must not be.
- What others keep beside our tables in the same database is theirs; what hangs on our tables is not.
"""

from __future__ import annotations

import re
from typing import Any

from ops.live.log import Tables
from ops.verify import VerificationError
from records.store.schema import POSTGRES_STATEMENTS, SQLITE_STATEMENTS

_EVENTS_SQLITE = (
    "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB, PRIMARY KEY"
    " (originator_id, originator_version))"
)
_EVENTS_POSTGRES = [
    "CREATE TABLE stored_events (originator_id uuid, originator_version bigint, topic text, state bytea,"
    " notification_id bigint, PRIMARY KEY (originator_id, originator_version))",
    "CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id)",
]
"""What the library makes."""

_TABLES = """
SELECT c.relname, c.relkind::text, c.relrowsecurity OR c.relhasrules OR c.relispartition OR EXISTS (
           SELECT 1 FROM pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid),
       string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (?) GROUP BY 1, 2, 3
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY (?)"
_TRIGGERS = """
SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND c.relnamespace = 'public'::regnamespace
  AND c.relname = ANY (?)
"""
_FUNCTION = (
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname = 'refuse_change'"
)


class AlteredSchema(VerificationError):
    """Tables, indexes, triggers or rules are missing, altered or not ours."""


def check_schema(tables: Tables) -> None:
    """Compare the schema with the one that was made.

    Raises:
        AlteredSchema: names what differs.
    """
    wanted, found = _sqlite(tables) if tables.engine == "sqlite" else _postgres(tables)
    both = wanted.keys() & found.keys()
    for names, word in (
        (wanted.keys() - found.keys(), "missing"),
        (found.keys() - wanted.keys(), "not ours"),
        ({name for name in both if wanted[name] != found[name]}, "altered"),
    ):
        if names:
            raise AlteredSchema(f"In the database's schema this is {word}: {', '.join(sorted(names))}.")


def _sqlite(tables: Tables) -> tuple[dict[str, str], dict[str, str]]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    found = {name.decode(): _plain(sql.decode()) for name, sql in tables.select(query)}
    made = [_EVENTS_SQLITE, *(each for each in SQLITE_STATEMENTS if each.startswith("CREATE"))]
    return {_named(each): _plain(each) for each in made}, found


def _named(statement: str) -> str:
    words = statement.replace("IF NOT EXISTS ", "").split()
    return words[3] if words[1] == "UNIQUE" else words[2].removesuffix("()")


def _plain(statement: str) -> str:
    return " ".join(statement.replace("IF NOT EXISTS ", "").split())


def _postgres(tables: Tables) -> tuple[dict[str, str], dict[str, str]]:
    made = [*_EVENTS_POSTGRES, *(each for each in POSTGRES_STATEMENTS if each.startswith("CREATE"))]
    wanted: dict[str, str] = {}
    names = []
    for statement in made:
        if statement.startswith("CREATE TABLE"):
            name, columns, key = _table(statement)
            names.append(name)
            wanted[name] = columns
            wanted[f"{name}_pkey"] = _one_form(f"CREATE UNIQUE INDEX {name}_pkey ON {name} ({key})") if key else ""
        elif statement.startswith("CREATE FUNCTION"):
            wanted[_named(statement)] = statement.split("$$")[1]
        else:
            wanted[_named(statement)] = _one_form(statement)
    found: dict[str, str] = {}
    for name, kind, special, columns in tables.select(_TABLES, names):
        found[name] = columns if kind == "r" and not special else "with rules, row security or inheritance"
    for query in (_INDEXES, _TRIGGERS):
        found |= {name: _one_form(definition) for name, definition in tables.select(query, names)}
    found |= dict(tables.select(_FUNCTION))
    return {name: text for name, text in wanted.items() if text}, found


def _table(statement: str) -> tuple[str, str, str]:
    """Return a table's name, its columns with their types, and the columns of its primary key."""
    name, _, rest = statement.removeprefix("CREATE TABLE ").partition(" (")
    parts = re.split(r", (?![^(]*\))", rest.split(") WITH")[0].removesuffix(")"))
    columns = [part.split() for part in parts if not part.startswith("PRIMARY KEY")]
    keys = [part.removeprefix("PRIMARY KEY (").rstrip(")") for part in parts if part.startswith("PRIMARY KEY")]
    keys += [words[0] for words in columns if "PRIMARY" in words]
    return name, ", ".join(f"{words[0]} {words[1]}" for words in columns), keys[0] if keys else ""


def _one_form(definition: str) -> str:
    """Return a definition in the form in which ours and the server's are the same text."""
    text: Any = definition.lower().replace("public.", "").replace(" using btree", "").replace("::bytea", "")
    text = text.replace("for each statement", "").replace("= any (array[", "in (").replace("]", "")
    return re.sub(r"[()\s,]|\bfrom\b|\bfor\b", "", text)
