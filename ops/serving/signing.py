"""The thread that signs beside the service: checkpoints within a second, epochs by the day, the scrub in between.

Source: CRYPTO 3 and 5; decision 18.

- It looks ten times a second. It signs when something waits for half a second, or when many entries wait.
- The scrub goes page by page and rests a multiple of what each page took, so that it never takes more than a small part
  of the machine; one round begins a day after the last one began, the first one soon after the start.
- Where an anchor is set, the newest checkpoint goes there at the start and with each epoch.
- What the signer or the scrub finds is an alarm, and makes the service not ready (`ops.serving.readiness`).
- Stopping it signs what is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ops import anchor
from ops.logging import alarm, log
from records.errors import IntegrityFailure, LedgerMismatch, Unavailable, VerificationError
from records.scrub import scrub
from records.signer import Signer
from records.store import Store
from records.store.mapper import Alarm

LOOK_SECONDS = 0.1
WAIT_SECONDS = 0.5
WAITING_ENTRIES = 256
SCRUB_SECONDS = 86_400.0
SCRUB_REST = 30.0
"""How many times as long as a page of the scrub took it rests: about 3 % of one core."""
RETRY_SECONDS = 5.0


class Signing:
    """Signs one served clinic."""

    def __init__(self, signer: Signer, store: Store, told: Alarm = alarm, place: Path | None = None) -> None:
        """Sign by a signer.

        Args:
            signer: whose state it is.
            store: the log.
            told: what is told of alarms.
            place: where checkpoints are anchored, if anywhere.
        """
        self._anchor = place
        self._anchored_epoch: int | None = None
        self._signer = signer
        self._store = store
        self._told = told
        self._end = threading.Event()
        self._round: Iterator[int] | None = None
        self._round_began = time.monotonic() - SCRUB_SECONDS
        self._scrub_at = 0.0
        self._scrub_found = False
        self._thread = threading.Thread(target=self._run, name="signer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not signed yet is left to `Clinic.close`."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._end.wait(pause):
            pause = LOOK_SECONDS
            try:
                self.look()
            except Unavailable as error:
                # The log cannot be written or a key cannot be read now; readiness says so too, by its own looking.
                self._told("signing-delayed", {"error": type(error).__name__})
                pause = RETRY_SECONDS
            except IntegrityFailure:
                # The signer has told its alarm and signs no more; the service stays up to be looked at.
                log("error", "signing.stopped")
                return

    def lag(self) -> tuple[int, float]:
        """Return how many entries are not signed yet, and for how many seconds the oldest of them has waited."""
        return self._signer.lag()

    def anchor_age(self) -> float | None:
        """Return how many seconds ago the newest anchored checkpoint was signed; None where none can be read."""
        if self._anchor is None:
            return None
        try:
            return anchor.age_seconds(self._anchor, time.time())
        except (OSError, VerificationError):
            # Whoever asks sees the same as where none was ever anchored: nothing elsewhere vouches for the log.
            return None

    def look(self) -> None:
        """Do what is due now.

        Raises:
            IntegrityFailure: the signer stopped.
            Unavailable: it could not be done now.
        """
        if self._anchor is not None and self._signer.leads and self._anchored_epoch != self._signer.epoch:
            self._anchor_on(self._anchor)
        entries, seconds = self._signer.lag()
        if entries >= WAITING_ENTRIES or seconds >= WAIT_SECONDS:
            self._signer.flush()
        if self._signer.epoch_is_due():
            self._signer.turn_epoch()
        if time.monotonic() >= self._scrub_at:
            self._scrub_on()

    def _anchor_on(self, place: Path) -> None:
        """Anchor the newest checkpoint, once at the start and once in each epoch, which lasts a day at most."""
        row, epoch = self._store.checkpoint(), self._signer.epoch
        if row is None:
            return
        self._anchored_epoch = epoch
        try:
            anchor.append(place, row.note)
            self._signer.keep(row.size)
        except OSError as error:
            # The next epoch tries again; meanwhile the age of the newest one tells.
            self._told("anchor-unwritable", {"error": type(error).__name__})

    def _scrub_on(self) -> None:
        began = time.monotonic()
        if self._round is None:
            if began - self._round_began < SCRUB_SECONDS or not self._signer.leads or self._scrub_found:
                return
            self._round_began = began
            self._round = scrub(self._store, self._signer.signed)
        try:
            if next(self._round, None) is None:
                self._round = None
        except LedgerMismatch as error:
            self._round, self._scrub_found = None, True
            self._told("scrub-found", {"index": error.index, "error": type(error).__name__})
        self._scrub_at = time.monotonic() + SCRUB_REST * (time.monotonic() - began)
