"""The scrub: everything that is stored is held to the ledger again, and the ledger to what was signed.

Source: CRYPTO 5. Page by page, at whatever pace the caller gives:

1. Each entry follows from genesis: dense, chained, in time, each epoch signed (`records.followed_log`).
2. Each stored event is the ciphertext that its entry names, or its purged form.
3. Each full hash tile is stored as the entries make it.
4. The root at the signed size is the one that was signed.

The first bad index is named. It opens no seal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from records.errors import LedgerMismatch
from records.followed_log import FollowedLog
from records.ledger import KIND_OFFSET, Kind, read_entry
from records.store import Store

PAGE = 256
_PURGED = b"\x00"


def scrub(store: Store, signed: Callable[[], tuple[int, bytes]]) -> Iterator[int]:
    """Verify the log from genesis up to what is signed; yield the number of entries done after each page.

    Args:
        store: the log.
        signed: returns size and root of the newest checkpoint that the signer made itself.

    Raises:
        LedgerMismatch: names the first bad index.
        NotStored: the log cannot be read now.
    """
    size, root = signed()
    log = FollowedLog()
    while log.size < size:
        page = store.entries(log.size - 1, min(PAGE, size - log.size))
        if not page:
            raise LedgerMismatch("the log ends before what was signed", log.size)
        check_payloads(store, page)
        log.follow(page, store.body)
        for tile in log.tiles:
            if store.tile(tile.level, tile.n) != tile.hashes:
                raise LedgerMismatch("a hash tile is not what the log says", page[0][0])
        log.tiles.clear()
        yield log.size
    if log.root() != root:
        raise LedgerMismatch("the log is not the one that was signed")


def check_payloads(store: Store, entries: Sequence[tuple[int, bytes]]) -> None:
    """Hold the stored events of some entries to them.

    Raises:
        LedgerMismatch: an event is not stored, or is not the one that was logged.
    """
    spans: dict[bytes, tuple[int, int]] = {}
    named = dict(entries)
    for _, encoded in entries:
        if encoded[KIND_OFFSET] <= Kind.ACCESS:
            stream, version = encoded[16:32], int.from_bytes(encoded[32:40], "big")
            first, last = spans.get(stream, (version, version))
            spans[stream] = (min(first, version), max(last, version))
    wanted = {index for index, encoded in entries if encoded[KIND_OFFSET] <= Kind.ACCESS}
    good: set[int] = set()
    for stream, (first, last) in spans.items():
        for row in store.history(UUID(bytes=stream), first - 1, last):
            entry = read_entry(row.entry)
            purged = row.state == _PURGED + entry.key_id + entry.payload_sha256
            whole = purged or hashlib.sha256(row.state).digest() == entry.payload_sha256
            if whole and named.get(row.position) == row.entry:
                good.add(row.position)
    # What the chain's index does not find, though the ledger holds it, is not good either.
    if wanted - good:
        raise LedgerMismatch("an event is not what was logged", min(wanted - good))
