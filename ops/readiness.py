"""Readiness: whether the service that runs here can keep records, as codes of what is in the way.

Source: CONTRACT (`/readyz`): ready when the log is writable, the keys open and nothing failed verification.

- `log`: the log does not take a batch. An empty one is tried: it takes the writer's turn and lock and adds nothing.
- `space`: so little room is left that a batch would soon fail.
- `clock`: the clock jumped and nobody declared it; nothing is written meanwhile.
- `keys`: the clinic's key does not open.
- `integrity`: since the start something stored was not what was written, or not what was signed. That stays until the
  service is started anew.
- What was found is good for a second, so that asking often costs nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from ops.logging import alarm
from ops.wiring import Clinic
from records.errors import WellkeptError
from records.ledger import KeyClass
from records.store.unit import Unit

SPACE_BYTES = 32 << 20
GOOD_SECONDS = 1.0
_INTEGRITY = ("seal-broken", "http.integrity", "signer-stopped", "scrub-found")


class Readiness:
    """Watches alarms and looks at the log when asked."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._broken = False
        self._found: tuple[str, ...] = ()
        self._until = float("-inf")

    def alarm(self, code: str, facts: dict[str, object]) -> None:
        """Log an alarm; one about integrity makes the service not ready."""
        if code in _INTEGRITY and not self._broken:
            self._broken, self._until = True, float("-inf")
        alarm(code, facts)

    def faults(self, clinic: Clinic) -> tuple[str, ...]:
        """Return codes of what is in the way; empty where records can be kept."""
        if self._monotonic() >= self._until:
            self._found = tuple(self._look(clinic))
            self._until = self._monotonic() + GOOD_SECONDS
        return self._found

    def _look(self, clinic: Clinic) -> Iterator[str]:
        if self._broken or (clinic.signer is not None and clinic.signer.stopped):
            yield "integrity"
        if clinic.clock.jumped:
            yield "clock"
        system = os.statvfs(clinic.paths.data)
        if system.f_bavail * system.f_frsize < SPACE_BYTES:
            yield "space"
        try:
            clinic.keyring.current(clinic.keyring.deployment_id, KeyClass.CLINIC)
        except WellkeptError:
            yield "keys"
        try:
            clinic.store.commit(Unit())
        except WellkeptError:
            yield "log"
