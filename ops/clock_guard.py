"""The clock that the log is written by: it is trusted as long as it agrees with the machine's monotonic one.

Source: CRYPTO 3. The times of entries are evidence, so a clock that jumps must stop writing, not be written down.

- A jump of more than five minutes, either way, against monotonic time stops it; so does a start at which the clock is
  more than five minutes behind the newest entry.
- A person who looked at the clock declares it; from then on it counts from what it shows. What a clock that ran ahead
  left in the log is declared once, on disk beside the signer's keys, up to the newest entry of that moment.
- A clock that is set right again needs no declaration. One that was behind at the start has dated nothing yet, so it is
  taken, as a new start would take it, as soon as it is not behind any more.

While it is stopped, nothing is stored, and so nothing is read either: readiness says `clock`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from records.errors import NotStored

JUMP_US = 5 * 60 * 1_000_000
"""CRYPTO 3."""
DECLARED_US = 60 * 1_000_000
"""Entries that follow a declared time are one microsecond apart, so a minute holds sixty million of them."""


class ClockGuard:
    """A clock in microseconds since 1970 that refuses to tell a time that cannot be."""

    def __init__(self, wall_us: Callable[[], int], monotonic: Callable[[], float], declared: Path) -> None:
        """Watch a clock.

        Args:
            wall_us: the machine's clock.
            monotonic: one that nobody sets, in seconds; best one that runs on while the machine sleeps.
            declared: where a declaration is kept.
        """
        self._wall_us = wall_us
        self._monotonic = monotonic
        self._declared = declared
        self._newest_us = 0
        self._was_behind = False
        self._ahead_us = self._offset_us()

    def begin(self, newest_us: int) -> None:
        """Take note of the newest entry's time."""
        self._newest_us = 0 if newest_us <= self._declared_us() + DECLARED_US else newest_us
        self._was_behind = self._behind()

    @property
    def jumped(self) -> bool:
        """Whether the clock shows a time that cannot be."""
        behind = self._behind()
        if self._was_behind and not behind:
            self._ahead_us, self._was_behind = self._offset_us(), False
        return behind or abs(self._offset_us() - self._ahead_us) > JUMP_US

    def __call__(self) -> int:
        """Return the time.

        Raises:
            NotStored: the clock jumped, and nobody declared it.
        """
        if self.jumped:
            raise NotStored("the clock jumped; set it right, or declare it (wellkept declare-clock)")
        return self._wall_us()

    def declare(self, newest_us: int) -> None:
        """Trust the clock as it is now, whatever the newest entry says; durable when it returns."""
        beside = self._declared.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{newest_us}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._declared)
        folder = os.open(self._declared.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._ahead_us = self._offset_us()
        self.begin(newest_us)

    def _behind(self) -> bool:
        return self._newest_us - self._wall_us() > JUMP_US

    def _offset_us(self) -> int:
        return self._wall_us() - int(self._monotonic() * 1_000_000)

    def _declared_us(self) -> int:
        try:
            return int(self._declared.read_text())
        except (OSError, ValueError):
            # None was made, or it cannot be read: then nothing is declared.
            return 0
