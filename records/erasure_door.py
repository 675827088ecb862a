"""The door for erasure: asks what forbids it, and closes the record in the commit of the approval.

Source: CRYPTO 7 (steps 1 and 2); AUDIT (retention, legal hold).

- Permission first, on the client, and every refusal leaves its entry with them.
- Retention and legal holds are asked on the newest state of the record, which must still be the newest when the
  approval is stored: a hold that is placed at the same moment is not passed over.
- The approval and the fence are one commit: there is no approved erasure whose record still takes events.

It destroys no key (`records.erasing`).
"""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from records.access_log import reason_of
from records.client_record import ClientRecord
from records.clinic_record import ErasureState
from records.decision import Decision
from records.erasure import approve_erasure, request_erasure, withdraw_erasure
from records.errors import Refused, UnknownItem
from records.request import Outcome, Request
from records.retention import may_be_erased
from records.service import Service
from records.store.unit import Reference, Unit


class ErasureDoor:
    """Requests, approves and withdraws erasures. Any thread may use it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def request(self, client_id: UUID, erasure_id: UUID, basis: str, request: Request) -> Outcome:
        """Request the erasure of a client.

        Raises:
            NotPermitted, UnknownClient, Erased: and the refusal is recorded.
            RuleBroken, InvalidContent: see `records.erasure.request_erasure`; and it is recorded.
        """
        self._service.admit(request_erasure.permission, client_id, request)
        try:
            record = self._service.client(client_id)
            told = {"client_id": client_id, "basis": basis, "forbidden": self._forbidden(record, basis)}
            return self._transact(request_erasure, request, Unit(), erasure_id, told)
        except Refused as refusal:
            self._refuse(request_erasure, client_id, request, refusal, erasure_id)
            raise

    def approve(self, client_id: UUID, erasure_id: UUID, request: Request) -> Outcome:
        """Approve somebody else's request; from the commit on the record is closed.

        Raises:
            NotPermitted: and the refusal is recorded.
            UnknownItem: there is no such request for this client; and it is recorded.
            RuleBroken: see `records.erasure.approve_erasure`; and it is recorded.
            NotStored: the record was being changed at the same moment.
        """
        self._service.admit(approve_erasure.permission, client_id, request)
        try:
            state = self._state(client_id, erasure_id)
            if client_id in self._service.directory.clinic.erased:
                return self._transact(approve_erasure, request, Unit(), erasure_id, {"forbidden": (), "disclosures": 0})
            # Nobody of this process changes the record meanwhile; the commit sees to the others.
            with self._service.cache.hold(client_id):
                record = self._service.client(client_id)
                told = {
                    "forbidden": self._forbidden(record, state.basis or ""),
                    "disclosures": sum(each.status == "made" for each in record.disclosures.values()),
                }
                closing = Unit(fences=(client_id,), unmoved=(Reference(client_id, record.version),))
                return self._transact(approve_erasure, request, closing, erasure_id, told)
        except Refused as refusal:
            self._refuse(approve_erasure, client_id, request, refusal, erasure_id)
            raise
        finally:
            self._service.follow()

    def withdraw(self, client_id: UUID, erasure_id: UUID, ground: str, request: Request) -> Outcome:
        """Withdraw a request that nobody approved.

        Raises:
            NotPermitted, UnknownItem: and the refusal is recorded.
            RuleBroken, InvalidContent: see `records.erasure.withdraw_erasure`; and it is recorded.
        """
        self._service.admit(withdraw_erasure.permission, client_id, request)
        try:
            self._state(client_id, erasure_id)
            return self._transact(withdraw_erasure, request, Unit(), erasure_id, {"ground": ground})
        except Refused as refusal:
            self._refuse(withdraw_erasure, client_id, request, refusal, erasure_id)
            raise

    def state(self, erasure_id: UUID) -> ErasureState:
        """Return where an erasure stands, by the log's newest entry.

        Raises:
            UnknownItem: there is none of this id.
        """
        self._service.follow()
        found = self._service.directory.clinic.erasures.get(erasure_id)
        if found is None:
            raise UnknownItem("erasure")
        return found

    def _state(self, client_id: UUID, erasure_id: UUID) -> ErasureState:
        found = self.state(erasure_id)
        if found.client_id != client_id:
            raise UnknownItem("erasure")
        return found

    def _forbidden(self, record: ClientRecord, basis: str) -> tuple[str, ...]:
        policy = self._service.directory.clinic.policy
        zone = ZoneInfo(policy.timezone)
        today = self._service.now().astimezone(zone).date()
        holds = record.holds.values()
        permission = may_be_erased(record, policy.retention_profile, holds, today, basis, zone)
        return tuple(ground.text for ground in permission.grounds)

    def _transact(
        self, decision: Decision, request: Request, beside: Unit, erasure_id: UUID, told: dict[str, object]
    ) -> Outcome:
        clinic = self._service.streams.clinic
        return self._service.transact(clinic, decision, request, beside=beside, erasure_id=erasure_id, **told)

    def _refuse(
        self, decision: Decision, client_id: UUID, request: Request, refusal: Refused, erasure_id: UUID
    ) -> None:
        self._service.refuse(decision.permission, client_id, request, reason_of(refusal), resource=erasure_id)
