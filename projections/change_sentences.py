"""Changes of accounts, tokens, care teams and the clinic as sentences for the privacy officer.

Source: AUDIT A5 (role changes are logged), A6 (sentences for people), A11.

- A sentence says who changed what about whom, and when in the clinic's time.
- It is told from the sealed event; names are those that accounts have now.

Readings and refusals are told by `projections.access_sentences`.
"""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from records.event import Recorded, topic_of

CHANGES: dict[str, str] = {
    "account.created": "opened an account for {person} as {detail}",
    "account.role_changed": "gave {person} the role of {detail}",
    "account.disabled": "closed the account of {person}",
    "account.ties_recorded": "recorded how {person} is tied to clients",
    "second_factor.enrolled": "gave {person} a new second factor",
    "second_factor.used": "gave a right one-time code",
    "second_factor.refused": "gave a wrong one-time code",
    "emergency.granted": "asked to open a record in an emergency ({detail})",
    "emergency.approved": "confirmed an emergency access of {person}",
    "emergency.opened": "opened a record in an emergency",
    "review.opened": "caused a review of what {person} did in an emergency ({detail})",
    "review.closed": "closed the review of what {person} did in an emergency: {detail}",
    "spot_check.drawn": "drew a spot check",
    "spot_check.decided": "decided on a reading of a spot check: {detail}",
    "erasure.requested": "requested the erasure of a client ({detail})",
    "erasure.withdrawn": "withdrew a request to erase a client ({detail})",
    "erasure.approved": "approved the erasure of a client, whose record is closed since",
    "erasure.completed": "destroyed the keys of a client's record",
    "erasure.purged": "purged what was left of an erased record",
    "token.issued": "issued a sign-in token to {person}",
    "token.revoked": "took back a sign-in token of {person}",
    "staff.named_elsewhere": "took over names of people of another clinic",
    "care_team.member_added": "put {person} into the client's care team, {detail}",
    "care_team.member_removed": "took {person} out of the client's care team",
    "clinic.founded": "founded the clinic",
    "clinic.policy_changed": "changed the clinic's policy",
}
"""Topic of a staff, care team or clinic event → what was done; a test holds it to the catalogue."""

PARTS: dict[str, str] = {"team": "treating", "supervises": "supervising"}


def person_of(recorded: Recorded) -> str | None:
    """Return the account that a change is about, or None."""
    staff_id = getattr(recorded.event, "staff_id", None)
    return None if staff_id is None else str(staff_id)


def detail_of(recorded: Recorded) -> str | None:
    """Return the role, the part, the outcome or the ground that was given, as a code, or None."""
    given = (getattr(recorded.event, name, None) for name in ("role", "part", "outcome", "ground", "basis"))
    return next((str(code) for code in given if code is not None), None)


def change_sentence(recorded: Recorded, name_of: Callable[[str], str], zone: ZoneInfo) -> str:
    """Return one sentence for a change."""
    topic, at = topic_of(recorded.event), recorded.recorded_at.astimezone(zone)
    person, detail = person_of(recorded) or "nobody", detail_of(recorded) or ""
    words = PARTS.get(detail, detail.replace("_", " ").replace("-", " "))
    what = CHANGES.get(topic, topic.replace(".", " ").replace("_", " "))
    done = what.format(person=name_of(person), detail=words)
    return f"{name_of(recorded.event.entered_by)} {done} on {at.day} {at:%B %Y} at {at:%H:%M}."
