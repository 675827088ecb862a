"""What tests share: a throw-away PostgreSQL, a clock that tests set, and a store on each engine.

- `postgres_url` is a fresh, empty database; the server starts when the first test asks for it.
- `engine` is a new, empty log on SQLite, then on PostgreSQL; `store` is that log, open for writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from records.store import Store
from tests.engines import Clock, Engine, PostgresEngine, SqliteEngine
from tests.throwaway_postgres import ThrowawayPostgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ThrowawayPostgres]:
    """The one PostgreSQL of the run."""
    server = ThrowawayPostgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: ThrowawayPostgres) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    url = postgres_server.fresh_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def clock() -> Clock:
    """The clock of `engine` and `store`."""
    return Clock()


@pytest.fixture
def sqlite_engine(tmp_path: Path, clock: Clock) -> Iterator[SqliteEngine]:
    """A new log in a SQLite file."""
    engine = SqliteEngine(tmp_path / "records.db", clock)
    yield engine
    engine.close()


@pytest.fixture
def postgres_engine(postgres_url: str, clock: Clock) -> Iterator[PostgresEngine]:
    """A new log in a PostgreSQL database."""
    engine = PostgresEngine(postgres_url, clock)
    yield engine
    engine.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A new log, on each engine in turn."""
    made: Engine = request.getfixturevalue(f"{request.param}_engine")
    return made


@pytest.fixture
def store(engine: Engine) -> Store:
    """An open store over a new log, on each engine in turn."""
    return engine.open()
