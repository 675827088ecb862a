"""The recovery key on paper: 32 bytes as groups of hex digits, with a check so that a slip of the pen is noticed.

- Seventeen groups of four digits: sixteen hold the secret, the last one is the start of its SHA-256.
- Read without regard to spaces, hyphens and case.
- It is read from a file or the terminal, never from a flag or the environment.
"""

from __future__ import annotations

import hashlib
import re

from records.errors import KeyMissing

_DIGITS = re.compile(r"[0-9a-f]{68}", re.ASCII)
_GROUP = 4


def format_secret(secret: bytes) -> str:
    """Return the recovery secret for paper."""
    digits = secret.hex() + _check(secret)
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def parse_secret(text: str) -> bytes:
    """Return the recovery secret of what stands on paper.

    Raises:
        KeyMissing: it is none, or was copied wrongly.
    """
    digits = re.sub(r"[\s-]", "", text).lower()
    if not _DIGITS.fullmatch(digits):
        raise KeyMissing("the recovery key has seventeen groups of four hex digits")
    secret = bytes.fromhex(digits[:-_GROUP])
    if _check(secret) != digits[-_GROUP:]:
        raise KeyMissing("the recovery key was copied wrongly: its last group does not fit the others")
    return secret


def _check(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()[:_GROUP]
