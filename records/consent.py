"""Consent: what a client agreed to, in the words that were shown, until it ends.

Source: DOMAIN 3; UK GDPR Art. 7 (withdrawing is as easy as giving); FHIR R4 Consent for the states.

Rules:
- offered → given | refused; given → withdrawn | superseded; any → entered in error. Expiry is time alone: no event is
  needed to deny, and whether a consent is live is answered at the moment asked about.
- Giving a consent of the same kind, scope and recipient supersedes the live one. Where the new one turns out to be
  entered in error, the old one is in force again: an error ended nothing.
- A consent names the form, its version and the hash of the exact text shown.
- Withdrawal has a time, a channel and who received it; a reason is never demanded. It edits nothing earlier.
- Kinds are data (`KINDS`), with what each is needed before; which acts need which kinds is clinic policy.

It does not decide whether a session may be held: sessions ask `ClientRecord.missing_consents`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from records.client_record import ClientRecord, ConsentState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

KINDS: dict[str, str] = {
    "treatment": "the first treatment session, and each changed plan",
    "privacy-notice": "registration (an acknowledgement)",
    "information-sharing-gp": "each disclosure to the general practitioner",
    "information-sharing-named-person": "each disclosure to a person the client names",
    "information-sharing-school": "each disclosure to a school",
    "information-sharing-insurer": "each disclosure to an insurer",
    "recording": "recording a session",
    "supervision": "supervision in which the client can be identified",
    "research": "extraction for research",
    "case-study": "a case study or publication",
    "telehealth": "a remote session",
    "emdr": "the first EMDR set",
    "touch": "any touch-based method, asked again each session",
    "group-confidentiality": "joining a group",
    "couple-no-secrets": "the first couple session, by both partners",
    "joint-release": "releasing joint content to one partner",
    "guardian": "treatment of a minor",
    "photograph-artwork": "photographing artwork",
    "contact-email-text": "contact by email or text",
    "ai-note-tool": "use of an AI note tool",
}
"""Consent kind → what it is needed before."""

GIVEN_BY = ("client", "guardian", "attorney")
METHODS = ("signature", "typed", "verbal-witnessed")
SCOPE = re.compile(r"(episode|session|recording|study):[A-Za-z0-9-]{1,64}", re.ASCII)
CHANNELS = ("in-person", "telephone", "email", "letter", "text", "portal")


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The exact text that was shown.

    Attributes:
        form_id: the clinic's name of the form.
        form_version: its version.
        text_sha256: hex digest of the exact text shown, or None where history does not tell.
        language: BCP 47 tag of the language it was shown in.
    """

    form_id: str
    form_version: str
    text_sha256: str | None = None
    language: str = "en"


# --- events


class ConsentOffered(Event, frozen=True, kw_only=True, tag="consent.offered"):
    """A form was handed over or read out. Since 1."""

    subject = "consent_id"

    consent_id: UUID
    kind: str
    form: Form

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note the offer."""
        record.consents[self.consent_id] = ConsentState(kind=self.kind, status="offered", version=version)


class ConsentGiven(Event, frozen=True, kw_only=True, tag="consent.given"):
    """A person agreed. `occurred_at` is when; `expires_at` ends it without any event. Since 1.

    Attributes:
        scope: what it covers (`episode:<id>`, `session:<id>`, `recording:<id>`, `study:<name>`), None for all of it.
        recipient: for information sharing, who may be told (free text).
        method: signature, typed or verbal-witnessed.
        given_by: client, guardian (with `authority`) or attorney.
        capacity_note: what was noted of the person's capacity (free text).
        restrictions: recipients, contents or purposes left out (free text).
        supersedes: the live consent that this one replaces.
    """

    subject = "consent_id"
    free_text = ("capacity_note", "restrictions", "recipient")

    consent_id: UUID
    kind: str
    form: Form
    method: str
    given_by: str = "client"
    authority: str | None = None
    scope: str | None = None
    recipient: str | None = None
    interpreter: bool = False
    witnessed_by: str | None = None
    capacity_note: str | None = None
    restrictions: str | None = None
    expires_at: datetime | None = None
    supersedes: UUID | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Make it the live consent of its kind, and end the one that it supersedes."""
        record.consents[self.consent_id] = ConsentState(
            kind=self.kind,
            status="given",
            version=version,
            given_at=self.occurred_at,
            expires_at=self.expires_at,
            recipient=self.recipient,
            scope=self.scope,
            supersedes=self.supersedes,
        )
        if self.supersedes is not None:
            old = record.consents[self.supersedes]
            record.consents[self.supersedes] = msgspec.structs.replace(
                old, status="superseded", ended_at=self.occurred_at, version=version
            )


class ConsentRefused(Event, frozen=True, kw_only=True, tag="consent.refused"):
    """A person did not agree. Since 1."""

    subject = "consent_id"

    consent_id: UUID
    kind: str
    form: Form

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note the refusal."""
        record.consents[self.consent_id] = ConsentState(kind=self.kind, status="refused", version=version)


class ConsentWithdrawn(Event, frozen=True, kw_only=True, tag="consent.withdrawn"):
    """A person took a consent back, with effect from `occurred_at`. Since 1."""

    subject = "consent_id"
    free_text = ("reason",)
    lifecycle = "amend"

    consent_id: UUID
    channel: str
    received_by: str
    reason: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """End the consent."""
        record.consents[self.consent_id] = msgspec.structs.replace(
            record.consents[self.consent_id], status="withdrawn", ended_at=self.occurred_at, version=version
        )


class ConsentEnteredInError(Event, frozen=True, kw_only=True, tag="consent.entered_in_error"):
    """It turned out that the consent entry should not be there. Since 1.

    Attributes:
        reason: what was wrong (free text).
        restores: the consent that it had superseded, which is in force again.
    """

    subject = "consent_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    consent_id: UUID
    reason: str
    restores: UUID | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Make it never live, and undo what it had ended."""
        record.consents[self.consent_id] = msgspec.structs.replace(
            record.consents[self.consent_id], status="entered-in-error", version=version
        )
        if self.restores is not None:
            record.consents[self.restores] = msgspec.structs.replace(
                record.consents[self.restores], status="given", ended_at=None, version=version
            )


EVENTS = (ConsentOffered, ConsentGiven, ConsentRefused, ConsentWithdrawn, ConsentEnteredInError)

# --- decisions


@decision("consent.record")
def record_consent(
    record: ClientRecord,
    context: Context,
    *,
    consent_id: UUID,
    kind: str,
    outcome: Literal["offered", "given", "refused"],
    form: Form,
    occurred_at: datetime | None = None,
    method: str = "signature",
    given_by: str = "client",
    authority: str | None = None,
    scope: str | None = None,
    recipient: str | None = None,
    interpreter: bool = False,
    witnessed_by: str | None = None,
    capacity_note: str | None = None,
    restrictions: str | None = None,
    expires_at: datetime | None = None,
) -> Sequence[Event]:
    """Record that a consent was offered, given or refused; nothing to do where the same outcome stands already.

    An offer that was recorded under the same id is given or refused by it; anything else under that id is refused.

    Raises:
        InvalidContent: an unknown code, a guardian without authority, an expiry before the giving, an impossible time.
        RuleBroken: `consent-already-decided`.
    """
    if kind not in KINDS:
        raise InvalidContent("/kind", "Is not a known kind of consent.")
    if _stands(record, consent_id, kind, outcome):
        return []
    stamp = context.stamp(occurred_at)
    record.require_born("/occurred_at", stamp["occurred_at"])
    if outcome == "offered":
        return [ConsentOffered(consent_id=consent_id, kind=kind, form=form, **stamp)]
    if outcome == "refused":
        return [ConsentRefused(consent_id=consent_id, kind=kind, form=form, **stamp)]
    _require_giver(method, given_by, authority, scope)
    if expires_at is not None and expires_at <= stamp["occurred_at"]:
        raise InvalidContent("/expires_at", "Lies before the consent was given.")
    return [
        ConsentGiven(
            consent_id=consent_id,
            kind=kind,
            form=form,
            method=method,
            given_by=given_by,
            authority=authority,
            scope=scope,
            recipient=recipient,
            interpreter=interpreter,
            witnessed_by=witnessed_by,
            capacity_note=capacity_note,
            restrictions=restrictions,
            expires_at=expires_at,
            supersedes=_live_twin(record, kind, scope, recipient, stamp["occurred_at"]),
            **stamp,
        )
    ]


def _stands(record: ClientRecord, consent_id: UUID, kind: str, outcome: str) -> bool:
    known = record.consents.get(consent_id)
    if known is None:
        return False
    if (known.kind, known.status) == (kind, outcome):
        return True
    if known.kind != kind or known.status != "offered":
        raise RuleBroken("consent-already-decided", "This consent was decided before; record a new one.")
    return False


def _require_giver(method: str, given_by: str, authority: str | None, scope: str | None) -> None:
    if method not in METHODS:
        raise InvalidContent("/method", "Is not a known way of consenting.")
    if given_by not in GIVEN_BY:
        raise InvalidContent("/given_by", "Is nobody who can consent.")
    if scope is not None and SCOPE.fullmatch(scope) is None:
        raise InvalidContent("/scope", "Is not an episode, session, recording or study.")
    if given_by != "client" and not (authority or "").strip():
        raise InvalidContent("/authority", "Is needed when somebody else consents for the client.")


def _live_twin(record: ClientRecord, kind: str, scope: str | None, recipient: str | None, at: datetime) -> UUID | None:
    for consent_id, state in record.consents.items():
        same = (state.kind, state.scope, state.recipient) == (kind, scope, recipient)
        if same and state.status == "given" and state.live_at(at):
            return consent_id
    return None


@decision("consent.withdraw")
def withdraw_consent(
    record: ClientRecord,
    context: Context,
    *,
    consent_id: UUID,
    channel: str,
    occurred_at: datetime | None = None,
    reason: str | None = None,
    reported_by: str | None = "client",
) -> Sequence[Event]:
    """Withdraw a given consent; nothing to do where it is withdrawn already.

    Raises:
        UnknownItem: no such consent in this record.
        RuleBroken: `consent-not-given`.
        InvalidContent: an unknown channel, a withdrawal before the giving or in the future.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("consent", record.consents, consent_id)
    if state.status == "withdrawn":
        return []
    context.require_version(state.version)
    if state.status != "given" or state.given_at is None:
        raise RuleBroken("consent-not-given", "Only a consent that was given can be withdrawn.")
    if channel not in CHANNELS:
        raise InvalidContent("/channel", "Is not a known channel.")
    stamp = context.stamp(occurred_at, reported_by)
    if stamp["occurred_at"] < state.given_at:
        raise InvalidContent("/occurred_at", "Lies before the consent was given.")
    return [
        ConsentWithdrawn(consent_id=consent_id, channel=channel, received_by=context.actor.id, reason=reason, **stamp)
    ]


@decision("consent.error")
def mark_consent_entered_in_error(
    record: ClientRecord, context: Context, *, consent_id: UUID, reason: str
) -> Sequence[Event]:
    """Mark a consent entry as made in error; it was then never live, and it stays in the history.

    Raises:
        UnknownItem: no such consent in this record.
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("consent", record.consents, consent_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    # A consent that was withdrawn or superseded since is not brought back by an error in another entry.
    restores = state.supersedes if state.status == "given" else None
    if restores is not None and record.consents[restores].status != "superseded":
        restores = None
    return [ConsentEnteredInError(consent_id=consent_id, reason=reason, restores=restores, **context.stamp())]
