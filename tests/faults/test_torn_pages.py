"""A page of the database or of its journal that is cut off, garbled or lost: everything is there, or the start refuses.

SQLite itself notices a torn journal and goes on without its end, so the signer's own state must say that something is
missing. A page of the database that is damaged is told as such (3), at the start or by the reading that meets it, and
by `wellkept verify`. Never is less shown than was signed, and nothing that is damaged is shown as if it were whole.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from ops.wiring import Clinic, open_clinic
from records.errors import IntegrityFailure
from tests.check import check_store
from tests.doors import Doors
from tests.ops.running import run

PAGE = 4096
FRAME = PAGE + 24
WAL_HEAD = 32


class Torn(NamedTuple):
    """A clinic that was killed with its journal, what it had told, and where it lies."""

    data: Path
    signed: int
    clients: dict[UUID, list[str]]


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    """Fill a clinic, sign it, and copy it as a kill would leave it: half in the database, half in the journal."""
    folder = tmp_path_factory.mktemp("torn")
    doors = Doors(folder)
    clients = [doors.client() for _ in range(4)]
    for client in clients:
        doors.note(client, sections={"text": "x" * 3000})
    # What stands so far goes into the database itself.
    doors.reopen()
    doors.outside("PRAGMA wal_checkpoint(TRUNCATE)")
    for client in clients:
        doors.note(client, sections={"text": "y" * 3000})
        doors.read(client)
    assert doors.clinic.signer is not None
    doors.clinic.signer.flush()
    told = {client: doors.topics(client) for client in clients}
    copied = folder / "killed"
    for source in (doors.data, doors.clinic.paths.keys):
        shutil.copytree(source, copied / source.name, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
    signed = doors.stored()
    doors.close()
    return Torn(copied / "clinic", signed, told)


def cut_off(file: bytearray, offset: int, draw: random.Random) -> None:
    del file[offset + draw.randrange(PAGE) :]


def zero(file: bytearray, offset: int, draw: random.Random) -> None:
    file[offset : offset + PAGE] = bytes(len(file[offset : offset + PAGE]))


def garble(file: bytearray, offset: int, draw: random.Random) -> None:
    file[offset : offset + PAGE] = draw.randbytes(len(file[offset : offset + PAGE]))


def tear_half(file: bytearray, offset: int, draw: random.Random) -> None:
    """Leave sectors of the page as they were before: of another page here, as a torn write leaves older bytes."""
    file[offset + PAGE // 2 : offset + PAGE] = file[PAGE // 2 : PAGE][: len(file[offset + PAGE // 2 : offset + PAGE])]


DAMAGES = [cut_off, zero, garble, tear_half]


def damaged(torn: Torn, to: Path, name: str, offset: int, damage: Callable[..., None], seed: int) -> Path:
    """Return a copy of the clinic with one damage."""
    shutil.copytree(torn.data.parent, to)
    file = to / "clinic" / name
    content = bytearray(file.read_bytes())
    damage(content, offset, random.Random(seed))
    file.write_bytes(content)
    return to / "clinic"


def hold(torn: Torn, data: Path) -> str:
    """Open a damaged clinic and hold it to the promise; return what it did."""
    try:
        clinic = open_clinic(data)
    except IntegrityFailure:
        assert run("user", "list", "--data", str(data)).exit_code == 3
        return "refused"
    try:
        assert clinic.store.head().next_index >= torn.signed, "less than was signed, and nobody said so"
        whole = all(shows_all(clinic, client, topics) for client, topics in torn.clients.items())
    finally:
        clinic.abandon()
    verified = run("verify", "--data", str(data))
    assert "Traceback" not in verified.stderr
    if not whole:
        assert verified.exit_code == 3, "a record is not whole, and verify did not say so"
        return "told when it was read"
    return "whole" if verified.exit_code == 0 else "told by verify"


def shows_all(clinic: Clinic, client: UUID, topics: list[str]) -> bool:
    """Whether a client's record reads as it was; where it does not, it must say so."""
    try:
        events = [type(recorded.event).__name__ for recorded in clinic.service.reader.events(client)]
    except IntegrityFailure:
        return False
    assert len(events) >= len(topics), "a record is shorter, and nobody said so"
    return events[: len(topics)] == topics


def places(file: Path, first: int, step: int, sample: int | None) -> list[int]:
    """Return where pages begin: all of them, or so many, with the first and the last among them."""
    found = list(range(first, file.stat().st_size - PAGE + 1, step))
    return found if sample is None else [found[0], *random.Random(1).sample(found[1:-1], sample - 2), found[-1]]


def tear_everywhere(torn: Torn, folder: Path, sample: int | None) -> dict[str, dict[str, int]]:
    """Damage page after page of both files; return how often each end was seen."""
    seen: dict[str, dict[str, int]] = {}
    for name, first, step in (("records.db", 0, PAGE), ("records.db-wal", WAL_HEAD + 24, FRAME)):
        seen[name] = {}
        for offset in places(torn.data / name, first, step, sample):
            for seed, damage in enumerate(DAMAGES):
                copy = folder / f"{name}-{offset}-{damage.__name__}"
                end = hold(torn, damaged(torn, copy, name, offset, damage, seed))
                seen[name][end] = seen[name].get(end, 0) + 1
                shutil.rmtree(copy)
    return seen


def test_a_torn_page_is_noticed_or_does_no_harm(torn: Torn, tmp_path: Path) -> None:
    seen = tear_everywhere(torn, tmp_path, sample=5)
    for name, ends in seen.items():
        assert ends.get("refused", 0) + ends.get("told when it was read", 0) > 0, f"nothing was damaged in {name}"


@pytest.mark.slow
def test_every_page_torn_in_every_way_is_noticed_or_does_no_harm(torn: Torn, tmp_path: Path) -> None:
    tear_everywhere(torn, tmp_path, sample=None)


def test_the_copy_itself_is_whole(torn: Torn, tmp_path: Path) -> None:
    shutil.copytree(torn.data.parent, tmp_path / "whole")
    assert hold(torn, tmp_path / "whole" / "clinic") == "whole"
    clinic = open_clinic(tmp_path / "whole" / "clinic")
    check_store(clinic.store)
    clinic.close()
