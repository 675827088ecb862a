"""Consents, as the current view shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

ConsentStanding = Literal["in-force", "expired", "offered", "refused", "withdrawn"]


class ConsentItem(msgspec.Struct, frozen=True, kw_only=True):
    """One consent.

    Attributes:
        id, version: the consent, and the version of the last event that touched it (the ETag).
        kind: what is consented to, a key of `records.consent.KINDS`.
        status: how it stands at the moment that is asked about.
        since: when it came to stand so.
        given_by, method: who agreed and how; None where it was not given.
        expires_at: when it ends by itself.
        scope: what it covers, None for everything.
        recipient, restrictions: who may be told, and what is left out.
        form_id, form_version: what was shown.
    """

    id: UUID
    version: int
    kind: str
    status: ConsentStanding
    since: datetime
    given_by: str | None = None
    method: str | None = None
    expires_at: datetime | None = None
    scope: str | None = None
    recipient: str | None = None
    restrictions: str | None = None
    form_id: str
    form_version: str


class DeskConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as the front desk needs it for booking: its kind and how it stands."""

    kind: str
    status: ConsentStanding
