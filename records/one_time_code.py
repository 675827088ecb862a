"""One-time codes: what an authenticator app shows, computed and compared.

Source: RFC 6238 (SHA-1, 6 digits, 30 seconds: what every authenticator app knows), RFC 4226 7.4 (resynchronisation).

- The secret is derived from the service key and an enrolment; it is stored nowhere.
- The step before and the step after count too, since clocks of telephones differ.
- Codes are compared in constant time.

It keeps no state: who used which code is decided in `records.second_factor`.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from records.sealing import keyed_digest

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
_NEIGHBOURS = (0, -1, 1)


def secret_of(key: bytes, staff_id: UUID, enrolment: bytes) -> bytes:
    """Return the secret of an enrolment, 20 bytes, under the service's key for it."""
    return keyed_digest(key, staff_id.bytes, enrolment)[:SECRET_BYTES]


def code_at(secret: bytes, at: datetime) -> str:
    """Return the code of a moment."""
    return _totp(secret).generate(int(at.timestamp())).decode("ascii")


def step_of(secret: bytes, code: str, at: datetime) -> int | None:
    """Return the time step whose code this is, at `at` or one step beside it; None where it is wrong."""
    now = int(at.timestamp()) // STEP_SECONDS
    totp, sent = _totp(secret), code.encode()
    found = None
    for neighbour in _NEIGHBOURS:
        if hmac.compare_digest(totp.generate((now + neighbour) * STEP_SECONDS), sent) and found is None:
            found = now + neighbour
    return found


def provisioning_uri(secret: bytes, account: str, issuer: str) -> str:
    """Return the address that an authenticator app takes in, as text or as a QR code."""
    return _totp(secret).get_provisioning_uri(account, issuer)


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - RFC 6238's own, inside HMAC
