"""A PostgreSQL to measure on: the one of WELLKEPT_BENCH_DATABASE_URL, else the test run's throw-away server.

- A given server must let us make databases; everything that is made is dropped at the end.
- The throw-away server keeps PostgreSQL's durable defaults, and its data lies on the disk that is measured.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from ops.bench.figure import Bench, NotMeasured

_THROWAWAY = "tests.throwaway_postgres"


class Databases:
    """Makes databases on one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[str] = []
        self._run = uuid4().hex[:12]
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        """Make an empty database; return its URL."""
        name = f"wellkept_bench_{self._run}_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE template0")
        self._made.append(name)
        return make_conninfo(self._url, dbname=name)

    def drop_all(self) -> None:
        """Drop what was made."""
        for name in self._made:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def databases(bench: Bench) -> Iterator[Databases]:
    """Give databases for one part of the run.

    Raises:
        NotMeasured: there is no server, and none can be started.
    """
    if bench.database_url is not None:
        given = Databases(bench.database_url)
        try:
            yield given
        finally:
            given.drop_all()
        return
    server = _start(bench)
    try:
        yield Databases(server.url("postgres"))
    finally:
        server.stop()


def _start(bench: Bench) -> Any:
    try:
        throwaway = importlib.import_module(_THROWAWAY)
    except ImportError as missing:
        raise NotMeasured("needs WELLKEPT_BENCH_DATABASE_URL, or a checkout with the test requirements") from missing
    # A server that root starts runs as nobody, who must be able to pass through our directory.
    bench.home.chmod(0o711)
    before, tempfile.tempdir = tempfile.tempdir, str(bench.home)
    try:
        return throwaway.ThrowawayPostgres()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        raise NotMeasured("a throw-away PostgreSQL could not be started") from error
    finally:
        tempfile.tempdir = before
