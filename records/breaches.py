"""Breaches: what a supervisor decided about a session that was held although a rule forbade it.

Source: DOMAIN 3 (end): what was held is recorded, and opens a supervisor's task. This is how the task ends.

Rules:
- Whoever supervises the client decides, or a therapist of the care team together with a supervisor, who is named.
- Nobody decides on a breach that they entered themselves, nor is named as the one it was decided with.
- A decision is one of `OUTCOMES`, with a reason in words. It is made once.
- The breach stays in the history for ever; only the task ends. A session that was entered in error keeps its breach
  until somebody decided on it.

It does not record breaches (`records.sessions`), and it does not know who supervises whom: the doors check that.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from records.actors import Role
from records.care_codes import require_known
from records.client_record import ClientRecord
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

OUTCOMES: dict[str, str] = {
    "justified": "It was right in the circumstances",
    "consent-taken": "The consent was asked for and taken since",
    "practice-changed": "What was agreed keeps it from happening again",
    "escalated": "Passed on to whoever answers for it in the clinic",
    "no-breach": "Nothing was missing: it was recorded wrongly",
}
"""Outcome code → label."""

# --- events


class SessionBreachReviewed(Event, frozen=True, kw_only=True, tag="session.breach_reviewed"):
    """A supervisor, or a therapist together with one, decided about a breach. Since 1.

    Attributes:
        outcome: one of `OUTCOMES`.
        reason: how they came to it (free text).
        supervisor: id of the supervisor who decided, alone or together with whoever entered it.
    """

    subject = "session_id"
    free_text = ("reason",)
    lifecycle = "attest"

    session_id: UUID
    outcome: str
    reason: str
    supervisor: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """End the task."""
        record.breaches[self.session_id] = msgspec.structs.replace(record.breaches[self.session_id], reviewed=True)
        record.sessions[self.session_id] = msgspec.structs.replace(record.sessions[self.session_id], version=version)


EVENTS = (SessionBreachReviewed,)

# --- decisions


@decision("breach.review")
def review_breach(
    record: ClientRecord,
    context: Context,
    *,
    session_id: UUID,
    outcome: str,
    reason: str,
    supervisor_id: UUID | None = None,
) -> Sequence[Event]:
    """Decide about the breach of a session, on the session's version.

    Args:
        record: the client's record.
        context: who decides.
        session_id: the session whose breach it is.
        outcome: one of `OUTCOMES`.
        reason: how they came to it.
        supervisor_id: with whom a therapist decided; a supervisor names nobody but themselves.

    Raises:
        UnknownItem: no breach of such a session in this record.
        RuleBroken: `breach-already-reviewed`; `own-breach` where the actor or the named supervisor entered it.
        InvalidContent: `/outcome`, `/reason` without text, `/supervisor_id` missing or not asked for.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    breach = record.item("breach", record.breaches, session_id)
    context.require_version(record.sessions[session_id].version)
    if breach.reviewed:
        raise RuleBroken("breach-already-reviewed", "Somebody decided on this breach before.")
    supervisor = _supervisor(context, supervisor_id)
    if breach.entered_by in (context.actor.id, supervisor):
        raise RuleBroken("own-breach", "Somebody else decides on a breach that one entered oneself.")
    require_known("/outcome", outcome, OUTCOMES)
    if not reason.strip():
        raise InvalidContent("/reason", "A decision needs a reason.")
    return [
        SessionBreachReviewed(
            session_id=session_id, outcome=outcome, reason=reason, supervisor=supervisor, **context.stamp()
        )
    ]


def _supervisor(context: Context, named: UUID | None) -> str:
    own = context.actor.id
    if context.actor.role is Role.SUPERVISOR:
        if named is not None and str(named) != own:
            raise InvalidContent("/supervisor_id", "A supervisor decides in their own name.")
        return own
    if named is None or str(named) == own:
        raise InvalidContent("/supervisor_id", "Name the supervisor with whom it was decided.")
    return str(named)
