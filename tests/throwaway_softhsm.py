"""A SoftHSM token for one test run: keys in software, behind the PKCS#11 library that an HSM would bring.

It needs the system package `softhsm2`: where that is not installed, `LIBRARY` is None, and the tests have no case on it
(`.ci/run` installs it). One process speaks to one configuration, so that it is set for the whole run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTALLED = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
LIBRARY = next((Path(path) for path in _INSTALLED if shutil.which("softhsm2-util") and Path(path).exists()), None)
CONFIGURATION = "SOFTHSM2_CONF"
PIN = "4711-pin"


class ThrowawaySoftHsm:
    """An initialised token with the label `wellkept-tests`; `stop` removes it."""

    label = "wellkept-tests"

    def __init__(self) -> None:
        assert LIBRARY is not None
        self.library = LIBRARY
        self.home = Path(tempfile.mkdtemp(prefix="wkhsm-"))
        self._tokens = self.home / "tokens"
        self._tokens.mkdir()
        self.configuration = self.home / "softhsm2.conf"
        self.configuration.write_text(f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\n")
        os.environ[CONFIGURATION] = str(self.configuration)
        self.pin_file = self.home / "pin"
        self.pin_file.write_text(PIN + "\n")
        self.pin_file.chmod(0o600)
        pins = ["--so-pin", "an-officer", "--pin", PIN]
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", self.label, *pins],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """Remove it."""
        os.environ.pop(CONFIGURATION, None)
        shutil.rmtree(self.home)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Take the token away meanwhile."""
        away = self._tokens.with_name("drawn")
        self._tokens.rename(away)
        try:
            yield
        finally:
            away.rename(self._tokens)
