"""A service to measure over HTTP: `wellkept serve` as it is, in a process of its own, with one constant document more.

- The constant document passes the whole door (token, headers, query). It is a current view that was made once and is
  encoded anew for each request, so what it costs is what HTTP itself costs.
- It listens on a free loopback port, and is stopped by its own id.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from api.answers import answer
from api.door import PastQuery, constant
from ops.bench.turn_process import ROOT
from ops.process_guards import end_with_parent
from ops.serve import serve
from ops.settings import read_settings
from projections.client_view import ClientDocument

CONSTANT_PATH = "/v1/constant"
THREADS = 32
START_SECONDS = 30.0
STOP_SECONDS = 60.0
AS_A_SERVICE = "from ops.bench.http_service import serve_with_constant; serve_with_constant()"


class Service:
    """A running service."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._process = process

    def memory_mib(self) -> float:
        """Return the resident memory of the serving process, in MiB."""
        return self._memory_mib("VmRSS:")

    def most_memory_mib(self) -> float:
        """Return the most of it that there ever was."""
        return self._memory_mib("VmHWM:")

    def _memory_mib(self, name: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(name)]
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)


@contextmanager
def serving(data: Path, constant: Path | None = None) -> Iterator[Service]:
    """Serve a clinic; `constant` is a file with the current view that the constant document is.

    Raises:
        RuntimeError: it does not start; what it said is on stderr.
    """
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", AS_A_SERVICE, str(os.getpid()), *([] if constant is None else [constant])],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")},
            "WELLKEPT_DATA": str(data),
            "WELLKEPT_BIND": f"127.0.0.1:{port}",
            "WELLKEPT_THREADS": str(THREADS),
            "WELLKEPT_LOG_LEVEL": "warning",
        },
        cwd=ROOT,
    )
    service = Service(port, process)
    try:
        _wait(port, process)
        yield service
    finally:
        if process.poll() is None:
            service.stop()


def serve_with_constant() -> None:
    """Be the service: `PARENT [CONSTANT]`."""
    parent, *constant_file = sys.argv[1:]
    end_with_parent(int(parent))
    extend = partial(_add_constant, Path(constant_file[0])) if constant_file else None
    serve(read_settings(), lambda: None, extend)


def _add_constant(file: Path, app: Any) -> None:
    document = msgspec.json.decode(file.read_bytes(), type=ClientDocument)

    @constant(PastQuery)
    def show_constant() -> Any:
        return answer(document)

    app.add_url_rule(CONSTANT_PATH, "constant", show_constant, methods=["GET"])


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    if process.poll() is None:
        process.kill()
    raise RuntimeError("the service to measure did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
