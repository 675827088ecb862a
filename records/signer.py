"""The signer: after commits, it signs how large the log is and what its root is, from what it followed itself.

Source: CRYPTO 3; decisions 15 and 17.

- It never signs from database state alone. It keeps its own right edge on its own disk, reads what was added, checks
  each entry (`records.followed_log`), and holds the stored checkpoint to the one that it signed. Any difference stops
  it for good, with an alarm; only a start that finds all well, or a declared restore, begins again.
- At its start, everything since the last epoch is held to the ledger, ciphertext by ciphertext: an event that differs
  is an alarm where its entry was signed, and stops the start where it was not.
- The checkpoint is stored first and its own position second: the stored one is never behind an honest signer's.
- Whoever leads the signing signs (`Store.leads_signing`); whoever gains the lead reads the state anew.
- A store that cannot be written now stops nothing: the lag grows, and the next turn tries again.

It has no thread and no clock of its own (`ops.serving.signing`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from records.checkpoint import (
    OUR_SIGNATURES,
    Checkpoint,
    EpochKeys,
    LogKey,
    origin_of,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from records.epoch import EpochBody, encode, sign_epoch
from records.errors import IntegrityFailure, KeyMissing, LedgerMismatch, LostRace
from records.followed_log import FollowedLog, Trust
from records.ledger import Kind
from records.scrub import check_payloads
from records.signer_state import Position, SignerState
from records.store import Store
from records.store.mapper import Alarm
from records.store.unit import CheckpointRow, ClearEntry, Unit

PAGE = 5_000
EPOCH_SECONDS = 86_400.0
EPOCH_ENTRIES = 50_000
"""An epoch ends after a day, or sooner where much was written: what a stolen key could still rewrite stays small."""
_MICROSECONDS = 1_000_000
Page = Sequence[tuple[int, bytes]]


class Signer:
    """Signs one clinic's log. Any thread may call any method."""

    def __init__(
        self,
        store: Store,
        state: SignerState,
        deployment_id: UUID,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
        alarm: Alarm,
    ) -> None:
        """Take the lead where it is free, and hold the log to what was signed.

        Raises:
            IntegrityFailure: the log is not the one that was signed.
            KeyMissing: the signer's state or its current key is not there.
            NotStored: the log cannot be read.
        """
        self._store = store
        self._state = state
        self._deployment = deployment_id
        self._origin = origin_of(deployment_id)
        self._now_us = now_us
        self._monotonic = monotonic
        self._alarm = alarm
        self._lock = threading.Lock()
        self._log: FollowedLog | None = None
        self._signed: Position
        self._pending: Position | None = None
        self._log_key: LogKey
        self._keys: EpochKeys
        self._stopped: IntegrityFailure | None = None
        self._kept: set[int] = set()
        self._behind_since: float | None = None
        self._looked_at = 0
        self._seen_at = monotonic()
        self._turned_at = monotonic()
        with self._lock, self._watched():
            self._lead()

    # --- what others ask

    @property
    def stopped(self) -> bool:
        """Whether a difference was found; then nothing is signed any more."""
        return self._stopped is not None

    @property
    def signed_size(self) -> int:
        """The size of the newest checkpoint that this process knows of."""
        return self._signed.size if self._log is not None else self._newest_stored()

    @property
    def leads(self) -> bool:
        """Whether this process signs."""
        return self._log is not None

    @property
    def restored(self) -> bool:
        """Whether a restore was ever declared, as far as this process followed the log."""
        return self._log is not None and self._log.restored

    def signed(self) -> tuple[int, bytes]:
        """Return size and root of the newest checkpoint that this process signed; it must lead."""
        return self._signed.size, self._signed.root

    @property
    def trust(self) -> Trust:
        """What genesis said; this process must lead."""
        return self._led.trust

    @property
    def epoch(self) -> int:
        """The number of the epoch; this process must lead."""
        return self._led.epoch

    def lag(self) -> tuple[int, float]:
        """Return how many entries are not signed yet, and for how many seconds the oldest of them has waited."""
        signed, now = self.signed_size, self._monotonic()
        entries = self._store.head().next_index - signed
        # Where another process leads, a newer checkpoint is all that tells that it went on signing.
        moved, self._looked_at = not self.leads and signed != self._looked_at, signed
        if entries <= 0:
            self._behind_since = None
            return 0, 0.0
        if self._behind_since is None or moved:
            self._behind_since = now
        return entries, now - self._behind_since

    def epoch_is_due(self) -> bool:
        """Whether the epoch has lasted its day or its entries; never where another process leads.

        Within one run the monotonic clock decides. Between runs only the machine's clock can tell how long it was; a
        wrong one ends an epoch too soon, which harms nothing.
        """
        log = self._log
        if log is None:
            return False
        lasted = self._monotonic() - self._turned_at
        return lasted >= EPOCH_SECONDS or self._store.head().next_index - log.began >= EPOCH_ENTRIES

    # --- what it does

    def flush(self) -> None:
        """Sign everything that is stored now; where another process leads, that one does.

        Raises:
            IntegrityFailure: it stopped, now or before.
            NotStored, OutcomeUnknown: the checkpoint could not be stored; the next call tries again.
        """
        with self._lock, self._watched():
            if self._lead():
                self._catch_up()
                if self._signed.size < self._led.size:
                    self._sign()

    def turn_epoch(self) -> None:
        """Begin a new epoch: the keys of the old one sign it and are destroyed.

        Raises:
            IntegrityFailure, NotStored, OutcomeUnknown: as `flush`; the next call or start goes on from where it broke.
        """
        with self._lock, self._watched():
            if not self._lead():
                return
            self._catch_up()
            log, after = self._led, self._led.epoch
            # 1. The next key is durable. A crash after this leaves a key that no leaf names: a start destroys it.
            following = self._state.ensure_epoch(after + 1)
            # 2. The leaf is durable, signed by both keys of this epoch. A crash after this leaves both epochs' keys;
            #    the leaf names the new one, so a start signs with that and goes on at 3.
            try:
                self._store.commit(Unit(clear=(self._entry(log, after + 1, following),)))
            except LostRace as error:
                raise LedgerMismatch("an epoch that another one began") from error
            self._catch_up()

    def _entry(self, log: FollowedLog, epoch: int, following: EpochKeys) -> ClearEntry:
        def compose(index: int, at_us: int, before: Sequence[tuple[int, bytes]]) -> bytes:
            # Called under the writer's lock, maybe by another thread, while the one that turns the epoch waits for it.
            self._follow_to(log, index - len(before))
            ahead = log.ahead(before)
            if ahead.size != index or log.epoch != epoch - 1:
                raise LedgerMismatch("an epoch whose place is taken", index)
            checkpoint = Checkpoint(self._origin, index, ahead.root())
            note = sign_checkpoint(checkpoint, self._log_key, epoch - 1, self._keys, at_us // _MICROSECONDS)
            body = EpochBody(
                deployment_id=self._deployment,
                epoch=epoch,
                size=index,
                root=checkpoint.root,
                heads_root=ahead.heads_root(),
                checkpoint=note,
                next_keys=following.public,
            )
            return encode(sign_epoch(body, self._keys))

        return ClearEntry(Kind.EPOCH, self._deployment, epoch, log.leaf, compose)

    def _finish_epoch(self) -> None:
        """Do what is left of turning to the epoch that the log names last; a start calls it too."""
        log = self._led
        self._keys = self._current_keys(log)
        # 3. The first checkpoint by the new key is stored. A crash after this leaves an old key that signs no more.
        if self._signed.epoch != log.epoch or self._signed.size < log.size:
            self._sign()
        # 4. The old key is destroyed. A crash after this leaves an older snapshot: a start follows from there.
        self._state.destroy_other_epochs(log.epoch)
        self._state.keep_snapshot(log.snapshot())
        self._turned_at = self._monotonic()

    # --- its own state

    @property
    def _led(self) -> FollowedLog:
        assert self._log is not None, "only who leads follows the log"
        return self._log

    def _watched(self) -> _Watched:
        return _Watched(self)

    def keep(self, size: int) -> None:
        """Keep the stored checkpoint of this size, since somebody elsewhere knows it."""
        self._kept.add(size)

    def stop(self, error: IntegrityFailure) -> None:
        """Sign nothing more, and say so once."""
        if self._stopped is None:
            self._stopped = error
            index = error.index if isinstance(error, LedgerMismatch) else None
            self._alarm("signer-stopped", {"index": index, "error": type(error).__name__})

    def _lead(self) -> bool:
        """Return whether this process leads; on gaining the lead, hold the log to the state on disk."""
        if self._stopped is not None:
            raise self._stopped
        if not self._store.leads_signing():
            self._log = None
            return False
        if self._log is None:
            self._load()
        return True

    def _load(self) -> None:
        if len(self._state.epochs()) > 1:
            # The leaf that names the newer key may have been sent by a process that is gone, and wait for a standby.
            # An empty batch takes the writer's turn after it, so that what is read next is settled.
            self._store.commit(Unit())
        self._log_key = self._state.log_key()
        signed, log = self._state.position(), FollowedLog(self._state.snapshot())
        if log.trust.deployment_id != self._deployment or log.trust.log != self._log_key.public:
            raise KeyMissing("the signer's state is another clinic's")
        # What was signed stands as it was signed, so an event that differs from it is a broken seal: told, shown as a
        # gap, and no reason to hide everything else. What was not signed yet must be whole before anybody signs it.
        self._follow_to(log, signed.size, self._tell_broken)
        if log.root() != signed.root:
            raise LedgerMismatch("the log is not the one that was signed")
        signed = self._adopt(log, signed)
        self._follow_to(log, self._store.head().next_index, partial(check_payloads, self._store))
        self._keys = self._current_keys(log)
        self._signed, self._log = signed, log
        self._turned_at = self._monotonic() - max(0, self._now_us() - log.began_us) / _MICROSECONDS
        if signed.epoch != log.epoch or self._state.epochs() != [log.epoch]:
            self._finish_epoch()

    def _adopt(self, log: FollowedLog, signed: Position) -> Position:
        """Return the newest signed position: a crash may have left the stored checkpoint ahead of the signer's own."""
        row = self._store.checkpoint()
        if row is None or row.size < signed.size:
            raise LedgerMismatch("the newest checkpoint that was signed is not stored", signed.size)
        self._follow_to(log, row.size)
        stated = verify_checkpoint(row.note, log.trust.log, {log.epoch: log.keys})
        if stated != Checkpoint(self._origin, row.size, log.root()):
            raise LedgerMismatch("the stored checkpoint is not one of this log", row.size)
        if row.size == signed.size:
            return signed
        position = _position(log)
        self._state.keep_position(position)
        return position

    def _current_keys(self, log: FollowedLog) -> EpochKeys:
        keys = self._state.epoch_keys(log.epoch)
        if keys.public != log.keys:
            raise KeyMissing("the signer's key is not the one the log names; see docs/how-to/recover-the-signer.md")
        return keys

    def _tell_broken(self, page: Page) -> None:
        try:
            check_payloads(self._store, page)
        except LedgerMismatch as error:
            self._alarm("seal-broken", {"index": error.index, "error": type(error).__name__})

    def _follow_to(self, log: FollowedLog, size: int, look: Callable[[Page], None] = lambda _: None) -> None:
        """Follow the stored log up to a size; `look` is shown each page before it is followed."""
        while log.size < size:
            page = self._store.entries(log.size - 1, min(PAGE, size - log.size))
            if not page:
                raise LedgerMismatch("the log ends before what was signed", log.size)
            look(page)
            log.follow(page, self._store.body)

    def _catch_up(self) -> None:
        log = self._led
        self._seen_at = self._monotonic()
        self._follow_to(log, max(self._store.head().next_index, log.size))
        if log.epoch != self._signed.epoch:
            self._finish_epoch()

    def _sign(self) -> None:
        log = self._led
        before = self._held_to_what_was_signed()
        position = _position(log)
        note = sign_checkpoint(
            Checkpoint(self._origin, log.size, position.root),
            self._log_key,
            log.epoch,
            self._keys,
            self._now_us() // _MICROSECONDS,
        )
        self._pending = position
        tiles = tuple(log.tiles)
        dropped = (before.size,) if self._may_drop(before, position) else ()
        self._store.commit(Unit(tiles=tiles, checkpoints=(CheckpointRow(log.size, note),), dropped_checkpoints=dropped))
        # A crash here leaves the stored checkpoint ahead of the position: a start adopts it.
        self._state.keep_position(position)
        self._signed, self._pending = position, None
        self._behind_since = self._seen_at
        del log.tiles[: len(tiles)]

    def _held_to_what_was_signed(self) -> CheckpointRow:
        """Return the newest stored checkpoint, which must be the one that was signed last."""
        row = self._store.checkpoint()
        if row is None:
            raise LedgerMismatch("the newest checkpoint that was signed is not stored", self._signed.size)
        stated, _ = parse_signed_checkpoint(row.note)
        if self._pending is not None and (stated.size, stated.root) == (self._pending.size, self._pending.root):
            # Its commit got no answer, and it is stored.
            self._signed, self._pending = self._pending, None
        if (row.size, stated.size, stated.root) != (self._signed.size, self._signed.size, self._signed.root):
            raise LedgerMismatch("the stored checkpoint is not the one that was signed", self._signed.size)
        return row

    def _may_drop(self, before: CheckpointRow, position: Position) -> bool:
        """Whether the checkpoint before is neither its epoch's first or last, nor anchored or co-signed."""
        if before.size == position.size or self._signed.epoch != position.epoch:
            return False
        first = before.size == self._led.began + 1
        return (
            not first
            and before.size not in self._kept
            and len(parse_signed_checkpoint(before.note)[1].signatures) == OUR_SIGNATURES
        )

    def _newest_stored(self) -> int:
        row = self._store.checkpoint()
        return 0 if row is None else row.size


class _Watched:
    """Stops the signer on the way out of a block that found a difference."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityFailure):
            self._signer.stop(error)


def _position(log: FollowedLog) -> Position:
    return Position(size=log.size, root=log.root(), hashes=log.hashes, epoch=log.epoch)
