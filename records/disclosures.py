"""Disclosures: what left the clinic about a client, to whom, why, and who answers for it.

Source: US 45 CFR 164.528 (accounting of disclosures); AUDIT A4 (IHE BALP, ASTM E2147); DOMAIN 3 (consent to sharing,
emergency disclosure).

Rules:
- A disclosure names its day, the recipient, what was given and what for, who authorised it, and its basis.
- The basis `consent` needs a consent to sharing that was live on that day and covers this kind of recipient, and this
  very recipient where the consent names one.
- The basis `emergency` needs a reason and a second person, who neither authorised it nor records it.
- What left without any basis is recorded all the same, as `unauthorised`, with a reason: evidence is never turned away,
  and the client learns of it like of every other.
- An entry that was made in error stays in the history and leaves the account.

It sends nothing, and it does not decide whether a request of the client is granted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from records.client_record import ClientRecord, DisclosureState
from records.decision import Context, decision
from records.errors import ConsentMissing, InvalidContent
from records.event import Event

# --- value types

SHARING = {
    "gp": "information-sharing-gp",
    "named-person": "information-sharing-named-person",
    "school": "information-sharing-school",
    "insurer": "information-sharing-insurer",
}
"""Kind of recipient → the kind of consent that covers it."""

RECIPIENTS = (*SHARING, "client", "health-provider", "authority", "court", "other")

BASES: dict[str, str] = {
    "consent": "your consent",
    "client-request": "your own request, or that of a person who acts for you",
    "emergency": "an emergency",
    "safeguarding": "the protection of a child or an adult at risk",
    "court-order": "the order of a court",
    "required-by-law": "a law that requires it",
    "public-health": "a law on public health",
    "health-oversight": "a law on the oversight of health services",
    "law-enforcement": "a law on law enforcement",
    "coroner": "the request of a coroner",
    "unauthorised": "no basis: this should not have happened",
}
"""Basis → as it is said to the client."""

SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What an export was made from, so that it can be made anew to the byte.

    Attributes:
        at: everything in it lies below this index of the log.
        pdf: whether it holds the record on paper, too.
        event: the ledger index of the one event that was given, with its key; None for a whole record.
    """

    at: int
    pdf: bool = False
    event: int | None = None


# --- events


class DisclosureMade(Event, frozen=True, kw_only=True, tag="disclosure.made"):
    """Something about the client was given to somebody outside; `occurred_at` is when. Since 1.

    Attributes:
        recipient_kind: one of `RECIPIENTS`.
        recipient, recipient_address: who got it, and where, if that is known (free text).
        description: what was given (free text).
        purpose: what for (free text).
        basis: one of `BASES`.
        consent_id: the consent that it rests on.
        authorised_by: staff id of who answers for it.
        reason: why it was an emergency, or how it came to happen without a basis (free text).
        second_person: staff id of the second person in an emergency.
        manifest_sha256: hex digest of the manifest of what was given, where it was an export.
        export: what the export was made from; None for any other disclosure.
    """

    subject = "disclosure_id"
    free_text = ("recipient", "recipient_address", "description", "purpose", "reason")
    lifecycle = "disclose"

    disclosure_id: UUID
    recipient_kind: str
    recipient: str
    recipient_address: str | None = None
    description: str
    purpose: str
    basis: str
    consent_id: UUID | None = None
    authorised_by: str
    reason: str | None = None
    second_person: str | None = None
    manifest_sha256: str | None = None
    export: Export | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note it."""
        record.disclosures[self.disclosure_id] = DisclosureState(version=version)


class DisclosureEnteredInError(Event, frozen=True, kw_only=True, tag="disclosure.entered_in_error"):
    """It turned out that this disclosure was not made, or not of this client. Since 1."""

    subject = "disclosure_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    disclosure_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the account."""
        record.disclosures[self.disclosure_id] = DisclosureState(version=version, status="entered-in-error")


EVENTS = (DisclosureMade, DisclosureEnteredInError)

# --- decisions


@decision("disclosure.record")
def record_disclosure(
    record: ClientRecord,
    context: Context,
    *,
    disclosure_id: UUID,
    recipient_kind: str,
    recipient: str,
    description: str,
    purpose: str,
    basis: str,
    authorised_by: str,
    recipient_address: str | None = None,
    consent_id: UUID | None = None,
    reason: str | None = None,
    second_person: str | None = None,
    manifest_sha256: str | None = None,
    export: Export | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Record a disclosure that was made; nothing to do where one stands under this id.

    Raises:
        InvalidContent: an unknown code, an empty text, no reason or second person where the basis needs one, a digest
            that is none, an impossible time.
        UnknownItem: the consent is not in this record.
        ConsentMissing: the consent was not live on that day, or does not cover this recipient.
    """
    if disclosure_id in record.disclosures:
        return []
    for pointer, text in (("/recipient", recipient), ("/description", description), ("/purpose", purpose)):
        if not text.strip():
            raise InvalidContent(pointer, "Is empty.")
    if recipient_kind not in RECIPIENTS:
        raise InvalidContent("/recipient_kind", "Is not a known kind of recipient.")
    if manifest_sha256 is not None and SHA256.fullmatch(manifest_sha256) is None:
        raise InvalidContent("/manifest_sha256", "Is not a SHA-256 digest.")
    stamp = context.stamp(occurred_at)
    record.require_born("/occurred_at", stamp["occurred_at"])
    _require_basis(record, basis, recipient_kind, recipient, consent_id, stamp["occurred_at"])
    _require_answer(context, basis, authorised_by, reason, second_person)
    return [
        DisclosureMade(
            disclosure_id=disclosure_id,
            recipient_kind=recipient_kind,
            recipient=recipient,
            recipient_address=recipient_address,
            description=description,
            purpose=purpose,
            basis=basis,
            consent_id=consent_id,
            authorised_by=authorised_by,
            reason=reason,
            second_person=second_person,
            manifest_sha256=manifest_sha256,
            export=export,
            **stamp,
        )
    ]


@decision("export.release")
def release_export(
    record: ClientRecord, context: Context, *, manifest_sha256: str, export: Export, **told: Any
) -> Sequence[Event]:
    """Record that an export is released, before it is given; a disclosure like any other.

    Args:
        record: the client.
        context: who releases, and when.
        manifest_sha256: of the manifest of what is given.
        export: what it is made from.
        **told: as `record_disclosure`.

    Raises:
        InvalidContent, UnknownItem, ConsentMissing: as `record_disclosure`.
    """
    return record_disclosure(record, context, manifest_sha256=manifest_sha256, export=export, **told)


def _require_basis(
    record: ClientRecord, basis: str, kind: str, recipient: str, consent_id: UUID | None, at: datetime
) -> None:
    if basis not in BASES:
        raise InvalidContent("/basis", "Is not a known basis.")
    if basis != "consent":
        if consent_id is not None:
            raise InvalidContent("/consent_id", "Belongs to the basis 'consent' only.")
        return
    if kind not in SHARING:
        raise InvalidContent("/recipient_kind", "No consent to sharing covers this kind of recipient.")
    if consent_id is None:
        raise ConsentMissing(SHARING[kind])
    consent = record.item("consent", record.consents, consent_id)
    covers = consent.kind == SHARING[kind] and (
        consent.recipient is None or _plain(consent.recipient) == _plain(recipient)
    )
    if not covers or not consent.live_at(at):
        raise ConsentMissing(SHARING[kind])


def _require_answer(
    context: Context, basis: str, authorised_by: str, reason: str | None, second_person: str | None
) -> None:
    if basis in ("emergency", "unauthorised") and not (reason or "").strip():
        raise InvalidContent("/reason", "Is needed for this basis.")
    if basis == "emergency" and second_person in (None, authorised_by, context.actor.id):
        raise InvalidContent("/second_person", "Must be a person who neither authorised nor records it.")


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


@decision("disclosure.error")
def mark_disclosure_entered_in_error(
    record: ClientRecord, context: Context, *, disclosure_id: UUID, reason: str
) -> Sequence[Event]:
    """Mark a disclosure as entered in error; it stays in the history. Nothing to do where it is marked.

    Raises:
        UnknownItem: no such disclosure in this record.
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("disclosure", record.disclosures, disclosure_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [DisclosureEnteredInError(disclosure_id=disclosure_id, reason=reason, **context.stamp())]
