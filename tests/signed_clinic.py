"""A clinic whose log is signed up to its last entry, and what a stranger needs to check it."""

from __future__ import annotations

from records.checkpoint import Checkpoint, verify_checkpoint
from records.epoch import EpochBody, decode
from records.store.unit import CheckpointRow
from tests.clinic import StaffedClinic


def sign_log(clinic: StaffedClinic) -> CheckpointRow:
    """Have everything signed that is in the log; return the newest checkpoint."""
    signer = clinic.opened.signer
    assert signer is not None
    signer.flush()
    row = clinic.store.checkpoint()
    assert isinstance(row, CheckpointRow)
    return row


def stated_by(clinic: StaffedClinic, note: bytes) -> Checkpoint:
    """Return what a checkpoint of the first epoch states, by the keys that genesis names."""
    genesis = decode(clinic.store.body(0))
    assert isinstance(genesis, EpochBody)
    assert genesis.genesis is not None
    return verify_checkpoint(note, genesis.genesis.log, {0: genesis.next_keys})
