"""The overseer of a serving process: it starts the watch and the tending, and the metrics where they are wanted.

- Metrics are wanted where WELLKEPT_METRICS_BIND is set; then the extra must be there, or nothing is served.
- Figures of checkpoints and anchors come from the thread that signs beside the service.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ops.exits import CommandFailed, Exit
from ops.serving.figures import figures_of
from ops.serving.readiness import Readiness
from ops.serving.signing import Signing
from ops.serving.tending import Tending
from ops.serving.watch import Watch
from ops.settings import Settings
from ops.wiring import Clinic

if TYPE_CHECKING:
    from ops.serving.metrics import Metrics

LIBRARY = "prometheus_client"


class Overseer:
    """Watches one opened clinic from now until it is closed."""

    def __init__(self, clinic: Clinic, settings: Settings, readiness: Readiness, signing: Signing) -> None:
        """Start to watch.

        Raises:
            CommandFailed: metrics are wanted and cannot be served.
        """
        figures = figures_of(clinic)._replace(
            checkpoint_lag_seconds=lambda: signing.lag()[1],
            checkpoint_lag_entries=lambda: signing.lag()[0],
            anchor_age_seconds=signing.anchor_age,
        )
        self._metrics: Metrics | None = None
        if settings.metrics_bind is not None:
            require_metrics()
            from ops.serving.metrics import Metrics

            self._metrics = Metrics(figures)
            self._metrics.serve(settings.metrics_bind, settings.workers)
            readiness.counts = self._metrics.alarm
        self._watch = Watch(figures, readiness.alarm)
        self._watch.start()
        self._tending = Tending(clinic, readiness.alarm)
        self._tending.start()

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Take note of an answer."""
        if self._metrics is not None:
            self._metrics.request(method, status, seconds)

    def close(self) -> None:
        """Stop."""
        self._tending.close()
        self._watch.close()
        if self._metrics is not None:
            self._metrics.close()


def require_metrics(library: str = LIBRARY) -> None:
    """Refuse where the extra is not installed.

    Raises:
        CommandFailed: exit 2.
    """
    if find_spec(library) is None:
        raise CommandFailed(Exit.USAGE, "WELLKEPT_METRICS_BIND needs the extra: pip install 'wellkept[metrics]'")
