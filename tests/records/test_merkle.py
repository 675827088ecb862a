"""The tree is RFC 6962's: known answers, no two lists share a root, and proofs that hold or fail by a single bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.errors import BadProof, MalformedFrontier
from records.merkle import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_at,
    root_from_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
"""The leaves of the test vectors that Certificate Transparency's own implementations share."""
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
ONE = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
TWO = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
SIZES = st.integers(1, 300)


def subtrees(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """Answer for complete subtrees of leaf data, by hashing them."""

    def get(level: int, index: int) -> bytes:
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, "only complete subtrees may be asked for"
        return root(part)

    return get


def data(size: int) -> list[bytes]:
    return [index.to_bytes(4, "big") for index in range(size)]


def with_bit(value: bytes, bit: int) -> bytes:
    raw = bytearray(value)
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(raw)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, ONE),
        (2, TWO),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (4, F),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_the_root_is_the_one_of_the_published_vectors(count: int, expected: str) -> None:
    assert root(LEAVES[:count]).hex() == expected
    assert root_at(subtrees(LEAVES), count).hex() == expected


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, F]), (2, 3, [TWO]), (1, 5, [ONE, B, D])],
)
def test_an_inclusion_proof_is_the_one_of_the_published_vectors(index: int, size: int, expected: list[str]) -> None:
    proof = inclusion_proof(subtrees(LEAVES), index, size)

    assert [one.hex() for one in proof] == expected
    assert root_from_inclusion(leaf_hash(LEAVES[index]), index, size, proof) == root(LEAVES[:size])


@pytest.mark.parametrize(
    ("old", "new", "expected"), [(1, 1, []), (0, 8, []), (1, 8, [A, B, C]), (6, 8, [G, E, F]), (2, 5, [B, D])]
)
def test_a_consistency_proof_is_the_one_of_the_published_vectors(old: int, new: int, expected: list[str]) -> None:
    proof = consistency_proof(subtrees(LEAVES), old, new)

    assert [one.hex() for one in proof] == expected
    check_consistency(old, root(LEAVES[:old]), new, root(LEAVES[:new]), proof)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")

    assert root([left + right]) != node_hash(left, right) == root([b"left", b"right"])
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3), max_size=9), st.lists(st.binary(max_size=3), max_size=9))
def test_two_lists_share_a_root_only_when_they_are_equal(one: list[bytes], other: list[bytes]) -> None:
    assert (root(one) == root(other)) == (one == other)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=4), min_size=2, max_size=20))
def test_the_root_splits_at_the_largest_power_of_two(leaves: list[bytes]) -> None:
    split = 1 << ((len(leaves) - 1).bit_length() - 1)

    assert root(leaves) == node_hash(root(leaves[:split]), root(leaves[split:]))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=70), st.data())
def test_a_frontier_knows_the_root_of_every_size(leaves: list[bytes], draw: st.DataObject) -> None:
    stop = draw.draw(st.integers(0, len(leaves)))
    frontier = Frontier()
    frontier.extend(map(leaf_hash, leaves[:stop]))
    kept = Frontier(frontier.size, frontier.hashes)
    other = frontier.copy()
    other.extend(map(leaf_hash, leaves[stop:]))

    assert frontier.root() == kept.root() == root(leaves[:stop])
    assert (frontier.size, other.size) == (stop, len(leaves))
    assert other.root() == root(leaves)
    assert len(other.hashes) == len(leaves).bit_count()


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(-1, []), (0, [EMPTY_ROOT]), (1, []), (2, [EMPTY_ROOT] * 2), (1, [b"short"]), (3, [EMPTY_ROOT])],
)
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(MalformedFrontier):
        Frontier(size, hashes)


@settings(deadline=None)
@given(SIZES, st.data())
def test_every_leaf_is_proved_and_no_other_bit_is(size: int, draw: st.DataObject) -> None:
    leaves = data(size)
    index = draw.draw(st.integers(0, size - 1))
    leaf, head = leaf_hash(leaves[index]), root(leaves)
    proof = inclusion_proof(subtrees(leaves), index, size)

    assert root_from_inclusion(leaf, index, size, proof) == head
    place, bit = draw.draw(st.integers(0, len(proof))), draw.draw(st.integers(0, 255))
    altered = [leaf, *proof]
    altered[place] = with_bit(altered[place], bit)
    assert root_from_inclusion(altered[0], index, size, altered[1:]) != head


@settings(deadline=None)
@given(SIZES, SIZES, st.data())
def test_every_prefix_is_proved_and_no_other_bit_is(one: int, other: int, draw: st.DataObject) -> None:
    old, new = min(one, other), max(one, other)
    leaves = data(new)
    proof = consistency_proof(subtrees(leaves), old, new)
    roots = [root(leaves[:old]), root(leaves)]

    check_consistency(old, roots[0], new, roots[1], proof)
    place, bit = draw.draw(st.integers(0, len(proof) + 1)), draw.draw(st.integers(0, 255))
    altered = [*roots, *proof]
    altered[place] = with_bit(altered[place], bit)
    with pytest.raises(BadProof):
        check_consistency(old, altered[0], new, altered[1], altered[2:])


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_proof_of_another_length_is_none(size: int, draw: st.DataObject) -> None:
    leaves = data(size)
    index, old = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(1, size))
    leaf, head, get = leaf_hash(leaves[index]), root(leaves), subtrees(leaves)
    path = inclusion_proof(get, index, size)
    between = consistency_proof(get, old, size)

    for longer in ([*path, leaf], [leaf, *path], [*path, leaf, leaf]):
        with pytest.raises(BadProof):
            root_from_inclusion(leaf, index, size, longer)
    for other in ([*between, leaf], [leaf, *between], *([between[:-1], between[1:]] if between else [])):
        with pytest.raises(BadProof):
            check_consistency(old, root(leaves[:old]), size, head, other)
    for shorter in [path[:-1], path[1:]] if path else []:
        with pytest.raises(BadProof):
            root_from_inclusion(leaf, index, size, shorter)


def test_a_proof_that_cannot_be_is_neither_made_nor_taken() -> None:
    get, head = subtrees(LEAVES), root(LEAVES)
    for index, size in ((-1, 8), (8, 8), (0, 0)):
        with pytest.raises(BadProof):
            inclusion_proof(get, index, size)
        with pytest.raises(BadProof):
            root_from_inclusion(head, index, size, [])
    for old, new in ((-1, 8), (8, 7)):
        with pytest.raises(BadProof):
            consistency_proof(get, old, new)
        with pytest.raises(BadProof):
            check_consistency(old, head, new, head, [])
    with pytest.raises(BadProof):
        root_from_inclusion(leaf_hash(LEAVES[0]), 0, 2, [b"no hash"])


def test_the_empty_tree_is_a_prefix_of_every_tree_and_of_itself() -> None:
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    check_consistency(0, EMPTY_ROOT, 8, root(LEAVES), [])
    for roots, size, proof in (
        ((root(LEAVES), root(LEAVES)), 8, []),
        ((EMPTY_ROOT, root(LEAVES)), 8, [EMPTY_ROOT]),
        ((EMPTY_ROOT, root(LEAVES)), 0, []),
    ):
        with pytest.raises(BadProof):
            check_consistency(0, roots[0], size, roots[1], proof)
