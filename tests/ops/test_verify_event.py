"""One disclosed entry, written by hand from the layouts alone: what a clinic forged in its log is found, too."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Encryptor

from ops import verify
from ops.verifier.event import EventVerifier
from ops.verifier.record import verify_given
from tests.ops.written_log import NOTHING, lp, sha, tree, write
from tests.ops.written_record import Files, WrittenRecord, digest_of, plain, uuid, when

HEADER = json.dumps({"topic": "note.signed", "note": 1})
"""What `WrittenLog.event` writes as the header."""
TEXT = "Slept well."


class WrittenEvent(WrittenRecord):
    """A log with one sealed note of Ann's among others; its entry and salts may be forged before the release."""

    def __init__(self) -> None:
        super().__init__("event")
        self.write("client.registered", identity={})
        self.other()
        self.index = self.event(self.ann, self.ann_key, TEXT)
        self.salts = [self.salt(path) for path in ("v1", "text")]
        self.left_out: set[int] = set()

    def salt(self, path: str) -> bytes:
        return hmac.digest(self.event_keys[self.index], b"wellkept/salt/1" + lp(path.encode()), "sha256")

    def alter(self, start: int, data: bytes) -> None:
        """Put bytes into the entry, as if it had been logged so."""
        entry = self.entries[self.index]
        self.entries[self.index] = entry[:start] + data + entry[start + len(data) :]
        self.read_again()

    def given(self) -> Files:
        entry = self.entries[self.index]
        place = {"client_id": uuid(self.ann), "index": self.index, "version": int.from_bytes(entry[32:40], "big")}
        clinic = {
            "name": "A Clinic", "deployment_id": str(self.deployment), "origin": self.origin,
            "fingerprint": self.fingerprint, "jurisdiction": "uk", "time_zone": "Europe/London",
        }  # fmt: skip
        parts = zip(("v1", "text"), self.salts, (HEADER, TEXT), strict=True)
        event = {
            "format": "wellkept-event/1", "clinic": clinic, **place, "topic": "note.signed",
            "recorded_at": when(int.from_bytes(entry[8:16], "big")), "key": self.event_keys[self.index].hex(),
            "segments": [{"path": path, "salt": salt.hex(), "content": content} for path, salt, content in parts],
        }  # fmt: skip
        outer = {
            "README.txt": b"Read me.\n", "event.json": plain(event), "payload": self.sealed[self.index],
            "verify.py": b"print('shipped')\n",
        }  # fmt: skip
        manifest = {
            "format": "wellkept-event/1", "clinic": "A Clinic", "deployment_id": str(self.deployment), **place,
            "files": [
                {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in sorted(outer.items())
            ],
        }  # fmt: skip
        outer["manifest.json"] = plain(manifest)
        released = {"manifest_sha256": hashlib.sha256(outer["manifest.json"]).hexdigest()}
        index, told = self.segmented("disclosure.made", released, {"purpose": "asked for"})
        wanted = {self.index, index, *self.bodies} - self.left_out
        return outer | {
            "proof/checkpoint": self.checkpoint(),
            "proof/log.json": plain(self.log_file(wanted)),
            "proof/release.json": plain({"index": index, "segments": told}),
            **{f"proof/bodies/{each}": body for each, body in self.bodies.items()},
        }


def test_a_sound_one_is_verified(tmp_path: Path) -> None:
    log = WrittenEvent()
    report = verify_given(write(log.given(), tmp_path), verify.Policy(genesis=log.fingerprint))
    assert (report.status, report.exit) == ("unanchored", 0), report.sentence


def logged_under_another_key(log: WrittenEvent) -> None:
    log.alter(72, log.ben_key)


def sealed_for_another_place(log: WrittenEvent) -> None:
    """Ben's note, logged as Ann's."""
    theirs = log.event(log.ben, log.ann_key, TEXT)
    log.sealed[log.index], log.event_keys[log.index] = log.sealed[theirs], log.event_keys[theirs]
    log.alter(89, log.entries[theirs][89:157])
    log.salts = [log.salt(path) for path in ("v1", "text")]


def of_another_root(log: WrittenEvent) -> None:
    """The root is over other salts than the key gives, so that other words could be shown under it."""
    log.salts = [bytes(32), bytes(32)]
    parts = zip(("v1", "text"), log.salts, (HEADER, TEXT), strict=True)
    log.alter(125, tree([sha(b"\0" + digest_of(salt, path, content)) for path, salt, content in parts]))


def of_nothing(log: WrittenEvent) -> None:
    state, key = log.sealed[log.index], log.event_keys[log.index]
    place = lp(log.deployment.bytes) + lp(b"event") + log.entries[log.index][16:40]
    encryptor = Cobblestone256Encryptor(key, b"wellkept/ctx/1" + place + state[1:36])
    log.sealed[log.index] = state[:36] + encryptor.update(bytes(512)) + encryptor.finalize()
    log.alter(89, struct.pack(">I", len(log.sealed[log.index])) + sha(log.sealed[log.index]))


def left_out_of_the_proof(log: WrittenEvent) -> None:
    log.left_out = {log.index}


def a_reading(log: WrittenEvent) -> None:
    log.alter(7, b"\2")


@pytest.mark.parametrize(
    ("forge", "leaf"),
    [
        (logged_under_another_key, "KeyDoesNotOpen"),
        (sealed_for_another_place, "KeyDoesNotOpen"),
        (of_another_root, "AlteredText"),
        (of_nothing, "MalformedPayload"),
        (left_out_of_the_proof, "Incomplete"),
        (a_reading, "WrongPlace"),
    ],
)
def test_what_the_clinic_forged_in_its_log_is_found(
    forge: Callable[[WrittenEvent], None], leaf: str, tmp_path: Path
) -> None:
    log = WrittenEvent()
    forge(log)
    with pytest.raises(verify.VerificationError) as raised:
        EventVerifier(write(log.given(), tmp_path), verify.Policy(genesis=log.fingerprint)).run()
    assert (type(raised.value).__name__, raised.value.index) == (leaf, log.index), str(raised.value)


def test_a_release_that_follows_another_event_is_found(tmp_path: Path) -> None:
    log = WrittenEvent()
    version, _ = log.heads[log.ann]
    log.heads[log.ann] = (version, NOTHING)
    files = log.given()
    with pytest.raises(verify.BrokenChain) as raised:
        EventVerifier(write(files, tmp_path), verify.Policy(genesis=log.fingerprint)).run()
    assert raised.value.index == json.loads(files["proof/release.json"])["index"]
