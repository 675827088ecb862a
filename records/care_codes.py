"""Codes of care: the closed lists that episodes and sessions are described with.

Source: DOMAIN 1; NHS Talking Therapies data set for attendance, mode, format and discharge.

- A code that is stored is never renamed or taken out; lists may grow.
- Labels are for people; only codes are stored.

It does not hold what a clinic may choose for itself (`records.clinic_policy`) and no consent kinds (`records.consent`).
"""

from __future__ import annotations

from collections.abc import Collection

from records.errors import InvalidContent

FORMATS: dict[str, str | None] = {"individual": "01", "couple": "02", "group": "03", "family": None}
"""Format of an episode → its NHS code, where there is one."""

SETTINGS = ("clinic", "hospital", "prison", "school", "community")
REFERRALS = ("self", "gp", "hospital", "social-care", "school", "prison", "employer", "insurer", "other")
SESSION_KINDS = ("assessment", "treatment", "review", "follow-up")

PHASES: dict[str, str] = {"initial": "Engage and formulate", "middle": "Work", "ending": "End"}
"""Phase → what it is for."""

MODES: dict[str, str] = {
    "01": "Face to face",
    "02": "Telephone",
    "03": "Web camera",
    "04": "Talk type",
    "05": "Email",
    "06": "Letter",
    "07": "Other written",
    "08": "Portal message",
    "09": "Text message",
    "10": "Instant messaging",
    "11": "Video",
    "12": "Message board",
    "13": "Chat room",
    "98": "Other",
}
"""NHS consultation mode → label. A clinic confirms the labels of 03 to 13 for itself; the codes are what is stored."""

ATTENDANCE: dict[str, str] = {
    "5": "On time",
    "6": "Late, but seen",
    "7": "Too late to be seen",
    "3": "Did not attend",
    "2": "Cancelled by the client",
    "4": "Cancelled by the clinic",
}
"""NHS attendance code → label."""

SEEN = ("5", "6")
CANCELLED_BY = {"client": "2", "clinic": "4"}

DISCHARGES: dict[str, str] = {
    "10": "Not suitable for the service",
    "11": "Signposted elsewhere by mutual agreement",
    "12": "Discharged by mutual agreement after advice and support",
    "13": "Referred to another therapy service",
    "14": "Declined treatment",
    "16": "Incomplete assessment",
    "17": "Deceased (assessed only)",
    "46": "Mutually agreed completion of treatment",
    "47": "Ended earlier than planned, in the clinician's view",
    "48": "Ended earlier than the client asked for",
    "49": "Deceased (assessed and treated)",
    "50": "Not assessed",
    "95": "Not known (assessed and treated)",
    "96": "Not known (assessed only)",
}
"""NHS code of why an episode ended → label."""

DECEASED = ("17", "49")
"""Codes that say that the client died."""


def require_known(pointer: str, code: str, known: Collection[str]) -> str:
    """Return `code` where it is one of `known`.

    Raises:
        InvalidContent: it is none; the pointer is where it came from.
    """
    if code not in known:
        raise InvalidContent(pointer, "Is not a known code.")
    return code
