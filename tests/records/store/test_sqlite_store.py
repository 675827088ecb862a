"""What only the embedded store owes: one writing process, and recovery from a busy or a full disk without a hand."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from records.errors import ClinicLocked, NotStored, OutcomeUnknown, WellkeptError
from records.store.sqlite import SqliteStore
from records.store.unit import Committed, Unit
from tests.check import check_store
from tests.engines import Clock, SqliteEngine
from tests.units import event

ROOT = Path(__file__).parents[3]

OPEN_FROM_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from records.errors import ClinicLocked
from records.store.sqlite import SqliteStore
try:
    SqliteStore(Path(sys.argv[1]), lambda: 1)
except ClinicLocked:
    print("locked")
reading = SqliteStore(Path(sys.argv[1]), lambda: 1, read_only=True)
print(reading.head().next_index)
"""

# Files may not grow past the limit: the file system refuses in the middle of a commit, as a full disk does.
WRITE_UNTIL_FULL = """
import json, resource, signal, sys
from pathlib import Path
from uuid import uuid4
from records.errors import NotStored, OutcomeUnknown
from records.store.sqlite import SqliteStore
from tests.engines import Clock
from tests.units import event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqliteStore(Path(sys.argv[1]), Clock())
acknowledged, refused = [], []
def write(size):
    stream = uuid4()
    try:
        store.commit(event(stream, 0, size))
    except (NotStored, OutcomeUnknown) as error:
        refused.append((str(stream), type(error).__name__))
    else:
        acknowledged.append(str(stream))
write(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
while len(refused) < 20:
    write(7)
while_full = len(acknowledged)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(1)
write(1)
print(json.dumps([acknowledged, refused, while_full]))
"""


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout


def write_until_refused(store: SqliteStore) -> tuple[list[UUID], UUID, WellkeptError]:
    """Return the streams that were stored, the one that was not, and the error."""
    stored: list[UUID] = []
    for _ in range(10_000):
        stream = uuid4()
        try:
            store.commit(event(stream, 0, 5))
        except WellkeptError as error:
            return stored, stream, error
        stored.append(stream)
    pytest.fail("nothing was refused")


def small_disks() -> list[str]:
    """Return the kinds of small file systems that can be made here: one in memory where mounting is allowed."""
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=False, capture_output=True)
        if mounted.returncode == 0:
            subprocess.run(["umount", place], check=True)
        return ["tmpfs"] if mounted.returncode == 0 else []


@pytest.mark.parametrize("kind", small_disks() or ["file size"])
@pytest.mark.parametrize("spare_bytes", [0, 3_000, 9_000])
def test_a_disk_without_space(tmp_path: Path, kind: str, spare_bytes: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    engine = SqliteEngine(disk / "records.db", Clock())
    try:
        store = engine.open()
        store.commit(event(uuid4(), 0))
        ballast = disk / "ballast"
        free = shutil.disk_usage(disk).free
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if kind == "tmpfs":
            ballast.write_bytes(bytes(max(0, free - 100_000 - spare_bytes)))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000 + spare_bytes, limits[1]))
        stored, refused, error = write_until_refused(store)
        assert isinstance(error, NotStored | OutcomeUnknown)
        assert store.history(refused) == []
        with pytest.raises((NotStored, OutcomeUnknown)):
            store.commit(event(stored[0], 5, 200))
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        ballast.unlink(missing_ok=True)
        store.commit(event(refused, 0, 5))
        store.commit(event(stored[0], 5))
        check_store(store)
    finally:
        engine.close()
        if kind == "tmpfs":
            subprocess.run(["umount", disk], check=True)


def test_a_second_process_is_locked_out_but_may_read(sqlite_engine: SqliteEngine) -> None:
    store = sqlite_engine.open()
    store.commit(event(uuid4(), 0, 3))
    with pytest.raises(ClinicLocked):
        sqlite_engine.open()
    assert run(OPEN_FROM_ANOTHER_PROCESS, sqlite_engine.path).split() == ["locked", "3"]
    store.close()
    sqlite_engine.open().commit(event(uuid4(), 0))


def test_a_missing_file_is_never_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(NotStored):
        SqliteStore(tmp_path / "records.db", Clock())
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_the_owners_only(sqlite_engine: SqliteEngine) -> None:
    sqlite_engine.open().commit(event(uuid4(), 0))
    modes = {path.name: path.stat().st_mode & 0o077 for path in sqlite_engine.path.parent.iterdir()}
    assert set(modes.values()) == {0}, modes


def test_commits_are_durable_by_setting(sqlite_engine: SqliteEngine) -> None:
    writer = sqlite_engine.open()._writer
    assert writer is not None
    assert writer.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_locked_database_is_not_stored_and_then_works_again(sqlite_engine: SqliteEngine) -> None:
    store = sqlite_engine.open()
    stream = uuid4()
    store.commit(event(stream, 0))
    assert store._writer is not None
    store._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(sqlite_engine.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotStored):
        store.commit(event(stream, 1))
    assert len(store.history(stream)) == 1
    other.execute("ROLLBACK")
    other.close()
    store.commit(event(stream, 1))
    check_store(store)


def test_a_database_that_may_not_grow_is_not_stored_and_then_works_again(sqlite_engine: SqliteEngine) -> None:
    store = sqlite_engine.open()
    assert store._writer is not None
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 20}")
    stored, refused, error = write_until_refused(store)
    assert stored
    assert type(error) is NotStored
    assert store.history(refused) == []
    check_store(store)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    assert isinstance(store.commit(event(refused, 0, 5)), Committed)
    check_store(store)


@pytest.mark.parametrize("limit_bytes", [200_000, 201_000, 204_800])
def test_a_full_disk_leaves_nothing_half_stored_and_then_works_again(
    sqlite_engine: SqliteEngine, limit_bytes: int
) -> None:
    acknowledged, refused, while_full = json.loads(run(WRITE_UNTIL_FULL, sqlite_engine.path, limit_bytes))
    assert len(refused) == 20, "a commit was refused after there was space again"
    assert len(acknowledged) == while_full + 2
    store = sqlite_engine.open()
    check_store(store)
    for stream in acknowledged:
        assert store.history(UUID(stream)), "an acknowledged event is gone"
    for stream, error in refused:
        assert error == "OutcomeUnknown" or store.history(UUID(stream)) == [], "what was refused is stored"
        assert len(store.history(UUID(stream))) in (0, 7)


# --- what is known is not asked for


class WatchedStore(SqliteStore):
    """A store that counts its readings, and that another writer overtakes in the middle of one."""

    readings = 0
    overtaken_by: Unit | None = None

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        self.readings += 1
        with super()._reader() as reader:
            yield reader
        unit, self.overtaken_by = self.overtaken_by, None
        if unit is not None:
            self.commit(unit)


@pytest.fixture
def watched(sqlite_engine: SqliteEngine) -> Iterator[WatchedStore]:
    """A store that was opened anew, so that it knows nothing yet."""
    store = WatchedStore(sqlite_engine.path, sqlite_engine.clock)
    yield store
    store.close()


def test_nothing_newer_is_known_without_a_reading(watched: WatchedStore) -> None:
    stream = uuid4()
    watched.commit(event(stream, 0, 3))
    before = watched.readings
    assert watched.history(stream, 3) == []
    assert watched.readings == before
    watched.commit(event(stream, 3))
    assert [row.version for row in watched.history(stream, 3)] == [4]


def test_a_reading_tells_where_a_stream_ends(sqlite_engine: SqliteEngine) -> None:
    stream = uuid4()
    first = sqlite_engine.open()
    first.commit(event(stream, 0, 3))
    first.close()
    store = WatchedStore(sqlite_engine.path, sqlite_engine.clock)
    assert len(store.history(stream, 1)) == 2
    before = store.readings
    assert store.history(stream, 3) == []
    assert store.readings == before
    store.close()


def test_a_reading_that_was_overtaken_hides_nothing(sqlite_engine: SqliteEngine) -> None:
    stream = uuid4()
    first = sqlite_engine.open()
    first.commit(event(stream, 0))
    first.close()
    store = WatchedStore(sqlite_engine.path, sqlite_engine.clock)
    store.overtaken_by = event(stream, 1)
    assert [row.version for row in store.history(stream)] == [1]
    assert [row.version for row in store.history(stream, 1)] == [2]
    store.close()


def test_a_reading_process_keeps_nothing_in_mind(sqlite_engine: SqliteEngine) -> None:
    stream = uuid4()
    writing = sqlite_engine.open()
    writing.commit(event(stream, 0))
    reading = SqliteStore(sqlite_engine.path, sqlite_engine.clock, read_only=True)
    assert len(reading.history(stream)) == 1
    writing.commit(event(stream, 1))
    assert [row.version for row in reading.history(stream, 1)] == [2]
    reading.close()
