"""What an audit is asked: which entries, in which order, from which place on.

Source: AUDIT A6 (a report for a period, sortable by each element); CONTRACT (`/v1/audit`).

- Client, person, purpose and period are looked for by the clear index; everything is asked again of the sealed event.
- An action, role, relation or outcome that is not known is refused: a misspelt word must not look like "nobody".
- A place is the time and the ledger index of the last row, so pages follow each other in either direction.

It finds nothing by itself (`projections.audit_page`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from projections.audit_entry import CHANGED, AuditEntry
from projections.pages import limit_of
from records.access import AccessRecorded
from records.actors import Purpose, Relation, Role
from records.errors import InvalidContent
from records.event import Event, Recorded, topic_of
from records.ledger import to_microseconds
from records.policy import TABLE

ACTIONS = frozenset({*TABLE, "sign_in", *map(topic_of, CHANGED)})
SOURCES = ("access", "changes", "all")
OUTCOMES = ("permit", "deny")
BY_TIME = ("at", "-at")
SORTS = ("at", "index", "client", "actor", "role", "relation", "action", "purpose", "outcome", "reason", "address")
"""What a report can be sorted by; a minus before it turns it round. Only time needs no bound (see `audit_page`)."""

_DIGITS = 18
_FIELDS = {"client": "client_id", "actor": "actor_name"}
_KNOWN: dict[str, frozenset[str]] = {
    "action": ACTIONS,
    "for_purpose": frozenset(purpose.value for purpose in Purpose),
    "outcome": frozenset(OUTCOMES),
    "relation": frozenset(relation.value for relation in Relation),
    "role": frozenset({"none", *(role.value for role in Role)}),
    "source": frozenset(SOURCES),
    "sort": frozenset({*SORTS, *(f"-{name}" for name in SORTS)}),
}


class Question(NamedTuple):
    """What is asked for; None asks for nothing.

    Attributes:
        client, staff: whose record, and who.
        action, for_purpose, outcome, relation, role: codes, as entries have them.
        outside_team: only readings and refusals by people who stood in no relation to the client.
        from_at, to_at: the period, its end not included.
        source: `access` for readings and refusals, `changes` for those of staff, teams and clinic, or `all`.
        sort: one of `SORTS`, with a minus before it for the other way.
        limit: how many on a page.
        after: the place to go on from.
    """

    client: UUID | None
    staff: str | None
    action: str | None
    for_purpose: str | None
    outcome: str | None
    relation: str | None
    role: str | None
    outside_team: bool
    from_at: datetime | None
    to_at: datetime | None
    source: str
    sort: str
    limit: int
    after: tuple[int, int] | None

    @classmethod
    def of(cls, parameters: Mapping[str, Any], sort: str = "at") -> Question:
        """Read the parameters of a view; `sort` is the order where none is asked for.

        Raises:
            InvalidContent: a code that is not known, a period that ends before it begins, a place that is none.
        """
        for name, known in _KNOWN.items():
            if parameters.get(name) is not None and parameters[name] not in known:
                raise InvalidContent(f"/{name.removeprefix('for_')}", "Is not a known code.")
        from_at, to_at = parameters.get("from_at"), parameters.get("to_at")
        if from_at is not None and to_at is not None and to_at < from_at:
            raise InvalidContent("/to", "Lies before `from`.")
        return cls(
            **{name: parameters.get(name) for name in ("client", "staff", "action", "for_purpose", "outcome")},
            relation=parameters.get("relation"),
            role=parameters.get("role"),
            outside_team=bool(parameters.get("outside_team")),
            from_at=from_at,
            to_at=to_at,
            source=parameters.get("source") or "access",
            sort=parameters.get("sort") or sort,
            limit=limit_of(parameters),
            after=read_place(parameters.get("after")),
        )

    @property
    def newest_first(self) -> bool:
        """Whether the order is turned round."""
        return self.sort.startswith("-")

    @property
    def indexed(self) -> dict[str, Any]:
        """What the clear index and the changes can look for."""
        return {
            "client_id": self.client,
            "actor": self.staff,
            "purpose": self.for_purpose,
            "from_us": None if self.from_at is None else to_microseconds(self.from_at),
            "to_us": None if self.to_at is None else to_microseconds(self.to_at),
        }

    def matches(self, recorded: Recorded) -> bool:
        """Tell whether an entry is one of those that were asked for, by what it says itself."""
        event, at = recorded.event, recorded.recorded_at
        return (
            self.client in (None, getattr(event, "client_id", None))
            and self.staff in (None, event.entered_by)
            and (self.from_at is None or at >= self.from_at)
            and (self.to_at is None or at < self.to_at)
            and self._matches_codes(event)
        )

    def _matches_codes(self, event: Event) -> bool:
        if not isinstance(event, AccessRecorded):
            wanted = (self.for_purpose, self.relation, self.role, self.outcome if self.outcome == "deny" else None)
            return self.action in (None, topic_of(event)) and not self.outside_team and not any(wanted)
        return (
            self.action in (None, event.action)
            and self.for_purpose in (None, event.purpose)
            and self.outcome in (None, event.outcome)
            and self.relation in (None, event.relation)
            and self.role in (None, event.role)
            and not (self.outside_team and (event.client_id is None or event.relation != Relation.NONE))
        )

    def in_order(self, entries: list[AuditEntry]) -> list[AuditEntry]:
        """Return entries in the order that is asked for; what has no value comes last, equal ones by time."""
        name = self.sort.removeprefix("-")
        field = _FIELDS.get(name, name)
        by_time = sorted(entries, key=lambda entry: (entry.at, entry.index))
        known = [entry for entry in by_time if getattr(entry, field) is not None]
        unknown = [entry for entry in by_time if getattr(entry, field) is None]
        return [*sorted(known, key=lambda entry: getattr(entry, field), reverse=self.newest_first), *unknown]


def write_place(at_us: int, index: int) -> str:
    """Return the place of a row as text."""
    return f"{at_us}.{index}"


def read_place(text: str | None) -> tuple[int, int] | None:
    """Return the place that a text is, or None.

    Raises:
        InvalidContent: it is none.
    """
    if text is None:
        return None
    at_us, _, index = text.partition(".")
    if not (text.isascii() and all(part.isdecimal() and len(part) <= _DIGITS for part in (at_us, index))):
        raise InvalidContent("/after", "Is not the end of a page.")
    return int(at_us), int(index)
