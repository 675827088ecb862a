"""The door for emergency access: proves who asks by a one-time code, and turns a grant over to the two doors.

Source: AUDIT (break-glass); RFC 6238; CRYPTO 5.

- Permission first, then the code, then whether there is such a client: nothing is told to whoever proved nothing.
- A wrong code is an event of the person and an entry of the client; after too many none is looked at for a while.
- A grant and the use of its code are one commit. A confirmation is two: a crash between them leaves a used code and no
  confirmation, and the next code makes it good.

It opens no record: a reading does, with the grant (`records.service`).
"""

from __future__ import annotations

from uuid import UUID

from records.access_log import reason_of
from records.actors import Actor, Relation
from records.emergency import approve_emergency_access, grant_emergency_access
from records.errors import NotPermitted, Refused, RuleBroken, UnknownItem
from records.one_time_code import provisioning_uri, secret_of, step_of
from records.request import Outcome, Request
from records.reviews import close_review
from records.second_factor import enrol_second_factor, refuse_code, use_code
from records.service import Service
from records.staff_record import ReviewOutcome


class EmergencyDoor:
    """Enrols second factors, grants and confirms emergency accesses, closes reviews. Any thread may use it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._key = service.streams.service_key("second-factor")

    def enrol(self, staff_id: UUID, enrolment: bytes, request: Request) -> str:
        """Give an account a second factor; return the address for its authenticator app, told only here.

        Raises:
            NotPermitted: the actor may not.
            UnknownItem, RuleBroken: see `records.second_factor.enrol_second_factor`.
        """
        self._service.transact(staff_id, enrol_second_factor, request, enrolment=enrolment)
        self._service.follow()
        directory = self._service.directory
        secret = secret_of(self._key, staff_id, enrolment)
        return provisioning_uri(secret, directory.name_of(str(staff_id)), directory.clinic.name)

    def grant(self, client_id: UUID, access_id: UUID, ground: str, code: str, request: Request) -> Outcome:
        """Grant the actor to open one client once.

        Raises:
            NotPermitted, UnknownClient: and the refusal is recorded.
            RuleBroken: `code-wrong`, `code-used`, `second-factor-missing`, `access-exists`; and it is recorded.
            TooManyAttempts: and it is recorded.
        """
        action = grant_emergency_access.permission
        self._service.admit(action, client_id, request)
        try:
            staff_id = UUID(request.actor.id)
            replay = self._service.replay(staff_id, grant_emergency_access, request)
            if replay is not None:
                return replay
            step = self._step(staff_id, code, request)
            self._service.client(client_id)
            return self._service.transact(
                staff_id,
                grant_emergency_access,
                request,
                access_id=access_id,
                client_id=client_id,
                ground=ground,
                step=step,
            )
        except Refused as refusal:
            self._service.refuse(action, client_id, request, reason_of(refusal), resource=access_id)
            raise

    def approve(self, client_id: UUID, access_id: UUID, code: str, request: Request) -> Outcome:
        """Confirm somebody else's grant with one's own code.

        Raises:
            NotPermitted: and the refusal is recorded.
            UnknownItem: there is no such grant for this client; and it is recorded.
            RuleBroken: `own-approval`, `grant-expired`, `grant-used`, and those of the code; and it is recorded.
            TooManyAttempts: and it is recorded.
        """
        action = approve_emergency_access.permission
        self._service.admit(action, client_id, request)
        try:
            account = self._service.directory.holder_of(access_id)
            if account is None:
                raise UnknownItem("emergency access")
            holder = account.staff_id
            replay = self._service.replay(holder, approve_emergency_access, request)
            if replay is not None:
                return replay
            approver = UUID(request.actor.id)
            step = self._step(approver, code, request)
            self._service.transact(approver, use_code, request._replace(idempotency=None), step=step)
            return self._service.transact(
                holder, approve_emergency_access, request, access_id=access_id, client_id=client_id
            )
        except Refused as refusal:
            self._service.refuse(action, client_id, request, reason_of(refusal), resource=access_id)
            raise

    def close_review(self, review_id: UUID, request: Request, outcome: ReviewOutcome, finding: str) -> Outcome:
        """Close a review.

        Raises:
            NotPermitted, UnknownItem, RuleBroken, InvalidContent: see `records.reviews.close_review`; and the
                refusal is recorded.
        """
        self._service.admit(close_review.permission, None, request)
        found = self._service.directory.review(review_id)
        try:
            if found is None:
                raise UnknownItem("review")
            return self._service.transact(
                found[0].staff_id, close_review, request, review_id=review_id, outcome=outcome, finding=finding
            )
        except Refused as refusal:
            client_id = None if found is None else found[1].client_id
            reason = refusal.reason if isinstance(refusal, NotPermitted) else reason_of(refusal)
            self._service.refuse(close_review.permission, client_id, request, reason, resource=review_id)
            raise

    def own(self, client_id: UUID, actor: Actor) -> tuple[UUID, str] | None:
        """Return id and ground of the emergency access by which alone a client is open to the actor; None for none."""
        self._service.follow()
        directory = self._service.directory
        access = directory.emergency(actor.id, client_id, self._service.now())
        account = directory.account(actor.id)
        if access is None or account is None or directory.relation(actor.id, client_id) is not Relation.NONE:
            return None
        return access.access_id, account.grants[access.access_id].ground

    def _step(self, staff_id: UUID, code: str, request: Request) -> int:
        """Return the time step of a code that is right; count one that is wrong."""
        factor = self._service.directory.staff[staff_id].second_factor
        if factor is None:
            raise RuleBroken(
                "second-factor-missing", "This account has no second factor yet; an administrator enrols it."
            )
        secret = secret_of(self._key, staff_id, factor.enrolment)
        step = step_of(secret, code, self._service.now())
        if step is None:
            self._service.transact(staff_id, refuse_code, request._replace(idempotency=None))
            raise RuleBroken("code-wrong", "This is not the code of this moment.")
        return step
