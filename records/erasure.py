"""Erasure: a request on one of the coded grounds, another person's approval, and the day on which it was done.

Source: CRYPTO 7; GDPR Article 17; AUDIT (client requests, retention).

Rules:
- What forbids erasure is asked when it is requested, and again when it is approved: retention that still runs, a legal
  hold (`records.retention`). Approval stands only on the newest state of the record.
- Whoever requested it does not approve it. One request of a client is open at a time.
- From its approval on the record takes no event and is shown to nobody; it is not taken back.
- A request that was not approved can be withdrawn, by anybody who may approve.
- What was completed can be purged: the ciphertext goes too, and the entries say of which events (`records.purging`).
- These events live in the clinic's own stream: ids and codes only, so they outlive what they are about.

It destroys nothing: see `records.erasing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from records.clinic_record import ClinicRecord, ErasureState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken, UnknownItem
from records.event import Event, StreamKind
from records.retention import BASES

WITHDRAWN_FOR: dict[str, str] = {
    "request-withdrawn": "whoever asked for it no longer wants it",
    "ground-not-met": "the ground that was named does not hold",
    "entered-in-error": "it was requested for the wrong client, or by mistake",
}
"""Code → what it means."""

# --- events


class ErasureRequested(Event, frozen=True, kw_only=True, tag="erasure.requested"):
    """Erasure of a client was requested. Since 1.

    Attributes:
        basis: a code of `records.retention.BASES`.
    """

    stream_kind = StreamKind.CLINIC
    subject = "erasure_id"

    erasure_id: UUID
    client_id: UUID
    basis: str

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Open the request."""
        state = ErasureState(
            version=version,
            client_id=self.client_id,
            basis=self.basis,
            requested_by=self.entered_by,
            requested_at=self.occurred_at,
        )
        record.erasures = {**record.erasures, self.erasure_id: state}
        record.version = version


class ErasureWithdrawn(Event, frozen=True, kw_only=True, tag="erasure.withdrawn"):
    """A request that nobody had approved was withdrawn. Since 1.

    Attributes:
        ground: a code of `WITHDRAWN_FOR`.
    """

    stream_kind = StreamKind.CLINIC
    subject = "erasure_id"
    lifecycle = "deprecate"

    erasure_id: UUID
    ground: str

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Close the request."""
        state = msgspec.structs.replace(record.erasures[self.erasure_id], version=version, withdrawn=self.ground)
        record.erasures = {**record.erasures, self.erasure_id: state}
        record.version = version


class ErasureApproved(Event, frozen=True, kw_only=True, tag="erasure.approved"):
    """Another person approved an erasure; the record was closed in the same commit. Since 1.

    Attributes:
        disclosures: how many disclosures of the record stood: copies that no key of ours reaches.
    """

    stream_kind = StreamKind.CLINIC
    subject = "erasure_id"
    lifecycle = "attest"

    erasure_id: UUID
    client_id: UUID
    disclosures: int = 0

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Close the client's record for good."""
        state = msgspec.structs.replace(
            record.erasures[self.erasure_id],
            version=version,
            approved_by=self.entered_by,
            approved_at=self.occurred_at,
            disclosures=self.disclosures,
        )
        record.erasures = {**record.erasures, self.erasure_id: state}
        record.erased = {**record.erased, self.client_id: self.erasure_id}
        record.version = version


class ErasureCompleted(Event, frozen=True, kw_only=True, tag="erasure.completed"):
    """The client's keys were destroyed; their entries stand in the same commit. Since 1.

    Where a backup from before the erasure was restored, the events that led to it are not in its log: then this event
    alone tells of it, as the keyring remembers it.

    Attributes:
        key_ids: the data keys that were destroyed, 16 bytes each.
        generation: of the keyring key under which everything else was wrapped anew.
        cached_until: until when a process of the service may have held one of the keys in memory.
        reapplied: it was done again on a log that was restored from before it.
    """

    stream_kind = StreamKind.CLINIC
    subject = "erasure_id"
    lifecycle = "destroy"

    erasure_id: UUID
    client_id: UUID
    key_ids: tuple[bytes, ...]
    generation: int
    cached_until: datetime
    reapplied: bool = False

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Say that it was done."""
        known = record.erasures.get(self.erasure_id) or ErasureState(version=version, client_id=self.client_id)
        state = msgspec.structs.replace(
            known,
            version=version,
            completed_at=self.occurred_at,
            key_ids=self.key_ids,
            generation=self.generation,
            cached_until=self.cached_until,
            reapplied=known.reapplied or self.reapplied,
        )
        record.erasures = {**record.erasures, self.erasure_id: state}
        record.erased = {**record.erased, self.client_id: self.erasure_id}
        record.version = version


class ErasurePurged(Event, frozen=True, kw_only=True, tag="erasure.purged"):
    """The ciphertext of an erased client's events was purged; an entry for each stands before this. Since 1.

    Attributes:
        count: how many events of the client are purged, in all.
    """

    stream_kind = StreamKind.CLINIC
    subject = "erasure_id"
    lifecycle = "destroy"

    erasure_id: UUID
    count: int

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Say that it was done."""
        state = msgspec.structs.replace(record.erasures[self.erasure_id], version=version, purged=self.count)
        record.erasures = {**record.erasures, self.erasure_id: state}
        record.version = version


EVENTS = (ErasureRequested, ErasureWithdrawn, ErasureApproved, ErasureCompleted, ErasurePurged)

# --- decisions


@decision("erasure.request", on=StreamKind.CLINIC)
def request_erasure(
    record: ClinicRecord,
    context: Context,
    *,
    erasure_id: UUID,
    client_id: UUID,
    basis: str,
    forbidden: Sequence[str],
) -> Sequence[Event]:
    """Request the erasure of a client; nothing to do where this very request was made.

    Args:
        record: the clinic.
        context: who asks, and when.
        erasure_id: the id of the request.
        client_id: whose record.
        basis: a code of `records.retention.BASES`.
        forbidden: what forbids it now, in words (`records.retention.may_be_erased`).

    Raises:
        InvalidContent: `/basis`.
        RuleBroken: `erasure-exists`, `erasure-open`, `retention`.
    """
    if basis not in BASES:
        raise InvalidContent("/basis", "Is not one of the grounds for erasure.")
    known = record.erasures.get(erasure_id)
    if known is not None:
        if (known.client_id, known.basis, known.requested_by) == (client_id, basis, context.actor.id):
            return []
        raise RuleBroken("erasure-exists", "A request with this id was made before.")
    if any(each.client_id == client_id and each.open for each in record.erasures.values()):
        raise RuleBroken("erasure-open", "A request to erase this client waits for approval already.")
    _require_allowed(forbidden)
    return [ErasureRequested(erasure_id=erasure_id, client_id=client_id, basis=basis, **context.stamp())]


@decision("erasure.withdraw", on=StreamKind.CLINIC)
def withdraw_erasure(record: ClinicRecord, context: Context, *, erasure_id: UUID, ground: str) -> Sequence[Event]:
    """Withdraw a request that nobody approved; nothing to do where it is withdrawn.

    Raises:
        InvalidContent: `/ground`.
        UnknownItem: there is no such request.
        RuleBroken: `erasure-approved`.
    """
    if ground not in WITHDRAWN_FOR:
        raise InvalidContent("/ground", "Is not one of the grounds for withdrawing.")
    state = _known(record, erasure_id)
    if state.withdrawn is not None:
        return []
    if not state.open:
        raise RuleBroken("erasure-approved", "The erasure was approved; it is not taken back.")
    return [ErasureWithdrawn(erasure_id=erasure_id, ground=ground, **context.stamp())]


@decision("erasure.approve", on=StreamKind.CLINIC)
def approve_erasure(
    record: ClinicRecord, context: Context, *, erasure_id: UUID, forbidden: Sequence[str], disclosures: int
) -> Sequence[Event]:
    """Approve somebody else's request; nothing to do where it is approved.

    Args:
        record: the clinic.
        context: who approves, and when.
        erasure_id: the request.
        forbidden: what forbids it now, in words.
        disclosures: how many disclosures of the record stand.

    Raises:
        UnknownItem: there is no such request.
        RuleBroken: `erasure-withdrawn`, `own-approval`, `retention`.
    """
    state = _known(record, erasure_id)
    if state.approved_at is not None or state.completed_at is not None:
        return []
    if state.withdrawn is not None:
        raise RuleBroken("erasure-withdrawn", "The request was withdrawn.")
    if state.requested_by == context.actor.id:
        raise RuleBroken("own-approval", "Another person than whoever asked approves it.")
    _require_allowed(forbidden)
    return [
        ErasureApproved(erasure_id=erasure_id, client_id=state.client_id, disclosures=disclosures, **context.stamp())
    ]


@decision("erasure.complete", on=StreamKind.CLINIC)
def complete_erasure(
    record: ClinicRecord,
    context: Context,
    *,
    erasure_id: UUID,
    client_id: UUID,
    key_ids: tuple[bytes, ...],
    generation: int,
    cached_until: datetime,
) -> Sequence[Event]:
    """Say that an erasure was done; nothing to do where that stands. The service alone decides so.

    Raises:
        RuleBroken: `erasure-open`: the log knows the request, and nobody approved it.
    """
    known = record.erasures.get(erasure_id)
    if known is not None and known.completed_at is not None:
        return []
    if known is not None and known.approved_at is None:
        raise RuleBroken("erasure-open", "Nobody approved the erasure.")
    return [
        ErasureCompleted(
            erasure_id=erasure_id,
            client_id=client_id,
            key_ids=key_ids,
            generation=generation,
            cached_until=cached_until,
            reapplied=known is None,
            **context.stamp(),
        )
    ]


@decision("erasure.purge", on=StreamKind.CLINIC)
def note_purge(record: ClinicRecord, context: Context, *, erasure_id: UUID, count: int) -> Sequence[Event]:
    """Say that the ciphertext of an erased client was purged; nothing to do where that stands.

    Args:
        record: the clinic.
        context: who purged it, and when.
        erasure_id: the erasure.
        count: how many events are purged, in all.

    Raises:
        UnknownItem: there is no such erasure.
        RuleBroken: `erasure-open`.
    """
    state = require_completed(record, erasure_id)
    if state.purged == count:
        return []
    return [ErasurePurged(erasure_id=erasure_id, count=count, **context.stamp())]


def require_completed(record: ClinicRecord, erasure_id: UUID) -> ErasureState:
    """Return an erasure that is completed.

    Raises:
        UnknownItem: there is no such erasure.
        RuleBroken: `erasure-open`: its keys are not destroyed.
    """
    state = _known(record, erasure_id)
    if state.completed_at is None:
        raise RuleBroken("erasure-open", "The erasure is not completed; only what is erased can be purged.")
    return state


def _known(record: ClinicRecord, erasure_id: UUID) -> ErasureState:
    state = record.erasures.get(erasure_id)
    if state is None:
        raise UnknownItem("erasure")
    return state


def _require_allowed(forbidden: Sequence[str]) -> None:
    if forbidden:
        raise RuleBroken("retention", " ".join(forbidden))
