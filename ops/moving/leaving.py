"""Leaving with everything: a whole clinic into one file, for another installation on either engine.

Source: decision 54; CRYPTO 3, 6.

1. The reading of the whole clinic is recorded (`export.clinic`), and everything up to it is signed.
2. One snapshot is read in which every entry is signed: a clinic that is written all the time is refused.
3. The log, every sealed state, and the rows that no event can bring back go into a new zip.
4. The keyring is copied after the log, as for a backup, and its keys are handed over to a key file that is made for
   this file and sealed under a passphrase. No key is ever written in clear.
5. The file is opened and verified as its receiver will do it, with its passphrase, and only then gets its name.

A crash before that leaves a file called `.part` and a folder beside it called `.leaving-…`, with nothing in clear; the
next run for the same place says so (`ops.exports.whole_file`). It changes nothing in the clinic but the entry of
step 1.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec

from ops.backups.backup import copy_keyring
from ops.backups.verifying import Asked, genesis_of
from ops.exits import CommandFailed, Exit
from ops.exports.whole_file import PARTIAL, whole_file
from ops.keys.handover import hand_over
from ops.keys.providers import open_provider
from ops.live.bundle import LEVEL, write_log
from ops.live.log import LiveLog, Tables, open_tables
from ops.moving.clinic_file import (
    ABOUT,
    FORMAT,
    KEYRING,
    LARGEST_IN_A_TILE,
    PROOF,
    ROOT_KEY,
    ROWS_AT_ONCE,
    ROWS_BYTES,
    About,
    KeptRequest,
    KeptRow,
    open_file,
    payload_tile,
    prove,
)
from ops.moving.file_check import check_file
from ops.settings import Settings
from ops.verify import ENTRIES_A_TILE
from ops.wiring import Paths, deployment_of
from projections.rebuild import SNAPSHOTS
from records.key_provider import KeyFileProvider

Progress = Callable[[int, int], None]
SIGNED_WITHIN_SECONDS = 10.0
"""The signer is at most 1 s behind; so a clinic with a quiet moment is signed to its end within a few turns."""
_TURN_SECONDS = 0.1


def leave(
    settings: Settings, to: Path, record: Callable[[], object], passphrase: bytes, progress: Progress
) -> dict[str, Any]:
    """Write the whole clinic into a new file, 0600; return what it holds. Cost: reads all of it, and the file.

    Args:
        settings: the clinic, and what keeps its root keys.
        to: a file that is not there yet.
        record: takes step 1 of the module, once it is known that the file can be written.
        passphrase: what its receiver opens it with.
        progress: told entries done and entries in all: written, then verified.

    Raises:
        CommandFailed: there is something already, or the clinic is written all the time; nothing is left.
        KeyMissing, KeyProviderUnreachable: a key does not open; nothing is left.
        VerificationError: the log is not whole, or what was written is not; nothing is left.
        NotStored: the database cannot be read.
    """
    with whole_file(to) as file, tempfile.TemporaryDirectory(prefix=".leaving-", dir=to.absolute().parent) as home:
        record()
        with _signed_tables(settings) as tables:
            about = _write(settings, tables, file, Path(home), passphrase, progress)
        _verify(to.with_name(to.name + PARTIAL), passphrase, progress)
    return {
        name: getattr(about, name) for name in ("deployment", "fingerprint", "made_at", "entries", "events", "keys")
    }


@contextmanager
def _signed_tables(settings: Settings) -> Iterator[Tables]:
    """Give the tables at a moment when everything in them is signed.

    Raises:
        CommandFailed: there was none.
    """
    until = time.monotonic() + SIGNED_WITHIN_SECONDS
    while True:
        with open_tables(settings) as tables:
            ((entries, signed),) = tables.select(
                "SELECT (SELECT count(*) FROM ledger), (SELECT coalesce(max(size), 0) FROM checkpoints)"
            )
            if entries == signed:
                yield tables
                return
        if time.monotonic() > until:
            raise CommandFailed(
                Exit.LOCKED, "the clinic is being written all the time: leave when it is quiet, or stop the service"
            )
        time.sleep(_TURN_SECONDS)


class _Recorded(zipfile.ZipFile):
    """A zip that keeps the digest of each file written into it."""

    digests: dict[str, str]

    def add(self, name: str, data: bytes, packing: int | None = None) -> None:
        """Write a file; ciphertext is stored as it is."""
        self.writestr(name, data, packing)

    def writestr(self, zinfo_or_arcname: Any, data: Any, *packing: Any, **more: Any) -> None:
        """Write a file and keep its digest."""
        self.digests[str(zinfo_or_arcname)] = hashlib.sha256(data).hexdigest()
        super().writestr(zinfo_or_arcname, data, *packing, **more)


class _States:
    """Writes the stored states of the entries, a tile at a time."""

    def __init__(self, archive: _Recorded) -> None:
        self._archive = archive
        self._tile: list[bytes] = []
        self._number = 0
        self.events = 0

    def take(self, index: int, _entry: bytes, state: bytes | None) -> None:
        """Take the state of the next entry."""
        self.events += state is not None
        if state is not None and len(state) > LARGEST_IN_A_TILE:
            self._archive.add(f"payloads/{index}", state, zipfile.ZIP_STORED)
            state = None
        self._tile.append((0 if state is None else len(state)).to_bytes(4, "big") + (state or b""))
        if len(self._tile) == ENTRIES_A_TILE:
            self.end()

    def end(self) -> None:
        """Write the last tile, which may not be full."""
        if self._tile:
            name = payload_tile(self._number, len(self._tile))
            self._archive.add(name, b"".join(self._tile), zipfile.ZIP_STORED)
            self._number += 1
            self._tile = []


def _write(
    settings: Settings, tables: Tables, file: IO[bytes], home: Path, passphrase: bytes, progress: Progress
) -> About:
    deployment, made_at = deployment_of(settings.data), datetime.now(UTC)
    with _Recorded(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        archive.digests = {}
        # [3] the log and what goes with it
        states = _States(archive)
        entries = write_log(archive, tables, states.take, progress)
        states.end()
        rows = _write_in_parts(archive, "rows/sealed", _kept_rows(tables))
        requests = _write_in_parts(archive, "rows/requests", _kept_requests(tables))
        # [4] a key is durable in the keyring before an event needs it, so the later keyring opens the earlier log
        provider, keys = _take_keys(settings, deployment, home, passphrase)
        for name in (ROOT_KEY, KEYRING):
            archive.add(name, (home / name).read_bytes())
        about = About(
            format=FORMAT,
            version=version("wellkept"),
            made_at=made_at,
            deployment=deployment,
            fingerprint=genesis_of(LiveLog(tables)).fingerprint,
            entries=entries,
            events=states.events,
            keys=keys,
            sealed_rows=rows,
            requests=requests,
            files=dict(archive.digests),
        )
        told = msgspec.json.format(msgspec.json.encode(about), indent=1)
        archive.add(ABOUT, told)
        archive.add(PROOF, prove(told, provider))
    file.flush()
    return about


def _take_keys(settings: Settings, deployment: UUID, home: Path, passphrase: bytes) -> tuple[KeyFileProvider, int]:
    """Put a key file and the keyring under it into a folder; return what opens it, and how many keys there are."""
    copy_keyring(Paths(settings.data).keyring, home / KEYRING)
    KeyFileProvider.create(home / ROOT_KEY, passphrase)
    provider = KeyFileProvider(home / ROOT_KEY, passphrase)
    return provider, hand_over(home / KEYRING, deployment, open_provider(settings), provider)


def _kept_rows(tables: Tables) -> Iterator[KeptRow]:
    # What a view keeps is folded anew from the events; nothing that was kept is believed.
    folded = [snapshot.place for snapshot in SNAPSHOTS.values()]
    places = ", ".join("?" * len(folded))
    named = f"SELECT place, row_id FROM sealed_rows WHERE place NOT IN ({places})"  # noqa: S608 - question marks
    one = "SELECT stream_id, version, state FROM sealed_rows WHERE place = ? AND row_id = ?"
    # One by one, since a former clinic's bundle may be large.
    for place, row_id in tables.select(named, *folded):
        name = _text(place)
        for stream, number, state in tables.select(one, name, row_id):
            yield KeptRow(name, _id(row_id), _id(stream), number, state)


def _kept_requests(tables: Tables) -> Iterator[KeptRequest]:
    query = (
        "SELECT key_digest, body_digest, stream_id, status, events FROM idempotency"
        " WHERE key_digest > ? ORDER BY key_digest LIMIT ?"
    )
    after = b""
    while rows := tables.select(query, after, ROWS_AT_ONCE):
        yield from (KeptRequest(key, body, _id(stream), status, events) for key, body, stream, status, events in rows)
        after = rows[-1][0]


def _write_in_parts(archive: _Recorded, folder: str, rows: Iterable[KeptRow] | Iterable[KeptRequest]) -> int:
    count, number, part, size = 0, 0, list[KeptRow | KeptRequest](), 0
    for row in rows:
        part.append(row)
        count, size = count + 1, size + len(row.state if isinstance(row, KeptRow) else row.events)
        if len(part) == ROWS_AT_ONCE or size >= ROWS_BYTES:
            archive.add(f"{folder}/{number}", msgspec.json.encode(part))
            number, part, size = number + 1, [], 0
    if part:
        archive.add(f"{folder}/{number}", msgspec.json.encode(part))
    return count


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _id(value: bytes | UUID) -> bytes:
    return value.bytes if isinstance(value, UUID) else value


def _verify(part: Path, passphrase: bytes, progress: Progress) -> None:
    """Take step 5: what leaves is what its receiver will find to be whole."""
    with tempfile.TemporaryDirectory(prefix=".leaving-", dir=part.parent) as folder:
        opened = open_file(part, passphrase, Path(folder))
        check_file(opened, Asked(None, (), None, None), progress)
