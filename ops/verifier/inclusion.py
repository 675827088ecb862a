"""One entry's place in the tree of a checkpoint, shown by the hashes beside its way to the root.

Source: RFC 9162, 2.1.3.2; CRYPTO 2.

- Every hash of the proof is used, and one that is missing or left over is refused.

It knows neither what the entry says nor who signed the root.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.verify import HASH_BYTES, MalformedProof, WrongRoot, node_hash


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf of this hash stands at `index` of the tree (RFC 9162, 2.1.3.2). O(log n).

    Raises:
        MalformedProof: the proof is not of the length that index and size ask for.
        WrongRoot: it leads to another root.
    """
    if not 0 <= index < size or any(len(each) != HASH_BYTES for each in proof):
        raise MalformedProof("The proof is for no entry of this log.", index)
    at, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise MalformedProof("The proof is longer than the tree is high.", index)
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise MalformedProof("The proof is shorter than the tree is high.", index)
    if node != root:
        raise WrongRoot(f"Entry {index} is not in the log of this checkpoint.", index)
