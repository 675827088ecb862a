"""The directory: accounts, tokens, care teams and the clinic, folded from sealed events into memory.

Source: CRYPTO 5 (what the running service trusts).

- It is folded from opened and verified events only, never from a clear table.
- It follows the log by index; whoever decides first brings it to the newest clinic entry.
- A token is found by its keyed digest, and is good while it is not expired, revoked or of a disabled account.

It does not open events and does not decide (`records.service`, `records.policy`).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from records.actors import Actor, Relation
from records.care_team import CareTeamMemberAdded, CareTeamMemberRemoved, TeamRecord
from records.clinic_record import ClinicRecord
from records.event import Recorded, StreamKind
from records.staff import StaffRecord, TokenIssued


class Directory:
    """What is known of staff, teams and clinic up to `position` (a ledger index, -1 at first)."""

    def __init__(self) -> None:
        self.position = -1
        self.clinic = ClinicRecord()
        self.staff: dict[UUID, StaffRecord] = {}
        self.teams: dict[UUID, TeamRecord] = {}
        self._tokens: dict[bytes, tuple[UUID, UUID]] = {}
        self._names: dict[str, str] = {}

    def apply(self, recorded: Recorded) -> None:
        """Apply the next clinic-class event."""
        event = recorded.event
        # Records are replaced, never changed, since decisions and other threads may hold them.
        if isinstance(event, CareTeamMemberAdded | CareTeamMemberRemoved):
            team = msgspec.structs.replace(self.team(event.client_id))
            event.apply(team, recorded.version)
            self.teams[event.client_id] = team
        elif event.stream_kind is StreamKind.STAFF:
            account = msgspec.structs.replace(self.staff.get(recorded.stream) or StaffRecord(recorded.stream))
            event.apply(account, recorded.version)
            self.staff[recorded.stream] = account
            self._names[str(account.staff_id)] = account.name
            if isinstance(event, TokenIssued):
                self._tokens[event.digest] = (recorded.stream, event.token_id)
        elif event.stream_kind is StreamKind.CLINIC:
            clinic = msgspec.structs.replace(self.clinic)
            event.apply(clinic, recorded.version)
            self.clinic = clinic
        self.position = recorded.index

    def team(self, client_id: UUID) -> TeamRecord:
        """Return the care team of a client, empty where there is none."""
        return self.teams.get(client_id) or TeamRecord(client_id)

    def relation(self, staff_id: str, client_id: UUID) -> Relation:
        """Return how a person stands to a client."""
        team = self.teams.get(client_id)
        return Relation(team.parts.get(staff_id, "none")) if team is not None else Relation.NONE

    def clients_of(self, staff_id: str, relation: Relation) -> frozenset[UUID]:
        """Return the clients to whom a person stands in this relation. O(teams)."""
        return frozenset(
            client_id for client_id, team in self.teams.items() if team.parts.get(staff_id) == relation.value
        )

    def authenticate(self, digest: bytes, now: datetime, address: str) -> Actor | None:
        """Return the actor whose token has this digest, or None where no good token has it."""
        found = self._tokens.get(digest)
        if found is None:
            return None
        record = self.staff[found[0]]
        token = record.tokens[found[1]]
        if record.disabled or token.revoked or now >= token.expires_at:
            return None
        return Actor(id=str(record.staff_id), role=record.role, address=address)

    def name_of(self, staff_id: str) -> str:
        """Return the name that reports show for an actor id; operators and clients are shown by their id."""
        return self._names.get(staff_id, staff_id)
