"""What tests share: a throw-away PostgreSQL, a clock that tests set, and a store on each engine.

- `postgres_url` is a fresh, empty database; the server starts when the first test asks for it.
- `engine` is a new, empty log on SQLite, then on PostgreSQL; `store` is that log, open for writing.
- `kept` is where a clinic's root keys are: a file, a real Vault server, a PKCS#11 token.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from records.store import Store
from tests.engines import Clock, Engine, PostgresEngine, SqliteEngine
from tests.kept_keys import KINDS, KeptKeys, documented_policy, in_a_file, in_a_token, in_vault
from tests.throwaway_openbao import ThrowawayOpenBao
from tests.throwaway_postgres import ThrowawayPostgres
from tests.throwaway_softhsm import ThrowawaySoftHsm


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


@pytest.fixture(scope="session")
def openbao() -> Iterator[ThrowawayOpenBao]:
    """The one Vault-compatible server of the run."""
    server = ThrowawayOpenBao()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def openbao_tls() -> Iterator[ThrowawayOpenBao]:
    """The same, with a certificate that its own authority signed."""
    server = ThrowawayOpenBao(tls=True)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def softhsm() -> Iterator[ThrowawaySoftHsm]:
    """The one PKCS#11 token of the run."""
    token = ThrowawaySoftHsm()
    try:
        yield token
    finally:
        token.stop()


@pytest.fixture(params=KINDS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> KeptKeys:
    """The root keys of a clinic that is not founded yet, kept by each provider in turn."""
    match request.param:
        case "vault":
            return in_vault(tmp_path, request.getfixturevalue("openbao"), documented_policy)
        case "pkcs11":
            return in_a_token(tmp_path, request.getfixturevalue("softhsm"))
        case _:
            return in_a_file(tmp_path)
