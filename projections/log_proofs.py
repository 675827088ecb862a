"""Proofs of the log, for those who check it: the newest checkpoint, tiles, and proofs of what lies below it.

Source: CRYPTO 3; C2SP tlog-tiles; RFC 9162.

- Nothing is shown that no checkpoint covers: what is not signed yet is nobody's evidence.
- Tiles and proofs are hashes. Entries name streams and times: they are a view of their own, for the privacy officer and
  an auditor, and each reading of them is recorded.
- A tile is read or hashed anew from the ledger; nothing here is trusted by anyone: a reader checks it against the root.

It signs nothing and verifies no signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from records.errors import InvalidContent, MalformedTile, UnknownItem
from records.merkle import consistency_proof, inclusion_proof, leaf_hash, root_at, shared_proof
from records.reader import Asked, Built, Reader
from records.signed_note import encode_base64
from records.store.unit import CheckpointRow
from records.tiles import (
    TILE_WIDTH,
    TileHashes,
    encode_entries,
    parse_entries_path,
    parse_tile_path,
    width_at,
)


class LogProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof for a tree of `size`; hashes are base64, from below upwards.

    Attributes:
        kind: `inclusion` of one entry, or `consistency` with an older tree.
        size, root: the tree that the proof leads to; not above the newest checkpoint.
        index, leaf_hash: of an inclusion: which entry, and its leaf hash.
        old, old_root: of a consistency: the older tree.
        hashes: the proof.
    """

    kind: Literal["inclusion", "consistency"]
    size: int
    root: str
    index: int | None = None
    leaf_hash: str | None = None
    old: int | None = None
    old_root: str | None = None
    hashes: tuple[str, ...] = ()


class LogProofs:
    """Answers for one clinic's log. Any thread may use it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._hashes = TileHashes(reader.log_tile, self._leaf_hashes)
        self.entries = EntriesView(self)

    def checkpoint(self) -> CheckpointRow:
        """Return the newest checkpoint.

        Raises:
            UnknownItem: the log is not signed.
        """
        newest = self._reader.checkpoint()
        if newest is None:
            raise UnknownItem("checkpoint")
        return newest

    def tile(self, name: str) -> bytes:
        """Return the tile of hashes whose path this is, without `tile/`.

        Raises:
            UnknownItem: there is no such tile below the newest checkpoint.
        """
        try:
            tile = parse_tile_path(f"tile/{name}")
        except MalformedTile:
            raise UnknownItem("tile") from None
        if tile.width > width_at(tile.level, tile.n, self.checkpoint().size):
            raise UnknownItem("tile")
        return self._hashes.tile(*tile)

    def entry_tile(self, name: str) -> bytes:
        """Return the tile of entries whose path this is, without `tile/entries/`.

        Raises:
            UnknownItem: there is no such tile below the newest checkpoint.
        """
        try:
            tile = parse_entries_path(f"tile/entries/{name}")
        except MalformedTile:
            raise UnknownItem("tile") from None
        if tile.width > width_at(0, tile.n, self.checkpoint().size):
            raise UnknownItem("tile")
        first = tile.n * TILE_WIDTH
        return encode_entries(self._reader.log_entries(first, first + tile.width))

    def inclusion(self, index: int, size: int | None = None) -> LogProof:
        """Return the proof that an entry is in the tree of a size, by default the newest that is signed.

        Raises:
            UnknownItem: no checkpoint covers this size.
            InvalidContent: the entry is not below it.
        """
        size = self._covered(size)
        if index >= size:
            raise InvalidContent("/query/index", "Is not below the size of the tree.")
        return LogProof(
            kind="inclusion",
            size=size,
            root=encode_base64(root_at(self._hashes, size)),
            index=index,
            leaf_hash=encode_base64(self._hashes(0, index)),
            hashes=tuple(map(encode_base64, inclusion_proof(self._hashes, index, size))),
        )

    def consistency(self, old: int, size: int | None = None) -> LogProof:
        """Return the proof that the tree of an old size is a prefix of that of a size.

        Raises:
            UnknownItem: no checkpoint covers this size.
            InvalidContent: the old size is above it.
        """
        size = self._covered(size)
        if old > size:
            raise InvalidContent("/query/old", "Is above the size of the tree.")
        return LogProof(
            kind="consistency",
            size=size,
            root=encode_base64(root_at(self._hashes, size)),
            old=old,
            old_root=encode_base64(root_at(self._hashes, old)),
            hashes=tuple(map(encode_base64, self.consistency_hashes(old, size))),
        )

    def consistency_hashes(self, old: int, size: int) -> list[bytes]:
        """Return the hashes of a consistency proof between two sizes below the newest checkpoint."""
        return consistency_proof(self._hashes, old, size)

    def shared(self, wanted: Iterable[int], size: int) -> list[bytes]:
        """Return one proof that many entries are in the tree of a size below the newest checkpoint."""
        return shared_proof(self._hashes, wanted, size)

    def root(self, size: int) -> bytes:
        """Return the root over the first entries, as the ledger says now."""
        return root_at(self._hashes, size)

    def _covered(self, size: int | None) -> int:
        newest = self.checkpoint().size
        if size is not None and size > newest:
            raise UnknownItem("checkpoint")
        return newest if size is None else size

    def _leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return [leaf_hash(entry) for entry in self._reader.log_entries(start, stop)]


class EntriesView:
    """A tile of the log's own entries: who may see it sees streams, kinds and times, and no content."""

    action = "log.entries"

    def __init__(self, proofs: LogProofs) -> None:
        self._proofs = proofs

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the tile's bytes.

        Raises:
            UnknownItem: there is no such tile below the newest checkpoint.
        """
        return Built(self._proofs.entry_tile(asked.parameters["tile"]))
