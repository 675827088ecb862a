"""The access log: puts readings and refusals into the log, each under the audit key of its year.

Source: AUDIT A1–A3, A11; CRYPTO 2 and 6.

- One entry for each client, in that client's access stream; what names no client goes to the clinic's.
- The audit key of a year is durable, and has its ledger entry, before the first entry of that year.
- The writer gives version and time.

It does not decide who may read, and it releases nothing: see `records.service`.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from records.access import AccessRecorded
from records.actors import Purpose, Relation
from records.directory import Directory
from records.errors import Refused, RuleBroken
from records.keyring import Keyring
from records.ledger import KeyClass, decode_entry
from records.request import Request
from records.store import Store
from records.store.mapper import EventMapper
from records.store.unit import Append, CreatedKey, Unit
from records.streams import Streams

_AHEAD = timedelta(days=1)


class AccessLog:
    """Makes access entries of one clinic."""

    def __init__(
        self, store: Store, keyring: Keyring, streams: Streams, mapper: EventMapper, directory: Directory
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._streams = streams
        self._mapper = mapper
        self._directory = directory
        self._years: set[int] = set()
        self._lock = threading.Lock()

    def append(
        self,
        action: str,
        client_id: UUID | None,
        request: Request,
        purpose: Purpose | None,
        at: datetime,
        *,
        happened_at: datetime | None = None,
        relation: Relation | None = None,
        **facts: Any,
    ) -> Append:
        """Return the append of one access event.

        Args:
            action: the action in the policy table.
            client_id: whose record; None where none was named.
            request: who asks.
            purpose: the stated purpose of use.
            at: the time of the request.
            happened_at: for migrated history, when it took place and was recorded then; None for now.
            relation: how the actor stands to the client; from the care team where none is given.
            **facts: further fields of `AccessRecorded`; the outcome is `permit` unless given.
        """
        self._ensure_keys(at)
        actor = request.actor
        if relation is None:
            relation = Relation.NONE if client_id is None else self._directory.relation(actor.id, client_id)
        event = AccessRecorded(
            occurred_at=happened_at or at,
            entered_by=actor.id,
            request_id=request.request_id,
            originally_recorded_at=happened_at,
            action=action,
            outcome=facts.pop("outcome", "permit"),
            role=actor.role.value,
            relation=relation.value,
            client_id=client_id,
            purpose=purpose.value if purpose is not None else None,
            address=actor.address,
            **facts,
        )
        stream = self._streams.clinic_access if client_id is None else self._streams.access(client_id)
        return self._mapper.access_append(stream, event)

    def refuse(
        self,
        action: str,
        client_id: UUID | None,
        request: Request,
        purpose: Purpose | None,
        at: datetime,
        reason: str,
        resource: UUID | None = None,
        relation: Relation | None = None,
    ) -> None:
        """Record a refusal; durable when it returns. `reason` is a code."""
        facts: dict[str, Any] = {"outcome": "deny", "reason": reason, "resource": resource, "relation": relation}
        append = self.append(action, client_id, request, purpose, at, **facts)
        self._store.commit(Unit(appends=(append,)))

    def refuse_unauthenticated(self, count: int, at: datetime, request_id: str) -> None:
        """Record, durable, so many sign-ins that failed; they named nobody, so one entry stands for all of them."""
        self._ensure_keys(at)
        event = AccessRecorded(
            occurred_at=at,
            entered_by="nobody",
            request_id=request_id,
            action="sign_in",
            outcome="deny",
            role="none",
            relation="none",
            reason="unauthenticated",
            address="several",
            count=count,
        )
        self._store.commit(Unit(appends=(self._mapper.access_append(self._streams.clinic_access, event),)))

    def _ensure_keys(self, at: datetime) -> None:
        # The key of tomorrow's year too, so that no commit can cross midnight into a year without its key.
        if {at.year, (at + _AHEAD).year} <= self._years:
            return
        with self._lock:
            for year in sorted({at.year, (at + _AHEAD).year} - self._years):
                scope = self._streams.deployment_id
                key = self._keyring.ensure(scope, KeyClass.AUDIT_YEAR, year)
                # The ledger is asked, not the keyring: a crash here leaves a key without its entry, made good then.
                if not any(decode_entry(raw).key_id == key.key_id for _, raw in self._store.key_entries()):
                    self._store.commit(Unit(keys=(CreatedKey(scope, key.key_id, KeyClass.AUDIT_YEAR),)))
                self._years.add(year)


def reason_of(refusal: Refused) -> str:
    """Return the code under which an access entry keeps a refusal."""
    if isinstance(refusal, RuleBroken):
        return refusal.rule
    name = type(refusal).__name__
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("-")
