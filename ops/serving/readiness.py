"""Readiness: whether the service that runs here can keep records, as codes of what is in the way.

Source: CONTRACT (`/readyz`): ready when the log is writable, the keys open and nothing failed verification.

- `log`: the log does not take a batch. An empty one is tried: it takes the writer's turn and lock and adds nothing.
- `space`: so little room is left that a batch would soon fail.
- `disk`: the log's disk (SQLite) or that of the keys takes no new file durably. An empty batch would not notice, and a
  load balancer that sends nobody here any more must learn when the disk is well again.
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
from pathlib import Path

from ops.logging import alarm
from ops.wiring import Clinic
from records.errors import WellkeptError
from records.ledger import KeyClass
from records.store.unit import Unit

SPACE_BYTES = 32 << 20
GOOD_SECONDS = 1.0
_PROBE_BYTES = 4096
_INTEGRITY = ("seal-broken", "http.integrity", "signer-stopped", "scrub-found")


class Readiness:
    """Watches alarms and looks at the log when asked."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._broken = False
        self._found: tuple[str, ...] = ()
        self._until = float("-inf")
        self.counts: Callable[[str], None] | None = None
        """Counts alarms by their code, where somebody wants it."""

    def alarm(self, code: str, facts: dict[str, object]) -> None:
        """Log an alarm; one about integrity makes the service not ready."""
        if code in _INTEGRITY and not self._broken:
            self._broken, self._until = True, float("-inf")
        if self.counts is not None:
            self.counts(code)
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
        folders = [clinic.paths.keys, *([clinic.paths.data] if clinic.paths.database.exists() else [])]
        if not all(map(_takes_a_file, folders)):
            yield "disk"
        try:
            clinic.keyring.current(clinic.keyring.deployment_id, KeyClass.CLINIC)
        except WellkeptError:
            yield "keys"
        try:
            clinic.store.commit(Unit())
        except WellkeptError:
            yield "log"


def _takes_a_file(folder: Path) -> bool:
    """Whether a new file reaches the disk. A crash here leaves it behind; the next probe takes it away."""
    probe = folder / ".probe"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, bytes(_PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)
    except OSError:
        return False
    return True
