"""What stands beside the entries of a live log: each table that repeats them must say the same, and no more.

1. No event is stored that no entry names, and every stored topic is the one constant.
2. No body is stored that no entry names.
3. Each full hash tile up to the newest checkpoint is there and is what the entries give; no other is.

The entries themselves are verified before (`ops.verify`); what fails here is a leaf of its `VerificationError` too.
It opens no seal: see `ops.live.views` for what needs keys.
"""

from __future__ import annotations

from ops.live.log import LiveLog, Tables
from ops.verify import ENTRIES_A_TILE, HASH_BYTES, AlteredTile, VerificationError, tree_root
from records.store.schema import SEALED_TOPIC


class StrayRows(VerificationError):
    """Rows are stored that no entry names."""


def check_tables(tables: Tables, *, events: int, bodies: int, signed: int, size: int) -> None:
    """Take the three steps.

    Args:
        tables: the clinic's.
        events: how many events and readings the entries name.
        bodies: how many bodies the entries name.
        signed: the size of the newest checkpoint.
        size: how many entries there are.

    Raises:
        StrayRows, AlteredTile: see the module.
    """
    # [1] each entry found its event by stream and version, which are unique: a greater count is a stray
    ((stored, sealed),) = tables.select(
        "SELECT count(*), coalesce(sum(CASE WHEN topic = ? THEN 1 ELSE 0 END), 0) FROM stored_events", SEALED_TOPIC
    )
    if stored != events:
        raise StrayRows(f"{stored - events} events are stored that no entry names.")
    if sealed != stored:
        raise StrayRows(f"{stored - sealed} events are stored under a topic that is not the one constant.")
    # [2] bodies
    ((kept,),) = tables.select("SELECT count(*) FROM log_bodies")
    if kept != bodies:
        raise StrayRows(f"{kept - bodies} bodies are stored that no entry names.")
    # [3] tiles
    _check_count(tables, signed, size)
    _check_levels(LiveLog(tables), signed)


def _check_count(tables: Tables, signed: int, size: int) -> None:
    levels = {level: (last, count) for level, last, count in tables.select(
        "SELECT level, max(n), count(*) FROM log_tiles GROUP BY level"
    )}  # fmt: skip
    for level in range(max(levels, default=-1) + 2):
        last, count = levels.pop(level, (-1, 0))
        width = ENTRIES_A_TILE ** (level + 1)
        if last >= size // width or count > last + 1:
            raise AlteredTile(f"A hash tile of level {level} is stored that stands over no entries.", size)
        if count < max(signed // width, last + 1):
            raise AlteredTile(f"A hash tile of level {level} is missing.")
    if levels:
        raise AlteredTile("A hash tile of no level is stored.")


def _check_levels(log: LiveLog, signed: int) -> None:
    """Compare each tile above level 0 with the roots below it; level 0 was compared with the entries."""
    level = 1
    while full := signed // ENTRIES_A_TILE ** (level + 1):
        for number in range(full):
            below = range(number * ENTRIES_A_TILE, (number + 1) * ENTRIES_A_TILE)
            if log.tile(level, number) != b"".join(_root(log.tile(level - 1, each) or b"") for each in below):
                first = number * ENTRIES_A_TILE ** (level + 1)
                raise AlteredTile(f"The hash tile {number} of level {level} is not its own.", first)
        level += 1


def _root(hashes: bytes) -> bytes:
    return tree_root([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)])
