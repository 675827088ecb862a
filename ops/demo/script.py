"""The demo clinic's script: who did what, when; written in any order, played in the order of time.

- An act is a decision by a member of staff, a reading, or something that was tried and refused.
- Playing goes through `Migration`, so every act is decided by the rules that hold for everybody. An act that the rules
  refuse, and that was not written as a refusal, is a defect of the script and ends the making of the demo.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from records.access_log import reason_of
from records.actors import Actor, Purpose, Role
from records.decision import Decision
from records.errors import NotPermitted, Refused
from records.migration import Migration
from records.request import Request

PURPOSES = {
    Role.SUPERVISOR: Purpose.HQUALIMP,
    Role.PRIVACY_OFFICER: Purpose.HCOMPL,
    Role.RECORDS_CLERK: Purpose.PATRQT,
}
"""Role → the purpose for which it reads; the others read to treat."""


class Act(NamedTuple):
    """One thing that somebody did.

    Attributes:
        at: when.
        place: its number in the script, which orders what happens at one moment.
        actor: who.
        target: the client, account or clinic; None for readings that name nobody.
        decision: what is decided; None for a reading.
        action: for a reading, what it is in the policy table.
        resource: for a reading, the one item that is read.
        refused: the reason with which it is refused; None where it is not.
        arguments: of the decision.
    """

    at: datetime
    place: int
    actor: Actor
    target: UUID | None
    decision: Decision | None = None
    action: str = ""
    resource: UUID | None = None
    refused: str | None = None
    arguments: dict[str, Any] | None = None


class Script:
    """Collects acts and plays them; what lies after `end` is still to come and is left out."""

    def __init__(self, end: datetime) -> None:
        self.end = end
        self._acts: list[Act] = []

    def do(self, at: datetime, actor: Actor, target: UUID, decision: Decision, **arguments: Any) -> None:
        """Somebody decides something."""
        self._acts.append(Act(at, len(self._acts), actor, target, decision, arguments=arguments))

    def try_in_vain(
        self, at: datetime, actor: Actor, target: UUID, decision: Decision, refused: str, **arguments: Any
    ) -> None:
        """Somebody tries what a rule forbids."""
        self._acts.append(Act(at, len(self._acts), actor, target, decision, refused=refused, arguments=arguments))

    def read(
        self,
        at: datetime,
        actor: Actor,
        action: str,
        client: UUID | None = None,
        resource: UUID | None = None,
        refused: str | None = None,
    ) -> None:
        """Somebody reads, or is refused."""
        self._acts.append(Act(at, len(self._acts), actor, client, action=action, resource=resource, refused=refused))

    def play(self, migration: Migration) -> None:
        """Play everything in the order of time.

        Raises:
            Refused: a rule refuses what the script does not expect to be refused.
            ValueError: a rule does not refuse what it was to refuse.
        """
        for act in sorted((act for act in self._acts if act.at <= self.end), key=lambda each: each[:2]):
            try:
                _perform(migration, act)
            except Refused as refusal:
                told = refusal.reason if isinstance(refusal, NotPermitted) else reason_of(refusal)
                if told != act.refused:
                    raise
                purpose = None if act.decision else PURPOSES.get(act.actor.role, Purpose.TREAT)
                action = act.decision.permission if act.decision else act.action
                migration.refuse(action, _request(act), purpose, act.target, act.at, told, act.resource)
            else:
                if act.refused is not None:
                    raise ValueError("an act of the script was to be refused and was not")


def _perform(migration: Migration, act: Act) -> None:
    if act.decision is not None and act.target is not None:
        migration.transact(act.target, act.decision, _request(act), act.at, **(act.arguments or {}))
        return
    purpose = PURPOSES.get(act.actor.role, Purpose.TREAT)
    migration.read(act.action, _request(act), purpose, act.target, act.at, act.resource)


def _request(act: Act) -> Request:
    return Request(act.actor, f"demo:{act.place}")
