"""Tiles: one path for each, the published shapes, and proofs from tiles that equal proofs from leaves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.errors import MalformedTile
from records.merkle import consistency_proof, inclusion_proof, leaf_hash, root, root_at, root_from_inclusion
from records.tiles import (
    MAX_INDEX,
    TILE_BYTES,
    EntryTile,
    Tile,
    TileHashes,
    decode_entries,
    encode_entries,
    entries_path,
    parse_entries_path,
    parse_tile_path,
    tile_path,
    tiles_of,
    width_at,
)

SIZE = 70_000
HASHES = [leaf_hash(index.to_bytes(4, "big")) for index in range(SIZE)]
TILES = st.builds(Tile, st.integers(0, 63), st.integers(0, MAX_INDEX), st.integers(1, 256))


class Kept:
    """What a log keeps: full tiles and leaf hashes; counts how many leaves are asked for."""

    def __init__(self, size: int) -> None:
        self.asked = 0
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.hashes = TileHashes(lambda level, n: self.tiles.get((level, n)), self.leaves)
        for level, n, _ in tiles_of(0, size):
            self.tiles[level, n] = self.hashes.tile(level, n)
        self.asked = 0

    def leaves(self, start: int, stop: int) -> list[bytes]:
        self.asked += stop - start
        return HASHES[start:stop]


@pytest.fixture(scope="module")
def kept() -> Kept:
    return Kept(SIZE)


def test_the_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 17) == "tile/1/000.p/17"
    assert entries_path(67, 1) == "tile/entries/067.p/1"


@settings(deadline=None)
@given(TILES)
def test_a_path_names_its_tile(tile: Tile) -> None:
    assert parse_tile_path(tile_path(*tile)) == tile
    assert parse_entries_path(entries_path(tile.n, tile.width)) == EntryTile(tile.n, tile.width)


@settings(deadline=None)
@given(st.from_regex(r"tile/(entries|[0-9]{1,3})/(x?[0-9]{2,3}/){0,3}x?[0-9]{2,4}(\.p/[0-9]{1,3})?\n?", fullmatch=True))
def test_no_tile_has_a_second_path(path: str) -> None:
    for parse, name in ((parse_tile_path, tile_path), (parse_entries_path, entries_path)):
        try:
            tile = parse(path)
        except MalformedTile:
            continue
        assert name(*tile) == path


@pytest.mark.parametrize(("level", "n", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_a_tile_that_cannot_be_has_no_path(level: int, n: int, width: int) -> None:
    with pytest.raises(MalformedTile):
        tile_path(level, n, width)


def test_a_tree_of_70_000_has_the_tiles_of_the_specification() -> None:
    full = list(tiles_of(0, SIZE))

    assert [sum(tile.level == level for tile in full) for level in range(3)] == [273, 1, 0]
    assert [width_at(0, 273, SIZE), width_at(1, 1, SIZE), width_at(2, 0, SIZE), width_at(3, 0, SIZE)] == [112, 17, 1, 0]
    assert (width_at(0, 0, 256), width_at(1, 0, 256)) == (256, 1)


@settings(deadline=None)
@given(st.integers(0, 200_000), st.integers(0, 200_000), st.integers(0, 200_000))
def test_each_tile_becomes_full_once(one: int, two: int, three: int) -> None:
    small, middle, large = sorted((one, two, three))

    steps = [*tiles_of(small, middle), *tiles_of(middle, large)]
    assert sorted(steps) == sorted(tiles_of(small, large))
    for level, n, width in steps:
        assert width_at(level, n, small) < 256
        assert width_at(level, n, large) == width


@settings(deadline=None, max_examples=60)
@given(st.integers(1, SIZE), st.data())
def test_proofs_from_tiles_hold_at_every_size(kept: Kept, size: int, draw: st.DataObject) -> None:
    index, old = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(1, size))
    head = root_at(kept.hashes, size)

    proof = inclusion_proof(kept.hashes, index, size)
    assert root_from_inclusion(HASHES[index], index, size, proof) == head
    assert consistency_proof(kept.hashes, old, size)[-1:] == consistency_proof(Kept(0).hashes, old, size)[-1:]


def test_the_root_from_tiles_is_the_root_of_the_leaves(kept: Kept) -> None:
    assert root_at(kept.hashes, SIZE) == root([index.to_bytes(4, "big") for index in range(SIZE)])


def test_a_proof_reads_leaves_only_at_the_right_edge(kept: Kept) -> None:
    kept.asked = 0
    inclusion_proof(kept.hashes, 5, SIZE)
    assert 0 < kept.asked <= 256


def test_a_partial_tile_is_the_beginning_of_the_full_one(kept: Kept) -> None:
    assert kept.hashes.tile(0, 3, 7) == kept.hashes.tile(0, 3)[: 7 * 32]
    assert kept.hashes.tile(2, 0, 1) == kept.hashes(16, 0) == root([i.to_bytes(4, "big") for i in range(65_536)])
    assert len(kept.hashes.tile(1, 0)) == TILE_BYTES


@pytest.mark.parametrize("stored", [b"", bytes(TILE_BYTES - 1), bytes(TILE_BYTES + 1)])
def test_a_stored_tile_of_wrong_size_is_found(stored: bytes) -> None:
    with pytest.raises(MalformedTile):
        TileHashes(lambda _level, _n: stored, lambda start, stop: HASHES[start:stop])(0, 0)


def test_leaves_that_are_missing_are_found() -> None:
    with pytest.raises(MalformedTile):
        TileHashes(lambda _level, _n: None, lambda start, stop: HASHES[start : stop - 1])(3, 0)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=256))
def test_entries_survive_their_tile(entries: list[bytes]) -> None:
    data = encode_entries(entries)

    assert decode_entries(data, len(entries)) == entries
    for broken in (data[:-1], data + b"\x00", data + b"\x00\x00"):
        with pytest.raises(MalformedTile):
            decode_entries(broken, len(entries))
    with pytest.raises(MalformedTile):
        decode_entries(data, len(entries) + 1)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(1 << 16)]])
def test_entries_that_fill_no_tile_are_refused(entries: list[bytes]) -> None:
    with pytest.raises(MalformedTile):
        encode_entries(entries)
