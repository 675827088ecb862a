"""Verifying the whole log: a million entries with payloads of 2 KiB, and one entry by its proof.

- The log is that of a clinic of 150 therapists: 10,000 streams, a new epoch every 12,500 entries. It is laid into the
  product's own tables on SQLite, and signed with real keys.
- It is verified in a process of its own, so that its memory is its own; the seconds are those of its processor, since
  the figure is for one core, and the seconds on the wall stand beside.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from ops import verify
from ops.bench.figure import Bench, Group, Measured, Target
from ops.bench.turn_process import ROOT
from ops.live.log import LiveLog, sqlite_tables
from ops.verifier.inclusion import verify_inclusion
from records.checkpoint import Checkpoint, EpochKeys, LogKey, RecoveryKeys, origin_of, sign_checkpoint
from records.epoch import EpochBody, GenesisKeys, encode, heads_root, sign_epoch
from records.ledger import NO_LEAF, KeyClass, Kind, encode_entry, entry_hash
from records.merkle import EMPTY_ROOT
from records.store.schema import SEALED_TOPIC
from records.store.sqlite import SqliteStore

ENTRIES = 1_000_000
QUICK_ENTRIES = 20_000
STREAMS = 10_000
EPOCH_ENTRIES = 12_500
PAYLOAD_BYTES = 2_048
PROOFS = 200
_AT_ONCE = 5_000
_NOTHING = bytes(32)

SECONDS = Target("verify-a-million-entries", "s", at_most=20.0)
MEMORY = Target("verify-memory", "MiB", at_most=200.0)
PROOF = Target("verify-one-proof", "ms", at_most=5.0)


class _Writer:
    """Writes the log into the tables, an entry at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._random = random.Random(7)  # noqa: S311 - which stream is next, no secret
        self._noise = os.urandom(1 << 20)
        self.deployment = uuid4()
        self._log, self._recovery = LogKey(os.urandom(32)), RecoveryKeys(os.urandom(32))
        self._keys, self._epoch, self._last_turn = EpochKeys(os.urandom(32), os.urandom(32)), 0, NO_LEAF
        self._at_us = 1_700_000_000_000_000
        self._tree = verify.Frontier()
        self.leaves: list[bytes] = []
        self._heads: dict[bytes, tuple[int, bytes]] = {}
        self._entries: list[tuple[int, bytes]] = []
        self._events: list[tuple[str, int, str, bytes]] = []

    def write(self, entries: int) -> None:
        """Write the whole log and its newest checkpoint."""
        self._turn()
        key_id = os.urandom(16)
        self._enter(Kind.KEY_CREATED, self.deployment.bytes, 0, NO_LEAF, key_id, KeyClass.RECORD, 0, _NOTHING, _NOTHING)
        streams = [uuid4().bytes for _ in range(STREAMS)]
        while len(self.leaves) < entries:
            self._event(self._random.choice(streams), key_id)
            if not len(self.leaves) % EPOCH_ENTRIES:
                self._turn()
        self._flush()
        self._connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (len(self.leaves), self._checkpoint()))
        self._connection.commit()

    def _event(self, stream: bytes, key_id: bytes) -> None:
        at = self._random.randrange(len(self._noise) - PAYLOAD_BYTES)
        state = len(self.leaves).to_bytes(8, "big") + self._noise[at : at + PAYLOAD_BYTES - 8]
        version, before = self._heads.get(stream, (0, NO_LEAF))
        digest = hashlib.sha256(state).digest()
        leaf = self._enter(Kind.EVENT, stream, version + 1, before, key_id, KeyClass.RECORD, len(state), digest, digest)
        self._heads[stream] = version + 1, leaf
        self._events.append((stream.hex(), version + 1, SEALED_TOPIC, state))

    def _turn(self) -> None:
        size, first = len(self.leaves), not self.leaves
        old = self._keys
        number = 0 if first else self._epoch + 1
        self._keys = old if first else EpochKeys(os.urandom(32), os.urandom(32))
        body = EpochBody(
            deployment_id=self.deployment,
            epoch=number,
            size=size,
            root=self._root(),
            heads_root=heads_root((stream, version) for stream, (version, _) in self._heads.items()),
            checkpoint=self._checkpoint(old),
            next_keys=self._keys.public,
            genesis=GenesisKeys(self._log.public, self._recovery.public) if first else None,
        )
        data, self._epoch = encode(sign_epoch(body, old)), number
        digest = hashlib.sha256(data).digest()
        self._last_turn = self._enter(
            Kind.EPOCH, self.deployment.bytes, number, self._last_turn, bytes(16), KeyClass.CLEAR, len(data), digest,
            _NOTHING,
        )  # fmt: skip
        self._connection.execute("INSERT INTO log_bodies VALUES (?, ?)", (size, data))

    def _checkpoint(self, keys: EpochKeys | None = None) -> bytes:
        stated = Checkpoint(origin_of(self.deployment), len(self.leaves), self._root())
        return sign_checkpoint(stated, self._log, self._epoch, keys or self._keys, self._at_us // 1_000_000)

    def _root(self) -> bytes:
        return self._tree.root() if self.leaves else EMPTY_ROOT

    def _enter(
        self, kind: Kind, stream: bytes, version: int, before: bytes, key_id: bytes, key_class: int, length: int,
        digest: bytes, content: bytes,
    ) -> bytes:  # fmt: skip
        self._at_us += 1_000
        entry = encode_entry(kind, self._at_us, stream, version, before, key_id, key_class, length, digest, content)
        leaf = entry_hash(entry)
        self._entries.append((len(self.leaves), entry))
        self._tree.append(leaf)
        self.leaves.append(leaf)
        if len(self._entries) >= _AT_ONCE:
            self._flush()
        return leaf

    def _flush(self) -> None:
        self._connection.executemany("INSERT INTO ledger VALUES (?, ?)", self._entries)
        self._connection.executemany("INSERT INTO stored_events VALUES (?, ?, ?, ?)", self._events)
        self._entries.clear()
        self._events.clear()


def measure(bench: Bench) -> Iterator[Measured]:
    """Write the log, verify it in a process of its own, and one entry by its proof."""
    path = bench.room("verify") / "records.db"
    entries = QUICK_ENTRIES if bench.quick else ENTRIES
    SqliteStore.create(path)
    with closing(sqlite3.connect(path)) as connection:
        # The file is thrown away, and nothing of how it was written is measured.
        connection.execute("PRAGMA synchronous = OFF")
        writer = _Writer(connection)
        writer.write(entries)
    command = [sys.executable, "-m", "ops.bench.verifying", str(path)]
    told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    if (told["status"], told["entries"]) != ("unpinned", len(writer.leaves)):
        raise AssertionError(f"the log of the benchmark did not verify: {told['sentence']}")
    scale = ENTRIES / entries
    beside = f"{len(writer.leaves):,} entries; {told['wall']:.1f} s on the wall"
    yield Measured(SECONDS.name, told["seconds"] * scale, beside)
    yield Measured(MEMORY.name, told["mib"], "of the whole process")
    yield Measured(PROOF.name, _proof_ms(writer.leaves), f"{PROOFS} proofs in a tree of {len(writer.leaves):,}")


def _proof_ms(leaves: Sequence[bytes]) -> float:
    chosen = random.Random(7)  # noqa: S311 - which entries are proved, no secret
    root, asked = verify.tree_root(leaves), []
    for index in (chosen.randrange(len(leaves)) for _ in range(3)):
        asked.append((index, _path(index, leaves)))
    began = time.perf_counter()
    for number in range(PROOFS):
        index, path = asked[number % len(asked)]
        verify_inclusion(index, len(leaves), leaves[index], path, root)
    return (time.perf_counter() - began) / PROOFS * 1_000


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the inclusion proof by the recursive definition of RFC 6962."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*_path(index, leaves[:half]), verify.tree_root(leaves[half:])]
    return [*_path(index - half, leaves[half:]), verify.tree_root(leaves[:half])]


def verify_file(path: Path) -> str:
    """Verify a log in its tables; return what was found and what it cost as a line of JSON."""
    began, wall = time.process_time(), time.perf_counter()
    with sqlite_tables(path) as tables:
        report = verify.verify(LiveLog(tables), verify.Policy())
    cost = {
        "status": report.status,
        "sentence": report.sentence,
        "entries": report.counts["entries"],
        "seconds": time.process_time() - began,
        "wall": time.perf_counter() - wall,
        "mib": _peak_mib(),
    }
    return json.dumps(cost)


def _peak_mib() -> float:
    """Return the most memory that this program held; Linux counts into `ru_maxrss` what the parent held at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


GROUP = Group("verify", (SECONDS, MEMORY, PROOF), measure)

if __name__ == "__main__":
    sys.stdout.write(verify_file(Path(sys.argv[1])) + "\n")
