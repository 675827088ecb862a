"""One entry of the audit as it is told: a reading, a refusal, or a change of accounts, care teams and clinic.

Source: AUDIT A1-A3, A5, A6, A8, A11. Every form (sentence, JSON, NDJSON, CSV, FHIR) is made from this one struct, and
the struct from the sealed event.

- It holds ids, codes, names of staff and times; never a client's name, and never clinical text.
- Made for the client, it holds no network address; and no name or id of staff where the clinic does not give them
  (EU C-579/21; `ClinicPolicy.names_staff_to_clients`).

It does not find entries (`projections.audit_page`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.access_sentences import sentence
from projections.change_sentences import change_sentence, detail_of, person_of
from projections.client_sentences import client_sentence
from records.access import AccessRecorded
from records.catalogue import CATALOGUE
from records.directory import Directory
from records.event import Event, Recorded, StreamKind, topic_of

CHANGE_KINDS = (StreamKind.TEAM, StreamKind.STAFF, StreamKind.CLINIC)
CHANGED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls.stream_kind in CHANGE_KINDS)
"""Events that are told as changes."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit.

    Attributes:
        kind: `access` for a reading or a refusal, `change` for a change of an account, a care team or the clinic.
        index: its place in the ledger.
        at: when it was recorded.
        client_id: whose record, or whose care team; None where no client was named.
        actor, actor_name: who; None where the clinic does not name its staff to clients.
        role, relation: in which role and relation to the client at that moment; None for a change.
        action: what was done or asked for: an action of the policy table; for a change the event's topic.
        purpose: the stated purpose of use, a code of HL7 PurposeOfUse.
        outcome: permit or deny.
        reason: why it was denied, as a code.
        address: network address of the caller; None for a change, and in a report for the client.
        resource: id of the single item that was read, or of the token.
        about: the account that a change is about.
        detail: the role or part that a change gave, as a code.
        known_at, valid_at: the past moments that a reading asked about.
        count: how many it stands for; more than 1 only for sign-ins that failed and named nobody.
        lifecycle: the ISO 21089 code of the event.
        request_id: the request that caused it.
        text: one sentence for people.
    """

    kind: Literal["access", "change"] = "access"
    index: int
    at: datetime
    client_id: UUID | None = None
    actor: str | None = None
    actor_name: str | None = None
    role: str | None = None
    relation: str | None = None
    action: str
    purpose: str | None = None
    outcome: Literal["permit", "deny"] = "permit"
    reason: str | None = None
    address: str | None = None
    resource: UUID | None = None
    about: str | None = None
    detail: str | None = None
    known_at: datetime | None = None
    valid_at: datetime | None = None
    count: int = 1
    lifecycle: str
    request_id: str | None = None
    text: str


class Telling(NamedTuple):
    """How entries are told.

    Attributes:
        name_of: staff id → name.
        zone: the clinic's time zone.
        for_client: whether the client will read it.
        names_staff: whether it names staff.
    """

    name_of: Callable[[str], str]
    zone: ZoneInfo
    for_client: bool = False
    names_staff: bool = True

    @classmethod
    def of(cls, directory: Directory, *, for_client: bool = False) -> Telling:
        """Return how this clinic tells entries, to its own people or to a client."""
        policy = directory.clinic.policy
        names = not for_client or policy.names_staff_to_clients
        return cls(directory.name_of, ZoneInfo(policy.timezone), for_client, names)

    def sentence(self, event: AccessRecorded, first_at: datetime, last_at: datetime, count: int = 1) -> str:
        """Return the sentence for equal entries of one day."""
        if self.for_client:
            return client_sentence(
                event, self.name_of if self.names_staff else None, self.zone, first_at, last_at, count
            )
        return sentence(event, self.name_of, self.zone, first_at, last_at, count)

    def actor(self, event: Event) -> str | None:
        """Return the id that is shown of who it was."""
        return event.entered_by if self.names_staff else None

    def actor_name(self, event: Event) -> str | None:
        """Return the name that is shown of who it was."""
        return self.name_of(event.entered_by) if self.names_staff else None

    def entry(self, recorded: Recorded) -> AuditEntry:
        """Return an entry as it is told.

        Raises:
            TypeError: the event is neither an access nor a change of staff, care team or clinic.
        """
        event, at = recorded.event, recorded.recorded_at
        if isinstance(event, AccessRecorded):
            return AuditEntry(
                index=recorded.index,
                at=at,
                client_id=event.client_id,
                actor=self.actor(event),
                actor_name=self.actor_name(event),
                role=event.role,
                relation=event.relation,
                action=event.action,
                purpose=event.purpose,
                outcome=event.outcome,
                reason=event.reason,
                address=None if self.for_client else event.address,
                resource=event.resource,
                known_at=event.known_at,
                valid_at=event.valid_at,
                count=event.count,
                lifecycle=event.lifecycle,
                request_id=event.request_id,
                text=self.sentence(event, at, at),
            )
        if event.stream_kind not in CHANGE_KINDS:
            raise TypeError("only readings, refusals and changes of staff, teams and clinic are told")
        return AuditEntry(
            kind="change",
            index=recorded.index,
            at=at,
            client_id=getattr(event, "client_id", None),
            actor=self.actor(event),
            actor_name=self.actor_name(event),
            action=topic_of(event),
            resource=getattr(event, "token_id", None),
            about=person_of(recorded),
            detail=detail_of(recorded),
            lifecycle=event.lifecycle,
            request_id=event.request_id,
            text=change_sentence(recorded, self.name_of, self.zone),
        )
