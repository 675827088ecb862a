"""Tiles: the hashes of the tree in files of 256, and the entries below them, as C2SP tlog-tiles lays them out.

Source: C2SP tlog-tiles; decision 15.

- Tile `(level, n)` holds the roots of the complete subtrees of 256**level leaves from the 256·n-th on; 256 of them are
  a full tile of 8,192 bytes. A full tile never changes, so only full ones are stored.
- The rightmost tiles are partial: what is not stored is hashed again from the level below, in the end from the entries.
- Paths are `tile/<L>/<N>` and `tile/<L>/<N>.p/<W>`, the number in groups of three digits (`x001/x234/067`), each in one
  form only. `tile/entries/<N>` holds the entries themselves, each behind its length as u16.

It reads and writes no files and no tables: it is given functions that do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from records.errors import MalformedTile
from records.merkle import HASH_BYTES, root_of_hashes

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full tile (tlog-tiles, Merkle Tree)."""
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_LEVEL = 63
"""The highest level that a path may name (tlog-tiles, Merkle Tree)."""
MAX_INDEX = 2**63 - 1
REMEMBERED_ROOTS = 16_384
"""Roots of full tiles kept in memory, 32 bytes each: a proof in a tree of millions then opens few tiles."""

_NUMBER = r"(?P<n>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_TILE = re.compile(rf"tile/(?P<level>0|[1-9][0-9]?)/{_NUMBER}", re.ASCII)
_ENTRIES = re.compile(rf"tile/entries/{_NUMBER}", re.ASCII)


class Tile(NamedTuple):
    """The name of a tile of hashes."""

    level: int
    n: int
    width: int = TILE_WIDTH


class EntryTile(NamedTuple):
    """The name of a tile of entries."""

    n: int
    width: int = TILE_WIDTH


def _number(n: int, width: int) -> str:
    if not 0 <= n <= MAX_INDEX or not 1 <= width <= TILE_WIDTH:
        raise MalformedTile("a tile that cannot be")
    digits = str(n)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tile_path(level: int, n: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of hashes, as `tile/0/x001/x234/067.p/12`.

    Raises:
        MalformedTile: there can be no such tile.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise MalformedTile("a tile that cannot be")
    return f"tile/{level}/{_number(n, width)}"


def entries_path(n: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of entries, as `tile/entries/067`.

    Raises:
        MalformedTile: there can be no such tile.
    """
    return f"tile/entries/{_number(n, width)}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile that a path names; each tile has exactly one path.

    Raises:
        MalformedTile: the path is none.
    """
    match = _TILE.fullmatch(path)
    tile = Tile(int(match["level"]), *_parsed(match)) if match else None
    if tile is None or tile.level > MAX_LEVEL or tile_path(*tile) != path:
        raise MalformedTile("a path that names no tile")
    return tile


def parse_entries_path(path: str) -> EntryTile:
    """Return the tile of entries that a path names; each has exactly one path.

    Raises:
        MalformedTile: the path is none.
    """
    match = _ENTRIES.fullmatch(path)
    tile = EntryTile(*_parsed(match)) if match else None
    if tile is None or entries_path(*tile) != path:
        raise MalformedTile("a path that names no tile of entries")
    return tile


def _parsed(match: re.Match[str]) -> tuple[int, int]:
    width = int(match["width"]) if match["width"] else TILE_WIDTH
    return int(match["n"].replace("x", "").replace("/", "")), width


def width_at(level: int, n: int, size: int) -> int:
    """Return how many hashes tile `(level, n)` has in a tree of a size: 256 when full, 0 where there is none."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - n * TILE_WIDTH))


def tiles_of(old_size: int, new_size: int) -> Iterator[Tile]:
    """Yield the tiles that become full while a tree grows, the lower levels first."""
    level = 0
    while (full := new_size >> (TILE_HEIGHT * (level + 1))) > 0:
        for n in range(old_size >> (TILE_HEIGHT * (level + 1)), full):
            yield Tile(level, n)
        level += 1


class TileHashes:
    """The hashes of complete subtrees, read from full tiles and, at the right edge, from leaf hashes.

    Whatever is asked must lie below the size of the tree; what is complete never changes, so one of these serves proofs
    for every size up to it, also while the tree grows. It is as safe to share between threads as the functions are.
    """

    def __init__(
        self,
        stored_tile: Callable[[int, int], bytes | None],
        leaf_hashes: Callable[[int, int], Sequence[bytes]],
    ) -> None:
        """Read tiles by `stored_tile` and leaves by `leaf_hashes`.

        Args:
            stored_tile: `(level, n) -> 8,192 bytes` of a full tile, or None where it is not stored (yet).
            leaf_hashes: `(start, stop) ->` the leaf hashes of the entries from `start` up to but without `stop`.
        """
        self._stored_tile = stored_tile
        self._leaf_hashes = leaf_hashes
        self._root_of_tile = lru_cache(REMEMBERED_ROOTS)(self._hash_tile)

    def __call__(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree `(level, index)`: what `records.merkle` makes proofs from.

        Raises:
            MalformedTile: a stored tile has not 8,192 bytes, or leaves are missing.
        """
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        return root_of_hashes(self._hashes(tile_level, first, first + (1 << height)))

    def tile(self, level: int, n: int, width: int = TILE_WIDTH) -> bytes:
        """Return the bytes of a tile, full or partial; the caller knows that the tree is large enough.

        Raises:
            MalformedTile: a stored tile has not 8,192 bytes, or leaves are missing.
        """
        first = n * TILE_WIDTH
        return b"".join(self._hashes(level, first, first + width))

    def _hashes(self, level: int, first: int, end: int) -> Sequence[bytes]:
        """Return the roots of subtrees of 256**level leaves, `first` up to `end`, all within one tile."""
        n, offset = divmod(first, TILE_WIDTH)
        stored = self._stored_tile(level, n)
        if stored is not None:
            if len(stored) != TILE_BYTES:
                raise MalformedTile("a stored tile of wrong size")
            places = range(offset * HASH_BYTES, (offset + end - first) * HASH_BYTES, HASH_BYTES)
            return [stored[at : at + HASH_BYTES] for at in places]
        if level > 0:
            return [self._root_of_tile(level - 1, at) for at in range(first, end)]
        hashes = self._leaf_hashes(first, end)
        if len(hashes) != end - first or any(len(one) != HASH_BYTES for one in hashes):
            raise MalformedTile("leaves that are missing")
        return hashes

    def _hash_tile(self, level: int, n: int) -> bytes:
        return root_of_hashes(self._hashes(level, n * TILE_WIDTH, (n + 1) * TILE_WIDTH))


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of a tile of entries: each behind its length as u16, in order."""
    if not 1 <= len(entries) <= TILE_WIDTH or any(len(entry) >= 1 << 16 for entry in entries):
        raise MalformedTile("entries that fill no tile")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes, width: int = TILE_WIDTH) -> list[bytes]:
    """Return the entries of a tile of entries.

    Raises:
        MalformedTile: not exactly `width` entries, cut short, or trailing bytes.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or len(entries) != width:
        raise MalformedTile("entries that do not fill their tile exactly")
    return entries
