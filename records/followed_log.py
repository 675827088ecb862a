"""The log as whoever signs it follows it: entry by entry, each checked, into a right edge, full tiles and stream heads.

Source: CRYPTO 2 and 3; decision 15. Each entry that is followed is held to what stands before it:

- Indices are dense, times rise, each stream's versions are dense from 1 and each entry names the leaf before it.
- Epochs and declared restores form one chain of their own; each body is the one that its entry names, states exactly
  its own index, root and stream heads, and is signed by the keys of the epoch before, or by the recovery keys.
- What fails names the first bad index, and nothing of that entry is taken in.

It opens no seal, looks at no payload (`records.scrub`), signs nothing and keeps nothing on disk. A followed log is not
safe to share between threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from uuid import UUID

import msgspec

from records.checkpoint import HybridPublic
from records.epoch import EpochBody, RestoreBody, decode, genesis_fingerprint, heads_root, verify_epoch
from records.errors import LedgerMismatch, VerificationError
from records.ledger import CLEAR_KINDS, NO_LEAF, Kind, RawEntry, entry_hash, read_entry
from records.merkle import HASH_BYTES, Frontier, root_of_hashes
from records.store.unit import Tile
from records.tiles import TILE_WIDTH

_STREAM = 16
_HEAD_BYTES = _STREAM + 8 + HASH_BYTES
BodyAt = Callable[[int], bytes | None]


class Trust(msgspec.Struct, frozen=True):
    """What genesis said for good.

    Attributes:
        deployment_id: the clinic's id.
        fingerprint: of the body of index 0, 64 hex digits.
        log: the log's public key.
        recovery: the recovery keys.
    """

    deployment_id: UUID
    fingerprint: str
    log: bytes
    recovery: HybridPublic


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A followed log at one size, as it lies on disk; see `FollowedLog` for the fields."""

    trust: Trust
    size: int
    hashes: tuple[bytes, ...]
    pending: tuple[bytes, ...]
    heads: bytes
    last_us: int
    epoch: int
    keys: HybridPublic
    leaf: bytes
    began: int
    began_us: int
    restored: bool


class FollowedLog:
    """A log that was followed from genesis, or from a snapshot of it.

    Attributes:
        trust: what genesis said.
        epoch: the number of the last epoch, -1 before genesis.
        keys: the public keys that it named.
        leaf: the leaf hash of its entry.
        began, began_us: the index and the time of its entry.
        restored: whether a restore was ever declared.
        tiles: the full tiles that were completed and not yet taken.
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.tiles: list[Tile] = []
        if snapshot is None:
            self._frontier, self._pending = Frontier(), [list[bytes]()]
            self._heads: dict[bytes, tuple[int, bytes]] = {}
            self._last_us, self.epoch, self.leaf, self.restored = 0, -1, NO_LEAF, False
            self.began = self.began_us = 0
            return
        self.trust, self.epoch, self.keys, self.leaf = snapshot.trust, snapshot.epoch, snapshot.keys, snapshot.leaf
        self.restored, self._last_us = snapshot.restored, snapshot.last_us
        self.began, self.began_us = snapshot.began, snapshot.began_us
        self._frontier = Frontier(snapshot.size, snapshot.hashes)
        self._pending = [_split(joined, HASH_BYTES) for joined in snapshot.pending]
        self._heads = {
            head[:_STREAM]: (int.from_bytes(head[_STREAM : _STREAM + 8], "big"), head[_STREAM + 8 :])
            for head in _split(snapshot.heads, _HEAD_BYTES)
        }

    @property
    def size(self) -> int:
        """How many entries were followed."""
        return self._frontier.size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The right edge."""
        return self._frontier.hashes

    @property
    def heads(self) -> dict[UUID, int]:
        """The last version of each stream."""
        return {UUID(bytes=stream): version for stream, (version, _) in self._heads.items()}

    def root(self) -> bytes:
        """Return the root over what was followed."""
        return self._frontier.root()

    def heads_root(self) -> bytes:
        """Return the root over all stream heads. O(n log n) in the streams."""
        return heads_root((stream, version) for stream, (version, _) in self._heads.items())

    def snapshot(self) -> Snapshot:
        """Return what is needed to follow on from here."""
        return Snapshot(
            trust=self.trust,
            size=self.size,
            hashes=self.hashes,
            pending=tuple(b"".join(level) for level in self._pending),
            heads=b"".join(
                stream + version.to_bytes(8, "big") + leaf for stream, (version, leaf) in self._heads.items()
            ),
            last_us=self._last_us,
            epoch=self.epoch,
            keys=self.keys,
            leaf=self.leaf,
            began=self.began,
            began_us=self.began_us,
            restored=self.restored,
        )

    def ahead(self, entries: Iterable[tuple[int, bytes]]) -> FollowedLog:
        """Return a copy that followed entries which may yet come to nothing; none of them is an epoch.

        Raises:
            LedgerMismatch: see `follow`.
        """
        copy = FollowedLog.__new__(FollowedLog)
        copy.__dict__.update(self.__dict__)
        copy._frontier, copy._heads = self._frontier.copy(), dict(self._heads)
        copy._pending, copy.tiles = [list(level) for level in self._pending], []
        copy.follow(entries, lambda _: None)
        return copy

    def follow(self, entries: Iterable[tuple[int, bytes]], body_at: BodyAt) -> None:
        """Take in the next entries.

        Raises:
            LedgerMismatch: the first that does not follow; everything before it was taken in.
        """
        for index, encoded in entries:
            if index != self._frontier.size:
                raise LedgerMismatch("the ledger is not dense", self._frontier.size)
            try:
                entry = read_entry(encoded)
                if entry.logged_at_us <= self._last_us:
                    raise LedgerMismatch("the times of the ledger do not rise")
                leaf = entry_hash(encoded)
                if entry.kind <= Kind.ACCESS:
                    version, before = self._heads.get(entry.stream, (0, NO_LEAF))
                    if entry.version != version + 1 or entry.prev_stream_leaf != before:
                        raise LedgerMismatch("the chain of a stream is broken")
                    self._heads[entry.stream] = (entry.version, leaf)
                elif entry.kind in CLEAR_KINDS:
                    self._follow_epoch(entry, leaf, body_at(index))
            except (LedgerMismatch, VerificationError) as error:
                raise LedgerMismatch(str(error), index) from error
            self._last_us = entry.logged_at_us
            self._frontier.append(leaf)
            self._complete(leaf)

    def _follow_epoch(self, entry: RawEntry, leaf: bytes, data: bytes | None) -> None:
        if data is None or hashlib.sha256(data).digest() != entry.payload_sha256 or len(data) != entry.payload_len:
            raise LedgerMismatch("the body of an epoch is not the one that was logged")
        if entry.version != self.epoch + 1 or entry.prev_stream_leaf != self.leaf:
            raise LedgerMismatch("the chain of epochs is broken")
        body = decode(data)
        if (entry.kind == Kind.RESTORE_DECLARED) != isinstance(body, RestoreBody):
            raise LedgerMismatch("an epoch and a declared restore are taken for each other")
        if self.epoch < 0:
            self._begin(entry, data, body)
        stated = (body.deployment_id, body.epoch, body.size, body.root, body.heads_root)
        if stated != (UUID(bytes=entry.stream), entry.version, self.size, self.root(), self.heads_root()):
            raise LedgerMismatch("an epoch that does not state what stands below it")
        if body.deployment_id != self.trust.deployment_id:
            raise LedgerMismatch("an epoch of another clinic")
        signers = self.trust.recovery if isinstance(body, RestoreBody) else self.keys
        verify_epoch(body, signers, self.trust.log)
        self.epoch, self.keys, self.leaf = body.epoch, body.next_keys, leaf
        self.began, self.began_us = body.size, entry.logged_at_us
        self.restored = self.restored or isinstance(body, RestoreBody)

    def _begin(self, entry: RawEntry, data: bytes, body: EpochBody | RestoreBody) -> None:
        if isinstance(body, RestoreBody) or body.genesis is None:
            raise LedgerMismatch("a log that does not begin with its genesis")
        deployment = UUID(bytes=entry.stream)
        self.trust = Trust(deployment, genesis_fingerprint(data), body.genesis.log, body.genesis.recovery)
        self.keys = body.next_keys

    def _complete(self, leaf: bytes) -> None:
        """Put a leaf into its tile, and the root of each tile that it fills into the one above."""
        level, filled = 0, self._frontier.size
        hashes = leaf
        while True:
            if level == len(self._pending):
                self._pending.append([])
            pending = self._pending[level]
            pending.append(hashes)
            if len(pending) < TILE_WIDTH:
                return
            filled //= TILE_WIDTH
            self.tiles.append(Tile(level, filled - 1, b"".join(pending)))
            hashes = root_of_hashes(pending)
            self._pending[level] = []
            level += 1


def _split(joined: bytes, size: int) -> list[bytes]:
    return [joined[at : at + size] for at in range(0, len(joined), size)]
