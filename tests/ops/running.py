"""Commands as a shell runs them: processes of their own, and a service on a free port of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ops.cli import cli

COMMAND = [sys.executable, "-c", "from ops.cli import main; main()"]
READY_SECONDS = 30


def run(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, with no settings but those given."""
    given: dict[str, str | None] = {name: None for name in os.environ if name.startswith("WELLKEPT_")}
    return CliRunner().invoke(cli, list(arguments), env={**given, **environment})


def data_of(result: Result) -> Any:
    """Return the JSON that a command put out, which must have gone well."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def init(data: Path, **environment: str) -> Any:
    """Found a clinic by the command."""
    arguments = ("--clinic", "Hill Clinic", "--jurisdiction", "uk", "--timezone", "Europe/London")
    return data_of(run("init", "--data", str(data), *arguments, "--json", **environment))


def add_user(data: Path, role: str, name: str = "Ada Fennimarsh") -> tuple[str, str]:
    """Open an account and return its id and a token."""
    user = data_of(run("user", "add", "--data", str(data), "--name", name, "--role", role, "--json"))["id"]
    token = data_of(run("token", "issue", user, "--data", str(data), "--json"))["token"]
    return user, token


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """A service in a process of its own."""

    command = (*COMMAND, "serve")

    def __init__(self, data: Path, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WELLKEPT_")}
        self.log = data.with_name(data.name + ".log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.command, "--data", str(data), "--bind", self.url.removeprefix("http://")],
                env={**clean, **environment},
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/healthz", timeout=5).close()  # noqa: S310 - a loopback address
                return
            time.sleep(0.05)
        raise AssertionError("the service did not come up")

    def request(self, path: str, token: str | None = None, **headers: str) -> tuple[int, bytes]:
        """Return status and body of a GET."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, headers=sent)  # noqa: S310 - a loopback address
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - a loopback address
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the process a signal and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(READY_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of its log that are JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def served(data: Path, **environment: str) -> Iterator[Served]:
    """Serve a clinic until the block ends."""
    service = Served(data, **environment)
    try:
        service.wait()
        yield service
    finally:
        service.stop()
