"""Releasing an export: what is given to whom and why becomes an event first, then a bundle can be fetched.

Source: AUDIT A4 (who released, when, to whom, which data, why, authorised by whom), E1; the decision on exports.

- What is exported goes up to the present: an epoch is begun and signed first, so that the export proves how many events
  and readings there are. Where another process signs, its newest checkpoint and last epoch are taken.
- Order: the files are made and their manifest's digest stands in the release; the release is logged; a checkpoint
  covers it; the bundle is made with its proof. A crash between leaves a release that can be fetched, or none.
- One event is released in the same order; no epoch is begun for it, since it says nothing of how many there are.
- A release is a disclosure like any other: it stands in the accounting, and the client is told of it.
- Where it is refused, nothing was given: no bundle exists without its release.

It writes no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol
from uuid import UUID

from projections.export.views import Exports, Prepared
from records.actors import Purpose
from records.disclosures import Export, release_export
from records.request import Outcome, Request
from records.service import Service

DESCRIPTION = "A copy of the whole record, with the report of who looked at it."
"""What is given, in the words of the accounting, where nobody says it better."""
ONE_ENTRY = "One entry of the record."
"""The same for one event."""


class Signing(Protocol):
    """Signs the log where this process does; does nothing where another one does, which is at most 1 s behind."""

    def turn_epoch(self) -> None:
        """Begin an epoch, which states how many events each stream has."""

    def flush(self) -> None:
        """Sign everything that is stored."""


class Releasing:
    """Releases exports of one clinic."""

    def __init__(self, service: Service, exports: Exports, signing: Signing | None) -> None:
        self._service = service
        self._signing = signing
        self.exports = exports

    def release(
        self,
        client_id: UUID,
        request: Request,
        use: Purpose,
        *,
        at: int | None,
        pdf: bool,
        event: int | None = None,
        **told: Any,
    ) -> tuple[Prepared | None, Outcome]:
        """Make an export and record its release; return what it holds (None for a retry), and what was written.

        Args:
            client_id: whose record.
            request: who asks.
            use: the stated purpose of use.
            at: the ledger index below which it lies; None for the newest checkpoint.
            pdf: whether it holds `record.pdf`.
            event: the ledger index of the one event that is given; `at` and `pdf` say nothing then.
            **told: arguments of `record_disclosure`: id, recipient, description, purpose, basis, authorised_by …

        Raises:
            NotPermitted, UnknownClient, UnknownItem, InvalidContent, RuleBroken, ConsentMissing: nothing was released.
        """
        # Who may not record a release learns so before the record is opened.
        self._service.admit(release_export.permission, client_id, request)
        replayed = self._service.replay(client_id, release_export, request)
        if replayed is not None:
            # A retry changes nothing: no epoch is begun for it, and nothing is opened.
            return None, replayed
        if at is None and event is None and self._signing is not None:
            self._signing.turn_epoch()
            self._signing.flush()
        asked = {"at": at, "pdf": pdf} if event is None else {"event": event}
        prepared: Prepared = self._service.view(self.exports.preparing, request, use, client_id, **asked)
        outcome = self._service.transact(
            client_id,
            release_export,
            request,
            manifest_sha256=prepared.manifest_sha256,
            export=Export(at=prepared.at, pdf=pdf and event is None, event=event),
            **told,
        )
        if self._signing is not None:
            self._signing.flush()
        return prepared, outcome

    def fetch(self, client_id: UUID, disclosure_id: UUID, request: Request, use: Purpose) -> Iterator[bytes]:
        """Return the zip of a release, in pieces.

        Raises:
            NotPermitted, UnknownItem, RuleBroken: see `BundleView`.
        """
        bundle: Iterator[bytes] = self._service.view(
            self.exports.bundles, request, use, client_id, resource=disclosure_id
        )
        return bundle
