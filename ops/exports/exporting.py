"""Exports as a command makes them: released, signed, and fetched at once.

Source: the decision on exports; CONTRACT (`wellkept export`).

- The zip comes in pieces: whoever asked writes it, protected or not, and nothing of it stays here.
- Where another process signs the log, its next checkpoint is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from ops.wiring import Clinic
from projections.export.releasing import DESCRIPTION
from projections.export.views import Prepared
from records.actors import Purpose
from records.request import Request

SIGNED_WITHIN_SECONDS = 10
"""A signer is at most 1 s behind (CRYPTO 3); one that is not here gets this long."""
_LOOK_AGAIN_SECONDS = 0.05


class ExportAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is exported, to whom and why; see `records.disclosures.record_disclosure`.

    Attributes:
        client: whose record.
        at: the index of the log below which it lies; None for now.
        pdf: with the record on paper.
        authorised_by: staff id of who answers for it; None is whoever asks.
    """

    client: UUID
    at: int | None = None
    pdf: bool = False
    recipient_kind: str = "client"
    recipient: str = "The client"
    recipient_address: str | None = None
    description: str = DESCRIPTION
    purpose: str = "The client asked for a copy of the record."
    basis: str = "client-request"
    consent_id: UUID | None = None
    authorised_by: str | None = None
    reason: str | None = None
    second_person: str | None = None


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was released: its disclosure, and what it holds."""

    id: UUID
    client: UUID
    at: int
    manifest_sha256: str
    events: int
    readings: int
    left_out: int


def export_record(
    clinic: Clinic, request: Request, disclosure_id: UUID, asked: ExportAsked
) -> tuple[Exported, Iterator[bytes]]:
    """Release an export of a record and fetch it; return what it holds, and the zip in pieces.

    A crash before the release is durable leaves nothing; after it, a release whose bundle can be fetched.

    Raises:
        Refused: nothing was released.
        RuleBroken: `export-not-signed`: released, but nothing signs the log; fetch it over HTTP later.
    """
    told = msgspec.structs.asdict(asked)
    client_id, at, pdf = told.pop("client"), told.pop("at"), told.pop("pdf")
    prepared, bundle = release_and_fetch(clinic, request, client_id, disclosure_id, at=at, pdf=pdf, **told)
    return Exported(id=disclosure_id, client=client_id, **msgspec.structs.asdict(prepared)), bundle


def release_and_fetch(
    clinic: Clinic, request: Request, client_id: UUID, disclosure_id: UUID, **told: Any
) -> tuple[Prepared, Iterator[bytes]]:
    """Release what is told and fetch its bundle, in pieces; whoever asks answers for it, where nobody else is named.

    Raises:
        Refused, RuleBroken: see `Releasing`.
    """
    told["authorised_by"] = told["authorised_by"] or request.actor.id
    prepared, _ = clinic.releasing.release(client_id, request, Purpose.PATRQT, disclosure_id=disclosure_id, **told)
    assert prepared is not None, "a command sends nothing again"
    _await_signed(clinic)
    return prepared, clinic.releasing.fetch(client_id, disclosure_id, request, Purpose.PATRQT)


def _await_signed(clinic: Clinic) -> None:
    """Return when everything that is stored now is signed, or after a while when nothing signs it."""
    stored, until = clinic.service.reader.position() + 1, time.monotonic() + SIGNED_WITHIN_SECONDS
    while time.monotonic() < until:
        newest = clinic.service.reader.checkpoint()
        if newest is not None and newest.size >= stored:
            return
        time.sleep(_LOOK_AGAIN_SECONDS)
