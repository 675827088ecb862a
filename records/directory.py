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
from records.emergency import EmergencyAccessGranted
from records.event import Recorded, StreamKind
from records.reviews import AccessReviewOpened
from records.staff import TokenIssued
from records.staff_record import OpenAccess, Review, StaffRecord


class Directory:
    """What is known of staff, teams and clinic up to `position` (a ledger index, -1 at first)."""

    def __init__(self) -> None:
        self.position = -1
        self.clinic = ClinicRecord()
        self.staff: dict[UUID, StaffRecord] = {}
        self.teams: dict[UUID, TeamRecord] = {}
        self._tokens: dict[bytes, tuple[UUID, UUID]] = {}
        self._names: dict[str, str] = {}
        self._grants: dict[UUID, UUID] = {}
        self._reviews: dict[UUID, tuple[UUID, int]] = {}
        self._reviews_of: dict[UUID, tuple[UUID, ...]] = {}

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
            elif isinstance(event, EmergencyAccessGranted):
                self._grants[event.access_id] = recorded.stream
            elif isinstance(event, AccessReviewOpened):
                self._reviews[event.review_id] = (recorded.stream, recorded.index)
                self._reviews_of[event.client_id] = (*self._reviews_of.get(event.client_id, ()), event.review_id)
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

    def emergency(self, staff_id: str, client_id: UUID, now: datetime) -> OpenAccess | None:
        """Return the emergency access that opens a client to a person now, or None."""
        account = self.account(staff_id)
        access = account.opened.get(client_id) if account is not None else None
        return access if access is not None and now < access.until else None

    def account(self, staff_id: str) -> StaffRecord | None:
        """Return the account of an actor, or None for an operator."""
        try:
            return self.staff.get(UUID(staff_id))
        except ValueError:
            return None

    def review(self, review_id: UUID) -> tuple[StaffRecord, Review] | None:
        """Return a review with the person that it is about, or None."""
        if review_id not in self._reviews:
            return None
        account = self.staff[self._reviews[review_id][0]]
        return account, account.reviews[review_id]

    def review_index(self, review_id: UUID) -> int:
        """Return the ledger index at which a review was opened; what it is about comes after it."""
        return self._reviews[review_id][1]

    def holder_of(self, access_id: UUID) -> StaffRecord | None:
        """Return the account that an emergency access was granted to, or None where there is no such access."""
        return self.staff[self._grants[access_id]] if access_id in self._grants else None

    def reviews(self) -> tuple[UUID, ...]:
        """Return the ids of all reviews, in the order in which they were opened."""
        return tuple(self._reviews)

    def reviews_of(self, client_id: UUID) -> tuple[UUID, ...]:
        """Return the ids of the reviews that are about a client's record, oldest first."""
        return self._reviews_of.get(client_id, ())

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
        known = self._names.get(staff_id)
        return self.clinic.former_staff.get(staff_id, staff_id) if known is None else known
