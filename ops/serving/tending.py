"""Tending: what a serving process does for erasures while nobody asks it anything.

Source: CRYPTO 5 and 7 (step 5).

- Every second it follows the clinic's own entries, so that what this process holds of a client in memory is dropped
  within a second of the approval, wherever that was given; and again for two minutes, since a reading that was under
  way may keep what it made.
- The process that leads the signing goes on with erasures that were approved and stopped half way, every few seconds,
  until they are done: a key provider that was away comes back.
- What stops it is an alarm. It ends with the process.
"""

from __future__ import annotations

import threading
import time

from ops.logging import log, place_of
from ops.wiring import Clinic
from records.erasing import FOLLOWING_SECONDS
from records.errors import WellkeptError
from records.store.mapper import Alarm

AGAIN_SECONDS = 5.0


class Tending:
    """Tends one clinic in a thread of its own; `look` does it once."""

    def __init__(self, clinic: Clinic, told: Alarm) -> None:
        self._clinic = clinic
        self._told = told
        self._again_at = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; a step that is being taken is finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Follow the log, and go on with what waits."""
        waiting = self._clinic.erasing.waiting()
        self._clinic.erasing.forget_again()
        signer = self._clinic.signer
        if not waiting or signer is None or not signer.leads or time.monotonic() < self._again_at:
            return
        self._again_at = time.monotonic() + AGAIN_SECONDS
        for erasure in waiting:
            if self._clinic.erasing.attempt(erasure):
                log("info", "erasure.completed", erasure=str(erasure.erasure_id))

    def _run(self) -> None:
        while not self._over.wait(FOLLOWING_SECONDS):
            try:
                self.look()
            except WellkeptError as error:
                self._told("tending-delayed", {"error": type(error).__name__, **place_of(error)})
