"""Access entries as sentences for the client: who you are to each other, what they looked at, when, and why.

Source: AUDIT A7 (the client can judge whether the access was justified), A8; EU C-579/21 (employee names only when
essential).

- "Jo Lind, your therapist, read your session notes on 12 October 2026 at 14:05 to treat you."
- Without names, role and relation still tell: "Your therapist read …", "A therapist who is not in your care team …".
- It holds codes put into words, times and, where the clinic gives them, names of staff; never clinical text.

What the clinic's own people read is told by `projections.access_sentences`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from projections.access_sentences import when
from records.access import AccessRecorded

FOR_CLIENT: dict[str, tuple[str, str]] = {
    "client.register": ("register you", "registered you"),
    "client.identity": ("change your contact details", "changed your contact details"),
    "client.death": ("record a death", "recorded a death"),
    "care_team.change": ("change your care team", "changed your care team"),
    "care_team.join": ("join your care team by themselves", "joined your care team by themselves"),
    "consent.record": ("record a consent of yours", "recorded a consent of yours"),
    "consent.withdraw": ("record that you withdrew a consent", "recorded that you withdrew a consent"),
    "consent.error": ("mark a consent as entered in error", "marked a consent as entered in error"),
    "episode.open": ("open a treatment of yours", "opened a treatment of yours"),
    "episode.phase": ("set the phase of your treatment", "set the phase of your treatment"),
    "episode.protocol": ("change the plan of your treatment", "changed the plan of your treatment"),
    "episode.close": ("close your treatment", "closed your treatment"),
    "session.book": ("book a session for you", "booked a session for you"),
    "session.attend": ("record whether you attended", "recorded whether you attended"),
    "session.cancel": ("cancel a session of yours", "cancelled a session of yours"),
    "session.hold": ("record a session with you", "recorded a session with you"),
    "session.error": ("mark a session as entered in error", "marked a session as entered in error"),
    "breach.review": ("decide on a session that lacked a consent", "decided on a session that lacked a consent"),
    "assessment.record": ("record a questionnaire of yours", "recorded a questionnaire of yours"),
    "assessment.error": ("mark a questionnaire as entered in error", "marked a questionnaire as entered in error"),
    "risk.assess": ("record an assessment of yours", "recorded an assessment of yours"),
    "risk.clear": ("answer a prompt in your record", "answered a prompt in your record"),
    "risk.error": ("mark an assessment as entered in error", "marked an assessment as entered in error"),
    "goal.set": ("write down a goal of yours", "wrote down a goal of yours"),
    "goal.change": ("change a goal of yours", "changed a goal of yours"),
    "goal.rate": ("rate a goal of yours", "rated a goal of yours"),
    "goal.error": ("mark a goal as entered in error", "marked a goal as entered in error"),
    "note.draft": ("write a note about you", "wrote a note about you"),
    "note.sign": ("sign a note about you", "signed a note about you"),
    "note.addend": ("add to a note about you", "added to a note about you"),
    "note.amend": ("correct a note about you", "corrected a note about you"),
    "note.error": ("mark a note as entered in error", "marked a note as entered in error"),
    "attachment.add": ("add a file to your record", "added a file to your record"),
    "attachment.change": ("record that something was given back", "recorded that something was given back"),
    "attachment.error": ("mark a file as entered in error", "marked a file as entered in error"),
    "disclosure.record": ("record what was told about you elsewhere", "recorded what was told about you elsewhere"),
    "disclosure.error": ("mark a disclosure as entered in error", "marked a disclosure as entered in error"),
    "record.import": ("take over your record from another clinic", "took over your record from another clinic"),
    "export.release": ("give a copy of your record away", "gave a copy of your record"),
    "legal_hold.place": ("keep your record from being erased", "kept your record from being erased"),
    "legal_hold.lift": (
        "end what keeps your record from being erased",
        "ended what kept your record from being erased",
    ),
    "emergency.grant": ("ask to open your record in an emergency", "asked to open your record in an emergency"),
    "emergency.approve": ("confirm an emergency access to your record", "confirmed an emergency access to your record"),
    "emergency.open": ("open your record in an emergency", "opened your record in an emergency"),
    "review.list": ("look through the reviews of emergencies", "saw your record among the reviews of emergencies"),
    "review.view": ("read the review of an emergency access", "read the review of an emergency access to your record"),
    "review.close": ("close the review of an emergency access", "closed the review of an emergency access"),
    "client.view": ("read the summary of your record", "read the summary of your record"),
    "client.timeline": ("read the history of your treatment", "read the history of your treatment"),
    "note.view": ("read your session notes", "read your session notes"),
    "attachment.view": ("open a file of your record", "opened a file of your record"),
    "note.draft.view": ("read the draft of a note about you", "read the draft of a note about you"),
    "client.access_report": ("read who looked at your record", "read who looked at your record"),
    "client.disclosures": ("read what was told about you elsewhere", "read what was told about you elsewhere"),
    "export.prepare": ("prepare a copy of your record", "prepared a copy of your record"),
    "export.fetch": ("fetch a copy of your record", "fetched a copy of your record"),
    "client.accounting": ("write the letter of what was told about you", "wrote the letter of what was told about you"),
    "client.retention": ("read how long your record is kept", "read how long your record is kept"),
    "retention.due": (
        "look through records that need not be kept longer",
        "saw your record among those that need not be kept much longer",
    ),
    "client.list": ("look for you in the list of clients", "saw your name in the list of clients"),
    "caseload.view": ("see you among their clients", "saw you among their clients"),
    "erasure.request": ("ask that your record be erased", "asked that your record be erased"),
    "erasure.approve": ("approve that your record be erased", "approved that your record be erased"),
    "erasure.withdraw": ("withdraw a request to erase your record", "withdrew a request to erase your record"),
    "erasure.purge": ("purge what is left of your erased record", "purged what was left of your erased record"),
    "erasure.view": ("look up a request to erase your record", "looked up a request to erase your record"),
    "erasure.certificate": ("get the certificate of the erasure", "got the certificate of the erasure"),
    "erasure.list": ("look through the requests for erasure", "saw your record among the requests for erasure"),
    "audit.view": ("look through who read your record", "looked through who read your record"),
}
"""Action of the policy table → to do it, did it, as the client reads it."""

NAMES_NO_CLIENT = frozenset(
    {
        "account.create",
        "account.change",
        "account.list",
        "account.ties",
        "audit.patterns",
        "audit.spot_checks",
        "spot_check.draw",
        "spot_check.decide",
        "second_factor.enrol",
        "second_factor.use",
        "log.read",
        "log.entries",
        "log.witness",
        "clock.declare",
        "keys.turn",
        "token.issue",
        "token.revoke",
        "clinic.found",
        "clinic.policy",
        "clinic.load",
        "clinic.backup",
        "clinic.export",
        "views.rebuild",
        "erasure.complete",
    }
)
"""Actions that never stand in a client's own report. Any other needs its words above; a test holds it to the table."""

DESK = {"client.view": ("look up your contact details and bookings", "looked up your contact details and bookings")}
"""What the front desk is shown is less, and is told so."""

WHO: dict[tuple[str, str], str] = {
    ("therapist", "team"): "your therapist",
    ("supervisor", "supervises"): "the supervisor of your treatment",
    ("front_desk", "none"): "the front desk",
    ("privacy_officer", "none"): "the clinic's privacy officer",
    ("records_clerk", "none"): "the clinic's records office",
    ("administrator", "none"): "the clinic's administration",
    ("operator", "none"): "whoever runs the clinic's computers",
}
"""Role and relation at that moment → who that is to the client."""

PURPOSES: dict[str, str] = {
    "TREAT": "to treat you",
    "HQUALIMP": "to supervise your treatment",
    "HCOMPL": "to check that your privacy is kept",
    "PATRQT": "because you asked for it",
    "ETREAT": "in an emergency",
}
DESK_PURPOSES = {"TREAT": "to arrange your treatment"}
REASONS: dict[str, str] = {
    "role": "their role does not allow it",
    "relation": "they are not in your care team",
    "purpose": "not for this purpose",
    "consent-missing": "a consent of yours was missing",
    "malformed": "the request was incomplete",
    "version-required": "the request was incomplete",
    "stale-record": "your record had changed meanwhile",
    "second-factor-missing": "they could not prove that it was an emergency",
    "code-wrong": "they could not prove who they were",
    "grant": "no emergency access was granted to them",
}


def client_sentence(
    event: AccessRecorded,
    name_of: Callable[[str], str] | None,
    zone: ZoneInfo,
    first_at: datetime,
    last_at: datetime,
    count: int = 1,
) -> str:
    """Return one sentence for an entry, or for equal entries of one day, as the client reads it.

    Args:
        event: the entry; where there are several, any of them.
        name_of: staff id → name; None where staff are not named.
        zone: the clinic's time zone.
        first_at: when the first was recorded.
        last_at: when the last was recorded.
        count: how many entries it stands for.
    """
    position = _who(event)
    who = position[0].upper() + position[1:] if name_of is None else f"{name_of(event.entered_by)}, {position},"
    desk = event.role == "front_desk"
    words = DESK if desk and event.action in DESK else FOR_CLIENT
    to_do, did = words.get(event.action, (f"use {event.action}", f"used {event.action}"))
    at = when(first_at.astimezone(zone), last_at.astimezone(zone), count)
    purposes = {**PURPOSES, **DESK_PURPOSES} if desk else PURPOSES
    why = f" {purposes.get(event.purpose, event.purpose)}" if event.purpose else ""
    if event.outcome != "deny":
        return f"{who} {did} {at}{why}."
    because = REASONS.get(event.reason or "", (event.reason or "").replace("-", " "))
    return f"{who} asked to {to_do} {at}{why} and was refused{': ' + because if because else ''}."


def _who(event: AccessRecorded) -> str:
    known = WHO.get((event.role, event.relation))
    if known is not None:
        return known
    role = event.role.replace("_", " ")
    article = "an" if role[0] in "aeiou" else "a"
    if event.relation == "team":
        return f"{article} {role} in your care team"
    if event.relation == "supervises":
        return f"{article} {role} who supervises your treatment"
    return f"{article} {role} who is not in your care team"
