"""Writing a bundle for an auditor: everything that shows the log to be whole, and nothing that says what it holds.

Source: CRYPTO 3 and 4; decision 15 for the layout.

- It holds all entries below the newest checkpoint, that checkpoint and the older ones, the clear bodies of epochs, and
  the published hashes by which a bad entry is named exactly.
- It holds no payloads; on request the sealed ones of one client's record and readings. No key is in it.
- It is read from the tables in one snapshot, while the clinic is served, and is never written over anything.

Entries link what happened in one stream with when it happened: a bundle is for a privacy officer and an appointed
auditor. It is not verified here: `wellkept verify BUNDLE` does that, and whoever gets it should.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import msgspec

from ops.live.log import LiveLog, Tables
from ops.verify import ENTRIES_A_TILE, Incomplete, leaf_hash, tile_path

FORMAT = "wellkept-bundle/1"
LEVEL = 6
Take = Callable[[int, bytes, bytes | None], None]


def write_bundle(
    tables: Tables, to: Path, streams: frozenset[UUID], progress: Callable[[int, int], None]
) -> dict[str, int]:
    """Write a bundle as a zip, 0600; return how many entries and payloads it holds.

    A crash leaves a part of a zip, which no verifier takes for one.

    Args:
        tables: the clinic's.
        to: a file that is not there yet.
        streams: streams whose sealed payloads go with it.
        progress: told entries done and entries in all.

    Raises:
        FileExistsError: there is something already.
        Incomplete: the log has no checkpoint yet.
    """
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    wanted, payloads = {stream.bytes for stream in streams}, 0
    with (
        os.fdopen(descriptor, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive,
    ):

        def take(index: int, entry: bytes, state: bytes | None) -> None:
            nonlocal payloads
            if state is not None and entry[16:32] in wanted:
                archive.writestr(f"payloads/{index}", state)
                payloads += 1

        size = write_log(archive, tables, take, progress)
    return {"entries": size, "payloads": payloads}


def write_log(archive: zipfile.ZipFile, tables: Tables, take: Take, progress: Callable[[int, int], None]) -> int:
    """Write everything of a bundle but its payloads; return how many entries there are.

    Args:
        archive: a new zip.
        tables: the clinic's.
        take: told index, entry and stored state of each entry in order, and writes what it will of the state.
        progress: told entries done and entries in all.

    Raises:
        Incomplete: the log has no checkpoint yet.
    """
    log = LiveLog(tables)
    checkpoints = log.checkpoints()
    if not checkpoints:
        raise Incomplete("The log has no checkpoint yet.", 0)
    size = checkpoints[0].size
    archive.writestr("bundle.json", msgspec.json.encode({"format": FORMAT, "origin": checkpoints[0].origin}))
    newest, *older = tables.select("SELECT size, note FROM checkpoints ORDER BY size DESC")
    archive.writestr("checkpoint", newest[1])
    for kept, note in older:
        archive.writestr(f"checkpoints/{kept}", note)
    for index, body in tables.select("SELECT idx, body FROM log_bodies WHERE idx < ? ORDER BY idx", size):
        archive.writestr(f"bodies/{index}", body)
    tile: list[bytes] = []
    for index, entry, state in log.rows():
        if index >= size:
            break
        take(index, entry, state)
        tile.append(entry)
        if len(tile) == ENTRIES_A_TILE or index == size - 1:
            _write_tile(archive, index // ENTRIES_A_TILE, tile)
            tile.clear()
            progress(index + 1, size)
    return size


def _write_tile(archive: zipfile.ZipFile, number: int, entries: list[bytes]) -> None:
    data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    archive.writestr(tile_path("entries", number, len(entries)), data)
    archive.writestr(tile_path("0", number, len(entries)), b"".join(map(leaf_hash, entries)))
