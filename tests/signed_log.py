"""A small log that is signed under fixed keys: what tests of checkpoints, epochs and witnesses begin with."""

from __future__ import annotations

from uuid import UUID

from records.checkpoint import (
    Checkpoint,
    EpochKeys,
    HybridPublic,
    LogKey,
    RecoveryKeys,
    WitnessKey,
    origin_of,
    sign_checkpoint,
)
from records.epoch import EpochBody, GenesisKeys, RestoreBody, heads_root, sign_epoch
from records.merkle import EMPTY_ROOT, Frontier, leaf_hash

DEPLOYMENT = UUID("00000000-0000-4000-8000-0000000000d1")
ORIGIN = origin_of(DEPLOYMENT)
LOG = LogKey(bytes([1]) * 32)
EPOCHS = [EpochKeys(bytes([10 + n]) * 32, bytes([20 + n]) * 32) for n in range(3)]
PUBLICS: dict[int, HybridPublic] = {n: keys.public for n, keys in enumerate(EPOCHS)}
RECOVERY = RecoveryKeys(bytes([30]) * 32)
WITNESS = WitnessKey("witness.example/one", bytes([40]) * 32)
AT = 1_772_445_600
HEADS = heads_root([(bytes([n]) * 16, n) for n in range(1, 6)])


def leaves(size: int, fork_at: int | None = None) -> list[bytes]:
    """Return leaf hashes of a log; from `fork_at` on they are those of another history."""
    forked = size if fork_at is None else fork_at
    return [leaf_hash(b"entry %d%s" % (index, b"" if index < forked else b" forked")) for index in range(size)]


def checkpoint(size: int, fork_at: int | None = None) -> Checkpoint:
    """Return the checkpoint of the log at a size."""
    frontier = Frontier()
    frontier.extend(leaves(size, fork_at))
    return Checkpoint(ORIGIN, size, frontier.root())


def signed(size: int, epoch: int = 0, fork_at: int | None = None) -> bytes:
    """Return the signed checkpoint of the log at a size."""
    return sign_checkpoint(checkpoint(size, fork_at), LOG, epoch, EPOCHS[epoch], AT + size)


def genesis() -> EpochBody:
    """Return the signed first epoch."""
    body = EpochBody(
        deployment_id=DEPLOYMENT,
        epoch=0,
        size=0,
        root=EMPTY_ROOT,
        heads_root=heads_root([]),
        checkpoint=signed(0),
        next_keys=PUBLICS[0],
        genesis=GenesisKeys(LOG.public, RECOVERY.public),
    )
    return sign_epoch(body, EPOCHS[0])


def second() -> EpochBody:
    """Return the signed second epoch, at index 7."""
    at = checkpoint(7)
    body = EpochBody(
        deployment_id=DEPLOYMENT,
        epoch=1,
        size=7,
        root=at.root,
        heads_root=HEADS,
        checkpoint=signed(7),
        next_keys=PUBLICS[1],
    )
    return sign_epoch(body, EPOCHS[0])


def restore() -> RestoreBody:
    """Return the signed declaration of a restore, at index 5, where size 7 was known outside."""
    body = RestoreBody(
        deployment_id=DEPLOYMENT,
        epoch=1,
        size=5,
        root=checkpoint(5).root,
        heads_root=HEADS,
        next_keys=PUBLICS[1],
        known_size=7,
    )
    return sign_epoch(body, RECOVERY)
