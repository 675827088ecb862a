"""Calls: what a route gets when a request was let in, and how it answers.

Source: DESIGN (the two doors); CONTRACT (HTTP).

- `Door.enter` tells who asks and how often they may; a failed sign-in names nobody and is summed.
- A `Reading` shows a view; a `Change` transacts. Both go through the doors of `records.service` and nowhere else.
- An id that the caller does not make is drawn from the retry key, so that a retry names the same.

It declares no route (`api.door`), decides nothing and stores nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol
from uuid import UUID

import msgspec
from flask import Response, current_app, g, request

from api import forms, headers
from api.answers import JSON, Written, answer
from api.cursors import Cursors
from api.problems import Unacceptable
from api.rate_limit import FailedSignIns, RateLimit
from projections.audit_index import AuditIndex
from projections.export.releasing import Releasing
from projections.log_proofs import LogProofs
from projections.patterns_report import PatternsView
from projections.retention import RetentionDueView
from projections.roster import Roster
from records.access_log import reason_of
from records.actors import Purpose
from records.attachment_files import AttachmentFiles
from records.client_record import ClientRecord
from records.decision import Decision
from records.drafts import Drafts
from records.emergency_door import EmergencyDoor
from records.erasing import Erasing
from records.erasure_door import ErasureDoor
from records.errors import InvalidContent, NotPermitted, UnknownItem
from records.event import StreamKind
from records.reader import View
from records.request import IdempotencyKey, Outcome, Request
from records.sealing import keyed_digest
from records.service import Service

EXTENSION = "wellkept"


class Clinic(Protocol):
    """What HTTP needs of an opened clinic."""

    @property
    def service(self) -> Service:
        """The two doors."""

    @property
    def drafts(self) -> Drafts:
        """The door for drafts."""

    @property
    def attachments(self) -> AttachmentFiles:
        """The door for the files of attachments."""

    @property
    def emergency(self) -> EmergencyDoor:
        """The door for emergency access."""

    @property
    def erasure(self) -> ErasureDoor:
        """The door for erasure."""

    @property
    def releasing(self) -> Releasing:
        """What releases exports."""

    @property
    def erasing(self) -> Erasing:
        """What completes an erasure."""

    @property
    def roster(self) -> Roster:
        """Caseload and client list."""

    @property
    def patterns(self) -> PatternsView:
        """Patterns in who looked."""

    @property
    def retention(self) -> RetentionDueView:
        """Whose deadlines have passed."""

    @property
    def audit_index(self) -> AuditIndex:
        """The audit over many clients."""


class Door:
    """Lets requests in to one clinic. Any thread may use it."""

    def __init__(self, clinic: Clinic, limit: RateLimit, failures: FailedSignIns) -> None:
        self.clinic = clinic
        self.service = clinic.service
        self.failures = failures
        self._limit = limit
        self.proofs = LogProofs(self.service.reader)
        self._cursor_key = Cursors(self.service.streams.service_key("cursor"))
        self._id_key = self.service.streams.service_key("new-id")

    @property
    def cursors(self) -> Cursors:
        """Makes and opens cursors."""
        return self._cursor_key

    def enter(self) -> Request:
        """Return who asks.

        Raises:
            Unacceptable: `unauthenticated`, or `too-many-requests` before anything is written.
        """
        self.failures.flush()
        token = headers.bearer_token(request)
        actor = None if token is None else self.service.authenticate(token, request.remote_addr or "unknown")
        if token is None or actor is None:
            self.failures.add()
            raise Unacceptable("unauthenticated")
        wait = self._limit.take(self.service.token_digest(token))
        if wait is not None:
            raise Unacceptable("too-many-requests", retry_after_seconds=wait)
        return Request(actor, request_id())

    def turn_away(
        self, action: str, client_id: UUID | None, asked: Request, fault: Unacceptable, purpose: Purpose | None = None
    ) -> NoReturn:
        """Answer a request that cannot be read: first whether it would be permitted, then what is wrong with it.

        Raises:
            NotPermitted: and the refusal is recorded.
            Unacceptable: the fault; recorded where a client was named.
        """
        try:
            self.service.admit(action, client_id, asked, purpose)
        except NotPermitted as refusal:
            # That these must be stated is no secret, and says nothing of the client.
            if (refusal.reason, fault.name) in (("purpose", "purpose-missing"), ("relation", "reason-missing")):
                raise fault from None
            raise
        if client_id is not None:
            self.service.refuse(action, client_id, asked, "malformed", purpose=purpose)
        raise fault

    def draw_id(self, key: IdempotencyKey, actor: str, use: str) -> UUID:
        """Return the id that a request gives to something new: random to everyone else, the same for a retry."""
        drawn = keyed_digest(self._id_key, actor.encode(), key.route.encode(), key.key.encode(), use.encode())
        return UUID(bytes=drawn[:16], version=4)


def the_door() -> Door:
    """Return the door of the clinic that is served."""
    found: Door = current_app.extensions[EXTENSION]
    return found


def request_id() -> str:
    """Return the id of this request, made when it is first asked for."""
    if "request_id" not in g:
        g.request_id = uuid.uuid4().hex
    found: str = g.request_id
    return found


class Reading:
    """A reading that was understood: who asks, why, and for what."""

    __slots__ = ("_door", "_form", "_items", "_scope", "purpose", "query", "request")

    def __init__(
        self,
        door: Door,
        asked: Request,
        purpose: Purpose,
        query: dict[str, Any],
        scope: tuple[str, ...],
        form: str = JSON,
        items: type[msgspec.Struct] | None = None,
    ) -> None:
        self._door = door
        self._scope = scope
        self._form = form
        self._items = items
        self.request = asked
        self.purpose = purpose
        self.query = query

    @property
    def clinic(self) -> Clinic:
        """The clinic."""
        return self._door.clinic

    def show(self, view: View, client_id: UUID | None = None, resource: UUID | None = None) -> Any:
        """Return the document of a view; its reading is recorded when this returns."""
        return self._door.service.view(view, self.request, self.purpose, client_id, resource=resource, **self.query)

    @property
    def form(self) -> str:
        """The media type that the caller accepts."""
        return self._form

    @property
    def proofs(self) -> LogProofs:
        """The log's own proofs."""
        return self._door.proofs

    def page(self, view: View, client_id: UUID | None = None) -> Response:
        """Return a page of a view, its `next` as a cursor, in the form that the caller accepts."""
        document = self.show(view, client_id)
        cursor = None
        if document.next is not None:
            cursor = self._door.cursors.make(str(document.next), *self._scope)
            document = msgspec.structs.replace(document, next=cursor)
        if self._items is None:
            return answer(document)
        address = forms.following(request.path, request.args.to_dict(), cursor)
        if self._form != JSON:
            return forms.answer_in(self._form, document, self._items, address)
        answered = answer(document)
        answered.headers.extend(forms.link(address))
        return answered


class Proving:
    """A question about the log's own proofs that was let in: what is asked, and what answers."""

    __slots__ = ("proofs", "query")

    def __init__(self, proofs: LogProofs, query: dict[str, Any]) -> None:
        self.proofs = proofs
        self.query = query


class Change:
    """A change that was understood: who asks, and for what."""

    __slots__ = ("_decision", "_door", "body", "request")

    def __init__(self, door: Door, asked: Request, decision: Decision | None, body: dict[str, Any]) -> None:
        self._door = door
        self._decision = decision
        self.request = asked
        self.body = body

    @property
    def service(self) -> Service:
        """The doors of the clinic."""
        return self._door.service

    @property
    def drafts(self) -> Drafts:
        """The door for drafts."""
        return self._door.clinic.drafts

    @property
    def attachments(self) -> AttachmentFiles:
        """The door for the files of attachments."""
        return self._door.clinic.attachments

    @property
    def emergency(self) -> EmergencyDoor:
        """The door for emergency access."""
        return self._door.clinic.emergency

    @property
    def erasure(self) -> ErasureDoor:
        """The door for erasure."""
        return self._door.clinic.erasure

    @property
    def releasing(self) -> Releasing:
        """What releases exports."""
        return self._door.clinic.releasing

    @property
    def erasing(self) -> Erasing:
        """What completes an erasure."""
        return self._door.clinic.erasing

    def new_id(self, use: str = "") -> UUID:
        """Take the id that the caller made, or draw one from the retry key."""
        made: UUID | None = self.body.pop("id", None)
        key = self.request.idempotency
        if made is not None or key is None:
            return made or uuid.uuid4()
        return self._door.draw_id(key, self.request.actor.id, use)

    def write(
        self, target: UUID, subject: UUID, *, decision: Decision | None = None, location: str | None = None, **more: Any
    ) -> Response:
        """Transact with the body and `more` as arguments, and answer.

        Args:
            target: the client.
            subject: the resource that it is about.
            decision: the decision, where it is not the declared one.
            location: where what was made can be read.
            **more: further arguments of the decision.
        """
        decided = decision or self._decision
        if decided is None:
            raise TypeError("a change without a decision writes through a door of its own")
        outcome = self.service.transact(target, decided, self.request, **self.body, **more)
        return self.written(outcome, target, subject, location, decided.on)

    def refuse(self, client_id: UUID, refusal: UnknownItem | InvalidContent) -> NoReturn:
        """Refuse what only HTTP can see to be wrong: first whether it would be permitted, then why not.

        Raises:
            NotPermitted, UnknownItem, InvalidContent: and the refusal is recorded.
        """
        decided = self._decision
        if decided is None:
            raise TypeError("only a declared decision is refused here")
        self.service.admit(decided.permission, client_id, self.request)
        self.service.refuse(decided.permission, client_id, self.request, reason_of(refusal))
        raise refusal

    def written(
        self,
        outcome: Outcome,
        target: UUID,
        subject: UUID,
        location: str | None = None,
        kind: StreamKind = StreamKind.CLIENT,
    ) -> Response:
        """Return the answer to what was written, or to that there was nothing to do."""
        version = outcome.version
        if version is None:
            version = self._standing_version(target, subject, kind)
        done = outcome.version is not None
        status = 201 if done and request.method == "POST" else 200
        document = Written(id=subject, version=version, recorded_at=outcome.recorded_at)
        return answer(document, status, version, location if status == 201 else None)

    def _standing_version(self, target: UUID, subject: UUID, kind: StreamKind) -> int:
        if kind is StreamKind.TEAM:
            return self.service.directory.team(target).version
        if kind is StreamKind.CLINIC:
            clinic = self.service.directory.clinic
            return (clinic.erasures.get(subject) or clinic.draws[subject]).version
        if kind is StreamKind.STAFF:
            return self._account_version(subject)
        return _version_of(self.service.client(target), subject)

    def _account_version(self, subject: UUID) -> int:
        """Return where the stream of the person stands to whom an emergency access or a review belongs."""
        directory = self.service.directory
        review = directory.review(subject)
        account = directory.holder_of(subject) if review is None else review[0]
        return account.version if account is not None else 0


def _version_of(record: ClientRecord, subject: UUID) -> int:
    kinds: Sequence[Mapping[UUID, Any]] = (
        record.consents,
        record.episodes,
        record.sessions,
        record.assessments,
        record.goals,
        record.notes,
        record.risk_assessments,
        record.attachments,
        record.disclosures,
        record.holds,
    )
    found = next((items[subject] for items in kinds if subject in items), None)
    return record.identity_version if found is None else int(found.version)
