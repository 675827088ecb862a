"""A log with its genesis and a signer that begins from the disk, on either engine, and a check that shares no state."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from records.checkpoint import Checkpoint, epoch_of, origin_of, verify_checkpoint
from records.epoch import decode
from records.followed_log import FollowedLog
from records.genesis import begin_log, follow_all
from records.key_provider import KeyFileProvider
from records.merkle import root
from records.signer import Signer
from records.signer_state import SignerState
from records.store import Store
from tests.check import check_store
from tests.engines import Engine
from tests.units import access, event

DEPLOYMENT = UUID("00000000-0000-4000-8000-0000000000d1")
SECRET = bytes(range(32))


class Log:
    """A log with its genesis, a signer, and ways to break both."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.monotonic = 0.0
        self.alarms: list[tuple[str, dict[str, object]]] = []
        key_file = folder / "root.key"
        KeyFileProvider.create(key_file)
        self.folder = folder / "signer"
        self.state = SignerState(self.folder, DEPLOYMENT, KeyFileProvider(key_file))
        self.store: Store = engine.open()
        self.fingerprint = begin_log(self.store, self.state, DEPLOYMENT, SECRET, engine.clock)

    def signer(self, store: Any = None, state: Any = None) -> Signer:
        """Return a signer that begins from the disk, as after a start."""
        return Signer(
            store or self.store,
            state or self.state,
            DEPLOYMENT,
            self.engine.clock,
            lambda: self.monotonic,
            lambda *alarm: self.alarms.append(alarm),
        )

    def write(self, count: int = 1) -> None:
        """Write events of as many streams, and a reading."""
        for _ in range(count):
            self.store.commit(event(uuid4(), 0, 2))
        self.store.commit(access(uuid4()))

    def entries(self) -> list[bytes]:
        """Return all entries."""
        return [entry for _, entry in self.store.entries(-1, 1_000_000)]

    def check(self) -> None:
        """Hold everything that is stored to everything else, as somebody would who shares no state with the signer."""
        check_store(self.store)
        log = FollowedLog()
        follow_all(log, self.store)
        assert log.trust.fingerprint == self.fingerprint
        row = self.store.checkpoint()
        assert row is not None
        entries = self.entries()
        epochs = {decoded.epoch: decoded.next_keys for decoded in (decode(body) for _, body in self.store.bodies())}
        for kept in self.store.checkpoints():
            stated = verify_checkpoint(kept.note, log.trust.log, epochs)
            assert stated == Checkpoint(origin_of(DEPLOYMENT), kept.size, root(entries[: kept.size]))
            below = [index for index, _ in self.store.bodies() if index < kept.size]
            assert epoch_of(kept.note) == len(below) - 1
        for tile in log.tiles:
            if (tile.n + 1) * 256 ** (tile.level + 1) <= row.size:
                assert self.store.tile(tile.level, tile.n) == tile.hashes
