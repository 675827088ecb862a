"""The Merkle tree as RFC 6962 section 2.1 defines it: hashes, the root of a list, its right edge, and proofs.

- A leaf is `SHA-256(0x00 ‖ data)`, a node `SHA-256(0x01 ‖ left ‖ right)`; the two can never be mistaken.
- The root of an empty list is `SHA-256("")`.
- A complete subtree is named by `(level, index)`: the 2**level leaves from `index << level` on. It never changes once
  it is there, so everything that is stored or served of a tree is hashes of complete subtrees.
- A frontier is the right edge: one complete subtree for each bit of the size, the largest first. It is all that is
  needed to append and to know the root.
- Proofs are made from complete subtrees (RFC 6962, 2.1.1 and 2.1.2) and checked by the algorithms of RFC 9162, 2.1.3.2
  and 2.1.4.2, which share nothing with how they are made.

It stores nothing: `records.tiles` answers for complete subtrees, and whoever signs keeps the frontier.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from records.errors import BadProof, MalformedFrontier

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

SubtreeHash = Callable[[int, int], bytes]
"""`(level, index) -> hash` of a complete subtree."""


def leaf_hash(data: bytes) -> bytes:
    """Return the RFC 6962 leaf hash of `data`, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 hash of an inner node, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 tree head over leaf *data* (not leaf hashes), 32 bytes. O(n)."""
    return root_of_hashes([leaf_hash(data) for data in leaves])


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 tree head over leaf hashes, or over the roots of subtrees of one size. O(n)."""
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


class Frontier:
    """The right edge of a tree that grows; not safe to share between threads."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Take up a right edge.

        Args:
            size: the number of leaves, 0 or more.
            hashes: of the complete subtrees that make it up, the largest first.

        Raises:
            MalformedFrontier: not exactly one hash of 32 bytes for each bit of the size.
        """
        if size < 0 or len(hashes) != size.bit_count() or any(len(one) != HASH_BYTES for one in hashes):
            raise MalformedFrontier("a frontier that does not fit its size")
        self._size = size
        self._hashes = list(hashes)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of the complete subtrees that make up the tree, the largest first."""
        return tuple(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf by its hash. O(1) on average."""
        self._hashes.append(leaf_hash)
        carried = self._size
        while carried & 1:
            right, left = self._hashes.pop(), self._hashes.pop()
            self._hashes.append(node_hash(left, right))
            carried >>= 1
        self._size += 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves in their order."""
        for one in leaf_hashes:
            self.append(one)

    def root(self) -> bytes:
        """Return the tree head, 32 bytes. O(log n)."""
        return _joined(self._hashes)

    def copy(self) -> Frontier:
        """Return a frontier of its own that stands where this one stands."""
        return Frontier(self._size, self._hashes)


def _joined(hashes: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees of falling size, side by side."""
    if not hashes:
        return EMPTY_ROOT
    joined = hashes[-1]
    for left in reversed(hashes[:-1]):
        joined = node_hash(left, joined)
    return joined


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 divides the leaves from `start` to `end`: at the largest power of two below their count."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _range_root(get: SubtreeHash, start: int, end: int) -> bytes:
    """Return the root over leaves `start` to `end`, where `start` is one at which RFC 6962 divides."""
    hashes = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(get(level, start >> level))
        start += 1 << level
    return _joined(hashes)


def root_at(get: SubtreeHash, size: int) -> bytes:
    """Return the tree head at a size from complete subtrees. O(log n) calls of `get`."""
    return _range_root(get, 0, size)


def inclusion_proof(get: SubtreeHash, index: int, size: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree of a size, from the leaf upwards. O(log² n) calls of `get`.

    Raises:
        BadProof: there is no such leaf in a tree of this size.
    """
    if not 0 <= index < size:
        raise BadProof("no proof of a leaf outside the tree")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = _split(start, end)
        if index < split:
            proof.append(_range_root(get, split, end))
            end = split
        else:
            proof.append(_range_root(get, start, split))
            start = split
    return proof[::-1]


def shared_proof(get: SubtreeHash, wanted: Iterable[int], size: int) -> list[bytes]:
    """Return one proof that many leaves are in the tree of a size.

    Going through the tree from the left as RFC 6962 divides it, it holds the root of each range without a wanted leaf;
    whoever has the leaves can make every other hash. Fewer hashes than a proof for each leaf, and the same root.

    Raises:
        BadProof: there is no such leaf in a tree of this size.
    """
    places = sorted(set(wanted))
    if places and not 0 <= places[0] <= places[-1] < size:
        raise BadProof("no proof of a leaf outside the tree")
    proof: list[bytes] = []

    def walk(start: int, end: int, first: int, last: int) -> None:
        if first == last:
            proof.append(_range_root(get, start, end))
        elif end - start > 1:
            split = _split(start, end)
            middle = bisect_left(places, split, first, last)
            walk(start, split, first, middle)
            walk(split, end, middle, last)

    if size:
        walk(0, size, 0, len(places))
    return proof


def consistency_proof(get: SubtreeHash, old_size: int, new_size: int) -> list[bytes]:
    """Return the proof that the tree of one size is a prefix of that of another. O(log² n) calls of `get`.

    Returns:
        The hashes from below upwards; none where the old tree is empty or the sizes are equal.

    Raises:
        BadProof: the old size is not one of an earlier tree.
    """
    if not 0 <= old_size <= new_size:
        raise BadProof("no proof from a larger tree to a smaller one")
    if old_size in (0, new_size):
        return []
    proof: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        split = _split(start, end)
        if old_size <= split:
            proof.append(_range_root(get, split, end))
            end = split
        else:
            proof.append(_range_root(get, start, split))
            start = split
    if start:  # at 0 the old root itself is what the proof begins with, and whoever checks it knows it
        proof.append(_range_root(get, start, end))
    return proof[::-1]


def root_from_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root of the one tree of this size in which the proof places the leaf (RFC 9162, 2.1.3.2).

    The caller compares it with a root that it trusts.

    Raises:
        BadProof: the index is outside the tree, or the proof has not the length or hashes of one.
    """
    if not 0 <= index < size or any(len(one) != HASH_BYTES for one in (leaf_hash, *proof)):
        raise BadProof("an inclusion proof of a leaf outside the tree, or of something that is no hash")
    place, last, joined = index, size - 1, leaf_hash
    for one in proof:
        if last == 0:
            raise BadProof("an inclusion proof that is too long")
        if place & 1 or place == last:
            joined = node_hash(one, joined)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            joined = node_hash(joined, one)
        place, last = place >> 1, last >> 1
    if last:
        raise BadProof("an inclusion proof that is too short")
    return joined


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the old tree is a prefix of the new one (RFC 9162, 2.1.4.2).

    Raises:
        BadProof: it is not shown.
    """
    if not 0 <= old_size <= new_size or any(len(one) != HASH_BYTES for one in (old_root, new_root, *proof)):
        raise BadProof("a consistency proof between sizes that cannot be, or of something that is no hash")
    if old_size in (0, new_size):
        known = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != known or (new_size == 0 and new_root != EMPTY_ROOT):
            raise BadProof("a consistency proof where none is needed, or roots that differ")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise BadProof("a consistency proof that is too short")
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_joined = new_joined = path[0]
    for one in path[1:]:
        if last == 0:
            raise BadProof("a consistency proof that is too long")
        if place & 1 or place == last:
            old_joined, new_joined = node_hash(one, old_joined), node_hash(one, new_joined)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_joined = node_hash(new_joined, one)
        place, last = place >> 1, last >> 1
    if last or old_joined != old_root or new_joined != new_root:
        raise BadProof("a consistency proof that does not lead to both roots")
