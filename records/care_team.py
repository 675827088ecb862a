"""The care team: who treats a client, and who supervises that treatment.

Source: DESIGN (streams and keys); AUDIT (break-glass: adding oneself is an emergency access).

Rules:
- Members treat; supervisors review. One person is one of the two, not both.
- Nobody adds themselves to the team of an existing client, but in an emergency: under an access that is open, for
  themselves only. That opens a review of its own, since it outlasts the access, and the team is told.
- Whoever registers a client as a therapist is its first member, in the same commit.
- A change is seen at the next request.

It does not decide what a member may do: see `records.policy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from records.decision import Context, decision
from records.errors import RuleBroken
from records.event import Event, StreamKind
from records.reviews import open_review

Part = Literal["team", "supervises"]


class TeamRecord(msgspec.Struct):
    """The care team of one client: staff id (as text) → part."""

    client_id: UUID
    version: int = 0
    parts: dict[str, Part] = msgspec.field(default_factory=dict)


class CareTeamMemberAdded(Event, frozen=True, kw_only=True, tag="care_team.member_added"):
    """A person joined the client's care team as a member or supervisor. Since 1.

    Attributes:
        emergency: the emergency access under which they added themselves; None where somebody else added them.
    """

    stream_kind = StreamKind.TEAM
    subject = "client_id"

    client_id: UUID
    staff_id: str
    part: Part
    emergency: UUID | None = None

    def apply(self, record: TeamRecord, version: int) -> None:
        """Give the person the part."""
        record.parts = {**record.parts, self.staff_id: self.part}
        record.version = version


class CareTeamMemberRemoved(Event, frozen=True, kw_only=True, tag="care_team.member_removed"):
    """A person left the client's care team. Since 1."""

    stream_kind = StreamKind.TEAM
    subject = "client_id"
    lifecycle = "deprecate"

    client_id: UUID
    staff_id: str

    def apply(self, record: TeamRecord, version: int) -> None:
        """Take the part away."""
        record.parts = {staff: part for staff, part in record.parts.items() if staff != self.staff_id}
        record.version = version


EVENTS = (CareTeamMemberAdded, CareTeamMemberRemoved)


@decision("care_team.change", on=StreamKind.TEAM)
def put_member(record: TeamRecord, context: Context, *, staff_id: str, part: Part) -> Sequence[Event]:
    """Give a person a part in the care team; nothing to do where they have it.

    Raises:
        RuleBroken: `own-membership`: the actor would add or promote themselves.
    """
    if record.parts.get(staff_id) == part:
        return []
    if staff_id == context.actor.id:
        raise RuleBroken("own-membership", "Somebody else must add you to this care team.")
    return [CareTeamMemberAdded(client_id=record.client_id, staff_id=staff_id, part=part, **context.stamp())]


@decision("care_team.join", on=StreamKind.TEAM)
def join_team(
    record: TeamRecord, context: Context, *, part: Part, access_id: UUID, ground: str, review_id: UUID
) -> Sequence[Event]:
    """Add the actor themselves, in an emergency, and open the review of it; nothing to do where they have a part.

    Args:
        record: the care team.
        context: who joins, and when.
        part: the part that they take.
        access_id: the emergency access that is open to them.
        ground: its coded ground.
        review_id: id of the review of this.
    """
    actor_id = context.actor.id
    if actor_id in record.parts:
        return []
    joined = CareTeamMemberAdded(
        client_id=record.client_id, staff_id=actor_id, part=part, emergency=access_id, **context.stamp()
    )
    review = open_review(
        context,
        staff_id=UUID(actor_id),
        review_id=review_id,
        client_id=record.client_id,
        cause="own-membership",
        ground=ground,
    )
    return [joined, review]


@decision("care_team.change", on=StreamKind.TEAM)
def remove_member(record: TeamRecord, context: Context, *, staff_id: str) -> Sequence[Event]:
    """Take a person out of the care team; nothing to do where they are not in it."""
    if staff_id not in record.parts:
        return []
    return [CareTeamMemberRemoved(client_id=record.client_id, staff_id=staff_id, **context.stamp())]
