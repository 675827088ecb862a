"""The audit in sentences: equal readings of one day told once, over many clients or for one.

Source: AUDIT A6 (as sentences for people), A11 (reports group them).

- Newest first. A group counts the entries that its page looked at: where a page ends within a day, equal ones further
  back are told on the next page, and the counts of both add up.
- Changes of staff, teams and clinic stand among the readings, each for itself.
- With `entries`, the same page gives the single entries that its sentences stand for.

It finds nothing by itself (`projections.audit_page`), and it counts no suspicions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from projections.access_groups import Group, Key, key_of
from projections.audit_entry import Telling
from projections.audit_page import AuditPage, Rows, clients_of, search
from projections.audit_question import BY_TIME, Question
from records.access import AccessRecorded
from records.errors import InvalidContent
from records.event import Recorded
from records.reader import Asked, Built, Reader


class AuditSentence(msgspec.Struct, frozen=True, kw_only=True):
    """Equal entries of one day; fields as in `projections.audit_entry.AuditEntry`.

    Attributes:
        first_at, last_at, count: when, and how often.
        first_index, last_index: the range of the ledger that they lie in; others may lie between.
        addresses: network addresses.
        resources: ids of the single items that were read.
        text: one sentence for people.
    """

    kind: str
    first_at: datetime
    last_at: datetime
    count: int
    first_index: int
    last_index: int
    client_id: UUID | None = None
    actor: str | None = None
    actor_name: str | None = None
    role: str | None = None
    relation: str | None = None
    action: str
    purpose: str | None = None
    outcome: str
    reason: str | None = None
    addresses: tuple[str, ...] = ()
    resources: tuple[UUID, ...] = ()
    about: str | None = None
    text: str


class AuditSentences(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit in sentences, newest first.

    Attributes:
        log: the deployment whose log it is.
        position: the ledger index up to which entries were looked for.
        shown: how many entries this page stands for; each of its gaps counts.
        gaps: ledger indexes of entries that could not be opened.
        next: where to go on from; None where this is the last page.
    """

    log: UUID
    position: int
    shown: int
    items: tuple[AuditSentence, ...] = ()
    gaps: tuple[int, ...] = ()
    next: str | None = None


class GroupedAudit:
    """Who looked at which records, in sentences."""

    action = "audit.view"

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page of at most `limit` sentences.

        Cost: catches up first; then opens at most `audit_page.LOOKED_AT` entries.

        Raises:
            InvalidContent: `/limit`, `/sort` by anything but time, or a code that is not known.
        """
        self._rows.catch_up()
        question = Question.of(asked.parameters, sort="-at")
        if question.sort not in BY_TIME:
            raise InvalidContent("/sort", "Sentences follow each other by time: `at` or `-at`.")
        telling = Telling.of(reader.directory)
        groups: dict[Key, Group] = {}

        def full(recorded: Recorded) -> bool:
            key = key_of(recorded, telling.zone)
            if key not in groups and len(groups) >= question.limit:
                return True
            groups.setdefault(key, Group(recorded.event)).add(recorded)
            return False

        found = search(self._rows, reader, question, full)
        facts: dict[str, Any] = {
            "log": reader.deployment_id,
            "position": self._rows.position(),
            "gaps": tuple(found.gaps),
        }
        entries = tuple(map(telling.entry, found.entries))
        if asked.parameters.get("entries"):
            document: msgspec.Struct = AuditPage(**facts, items=entries, next=found.next)
        else:
            items = tuple(_told(group, telling) for group in groups.values())
            shown = len(found.entries) + len(found.gaps)
            document = AuditSentences(**facts, shown=shown, items=items, next=found.next)
        return Built(document, (), clients_of(entries))


def _told(group: Group, telling: Telling) -> AuditSentence:
    ordered = sorted(group.entries, key=lambda recorded: (recorded.recorded_at, recorded.index))
    first, last, event = ordered[0], ordered[-1], group.event
    entry = telling.entry(last)
    text = entry.text
    if isinstance(event, AccessRecorded):
        text = telling.sentence(event, first.recorded_at, last.recorded_at, len(ordered))
    indexes = [recorded.index for recorded in ordered]
    return AuditSentence(
        kind=entry.kind,
        first_at=first.recorded_at,
        last_at=last.recorded_at,
        count=len(ordered),
        first_index=min(indexes),
        last_index=max(indexes),
        client_id=entry.client_id,
        actor=entry.actor,
        actor_name=entry.actor_name,
        role=entry.role,
        relation=entry.relation,
        action=entry.action,
        purpose=entry.purpose,
        outcome=entry.outcome,
        reason=entry.reason,
        addresses=tuple(group.addresses),
        resources=tuple(group.resources),
        about=entry.about,
        text=text,
    )
