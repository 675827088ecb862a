"""The tree is RFC 6962's: known answers, and no two lists of leaves share a root."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.merkle import leaf_hash, node_hash, root

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
"""The first leaves of the test vectors that Certificate Transparency's own implementations share."""


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ],
)
def test_the_root_is_the_one_of_the_published_vectors(count: int, expected: str) -> None:
    assert root(LEAVES[:count]).hex() == expected


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
