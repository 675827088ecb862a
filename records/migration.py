"""Migration: history of another system goes into an empty clinic, by the same rules, many lines to a commit.

Source: DESIGN (two doors); the promise that what may not happen is refused and what did happen can be recorded.

- Each line takes its own permission check and its own decision, on everything that came before it, committed or not.
- The line's own time is the clock: rules are decided at it, and `originally_recorded_at` of each event is it. The
  ledger's time and order are those of the loading.
- A reading of the past becomes an access event with the time at which it took place; nothing is shown.
- Appends of many lines share one commit. A crash leaves whole commits: no line is ever half there.
- Only a clinic without clients is migrated into, so that a load that broke off is never continued into doubles; it is
  begun again in a new clinic.
- A refusal is raised to the caller and leaves no entry by itself: what today's rules refuse was not refused then. Where
  it was refused then, `refuse` records that.

It reads no files and knows no foreign format (`ops.loading.load`, `ops.demo.clinic`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from records.access_log import AccessLog
from records.actors import Purpose, Relation
from records.client_record import ClientRecord
from records.decision import Context, Decision
from records.directory import Directory
from records.errors import LostRace, NotPermitted, NotStored, RuleBroken, UnknownClient
from records.event import Event, Recorded, StreamKind
from records.keyring import Keyring
from records.ledger import KeyClass, decode_entry
from records.policy import denial
from records.request import Request
from records.service import Service
from records.staff_record import StaffRecord
from records.store import Store
from records.store.unit import Append, CreatedKey, Unit

EVENTS_PER_COMMIT = 1000
"""Enough that the durable commit costs little beside the sealing, and few enough that readers never wait long."""

_CLIENT_KINDS = (StreamKind.CLIENT, StreamKind.TEAM)


class Migration:
    """One migration into one clinic, by one thread. Use it as a context manager, or call `commit` at the end."""

    def __init__(
        self,
        service: Service,
        store: Store,
        keyring: Keyring,
        now: Callable[[], datetime],
        events_per_commit: int = EVENTS_PER_COMMIT,
    ) -> None:
        """Begin on what the log says now.

        Raises:
            RuleBroken: `clinic-not-empty`: there are clients already.
        """
        if any(decode_entry(entry).key_class is KeyClass.RECORD for _, entry in store.key_entries()):
            raise RuleBroken("clinic-not-empty", "History is loaded into a clinic that has no clients yet.")
        service.follow()
        self._service = service
        self._store = store
        self._keyring = keyring
        self._now = now
        self._limit = events_per_commit
        # A directory of its own runs ahead of the log by what is not committed yet.
        self.directory = Directory()
        self.directory.clinic = service.directory.clinic
        self.directory.staff = dict(service.directory.staff)
        self.directory.teams = dict(service.directory.teams)
        self._access = AccessLog(store, keyring, service.streams, service.mapper, self.directory)
        self._records: dict[UUID, ClientRecord] = {}
        self._appends: list[Append] = []
        self._keys: list[CreatedKey] = []
        self._waiting = 0
        self.events = 0

    def __enter__(self) -> Migration:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.commit()

    def transact(
        self, target: UUID, decision: Decision, request: Request, at: datetime, **arguments: Any
    ) -> Sequence[Event]:
        """Decide as `Service.transact` does, at a time of the past; the events are durable after the next `commit`.

        Args:
            target: the client, the account or the clinic's stream.
            decision: what is decided.
            request: who asked then; its version and retry key are not looked at.
            at: when.
            **arguments: the decision's arguments.

        Returns:
            The events, in order; none where there was nothing to do.

        Raises:
            Refused: nothing of the line is kept.
            NotStored, OutcomeUnknown: see `commit`.
        """
        self._commit_when_full()
        client_id = target if decision.on in _CLIENT_KINDS else None
        self._admit(decision.permission, client_id, request, None)
        if client_id is not None and not decision.creates_stream and not self.record(client_id).exists:
            raise UnknownClient("no such client")
        context = Context(
            actor=request.actor,
            at=at,
            request_id=request.request_id,
            policy=self.directory.clinic.policy,
            migrated=True,
        )
        events = decision(self._state(decision.on, target), context, **arguments)
        if events:
            if decision.creates_stream and decision.on is StreamKind.CLIENT:
                key = self._keyring.ensure(target, KeyClass.RECORD)
                self._keys.append(CreatedKey(target, key.key_id, KeyClass.RECORD))
            self._gather(target, events)
        return events

    def read(
        self,
        action: str,
        request: Request,
        purpose: Purpose,
        client_id: UUID | None,
        at: datetime,
        resource: UUID | None = None,
    ) -> None:
        """Record a reading that took place, after the same permission check as at the door.

        Raises:
            NotPermitted: nothing is recorded; `refuse` records it where it was refused then.
            NotStored, OutcomeUnknown: see `commit`.
        """
        self._commit_when_full()
        self._admit(action, client_id, request, purpose)
        self._log(action, request, purpose, client_id, at, resource=resource)

    def refuse(
        self,
        action: str,
        request: Request,
        purpose: Purpose | None,
        client_id: UUID | None,
        at: datetime,
        reason: str,
        resource: UUID | None = None,
    ) -> None:
        """Record that somebody was refused then; `reason` is a code."""
        self._commit_when_full()
        self._log(action, request, purpose, client_id, at, outcome="deny", reason=reason, resource=resource)

    def make_keys(self, client_ids: Sequence[UUID]) -> None:
        """Make the keys of clients who will be registered, in one durable commit of the keyring.

        A key of its own is made for each client in any case; this saves the time of many small commits. A crash, or a
        registration that is refused, leaves a key that nothing names.

        Raises:
            NotStored: the keyring cannot be written.
        """
        self._keyring.ensure_all(client_ids, KeyClass.RECORD)

    def record(self, client_id: UUID) -> ClientRecord:
        """Return the rule state of a client with everything that was decided so far; never change it."""
        record = self._records.get(client_id) or self._service.cache.get(client_id)
        if record is not None:
            return record
        try:
            return self._service.client(client_id)
        except UnknownClient:
            return ClientRecord(client_id=client_id)

    def commit(self) -> None:
        """Make durable what was gathered.

        A crash before leaves nothing of it, one after it all of it.

        Raises:
            NotStored: it could not be written, or somebody else writes to these records; nothing of it is stored.
            OutcomeUnknown: the answer of the commit was lost.
        """
        if not self._appends and not self._keys:
            return
        try:
            self._store.commit(Unit(tuple(self._appends), tuple(self._keys)))
        except LostRace as race:
            raise NotStored("somebody else changes the records that are migrated") from race
        self._appends.clear()
        self._keys.clear()
        self._waiting = 0
        for record in self._records.values():
            self._service.cache.keep(record)
        self._records.clear()
        self._service.follow()

    def _commit_when_full(self) -> None:
        if self._waiting >= self._limit:
            self.commit()

    def _admit(self, action: str, client_id: UUID | None, request: Request, purpose: Purpose | None) -> None:
        actor = request.actor
        relation = Relation.NONE if client_id is None else self.directory.relation(actor.id, client_id)
        reason = denial(action, actor.role, relation, purpose)
        if reason is not None:
            raise NotPermitted(reason)

    def _log(
        self,
        action: str,
        request: Request,
        purpose: Purpose | None,
        client_id: UUID | None,
        at: datetime,
        **facts: Any,
    ) -> None:
        self._appends.append(
            self._access.append(action, client_id, request, purpose, self._now(), happened_at=at, **facts)
        )
        self._waiting += 1
        self.events += 1

    def _state(self, kind: StreamKind, target: UUID) -> Any:
        if kind is StreamKind.CLIENT:
            return self.record(target)
        if kind is StreamKind.TEAM:
            return self.directory.team(target)
        if kind is StreamKind.STAFF:
            return self.directory.staff.get(target) or StaffRecord(target)
        return self.directory.clinic

    def _gather(self, target: UUID, events: Sequence[Event]) -> None:
        """Seal events for their places and move the states on, so that the next line decides on them."""
        at = self._now()
        for event in events:
            kind = event.stream_kind
            stream = self._service.streams.of(kind, target)
            version = self._own(target).version if kind is StreamKind.CLIENT else self._state(kind, target).version
            self._appends.append(self._service.mapper.append(kind, stream, version, (event,)))
            # The index is the writer's to give; nothing that rules read depends on it.
            recorded = Recorded(event, stream, version + 1, -1, at)
            if kind is StreamKind.CLIENT:
                self._own(target).apply(recorded)
            else:
                self.directory.apply(recorded)
        self._waiting += len(events)
        self.events += len(events)

    def _own(self, client_id: UUID) -> ClientRecord:
        """Return a record that may be changed: what the cache holds is shared, so it is copied once for each commit."""
        record = self._records.get(client_id)
        if record is None:
            record = self._records[client_id] = self.record(client_id).copy()
        return record
