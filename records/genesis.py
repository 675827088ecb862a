"""How a log begins, and how it begins again after an honest restore: the entries that the recovery secret vouches for.

Source: CRYPTO 3; decisions 15 and 17.

- Genesis is the entry at index 0. It names the log key, the first epoch's keys and the recovery keys; its fingerprint
  is what a clinic prints on its privacy notice.
- The recovery secret is 32 bytes that only paper keeps. The log key is derived from it, so that a clinic whose
  signer's disk is lost can sign under the same name again; it cannot be turned back into the secret.
- A restore is declared by a kind 7 entry that the recovery keys sign. The whole log is followed from genesis first.
  From there the status of the log is `restored`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from records.checkpoint import Checkpoint, EpochKeys, LogKey, RecoveryKeys, origin_of, sign_checkpoint
from records.epoch import EpochBody, GenesisKeys, RestoreBody, encode, genesis_fingerprint, heads_root, sign_epoch
from records.errors import KeyMissing, LedgerMismatch
from records.followed_log import FollowedLog
from records.ledger import NO_LEAF, Kind
from records.merkle import EMPTY_ROOT
from records.sealing import derive
from records.signer_state import Position, SignerState
from records.store import Store
from records.store.unit import CheckpointRow, ClearEntry, Unit

PAGE = 5_000
_MICROSECONDS = 1_000_000


def log_seed(secret: bytes) -> bytes:
    """Return the seed of the log key, derived from the recovery secret."""
    return derive(secret, "log-ed25519")


def begin_log(store: Store, state: SignerState, deployment_id: UUID, secret: bytes, now_us: Callable[[], int]) -> str:
    """Write the entry at index 0 of an empty log and sign the first checkpoint; return the genesis fingerprint.

    A crash anywhere in it leaves a clinic that is not founded.

    Raises:
        LedgerMismatch: the log is not empty.
        NotStored: it could not be written.
    """
    state.create()
    state.keep_log_key(log_seed(secret))
    log_key, keys = state.log_key(), state.ensure_epoch(0)
    origin = origin_of(deployment_id)

    def compose(index: int, at_us: int, before: Sequence[tuple[int, bytes]]) -> bytes:
        if index or before:
            raise LedgerMismatch("a log begins only once", index)
        note = sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), log_key, 0, keys, at_us // _MICROSECONDS)
        body = EpochBody(
            deployment_id=deployment_id,
            epoch=0,
            size=0,
            root=EMPTY_ROOT,
            heads_root=heads_root(()),
            checkpoint=note,
            next_keys=keys.public,
            genesis=GenesisKeys(log_key.public, RecoveryKeys(secret).public),
        )
        return encode(sign_epoch(body, keys))

    store.commit(Unit(clear=(ClearEntry(Kind.EPOCH, deployment_id, 0, NO_LEAF, compose),)))
    log = FollowedLog()
    log.follow(store.entries(-1, 1), store.body)
    _sign_first(store, state, log, log_key, keys, now_us)
    return genesis_fingerprint(store.body(0) or b"")


def declare_restore(
    store: Store,
    state: SignerState,
    deployment_id: UUID,
    secret: bytes,
    known_size: int,
    now_us: Callable[[], int],
) -> int:
    """Declare that this log was honestly restored, and sign from here on; return the index of the declaration.

    It may be called again after a crash anywhere in it: another declaration follows.

    Args:
        store: the restored log.
        state: the signer's files; what they hold is replaced.
        deployment_id: the clinic.
        secret: the recovery secret.
        known_size: the size of the newest checkpoint that is known outside, 0 where none is.
        now_us: the clock.

    Raises:
        KeyMissing: it is not this log's recovery secret.
        IntegrityFailure: the log is not whole.
    """
    recovery, log = RecoveryKeys(secret), FollowedLog()
    follow_all(log, store)
    log_key = LogKey(log_seed(secret))
    if recovery.public != log.trust.recovery or log_key.public != log.trust.log:
        raise KeyMissing("this is not the recovery key that the log names")
    if log.trust.deployment_id != deployment_id:
        raise LedgerMismatch("a log of another clinic", 0)
    epoch = log.epoch + 1
    # The new key is durable before the entry names it. A crash after this leaves a key that nothing names.
    state.create()
    state.keep_log_key(log_seed(secret))
    state.destroy_other_epochs(-1)
    keys = state.ensure_epoch(epoch)

    def compose(index: int, _at_us: int, before: Sequence[tuple[int, bytes]]) -> bytes:
        follow_all(log, store)
        ahead = log.ahead(before)
        if ahead.size != index:
            raise LedgerMismatch("a restore whose place is taken", index)
        body = RestoreBody(
            deployment_id=deployment_id,
            epoch=epoch,
            size=index,
            root=ahead.root(),
            heads_root=ahead.heads_root(),
            next_keys=keys.public,
            known_size=known_size,
        )
        return encode(sign_epoch(body, recovery))

    # A crash after this leaves an entry whose keys are here and nothing signed: declaring again is the way on.
    entry = ClearEntry(Kind.RESTORE_DECLARED, deployment_id, epoch, log.leaf, compose)
    committed = store.commit(Unit(clear=(entry,)))
    follow_all(log, store)
    _sign_first(store, state, log, log_key, keys, now_us)
    return committed.entries[0][0]


def follow_all(log: FollowedLog, store: Store) -> None:
    """Follow a log to where it ends now.

    Raises:
        LedgerMismatch: names the first entry that does not follow.
    """
    while page := store.entries(log.size - 1, PAGE):
        log.follow(page, store.body)


def _sign_first(
    store: Store, state: SignerState, log: FollowedLog, log_key: LogKey, keys: EpochKeys, now_us: Callable[[], int]
) -> None:
    """Store the first checkpoint by new keys, and let the signer's state begin there."""
    checkpoint = Checkpoint(origin_of(log.trust.deployment_id), log.size, log.root())
    note = sign_checkpoint(checkpoint, log_key, log.epoch, keys, now_us() // _MICROSECONDS)
    # Checkpoints of what the restore left behind are of another history: none larger than this one stays.
    stale = tuple(row.size for row in store.checkpoints() if row.size > log.size)
    store.commit(Unit(tiles=tuple(log.tiles), checkpoints=(CheckpointRow(log.size, note),), dropped_checkpoints=stale))
    log.tiles.clear()
    state.keep_snapshot(log.snapshot())
    state.keep_position(Position(size=log.size, root=checkpoint.root, hashes=log.hashes, epoch=log.epoch))
