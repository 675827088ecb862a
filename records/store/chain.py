"""Joining a stream's stored events with their ledger entries: what both engines read, checked alike.

Source: CRYPTO 2 and 5 (a stream is dense, and its events are exactly those that the ledger names).

It opens no seal and compares no digest: the doors do, with the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from records.errors import LedgerMismatch
from records.store.unit import StoredRow


def join_rows(chain: Iterable[tuple[int, bytes]], states: Sequence[tuple[int, bytes]], after: int) -> list[StoredRow]:
    """Put each stored event beside its ledger entry.

    Args:
        chain: (index, entry) of one stream, in order of version.
        states: (version, state) of the same versions, in order.
        after: the version before the first.

    Raises:
        LedgerMismatch: an entry without its event, or versions that are not dense.
    """
    rows: list[StoredRow] = []
    for place, (index, entry) in enumerate(chain):
        version = after + 1 + place
        if int.from_bytes(entry[32:40], "big") != version:
            raise LedgerMismatch("a stream is not dense", index)
        if place >= len(states) or states[place][0] != version:
            raise LedgerMismatch("an event of the ledger is not stored", index)
        rows.append(StoredRow(index, entry, version, states[place][1]))
    return rows
