"""Access entries as sentences for people.

Source: AUDIT A6 (a report as sentences for people), A7 (the client can judge whether the access was justified).

- A sentence says who, in which role and relation, did or was refused what, when in the clinic's time, and what for.
- It holds names of staff, codes put into words and times; never clinical text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from records.access import AccessRecorded

ACTIONS: dict[str, tuple[str, str]] = {
    "client.register": ("register the client", "registered the client"),
    "client.identity": ("change the identity", "changed the identity"),
    "client.death": ("record a death", "recorded a death"),
    "care_team.change": ("change the care team", "changed the care team"),
    "care_team.join": ("join the care team by themselves", "joined the care team by themselves"),
    "emergency.grant": ("open the record in an emergency", "was granted to open the record in an emergency"),
    "emergency.approve": ("confirm an emergency access", "confirmed an emergency access"),
    "emergency.open": ("open the record in an emergency", "opened the record in an emergency"),
    "second_factor.use": ("use a one-time code", "used a one-time code"),
    "second_factor.enrol": ("make a second factor", "made a second factor"),
    "review.list": ("list reviews", "saw the client in a list of reviews"),
    "review.view": ("read a review of an emergency access", "read a review of an emergency access"),
    "review.close": ("close a review", "closed a review"),
    "consent.record": ("record a consent", "recorded a consent"),
    "consent.withdraw": ("withdraw a consent", "withdrew a consent"),
    "consent.error": ("mark a consent as entered in error", "marked a consent as entered in error"),
    "episode.open": ("open an episode", "opened an episode"),
    "episode.phase": ("set the phase of an episode", "set the phase of an episode"),
    "episode.protocol": ("change the protocol of an episode", "changed the protocol of an episode"),
    "episode.close": ("close an episode", "closed an episode"),
    "session.book": ("book a session", "booked a session"),
    "session.attend": ("record an attendance", "recorded an attendance"),
    "session.cancel": ("cancel a session", "cancelled a session"),
    "session.hold": ("record a session as held", "recorded a session as held"),
    "session.error": ("mark a session as entered in error", "marked a session as entered in error"),
    "breach.review": ("decide on a breach", "decided on a breach"),
    "assessment.record": ("record an assessment", "recorded an assessment"),
    "assessment.error": ("mark an assessment as entered in error", "marked an assessment as entered in error"),
    "risk.assess": ("record a risk assessment", "recorded a risk assessment"),
    "risk.clear": ("clear a risk prompt", "cleared a risk prompt"),
    "risk.error": ("mark a risk assessment as entered in error", "marked a risk assessment as entered in error"),
    "goal.set": ("set a goal", "set a goal"),
    "goal.change": ("change a goal", "changed a goal"),
    "goal.rate": ("rate a goal", "rated a goal"),
    "goal.error": ("mark a goal as entered in error", "marked a goal as entered in error"),
    "note.draft": ("save the draft of a note", "saved the draft of a note"),
    "note.sign": ("sign a note", "signed a note"),
    "note.addend": ("add to a note", "added to a note"),
    "note.amend": ("amend a note", "amended a note"),
    "note.error": ("mark a note as entered in error", "marked a note as entered in error"),
    "attachment.add": ("add a file to the record", "added a file to the record"),
    "attachment.change": ("change what is told of a file", "changed what is told of a file"),
    "attachment.error": ("mark a file as entered in error", "marked a file as entered in error"),
    "disclosure.record": ("record a disclosure", "recorded a disclosure"),
    "disclosure.error": ("mark a disclosure as entered in error", "marked a disclosure as entered in error"),
    "record.import": ("import the record", "imported the record"),
    "export.release": ("release an export of the record", "released an export of the record"),
    "legal_hold.place": ("place a legal hold", "placed a legal hold"),
    "legal_hold.lift": ("lift a legal hold", "lifted a legal hold"),
    "client.view": ("read the current view", "read the current view"),
    "client.timeline": ("read the history", "read the history"),
    "note.view": ("read a note with all its versions", "read a note with all its versions"),
    "attachment.view": ("open a file of the record", "opened a file of the record"),
    "note.draft.view": ("read the draft of a note", "read the draft of a note"),
    "client.access_report": ("read who looked at the record", "read who looked at the record"),
    "client.disclosures": ("read what was disclosed", "read what was disclosed"),
    "export.prepare": ("prepare an export of the record", "prepared an export of the record"),
    "export.fetch": ("fetch an export of the record", "fetched an export of the record"),
    "client.accounting": ("make the accounting of disclosures", "made the accounting of disclosures"),
    "client.retention": ("read how long the record is kept", "read how long the record is kept"),
    "retention.due": ("list records that are due", "saw the client in a list of records that are due"),
    "client.list": ("list or search clients", "saw the client in a list"),
    "caseload.view": ("read a caseload", "saw the client in a caseload"),
    "audit.view": ("read the audit", "read the audit"),
    "audit.patterns": ("look for patterns in who looked", "looked for patterns in who looked"),
    "audit.spot_checks": ("read the spot checks", "read the spot checks"),
    "spot_check.draw": ("draw spot checks", "drew spot checks"),
    "spot_check.decide": ("decide on a spot check", "decided on a spot check"),
    "erasure.request": ("request the erasure of a client", "requested the erasure of the client"),
    "erasure.approve": ("approve the erasure of a client", "approved the erasure of the client"),
    "erasure.withdraw": ("withdraw a request for erasure", "withdrew a request for erasure"),
    "erasure.complete": ("complete an erasure", "completed an erasure"),
    "erasure.purge": ("purge what is left of an erased record", "purged what was left of an erased record"),
    "erasure.view": ("read what became of a request for erasure", "read what became of a request for erasure"),
    "erasure.certificate": ("get the certificate of an erasure", "got the certificate of an erasure"),
    "erasure.list": ("list the erasures", "saw the client in the list of erasures"),
    "log.read": ("read the log's proofs", "read the log's proofs"),
    "log.entries": ("read the entries of the log", "read the entries of the log"),
    "log.witness": ("take in the signature of a witness", "took in the signature of a witness"),
    "account.create": ("open an account", "opened an account"),
    "account.change": ("change an account", "changed an account"),
    "account.list": ("list accounts", "listed accounts"),
    "account.ties": ("record ties of an account", "recorded ties of an account"),
    "token.issue": ("issue a token", "issued a token"),
    "token.revoke": ("revoke a token", "revoked a token"),
    "clinic.found": ("found the clinic", "founded the clinic"),
    "clinic.policy": ("change the policy", "changed the policy"),
    "clinic.load": ("load records of another system", "loaded records of another system"),
    "clinic.backup": ("back up the clinic", "backed up the clinic"),
    "clinic.export": ("export the whole clinic", "exported the whole clinic"),
    "views.rebuild": ("rebuild the views", "rebuilt the views"),
    "clock.declare": ("declare the clock right", "declared the clock right"),
    "keys.turn": ("turn data keys", "turned data keys"),
}
"""Action of the policy table → to do it, did it."""

PURPOSES: dict[str, str] = {
    "TREAT": "to treat the client",
    "HQUALIMP": "to supervise the treatment",
    "HCOMPL": "for a privacy audit",
    "PATRQT": "at the client's request",
    "ETREAT": "in an emergency",
}
RELATIONS: dict[str, str] = {"team": "care team", "supervises": "supervision"}
REASONS: dict[str, str] = {
    "role": "the role does not allow it",
    "relation": "not in the care team",
    "purpose": "not for this purpose",
    "grant": "no such emergency access was granted",
    "erased": "the record was erased",
    "code-wrong": "the one-time code was wrong",
}
_NAMES_NO_CLIENT = {
    "client.list": "listed or searched clients",
    "caseload.view": "read a caseload",
    "retention.due": "listed records that are due",
}


def sentence(
    event: AccessRecorded,
    name_of: Callable[[str], str],
    zone: ZoneInfo,
    first_at: datetime,
    last_at: datetime,
    count: int = 1,
) -> str:
    """Return one sentence for an entry, or for equal entries of one day.

    Args:
        event: the entry; where there are several, any of them.
        name_of: staff id → name.
        zone: the clinic's time zone.
        first_at: when the first was recorded.
        last_at: when the last was recorded.
        count: how many entries it stands for.
    """
    place = RELATIONS.get(event.relation)
    role = event.role.replace("_", " ")
    who = f"{name_of(event.entered_by)} ({role}, {place})" if place else f"{name_of(event.entered_by)} ({role})"
    what = _what(event)
    at = when(first_at.astimezone(zone), last_at.astimezone(zone), count)
    purpose = f" {PURPOSES.get(event.purpose, event.purpose)}" if event.purpose else ""
    because = f": {REASONS.get(event.reason, event.reason)}" if event.outcome == "deny" and event.reason else ""
    return f"{who} {what} {at}{purpose}{because}."


def _what(event: AccessRecorded) -> str:
    to_do, did = ACTIONS.get(event.action, (event.action, event.action))
    if event.outcome == "deny":
        return f"asked to {to_do} and was refused"
    return _NAMES_NO_CLIENT.get(event.action, did) if event.client_id is None else did


def when(first: datetime, last: datetime, count: int) -> str:
    """Return when it was, in words; both times are in the clinic's zone."""
    day = f"on {first.day} {first:%B %Y}"
    if count == 1:
        return f"{day} at {first:%H:%M}"
    return f"{count} times {day}, between {first:%H:%M} and {last:%H:%M},"
