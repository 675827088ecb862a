"""The offline verifier and the service's own code take and refuse the same bytes, though they share none of theirs.

The files are those of tests/golden/bad: what `records` must refuse, `ops.verify` must refuse too, in its own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import verify
from ops.verifier.inclusion import verify_inclusion

BAD = Path(__file__).parent.parent / "golden" / "bad"
TRUSTED = json.loads((BAD / "keys.json").read_text())


def keys(epoch: int) -> verify.Keys:
    named = TRUSTED["epochs"][str(epoch)]
    return verify.Keys(epoch, b"", bytes.fromhex(named["ed25519"]), bytes.fromhex(named["ml_dsa_44"]))


GENESIS = verify.parse_epoch_body((BAD / "good.genesis").read_bytes(), verify.EPOCH, 0).genesis
assert GENESIS is not None
RECOVERY = verify.Keys(0, b"", GENESIS.recovery_ed25519, GENESIS.recovery_ml_dsa)


def read_checkpoint(data: bytes) -> None:
    verify.verify_signatures(verify.parse_checkpoint(data, "The checkpoint"), GENESIS, keys(0))


def read_cosignature(data: bytes) -> None:
    checkpoint = verify.parse_checkpoint(data, "The checkpoint")
    if not verify.cosigned_by(checkpoint, [verify.parse_witness(TRUSTED["witness"])]):
        raise verify.NotWitnessed("No witness co-signed.")


def read_epoch(data: bytes) -> None:
    body = verify.parse_epoch_body(data, verify.EPOCH, 0)
    # As in a log: genesis stands at index 0 and nowhere else, and the checkpoint within is the one of this place.
    if (body.genesis is None) != (body.epoch > 0) or (body.genesis is not None and body.size):
        raise verify.WrongGenesis("Not in its place.")
    verify.verify_body(body, verify.EPOCH, keys(0), 0)
    within = verify.parse_checkpoint(body.checkpoint, "The checkpoint")
    verify.verify_signatures(within, GENESIS, keys(0))
    assert (within.size, within.root) == (body.size, body.root)


def read_restore(data: bytes) -> None:
    body = verify.parse_epoch_body(data, verify.RESTORE, 0)
    if body.checkpoint:
        raise verify.MalformedBody("A restore with a checkpoint.")
    verify.verify_body(body, verify.RESTORE, RECOVERY, 0)


def read_inclusion(data: bytes) -> None:
    first, *lines = data.decode().splitlines()
    _, index, size = first.split(" ")
    leaf, root, *proof = (bytes.fromhex(line) for line in lines)
    verify_inclusion(int(index), int(size), leaf, proof, root)


READERS: dict[str, Callable[[bytes], None]] = {
    "checkpoint": read_checkpoint,
    "cosignature": read_cosignature,
    "epoch": read_epoch,
    "genesis": read_epoch,
    "restore": read_restore,
    "proof": read_inclusion,
}
FILES = [
    path
    for what in READERS
    for path in sorted((BAD / what).iterdir())
    if what != "proof" or path.name.startswith("inclusion")
]


def test_the_corpus_is_there() -> None:
    assert len(FILES) > 50
    for what, read in READERS.items():
        read((BAD / (f"good.{what}" if what != "proof" else "good-inclusion.proof")).read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_service_refuses_the_verifier_refuses(path: Path) -> None:
    with pytest.raises(verify.VerificationError):
        READERS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("path", sorted((BAD / "note").iterdir()), ids=lambda path: path.name)
def test_what_is_no_note_is_no_checkpoint(path: Path) -> None:
    with pytest.raises((verify.MalformedNote, verify.MalformedCheckpoint)):
        verify.parse_checkpoint(path.read_bytes(), "The checkpoint")


@pytest.mark.parametrize("path", sorted((BAD / "vkey").iterdir()), ids=lambda path: path.name)
def test_what_is_no_verifier_key_is_no_witness(path: Path) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        verify.parse_witness(path.read_text())


@pytest.mark.parametrize("what", ["checkpoint", "cosignature", "epoch", "genesis", "restore"])
def test_a_file_cut_anywhere_is_refused_and_never_a_traceback(what: str) -> None:
    data = (BAD / f"good.{what}").read_bytes()
    for end in range(0, len(data), max(1, len(data) // 200)):
        with pytest.raises(verify.VerificationError):
            READERS[what](data[:end])
