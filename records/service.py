"""The two doors: `transact` is the only way to change a record, `view` the only way to read one.

Source: DESIGN (the two doors), AUDIT A1–A3 and A11, CRYPTO 5.

- Permission comes first and is decided on what the log says now: before each request the directory is brought to the
  newest clinic entry. Unknown and forbidden clients take the same path and leave the same trace.
- `transact`: permission, record, decide, append. A lost race is decided anew, at most 3 times. A refusal leaves an
  access entry.
- `view`: permission, build, append the access event, wait until it is durable; only then is anything returned. If the
  log cannot be written, nothing is shown.
- In an emergency the first reading opens the client, in one commit with its entry and with the review of it. While it
  is open, it permits what the care team does not.
- One access entry for each client that is shown; a reading that shows none goes to the clinic's own stream.
- A record that was erased, or is being erased, is refused to whoever else would see it: at the next request, in every
  process.
- A key that was used before gives the first answer again, and only after permission was checked again.

It speaks no HTTP and reads no clock of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from records.access_log import AccessLog, reason_of
from records.actors import Actor, Purpose, Relation
from records.care_team import TeamRecord
from records.client_record import ClientRecord
from records.decision import Context, Decision
from records.directory import Directory
from records.emergency import open_emergency_access
from records.errors import Erased, LostRace, NotPermitted, NotStored, Refused, UnknownClient
from records.event import Event, Recorded, StreamKind
from records.glass import Glass
from records.keyring import Keyring
from records.ledger import KeyClass, from_microseconds
from records.policy import OPEN_AFTER_ERASURE, TOLD_WHEN_DONE, denial
from records.reader import Asked, Reader, View
from records.record_cache import RecordCache
from records.replays import Replays, subject_of
from records.request import Outcome, Request
from records.sealing import keyed_digest
from records.staff_record import StaffRecord
from records.store import Store
from records.store.mapper import Alarm, EventMapper
from records.store.unit import Append, Committed, CreatedKey, Reference, Unit
from records.streams import Streams

RETRIES = 3
_CLIENT_KINDS = (StreamKind.CLIENT, StreamKind.TEAM)
_NOTHING = Unit()


class Service:
    """The doors of one clinic. Any thread may use them."""

    def __init__(self, store: Store, keyring: Keyring, now: Callable[[], datetime], alarm: Alarm) -> None:
        """Bring the directory up to date; the clinic's keys must be there.

        Raises:
            KeyMissing, IntegrityFailure: the clinic cannot be trusted; do not serve.
        """
        self._store = store
        self._keyring = keyring
        self._now = now
        self.streams = Streams(keyring)
        self.mapper = EventMapper(self.streams, alarm)
        self.directory = Directory()
        self.reader = Reader(store, self.mapper, self.streams, self.directory)
        self.cache = RecordCache()
        self.access_log = AccessLog(store, keyring, self.streams, self.mapper, self.directory)
        self._glass = Glass(self.streams, self.mapper)
        self._replays = Replays(store, keyring, self.streams, self.mapper)
        self._follow_lock = threading.Lock()
        self.forgetters: list[Callable[[UUID], object]] = [self.cache.forget]
        """Each is told a client whose record was closed, to drop what this process holds of it in memory."""
        self._token_key = self.streams.service_key("token")
        self.follow()

    # --- what both doors share

    def follow(self) -> None:
        """Bring the directory to the newest clinic entry of the log."""
        if self._store.head().clinic_index <= self.directory.position:
            return
        with self._follow_lock:
            closed = self.directory.clinic.erased.keys()
            for recorded in self.reader.clinic_events(self.directory.position, gaps=False):
                self.directory.apply(recorded)
            for client_id in self.directory.clinic.erased.keys() - closed:
                for forget in self.forgetters:
                    forget(client_id)

    def now(self) -> datetime:
        """Return the clinic's time, for doors beside these."""
        return self._now()

    def authenticate(self, token: str, address: str) -> Actor | None:
        """Return whose token this is, or None where it is unknown, expired, revoked or of a disabled account."""
        self.follow()
        return self.directory.authenticate(self.token_digest(token), self._now(), address)

    def token_digest(self, token: str) -> bytes:
        """Return the keyed digest under which the log knows a token."""
        return keyed_digest(self._token_key, token.encode())

    def admit(
        self,
        action: str,
        client_id: UUID | None,
        request: Request,
        purpose: Purpose | None = None,
        resource: UUID | None = None,
    ) -> Relation:
        """Check permission, and that the record was not erased; and record the refusal.

        Raises:
            NotPermitted, Erased: and the access entry that says so is durable.
        """
        self.follow()
        actor = request.actor
        relation = self.directory.relation(actor.id, client_id) if client_id is not None else Relation.NONE
        reason = denial(action, actor.role, relation, purpose)
        # Only whoever would be refused is asked for an emergency, so everyone else waits for nothing.
        if reason is not None and client_id and self.directory.emergency(actor.id, client_id, self._now()) is not None:
            relation = Relation.EMERGENCY
            reason = denial(action, actor.role, relation, purpose)
        if reason is not None:
            self.refuse(action, client_id, request, reason, purpose=purpose, resource=resource, relation=relation)
            raise NotPermitted(reason)
        self._require_kept(action, client_id, request, purpose=purpose, resource=resource, relation=relation)
        return relation

    def _require_kept(self, action: str, client_id: UUID | None, request: Request, **told: Any) -> None:
        if client_id in self.directory.clinic.erased and action not in OPEN_AFTER_ERASURE:
            self.refuse(action, client_id, request, "erased", **told)
            raise Erased("the record was erased")

    def refuse(
        self,
        action: str,
        client_id: UUID | None,
        request: Request,
        reason: str,
        *,
        purpose: Purpose | None = None,
        resource: UUID | None = None,
        relation: Relation | None = None,
    ) -> None:
        """Record, durable, that a request was refused; `reason` is a code."""
        self.access_log.refuse(action, client_id, request, purpose, self._now(), reason, resource, relation)

    def refuse_unauthenticated(self, count: int, request_id: str) -> None:
        """Record, durable, so many sign-ins that failed since the last entry of this kind."""
        self.access_log.refuse_unauthenticated(count, self._now(), request_id)

    # --- the door for changes

    def transact(
        self,
        target: UUID,
        decision: Decision,
        request: Request,
        *,
        beside: Unit = _NOTHING,
        **arguments: Any,
    ) -> Outcome:
        """Decide and append.

        Args:
            target: the client (for decisions on a client or a care team), the account, or the clinic's stream.
            decision: what is decided.
            request: who asks.
            beside: what else is stored in the same commit, or must hold in it; it has no appends and keys of its own.
            **arguments: the decision's arguments.

        Raises:
            Refused: and an access entry that says so is durable, where a client was named.
            NotStored, OutcomeUnknown: see `Store.commit`.
        """
        client_id = target if decision.on in _CLIENT_KINDS else None
        self.admit(decision.permission, client_id, request)
        try:
            if decision.on is not StreamKind.CLIENT:
                return self._transact(target, decision, request, beside, arguments)
            with self.cache.hold(target):
                return self._transact(target, decision, request, beside, arguments)
        except Refused as refusal:
            if client_id is not None:
                self.refuse(decision.permission, client_id, request, reason_of(refusal))
            raise

    def _transact(
        self,
        target: UUID,
        decision: Decision,
        request: Request,
        beside: Unit,
        arguments: dict[str, Any],
    ) -> Outcome:
        for _ in range(RETRIES + 1):
            record = self._record(decision.on, target)
            try:
                events = self._decide(decision, record, request, arguments)
            except Refused:
                # A refusal stands only on the newest state, and only for a request that was not done before.
                if self._moved(decision.on, target, record):
                    continue
                replay = self._replays.find(decision, target, request)
                if replay is not None:
                    return replay
                raise
            if not events:
                if self._moved(decision.on, target, record):
                    continue
                return self._replays.find(decision, target, request) or Outcome(None, None, (), None)
            try:
                return self._append(decision, target, record, events, request, beside)
            except LostRace:
                self._moved(decision.on, target, record)
        raise NotStored("the record is being changed by others")

    def replay(self, target: UUID, decision: Decision, request: Request) -> Outcome | None:
        """Return the first outcome of a request that was done before, or None.

        Raises:
            IdempotencyKeyReused: the key was used for another request.
        """
        return self._replays.find(decision, target, request)

    def client(self, client_id: UUID) -> ClientRecord:
        """Return the newest rule state of a client, for doors beside `transact`.

        Raises:
            UnknownClient: no such client.
        """
        with self.cache.hold(client_id):
            record = self._forward(self._client(client_id))
        if not record.exists:
            raise UnknownClient("no such client")
        return record

    def _decide(self, decision: Decision, record: Any, request: Request, arguments: dict[str, Any]) -> Sequence[Event]:
        if not decision.creates_stream and decision.on in _CLIENT_KINDS and not self._client_exists(record):
            raise UnknownClient("no such client")
        return decision(record, self._context(request), **arguments)

    def _context(self, request: Request) -> Context:
        return Context(
            actor=request.actor,
            at=self._now(),
            request_id=request.request_id,
            policy=self.directory.clinic.policy,
            if_match=request.if_match,
        )

    def _client_exists(self, record: Any) -> bool:
        if isinstance(record, ClientRecord):
            return record.exists
        with self.cache.hold(record.client_id):
            return self._client(record.client_id).exists

    def _append(
        self,
        decision: Decision,
        target: UUID,
        record: Any,
        events: Sequence[Event],
        request: Request,
        beside: Unit,
    ) -> Outcome:
        keys: tuple[CreatedKey, ...] = ()
        if decision.creates_stream and decision.on is StreamKind.CLIENT:
            key = self._keyring.ensure(target, KeyClass.RECORD)
            keys = (CreatedKey(target, key.key_id, KeyClass.RECORD),)
        appends, references = self._appends(target, record, events)
        subject, version = subject_of(events, references)
        if decision.permission in TOLD_WHEN_DONE:
            # In the same commit: after a crash both are there or neither is.
            told = self.access_log.append(decision.permission, target, request, None, self._now(), resource=subject)
            appends = (*appends, told)
        row = self._replays.row(decision, target, request, references)
        unit = beside._replace(appends=appends, keys=keys, idempotency=row)
        committed = self._store.commit(unit)
        if committed.replay is not None:
            return self._replays.outcome(decision, target, request, committed.replay)
        if isinstance(record, ClientRecord):
            self._keep(record, events, references, committed)
        # The time of the target's own last event, as a retry finds it again; the care team's entry may come later.
        own = self.streams.of(decision.on, target).bytes
        logged_at = max(int.from_bytes(entry[8:16], "big") for _, entry in committed.entries if entry[16:32] == own)
        return Outcome(subject, version, references, from_microseconds(logged_at))

    def _appends(
        self, target: UUID, record: Any, events: Sequence[Event]
    ) -> tuple[tuple[Append, ...], tuple[Reference, ...]]:
        owned: dict[tuple[StreamKind, UUID], list[Event]] = {}
        for event in events:
            # An event of a person belongs to that person's stream, whatever was decided on.
            owner = getattr(event, "staff_id", target) if event.stream_kind is StreamKind.STAFF else target
            owned.setdefault((event.stream_kind, owner), []).append(event)
        appends: list[Append] = []
        places: dict[int, Reference] = {}
        for (kind, owner), group in owned.items():
            stream = self.streams.of(kind, owner)
            version = record.version if kind is _kind_of(record) else self._record(kind, owner).version
            appends.append(self.mapper.append(kind, stream, version, group))
            places.update({id(event): Reference(stream, version + n) for n, event in enumerate(group, 1)})
        return tuple(appends), tuple(places[id(event)] for event in events)

    def _keep(
        self, record: ClientRecord, events: Sequence[Event], references: tuple[Reference, ...], committed: Committed
    ) -> None:
        # Entries come in the order of the appends, which may differ from the order of the events.
        entries = {(e[16:32], int.from_bytes(e[32:40], "big")): (index, e) for index, e in committed.entries}
        for event, (stream, version) in zip(events, references, strict=True):
            if event.stream_kind is StreamKind.CLIENT:
                index, entry = entries[(stream.bytes, version)]
                at = from_microseconds(int.from_bytes(entry[8:16], "big"))
                record.apply(Recorded(event, stream, version, index, at))
        self.cache.keep(record)

    # --- records and retries

    def _record(self, kind: StreamKind, target: UUID) -> Any:
        if kind is StreamKind.CLIENT:
            return self._client(target)
        if kind is StreamKind.TEAM:
            return self.directory.team(target)
        if kind is StreamKind.STAFF:
            return self.directory.staff.get(target) or StaffRecord(target)
        return self.directory.clinic

    def _client(self, client_id: UUID) -> ClientRecord:
        record = self.cache.get(client_id)
        return record if record is not None else self._forward(ClientRecord(client_id=client_id))

    def _forward(self, record: ClientRecord) -> ClientRecord:
        """Move a record that this thread has hold of to the newest state of the log, in place."""
        rows = self._store.history(record.client_id, record.version)
        for recorded in self.mapper.open(StreamKind.CLIENT, record.client_id, rows):
            record.apply(recorded)
        if rows:
            self.cache.keep(record)
        return record

    def _moved(self, kind: StreamKind, target: UUID, record: Any) -> bool:
        """Bring the record to the log's newest state; tell whether that was ahead of `record`."""
        before: int = record.version
        if kind is StreamKind.CLIENT:
            return self._forward(record).version != before
        self.follow()
        newest: int = self._record(kind, target).version
        return newest != before

    # --- the door for readings

    def view(
        self,
        view: View,
        request: Request,
        purpose: Purpose,
        client_id: UUID | None = None,
        *,
        known_at: datetime | None = None,
        valid_at: datetime | None = None,
        resource: UUID | None = None,
        **parameters: Any,
    ) -> Any:
        """Build a view, record the reading, and only then return it.

        Args:
            view: what is read.
            request: who asks.
            purpose: the stated purpose of use.
            client_id: whose record; None for lists and reports.
            known_at: as it was known then.
            valid_at: what was so then.
            resource: the one item wanted.
            **parameters: what else the view takes.

        Raises:
            Refused: and the refusal is recorded.
            NotStored, OutcomeUnknown: the reading could not be recorded, so nothing is shown.
        """
        for _ in range(RETRIES + 1):
            opening = None
            if purpose is Purpose.ETREAT and client_id is not None:
                opening = self._opening(view.action, client_id, request, resource)
            try:
                return self._view(view, request, purpose, client_id, opening, known_at, valid_at, resource, parameters)
            except LostRace:
                # Only an opening names a version: the person's stream moved, maybe by this very opening.
                self.follow()
        raise NotStored("the account is being changed by others")

    def _view(
        self,
        view: View,
        request: Request,
        purpose: Purpose,
        client_id: UUID | None,
        opening: Append | None,
        known_at: datetime | None,
        valid_at: datetime | None,
        resource: UUID | None,
        parameters: dict[str, Any],
    ) -> Any:
        facts: dict[str, Any] = {"resource": resource, "known_at": known_at, "valid_at": valid_at}
        if opening is None:
            relation = self.admit(view.action, client_id, request, purpose, resource)
        else:
            relation = Relation.EMERGENCY
            self._require_kept(view.action, client_id, request, purpose=purpose, resource=resource, relation=relation)
        if relation is Relation.EMERGENCY and client_id is not None:
            facts.update(self._emergency_facts(view.action, client_id, request, resource))
        at = self._now()
        asked = Asked(
            client_id=client_id,
            actor=request.actor,
            relation=relation,
            at=at,
            purpose=purpose,
            known_at=known_at,
            valid_at=valid_at,
            resource=resource,
            parameters=parameters,
        )
        try:
            built = view.build(self.reader, asked)
        except Refused as refusal:
            told: dict[str, Any] = {"purpose": purpose, "resource": resource, "relation": relation}
            self.refuse(view.action, client_id, request, reason_of(refusal), **told)
            raise
        shown: tuple[UUID | None, ...] = built.clients if client_id is None and built.clients else (client_id,)
        appends = tuple(self.access_log.append(view.action, client, request, purpose, at, **facts) for client in shown)
        opened = () if opening is None else (opening,)
        self._store.commit(Unit(appends=opened + appends, puts=built.puts))
        return built.document

    # --- readings in an emergency

    def _opening(self, action: str, client_id: UUID, request: Request, resource: UUID | None) -> Append | None:
        """Return what opens the client under the grant that the request names; None where there is nothing to open.

        Raises:
            NotPermitted, RuleBroken: the grant is none, or not good now; and the refusal is recorded.
        """
        self.follow()
        actor, plea = request.actor, request.plea
        account = self.directory.account(actor.id)
        if plea is None or plea.access_id is None or account is None:
            return None
        if self.directory.emergency(actor.id, client_id, self._now()) is not None:
            return None
        if denial(action, actor.role, Relation.EMERGENCY, Purpose.ETREAT) is not None:
            return None
        if denial(open_emergency_access.permission, actor.role, Relation.NONE, None) is not None:
            return None
        try:
            events = open_emergency_access(
                account, self._context(request), access_id=plea.access_id, client_id=client_id
            )
        except Refused as refusal:
            reason = refusal.reason if isinstance(refusal, NotPermitted) else reason_of(refusal)
            self.refuse(action, client_id, request, reason, purpose=Purpose.ETREAT, resource=resource)
            raise
        return self._glass.opening(account.staff_id, account.version, events)

    def _emergency_facts(self, action: str, client_id: UUID, request: Request, resource: UUID | None) -> dict[str, Any]:
        """Return what marks a reading in an emergency.

        Raises:
            NotPermitted: it gives no reason; and the refusal is recorded.
        """
        if request.plea is None:
            told: dict[str, Any] = {"purpose": Purpose.ETREAT, "relation": Relation.EMERGENCY, "resource": resource}
            self.refuse(action, client_id, request, "reason", **told)
            raise NotPermitted("reason")
        access = self.directory.emergency(request.actor.id, client_id, self._now())
        access_id = request.plea.access_id if access is None else access.access_id
        sealed = self._glass.sealed_reason(client_id, request)
        return {"relation": Relation.EMERGENCY, "emergency": access_id, "sealed_reason": sealed}


def _kind_of(record: Any) -> StreamKind:
    if isinstance(record, ClientRecord):
        return StreamKind.CLIENT
    if isinstance(record, StaffRecord):
        return StreamKind.STAFF
    return StreamKind.TEAM if isinstance(record, TeamRecord) else StreamKind.CLINIC
