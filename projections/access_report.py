"""Who looked at a client's record, when and why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class AccessItem(msgspec.Struct, frozen=True, kw_only=True):
    """Equal readings of one person on one day.

    Attributes:
        first_at, last_at, count: when, and how often.
        first_version, last_version: the range of entries that it stands for; others may lie between.
        actor, actor_name, role, relation: who, in which role and relation to the client at that moment.
        action, purpose: what was done and for which purpose (a code of HL7 PurposeOfUse).
        outcome, reason: permit or deny, and why it was denied.
        addresses: network addresses; empty in a report that is made for the client.
        resources: ids of the single items that were read.
        text: one sentence for people.
    """

    first_at: datetime
    last_at: datetime
    count: int
    first_version: int
    last_version: int
    actor: str
    actor_name: str
    role: str
    relation: str
    action: str
    purpose: str | None = None
    outcome: str
    reason: str | None = None
    addresses: tuple[str, ...] = ()
    resources: tuple[UUID, ...] = ()
    text: str


class AccessReport(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the report, newest first.

    Parameters of the view: `limit` (1 to 50 items), `after` (the version to go on from, as `next` gave it).

    Attributes:
        entries: how many entries there are in all: they are numbered from 1, so a gap would show.
        shown: how many entries this page stands for; each of its gaps counts.
        gaps: versions of entries that could not be opened.
        next: the version to go on from; None where this is the last page.
    """

    client_id: UUID
    entries: int
    shown: int
    items: tuple[AccessItem, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None
