"""Metrics in the format of Prometheus, on a loopback address of their own. Needs the extra `metrics`.

Source: the Prometheus text format; decision 33.

- They are served beside the service, not by it: no route, no token, no access entry. Only this machine reaches them.
- They hold counts and figures of this process: no id, no name, no address, no path.
- Labels are bounded: the method, the status, the code of an alarm.

This is the only file that imports `prometheus_client`, and it is loaded only where WELLKEPT_METRICS_BIND is set.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily

from ops.exits import CommandFailed, Exit
from ops.logging import log
from ops.serving.figures import MEANINGS, Figures
from ops.settings import Bind
from records.errors import WellkeptError

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of this process. Any thread may use them."""

    def __init__(self, figures: Figures) -> None:
        self.registry = CollectorRegistry()
        self._figures = figures
        self._server: WSGIServer | None = None
        self._requests = Counter(
            "wellkept_requests", "Requests that were answered.", ("method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "wellkept_request_seconds",
            "How long requests took.",
            ("method",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._alarms = Counter("wellkept_alarms", "Alarms that were raised.", ("code",), registry=self.registry)
        self.registry.register(_FigureCollector(figures))

    def request(self, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered; the method is one of those that HTTP knows."""
        self._requests.labels(method, str(status)).inc()
        self._seconds.labels(method).observe(seconds)

    def alarm(self, code: str) -> None:
        """Count an alarm."""
        self._alarms.labels(code).inc()

    def serve(self, bind: Bind, ports: int) -> int:
        """Serve on the first free of so many ports from the one named on; return it.

        Raises:
            CommandFailed: none is free, or the address is not this machine's.
        """
        for port in range(bind.port, bind.port + ports):
            try:
                self._server, _ = start_http_server(port, _address(bind), self.registry)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CommandFailed(Exit.FAILED, f"metrics cannot be served on {bind}: {error.strerror}") from error
                continue
            found: int = self._server.server_port
            log("info", "metrics.serving", bind=str(bind._replace(port=found)))
            return found
        raise CommandFailed(Exit.FAILED, f"metrics cannot be served on {bind}: the port is taken")

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _FigureCollector:
    """Takes the figures when they are asked for; one that has no number now is left out."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Any]:
        """Give a gauge for each figure that has a number."""
        for name, meaning in MEANINGS.items():
            take = getattr(self._figures, name)
            if take is None:
                continue
            try:
                value = take()
            except WellkeptError:
                # The watch raises the alarm; a gauge that is missing is what Prometheus calls absent.
                continue
            if value is not None:
                yield GaugeMetricFamily(f"wellkept_{name}", meaning, value=value)


def _address(bind: Bind) -> str:
    return "127.0.0.1" if bind.host == "localhost" else bind.host
