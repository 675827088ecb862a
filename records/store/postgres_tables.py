"""Making the tables of a log in PostgreSQL: the library's own, then ours.

The library's composite type and its inserting function are left out: that function takes no lock that orders its
writers, and nothing of ours calls it.
"""

from __future__ import annotations

from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError
from eventsourcing.postgres import ConnectionPool, PostgresApplicationRecorder, PostgresDatastore
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed

from records.errors import NotStored
from records.store.postgres_connection import CONNECT_SECONDS, connect
from records.store.schema import POSTGRES_STATEMENTS


class LedgeredRecorder(PostgresApplicationRecorder):
    """The library's recorder with our tables and triggers beside its own. Events are written by the store only."""

    def construct_create_table_statements(self) -> list[Composed | SQL]:
        """Return the library's table and index, then ours."""
        kept = [s for s in self.sql_create_statements if s.as_string().startswith(("CREATE TABLE", "CREATE UNIQUE"))]
        return [*kept, *map(SQL, POSTGRES_STATEMENTS)]

    def insert_events(self, *_: Any, **__: Any) -> None:
        """Refuse: an event without its ledger entry is none."""
        raise PermissionError("events are written by the store, each beside its ledger entry")


def create_tables(conninfo: str) -> None:
    """Make the tables of a new store in one transaction; a crash leaves all of them or none.

    Raises:
        FileExistsError: the database holds a log already.
        NotStored: the server cannot be reached or refuses.
    """
    datastore = PostgresDatastore(dbname="", host="", port="", user="", password="", originator_id_type="uuid")
    datastore.pool = ConnectionPool(
        conninfo, kwargs={"row_factory": dict_row}, min_size=1, open=False, timeout=float(CONNECT_SECONDS)
    )
    try:
        with connect(conninfo) as connection, connection.transaction():
            statements = LedgeredRecorder(datastore).construct_create_table_statements()
            found = connection.execute("SELECT to_regclass('stored_events') IS NOT NULL").fetchone()
            if found == (True,):
                raise FileExistsError("the database holds a log already")
            for statement in statements:
                connection.execute(statement)
    except (psycopg.Error, PersistenceError) as error:
        raise NotStored("the log could not be made") from error
    finally:
        datastore.close()
