"""Merkle tree hashing as RFC 6962 section 2.1 defines it: leaves, nodes and the root of a list.

- A leaf is `SHA-256(0x00 ‖ data)`, a node `SHA-256(0x01 ‖ left ‖ right)`; the two can never be mistaken.
- The root of an empty list is `SHA-256("")`.

It keeps no tree and no proofs: see the checkpoint side for those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return the RFC 6962 leaf hash of `data`, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 hash of an inner node, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 tree head over leaf *data* (not leaf hashes), 32 bytes. O(n)."""
    hashes = [leaf_hash(data) for data in leaves]
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        paired = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        if len(hashes) % 2:
            paired.append(hashes[-1])
        hashes = paired
    return hashes[0]
