"""A log written by hand, from the layouts alone: what the offline verifier is tested with.

It shares nothing with the service nor with the verifier. Everything can be made wrong on purpose: entries, bodies and
checkpoints are plain bytes that a test may exchange before the bundle is written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import struct
import zipfile
from copy import copy
from pathlib import Path
from typing import Self
from uuid import UUID

from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

NOTHING = bytes(32)
HOUR_US = 3_600_000_000


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def lp(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def lp32(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def tree(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962, over hashes of leaves."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + tree(leaves[:half]) + tree(leaves[half:]))


class Pair:
    """An Ed25519 and an ML-DSA-44 key."""

    def __init__(self, seed: bytes) -> None:
        self.classic = Ed25519PrivateKey.from_private_bytes(sha(b"classic" + seed))
        self.quantum = MLDSA44PrivateKey.from_seed_bytes(sha(b"quantum" + seed))

    @property
    def public(self) -> tuple[bytes, bytes]:
        return self.classic.public_key().public_bytes_raw(), self.quantum.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return lp(self.classic.sign(message)) + lp(self.quantum.sign(message))


class WrittenLog:
    """A log that grows entry by entry; its key pairs come from a seed."""

    def __init__(self, seed: str = "clinic") -> None:
        self.random = random.Random(seed)
        self.deployment = UUID(int=self.random.getrandbits(128), version=4)
        self.origin = f"wellkept/log/{self.deployment}"
        self.log_key = Ed25519PrivateKey.from_private_bytes(sha(seed.encode()))
        self.recovery = Pair(b"recovery" + seed.encode())
        self.seed = seed
        self.at_us = 1_700_000_000_000_000
        self.entries: list[bytes] = []
        self.bodies: dict[int, bytes] = {}
        self.states: dict[int, bytes] = {}
        self.sealed: dict[int, bytes] = {}
        self.event_keys: dict[int, bytes] = {}
        self.heads: dict[bytes, tuple[int, bytes]] = {}
        self.epoch = 0
        self.last_turn = NOTHING
        self.kept: dict[int, bytes] = {}
        self.turn()

    def copy(self, size: int | None = None) -> Self:
        """Return a log that begins as this one does, up to a size, and can go on by itself."""
        other = copy(self)
        other.random = random.Random(f"{self.seed}/{size}")
        size = len(self.entries) if size is None else size
        other.entries = self.entries[:size]
        other.at_us = int.from_bytes(other.entries[-1][8:16], "big")
        other.bodies = {index: body for index, body in self.bodies.items() if index < size}
        other.sealed = {index: state for index, state in self.sealed.items() if index < size}
        purged = {entry[93:125] for entry in other.entries if entry[7] == 6}
        states = other.sealed.items()
        other.states = {index: self.states[index] if sha(state) in purged else state for index, state in states}
        other.event_keys, other.kept = dict(self.event_keys), {at: note for at, note in self.kept.items() if at <= size}
        other.read_again()
        return other

    def read_again(self) -> None:
        """Take heads and epoch from the entries as they are now."""
        self.heads, self.epoch, self.last_turn = {}, 0, NOTHING
        for entry in self.entries:
            stream, version, leaf = entry[16:32], int.from_bytes(entry[32:40], "big"), sha(b"\0" + entry)
            if entry[7] in (1, 2):
                self.heads[stream] = (version, leaf)
            elif entry[7] in (5, 7):
                self.epoch, self.last_turn = version, leaf

    # --- entries

    def leaves(self, size: int | None = None) -> list[bytes]:
        return [sha(b"\0" + entry) for entry in self.entries[:size]]

    def enter(self, kind: int, stream: bytes, version: int, previous: bytes, key: bytes, key_class: int,
              length: int = 0, digest: bytes = NOTHING, content: bytes = NOTHING) -> int:  # fmt: skip
        self.at_us += 1_000_000
        fields = (b"WKLEAF\1", kind, self.at_us, stream, version, previous, key, key_class, length, digest, content)
        self.entries.append(struct.pack(">7sBQ16sQ32s16sBI32s32s", *fields))
        return len(self.entries) - 1

    def id(self) -> bytes:
        return UUID(int=self.random.getrandbits(128), version=4).bytes

    def key(self, scope: bytes, key_class: int = 1) -> bytes:
        key = self.id()
        self.enter(3, scope, 0, NOTHING, key, key_class)
        return key

    def destroy(self, scope: bytes, key: bytes, key_class: int = 1) -> int:
        return self.enter(4, scope, 0, NOTHING, key, key_class)

    def event(self, stream: bytes, key: bytes, text: str = "Slept well.", key_class: int = 1, kind: int = 1) -> int:
        version, previous = self.heads.get(stream, (0, NOTHING))
        version += 1
        head = bytes([1, key_class]) + struct.pack(">H", 1) + key + self.random.randbytes(16)
        place = lp(self.deployment.bytes) + lp(b"event") + stream + struct.pack(">Q", version)
        context = b"wellkept/ctx/1" + place + head[1:]
        event_key = self.random.randbytes(32)
        segments = [(b"v1", json.dumps({"topic": "note.signed", "note": 1}).encode()), (b"text", text.encode())]
        payload = struct.pack(">H", 2) + b"".join(lp(path) + lp32(part) for path, part in segments)
        plain = lp(b"note.signed") + payload
        length = len(plain) + 4
        padded = max(512, length)
        low = padded.bit_length() - 1 - (padded.bit_length() - 1).bit_length()
        padded = -(-padded >> low) << low
        encryptor = Cobblestone256Encryptor(event_key, context)
        sealed = encryptor.update(struct.pack(">I", length) + plain + bytes(padded - length)) + encryptor.finalize()
        state = head + sealed
        salts = [hmac.digest(event_key, b"wellkept/salt/1" + lp(path), "sha256") for path, _ in segments]
        parts = zip(salts, segments, strict=True)
        root = tree([sha(b"\0" + sha(b"wkseg\1" + salt + lp(path) + lp32(part))) for salt, (path, part) in parts])
        index = self.enter(kind, stream, version, previous, key, key_class, len(state), sha(state), root)
        self.states[index] = self.sealed[index] = state
        self.event_keys[index] = event_key
        self.heads[stream] = (version, sha(b"\0" + self.entries[index]))
        return index

    def purge(self, index: int) -> int:
        entry = self.entries[index]
        stream, version = entry[16:32], int.from_bytes(entry[32:40], "big")
        key, key_class, digest = entry[72:88], entry[88], entry[93:125]
        self.states[index] = b"\0" + key + digest
        return self.enter(6, stream, version, NOTHING, key, key_class, 0, digest)

    # --- epochs

    def pair(self, epoch: int) -> Pair:
        return Pair(f"{self.seed}/{epoch}".encode())

    def heads_root(self) -> bytes:
        pairs = sorted((stream, version) for stream, (version, _) in self.heads.items())
        return tree([sha(b"\0" + stream + struct.pack(">Q", version)) for stream, version in pairs])

    def turn(self, *, restore: int | None = None, signer: Pair | None = None, checkpoint: bytes | None = None) -> int:
        """Turn to the next epoch (the genesis in an empty log), or declare a restore with this known size."""
        size = len(self.entries)
        number = self.epoch + 1 if self.entries else 0
        statement = (b"WKEPOCH\1" if restore is None else b"WKRESTORE\1") + self.deployment.bytes
        statement += struct.pack(">IQ", number, size) + tree(self.leaves()) + self.heads_root()
        within = checkpoint if checkpoint is not None else self.checkpoint() if restore is None else b""
        statement += lp32(within) + b"".join(map(lp, self.pair(number).public))
        if restore is not None:
            statement += struct.pack(">Q", restore)
        elif number:
            statement += b"\0"
        else:
            log_key = self.log_key.public_key().public_bytes_raw()
            statement += b"\1" + lp(log_key) + b"".join(map(lp, self.recovery.public))
        label = b"wellkept/epoch/1" if restore is None else b"wellkept/restore/1"
        signs = signer or (self.pair(self.epoch) if restore is None else self.recovery)
        body = statement + signs.sign(label + statement)
        kind = 5 if restore is None else 7
        place = (self.deployment.bytes, number, self.last_turn, bytes(16), 0)
        index = self.enter(kind, *place, len(body), sha(body))
        self.bodies[index], self.epoch = body, number
        self.last_turn = sha(b"\0" + self.entries[index])
        return index

    @property
    def fingerprint(self) -> str:
        return sha(self.bodies[0]).hex()

    # --- checkpoints

    def epoch_at(self, size: int) -> int:
        turns = [entry for entry in self.entries[:size] if entry[7] in (5, 7)]
        return int.from_bytes(turns[-1][32:40], "big") if turns else 0

    def checkpoint(self, size: int | None = None, *, root: bytes | None = None, pair: Pair | None = None,
                   epoch: int | None = None, at: int = 1_750_000_000) -> bytes:  # fmt: skip
        size = len(self.entries) if size is None else size
        epoch = self.epoch_at(size) if epoch is None else epoch
        root = tree(self.leaves(size)) if root is None else root
        pair = pair or self.pair(epoch)
        text = f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        name = f"{self.origin}/epoch/{epoch}"
        stamp = struct.pack(">Q", at)
        message = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + stamp
        message += bytes([len(self.origin)]) + self.origin.encode() + struct.pack(">QQ", 0, size) + root
        log_public = self.log_key.public_key().public_bytes_raw()
        lines = [
            line(self.origin, 1, log_public, self.log_key.sign(text.encode())),
            line(name, 1, pair.public[0], pair.classic.sign(text.encode())),
            line(name, 6, pair.public[1], stamp + pair.quantum.sign(message)),
        ]
        return (text + "\n" + "".join(lines)).encode()

    def keep(self) -> bytes:
        """Keep a checkpoint of now in the bundle, among the older ones; and return it."""
        self.kept[len(self.entries)] = self.checkpoint()
        return self.kept[len(self.entries)]

    # --- bundles

    def files(self, *, payloads: bool = True, keys: tuple[int, ...] = (), tiles: bool = True) -> dict[str, bytes]:
        found = {
            "bundle.json": json.dumps({"format": "wellkept-bundle/1", "origin": self.origin}).encode(),
            "checkpoint": self.checkpoint(),
        }
        found |= {f"checkpoints/{size}": note for size, note in self.kept.items()}
        found |= {f"bodies/{index}": body for index, body in self.bodies.items()}
        leaves = self.leaves()
        for start in range(0, len(leaves), 256):
            part = leaves[start : start + 256]
            name = f"{start // 256:03}" + ("" if len(part) == 256 else f".p/{len(part)}")
            entries = self.entries[start : start + 256]
            found[f"tile/entries/{name}"] = b"".join(map(lp, entries))
            if tiles:
                found[f"tile/0/{name}"] = b"".join(part)
        if payloads:
            found |= {f"payloads/{index}": state for index, state in self.states.items()}
        return found | {f"keys/{index}": self.event_keys[index] for index in keys}


def line(name: str, kind: int, public: bytes, signature: bytes) -> str:
    key_id = sha(name.encode() + b"\n" + bytes([kind]) + public)[:4]
    return f"— {name} {base64.b64encode(key_id + signature).decode()}\n"


class WrittenWitness:
    """A witness with a key of its own."""

    def __init__(self, name: str = "witness.example/w1") -> None:
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(sha(name.encode()))

    @property
    def vkey(self) -> str:
        material = bytes([4]) + self.key.public_key().public_bytes_raw()
        key_id = sha(self.name.encode() + b"\n" + material)[:4]
        return f"{self.name}+{key_id.hex()}+{base64.b64encode(material).decode()}"

    def cosign(self, note: bytes, at: int = 1_750_000_060) -> bytes:
        text = note.decode().rpartition("\n\n")[0] + "\n"
        signature = self.key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        public = self.key.public_key().public_bytes_raw()
        return note + line(self.name, 4, public, struct.pack(">Q", at) + signature).encode()


class SmallClinic(WrittenLog):
    """A log of 18 entries with one of everything; the comments are indexes."""

    def __init__(self, seed: str = "clinic") -> None:
        super().__init__(seed)  # 0 genesis
        clinic = self.deployment.bytes
        self.clinic_key, self.audit_key = self.key(clinic, 5), self.key(clinic, 4)  # 1, 2
        self.event(clinic, self.clinic_key, "founded", 5)  # 3
        self.ann, self.ann_readings, self.ben = self.id(), self.id(), self.id()
        self.ann_key, self.ben_key = self.key(self.ann), self.key(self.ben)  # 4, 5
        self.note("one")  # 6
        self.reading()  # 7
        self.event(self.ben, self.ben_key, "Ben's")  # 8
        self.note("two")  # 9
        self.reading()  # 10
        self.keep()
        self.turn()  # 11 epoch 1
        self.note("three")  # 12
        self.event(self.ben, self.ben_key, "Ben's second")  # 13
        self.reading()  # 14
        self.purge(6)  # 15
        self.destroy(self.ben, self.ben_key)  # 16
        self.reading()  # 17

    def note(self, text: str) -> int:
        return self.event(self.ann, self.ann_key, text)

    def reading(self) -> int:
        return self.event(self.ann_readings, self.audit_key, "read", 4, kind=2)


def write(files: dict[str, bytes], to: Path) -> Path:
    """Write a bundle as a folder."""
    for name, data in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(data)
    return to


def pack(files: dict[str, bytes], to: Path) -> Path:
    """Write a bundle as a zip."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return to
