"""The anchor: checkpoints kept in an append-only place elsewhere, so that a log that was rolled back is found out.

Source: CRYPTO 3 and 7; decision 18. `WELLKEPT_ANCHOR` names a directory, best on another mount that this user may only
add to.

- Each checkpoint is a file of its own, numbered in the order of anchoring: `00000042-<size>.checkpoint`. None is ever
  replaced.
- Before serving, the newest one must be a prefix of the local log: signed by its log key, and shown by a consistency
  proof to the root that the signer keeps on its own disk.
- Where it is not, the log was rolled back or forked, and is not served until a restore is declared that names at least
  this size as known. What was anchored before such a declaration is excused; nothing after it is.

An anchor that cannot be written stops no record: its age grows, and `doctor` and the alarm say so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from records.checkpoint import Checkpoint, check_ed25519, origin_of, parse_signed_checkpoint, signed_at
from records.epoch import RestoreBody, decode
from records.errors import BadProof, MissingSignature, RolledBack, VerificationError
from records.followed_log import Trust
from records.ledger import decode_entry, entry_hash
from records.merkle import check_consistency, consistency_proof
from records.store import Store
from records.tiles import TileHashes

_NAME = re.compile(r"(?P<number>[0-9]{8})-(?P<size>[0-9]+)\.checkpoint", re.ASCII)
_MICROSECONDS = 1_000_000


class Anchored(NamedTuple):
    """An anchored checkpoint: its number in order of anchoring, and its bytes."""

    number: int
    note: bytes


def newest(folder: Path) -> Anchored | None:
    """Return the newest anchored checkpoint, or None where there is none.

    Raises:
        OSError: the place cannot be read.
    """
    found = max(
        (match[0] for match in (_NAME.fullmatch(file.name) for file in folder.iterdir()) if match), default=None
    )
    if found is None:
        return None
    return Anchored(int(found[:8]), (folder / found).read_bytes())


def append(folder: Path, note: bytes) -> None:
    """Add a checkpoint, durable when it returns; nothing happens where the newest one is the same.

    Raises:
        OSError: the place cannot be written.
    """
    last = newest(folder)
    if last is not None and last.note == note:
        return
    size = parse_signed_checkpoint(note)[0].size
    name = f"{0 if last is None else last.number + 1:08d}-{size}.checkpoint"
    # A crash half way leaves a file that is no checkpoint; it would be refused loudly, so it is written beside first.
    beside = folder / f".{name}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    os.link(beside, folder / name)
    beside.unlink()
    held = os.open(folder, os.O_RDONLY)
    os.fsync(held)
    os.close(held)


def age_seconds(folder: Path, now_seconds: float) -> float | None:
    """Return how long ago the newest anchored checkpoint was signed, or None where there is none.

    Raises:
        OSError: the place cannot be read.
        VerificationError: the newest file is no signed checkpoint.
    """
    last = newest(folder)
    return None if last is None else max(0.0, now_seconds - signed_at(last.note))


def require_prefix(folder: Path, store: Store, trust: Trust, signed: tuple[int, bytes]) -> None:
    """Hold the local log to the newest anchored checkpoint.

    Args:
        folder: the anchor.
        store: the local log.
        trust: what its genesis says.
        signed: size and root that the signer vouches for.

    Raises:
        RolledBack: it is no prefix of the local log, and no declared restore excuses that.
        OSError: the place cannot be read.
    """
    last = newest(folder)
    if last is None:
        return
    try:
        stated = _stated(last.note, trust)
        _check_prefix(store, stated, signed)
    except VerificationError as error:
        if not _is_excused(last.note, store):
            raise RolledBack("rolled-back: the newest anchored checkpoint is not a part of this log") from error


def _stated(note: bytes, trust: Trust) -> Checkpoint:
    """Return what an anchored checkpoint states, which the log key must have signed."""
    stated, parsed = parse_signed_checkpoint(note)
    if stated.origin != origin_of(trust.deployment_id):
        raise MissingSignature("a checkpoint of another log")
    check_ed25519(trust.log, parsed.text.encode(), parsed.signatures[0].blob)
    return stated


def _check_prefix(store: Store, stated: Checkpoint, signed: tuple[int, bytes]) -> None:
    size, root = signed
    if stated.size > size:
        raise BadProof("the local log is shorter than what was anchored")

    def leaf_hashes(start: int, stop: int) -> list[bytes]:
        return [entry_hash(entry) for _, entry in store.entries(start - 1, stop - start)]

    proof = consistency_proof(TileHashes(store.tile, leaf_hashes), stated.size, size)
    check_consistency(stated.size, stated.root, size, root, proof)


def _is_excused(note: bytes, store: Store) -> bool:
    """Whether a restore was declared after this checkpoint was signed, knowing of its size."""
    size, at = parse_signed_checkpoint(note)[0].size, signed_at(note)
    for index, data in store.bodies():
        body = decode(data)
        if isinstance(body, RestoreBody) and body.known_size >= size:
            ((_, entry),) = store.entries(index - 1, 1)
            if decode_entry(entry).logged_at_us >= at * _MICROSECONDS:
                return True
    return False
