"""A clinic whose log is signed up to its last entry: by its own signer where it has one, else under the tests' keys."""

from __future__ import annotations

from records.checkpoint import Checkpoint, origin_of, sign_checkpoint
from records.ledger import entry_hash
from records.merkle import Frontier
from records.store.unit import CheckpointRow, Tile, Unit
from records.tiles import TileHashes, tiles_of
from tests.clinic import StaffedClinic
from tests.signed_log import AT, EPOCHS, LOG


def sign_log(clinic: StaffedClinic) -> CheckpointRow:
    """Store full tiles and a checkpoint of everything that is in the log; return the checkpoint."""
    size = clinic.store.head().next_index
    hashes = [entry_hash(entry) for _, entry in clinic.store.entries(-1, size)]
    frontier = Frontier()
    frontier.extend(hashes)
    tree = TileHashes(lambda _level, _n: None, lambda start, stop: hashes[start:stop])
    tiles = tuple(Tile(level, n, tree.tile(level, n)) for level, n, _ in tiles_of(0, size))
    stated = Checkpoint(origin_of(clinic.reader.deployment_id), size, frontier.root())
    row = CheckpointRow(size, sign_checkpoint(stated, LOG, 0, EPOCHS[0], AT))
    clinic.store.commit(Unit(tiles=tiles, checkpoints=(row,)))
    return row
