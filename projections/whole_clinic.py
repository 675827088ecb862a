"""Leaving with everything: the reading of the whole clinic, as the audit tells of it.

Source: AUDIT (every reading leaves its entry before anything is shown); decision 54.

It is one entry, of no single client: whoever holds the file and its passphrase reads them all. It builds nothing: what
leaves is copied sealed, as it is stored (`ops.moving.leaving`).
"""

from __future__ import annotations

import msgspec

from records.reader import Asked, Built, Reader


class Leaving(msgspec.Struct, frozen=True):
    """Up to which index of the ledger everything leaves at least: that of the newest entry before this reading."""

    upto: int


class WholeClinicView:
    """The whole clinic, for whoever administers it."""

    action = "clinic.export"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the answer; what is asked for makes no difference to it."""
        del asked
        return Built(Leaving(reader.position()))


WHOLE_CLINIC = WholeClinicView()
