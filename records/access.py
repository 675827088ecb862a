"""Access: every reading of a record, every refusal, list and search, as an event of its own.

Source: ISO 27789; IHE BALP (PatientRead, consent decision); AUDIT A1–A3, A11.

Rules:
- One event for each client that is touched, in that client's access stream; what names no client goes to the clinic's.
- Ids and codes only: no clinical text, no search term, no name.
- A refusal is an event like a reading, with the reason as a code.
- A reading in an emergency names its access; the reason in words is sealed in it under the client's own key.
- The writer gives version and time, so readers never conflict.

It does not decide who may read (`records.policy`), and it makes no reports.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from records.event import Event, StreamKind


class AccessRecorded(Event, frozen=True, kw_only=True, tag="access.recorded"):
    """Somebody read, searched, listed or was refused. `entered_by` is who. Since 1.

    Attributes:
        action: the action of the policy table, for example `client.view`.
        outcome: permit or deny.
        role: role of the actor at that moment.
        relation: relation to the client at that moment (team, supervises, none).
        client_id: the client, or None where none was named.
        purpose: HL7 purpose of use, None for a refused write.
        reason: why it was denied, as a code.
        address: network address of the caller.
        resource: id of the one item that was read (a note), if any.
        known_at: the past moment that was asked about.
        valid_at: the moment of validity that was asked about.
        emergency: the emergency access under which it was read, which marks it as such.
        sealed_reason: the reason that was given in words for a reading in an emergency, sealed under the client's key.
        count: how many it stands for; more than 1 only for sign-ins that failed and named nobody.
    """

    stream_kind = StreamKind.ACCESS
    lifecycle = "access"

    action: str
    outcome: Literal["permit", "deny"]
    role: str
    relation: str
    client_id: UUID | None = None
    purpose: str | None = None
    reason: str | None = None
    address: str = "local"
    resource: UUID | None = None
    known_at: datetime | None = None
    valid_at: datetime | None = None
    count: int = 1
    emergency: UUID | None = None
    sealed_reason: bytes | None = None


EVENTS = (AccessRecorded,)
