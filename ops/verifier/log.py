"""The part of a log that the bundle of one record proves: its genesis, its epochs, a checkpoint, and single entries.

Source: CRYPTO 2 and 3; the decision on exports (`proof/`).

- The epochs lead from the genesis to the keys that sign the checkpoint.
- Every entry of `log.json` is in the tree of that checkpoint, by one proof.
- A checkpoint that the caller kept can be compared at the size of the checkpoint and of every epoch, not between.

Its steps are those of the plan of `ops.verifier.record`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.verifier.bundle import (
    BODY_NAME,
    ENTRIES_FORMAT,
    LOG,
    NUMBER,
    FilesDisagree,
    MalformedRecord,
    RecordFiles,
    from_base64,
    read_entry,
    shared_root,
)
from ops.verify import (
    EPOCH,
    HASH_BYTES,
    MAX_BODY_BYTES,
    MAX_NOTE_BYTES,
    RESTORE,
    ZEROS_32,
    Checkpoint,
    EpochBody,
    Forked,
    Genesis,
    Keys,
    MalformedBody,
    NotWitnessed,
    Policy,
    TimesFall,
    VerificationError,
    WrongEpoch,
    WrongGenesis,
    WrongRoot,
    cosigned_by,
    parse_checkpoint,
    parse_epoch_body,
    verify_log_key,
    verify_signatures,
    verify_turn,
)


@dataclass(frozen=True)
class Turn:
    """An epoch or a restore: its entry's index, its body and the keys that it names."""

    index: int
    body: EpochBody
    keys: Keys


class ProvedLog:
    """The part of the log that the bundle proves: steps 2 to 5 and 13.

    Attributes:
        checkpoint: the signed note that covers the release.
        entries: index → entry; each is in the tree of the checkpoint.
        turns: the genesis, every epoch and every restore, in order.
        genesis: what entry 0 fixes.
        signed_at: when the checkpoint was signed, POSIX seconds.
        witnessed: witness → when it co-signed.
        anchor_size: of the largest checkpoint from outside that this log agrees with, or None.
    """

    def __init__(self, files: RecordFiles, policy: Policy, warnings: list[str]) -> None:
        self._policy, self._warnings = policy, warnings
        self.anchor_size: int | None = None
        note = files.read("proof/checkpoint", MAX_NOTE_BYTES)
        self.checkpoint: Checkpoint = parse_checkpoint(note, "The bundle's checkpoint")
        log = files.document("proof/log.json", LOG, ENTRIES_FORMAT)
        if not all(NUMBER.fullmatch(name) for name in log["entries"]):
            raise MalformedRecord("proof/log.json has an entry without an index.")
        found = sorted((int(name), text) for name, text in log["entries"].items())
        self.entries = {index: read_entry(text, index, "proof/log.json") for index, text in found}
        self.turns = list(self._follow(files))
        self.genesis = self._genesis_of(self.turns[0].body)
        self._sign()
        self._prove(log)

    def _follow(self, files: RecordFiles) -> Iterator[Turn]:
        """Yield the turns, each when it is shown to follow the one before: steps 2 and 3."""
        matches = (BODY_NAME.fullmatch(name) for name in files.names)
        last: Turn | None = None
        first: EpochBody | None = None
        for index in sorted(int(match[1]) for match in matches if match):
            entry, data = self.entries.get(index), files.read(f"proof/bodies/{index}", MAX_BODY_BYTES)
            # [3] its body is the one that its entry names
            if entry is None or entry.kind not in (EPOCH, RESTORE):
                raise WrongEpoch(f"Entry {index} has a body and is no epoch.", index)
            if len(data) != entry.length or hashlib.sha256(data).digest() != entry.digest:
                raise MalformedBody(f"The body of entry {index} is not the one that was logged.", index)
            body = parse_epoch_body(data, entry.kind, index)
            # [2] genesis
            first = first or body
            genesis = self._genesis_of(first)
            keys = Keys(body.epoch, entry.leaf, body.ed25519, body.ml_dsa)
            if last is None:
                if index or body.epoch or entry.kind != EPOCH:
                    raise WrongGenesis("The bundle does not begin with a genesis.", 0)
                old = keys._replace(leaf=ZEROS_32)
            elif body.genesis is not None or body.epoch != last.body.epoch + 1:
                raise WrongEpoch(f"Entry {index} is not the epoch that follows.", index)
            else:
                old = last.keys
            # [3] in its place, signed by the keys before, and so is the checkpoint within, which says the same
            verify_turn(index, entry.kind, body, (entry.stream, entry.version, entry.previous), genesis, old)
            last = Turn(index, body, keys)
            yield last

    def _genesis_of(self, body: EpochBody) -> Genesis:
        # [2] the fingerprint that the caller gives
        if body.genesis is None:
            raise WrongGenesis("The bundle does not begin with a genesis.", 0)
        if self._policy.genesis not in (None, body.genesis.fingerprint):
            raise WrongGenesis("The record is from a log of another fingerprint: it is another clinic's.", 0)
        return body.genesis

    def _sign(self) -> None:
        # [4] by the keys of the newest epoch
        self.signed_at = verify_signatures(self.checkpoint, self.genesis, self.turns[-1].keys)
        # [4] witnesses
        self.witnessed = cosigned_by(self.checkpoint, self._policy.witnesses)
        if len(self.witnessed) < self._policy.quorum:
            seen = f"{len(self.witnessed)} of {self._policy.quorum} witnesses"
            raise NotWitnessed(f"{seen} that must co-sign the checkpoint did.")

    def _prove(self, log: dict[str, Any]) -> None:
        # [5] every entry leads to the root
        if log["size"] != self.checkpoint.size:
            raise FilesDisagree("proof/log.json is of another size than the checkpoint.")
        leaves = {index: entry.leaf for index, entry in self.entries.items()}
        hashes = [from_base64(each, HASH_BYTES, "proof/log.json") for each in log["hashes"]]
        if shared_root(self.checkpoint.size, leaves, hashes, "proof/log.json") != self.checkpoint.root:
            raise WrongRoot("The entries of proof/log.json do not lead to the root that was signed.")
        # [5] times
        last_us = 0
        for index, entry in self.entries.items():
            if entry.at_us <= last_us:
                raise TimesFall(f"Entry {index} is not later than the entries before it.", index)
            last_us = entry.at_us

    def turn_before(self, size: int) -> Turn:
        """Return the turn whose keys sign a log of this size."""
        return next((turn for turn in reversed(self.turns) if turn.index < size), self.turns[0])

    def judge(self, kept: Checkpoint) -> None:
        """Compare a checkpoint that the caller kept: step 13.

        Raises:
            Forked: it is of another history.
            BadSignature, SignatureMissing, MalformedCheckpoint: it is not this log's.
        """
        verify_log_key(kept, self.genesis)
        signer = next((turn for turn in reversed(self.turns) if self._signed_by(kept, turn)), None)
        roots = {turn.index: turn.body.root for turn in self.turns} | {self.checkpoint.size: self.checkpoint.root}
        newer = kept.size > self.checkpoint.size
        expected = self.turns[-1] if newer else self.turn_before(kept.size)
        if signer is not expected and not (newer and signer is None):
            shared = 0 if signer is None else signer.index
            raise Forked(f"{kept.source} was signed over another history than this one.", shared + 1)
        if kept.size not in roots:
            self._warnings.append(f"{kept.source} is of size {kept.size}, which cannot be compared with this bundle.")
        elif kept.root != roots[kept.size]:
            raise Forked(f"{kept.source} was signed over another history than this one.", expected.index + 1)
        else:
            self.anchor_size = max(kept.size, self.anchor_size or 0)

    def _signed_by(self, kept: Checkpoint, turn: Turn) -> bool:
        try:
            verify_signatures(kept, self.genesis, turn.keys)
        except VerificationError:
            return False
        return True
