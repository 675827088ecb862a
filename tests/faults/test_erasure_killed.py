"""kill -9 of a process that erases, at every place on the way: the next start completes it, and loses nobody else.

There is one clinic on each engine, and every place has a client of its own. `tests.faults.erasing_clinic` names the
places and dies at them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from records.erasing import Waiting
from records.key_provider import KeyFileProvider
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.faults.erasing_clinic import PLACES
from tests.ops.running import data_of, run
from tests.records.test_erasing import require_gone, told
from tests.throwaway_postgres import ThrowawayPostgres

ROOT = Path(__file__).parents[2]
QUICK = (
    "keys-destroyed",
    "some-keys-rewrapped",
    "old-key-unused",
    "old-key-destroyed",
    "caches-dropped",
)
QUICK_ON_POSTGRES = ("caches-dropped",)
"""What happens between these changes files only, which are the same on both engines."""


class Erasing:
    """A clinic whose clients are erased one after another; it is closed between two of them."""

    def __init__(self, path: Path, url: str | None) -> None:
        self.url = url
        self.clinic: StaffedClinic = make_clinic(path, database_url=url)
        self.environment = {} if url is None else {"WELLKEPT_DATABASE_URL": url}
        self.other = told(self.clinic, "Other")
        self.before = self.clinic.see(CLIENT_VIEW, self.other)
        self.gone: list[Waiting] = []
        self.clinic.close()
        self.genesis = data_of(self.run("genesis", "--json"))["fingerprint"]

    def run(self, *arguments: str) -> Any:
        return run(*arguments, "--data", str(self.clinic.path), **self.environment)

    def requested(self) -> Waiting:
        """Register a client and request the erasure."""
        self.clinic.opened = self.clinic._open()
        client, erasure = told(self.clinic), uuid4()
        self.clinic.opened.erasure.request(client, erasure, "court-order", self.clinic.request(Role.RECORDS_CLERK))
        self.clinic.close()
        return Waiting(erasure, client)

    def erase(self, waiting: Waiting, place: str) -> int:
        """Erase in a process of its own, which dies at the place; return its exit code."""
        officer = self.clinic.staff[Role.PRIVACY_OFFICER].id
        words = (self.clinic.path, self.url or "-", waiting.client_id, waiting.erasure_id, officer, place)
        ran = subprocess.run(
            [sys.executable, "-m", "tests.faults.erasing_clinic", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.returncode

    def is_completed(self, erasure: UUID) -> bool:
        """Tell whether the log says that it is done, as the killed process left it."""
        with closing(open_clinic(self.clinic.path, database_url=self.url, read_only=True)) as clinic:
            state = clinic.service.directory.clinic.erasures[erasure]
            assert state.approved_at is not None, "an approval that was made is forgotten"
            return state.completed_at is not None

    def hold(self) -> None:
        """Open the clinic as every command does, and hold all of it to what an erasure promises."""
        self.clinic.opened = self.clinic._open()
        try:
            for erasure in self.gone:
                require_gone(self.clinic, erasure)
            assert self.clinic.see(CLIENT_VIEW, self.other) == self.before
            provider = KeyFileProvider(self.clinic.opened.paths.key_file)
            assert {key.generation for key in self.clinic.opened.keyring.held()} == set(provider.generations())
            assert len(provider.generations()) == 1, "an old key of the keyring outlived the erasure"
            assert list(self.clinic.opened.paths.keys.rglob("*.new")) == []
            self.clinic.opened.signer.flush()
            check_store(self.clinic.store)
        finally:
            self.clinic.close()
        verified = self.run("verify", "--genesis", self.genesis, "--json")
        assert verified.exit_code == 0, verified.stdout
        assert sorted(data_of(verified)["erased_streams"]) == sorted(str(each.client_id) for each in self.gone)

    def killed_at(self, place: str) -> None:
        """Kill an erasure at a place, and hold the clinic after the next start."""
        waiting = self.requested()
        assert self.erase(waiting, place) == -signal.SIGKILL, "it did not come to that place"
        assert self.is_completed(waiting.erasure_id) == (place == "completed")
        self.gone.append(waiting)
        self.hold()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Erasing:
    return Erasing(tmp_path_factory.mktemp("killed") / "clinic", None)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_server: ThrowawayPostgres) -> Iterator[Erasing]:
    url = postgres_server.fresh_database()
    yield Erasing(tmp_path_factory.mktemp("killed") / "clinic", url)
    postgres_server.drop_database(url)


def places(quick: Sequence[str]) -> pytest.MarkDecorator:
    """Run a test at every place; those that are not quick are left to the slow run."""
    marked = [pytest.param(place, marks=[] if place in quick else [pytest.mark.slow]) for place in PLACES]
    return pytest.mark.parametrize("place", marked)


@places(QUICK)
def test_killed_at_any_place_it_is_completed_at_the_next_start(on_sqlite: Erasing, place: str) -> None:
    on_sqlite.killed_at(place)


@pytest.mark.postgres
@places(QUICK_ON_POSTGRES)
def test_killed_at_any_place_on_postgres(on_postgres: Erasing, place: str) -> None:
    on_postgres.killed_at(place)


def test_killed_at_each_start_too_it_is_completed_by_the_one_that_lives(on_sqlite: Erasing) -> None:
    """Whoever completes an erasure may be killed as well, at the same place or at a later one."""
    waiting = on_sqlite.requested()
    assert on_sqlite.erase(waiting, "keys-destroyed") == -signal.SIGKILL
    # Where a file is renamed is told from the first moment on, so that these die within the start itself.
    for place in ("key-file-beside-with-the-new-key", "key-file-beside-without-the-old-key") * 2:
        assert on_sqlite.erase(waiting, place) == -signal.SIGKILL
        assert not on_sqlite.is_completed(waiting.erasure_id)
    on_sqlite.gone.append(waiting)
    on_sqlite.hold()
