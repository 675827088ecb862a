"""Cursors: where the next page begins, opaque and authenticated.

- A cursor is bound to the list it was made for: another action, client, reader or question refuses it.
- It holds a place only, sealed by a keyed digest, and never a name: addresses end up in logs of others.
- A forged or foreign cursor is a malformed request, and says nothing about what it would have opened.

It does not page: views take and give places.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from api.problems import Fault, Unacceptable
from records.sealing import keyed_digest

PARAMETER = "/query/cursor"
MAC_BYTES = 16
MAX_LENGTH = 120


class Cursors:
    """Makes and opens cursors with one service key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, place: str, *scope: str) -> str:
        """Return the cursor of a place (ASCII) in the list that the scope names."""
        return urlsafe_b64encode(self._mac(place, scope) + place.encode("ascii")).decode().rstrip("=")

    def open(self, cursor: str, *scope: str) -> str:
        """Return the place of a cursor of this list.

        Raises:
            Unacceptable: it was not made here, or for another list.
        """
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            place = raw[MAC_BYTES:].decode("ascii")
        except ValueError:
            raise _foreign() from None
        if not hmac.compare_digest(raw[:MAC_BYTES], self._mac(place, scope)):
            raise _foreign()
        return place

    def _mac(self, place: str, scope: tuple[str, ...]) -> bytes:
        return keyed_digest(self._key, place.encode(), *(part.encode() for part in scope))[:MAC_BYTES]


def _foreign() -> Unacceptable:
    return Unacceptable("malformed", [Fault(PARAMETER, "Is not a cursor of this list.")])
