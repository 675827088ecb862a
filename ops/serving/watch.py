"""The watch: compares figures of a serving process with their limits, and raises alarms as log lines with stable codes.

Source: CRYPTO 3 (at most 1 s behind; an anchor older than 7 days is a warning); DESIGN (group commit).

- An alarm is told when a figure passes its limit, and again every hour while it stays there; once more when it is back.
- A figure that cannot be taken is an alarm of its own: silence must not look like health.
- Broken seals and altered data are told where they are met (`records.store.mapper`, `api.app`), not here.

It repairs nothing, and it does not make the service unready: records can still be kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ops.logging import log, place_of
from ops.serving.figures import Figures
from records.errors import WellkeptError

LOOK_SECONDS = 5.0
AGAIN_SECONDS = 3600.0
Alarm = Callable[[str, dict[str, object]], None]


class Limit(NamedTuple):
    """When a figure is an alarm: the code of the alarm, the figure, and the value that it may not exceed."""

    code: str
    figure: str
    most: float


LIMITS = (
    # One commit takes at most 256 units: more than that wait for a second one.
    Limit("queue", "writer_queue", 256),
    # The signer is to be at most 1 second or 256 entries behind; a limit some times higher does not cry at each pause.
    Limit("checkpoint-lag", "checkpoint_lag_seconds", 5),
    Limit("checkpoint-lag", "checkpoint_lag_entries", 1024),
    Limit("anchor-age", "anchor_age_seconds", 7 * 86_400),
)


class Watch:
    """Looks at figures again and again; `look` does it once."""

    def __init__(self, figures: Figures, alarm: Alarm, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._figures = figures
        self._alarm = alarm
        self._monotonic = monotonic
        self._told: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Compare every figure with its limit once."""
        for limit in LIMITS:
            take = getattr(self._figures, limit.figure)
            if take is None:
                continue
            try:
                value = take()
            except WellkeptError as error:
                self._tell("unmeasured", limit.figure, {"figure": limit.figure, **place_of(error)})
                continue
            if value is not None and value > limit.most:
                facts = {"figure": limit.figure, "value": round(value, 3), "limit": limit.most}
                self._tell(limit.code, limit.figure, facts)
            elif self._told.pop(limit.figure, None) is not None:
                log("info", "watch.cleared", figure=limit.figure, value=value)

    def _tell(self, code: str, figure: str, facts: dict[str, Any]) -> None:
        now = self._monotonic()
        if now - self._told.get(figure, float("-inf")) >= AGAIN_SECONDS:
            self._told[figure] = now
            self._alarm(code, facts)

    def _keep_looking(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()
