"""The mapping: what the clinic-year format calls things, what it lacks, and what belongs to concepts of their own.

Each table is data and is told in `docs/how-to/load-a-clinic-year.md`; a test holds the two together.

- What the file lacks is filled by a sentence that says so, never by something that could be taken for a finding.
- What the record cannot hold yet is skipped by its kind, never put where it does not belong.
"""

from __future__ import annotations

import msgspec

from records.actors import Purpose, Role
from records.clinic_policy import ClinicPolicy

ROLES: dict[str, Role] = {
    "therapist": Role.THERAPIST,
    "supervisor": Role.SUPERVISOR,
    "admin": Role.FRONT_DESK,
}
"""Actor before its number → role of the account that is made for it."""

SKIPPED: dict[str, str] = {
    "letter.drafted": "letter",
    "letter.given": "letter",
    "ipaf.agreed": "ipaf",
    "attachment.added": "attachment",
    "safety_plan.saved": "safety-plan",
    "note.cosigned": "cosign",
    "export.made": "export",
}
"""Line type → the kind under which it is skipped."""

DERIVED = "derived"
"""The kind of lines that the record holds already, inside another event: a risk flag is part of its assessment."""

PROCESS_NOTE = "process-note"
UNKNOWN = "unknown"

READINGS: dict[str, str] = {
    "summary": "client.view",
    "measures": "client.view",
    "goals": "client.view",
    "session": "client.view",
    "ipaf": "client.view",
    "contact": "client.view",
    "appointments": "client.view",
    "note": "note.view",
    "last-note": "note.view",
}
"""Part of a record that was read → action of the policy table."""

SUPERVISION_PURPOSE = Purpose.HQUALIMP
"""The file gives every reading the purpose TREAT; a supervisor's is supervision."""

CONSENT_KINDS = {"supervision-disclosure": "supervision"}
"""Consent kind in the file → ours, where they differ."""

CONSENT_METHOD = "signature"
WITHDRAWAL_CHANNEL = "in-person"

LANGUAGES = {"other": "und"}
"""Language in the file → BCP 47 tag, where they differ; `und` is a language that is not told."""

PROTOCOLS = {"DIT": "dit-manual"}
"""Modality → protocol; other modalities are the clinic's own way of working, without phases."""

OWN_PROTOCOL = "clinic"

GOAL_CHANGES = {"achieved": "achieve", "partly": "partly-achieve", "abandoned": "abandon"}
GOAL_SCALE = "gbo"

METHODS = ("DIT", "psychodynamic", "CBT", "IPT")
"""The file names the modality among a session's methods; these join the clinic's own list."""

TELEHEALTH = "telehealth"

SEEN = ("5", "6")

GOAL_GIVEN_UP = "Given up; the earlier record tells no reason."
PROMPT_CLEARED = "Cleared in the earlier record, which tells no reason."
BREACH = "Held without it, as the earlier record tells; nobody wrote down why."


def policy_for(policy: ClinicPolicy) -> ClinicPolicy:
    """Return the policy under which the file's clinic worked.

    Remote sessions are covered by the consent to treatment, and the names of the modalities are methods. Sessions take
    place at every hour of day and night, so no reading is out of hours.
    """
    required = {
        act: tuple(kind for kind in kinds if kind != TELEHEALTH) for act, kinds in policy.required_consents.items()
    }
    return msgspec.structs.replace(
        policy,
        required_consents={act: kinds for act, kinds in required.items() if kinds},
        methods=tuple(dict.fromkeys((*policy.methods, *METHODS))),
        open_from_hour=0,
        open_until_hour=24,
    )
